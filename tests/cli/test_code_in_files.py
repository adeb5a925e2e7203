"""Nothing in a model file can run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kerasviz.cli.models import load_model
from kerasviz.errors import ModelFileError

SHAPE = (None, 4)


@pytest.fixture
def trace(tmp_path) -> Path:
    """The file that hostile models below make when they run."""
    return tmp_path / "i_was_here"


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_lambda_does_not_run(ending, tmp_path, trace):
    target = str(trace)
    hostile = keras.layers.Lambda(lambda x: (open(target, "w").close(), x)[1])
    model = keras.Sequential([keras.Input((4,)), hostile])
    assert trace.exists(), "building the model runs the code: the file holds live code"
    model.save(tmp_path / f"hostile.{ending}")
    trace.unlink()
    with pytest.raises(ModelFileError, match=r"Lambda with code; nothing was run.*--import"):
        load_model(str(tmp_path / f"hostile.{ending}"))
    assert not trace.exists()


def test_lambda_deep_in_a_description(edited, trace):
    def hide(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        config = json.loads(content)
        code = {"class_name": "__lambda__", "config": {"code": "", "defaults": None}}
        config["config"]["layers"][1]["config"]["activation"] = code
        return json.dumps(config).encode()

    with pytest.raises(ModelFileError, match="nothing was run"):
        load_model(str(edited(hide)))


def test_lambda_of_keras_2(hdf5_file, tmp_path):
    import h5py

    path = tmp_path / "old.h5"
    shutil.copy(hdf5_file, path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        code = {"name": "f", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}
        config["config"]["layers"][1] |= {"class_name": "Lambda", "config": code}
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelFileError, match="nothing was run"):
        load_model(str(path))


def test_a_registered_function_in_a_lambda_is_no_code(tmp_path):
    @keras.saving.register_keras_serializable("test_code_in_files")
    def doubled(x):
        return x * 2

    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(doubled, output_shape=(4,))])
    model.save(tmp_path / "named.keras")
    loaded = load_model(str(tmp_path / "named.keras"))
    np.testing.assert_allclose(loaded.predict(np.ones((1, 4)), verbose=0), 2.0)


@pytest.mark.parametrize("module", ["os", "subprocess", "kerasviz.cli.models"])
def test_no_module_that_a_file_names_is_imported(module, edited):
    def rename(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        config = json.loads(content)
        config["config"]["layers"][1] |= {
            "module": module,
            "class_name": "system",
            "registered_name": None,
        }
        return json.dumps(config).encode()

    with pytest.raises(ModelFileError, match="'system'"):
        load_model(str(edited(rename)))


@pytest.mark.parametrize("module", ["keras.utils", "keras.src.utils.file_utils"])
def test_a_tool_of_keras_as_a_function(module, edited):
    """Older versions of Keras let a file call `keras.utils.get_file` and fetch from anywhere."""

    def call(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        config = json.loads(content)
        function = {"module": module, "class_name": "function", "config": "get_file"}
        layer = config["config"]["layers"][1]
        layer |= {"class_name": "Lambda", "config": {"name": "l", "function": function}}
        return json.dumps(config).encode()

    with pytest.raises(ModelFileError, match=f"would call {module}.get_file"):
        load_model(str(edited(call)))


def test_a_layer_that_loads_other_files(edited, saved_model):
    def rename(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        config = json.loads(content)
        layer = config["config"]["layers"][1]
        layer["class_name"] = "TFSMLayer"
        layer["config"] = {"filepath": str(saved_model), "name": "other"}
        return json.dumps(config).encode()

    with pytest.raises(ModelFileError, match="TFSMLayer would load code"):
        load_model(str(edited(rename)))


def exported(folder: Path, function) -> Path:
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    signature = tf.TensorSpec(SHAPE, tf.float32, name="inputs")
    module.serve = tf.function(lambda inputs: function(module, inputs), [signature])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def write_file(target: str):
    def function(module, inputs):
        with tf.control_dependencies([tf.io.write_file(target, "x")]):
            return tf.identity(inputs) * module.scale

    return function


def read_file(target: str):
    return lambda module, inputs: (
        inputs * tf.cast(tf.strings.length(tf.io.read_file(target)), "float32")
    )


def python(target: str):
    return lambda module, inputs: tf.py_function(lambda x: x, [inputs], tf.float32) * module.scale


def save(target: str):
    def function(module, inputs):
        saving = tf.raw_ops.SaveV2(
            prefix=target, tensor_names=["x"], shape_and_slices=[""], tensors=[inputs]
        )
        with tf.control_dependencies([saving]):
            return tf.identity(inputs) * module.scale

    return function


def show(target: str):
    def function(module, inputs):
        tf.print(inputs, output_stream=f"file://{target}")
        return inputs * module.scale

    return function


def in_a_loop(target: str):
    def function(module, inputs):
        return tf.map_fn(lambda row: write_file(target)(module, row), inputs)

    return function


@pytest.mark.parametrize(
    ("hostile", "operation"),
    [
        (write_file, "WriteFile"),
        (in_a_loop, "WriteFile"),
        (read_file, "ReadFile"),
        (python, "EagerPyFunc"),
        (save, "SaveV2"),
        (show, "PrintV2"),
    ],
)
def test_saved_model_that_reaches_out(hostile, operation, tmp_path, trace):
    folder = exported(tmp_path / "hostile", hostile(str(trace)))
    for left in tmp_path.glob("i_was_here*"):
        left.unlink()
    with pytest.raises(ModelFileError, match=f"holds {operation}.*nothing was run"):
        load_model(str(folder))
    assert not list(tmp_path.glob("i_was_here*"))


def edit_graph(folder: Path, change) -> None:
    saved = saved_model_pb2.SavedModel()
    path = folder / "saved_model.pb"
    saved.ParseFromString(path.read_bytes())
    change(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())


def saver_name(graph) -> str:
    (node,) = (n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name)
    return node.attr["f"].func.name


def serving_function(graph):
    """A function of the model itself: neither the saver's saving nor its restoring one."""
    of_saver = ("save", "restore")
    functions = graph.graph_def.library.function
    return next(f for f in functions if not any(word in f.signature.name for word in of_saver))


