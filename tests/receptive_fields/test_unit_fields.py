"""Gradient receptive fields of units: closed forms, slow re-derivations, edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from tests.conftest import build
from tests.reference import unit_fields as reference

fields = kv.receptive_fields
RANDOM = np.random.default_rng(0)


def linear_stack(padding: str, size: int | None) -> keras.Model:
    """Two convolutions and a stride, without activations."""
    image = keras.Input((size, size, 2), name="image")
    x = layers.Conv2D(3, 3, padding=padding, use_bias=False, name="first")(image)
    x = layers.Conv2D(4, (2, 3), padding=padding, use_bias=False, name="second")(x)
    model = keras.Model(image, x)
    model.set_weights([RANDOM.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def stack() -> keras.Model:
    return linear_stack("valid", 12)


def test_fields_of_a_linear_stack_are_its_convolved_kernels(stack: keras.Model) -> None:
    found = fields.maps(stack, "second")
    expected = reference.stacked_kernels(stack.get_weights())
    assert (found.size, found.start, found.is_cut) == ((4, 5), (4, 4), False)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.peaks, np.abs(expected).max(axis=(1, 2, 3)), rtol=1e-4)
    assert found.strength.max() == 1.0
    assert found.diagnosis == ("",) * 4


def test_padding_kept_and_dropped_agree_where_the_border_is_out_of_sight(
    stack: keras.Model,
) -> None:
    kept = linear_stack("same", 12)
    kept.set_weights(stack.get_weights())
    one = fields.maps(stack, "second")
    np.testing.assert_allclose(fields.maps(kept, "second").maps, one.maps, atol=1e-5)
    any_size = linear_stack("same", None)
    any_size.set_weights(stack.get_weights())
    found = fields.maps(any_size, "second")
    np.testing.assert_allclose(found.maps, one.maps, atol=1e-5)
    assert found.input_size == (32, 32)
    assert fields.maps(any_size, "second", size=4).is_cut
    assert fields.maps(any_size, "second", size=(4, 6)).input_size == (4, 6)
    part = keras.Sequential([keras.Input((None, 7, 2)), layers.Conv2D(1, 3, name="conv")])
    for size in (5, (5,), (5, 7)):
        assert fields.maps(part, "conv", size=size).input_size == (5, 7)
    with pytest.raises(InputError, match="one for each axis that"):
        fields.maps(part, "conv", size=(5, 8))


def trunk_of(model: keras.Model, layer: str) -> keras.Model:
    return keras.Model(model.inputs, model.get_layer(layer).output)


@pytest.mark.parametrize(("name", "samples"), [("functional", None), ("channels_first", 2)])
def test_maps_are_the_gradients_one_unit_at_a_time(name: str, samples: int | None) -> None:
    case = build(name)
    trunk = trunk_of(case.model, case.layer)
    shape = case.model.input_shape[1:]
    method = fields.GradientReceptiveField(case.model, case.layer, batch_size=4)
    found = method(fill=0.3, samples=samples, seed=5)
    inputs = [np.full((1, *shape), 0.3, "float32")]
    if samples is not None:
        inputs = [reference.noise(shape, 5, number) for number in range(samples)]
    expected = np.mean(
        [reference.unit_gradients(trunk, x, case.channel_axis) for x in inputs], axis=0
    )
    assert expected.any()
    box = tuple(slice(a, a + n) for a, n in zip(found.start, found.size, strict=True))
    inside = expected[(slice(None), *box)]
    assert np.count_nonzero(inside) == np.count_nonzero(expected)
    np.testing.assert_allclose(found.maps, inside, atol=1e-5)
    part = method(fill=0.3, samples=samples, seed=5, units=[3, 1])
    np.testing.assert_allclose(part.maps, found.maps[[3, 1]], atol=1e-6)
    assert part.units.tolist() == [3, 1]


def test_fields_leave_the_model_as_it_was() -> None:
    for name in ("subclassed_nested", "uint8_input"):
        case = build(name)
        before = [w.copy() for w in case.model.get_weights()]
        found = fields.maps(case.model, case.layer, samples=2, units=[0, 1])
        assert len(found) == 2
        assert found.peaks.any(), name
        for one, other in zip(before, case.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_half_precision_keeps_small_gradients() -> None:
    def small(policy: str) -> keras.Model:
        image = keras.Input((9, 9, 1))
        x = image
        for place in range(2):
            x = layers.Conv2D(2, 3, use_bias=False, dtype=policy, name=f"c{place}")(x)
        model = keras.Model(image, x)
        values = np.random.default_rng(1)
        model.set_weights([2e-4 * values.uniform(0.5, 1, w.shape) for w in model.get_weights()])
        return model

    half, full = (fields.maps(small(p), "c1").maps for p in ("mixed_float16", "float32"))
    assert (full > 0).all()
    np.testing.assert_allclose(half, full, rtol=0.02)


def test_dense_layers_see_everything() -> None:
    model = keras.Sequential(
        [keras.Input((4, 3, 2)), layers.Flatten(), layers.Dense(5, name="dense")]
    )
    found = fields.maps(model, "dense")
    expected = model.get_weights()[0].T.reshape(5, 4, 3, 2)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-5)
    assert found.is_cut
    table = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="dense")])
    np.testing.assert_allclose(fields.maps(table, "dense").maps, table.get_weights()[0].T)


@pytest.fixture(scope="module")
def half_dead() -> keras.Model:
    """Unit 0 is shut where the input is above 0.2; unit 1 counts on a dead unit only."""
    image = keras.Input((5, 5, 1), name="image")
    x = layers.Conv2D(2, 1, activation="relu", name="relu")(image)
    model = keras.Model(image, layers.Conv2D(2, 1, name="after")(x))
    weights = [np.array([[[[-1.0, 1.0]]]]), np.array([0.2, 0.0]), np.eye(2)[None, None]]
    model.set_weights([*weights, np.array([0.7, 0.0])])
    return model


def test_an_empty_map_comes_with_its_cause(half_dead: keras.Model) -> None:
    method = fields.GradientReceptiveField(half_dead, "relu")
    shut = method(fill=0.5)
    assert "ReLU that is shut" in shut.diagnosis[0]
    assert "samples=64" in shut.diagnosis[0]
    assert shut.diagnosis[1] == ""
    assert shut.strength.tolist() == [0.0, 1.0]
    assert method(fill=0.0).diagnosis[0] == ""
    assert not any(method(samples=16).diagnosis)
    after = fields.maps(half_dead, "after", fill=0.5)
    assert "the same whatever" in after.diagnosis[0]


def test_many_calls_trace_once(stack: keras.Model) -> None:
    method = fields.GradientReceptiveField(stack, "second", batch_size=3)
    method()
    traces = method._reader.num_traces
    method(fill=0.0)
    method(samples=5)
    method(units=[1])
    assert method._reader.num_traces == traces


def test_what_hides_a_gradient_does_not_hide_the_field() -> None:
    """A row of weights that is zero, ReLUs that are shut, and pooling that lets others pass."""
    image = keras.Input((16, 15, 1))
    x = layers.Conv2D(2, 3, activation="relu", name="conv")(image)
    model = keras.Model(image, layers.MaxPooling2D(2, name="pool")(x))
    kernel = np.ones((3, 3, 1, 2))
    kernel[0] = 0.0
    model.set_weights([kernel, np.array([0.0, -100.0])])
    found = fields.maps(model, "pool")
    box = fields.ReceptiveFields.measure(model).field("pool", (3, 3))
    assert box == (slice(6, 10), slice(6, 10))
    assert (found.start, found.size) == ((6, 6), (4, 4))
    assert found.parameters["reach"] == "theoretical"
    assert np.count_nonzero(found.maps[0]) == 6
    assert not found.maps[1].any()


class Fourier(layers.Layer):
    """Goes to waves and back, by operations that are not followed."""

    def call(self, inputs: Any) -> Any:
        return inputs + 0 * keras.ops.real(keras.ops.ifft2((inputs, inputs))[0])


def test_what_the_theory_does_not_know_is_measured() -> None:
    image = keras.Input((9, 9, 1))
    x = Fourier()(layers.Conv2D(1, (2, 3), use_bias=False, name="conv")(image))
    model = keras.Model(image, layers.Identity(name="after")(x))
    found, known = fields.maps(model, "after"), fields.maps(model, "conv")
    assert found.parameters["reach"].startswith("measured: the operation")
    assert (found.start, found.size) == (known.start, known.size) == ((4, 3), (2, 3))
    np.testing.assert_allclose(found.maps, known.maps, atol=1e-6)


def test_batches_that_are_no_batches() -> None:
    image = keras.Input((6, 6, 1), batch_size=2)
    x = layers.Conv2D(2, 3, name="conv")(image)
    free = keras.Model(image, x)
    assert fields.maps(free, "conv").size == (3, 3)
    fixed = keras.Model(image, layers.Dense(2, name="dense")(keras.ops.reshape(x, (2, 16, 2))))
    with pytest.raises(MethodError, match="runs on 2 samples only"):
        fields.maps(fixed, "dense")
    assert fields.theoretical(fixed).loc["conv", "size_height"] == 3
    video = keras.Input((3, 5, 5, 1))
    folding = keras.Model(video, Folding(name="fold")(video))
    assert fields.theoretical(folding).loc["fold/conv", "units_depth"] == 3
    with pytest.raises(MethodError, match="keeps samples apart"):
        fields.maps(folding, "fold/conv")


class Folding(layers.Layer):
    """Steps of a film as samples."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(2, 3, name="conv")

    def build(self, shape: Any) -> None:
        self.conv.build((None, *shape[2:]))

    def call(self, inputs: Any) -> Any:
        x = self.conv(keras.ops.reshape(inputs, (-1, *inputs.shape[2:])))
        return keras.ops.reshape(x, (-1, inputs.shape[1], *x.shape[1:]))


