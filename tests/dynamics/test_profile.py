"""Where the time of a step goes: the accounting, whose each operation is, and no traces left."""

from __future__ import annotations

import collections
import dataclasses
import gc
import re
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.dynamics import timing
from kerasviz.dynamics.timing_accounts import Account, accounts, shared_times
from kerasviz.dynamics.timing_measuring import measured
from kerasviz.dynamics.timing_settings import StepInputs, chosen_counts, resized
from kerasviz.errors import InputError, MethodError
from kerasviz.probe import training_step
from kerasviz.probe.backend.op_owners import BACKWARD, FORWARD, LOSS, OPTIMIZER, Owner
from kerasviz.probe.backend.timed import MARK
from kerasviz.probe.backend.trace_files import Event, host_events
from kerasviz.probe.training_step import TrainingStep
from tests.models import KINDS

PICOSECONDS = 10**12
LIGHT = {"freezing": 0, "repeats": 3, "seconds": 0.01, "verbose": 0}


def squares(_, outputs):
    values = [keras.ops.cast(value, "float32") for value in keras.tree.flatten(outputs)]
    return sum(keras.ops.mean(keras.ops.square(value)) for value in values)


def events_of(step):
    return [e for e in step.timed.recorded(1) if re.fullmatch(r"[^\s:]+:\w+", e.name)]


def compiled_step(model, inputs, frozen=0, optimizer="sgd"):
    model.compile(optimizer)
    batch = StepInputs(model, inputs, None, None, squares)
    step = TrainingStep(model, batch.arrays, True, squares)
    whole = step.compile()
    return step.compile(step.holders(whole.calls)[:frozen]) if frozen else whole


# What ran when.


def test_time_is_shared_by_what_runs_at_once():
    events = [
        Event(0, "a", 0, 10),
        Event(1, "b", 4, 12),
        Event(0, "c", 20, 26),
        Event(0, "inside c", 22, 24),
        Event(1, "nothing", 30, 30),
    ]
    assert shared_times(events) == {"a": 4 + 3, "b": 3 + 2, "c": 4, "inside c": 2}


def test_accounts_of_several_runs_keep_to_their_runs():
    owners = {"x:Conv2D": Owner(FORWARD, "x"), "y:Mul": Owner(LOSS)}
    unit = PICOSECONDS // 10
    events = [
        Event(0, MARK, 0, 10 * unit),
        Event(1, "x:Conv2D", 1 * unit, 4 * unit),
        Event(1, "Library::Call", 1 * unit, 9 * unit),
        Event(1, "z:Const", 5 * unit, 6 * unit),
        Event(0, MARK, 20 * unit, 25 * unit),
        Event(2, "x:Conv2D", 21 * unit, 22 * unit),
        Event(1, "y:Mul", 21 * unit, 23 * unit),
        Event(1, "y:Mul", 26 * unit, 27 * unit),
    ]
    first, second = accounts(events, owners.get)
    assert first == Account(pytest.approx(1.0), {Owner(FORWARD, "x"): pytest.approx(0.3)})
    assert second.whole == pytest.approx(0.5)
    assert second.parts[Owner(FORWARD, "x")] == pytest.approx(0.05)
    assert second.parts[Owner(LOSS)] == pytest.approx(0.15)


def varint(value):
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def test_the_profilers_file_is_read():
    name = field(4, field(1, 7) + field(2, field(1, 7) + field(2, b"conv:Conv2D")))
    event = field(4, field(1, 7) + field(2, 500) + field(3, 2_000_000) + b"\x29" + bytes(8))
    line = field(3, field(2, b"thread") + field(3, 3) + event)
    space = field(1, field(2, b"/host:CPU") + line + name) + field(1, field(2, b"Other") + line)
    assert host_events(space) == [Event(0, "conv:Conv2D", 3500, 2_003_500)]
    with pytest.raises(ValueError, match="ends too early"):
        host_events(space[:-3])


# Whose an operation is.