def call_from_a_function(graph) -> None:
    """The serving function calls the saver's function by a node of its own."""
    node = serving_function(graph).node_def.add(name="sneaky", op="StatefulPartitionedCall")
    node.attr["f"].func.name = saver_name(graph)


def name_as_an_object(graph) -> None:
    """The object graph offers the saver's function as one of the model's own."""
    node = graph.object_graph_def.nodes.add()
    node.bare_concrete_function.concrete_function_name = saver_name(graph)


def name_as_a_gradient(graph) -> None:
    """The saver's function poses as the gradient of another one."""
    gradient = graph.graph_def.library.gradient.add()
    gradient.function_name = serving_function(graph).signature.name
    gradient.gradient_func = saver_name(graph)


@pytest.mark.parametrize("trick", [call_from_a_function, name_as_an_object, name_as_a_gradient])
def test_the_savers_functions_serve_the_saver_only(trick, tmp_path):
    folder = exported(tmp_path / "tricky", lambda module, inputs: inputs * module.scale)
    assert load_model(str(folder)).output_shape == SHAPE
    edit_graph(folder, trick)
    with pytest.raises(ModelFileError, match="holds RestoreV2"):
        load_model(str(folder))


def test_operations_that_are_not_known(tmp_path):
    folder = exported(tmp_path / "odd", lambda module, inputs: inputs * module.scale)
    edit_graph(folder, lambda graph: graph.graph_def.node.add(name="n", op="SomebodysOwnOp"))
    with pytest.raises(ModelFileError, match="holds SomebodysOwnOp"):
        load_model(str(folder))


def test_tensorflow_1_runs_its_graph_while_loading(tmp_path):
    folder = exported(tmp_path / "old", lambda module, inputs: inputs * module.scale)
    edit_graph(folder, lambda graph: graph.ClearField("object_graph_def"))
    with pytest.raises(ModelFileError, match="TensorFlow 1"):
        load_model(str(folder))


def test_random_layers_loops_and_branches_are_allowed(tmp_path):
    def function(module, inputs):
        x = tf.map_fn(lambda row: row * tf.random.uniform(()), inputs)
        x = tf.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x)
        return tf.debugging.check_numerics(x, "finite") * module.scale

    folder = exported(tmp_path / "lively", function)
    assert load_model(str(folder)).output_shape == SHAPE


def test_signature_of_several_tensors(tmp_path):
    module = tf.Module()
    specs = [tf.TensorSpec(SHAPE, tf.float32, name=name) for name in ("first", "second")]
    module.add = tf.function(lambda first, second: first + second, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=module.add)
    with pytest.raises(ModelFileError, match=r"which takes \['first', 'second'\]"):
        load_model(str(tmp_path / "two"))


def test_no_signature(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(ModelFileError, match=r"signature named 'serving_default'.*none"):
        load_model(str(tmp_path / "none"))
