"""Semantic dictionaries: the strongest channels at a position, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError
from tests.conftest import build
from tests.features.layers import KINDS, features_of, identity_network, sample
from tests.models import Case


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_equals_a_sort(case: Case) -> None:
    features = features_of(case)[3]
    where = tuple(size // 2 for size in features.shape[:-1])
    found = kv.semantic_dictionary(
        case.model, case.layer, sample(case.inputs, 3), where, num=3, steps=0
    )
    close = {"atol": 2e-2} if "float16" in case.name else {"atol": 1e-4}
    np.testing.assert_allclose(found.values, np.sort(features[where])[::-1][:3], **close)
    np.testing.assert_allclose(features[where][found.channels], found.values, **close)
    assert found.grid == features.shape[:-1]


def test_strongest_position_and_share() -> None:
    photo = np.zeros((4, 6, 3), "float32")
    photo[2, 5] = [3.0, 0.0, 4.0]
    found = kv.semantic_dictionary(identity_network(3), "same", photo, num=1, steps=0)
    assert found.position == (2, 5)
    assert found.channels.tolist() == [2]
    assert found.share == pytest.approx(16 / 25)
    last = kv.semantic_dictionary(identity_network(3), "same", photo, (-2, -1), num=1, steps=0)
    assert last.position == (2, 5)


def test_pictures_and_figure() -> None:
    case = build("functional")
    found = kv.semantic_dictionary(
        case.model, "conv_1", case.inputs[0], (3, 4), num=2, steps=2, verbose=0
    )
    assert found.pictures.shape == (2, 16, 12, 3)
    assert len(found.plot().axes) == 3


def test_refusals() -> None:
    case = build("functional")
    with pytest.raises(AddressError, match="inside"):
        kv.semantic_dictionary(case.model, "conv_1", case.inputs[0], (16, 0), steps=0)
    with pytest.raises(InputError, match="2 whole numbers"):
        kv.semantic_dictionary(case.model, "conv_1", case.inputs[0], (1,), steps=0)
    with pytest.raises(InputError, match="2 whole numbers"):
        kv.semantic_dictionary(case.model, "conv_1", case.inputs[0], (0.5, 1), steps=0)