@pytest.mark.parametrize(
    ("kind", "convolutions"),
    [
        ("functional_in_functional", None),
        ("subclassed_nested", ["trunk/conv_1", "trunk/conv_2", "block/conv"]),
        ("shared_encoder", [f"encoder{s}/conv_{n}" for s in ("", "@2") for n in (1, 2)]),
        ("subclassed_repeated", ["stem", "conv", "conv@2", "conv@3"]),
        ("mixed_float16", None),
    ],
)
def test_each_convolution_counts_for_its_call_site(kind, convolutions):
    """One operation forward and one filter gradient backward for each call."""
    case = KINDS[kind]()
    step = compiled_step(case.model, case.inputs)
    if convolutions is None:
        convolutions = [c.address for c in step.calls if isinstance(c.layer, layers.Conv2D)]
    assert len(convolutions) > 1
    found = collections.Counter()
    for event in events_of(step):
        kind = event.name.rsplit(":", 1)[1]
        if "Conv2D" in kind and "BackpropInput" not in kind:
            found[step.owners.find(event.name)] += 1
    expected = {Owner(phase, a) for phase in (FORWARD, BACKWARD) for a in convolutions}
    assert found == dict.fromkeys(expected, 1)


@pytest.mark.parametrize("kind", ["recurrent", "attention", "multi_output_dict", "embedding"])
def test_nearly_every_operation_has_an_owner(kind):
    case = KINDS[kind]()
    step = compiled_step(case.model, case.inputs, optimizer="adam")
    names = [
        e.name
        for e in events_of(step)
        if not re.search(":(ReadVariableOp|Const|_Send|_Recv)$", e.name)
    ]
    lost = [name for name in names if step.owners.find(name) is None]
    assert len(lost) <= 0.02 * len(names), lost
    phases = {step.owners.find(name).phase for name in names if name not in lost}
    assert phases == {FORWARD, BACKWARD, LOSS, OPTIMIZER}


def convolution_and_relu():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="conv")(image)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(2, name="head")(x), name="with_relu")


def test_an_operation_fused_across_layers_counts_for_the_convolution():
    step = compiled_step(convolution_and_relu(), np.ones((2, 16, 16, 3), "float32"))
    relu = next(op for op in step.owners._operations.values() if op.type == "Relu")
    assert step.owners.find(f"{relu.name}:Relu") == Owner(FORWARD, "relu")
    assert step.owners.find(f"{relu.name}:_MklNativeFusedConv2D") == Owner(FORWARD, "conv")
    assert step.owners.find(f"{relu.name}-0-Transpose-LayoutOptimizer:Transpose") == Owner(
        FORWARD, "relu"
    )
    assert step.owners.find("nobody:Mul") is None


# The result.


