"""What is wrong with a model's weights, by rules that are written beside each finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.inputs import check_model
from kerasviz.probe.normalizations import normalizations
from kerasviz.probe.provenance import provenance
from kerasviz.weights import filters
from kerasviz.weights.chunks import finite_chunks
from kerasviz.weights.finding import Finding, counted
from kerasviz.weights.freshness import CHANCE, Freshness, freshness
from kerasviz.weights.shut import saturated
from kerasviz.weights.unfolding import is_depthwise, is_kernel, unfolded

if TYPE_CHECKING:
    import pandas as pd

ORDER = (
    "not finite",
    "dead filters",
    "duplicate filters",
    "gamma near zero",
    "ReLU stays shut",
    "moving variance near zero",
    "moving variance huge",
    "as initialized",
)


def diagnose(model: keras.Model) -> pd.DataFrame:
    """What looks broken or unused in a model's weights; a healthy, trained model has few rows.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it. Where it says
            what it takes it is traced once, to know where a ReLU follows.

    Returns:
        DataFrame with a row a finding, the gravest kinds first: `address` of the weight or layer,
        `finding`, `value` (how many weights, filters or channels it concerns), `units` (a tuple of
        their numbers; empty where it concerns all) and `sentence`, with the threshold in words.
        Kinds:

        - "not finite": NaN or infinite weights; nothing else is said of such a weight;
        - "dead filters": filters (columns of a kernel) that are all zero, or whose norm is below
          1 % of the layer's median;
        - "duplicate filters": filters of the same inputs, |cosine| above 0.9999, negated ones
          included; of those with fewer than 8 weights nothing is said;
        - "gamma near zero", "moving variance near zero", "moving variance huge", "ReLU stays
          shut": channels of a batch normalization that pass nothing on, or hardly anything: the
          last allows for input that is more than 4 standard deviations off, which some channels
          behind sparse ones have;
        - "as initialized": weights that cannot be told from what the layer's initializer gives:
          equal to its constant, or drawn values within its range whose Wasserstein distance from
          its distribution is at most 3 times what chance gives, orthogonal ones only while they are
          orthogonal. Of a model that was never trained
          this is said of all; of fewer than 100 drawn weights never. Moves too small to change the
          distribution are not seen.

        `table.attrs` holds versions and the model's name.

    Raises:
        InputError: Not a built Keras model.
        MethodError: A layer is quantized, so that its numbers are codes, not weights.

    Example:

    ```python
    for sentence in kv.weights.diagnose(model)["sentence"]:
        print(sentence)
    ```
    """
    import pandas as pd

    check_model(model)
    found: list[Finding] = []
    fresh: list[tuple[HeldWeight, Freshness | None]] = []
    for held in held_weights(model):
        array = held.view()
        finite = sum(chunk.size for chunk in finite_chunks(array))
        if finite < array.size:
            found.append(_not_finite(held, array, finite))
            continue
        found += _filters(held, array)
        fresh.append((held, freshness(held, array)))
    for norm in normalizations(model):
        found += saturated(norm)
    found += _as_initialized(fresh)
    found.sort(key=lambda one: ORDER.index(one.finding))
    rows = [
        {
            "address": one.address,
            "finding": one.finding,
            "value": len(one.units) if one.value is None else one.value,
            "units": tuple(int(unit) for unit in one.units),
            "sentence": f"{one.address}: {one.sentence}",
        }
        for one in found
    ]
    table = pd.DataFrame(rows, columns=["address", "finding", "value", "units", "sentence"])
    table.attrs.update(provenance(model))
    return table


def _not_finite(held: HeldWeight, array: np.ndarray, finite: int) -> Finding:
    nan = int(np.isnan(array).sum())
    endless = array.size - finite - nan
    return Finding(
        held.addresses[0],
        "not finite",
        (),
        f"{nan} of {array.size} weights are NaN and {endless} infinite; nothing else is said of "
        "this weight.",
        array.size - finite,
    )


def _filters(held: HeldWeight, array: np.ndarray) -> Iterator[Finding]:
    matrices = unfolded(held, array) if is_kernel(held) else None
    if matrices is None:
        return
    norms = filters.filter_norms(matrices)
    where = held.addresses[0]
    dead, median = filters.dead(matrices, norms)
    if dead.size:
        yield Finding(
            where,
            "dead filters",
            dead,
            f"nothing in {counted(dead, norms, 'filter')}: all zero, or a norm below 1 % of the "
            f"layer's median, {median:.3g}.",
        )
    repeated = [] if is_depthwise(held) else filters.repeated(matrices, norms)
    if repeated:
        units = np.array([one for one, _, _ in repeated])
        one, other, cosine = repeated[0]
        negated = sum(cosine < 0 for _, _, cosine in repeated)
        yield Finding(
            where,
            "duplicate filters",
            units,
            f"the direction of an earlier one in {counted(units, norms, 'filter')}, |cosine| above "
            f"0.9999, {negated} of them negated: {one} repeats {other} ({cosine:.6f}).",
        )


def _as_initialized(fresh: Sequence[tuple[HeldWeight, Freshness | None]]) -> Iterator[Finding]:
    """A row a layer where it is true of all weights that can be judged, else a row a weight."""
    layers: dict[int, list[tuple[HeldWeight, Freshness]]] = {}
    for held, one in fresh:
        if one is not None:
            layers.setdefault(id(held.layer), []).append((held, one))
    for judged in layers.values():
        unmoved = [(held, one) for held, one in judged if one.fresh]
        if unmoved and len(unmoved) == len(judged) and len(judged) > 1:
            address = unmoved[0][0].addresses[0].rsplit("/", 1)[0]
            names = ", ".join(held.role for held, _ in unmoved)
            yield Finding(
                address,
                "as initialized",
                (),
                f"none of {names} can be told from what the initializers give: {_test(unmoved)}.",
                sum(held.size for held, _ in unmoved),
            )
        else:
            for held, one in unmoved:
                yield Finding(
                    held.addresses[0],
                    "as initialized",
                    (),
                    f"the {held.size} weights cannot be told from what the initializer gives: "
                    f"{_test([(held, one)])}.",
                    held.size,
                )


def _test(unmoved: Sequence[tuple[HeldWeight, Freshness]]) -> str:
    constants = sorted({one.constant for _, one in unmoved if np.isfinite(one.constant)})
    ratios = [one.ratio for _, one in unmoved if np.isfinite(one.ratio)]
    said = []
    if constants:
        said.append(f"all are {' or '.join(f'{value:.3g}' for value in constants)}")
    if ratios:
        said.append(
            f"drawn ones are {max(ratios):.2f} times as far from its distribution as chance takes "
            f"them, at most {CHANCE:.0f}"
        )
    return "; ".join(said)
