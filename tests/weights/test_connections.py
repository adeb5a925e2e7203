"""Links between channels: against kernels read by loops, ranked, drawn, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from tests.reference import links as reference

SAME: dict[str, Any] = {"padding": "same"}


def randomized(model: keras.Model, seed: int = 0) -> keras.Model:
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        draw = generator.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(draw) + 0.5 if "variance" in weight.name else draw)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A chain in a model in a model, with a depthwise convolution on the way."""
    inner = keras.Input((12, 12, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="first", **SAME)(inner)
    x = layers.Conv2D(4, 3, name="second", **SAME)(x)
    trunk = keras.Model(inner, layers.ReLU(name="relu")(x), name="trunk")
    image = keras.Input((12, 12, 3), name="photo")
    x = layers.DepthwiseConv2D(3, use_bias=False, name="apart", **SAME)(trunk(image))
    x = layers.Conv2D(6, 1, name="third")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomized(keras.Model(image, layers.Dense(3, name="classes")(x)))


def kernel(model: keras.Model, *path: str) -> np.ndarray:
    for name in path[:-1]:
        model = model.get_layer(name)
    return keras.ops.convert_to_numpy(model.get_layer(path[-1]).kernel)


def agree(found: Any, expected: list[dict[str, Any]], atol: float = 1e-5) -> None:
    assert list(found.table["source"]) == [one["source"] for one in expected]
    assert list(found.table["target"]) == [one["target"] for one in expected]
    for name in ("norm", "sum", "share_positive"):
        np.testing.assert_allclose(found.table[name], [one[name] for one in expected], atol=atol)
    np.testing.assert_allclose(found.maps, [one["map"] for one in expected], atol=atol)


def test_the_strongest_links_of_all(model: keras.Model) -> None:
    before = [array.copy() for array in model.get_weights()]
    found = kv.weights.connections(model, "trunk/first", "trunk/second", strongest=7)
    weights = kernel(model, "trunk", "second")
    agree(found, reference.ranked(weights, 7))
    assert list(found.table.index) == [1, 2, 3, 4, 5, 6, 7]
    assert found.sources == tuple(dict.fromkeys(found.table["source"]))
    assert found.targets == tuple(dict.fromkeys(found.table["target"]))
    grid = weights[:, :, list(found.sources)][..., list(found.targets)]
    np.testing.assert_allclose(found.grid, np.transpose(grid, (3, 2, 0, 1)), atol=1e-5)
    share = np.square(found.maps).sum() / np.square(weights).sum()
    np.testing.assert_allclose(found.share, share, rtol=1e-5)
    assert found.method == "weights"
    assert found.provenance["model"] == model.name
    for array, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, now)


def test_the_strongest_links_into_named_channels(model: keras.Model) -> None:
    found = kv.weights.connections(model, "trunk/relu", "third", 2, targets=[4, 1])
    apart, mixing = kernel(model, "apart"), kernel(model, "third")
    agree(found, reference.ranked(reference.depthwise_then_mixed(apart, mixing), 2, [4, 1]))
    assert sorted(found.table["target"]) == [1, 1, 4, 4]
    some = kv.weights.connections(model, "trunk/relu", "third", 9, sources=[2, 0], targets=[3])
    assert set(some.table["source"]) == {0, 2}


def one_layer(layer: Any, shape: tuple[int, ...], channels: int = 4) -> keras.Model:
    image = keras.Input(shape)
    kind = getattr(layers, f"Conv{len(shape) - 1}D")
    model = keras.Model(image, layer(kind(channels, 1, name="before")(image)))
    return randomized(model, 3)


