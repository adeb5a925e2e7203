"""What every method promises on every kind of model."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import KerasvizError, MethodError
from kerasviz.probe import containment
from tests.attribution.arrays import target_of
from tests.conftest import build
from tests.models import KINDS, Case

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
GENERAL = [kv.Saliency, kv.GuidedSaliency, kv.DeconvNet, kv.GradCAM]
SPECIAL = [kv.CAM, kv.AttentionRollout]
METHODS = [*GENERAL, *SPECIAL]
FORMS = [
    "functional",
    "subclassed",
    "multi_input_dict",
    "channels_first",
    "mixed_float16",
    "class_token_vit",
]
TIGHT = {"rtol": 1e-4, "atol": 2e-5}


def state(model: keras.Model) -> list[Any]:
    """Everything in a model that a call could change."""
    layers = containment.all_layers(model)
    attributes = [{k: shallow(v) for k, v in vars(layer).items()} for layer in layers]
    values = [np.array(variable) for variable in model.variables]
    seeds = [np.array(layer.seed_generator.state) for layer in layers if has_seed(layer)]
    return [attributes, values, seeds]


def has_seed(layer: Any) -> bool:
    return isinstance(getattr(layer, "seed_generator", None), keras.random.SeedGenerator)


def shallow(value: Any) -> Any:
    return copy.copy(value) if type(value) in (list, dict, set) else value


def assert_same_state(before: list[Any], after: list[Any]) -> None:
    for one, other in zip(before[0], after[0], strict=True):
        assert one.keys() == other.keys()
        for key in one:
            same = one[key] is other[key] or one[key] == other[key]
            assert same is True or np.all(same), key
    for one, other in zip(before[1] + before[2], after[1] + after[2], strict=True):
        np.testing.assert_array_equal(one, other)


def run_much(case: Case) -> int:
    """Run two of the general methods, by turns, the special ones, taps and tables.

    Returns:
        How many of the methods accept the model.
    """
    turn = list(KINDS).index(case.name) % len(GENERAL)
    accepted = 0
    for method in (GENERAL[turn], GENERAL[turn - 1], *SPECIAL):
        with contextlib.suppress(MethodError):
            explainer = method(case.model)
            if method is GENERAL[turn]:
                explainer(case.inputs, target=target_of(case))
            else:
                explainer.explain(case.inputs, target=target_of(case))
            accepted += 1
    kv.layers(case.model)
    kv.activations(case.model, case.inputs)
    return accepted


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_the_model_is_left_alone(case: Case) -> None:
    prediction = case.model.predict(case.inputs, verbose=0)
    before = state(case.model)
    assert run_much(case) >= 1
    assert_same_state(before, state(case.model))
    after = case.model.predict(case.inputs, verbose=0)
    keras.tree.map_structure(np.testing.assert_array_equal, prediction, after)


class Failing(keras.layers.Layer):
    """Fails when asked to."""

    fails = False

    def call(self, inputs: Any) -> Any:
        self.seen = inputs
        self.add_loss(keras.ops.sum(inputs))
        if Failing.fails:
            raise RuntimeError("asked to fail")
        return inputs


def test_the_model_is_left_alone_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    image = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(3, 3, activation="relu", activity_regularizer="l2")(image)
    x = keras.layers.Dropout(0.5, seed=3)(Failing()(keras.layers.BatchNormalization()(x)))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    images = np.ones((2, 8, 8, 2), "float32")
    model(images)
    before, calls = state(model), keras.Layer.__call__
    monkeypatch.setattr(Failing, "fails", True)
    for method in METHODS[:3]:
        with pytest.raises(RuntimeError, match="asked to fail"):
            method(model)(images)
    assert_same_state(before, state(model))
    assert keras.Layer.__call__ is calls
    monkeypatch.setattr(Failing, "fails", False)
    assert kv.GuidedSaliency(model)(images).shape == (2, 8, 8)
    assert_same_state(before, state(model))


def test_losses_of_the_users_last_call_are_kept() -> None:
    case = build("activity_regularized")
    case.model(case.inputs)
    before = [float(loss) for loss in case.model.losses]
    kv.GradCAM(case.model)(case.inputs)
    assert [float(loss) for loss in case.model.losses] == before


def test_a_stateful_layer_keeps_its_state() -> None:
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 5, 3)),
            keras.layers.LSTM(4, stateful=True),
            keras.layers.Dense(2),
        ]
    )
    signal = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    model.predict(signal, verbose=0)
    states = model.layers[0].states
    before = [np.array(state) for state in states]
    kv.Saliency(model)(signal)
    for one, other in zip(before, states, strict=True):
        np.testing.assert_array_equal(one, np.array(other))
        assert np.abs(one).max() > 0


class Noisy(keras.layers.Layer):
    """Random also in inference."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed_generator)


def test_a_random_layer_keeps_its_seed() -> None:
    model = keras.Sequential([keras.Input((5,)), Noisy(), keras.layers.Dense(2)])
    before = np.array(model.layers[0].seed_generator.state)
    kv.Saliency(model)(np.ones((2, 5)))
    np.testing.assert_array_equal(before, np.array(model.layers[0].seed_generator.state))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", FORMS, indirect=True)
