"""TensorFlow SavedModels: read before they are loaded, then wrapped as a Keras model."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from kerasviz.errors import MethodError, ModelFileError

_FILE_NAME = "saved_model.pb"
_PREFERRED_SIGNATURES = ("serving_default", "serve")
_INTERNAL_SIGNATURE = "__saved_model_init_op"
_SAVER_OPERATIONS = {"SaveV2", "RestoreV2", "MergeV2Checkpoints"}
_REFUSED_THOUGH_STATELESS = re.compile(
    r"ReadFile|MatchingFiles|PyFunc|InitializeTableFromTextFile|Reader|Dataset|Iterator|Summary"
    r"|Debug|(En|De)codeProto|Xla|TPU|Remote|Snapshot"
)
_ALLOWED_THOUGH_STATEFUL = re.compile(
    r"(Resource(Gather|Scatter|StridedSlice|CountUpTo|Apply|SparseApply)\w*"
    r"|(Var|Variable|Assign|ReadVariable|Destroy|DisableCopyOnRead)(?!.*Xla)\w*"
    r"|(Anonymous)?(Mutable)?(Dense)?HashTable\w*|LookupTable\w+|InitializeTableV2"
    r"|(Random|Stateful|Rng|Truncated|Parameterized|Stateless|Sample)\w+|Multinomial"
    r"|NonDeterministicInts|(Anonymous|Dummy|Delete)(Random)?SeedGenerator"
    r"|(TensorArray|Stack)\w*|StatefulPartitionedCall|If|While|Case|_Arg|_Retval"
    r"|Assert|CheckNumerics(V2)?|Empty|GuaranteeConst|CudnnRNN\w*|DeviceIndex)"
)


def is_saved_model(path: Path) -> bool:
    """Tell whether a folder holds a TensorFlow SavedModel."""
    return (path / _FILE_NAME).is_file()


def load_saved_model(folder: Path) -> keras.Model:
    """Wrap a TensorFlow SavedModel as a Keras model of one opaque layer.

    Its graph is read first. A graph that could touch files, processes, the network or Python is
    refused before anything of it runs; only the usual functions that save and restore variables
    may name files, and only where nothing else can call them.

    Args:
        folder: The folder that holds `saved_model.pb`.

    Returns:
        A functional model: the inputs, one `keras.layers.TFSMLayer`, the outputs.

    Raises:
        ModelFileError: It is damaged, holds refused operations, or has no signature from one
            tensor to tensors.
    """
    graph = _only_graph(folder)
    _check_operations(folder, graph)
    name, signature = _signature(folder, graph)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return _wrap(folder, name, _input(folder, signature))
    except ModelFileError:
        raise
    except Exception as error:
        # TensorFlow raises many kinds of errors for files that do not fit together.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ModelFileError(_damaged(folder, f"it could not be loaded ({reason})")) from error


def is_opaque(model: keras.Model) -> bool:
    """Tell whether a model is a wrapped SavedModel, whose layers cannot be seen."""
    return any(isinstance(layer, keras.layers.TFSMLayer) for layer in model.layers)


def expect_layers(model: keras.Model) -> None:
    """Refuse a model whose layers cannot be seen, for what needs them.

    Args:
        model: Any model.

    Raises:
        MethodError: The model is a wrapped SavedModel.
    """
    if is_opaque(model):
        raise MethodError(
            "Expected a model with Keras layers. Received: a SavedModel, which shows its inputs "
            "and outputs only. Use `kerasviz explain --method saliency`, or the .keras file."
        )


def _parse(folder: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString((folder / _FILE_NAME).read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelFileError(_damaged(folder, f"{_FILE_NAME} cannot be read ({error})")) from error
    return saved_model


def _only_graph(folder: Path) -> Any:
    graphs = _parse(folder).meta_graphs
    if not graphs:
        raise ModelFileError(_damaged(folder, "it holds no graph"))
    if len(graphs) > 1 or not graphs[0].HasField("object_graph_def"):
        raise ModelFileError(
            f"Expected a SavedModel of TensorFlow 2. Received: {folder}, in the form of "
            "TensorFlow 1, which runs its graph while it is loaded. Export the model again."
        )
    return graphs[0]


def _damaged(folder: Path, reason: str) -> str:
    return (
        f"Expected a SavedModel. Received: {folder}, but {reason}. "
        "Copy the folder again, or export the model again."
    )


def _check_operations(folder: Path, graph: Any) -> None:
    savers = _saver_functions(graph)
    refused = {
        node.op
        for function, node in _nodes(graph)
        if not _is_allowed(node.op) and not (node.op in _SAVER_OPERATIONS and function in savers)
    }
    if refused:
        raise ModelFileError(
            f"Expected a SavedModel that only computes. Received: {folder}, whose graph holds "
            f"{', '.join(sorted(refused))}: not known to stay away from files, processes, the "
            "network and Python, so nothing was run. Use the model's .keras file, or export it "
            "without these operations."
        )


def _nodes(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield all operations with the name of the function they are in, "" outside of functions."""
    yield from (("", node) for node in graph.graph_def.node)
    for function in graph.graph_def.library.function:
        yield from ((function.signature.name, node) for node in function.node_def)


