"""Gates are found however they are spelled, and what they do is what NumPy says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from tests.attention.gated import SQUASHES, Attend, Lasting, Squeeze, around, images, strong
from tests.conftest import build

ops: Any = keras.ops


@pytest.mark.parametrize("name", SQUASHES)
def test_any_bounded_factor_with_weights_is_a_gate(name: str) -> None:
    squash, low, high = SQUASHES[name]
    found = kv.attention.gates(around(Squeeze(5, squash, name="se")))
    assert list(found.index) == ["se"]
    gate = found.loc["se"]
    assert gate["kind"] == "channel"
    assert (gate["channels"], gate["positions"]) == (5, 1)
    assert (gate["low"], gate["high"]) == pytest.approx((low, high), abs=1e-6)
    assert gate["weights"] == 5 * 3 + 3 + 3 * 5 + 5


NOT_GATES = {
    "swish": layers.Activation("swish"),
    "gelu": layers.Activation("gelu"),
    "hard_swish": layers.Activation("hard_swish"),
    "batch_norm": layers.BatchNormalization(),
    "relu6_features": layers.ReLU(6.0),
    "scale": layers.Rescaling(0.5),
}


@pytest.mark.parametrize("name", NOT_GATES)
def test_activations_and_scales_are_no_gates(name: str) -> None:
    assert kv.attention.gates(around(NOT_GATES[name])).empty


def test_a_product_of_two_features_has_no_gate() -> None:
    """ReLU6 goes up to 6: what it makes larger it does not only let pass."""
    image = keras.Input((6, 8, 3))
    parts = [layers.ReLU(6.0)(layers.Conv2D(4, 1)(image)), layers.Conv2D(4, 1)(image)]
    model = keras.Model(image, layers.Flatten()(layers.Multiply()(parts)))
    assert kv.attention.gates(model).empty


def test_features_between_0_and_1_are_not_taken_for_their_gate() -> None:
    """Both factors are bounded; only one has all paths from its weights lead through it."""
    image = keras.Input((6, 8, 3))
    x = layers.Conv2D(5, 3, activation="sigmoid", name="features")(image)
    x = Squeeze(5, name="se")(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    found = kv.attention.gates(model)
    assert list(found.index) == ["se"]
    assert "features" not in found.loc["se", "variables"]


def test_two_gates_in_one_call_are_told_apart() -> None:
    found = kv.attention.gates(around(Attend(5, name="attend")))
    assert list(found.index) == ["attend", "attend:2"]
    assert list(found["kind"]) == ["channel", "position"]
    assert list(found["positions"]) == [1, 48]
    assert [text.count("look") for text in found["variables"]] == [0, 2]


def test_gated_linear_unit_has_a_gate_of_both_kinds() -> None:
    image = keras.Input((6, 8, 3))
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(image)
    x = layers.Multiply(name="glu")([layers.Conv2D(4, 1, name="value")(image), gate])
    found = kv.attention.gates(keras.Model(image, layers.Flatten()(x)))
    assert found.loc["glu", ["source", "kind", "channels", "positions"]].tolist() == [
        "gate",
        "both",
        4,
        48,
    ]


def test_a_softmax_over_branches_is_a_gate_of_each() -> None:
    """As in selective kernels: neither part alone is what all paths lead through."""
    image = keras.Input((6, 8, 3))
    parts = [layers.Conv2D(4, size, padding="same")(image) for size in (1, 3)]
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(layers.Add()(parts))
    scores = layers.Reshape((1, 1, 2, 4))(layers.Dense(8, name="scores")(pooled))
    shares = layers.Softmax(axis=3)(scores)
    gated = [part * shares[:, :, :, place] for place, part in enumerate(parts)]
    found = kv.attention.gates(keras.Model(image, layers.Flatten()(layers.Add()(gated))))
    assert list(found["kind"]) == ["channel", "channel"]
    assert list(found["weights"]) == [4 * 8 + 8] * 2


def test_a_gate_used_twice_is_one_gate_and_a_layer_called_twice_has_two() -> None:
    image = keras.Input((6, 8, 3))
    x = layers.Conv2D(3, 1, name="conv")(image)
    gate = layers.Dense(3, "sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    twice = layers.Add()(
        [layers.Multiply(name="a")([x, gate]), layers.Multiply(name="b")([image, gate])]
    )
    shared = Squeeze(3, name="se")
    y = shared(shared(twice))
    found = kv.attention.gates(keras.Model(image, layers.Flatten()(y)))
    assert list(found.index) == ["a", "se", "se@2"]
    assert found.loc["se", "variables"] == found.loc["se@2", "variables"]


def _nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 8, 5)), Squeeze(5, name="se")], name="inner")
    return around(keras.Sequential([inner], name="outer"))


def _subclassed() -> keras.Model:
    model = Lasting(Squeeze(5, name="se"))
    model(images())
    return strong(model)


KINDS = {
    "functional": (lambda: around(Squeeze(5, name="se")), "se"),
    "nested": (_nested, "outer/inner/se"),
    "subclassed": (_subclassed, "se"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_equal_numpy_over_any_batches(kind: str, tmp_path: Path) -> None:
    make, address = KINDS[kind]
    model, inputs = make(), images(7)
    squeeze = next(x for x in model._flatten_layers() if isinstance(x, Squeeze))
    conv = next(x for x in model._flatten_layers() if x.name == "conv")
    features = np.asarray(conv(inputs))
    hidden = np.maximum(
        features.mean((1, 2)) @ _numpy(squeeze.reduce, 0) + _numpy(squeeze.reduce, 1), 0
    )
    gate = 1 / (1 + np.exp(-(hidden @ _numpy(squeeze.expand, 0) + _numpy(squeeze.expand, 1))))
    before = [np.asarray(v) for v in model.variables]
    found = kv.attention.statistics(model, inputs, batch_size=3, verbose=0)
    row = found.table.loc[address]
    assert found.count == 7
    np.testing.assert_allclose(found.means[address][0, 0], gate.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.spreads[address][0, 0], gate.std(0), atol=1e-6)
    np.testing.assert_allclose(found.closed[address][0, 0], (gate <= 0.1).mean(0), atol=1e-7)
    assert row["mean"] == pytest.approx(gate.mean(), abs=1e-6)
    assert row["std"] == pytest.approx(gate.std(), abs=1e-6)
    assert row["between_inputs"] == pytest.approx(np.sqrt(gate.var(0).mean()), abs=1e-6)
    assert row["between_channels"] == pytest.approx(gate.mean(0).std(), abs=1e-6)
    assert np.isnan(row["between_positions"])
    assert row["open"] == pytest.approx((gate >= 0.9).mean(), abs=1e-7)
    again = kv.attention.GateStatistics.load(found.save(tmp_path / "gates.npz"))
    np.testing.assert_array_equal(again.per_channel(address), found.per_channel(address))
    assert again.table.loc[address].equals(row)
    values = kv.attention.gate_values(model, inputs, batch_size=2)[address]
    np.testing.assert_allclose(values[:, 0, 0], gate, atol=1e-6)
    table = found.per_channel(address)
    np.testing.assert_allclose(table["mean"], gate.mean(0), atol=1e-6)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))


def _numpy(layer: Any, index: int) -> np.ndarray:
    return np.asarray(layer.get_weights()[index])


def test_positions_and_their_means() -> None:
    model, inputs = around(Attend(5, name="attend")), images(5)
    found = kv.attention.statistics(model, inputs, verbose=0, batch_size=2)
    values = kv.attention.gate_values(model, inputs)
    look = values["attend:2"]
    assert look.shape == (5, 6, 8, 1)
    np.testing.assert_allclose(found.per_position("attend:2"), look.mean((0, 3)), atol=1e-6)
    row = found.table.loc["attend:2"]
    assert row["between_positions"] == pytest.approx(look.mean((0, 3)).std(), abs=1e-6)
    assert row["between_inputs"] == pytest.approx(np.sqrt(look.var(0).mean()), abs=1e-6)
    assert found.plot(title="Gates").texts[0].get_text() == "Gates"


def test_closed_is_measured_within_the_reach_of_the_gate() -> None:
    """A sigmoid of a sigmoid cannot go below 0.5: its lowest tenth is what counts as closed."""
    squash, low, high = SQUASHES["sigmoid_twice"]
    model, inputs = around(Squeeze(5, squash, name="se")), images(9) * 8
    values = kv.attention.gate_values(model, inputs)["se"]
    found = kv.attention.statistics(model, inputs, verbose=0).table.loc["se"]
    limit = low + 0.1 * (high - low)
    assert 0 < (values <= limit).mean() < 1
    assert found["closed"] == pytest.approx((values <= limit).mean(), abs=1e-7)


def test_channels_first_half_precision_sequences_volumes_and_saved_models(tmp_path: Path) -> None:
    first = keras.Input((5, 6, 8))
    pooled = layers.GlobalAveragePooling2D("channels_first", keepdims=True)(first)
    gate = layers.Conv2D(5, 1, activation="sigmoid", data_format="channels_first", name="gate")
    x = layers.Multiply(name="excite")([first, gate(pooled)])
    found = kv.attention.gates(keras.Model(first, layers.Flatten()(x)))
    assert found.loc["excite", ["kind", "channels", "positions"]].tolist() == ["channel", 5, 1]

    half = keras.Sequential([keras.Input((6, 8, 5)), Squeeze(5, name="se", dtype="mixed_float16")])
    found = kv.attention.statistics(half, np.ones((2, 6, 8, 5), "float32"), verbose=0)
    assert found.means["se"].dtype == np.float64

    for shape in ((9, 4), (3, 4, 5, 4)):
        model = keras.Sequential([keras.Input(shape), Squeeze(4, name="se")])
        assert kv.attention.gates(model).loc["se", "kind"] == "channel"

    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=3)
    model.save(tmp_path / "model.keras")
    table = kv.attention.gates(keras.models.load_model(tmp_path / "model.keras"))
    pd_equal = table.drop(columns="source").equals(kv.attention.gates(model).drop(columns="source"))
    assert len(table) == 9
    assert pd_equal
    assert set(table["kind"]) == {"channel"}


@pytest.mark.parametrize("name", ["functional", "subclassed", "attention"])
def test_models_without_gates_say_so(name: str) -> None:
    case = build(name)
    with pytest.raises(MethodError, match="has none"):
        kv.attention.statistics(case.model, case.inputs, verbose=0)


def test_refusals() -> None:
    model = around(Squeeze(5, name="se"))
    with pytest.raises(AddressError, match=r"'se'.*kv\.attention\.gates"):
        kv.attention.statistics(model, images(), gates=["sé"], verbose=0)
    with pytest.raises(InputError):
        kv.attention.statistics(model, images()[:0], verbose=0)
    with pytest.raises(InputError):
        kv.attention.statistics(model, images()[..., :2], verbose=0)
    spoilt = around(Squeeze(5, name="se"))
    spoilt.get_layer("se").expand.kernel.assign(np.full((3, 5), np.nan))
    with pytest.raises(MethodError, match="NaN"):
        kv.attention.statistics(spoilt, images(), verbose=0)
    with pytest.raises(AddressError):
        kv.attention.statistics(model, images(), verbose=0).per_channel("other")

    open_size = keras.Sequential([keras.Input((None, None, 5)), Attend(5, name="attend")])
    batches = [np.ones((2, 6, 6, 5), "float32"), np.ones((2, 5, 5, 5), "float32")]
    with pytest.raises(InputError, match="one size"):
        kv.attention.statistics(open_size, ((batch,) for batch in batches), verbose=0)


def test_nothing_is_traced_anew_from_batch_to_batch() -> None:
    from kerasviz.attention.gate_reading import GateCollector

    collector = GateCollector(around(Squeeze(5, name="se")), None)
    collector.go_through(images(11), 4, 0)
    collector.go_through(images(3), 2, 0)
    assert collector.num_traces == 1


def test_weights_of_gates_are_groups_of_the_summary() -> None:
    table = kv.attention.summarize(around(Attend(5, name="attend")))
    assert [*table.index] == [
        ("squeeze-excitation", "kernel"),
        ("squeeze-excitation", "bias"),
        ("position gates", "kernel"),
        ("position gates", "bias"),
    ]
    assert [*table["count"]] == [25, 5, 18, 1]
    assert [*table["depth"]] == [1, 1, 1, 1]


GLUS: dict[str, tuple[tuple[int, ...], Any, Any, int]] = {
    "dense": ((5, 6), lambda: layers.Dense(8), keras.activations.glu, 6 * 4 + 4),
    "sliced": (
        (6,),
        lambda: layers.Dense(8),
        lambda x: ops.sigmoid(x[..., :4]) * x[..., 4:],
        6 * 4 + 4,
    ),
    "interleaved": (
        (5, 6),
        lambda: layers.Dense(8, use_bias=False),
        lambda x: x[..., ::2] * ops.sigmoid(x[..., 1::2]),
        6 * 4,
    ),
    "convolution": (
        (9, 6),
        lambda: layers.Conv1D(8, 3),
        lambda x: ops.split(x, 2, axis=-1)[0] * ops.sigmoid(ops.split(x, 2, axis=-1)[1]),
        3 * 6 * 4 + 4,
    ),
    "einsum": (
        (5, 6),
        lambda: layers.EinsumDense("btc,cd->btd", (5, 8), bias_axes="d"),
        keras.activations.glu,
        6 * 4 + 4,
    ),
    "half_precision": (
        (4, 4, 6),
        lambda: layers.Conv2D(8, 1, dtype="mixed_float16"),
        keras.activations.glu,
        6 * 4 + 4,
    ),
}


@pytest.mark.parametrize("name", GLUS)
def test_the_half_of_a_layer_is_a_gate_of_the_other_half(name: str) -> None:
    shape, layer, unit, weights = GLUS[name]
    x = keras.Input(shape)
    before = layer()
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(unit(before(x)))))
    found = kv.attention.gates(model)
    assert list(found["weights"]) == [weights]
    parts = {"interleaved": "[..., 1:8:2]", "sliced": "[..., 0:4]"}
    assert (
        found["variables"]
        .iloc[0]
        .startswith(f"{before.name}/kernel{parts.get(name, '[..., 4:8]')}")
    )
    rows = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    values = ops.convert_to_numpy(ops.cast(before(rows), "float32"))
    half = {"interleaved": values[..., 1::2], "sliced": values[..., :4]}.get(name, values[..., 4:])
    (gate,) = kv.attention.gate_values(model, rows).values()
    expected = 1 / (1 + np.exp(-half))
    np.testing.assert_allclose(gate.reshape(expected.shape), expected, atol=2e-3)


def _overlapping(x: Any) -> Any:
    x = layers.Dense(8)(x)
    return x[..., :5] * ops.sigmoid(x[..., 3:])


def _of_positions(x: Any) -> Any:
    x = layers.Dense(8)(x)
    return x[:, :2] * ops.sigmoid(x[:, 2:])


def _also_whole(x: Any) -> Any:
    x = layers.Dense(8)(x)
    return layers.Concatenate()([x, keras.activations.glu(x)])


def _without_weights(x: Any) -> Any:
    return keras.activations.glu(x)


@pytest.mark.parametrize("inner", [_overlapping, _of_positions, _also_whole, _without_weights])
def test_halves_that_are_not_apart_are_no_gates(inner: Any) -> None:
    x = keras.Input((4, 6))
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(inner(x))))
    assert kv.attention.gates(model).empty


def test_a_choice_of_experts_is_a_gate() -> None:
    x = keras.Input((6,))
    experts = ops.stack([layers.Dense(3)(x) for _ in range(4)], axis=1)
    best, places = ops.top_k(layers.Dense(4, name="router")(x), 2)
    chosen = ops.take_along_axis(experts, places[..., None], axis=1)
    mixed = ops.sum(chosen * ops.softmax(best)[..., None], axis=1)
    found = kv.attention.gates(keras.Model(x, layers.Dense(2)(mixed)))
    assert list(found["variables"]) == ["router/kernel, router/bias"]


BOUNDED: dict[str, Any] = {
    "softsign": lambda x: 0.5 * (1.0 + ops.softsign(x)),
    "log_sigmoid": lambda x: ops.exp(ops.log_sigmoid(x)),
    "log_softmax": lambda x: ops.exp(ops.log_softmax(x)),
    "power": lambda x: ops.sigmoid(x) ** 2.5,
    "inverse_root": lambda x: ops.rsqrt(1.0 + ops.square(x)),
    "cosine": lambda x: 0.5 * (1.0 + ops.cos(x)),
    "padded": lambda x: ops.pad(ops.sigmoid(x)[..., 1:], [[0, 0]] * 3 + [[0, 1]], "symmetric"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_of_further_functions(name: str) -> None:
    model = around(lambda x: Squeeze(x.shape[-1], BOUNDED[name])(x))
    found = kv.attention.gates(model)
    assert found[["low", "high"]].to_numpy().tolist() == [[0.0, 1.0]]


class _Folding(layers.Layer):
    """Gates each frame of a film by itself, the frames in the batch axis."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.inner = Squeeze(3, name="inner")

    def call(self, films: Any) -> Any:
        size = ops.shape(films)
        frames = ops.reshape(films, (-1, *size[2:]))
        return ops.reshape(self.inner(frames), (-1, *size[1:]))


