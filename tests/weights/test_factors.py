"""One-sided factors: planted ones are found, and every kind of layer is read rightly."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.probe.spatial_kernels import spatial_kernel
from kerasviz.weights.one_sided import alike_first, one_sided

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")


def planted(side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernels (3, 3, 9, 4) of three maps times three directions, which no other ones give."""
    generator = np.random.default_rng(3)
    maps = generator.random((4, 3, 3, 3)).astype("float32")
    directions = np.zeros((3, 9), "float32")
    for factor in range(3):
        directions[factor, 3 * factor : 3 * factor + 3] = generator.random(3) + 0.5
        maps[factor, 1, 1] = np.eye(3)[factor]
    if side == "input":
        directions[:, ::2] *= -1
    else:
        maps *= generator.choice([-1.0, 1.0], maps.shape)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.moveaxis(maps @ directions, 0, -1), maps, directions


@pytest.mark.parametrize("side", ["input", "output"])
def test_known_factors_are_given_back(side: str) -> None:
    values, maps, directions = planted(side)
    found_maps, found = one_sided(values, 3, side, seed=0)
    cosines = found @ directions.T
    order = cosines.argmax(axis=0)
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(cosines[order, range(3)], 1.0, atol=2e-3)
    np.testing.assert_allclose(found_maps[..., order], maps, atol=0.03)
    if side == "input":
        assert found_maps.min() >= 0 > found.min()
    else:
        assert found.min() >= 0 > found_maps.min()


def convolution(filters: int = 6, **settings: Any) -> tuple[layers.Layer, tuple[int, ...]]:
    return layers.Conv2D(filters, (3, 2), **settings), (3, 2, 4)


