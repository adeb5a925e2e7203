"""Inputs and outputs that are nested, ordered or named: each tensor keeps its own name."""

from __future__ import annotations

import collections
import warnings
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import InputError, TargetError
from kerasviz.probe import structures

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
Pair = collections.namedtuple("Pair", "za ab")
layers = keras.layers
RANDOM = np.random.default_rng(0)
ROWS = {name: RANDOM.normal(size=(2, 3)).astype("float32") for name in ("za", "ab")}
WEIGHTS = {"za": np.array([1.0, -2, 3]), "ab": np.array([10.0, 20, -30])}
DECLARED = {
    "dict": lambda za, ab: {"za": za, "ab": ab},
    "ordered dict": lambda za, ab: collections.OrderedDict(za=za, ab=ab),
    "list": lambda za, ab: [za, ab],
    "named tuple": Pair,
    "nested list": lambda za, ab: [za, [ab]],
    "list in dict": lambda za, ab: {"rows": [za, ab]},
    "dict in dict": lambda za, ab: {"z": {"one": za}, "a": {"two": ab}},
}


def weighted(za: Any, ab: Any) -> Any:
    """(batch, 1): a sum in which every number of either input has its own weight."""
    parts = [keras.ops.sum(x * WEIGHTS[n], -1) for n, x in (("za", za), ("ab", ab))]
    return keras.ops.stack(parts, -1) @ np.ones((2, 1), "float32")


def functional(form: Any) -> keras.Model:
    za, ab = keras.Input((3,), name="za"), keras.Input((3,), name="ab")
    return keras.Model(form(za, ab), weighted(za, ab))


class Called(keras.Model):
    """Takes its two inputs out of the container that `form` makes."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form

    def call(self, inputs: Any) -> Any:
        flat = keras.tree.flatten(inputs)
        order = keras.tree.flatten(self.form("za", "ab"))
        return weighted(**dict(zip(order, flat, strict=True)))


def called(form: Any) -> keras.Model:
    model = Called(form)
    model(form(ROWS["za"], ROWS["ab"]))
    return model


@pytest.mark.parametrize(
    ("structure", "names"),
    [
        ({"b": 1, "a": 2}, ["a", "b"]),
        (collections.OrderedDict(b=1, a=2), ["b", "a"]),
        (collections.defaultdict(int, b=1, a=2), ["a", "b"]),
        (Pair(1, {"x": [2, 3]}), ["za", "ab/x/0", "ab/x/1"]),
        ({"boxes": (1, 2), "classes": None}, ["boxes/0", "boxes/1", "classes"]),
        ([1, [2, 3]], ["0", "1/0", "1/1"]),
        (5, [""]),
        ([], []),
    ],
)
def test_names_are_in_the_order_of_flattening(structure: Any, names: list[str]) -> None:
    paths = structures.paths(structure)
    assert [structures.path_name(path) for path in paths] == names
    for path, leaf in zip(paths, keras.tree.flatten(structure), strict=True):
        assert follow(structure, path) == leaf


def follow(structure: Any, path: Any) -> Any:
    for key in path:
        is_field = hasattr(structure, "_fields")
        structure = getattr(structure, key) if is_field else structure[key]
    return structure


@pytest.mark.parametrize("make", [functional, called])
@pytest.mark.parametrize("form", DECLARED.values(), ids=DECLARED)
def test_every_input_has_the_gradient_under_its_own_name(make: Any, form: Any) -> None:
    model = make(form)
    explainer = kv.Saliency(model, reduction=None, normalize=False)
    why = explainer.explain(form(ROWS["za"], ROWS["ab"]), target=0)
    expected = weighted(**ROWS)[:, 0]
    np.testing.assert_allclose(why.scores, expected, rtol=1e-5)
    order = keras.tree.flatten(form("za", "ab"))
    for (name, found), key in zip(why.maps.items(), order, strict=True):
        assert key == name or make is called or form is DECLARED["dict in dict"]
        np.testing.assert_allclose(found, np.broadcast_to(WEIGHTS[key], (2, 3)), rtol=1e-6)
        np.testing.assert_array_equal(why.inputs[name], ROWS[key])
    predicted = explainer.predict(form(ROWS["za"], ROWS["ab"]), verbose=0)
    assert list(predicted) == list(why.maps)


def test_names_of_the_inputs_of_a_model_that_was_built_by_a_call() -> None:
    names = {
        "dict": ["ab", "za"],
        "ordered dict": ["za", "ab"],
        "list": ["input_0", "input_1"],
        "named tuple": ["za", "ab"],
        "nested list": ["input_0", "input_1/0"],
        "list in dict": ["rows/0", "rows/1"],
    }
    for kind, expected in names.items():
        form = DECLARED[kind]
        found = kv.Saliency(called(form))(form(ROWS["za"], ROWS["ab"]), target=0)
        assert list(found) == expected


@pytest.mark.parametrize("kind", ["dict", "ordered dict", "list", "named tuple", "list in dict"])
@pytest.mark.parametrize("order", [("za", "ab"), ("ab", "za")])
@pytest.mark.parametrize("container", [dict, collections.OrderedDict])
def test_a_dict_is_matched_by_name_whatever_its_order(
    kind: str, order: Any, container: Any
) -> None:
    model = functional(DECLARED[kind])
    given = container((name, ROWS[name]) for name in order)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        why = kv.Saliency(model).explain(given, target=0)
    np.testing.assert_allclose(why.scores, weighted(**ROWS)[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("dict", [ROWS["za"], ROWS["ab"]], "dict with the keys.*Received: a list"),
        ("ordered dict", [ROWS["za"], ROWS["ab"]], "dict with the keys.*Received: a list"),
        ("list in dict", {"rows": [ROWS["za"]]}, "in the structure .*'rows': .*missing"),
        ("nested list", [ROWS["za"], ROWS["ab"]], "2 arrays .*in the structure"),
        ("named tuple", {"za": ROWS["za"], "x": ROWS["ab"]}, r"missing: \['ab'\]"),
        ("dict", {1: ROWS["za"], "x": ROWS["ab"]}, r"Received: \['1', 'x'\]"),
        ("list", ROWS["za"], "Received: ndarray"),
    ],
)
def test_containers_that_do_not_fit(kind: str, inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kv.Saliency(functional(DECLARED[kind]))(inputs)


# ---------------------------------------------------------------------------------------- outputs


class Heads(keras.Model):
    """Returns its two heads, and what else it is told to, in the structure it is told to."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.one, self.two = layers.Dense(3), layers.Dense(3)
        self.form = form

    def call(self, inputs: Any) -> Any:
        return self.form(self.one(inputs), self.two(inputs))