def uneven_network(filters=4, kernel_size=3):
    """With 128 filters of 11×11 `heavy` takes 5000 times the multiplications of `light`."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 1, name="light")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(filters, kernel_size, padding="same", activation="relu", name="heavy")(x)
    x = layers.Dropout(0.5, seed=3, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(3, "softmax", name="head")(x)
    model = keras.Model(image, outputs, name="uneven")
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 0.3, w.shape) for w in model.get_weights()])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


INPUTS = np.random.default_rng(0).random((4, 40, 48, 3), dtype="float32")
LABELS = np.arange(4) % 3


@pytest.fixture(scope="module")
def found():
    return kv.profile(
        uneven_network(128, 11),
        INPUTS,
        LABELS,
        input_sizes=[(20, 24), (40, 48)],
        freezing=[1, 2],
        repeats=5,
        seconds=20,
        verbose=0,
    )


def test_shares_and_the_rest_are_the_whole(found):
    assert list(found.table["address"]) == ["light", "norm", "heavy", "dropout", "pool", "head"]
    assert found.parts.min() > 0
    rest = (found.loss + found.optimizer + found.other) / found.parts.sum()
    assert found.table["share"].sum() + rest == pytest.approx(1.0)
    both = found.table["forward_share"] + found.table["backward_share"]
    np.testing.assert_allclose(both, found.table["share"])
    np.testing.assert_allclose(
        found.table["share"] * found.parts.sum(), found.table["forward"] + found.table["backward"]
    )


def test_the_heavy_layer_takes_most(found):
    table = found.table.set_index("address")
    assert table["share"].idxmax() == table["backward"].idxmax() == "heavy"
    assert table.loc["heavy", "total"] > 2 * table.loc["light", "total"]
    assert "of `heavy` (" in found.advice()[0]


def test_sizes_frozen_layers_and_provenance(found):
    assert list(found.sizes["size"]) == ["20x24", "40x48"]
    assert [p.input_shapes for p in found.at.values()] == [((20, 24, 3),), ((40, 48, 3),)]
    assert list(found.freezing["frozen"])[:1] == [1]
    assert list(found.freezing["up_to"]) == ["light", "norm"][: len(found.freezing)]
    assert found.provenance["model"] == "uneven"
    assert (found.trains, found.batch_size, found.jitted) == (True, 4, False)
    assert 3 <= found.runs <= 5
    assert "training step" in repr(found)
    texts = [text.get_text() for text in found.plot(num=2).axes[0].texts]
    shown = [float(text.strip().rstrip("%")) for text in texts]
    assert sum(shown) == pytest.approx(100, abs=0.5)
    labels = [label.get_text() for label in found.plot(num=2).axes[0].get_yticklabels()]
    assert "4 more layers" in labels
    assert "heavy" in labels
    for figure in (found.plot_sizes(), found.plot_freezing()):
        assert figure.axes


def test_savings_are_read_in_the_picture_and_the_advice(found):
    """No label leaves the picture; a step that took longer saved nothing."""
    row = {"up_to": "a layer with a very long name", "seconds": 1.0, "whole_seconds": 1.0}
    counts = [(1, -0.04), (6, 0.3), (9, 0.5)]
    table = pd.DataFrame([{**row, "frozen": n, "saving": s, "spread": 0.1} for n, s in counts])
    result = dataclasses.replace(found, freezing=table)
    figure = result.plot_freezing()
    assert [text.get_text().split("\n")[1] for text in figure.axes[0].texts] == [
        "+4%", "−30%", "−50%",
    ]  # fmt: skip
    figure.canvas.draw()
    for text in figure.axes[0].texts:
        assert figure.bbox.x0 <= text.get_window_extent().x0
        assert text.get_window_extent().x1 <= figure.bbox.x1
    said = [sentence for sentence in result.advice() if "Freezing" in sentence]
    assert "saves nothing: " in said[0]
    assert "saves 30% of the step: " in said[1]


def fake_steps(model, whole, parts):
    """A step whose recorded runs are these accounts."""
    runs, recordings, unit = iter(whole), iter(parts), PICOSECONDS // 1000

    class Runs:
        def __call__(self):
            return next(runs)

        def recorded(self, _):
            taken, other = next(recordings)
            whole = Event(0, MARK, 0, (taken + other) * unit)
            return [whole, Event(1, "conv:Conv2D", 0, taken * unit)]

    step = SimpleNamespace(
        timed=Runs(),
        owners=SimpleNamespace(find=lambda _: Owner(FORWARD, "conv")),
        calls=(SimpleNamespace(address="conv", layer=layers.Conv2D(1, 1), is_leaf=True),),
        in_loops=(),
    )
    batch = SimpleNamespace(model=model, trains=True, size=1, shapes=((1,),))
    return batch, step


def test_medians_coverage_and_spread():
    model = convolution_and_relu()
    steps = [
        fake_steps(model, [9.0, 9.0, 0.010, 0.020, 0.040], [(8, 2), (15, 5), (36, 4)]),
    ]
    (found,) = measured(steps, 3, 0.001)
    assert found.seconds == pytest.approx(0.020)
    assert found.spread == pytest.approx(0.015)
    assert found.coverage == pytest.approx(np.median([0.8, 0.75, 0.9]))
    assert found.other == pytest.approx(0.004)
    assert found.table["forward"].tolist() == pytest.approx([0.015])
    assert found.table["share"].tolist() == pytest.approx([15 / 19])


def test_saving_is_the_median_of_neighbouring_ratios():
    clock = timing._Clock(60, 0, 1)
    whole = iter([1, 1, 10.0, 20.0, 10.0])
    frozen = iter([1, 1, 5.0, 12.0, 9.0])
    as_it_is = SimpleNamespace(timed=lambda: next(whole))
    step = SimpleNamespace(compile=lambda _: SimpleNamespace(timed=lambda: next(frozen)))
    holders = [SimpleNamespace(address="conv"), SimpleNamespace(address="head")]
    table = timing._freezing(step, as_it_is, holders, [1], 3, clock)
    row = table.iloc[0]
    assert (row["frozen"], row["up_to"]) == (1, "conv")
    assert row["saving"] == pytest.approx(1 - 0.6)
    assert (row["seconds"], row["whole_seconds"]) == (9.0, 10.0)


def test_freezing_leaves_the_trunk_out_of_the_gradients():
    """As Keras would: no gradient by or through the frozen layers, moving statistics in them."""
    step = compiled_step(uneven_network(), INPUTS, frozen=2)
    backward = {step.owners.find(e.name) for e in events_of(step)}
    assert Owner(BACKWARD, "heavy") in backward
    assert not {Owner(BACKWARD, "light"), Owner(BACKWARD, "norm")} & backward
    assert not [e.name for e in events_of(step) if "BackpropInput" in e.name.rsplit(":")[1]]
    assert not {"Mean", "SquaredDifference"} & kinds_of(step, Owner(FORWARD, "norm"))
    whole = compiled_step(uneven_network(), INPUTS)
    assert {"Mean", "SquaredDifference"} <= kinds_of(whole, Owner(FORWARD, "norm"))


def kinds_of(step, owner):
    operations = step.owners._operations.values()
    return {op.type for op in operations if step.owners._owners.get(op.name) == owner}


# Nothing changes.


def values(variable):
    return keras.ops.convert_to_numpy(variable).copy()


def state(model):
    optimizer = [values(v) for v in model.optimizer.variables]
    metrics = [values(v) for metric in model.metrics for v in metric.variables]
    return [values(v) for v in model.variables] + optimizer + metrics


def test_profiling_leaves_no_trace_in_training():
    """Neither in a model that never trained, nor in one that did."""
    model, twin = uneven_network(), uneven_network()
    kv.profile(model, INPUTS, LABELS, **LIGHT)
    assert not model.optimizer.built
    for one in (model, twin):
        one.fit(INPUTS, LABELS, epochs=1, shuffle=False, verbose=0)
    before, trainable = state(model), [x.trainable for x in model.layers]
    attributes = {layer.name: sorted(vars(layer)) for layer in model.layers}
    tf.random.set_seed(5)
    kv.profile(model, INPUTS, LABELS, **{**LIGHT, "freezing": [1]})
    drawn = tf.random.uniform([3]).numpy()
    tf.random.set_seed(5)
    assert np.array_equal(drawn, tf.random.uniform([3]).numpy())
    assert all(map(np.array_equal, before, state(model)))
    assert trainable == [x.trainable for x in model.layers]
    assert attributes == {layer.name: sorted(vars(layer)) for layer in model.layers}
    for one in (model, twin):
        one.fit(INPUTS, LABELS, epochs=2, shuffle=False, verbose=0)
    assert all(map(np.array_equal, state(model), state(twin)))


def test_forward_alone_and_jitted():
    model = convolution_and_relu()
    found = kv.profile(model, np.ones((2, 16, 16, 3), "float32"), **LIGHT)
    assert not found.trains
    assert found.freezing is None
    assert found.table["backward"].sum() == found.loss == found.optimizer == 0
    assert found.table["forward"].sum() > 0
    for draw in (found.plot_sizes, found.plot_freezing):
        with pytest.raises(InputError, match="Received: none"):
            draw()
    with pytest.raises(InputError, match="`num` be a whole number"):
        found.plot(num=0)
    assert not hasattr(model, "optimizer") or model.optimizer is None
    model.compile("sgd", "mse", jit_compile=True)
    found = kv.profile(model, np.ones((2, 16, 16, 3), "float32"), np.ones((2, 2)), **LIGHT)
    assert found.jitted
    assert "jit_compile=True" in found.advice()[-1]


# What is asked.


def test_inputs_take_another_size_by_the_nearest_neighbour():
    model = uneven_network()
    picture = np.arange(24, dtype="float32").reshape(1, 4, 6, 1).repeat(3, -1)
    part = resized(StepInputs(model, picture, np.zeros(1), None, None), model, (2, 3))
    np.testing.assert_array_equal(part.arrays[0][0, :, :, 0], [[0, 2, 4], [12, 14, 16]])
    with pytest.raises(InputError, match="one number for each spatial axis"):
        resized(StepInputs(model, picture, np.zeros(1), None, None), model, (2,))


def test_a_fixed_size_needs_a_builder():
    def build(size):
        model = keras.Sequential([keras.Input((*size, 3)), layers.Flatten(), layers.Dense(2)])
        model.compile("sgd", "mse")
        return model

    model, inputs, targets = build((8, 6)), np.ones((2, 8, 6, 3), "float32"), np.ones((2, 2))
    with pytest.raises(InputError, match=r"whose input size is free.*build="):
        kv.profile(model, inputs, targets, input_sizes=[(4, 4)], **LIGHT)
    found = kv.profile(model, inputs, targets, input_sizes=[(4, 4)], build=build, **LIGHT)
    assert list(found.sizes["size"]) == ["4x4"]
    for build in (lambda _: None, 3):
        with pytest.raises(InputError, match="`build` must be a function that returns a Keras"):
            kv.profile(model, inputs, targets, input_sizes=[(4, 4)], build=build, **LIGHT)


def test_numbers_of_frozen_layers():
    assert chosen_counts(4, 11) == [1, 4, 7, 10]
    assert chosen_counts(4, 3) == [1, 2]
    assert chosen_counts(4, 1) == chosen_counts(0, 9) == []
    assert chosen_counts((5, 2, 5), 9) == [2, 5]
    with pytest.raises(InputError, match="leave a layer to train"):
        chosen_counts([3], 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.zeros(3)}, "one row for each sample"),
        ({"inputs": INPUTS * np.nan}, "NaN"),
        ({"repeats": 2}, "`repeats` must be a whole number from 3 on"),
        ({"seconds": 0}, "`seconds` must be a number above 0"),
        ({"freezing": -1}, "`freezing` must be a whole number"),
        ({"input_sizes": [4]}, "`input_sizes` must be a list of spatial sizes"),
        ({"loss": "mse"}, "`loss` must be a function"),
        ({"targets": np.zeros((4, 2))}, "must be a batch|compute_loss"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    settings = {"inputs": INPUTS, "targets": LABELS, **LIGHT, **changes}
    with pytest.raises((InputError, MethodError), match=message):
        kv.profile(uneven_network(), **settings)


def test_what_cannot_be_measured_is_refused(monkeypatch, tmp_path):
    bare = convolution_and_relu()
    ones = np.ones((2, 16, 16, 3), "float32")
    with pytest.raises(MethodError, match="not compiled"):
        kv.profile(bare, ones, np.ones((2, 2)), **LIGHT)
    bare.trainable = False
    with pytest.raises(MethodError, match="trainable weights"):
        kv.profile(bare, ones, loss=squares, **LIGHT)
    tf.profiler.experimental.start(str(tmp_path))
    try:
        with pytest.raises(MethodError, match="no other profile"):
            kv.profile(bare, ones, **LIGHT)
    finally:
        tf.profiler.experimental.stop(save=False)
    gpu = SimpleNamespace(name="/device:GPU:0")
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: [gpu] if kind == "GPU" else []
    )
    with pytest.raises(MethodError, match="on the processor"):
        kv.profile(bare, ones, **LIGHT)


def test_an_optimizer_without_a_copy_is_refused():
    class Own(keras.optimizers.SGD):
        def get_config(self):
            raise NotImplementedError("no config")

    model = convolution_and_relu()
    model.compile(Own(), "mse")
    with pytest.raises(MethodError, match="`get_config` can make a copy"):
        kv.profile(model, np.ones((2, 16, 16, 3), "float32"), np.ones((2, 2)), **LIGHT)


def test_one_convolution_by_channels_and_kernel_size(tmp_path):
    found = kv.dynamics.sweep_layer(
        (1, 2), (1, 3), pools=("", "max"), input_size=(8, 6), repeats=3, seconds=0.01, verbose=0
    )
    rows = found.table[["pool", "channels", "kernel_size"]].to_numpy().tolist()
    assert rows == [[p, c, k] for p in ("", "max") for c in (1, 2) for k in (1, 3)]
    alone = found.table[found.table["pool"] == ""]
    pd.testing.assert_series_equal(alone["forward"], alone["conv_forward"], check_names=False)
    pooled = found.table[found.table["pool"] == "max"]
    assert (pooled["backward"] > pooled["conv_backward"]).all()
    assert len(found.plot().axes) == 4
    read = kv.dynamics.LayerSweep.load(found.save(tmp_path / "found.npz"))
    pd.testing.assert_frame_equal(read.table, found.table)
    assert (read.input_size, repr(read)) == ((8, 6), repr(found))
    for settings in ({"pools": ("median",)}, {"pools": None}, {"channels": 5}):
        with pytest.raises(InputError, match="`pools` be among"):
            kv.dynamics.sweep_layer(**settings)
    for size in (8, (8,), (8, 6, 3), (1, 6)):
        with pytest.raises(InputError, match=r"`input_size` must be \(height, width\)"):
            kv.dynamics.sweep_layer(input_size=size, pools=("max",))
    with pytest.raises(InputError, match="`seed` must be a whole number"):
        kv.dynamics.sweep_layer(seed=-1)


def test_the_copies_memory_is_given_back(monkeypatch):
    """Although TensorFlow keeps the graph, and all variables in it, for its custom gradient."""
    made, copy = [], training_step.timed.held_copy
    monkeypatch.setattr(
        training_step.timed, "held_copy", lambda v: made.append(copy(v)) or made[-1]
    )
    step = compiled_step(convolution_and_relu(), np.ones((2, 16, 16, 3), "float32"))
    step.timed()
    assert [held_shape(v) for v in made] == [[3, 3, 3, 8], [8], [8, 2], [2]]
    del step
    gc.collect()
    assert [held_shape(v) for v in made] == [[0]] * 4


def held_shape(variable):
    handle, dtype = variable.value.handle, variable.value.dtype
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype).shape.as_list()


def test_saved_and_loaded(found, tmp_path):
    read = kv.dynamics.Profile.load(found.save(tmp_path / "found.npz"))
    pd.testing.assert_frame_equal(read.table, found.table)
    pd.testing.assert_frame_equal(read.sizes, found.sizes)
    pd.testing.assert_frame_equal(read.freezing, found.freezing)
    assert read.advice() == found.advice()
    assert read.at[20, 24].input_shapes == ((20, 24, 3),)
    assert (repr(read), read.provenance) == (repr(found), found.provenance)
    with pytest.raises(InputError, match=r"`LayerSweep\.save` wrote"):
        kv.dynamics.LayerSweep.load(tmp_path / "found.npz")


def test_what_fit_would_do_otherwise_is_said():
    class Own(keras.Sequential):
        def train_step(self, data):
            raise NotImplementedError

    model = Own([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", run_eagerly=True)
    said = kv.profile(model, np.ones((2, 3)), np.ones((2, 2)), **LIGHT).advice()
    assert "`train_step` of its own" in said[-2]
    assert "`run_eagerly=True`" in said[-1]
    forward = kv.profile(model, np.ones((2, 3)), **LIGHT)
    assert not forward.own_step
    assert not forward.eager
