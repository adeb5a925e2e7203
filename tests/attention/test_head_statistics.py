"""Statistics of heads against plain loops over samples, heads, queries and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.attention import head_measures
from tests.attention import models
from tests.attention.models import Attending
from tests.conftest import build
from tests.reference import attention as reference

layers, ops = keras.layers, keras.ops


def check(
    table: Any, address: str, scores: np.ndarray, seen: np.ndarray, grid: Any, leading: int
) -> None:
    """Compare the rows of an address with the loops."""
    wanted = reference.statistics(scores, seen, grid, leading)
    rows = table.loc[address]
    for name, values in wanted.items():
        if np.isnan(values).all():
            assert rows[name].isna().all(), name
            continue
        np.testing.assert_allclose(rows[name], values.mean(axis=0), rtol=2e-5, err_msg=name)
        spread = values.std(axis=0, ddof=1)
        np.testing.assert_allclose(rows[f"{name}_std"], spread, rtol=2e-4, atol=1e-6, err_msg=name)
    pairs = reference.similarity(scores, seen)
    np.testing.assert_allclose(table.attrs["similarity"][address], pairs.mean(axis=0), rtol=1e-5)
    heads = scores.shape[1]
    others = (pairs.sum(axis=2) - 1.0) / (heads - 1)
    np.testing.assert_allclose(rows["similarity"], others.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(rows["similarity_std"], others.std(axis=0, ddof=1), rtol=1e-3)
    apart = np.where(np.eye(heads, dtype=bool), -1.0, pairs.mean(axis=0))
    np.testing.assert_allclose(rows["closest"], apart.max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(rows["closest_head"], apart.argmax(axis=1))


CASES: dict[str, tuple[Callable[[], Attending], Any, int]] = {
    "plain": (models.plain, (6,), 0),
    "causal": (models.causal, (6,), 0),
    "padded": (models.padded, (6,), 0),
    "grouped": (models.grouped, (6,), 0),
    "two_axes": (models.two_axes, (3, 4), 0),
    "along_rows": (models.along_rows, (3, 4), 0),
    "by_hand": (models.by_hand_matmul, (6,), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_statistics_are_those_of_the_loops(name: str) -> None:
    make, grid, leading = CASES[name]
    case = make()
    table = kv.attention.head_statistics(case.model, case.inputs, batch_size=2, verbose=0)
    scores = kv.attention.scores(case.model, case.inputs)["attention"]
    seen = np.broadcast_to(True if case.seen is None else case.seen, scores.shape)
    check(table, "attention", scores, seen, grid, leading)
    assert table.attrs["samples"] == len(case.inputs)


def test_class_token_and_grid_of_a_vision_transformer() -> None:
    case = build("class_token_vit")
    table = kv.attention.head_statistics(case.model, case.inputs, batch_size=3, verbose=0)
    for address, scores in kv.attention.scores(case.model, case.inputs).items():
        check(table, address, scores, np.ones(scores.shape, bool), (4, 3), 1)
        reason = "4 × 3 tokens as 'patches' has them after 1 class or register token"
        assert table.attrs["tokens"][address] == reason
    share = table["distance"] / np.hypot(3, 2)
    np.testing.assert_allclose(table["distance_share"], share, rtol=1e-6)


def test_grid_and_class_token_can_be_said() -> None:
    case = models.plain()
    table = kv.attention.head_statistics(case.model, case.inputs, grid=(1, 5), verbose=0)
    scores = kv.attention.scores(case.model, case.inputs)["attention"]
    check(table, "attention", scores, np.ones(scores.shape, bool), (1, 5), 1)
    with pytest.raises(kv.errors.MethodError, match=r"grid=\(2, 2\), class_token=1.*`grid="):
        kv.attention.head_statistics(
            case.model, case.inputs, grid=(2, 2), class_token=True, verbose=0
        )


def test_what_has_no_meaning_is_nan() -> None:
    case = models.cross()
    table = kv.attention.head_statistics(case.model, case.inputs, verbose=0)
    assert table.loc["attention", ["distance", "on_self", "on_class_token"]].isna().all(axis=None)
    assert table.loc["self", ["distance", "on_self"]].notna().all(axis=None)
    one = models.simple(layers.MultiHeadAttention(1, 4, name="attention"))
    table = kv.attention.head_statistics(one.model, one.inputs[:1], verbose=0)
    assert table[["similarity", "closest", "entropy_std"]].isna().all(axis=None)
    assert table["closest_head"].tolist() == [-1]


def test_uniform_and_single_key_attention_are_the_ends_of_the_scale() -> None:
    case = models.plain()
    layer = case.model.get_layer("attention")
    layer.set_weights([0.0 * w for w in layer.get_weights()])
    row = kv.attention.head_statistics(case.model, case.inputs, verbose=0).iloc[0]
    np.testing.assert_allclose(
        row[["entropy", "normalized_entropy", "perplexity", "largest", "similarity", "focused"]],
        [np.log(6), 1.0, 6.0, 1 / 6, 1.0, 0.0],
        rtol=1e-6,
    )
    np.testing.assert_allclose(row["distance"], 70 / 36, rtol=1e-6)


def test_memory_and_time_do_not_depend_on_how_the_data_come() -> None:
    case = models.plain()

    def stream() -> Iterator[tuple[np.ndarray]]:
        for start in range(0, 5, 2):
            yield (case.inputs[start : start + 2],)

    one = kv.attention.head_statistics(case.model, case.inputs, verbose=0)
    other = kv.attention.head_statistics(case.model, stream(), verbose=0)
    np.testing.assert_allclose(one.to_numpy(float), other.to_numpy(float), rtol=1e-5)


def test_nan_weights_and_samples_that_are_all_padding_are_refused() -> None:
    case = models.padded()
    empty = case.inputs.copy()
    empty[1] = 0
    with pytest.raises(kv.errors.MethodError, match="for sample 1"):
        kv.attention.head_statistics(case.model, empty, verbose=0)
    case.model.get_layer("attention").set_weights(
        [w * np.nan for w in case.model.get_layer("attention").get_weights()]
    )
    with pytest.raises(kv.errors.MethodError, match="NaN"):
        kv.attention.head_statistics(case.model, case.inputs, verbose=0)


def test_every_measure_has_its_columns() -> None:
    case = models.plain()
    table = kv.attention.head_statistics(case.model, case.inputs, verbose=0)
    spread = [f"{name}_std" for name in head_measures.MEASURES]
    assert {*head_measures.MEASURES, *spread, "closest", "closest_head"} == set(table.columns)
    assert table.index.names == ["address", "head"]
