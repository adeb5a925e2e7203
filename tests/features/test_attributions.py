"""Attribution between layers: exact on linear networks, against the tape elsewhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError, TargetError
from tests.conftest import build
from tests.features.layers import linear_network, sample
from tests.models import Case
from tests.reference.intercept import activation_and_gradient
from tests.reference.scores import unit_score

CHANNEL_KINDS = (
    "functional",
    "functional_in_functional",
    "subclassed_nested",
    "multi_input",
    "multi_output",
    "conv1d",
    "channels_first",
    "sigmoid_multi_label",
)
PHOTOS = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype("float32")


def test_channels_of_a_linear_network_add_up_to_the_score() -> None:
    model = linear_network()
    for layer, channels in (("first", 3), ("second", 4)):
        found = kv.AttributionChannel(model, layer, target=2)(PHOTOS)
        assert found.attributions.shape == (3, channels)
        np.testing.assert_allclose(found.scores, model.predict(PHOTOS, verbose=0)[:, 2], rtol=1e-4)
        np.testing.assert_allclose(found.attributions.sum(axis=1), found.scores, rtol=1e-3)
        np.testing.assert_allclose(found.remainder, 0, atol=1e-2)


def test_a_channel_counts_what_the_weights_say() -> None:
    model = linear_network()
    features = kv.activations(model, PHOTOS, ["second"])["second"]
    weights = model.get_layer("head").get_weights()[0][:, 1].reshape(features.shape[1:])
    found = kv.AttributionChannel(model, "second", target=1)(PHOTOS)
    np.testing.assert_allclose(
        found.attributions, (features * weights).sum(axis=(1, 2)), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("case", CHANNEL_KINDS, indirect=True)
def test_channels_equal_gradient_times_activation(case: Case) -> None:
    activation, gradient = activation_and_gradient(
        case.linear_model,
        case.inputs,
        case.layer,
        lambda outputs: 7.0 * unit_score(case, outputs, case.index),
    )
    product = np.moveaxis(np.asarray(activation) * np.asarray(gradient), case.channel_axis, -1)
    expected = product.reshape(len(product), -1, product.shape[-1]).sum(axis=1)
    found = kv.AttributionChannel(case.model, case.layer, target=case.target)(case.inputs)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-3, rtol=1e-3)


def test_a_channel_of_a_later_layer_is_a_target() -> None:
    model = linear_network()
    found = kv.AttributionChannel(model, "first", target="second:3")(PHOTOS)
    later = kv.activations(model, PHOTOS, ["second"])["second"][..., 3].mean(axis=(1, 2))
    np.testing.assert_allclose(found.scores, later, rtol=1e-4)
    np.testing.assert_allclose(found.attributions.sum(axis=1), later, atol=1e-4)
    assert found.targets == ("second:3",) * 3


def test_labels_and_top() -> None:
    found = kv.AttributionChannel(linear_network(), "second", "b", labels=["a", "b", "c"])(PHOTOS)
    assert found.targets == ("b",) * 3
    channel, value = found.top(1, sample=1)[0]
    assert abs(value) == np.abs(found.attributions[1]).max()
    assert value == found.attributions[1, channel]
    assert len(found.plot(num=2).axes) == 3


def test_positions_of_a_linear_network_add_up_to_the_magnitudes() -> None:
    model = linear_network()
    found = kv.AttributionSpatial(model, "first", "second", batch_size=4)(PHOTOS[0])
    assert found.attributions.shape == (3, 3, 6, 5)
    features = kv.activations(model, PHOTOS[:1], ["second"])["second"][0]
    np.testing.assert_allclose(found.magnitudes, np.linalg.norm(features, axis=-1), rtol=1e-4)
    np.testing.assert_allclose(found.attributions.sum(axis=(2, 3)), found.magnitudes, rtol=1e-3)
    np.testing.assert_allclose(found.remainder, 0, atol=1e-2)
    assert not found.attributions[0, 0, 3:].any()
    assert found.attributions[0, 0, :3, :3].any()


@pytest.mark.parametrize(
    ("name", "earlier"),
    [
        ("channels_first", "conv_1"),
        ("conv1d", "conv_1"),
        ("subclassed_nested", "trunk/conv_2"),
    ],
)
def test_positions_against_single_gradients(name: str, earlier: str) -> None:
    case = build(name)
    later = case.layer
    photo = keras.tree.map_structure(lambda x: x[:1], case.inputs)
    found = kv.AttributionSpatial(case.model, earlier, later, batch_size=5)(sample(photo, 0))
    one = kv.AttributionSpatial(case.model, earlier, later, batch_size=1)(photo)
    np.testing.assert_allclose(found.attributions, one.attributions, atol=1e-4)
    rank = found.magnitudes.ndim
    axes = tuple(range(rank, found.attributions.ndim))
    np.testing.assert_allclose(
        found.attributions.sum(axis=axes) + found.remainder, found.magnitudes, atol=1e-4
    )
    nudged = _nudged(case, earlier, later, photo)
    slope = (nudged - found.magnitudes) / 1e-2
    assert np.corrcoef(slope.ravel(), found.attributions.sum(axis=axes).ravel())[0, 1] > 0.95


def _nudged(case: Case, earlier: str, later: str, photo: np.ndarray) -> np.ndarray:
    """Magnitudes of the later layer when the earlier one is a hundredth stronger."""
    edits = {earlier: lambda x: x * 1.01}
    found = kv.Activations(case.model, [later], edits=edits)(photo)[later]
    return np.linalg.norm(np.moveaxis(found, case.channel_axis, -1)[0], axis=-1)


def test_refusals() -> None:
    case = build("functional")
    with pytest.raises(MethodError, match="Exchange"):
        kv.AttributionSpatial(case.model, "conv_2", "conv_1")(case.inputs[0])
    with pytest.raises(AddressError, match="conv_9"):
        kv.AttributionSpatial(case.model, "conv_9", "conv_1")
    with pytest.raises(AddressError, match="conv_9"):
        kv.AttributionChannel(case.model, "conv_9")
    with pytest.raises(MethodError, match="depends on"):
        kv.AttributionChannel(case.model, "conv_2", "conv_1:0")(case.inputs)
    with pytest.raises(AddressError, match="from 0 to 4"):
        kv.AttributionChannel(case.model, "conv_1", "conv_2:9")(case.inputs)
    with pytest.raises(TargetError, match="from 0 to 3"):
        kv.AttributionChannel(case.model, "conv_1", 4)(case.inputs)
    with pytest.raises(InputError, match="finite"):
        kv.AttributionChannel(case.model, "conv_1", 1)(np.full_like(case.inputs, np.nan))
    with pytest.raises(InputError, match="at least one sample"):
        kv.AttributionChannel(case.model, "conv_1", 1)(case.inputs[:0])
