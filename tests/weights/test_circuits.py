"""The circuit of a channel: against products of kernels, across branches, drawn, refused."""

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
from tests.weights.test_connections import SAME, kernel, randomized


@pytest.fixture(scope="module")
def chain() -> keras.Model:
    image = keras.Input((10, 10, 3), name="photo")
    x = layers.Conv2D(4, 3, activation="relu", name="one", **SAME)(image)
    x = layers.Conv2D(5, 3, activation="relu", name="two", **SAME)(x)
    x = layers.Conv2D(6, 1, name="three")(x)
    return randomized(keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))))


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    """What `end` reads was written by two convolutions, one of which reads the other."""
    image = keras.Input((10, 10, 3), name="photo")
    x = layers.Conv2D(4, 3, use_bias=False, name="stem", **SAME)(image)
    x = layers.BatchNormalization(name="scaled")(x)
    y = layers.Conv2D(4, 3, activation="relu", name="branch", **SAME)(x)
    x = layers.Add(name="add")([x, y])
    return randomized(keras.Model(image, layers.Conv2D(3, 1, name="end")(x)), 2)


def test_two_steps_back(chain: keras.Model) -> None:
    before = [array.copy() for array in chain.get_weights()]
    found = kv.weights.circuit(chain, "three", 2, strongest=2)
    last = reference.ranked(kernel(chain, "three"), 2, [2])
    middle = [one["source"] for one in last]
    earlier = [reference.ranked(kernel(chain, "two"), 2, [channel]) for channel in middle]
    expected = last + earlier[0] + earlier[1]
    assert found.names[-1] == "three:2"
    names = ["three"] * 2 + ["two"] * 4
    sources = ["two"] * 2 + ["one"] * 4
    for row, one, target, source in zip(
        found.links.itertuples(), expected, names, sources, strict=True
    ):
        assert found.names[row.source] == f"{source}:{one['source']}"
        assert found.names[row.target] == f"{target}:{one['target']}"
        for figure in ("norm", "sum", "share_positive"):
            np.testing.assert_allclose(getattr(row, figure), one[figure], atol=1e-5)
        np.testing.assert_allclose(found.maps[row.Index], one["map"], atol=1e-5)
    first = {one["source"] for links in earlier for one in links}
    columns = found.nodes["column"].tolist()
    assert columns == [0] * len(first) + [1, 1, 2]
    assert len({*found.names}) == len(found.names)
    assert found.left_out == ()
    assert found.provenance["model"] == chain.name
    for array, now in zip(before, chain.get_weights(), strict=True):
        np.testing.assert_array_equal(array, now)


def test_branches_count_by_their_direct_paths(residual: keras.Model) -> None:
    found = kv.weights.circuit(residual, residual.get_layer("end"), 1, strongest=9)
    weights = kernel(residual, "end")[0, 0, :, 1]
    into = found.links[found.links["target"] == len(found.nodes) - 1]
    assert len(into) == 8
    for row in into.itertuples():
        layer, _, channel = found.names[row.source].partition(":")
        assert layer in ("scaled", "branch")
        assert found.maps[row.Index].shape == (1, 1)  # the path through the branch is held
        np.testing.assert_allclose(row.sum, weights[int(channel)], atol=1e-5)
    assert into["norm"].is_monotonic_decreasing
    texts = {text.get_text() for text in found.plot().texts}
    assert {"2 layers", *found.names[:-1]} - {f"scaled:{n}" for n in range(4)} <= texts
    back = found.links[found.links["target"] != len(found.nodes) - 1]
    assert {found.names[node].split(":")[0] for node in back["source"]} == {"scaled"}
    for row in back.itertuples():
        source, target = (int(found.names[node].split(":")[1]) for node in (row.source, row.target))
        expected = kernel(residual, "branch")[..., source, target]
        np.testing.assert_allclose(found.maps[row.Index], expected, atol=1e-5)


def test_through_layers_of_ones_choice(residual: keras.Model, chain: keras.Model) -> None:
    found = kv.weights.circuit(residual, "end", 1, 9, through=["scaled"])
    whole = kv.weights.connections(residual, "scaled", "end", 9, targets=[1])
    np.testing.assert_allclose(found.links["norm"], whole.table["norm"], rtol=1e-5)
    assert found.maps[0].shape == (3, 3)  # all paths
    assert found.nodes["column"].tolist() == [0, 0, 0, 0, 1]
    both = kv.weights.circuit(residual, "end", 0, 1, through=["stem", ["scaled", "branch"]])
    assert {name.split(":")[0] for name in both.names[:-1]} <= {"stem", "scaled", "branch"}
    first = kv.weights.circuit(chain, "two", 0, 1)
    assert first.nodes["layer"].tolist() == ["one", "two"]