def test_what_does_not_fit_is_refused(stack: keras.Model) -> None:
    method = fields.GradientReceptiveField(stack, "second")
    settings: list[dict[str, Any]] = [
        {"fill": float("nan")},
        {"fill": "grey"},
        {"samples": 0},
        {"seed": -1},
        {"units": [4]},
        {"units": []},
        {"units": [0.5]},
    ]
    for setting in settings:
        with pytest.raises(InputError, match=f"`{next(iter(setting))}` must"):
            method(**setting)
    with pytest.raises(InputError, match="`input` must be one of"):
        fields.maps(stack, "second", input="sound")
    with pytest.raises(AddressError, match="Closest"):
        fields.maps(stack, "secnd")
    words = build("embedding")
    with pytest.raises(MethodError, match="ids"):
        fields.maps(words.model, words.layer)
    broken = linear_stack("valid", 12)
    broken.set_weights([w * np.nan for w in broken.get_weights()])
    with pytest.raises(MethodError, match="finite"):
        fields.maps(broken, "second")


def test_one_of_several_inputs() -> None:
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right")
    first = layers.Conv2D(1, 3, use_bias=False, name="a")(left)
    second = layers.Conv2D(1, 1, use_bias=False, name="b")(right)[:, 1:-1, 1:-1]
    model = keras.Model([left, right], layers.Add(name="add")([first, second]))
    assert fields.maps(model, "add").input_name == "left"
    for choice in ("right", 1):
        found = fields.maps(model, "add", input=choice)
        assert (found.input_name, found.size) == ("right", (1, 1))
        np.testing.assert_allclose(
            found.maps.ravel(), model.get_layer("b").get_weights()[0].ravel()
        )
    with pytest.raises(MethodError, match="does not depend"):
        fields.maps(model, "a", input="right")


def test_a_field_is_saved_and_loaded(stack: keras.Model, tmp_path: Path) -> None:
    found = fields.maps(stack, "second", fill=0.0)
    again = kv.receptive_fields.UnitFields.load(found.save(tmp_path / "new" / "fields.npz"))
    for name in ("maps", "units", "peaks", "errors"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    for name in ("start", "input_size", "diagnosis", "parameters", "provenance", "layer"):
        assert getattr(again, name) == getattr(found, name)
    with pytest.raises(InputError, match="EffectiveField"):
        kv.receptive_fields.EffectiveField.load(tmp_path / "new" / "fields.npz")
    with pytest.raises(InputError, match="must be a file"):
        kv.receptive_fields.UnitFields.load(tmp_path / "missing.npz")