def test_all_forms_of_input_give_the_same_maps(case: Case, method: Callable[..., Any]) -> None:
    explainer = method(case.model, target=target_of(case))
    try:
        whole = explainer(case.inputs)
    except MethodError:
        pytest.skip("this method makes no sense for this model")
    one = [explainer(rows(case.inputs, slice(i, i + 1))) for i in range(7)]
    same(whole, keras.tree.map_structure(lambda *parts: np.concatenate(parts), *one), case)
    same(whole, explainer.predict(case.inputs, batch_size=3, verbose=0), case)
    same(whole, explainer.explain(case.inputs).maps, case)
    same(whole, explainer.predict(dataset(case.inputs), verbose=0), case)
    assert explainer.num_traces == 1


def rows(inputs: Any, which: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[which], inputs)


def dataset(inputs: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(inputs).batch(4)


def same(one: Any, other: Any, case: Case) -> None:
    limits = TIGHT if case.tolerance < 1e-3 else {"atol": 2e-2}
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, **limits), one, other)


def test_predict_takes_the_labels_of_the_data_set() -> None:
    import tensorflow as tf

    case = build("functional")
    index = np.array([3, 2, 1, 0, 3, 2, 1])
    expected = kv.GradCAM(case.model)(case.inputs, target=index)
    cam = kv.GradCAM(case.model, target="label")
    for labels in (index, index[:, None], np.eye(4)[index]):
        pairs = tf.data.Dataset.from_tensor_slices((case.inputs, labels)).batch(3)
        np.testing.assert_allclose(cam.predict(pairs, verbose=0), expected, atol=1e-5)
    with pytest.raises(kv.errors.TargetError, match="labels"):
        cam.predict(case.inputs, verbose=0)


def test_one_bad_sample_loses_nothing_in_predict() -> None:
    case = build("functional")
    spoilt = case.inputs.copy()
    spoilt[4, 2, 2, 1] = np.nan
    cam = kv.GradCAM(case.model, target=1)
    with pytest.warns(kv.errors.KerasvizWarning, match=r"Sample 4: NaN: the input 'image'"):
        found = cam.predict(spoilt, batch_size=2, verbose=0)
    good = np.arange(7) != 4
    assert np.isnan(found[4]).all()
    np.testing.assert_allclose(found[good], cam(case.inputs)[good], **TIGHT)


@pytest.mark.parametrize("method", [kv.GradCAM, kv.GuidedSaliency])
def test_runs_on_all_replicas_of_a_strategy(method: Callable[..., Any]) -> None:
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(logical_cpus(2))
    with strategy.scope():
        image = keras.Input((8, 8, 2))
        x = keras.layers.Conv2D(3, 3, activation="relu")(image)
        model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
        explainer = method(model)
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 2)).astype("float32")
    found = explainer.predict(images, batch_size=4, verbose=0)
    np.testing.assert_allclose(found, explainer(images), **TIGHT)


def logical_cpus(count: int) -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < count:
        pytest.skip("TensorFlow was started with one logical CPU")
    return [device.name for device in devices[:count]]


@pytest.mark.parametrize("case", ["functional", "multi_input_dict"], indirect=True)
@pytest.mark.parametrize("method", [kv.GradCAM, kv.GuidedSaliency])
def test_an_exported_explainer_serves_the_same_maps(
    case: Case, method: Callable[..., Any], tmp_path: Any
) -> None:
    import tensorflow as tf

    explainer = method(case.model)
    explainer.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.serve(keras.tree.map_structure(tf.constant, case.inputs))
    same(explainer(case.inputs), keras.tree.map_structure(np.asarray, served), case)


def test_threads_may_share_an_explainer() -> None:
    import threading

    import tensorflow as tf

    case = build("gap_functional")
    options = tf.config.optimizer.get_experimental_options()
    calls = keras.Layer.__call__
    cams = [kv.GradCAM(case.model) for _ in range(3)]
    expected = kv.GradCAM(case.model)(case.inputs)
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda cam=cam: found.append(cam(case.inputs))) for cam in cams * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 9
    for maps in found:
        np.testing.assert_allclose(maps, expected, **TIGHT)
    assert tf.config.optimizer.get_experimental_options() == options
    assert keras.Layer.__call__ is calls


def test_a_thousand_calls_of_changing_size_hold_one_trace() -> None:
    case = build("gap_functional")
    cam = kv.GradCAM(case.model)
    for call in range(1000):
        cam(case.inputs[: 1 + call % 7], target=call % 4)
    assert cam.num_traces == 1


def test_new_callables_do_not_pile_up() -> None:
    case = build("gap_functional")
    cam = kv.GradCAM(case.model)
    for unit in range(20):
        cam(case.inputs, target=lambda outputs, unit=unit: outputs[:, unit % 4])
    assert cam.num_traces <= 16


def test_every_error_is_a_kerasviz_error() -> None:
    found = [
        e for e in vars(kv.errors).values() if isinstance(e, type) and e.__name__[-5:] == "Error"
    ]
    assert len(found) >= 9
    assert all(issubclass(e, KerasvizError) for e in found)