KINDS: dict[str, Any] = {
    "convolution": lambda: convolution(),
    "grouped": lambda: convolution(groups=2),
    "depthwise by groups": lambda: convolution(8, groups=4),
    "one dimension": lambda: (layers.Conv1D(5, 3), (3, 4)),
    "three dimensions": lambda: (layers.Conv3D(5, (2, 3, 2)), (2, 3, 2, 4)),
    "depthwise": lambda: (layers.DepthwiseConv2D(3, depth_multiplier=2), (3, 3, 4)),
    "depthwise, one dimension": lambda: (layers.DepthwiseConv1D(3), (3, 4)),
    "separable": lambda: (layers.SeparableConv2D(5, 3, depth_multiplier=2), (3, 3, 4)),
    "separable, one dimension": lambda: (layers.SeparableConv1D(5, 3), (3, 4)),
    "transposed": lambda: (layers.Conv2DTranspose(5, (3, 2)), (1, 1, 4)),
    "half precision": lambda: convolution(dtype="mixed_bfloat16"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kernels_of_every_kind_compute_what_the_layer_does(name: str) -> None:
    layer, shape = KINDS[name]()
    model = keras.Sequential([keras.Input(shape), layer])
    kernel = spatial_kernel(model, layer.name)
    values = kernel.values.astype("float64")
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    given = keras.ops.convert_to_numpy(model(x[None]))[0].astype("float64")
    if kernel.kind == "transposed":
        expected = x[0, 0] @ np.moveaxis(values, -2, -2)
    elif kernel.kind == "depthwise":
        flat = values.reshape(-1, *values.shape[-2:])
        expected = np.einsum("pc,pcm->cm", x.reshape(-1, 4), flat).reshape(-1)
        given = given.reshape(-1)
    else:
        expected = np.tensordot(x, values, axes=x.ndim)
        given = given.reshape(-1)
    np.testing.assert_allclose(given, expected, atol=0.05 if name == "half precision" else 1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_dense_after_flatten_is_unfolded(data_format: str) -> None:
    x = image = keras.Input((4, 5, 3) if data_format == "channels_last" else (3, 4, 5))
    x = layers.Dropout(0.1)(layers.ReLU()(layers.Flatten(data_format=data_format)(x)))
    model = keras.Model(image, layers.Dense(2, use_bias=False, name="head")(x))
    values = spatial_kernel(model, "head").values
    assert values.shape == (4, 5, 3, 2)
    picture = np.random.default_rng(0).random((4, 5, 3)).astype("float32")
    given = picture if data_format == "channels_last" else np.moveaxis(picture, -1, 0)
    expected = np.tensordot(picture, values, axes=3)
    np.testing.assert_allclose(model(given[None])[0], expected, atol=1e-5)


def flat(*names: Any) -> Any:
    known = {
        "conv": layers.Conv2D(2, 2),
        "first": layers.Conv2D(2, 2, data_format="channels_first"),
    }
    pool = layers.MaxPooling2D(1, data_format="channels_first")
    known |= {"pool": pool, "relu": layers.ReLU(), "flatten": layers.Flatten("channels_last")}
    return [known[one] if isinstance(one, str) else layers.Permute(one) for one in names]


@pytest.mark.parametrize(
    ("stack", "axis"),
    [
        (("conv", (3, 1, 2), "relu", "flatten"), 1),
        (("conv", (2, 3, 1), "flatten"), 2),
        (("first", "pool", "flatten"), 1),
        (("first", (2, 3, 1), "flatten"), 3),
    ],
    ids=["to the front", "between", "first all along", "first, then last"],
)
def test_channels_are_found_wherever_they_were_flattened(stack: Any, axis: int) -> None:
    """Also after the permutation with which weights are taken over from another framework."""
    image = keras.Input((5, 7, 3) if stack[0] == "conv" else (3, 5, 7))
    *before, last = flat(*stack)
    x = image
    for layer in before:
        x = layer(x)
    model = keras.Model(image, layers.Dense(2, use_bias=False, name="head")(last(x)))
    values = spatial_kernel(model, "head").values
    sizes = [size for place, size in enumerate(x.shape) if place not in (0, axis)]
    assert values.shape == (*sizes, 2, 2)
    given = np.random.default_rng(0).random((1, *x.shape[1:])).astype("float32")
    expected = np.tensordot(np.moveaxis(given[0], axis - 1, -1), values, axes=3)
    np.testing.assert_allclose(model.get_layer("head")(last(given))[0], expected, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0**-135, 2.0**-100, 2.0**100])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_factors_of_any_unit(picture_model: keras.Model, scale: float) -> None:
    """Squares of these weights are no numbers of float32."""
    other = keras.models.clone_model(picture_model)
    kernel = keras.ops.convert_to_numpy(picture_model.get_layer("second").kernel)
    other.get_layer("second").kernel.assign(kernel.astype("float64") * scale)
    found = kv.weights.factorize(other, "second")
    expected = kv.weights.factorize(picture_model, "second")
    near = 1e-2 if scale == 2.0**-135 else 1e-6
    np.testing.assert_allclose(found.errors, expected.errors, atol=near)
    np.testing.assert_allclose(found.norms / scale, expected.norms.astype("float64"), rtol=near)
    np.testing.assert_allclose(found.maps / scale, expected.maps.astype("float64"), atol=near)
    tables = [kv.weights.banding(one, num_permutations=9) for one in (other, picture_model)]
    one, two = (table.loc["second"] for table in tables)
    assert one["index"] == pytest.approx(two["index"], abs=near)
    assert one["between_rows"] / scale / scale == pytest.approx(two["between_rows"], rel=near)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A trunk inside a model, and a loop."""
    keras.utils.set_random_seed(1)
    inner = keras.Input((8, 8, 3))
    x = layers.Conv2D(9, 3, activation="relu", name="first")(inner)
    trunk = keras.Model(inner, layers.Conv2D(10, 3, name="second")(x), name="trunk")
    clip = keras.Input((2, 8, 8, 3))
    x = layers.TimeDistributed(trunk, name="loop")(clip)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(clip, layers.Dense(4, name="classes")(x))


@pytest.fixture(scope="module")
def picture_model() -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(9, 3, activation="relu", name="first")(image)
    return keras.Model(image, layers.Conv2D(10, 3, name="second")(x))


def test_layers_are_named_in_many_ways(picture_model: keras.Model, model: keras.Model) -> None:
    found = kv.weights.factorize(picture_model, "second")
    for layer in (picture_model.get_layer("second"), 2, "second/kernel"):
        other = kv.weights.factorize(picture_model, layer)
        np.testing.assert_array_equal(other.maps, found.maps)
        assert other.layer == "second"
    assert kv.weights.factorize(model, "loop/trunk/second").maps.shape == (10, 3, 3, 3)


def test_sides_errors_and_order(picture_model: keras.Model) -> None:
    weights = picture_model.get_layer("second").get_weights()[0]
    for neurons, side in ((None, "input"), (7, "input"), ([7, 2, 4], "output")):
        found = kv.weights.factorize(picture_model, "second", 2, neurons)
        assert found.side == side
        rows = np.moveaxis(weights, -1, 0)[found.neurons]
        rest = np.square(rows - found.maps @ found.directions)
        errors = rest.sum(axis=(1, 2, 3)) / np.square(rows).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(found.errors, errors, rtol=1e-4)
        assert found.error == pytest.approx(rest.sum() / np.square(rows).sum(), rel=1e-4)
        np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, rtol=1e-5)
        assert sorted(found.order) == [*range(len(rows))]
    shapes = np.random.default_rng(0).random((2, 3, 3, 2))
    maps = shapes[[0, 1, 0, 1, 0]] * np.array([1, 5, 0.1, 2, 3])[:, None, None, None]
    order = alike_first(np.concatenate([maps, np.zeros((1, 3, 3, 2))]))
    assert order[-1] == 5
    assert len([*itertools.groupby(order[:-1] % 2)]) == 2


def test_more_factors_explain_more(picture_model: keras.Model) -> None:
    errors = [kv.weights.factorize(picture_model, "second", k).error for k in (1, 3, 18)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02
    assert kv.weights.factorize(picture_model, "first").pictures.shape == (9, 3, 3, 3)
    assert not kv.weights.factorize(picture_model, "second").pictures.size


def test_saved_drawn_and_visualized(picture_model: keras.Model, tmp_path: Any) -> None:
    found = kv.weights.factorize(picture_model, "second", 4, seed=5)
    again = kv.weights.WeightFactors.load(found.save(tmp_path / "factors.npz"))
    for name in ("maps", "directions", "order", "errors", "norms", "pictures"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert (again.error, again.parameters) == (found.error, {"num_factors": 4, "seed": 5})
    assert again.provenance == found.provenance
    objective = found.objective("first", 1)
    drawn = kv.ActivationMaximization(picture_model, objective)(steps=1, verbose=0)
    assert np.shape(drawn) == (1, 8, 8, 3)
    assert np.isfinite(drawn).all()
    every = kv.ActivationMaximization(picture_model, found.objective("first", cosine_power=1))
    assert len(every(steps=1, verbose=0)) == 4


def words(figure: Any) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def test_pictures(picture_model: keras.Model) -> None:
    assert "error" not in words(kv.weights.factorize(picture_model, "first").plot())
    found = kv.weights.factorize(picture_model, "second")
    figure = found.plot(max_neurons=8)
    assert f"second: 3 factors, error {found.error:.0%} (8 of 10 neurons" in words(figure)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    largest = np.argsort(-found.norms)[:8]
    first = next(place for place in found.order if place in largest)
    np.testing.assert_allclose(shown[0], found.maps[first] / found.maps[first].max(), atol=1e-6)
    group = kv.weights.factorize(picture_model, "second", 2, neurons=[1, 5])
    assert len([axes for axes in group.plot().axes if axes.images]) == 2 * 2 + 1
    for kind in ("one dimension", "three dimensions", "depthwise"):
        layer, shape = KINDS[kind]()
        alone = keras.Sequential([keras.Input(shape), layer])
        assert "factors" in words(kv.weights.factorize(alone, layer.name).plot())


def test_a_neuron_without_weights_has_no_error() -> None:
    model = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(2, 3, name="conv")])
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)
    model.get_layer("conv").kernel.assign(kernel * [1.0, 0.0])
    figure = kv.weights.factorize(model, "conv", 1).plot()
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("no weights") == 1
    assert not [text for text in texts if "nan" in text]


def test_refusals(picture_model: keras.Model, model: keras.Model) -> None:
    factorize = kv.weights.factorize
    with pytest.raises(kv.errors.AddressError, match="Closest: 'second'"):
        factorize(picture_model, "seconds")
    with pytest.raises(kv.errors.MethodError, match="dense layer without positions"):
        factorize(model, "classes")
    with pytest.raises(kv.errors.MethodError, match="holds 2 such layers"):
        factorize(model, "loop")
    with pytest.raises(kv.errors.InputError, match="at most 18, for 10 neurons"):
        factorize(picture_model, "second", 19)
    for neurons in ([1, 1], [10], [-1], [], [0.5], "a"):
        with pytest.raises(kv.errors.InputError, match="`neurons` must be different whole"):
            factorize(picture_model, "second", 1, neurons)
    with pytest.raises(kv.errors.InputError, match="`side` must be one of"):
        factorize(picture_model, "second", side="left")
    with pytest.raises(kv.errors.InputError, match="`num_factors` must be a whole number"):
        factorize(picture_model, "second", 0)
    for seed in (-1, None, "x"):
        with pytest.raises(kv.errors.InputError, match="`seed` must be a whole number"):
            factorize(picture_model, "second", seed=seed)  # type: ignore[arg-type]
        with pytest.raises(kv.errors.InputError, match="`seed` must be a whole number"):
            kv.weights.banding(picture_model, seed=seed)  # type: ignore[arg-type]
    broken = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(3, 3, name="conv")])
    kernel = broken.get_layer("conv").kernel
    for value, message in ((0.0, "other than zero"), (np.nan, "Expected finite weights")):
        kernel.assign(np.full(kernel.shape, value))
        with pytest.raises(kv.errors.MethodError, match=message):
            factorize(broken, "conv")