def _is_allowed(operation: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    if definition is None:
        return False
    if definition.is_stateful:
        return _ALLOWED_THOUGH_STATEFUL.fullmatch(operation) is not None
    return _REFUSED_THOUGH_STATELESS.search(operation) is None


def _saver_functions(graph: Any) -> set[str]:
    """Return the functions that the graph's own saver calls and nothing else in the file names."""
    savers = {graph.saver_def.save_tensor_name.split(":")[0], graph.saver_def.restore_op_name}
    nodes = [node for node in graph.graph_def.node if node.name in savers]
    functions = {node.attr["f"].func.name for node in nodes} - {""}
    rest = _without(graph, savers, functions)
    return {name for name in functions if name.encode() not in rest}


def _without(graph: Any, nodes: set[str], functions: set[str]) -> bytes:
    rest = type(graph)()
    rest.CopyFrom(graph)
    library = rest.graph_def.library
    _keep(rest.graph_def.node, lambda node: node.name not in nodes)
    _keep(library.function, lambda function: function.signature.name not in functions)
    return bytes(rest.SerializeToString())


def _keep(messages: Any, wanted: Callable[[Any], bool]) -> None:
    kept = [message for message in messages if wanted(message)]
    del messages[:]
    messages.extend(kept)


def _signature(folder: Path, graph: Any) -> tuple[str, Any]:
    signatures = {
        name: signature
        for name, signature in graph.signature_def.items()
        if name != _INTERNAL_SIGNATURE
    }
    preferred = [name for name in _PREFERRED_SIGNATURES if name in signatures]
    names = preferred or list(signatures)
    if not preferred and len(names) != 1:
        raise ModelFileError(
            f"Expected a SavedModel with a signature named {_PREFERRED_SIGNATURES[0]!r}. "
            f"Received: {folder}, with {sorted(names) or 'none'}. Export it with model.export()."
        )
    return names[0], signatures[names[0]]


def _input(folder: Path, signature: Any) -> keras.KerasTensor:
    if len(signature.inputs) != 1:
        raise ModelFileError(
            "Expected a SavedModel whose signature takes one tensor. "
            f"Received: {folder}, which takes {sorted(signature.inputs)}. "
            "Explain the model it was made from in Python."
        )
    import tensorflow as tf

    (info,) = signature.inputs.values()
    if info.tensor_shape.unknown_rank:
        raise ModelFileError(_damaged(folder, "its signature does not tell the input's shape"))
    shape = [None if side.size < 0 else side.size for side in info.tensor_shape.dim]
    return keras.Input(batch_shape=shape, dtype=tf.as_dtype(info.dtype).name, name="inputs")


def _wrap(folder: Path, signature: str, inputs: keras.KerasTensor) -> keras.Model:
    dtype = inputs.dtype if keras.backend.is_float_dtype(inputs.dtype) else "float32"
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint=signature, dtype=dtype)
    outputs = layer(inputs)
    if isinstance(outputs, dict) and len(outputs) == 1:
        (outputs,) = outputs.values()
    return keras.Model(inputs, outputs, name=re.sub(r"\W+", "_", folder.name) or "saved_model")