def test_a_figure_of_it(chain: keras.Model, tmp_path: Path) -> None:
    found = kv.weights.circuit(chain, "three", 2, strongest=2)
    bare = found.plot()
    rng = np.random.default_rng(0)
    drawn = found.with_pictures(rng.random((len(found.nodes), 8, 8, 3)))
    figure = drawn.plot(title="$2")
    assert len(bare.axes) == len(figure.axes) == len(found.nodes) + len(found.links) + 3
    texts = [text.get_text() for text in figure.texts]
    assert {"$2", "one", "two", "three"} <= set(texts)
    assert sum(text.startswith("channel") for text in texts) == len(found.nodes)
    lines = next(axes.patches for axes in figure.axes if len(axes.patches) == 2 * len(found.links))
    styles = [(line.get_linestyle() == "solid" or line.get_linestyle() == "-") for line in lines]
    assert sum(styles) == 2 * int((found.links["sum"] >= 0).sum())
    widest = max(line.get_linewidth() for line in lines)
    narrowest = min(line.get_linewidth() for line in lines)
    assert widest == pytest.approx(3.6)
    assert narrowest < widest
    drawn = found.visualize(chain, steps=1, size=10, verbose=0, redirected_steps=0)
    again = kv.weights.Circuit.load(drawn.save(tmp_path / "circuit.npz"))
    np.testing.assert_array_equal(again.pictures, drawn.pictures)
    for one, other in zip(again.maps, drawn.maps, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.names, again.left_out) == (drawn.names, drawn.left_out)
    assert again.links.equals(drawn.links)
    assert drawn.pictures.shape == (len(found.nodes), 10, 10, 3)
    assert drawn.maps is found.maps


def test_refusals(chain: keras.Model) -> None:
    with pytest.raises(MethodError, match="'one', which reads the input of the model"):
        kv.weights.circuit(chain, "one", 0)
    with pytest.raises(AddressError, match="Closest: 'three'"):
        kv.weights.circuit(chain, "thre", 0)
    with pytest.raises(AddressError, match="from 0 to 5"):
        kv.weights.circuit(chain, "three", 6)
    for channel in (-1, 1.0):
        with pytest.raises(InputError, match="`channel` must be a whole number from 0 on"):
            kv.weights.circuit(chain, "three", channel)
    for through in ("two", [], 3):
        with pytest.raises(InputError, match="`through` must be a list of layers"):
            kv.weights.circuit(chain, "three", 0, through=through)
    with pytest.raises(MethodError, match="Swap the two"):
        kv.weights.circuit(chain, "two", 0, through=["three"])
    with pytest.raises(InputError, match="`nodes`"):
        kv.weights.circuit(chain, "two", 0, through=["one"]).with_pictures(np.zeros((1, 2, 2, 3)))
    empty = randomized(keras.models.clone_model(chain))
    empty.get_layer("three").kernel.assign(np.zeros((1, 1, 5, 6)))
    with pytest.raises(MethodError, match="'three:0', which has none"):
        kv.weights.circuit(empty, "three", 0)


def test_the_nearest_of_many_layers_are_looked_at() -> None:
    image = keras.Input((6, 6, 2))
    parts = [layers.Conv2D(2, 1, name=f"part_{n}")(image) for n in range(5)]
    joined: Any = layers.Concatenate()(parts)
    model = randomized(keras.Model(image, layers.Conv2D(2, 1, name="end")(joined)))
    found = kv.weights.circuit(model, "end", 0, strongest=4)
    assert sorted(found.left_out) == ["part_0", "part_1"]
    weights = kernel(model, "end")[0, 0, :, 0]
    looked_at = sorted(np.abs(weights[4:]), reverse=True)
    np.testing.assert_allclose(found.links["norm"], looked_at[:4], atol=1e-5)
    for row in found.links.itertuples():
        part, channel = found.names[row.source].removeprefix("part_").split(":")
        np.testing.assert_allclose(row.sum, weights[2 * int(part) + int(channel)], atol=1e-5)