def functional_heads(form: Any) -> keras.Model:
    rows = keras.Input((3,))
    return keras.Model(
        rows, form(layers.Dense(3, name="one")(rows), layers.Dense(3, name="two")(rows))
    )


OUTPUTS = {
    "dict": (lambda a, b: {"z": a, "a": b}, "z", "a"),
    "ordered dict": (lambda a, b: collections.OrderedDict(z=a, a=b), "z", "a"),
    "named tuple": (Pair, "za", "ab"),
    "nested": (lambda a, b: {"z": [a, b], "a": b}, "z/0", "a"),
    "nested list": (lambda a, b: [[a], b], "0/0", "1"),
    "part of a path": (lambda a, b: {"z": [a], "a": {"x": b}}, "z", "x"),
    "numbers": (lambda a, b: {1: a, 0: b}, 1, 0),
    "numbers from one": (lambda a, b: {2: a, 1: b}, 2, 1),
    "index": (lambda a, b: [a, b], 0, -1),
}


@pytest.mark.parametrize("make", [functional_heads, Heads])
@pytest.mark.parametrize(("form", "one", "two"), OUTPUTS.values(), ids=OUTPUTS)
def test_a_target_finds_its_head(make: Any, form: Any, one: Any, two: Any) -> None:
    model = make(form)
    outputs = model(ROWS["za"])
    for marked, output in ((form(1, 0), one), (form(0, 1), two)):
        flat = zip(keras.tree.flatten(marked), keras.tree.flatten(outputs), strict=True)
        expected = next(values for mark, values in flat if mark)
        found = kv.Saliency(model).explain(ROWS["za"], target={output: 2})
        np.testing.assert_allclose(found.scores, expected[:, 2], rtol=1e-6)
        np.testing.assert_allclose(found.predictions, expected, rtol=1e-6)


def test_the_names_that_keras_gives_nested_outputs_are_known() -> None:
    model = functional_heads(OUTPUTS["nested"][0])
    found = kv.Saliency(model).explain(ROWS["za"], target={"one": 2}).scores
    np.testing.assert_allclose(found, model(ROWS["za"])["z"][0][:, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("z", r"one of the outputs \['a', 'z/0', 'z/1'\]. Received: 'z', which fits 2 of them"),
        ("b", "Received: 'b'"),
        (3, "Received: 3"),
        (-4, "Received: -4"),
    ],
)
def test_names_that_fit_no_head_or_several(output: Any, message: str) -> None:
    model = Heads(OUTPUTS["nested"][0])
    model(ROWS["za"])
    with pytest.raises(TargetError, match=message):
        kv.Saliency(model)(ROWS["za"], target=kv.targets.Class(1, output))


@pytest.mark.parametrize("extra", [None, "text", 7, {}, ()])
def test_what_is_no_tensor_is_not_a_head(extra: Any) -> None:
    model = Heads(lambda one, two: {"a": extra, "b": two})
    outputs = model(ROWS["za"])
    found = kv.Saliency(model).explain(ROWS["za"], target=1)
    np.testing.assert_allclose(found.scores, outputs["b"][:, 1], rtol=1e-6)
    seen = []

    def score(outputs: Any) -> Any:
        seen.append(outputs["a"])
        return outputs["b"][:, 1]

    np.testing.assert_allclose(
        kv.Saliency(model).explain(ROWS["za"], target=score).scores, found.scores
    )
    assert seen == [extra]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda one, two: None, "which returns None"),
        (lambda one, two: "text", "which returns 'text'"),
        (lambda one, two: [], r"which returns \[\]"),
        (lambda one, two: keras.ops.sum(one), r"a tensor of shape \(\)"),
    ],
)
def test_outputs_without_anything_to_explain(form: Any, message: str) -> None:
    model = Heads(form)
    model(ROWS["za"])
    with pytest.raises(TargetError, match=message):
        kv.Saliency(model)(ROWS["za"])
    assert len(kv.activations(model, ROWS["za"])) == 2