OTHERS: dict[str, Any] = {
    "strip": lambda: one_layer(layers.Conv1D(3, 5, name="after", **SAME), (16, 2)),
    "volume": lambda: one_layer(layers.Conv3D(2, (2, 3, 3), name="after", **SAME), (6, 6, 6, 1)),
    "grouped": lambda: one_layer(layers.Conv2D(4, 3, groups=2, name="after"), (8, 8, 3)),
    "half precision": lambda: one_layer(
        layers.Conv2D(3, 3, dtype="mixed_float16", name="after"), (8, 8, 3)
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_links_and_pictures_of_other_models(name: str) -> None:
    model = OTHERS[name]()
    weights = kernel(model, "after")
    if name == "grouped":
        wide = np.zeros((3, 3, 4, 4))
        wide[..., :2, :2], wide[..., 2:, 2:] = weights[..., :2], weights[..., 2:]
        weights = wide
    found = kv.weights.connections(model, "before", "after", 50)
    agree(found, reference.ranked(weights, 50), 2e-3 if name == "half precision" else 1e-5)
    where = kv.weights.position_weights(model, "before", "after", 1)
    np.testing.assert_allclose(where.directions, weights[..., 1], atol=2e-3)


@pytest.mark.parametrize("name", ["strip", "volume"])
def test_pictures_of_strips_and_volumes(name: str) -> None:
    model = OTHERS[name]()
    found = kv.weights.connections(model, "before", "after", 50)
    sources, targets, links = len(found.sources), len(found.targets), len(found)
    if name == "strip":
        found = found.visualize(model, steps=1, verbose=0, redirected_steps=0)
    else:
        pictures = np.random.default_rng(0).random((sources + targets, 3, 4, 5, 1))
        found = found.with_pictures(pictures[:sources], pictures[sources:])
    counts = {"links": 4 * links, "rows": 2 * (links + targets)}
    counts["matrix"] = sources * targets + sources + targets
    for layout, count in counts.items():
        assert len(found.plot(layout=layout).axes) == count + 1
    where = kv.weights.position_weights(model, "before", "after", 1)
    pictures = np.random.default_rng(0).random((2, 8, 8, 3))
    drawn = where.with_pictures(where.strongest(2), pictures, pictures)
    assert len(drawn.plot().axes) == 3 * where.norms.size
    assert len(where.plot().axes) == where.norms.size


def test_subclassed_and_examples(model: keras.Model) -> None:
    class Halves(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one = layers.Conv2D(3, 1, name="one")
            self.two = layers.Conv2D(4, 3, name="two")

        def call(self, inputs: Any) -> Any:
            return self.two(keras.ops.relu(self.one(inputs)))

    halves = Halves()
    halves(np.zeros((1, 9, 9, 2), "float32"))
    randomized(halves, 5)
    weights = keras.ops.convert_to_numpy(halves.two.kernel)
    agree(kv.weights.connections(halves, "one", "two", 5), reference.ranked(weights, 5))
    images = np.random.default_rng(0).random((4, 12, 12, 3)).astype("float32")
    found = kv.weights.connections(model, "trunk/first", "third", 3, images)
    expanded = kv.weights.expand(model, "trunk/first", "third", images)
    assert found.method == "examples"
    place = expanded.targets.index(found.table["target"].iloc[0])
    np.testing.assert_allclose(found.table["norm"].iloc[0], expanded.norms[place].max(), rtol=1e-5)
    places = [(row.target, row.source) for row in found.table.itertuples()]
    expected = [expanded.cancellation[place] for place in places]
    np.testing.assert_allclose(found.table["cancellation"], expected, rtol=1e-6)


def test_pictures_at_both_ends(model: keras.Model, tmp_path: Path) -> None:
    found = kv.weights.connections(model, "trunk/first", "third", strongest=3)
    drawn = found.visualize(model, steps=2, size=12, verbose=0, seed=4)
    again = kv.weights.WeightConnections.load(drawn.save(tmp_path / "links.npz"))
    np.testing.assert_array_equal(again.source_pictures, drawn.source_pictures)
    assert again.table.equals(drawn.table)
    names = [f"trunk/first:{n}" for n in found.sources] + [f"third:{n}" for n in found.targets]
    visualizer = kv.ActivationMaximization(model, names, image=kv.images.Fourier(size=12), seed=4)
    visualizer(steps=2, verbose=0)
    together = np.concatenate([drawn.source_pictures, drawn.target_pictures])
    np.testing.assert_allclose(together, visualizer.display(), atol=1e-5)
    assert not len(found.source_pictures)  # the one that was asked stays as it was
    figure = drawn.plot(layout="links", title="$5 and <b>")
    texts = [text.get_text() for text in figure.texts]
    assert "$5 and <b>" in texts
    assert f"channel {found.sources[0]}" in texts
    images = [axes for axes in figure.axes if axes.images]
    assert len(images) == 3 * len(found) + 1
    limits = {axes.images[0].get_clim() for axes in images if axes.images[0].get_array().ndim == 2}
    most = np.abs(found.maps).max()
    assert len(limits) == 2
    np.testing.assert_allclose(sorted(limits), [(-most, most), (-1, 1)], rtol=1e-5)


def test_signs_are_written_for_readers_in_grey(model: keras.Model) -> None:
    found = kv.weights.connections(model, "trunk/first", "trunk/second", strongest=1)
    figure = found.plot()
    axes = next(
        axes for axes in figure.axes if axes.images and axes.images[0].get_array().shape == (3, 3)
    )
    most = np.abs(found.maps).max()
    written = {
        (int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts
    }
    expected = {
        place: "+" if found.maps[0][place] > 0 else "−"
        for place in np.ndindex(3, 3)
        if abs(found.maps[0][place]) >= 0.35 * most
    }
    assert written == expected


def test_positions_are_directions(model: keras.Model) -> None:
    found = kv.weights.position_weights(model, "trunk/first", "trunk/second", 2)
    weights = kernel(model, "trunk", "second")[..., 2]
    np.testing.assert_allclose(found.directions, weights, atol=1e-5)
    norms = np.linalg.norm(weights, axis=-1)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-5)
    best = np.unravel_index(norms.argmax(), norms.shape)
    assert found.strongest(2)[0] == tuple(int(place) for place in best)
    drawn = found.visualize(model, num=3, steps=2, size=12, verbose=0)
    assert drawn.excites.shape == drawn.inhibits.shape == (3, 12, 12, 3)
    assert [tuple(place) for place in drawn.drawn.tolist()] == found.strongest(3)
    place = found.strongest()[0]
    trunk = model.get_layer("trunk")
    first = keras.Model(trunk.inputs, trunk.get_layer("first").output)

    def along(pictures: np.ndarray) -> float:
        return float((first.predict(pictures, verbose=0) @ weights[place]).mean())

    assert along(drawn.excites[:1]) > along(drawn.inhibits[:1])
    image = kv.images.Fourier(size=12)
    for inhibits in (False, True):
        objective = found.objective(*place, inhibits=inhibits, cosine_power=0.0)
        visualizer = kv.ActivationMaximization(model, objective, image=image)
        expected = along(visualizer.pictures()) * (-1 if inhibits else 1)
        np.testing.assert_allclose(visualizer.values(), [expected], rtol=1e-4)


def hand_made(window: tuple[int, ...] = (2, 2)) -> kv.weights.ExpandedWeights:
    return kv.weights.ExpandedWeights(
        maps=np.zeros((2, 3, *window), "float32"),
        positive=np.zeros((2, 3, *window), "float32"),
        negative=np.zeros((2, 3, *window), "float32"),
        sources=(4, 5, 6),
        targets=(1, 0),
        source="a",
        target="b",
        method="weights",
        start=(0,) * len(window),
        source_size=(8,) * len(window),
        middle=(4,) * len(window),
        strides=(1.0,) * len(window),
        is_cut=False,
        diagnosis="",
        parameters={},
        provenance={},
    )


def test_numbers_of_channels_are_those_of_the_layers() -> None:
    from kerasviz.weights.links import of_expanded

    expanded = hand_made()
    expanded.maps[0, 2], expanded.maps[1, 0], expanded.maps[1, 1] = 2, -1, 3
    expanded.positive[...] = np.maximum(expanded.maps, 0) + 0.5
    expanded.negative[...] = np.minimum(expanded.maps, 0) - 0.5
    found = of_expanded(expanded, 2, each=False, known={})
    rows = [tuple(row) for row in found.table.to_numpy().round(6).tolist()]
    assert rows == [(5, 0, 6, 12, 1, 0.25), (6, 1, 4, 8, 1, 0.333333)]
    assert (found.sources, found.targets) == ((5, 6), (0, 1))
    np.testing.assert_allclose(found.share, 52 / 56)
    each = of_expanded(expanded, 2, each=True, known={})
    assert [*zip(each.table["source"], each.table["target"], strict=True)] == [
        (5, 0),
        (6, 1),
        (4, 0),
    ]
    with pytest.raises(MethodError, match="Received: none from 'a' to 'b'"):
        of_expanded(hand_made(), 2, each=False, known={})
    pictures = np.random.default_rng(0).random((2, 5, 5, 3))
    bytes_of = (255 * pictures).astype("uint8")
    kept = found.with_pictures(pictures, bytes_of)
    np.testing.assert_allclose(kept.source_pictures, kept.target_pictures, atol=1 / 255)


def test_refusals(model: keras.Model) -> None:
    ends = model, "trunk/first", "trunk/second"
    found = kv.weights.connections(*ends)
    for received in (0, 2.5, True):
        with pytest.raises(InputError, match="`strongest` must be a whole number from 1 on"):
            kv.weights.connections(*ends, strongest=received)
    with pytest.raises(AddressError, match="Closest: 'trunk/second'"):
        kv.weights.connections(model, "trunk/first", "trunk/secnd")
    with pytest.raises(AddressError, match="from 0 to 3"):
        kv.weights.connections(*ends, targets=[7])
    with pytest.raises(AddressError, match="from 0 to 3"):
        kv.weights.position_weights(*ends, 4)
    with pytest.raises(InputError, match="`channel` must be a whole number"):
        kv.weights.position_weights(*ends, -1)
    with pytest.raises(InputError, match="`layout` must be one of"):
        found.plot(layout="columns")
    pictures = np.zeros((len(found.sources), 4, 4, 3))
    with pytest.raises(InputError, match="one of each of the"):
        found.with_pictures(pictures[1:], pictures)
    with pytest.raises(InputError, match="values outside of them"):
        found.with_pictures(pictures + 2, pictures)
    with pytest.raises(InputError, match="must be said once"):
        found.visualize(model, size=12, image=kv.images.Fourier())
    with pytest.raises(InputError, match="`steps` must be"):
        found.visualize(model, steps=0)
    broken = randomized(keras.models.clone_model(model))
    broken.get_layer("third").kernel.assign(np.full((1, 1, 4, 6), np.nan))
    with pytest.raises(MethodError, match="finite"):
        kv.weights.connections(broken, "trunk/second", "third")
    broken.get_layer("third").kernel.assign(np.zeros((1, 1, 4, 6)))
    with pytest.raises(MethodError, match="weights other than zero"):
        kv.weights.position_weights(broken, "trunk/second", "third", 0)