@pytest.mark.parametrize("reading", [kv.attention.gate_values, kv.attention.statistics])
def test_gates_of_frames_in_the_batch_axis_are_refused(reading: Any) -> None:
    film = keras.Input((2, 4, 4, 3))
    folded = _Folding(name="folded")(film)
    pooled = layers.Dense(3, "sigmoid")(layers.GlobalAveragePooling3D(keepdims=True)(folded))
    model = keras.Model(film, layers.Flatten()(layers.Multiply(name="whole")([folded, pooled])))
    films = np.random.default_rng(0).uniform(size=(3, 2, 4, 4, 3))
    with pytest.raises(MethodError, match=r"'folded/inner'. Received: 6 for 3 samples"):
        reading(model, films, verbose=0)
    reading(model, films, gates="whole", verbose=0)


def test_what_a_model_computes_itself_bears_its_name() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.features, self.gate = layers.Dense(3), layers.Dense(3, name="gate")

        def call(self, x: Any) -> Any:
            return self.features(x) * ops.sigmoid(self.gate(x))

    model = Own()
    rows = np.ones((2, 4), "float32")
    model(rows)
    found = kv.attention.gates(model, rows)
    assert list(found.index) == list(found["source"]) == ["own"]
    assert set(kv.attention.gate_values(model, rows, gates=["own"])) == {"own"}
    declared = keras.Sequential([keras.Input((4,)), model])
    assert kv.attention.gates(declared).index.tolist() == ["own"]


def test_steps_of_time_distributed_are_found_where_their_number_is_known() -> None:
    inner = around(lambda x: Squeeze(x.shape[-1], name="se")(x))
    for steps, count in ((2, 2), (None, 0)):
        films = keras.Input((steps, *inner.input_shape[1:]))
        model = keras.Model(films, layers.TimeDistributed(inner)(films))
        assert len(kv.attention.gates(model)) == count


@pytest.mark.parametrize("gates", [[3], 3, [], [keras.layers.Multiply()]])
def test_gates_that_are_no_addresses(gates: Any) -> None:
    model = around(lambda x: Squeeze(x.shape[-1])(x))
    with pytest.raises(InputError, match="`gates` must be addresses"):
        kv.attention.gate_values(model, images(2), gates=gates)


def test_gates_of_several_sizes_are_refused() -> None:
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1)(image)
    gated = x * layers.Conv2D(1, 1, activation="sigmoid")(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D()(gated))
    batches = [(np.ones((2, size, size, 3)),) for size in (4, 6)]
    with pytest.raises(InputError, match="one size where a gate differs by position"):
        kv.attention.gate_values(model, (batch for batch in batches))
