"""What the attention weights of a model say, how sure that is, and who leans where."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.attention import description
from kerasviz.attention.description import Description
from kerasviz.attention.groups import Group, Groups, chosen_groups
from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

COMPARED = ("count", "mean", "mean_low", "mean_high", "std", "share_positive")


def weights(model: keras.Model, groups: Groups = None) -> dict[tuple[str, str], np.ndarray]:
    """The attention weights of a model, flat, by group and role.

    Args:
        model: Any built Keras 3 model; not altered.
        groups: As in `summarize`.

    Returns:
        Dict (group, role) to a flat float64 array: the tensors one after the other, in the order
        in which the model holds its layers, NaN included. The role is the variable's name:
        "kernel", "bias", "gamma".

    Raises:
        InputError: Not a built Keras model, or `groups` of the wrong form.
        AddressError: A choice that matches no weight.
        MethodError: No attention was found and none was named, or the weights are quantized.

    Example:

    ```python
    values = kv.attention.weights(model, groups={"expand": ".*expand/kernel"})
    values["expand", "kernel"].shape
    ```
    """
    return {
        (group.name, role): description.gathered(held, "float64")
        for group in chosen_groups(model, groups)
        for role, held in group.by_role().items()
    }


def summarize(
    model: keras.Model,
    groups: Groups = None,
    *,
    depth: int | Mapping[str, int] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Statistics of attention weights: a row for each group and role.

    Without `groups`, what is found by type and structure: "fusion" (`EncoderFusion`),
    "semi-local" and "fully-local" (the excitations of a `ResplacementBlock`),
    "squeeze-excitation" (`SqueezeExcitation` elsewhere, and every other gate of one value a
    channel), "position gates" (one value a position, as in CBAM), "gates" (one value each, as in
    gated linear units; all of them as `kv.attention.gates` finds them, but for weights of which
    only some columns are a gate's),
    "query", "key", "value" and "output" (`MultiHeadAttention`, `GroupQueryAttention`) and
    "attention" (the scale of `Attention` and `AdditiveAttention`).

    Each weight counts once, in however many places its layer is held. A weight may be in several
    groups: each describes its own. NaN and infinite weights are counted, warned of, and left out.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it.
        groups: Dict of name to a choice of weights, or to a list of choices. A choice is a regular
            expression that matches a whole address "layer/address/variable_name"; a type of
            layers or a layer: all weights that it holds.
        depth: Gates in sequence, n in (1 + mean)^n: one number, or one by group. None: counted
            along the longest path through the model, two branches side by side once; NaN where
            it can't be, as for weights that belong to no known gate.
        confidence: Of all intervals.

    Returns:
        DataFrame indexed by (group, role):

        - `count` finite weights in `tensors`, `not_finite` others;
        - `mean`, `median`, `variance`, `std` (population, ddof 0), with the intervals
          `mean_low` to `mean_high` (Student), `median_low` to `median_high` (interpolated order
          statistics) and `std_low` to `std_high` (Bonett: tails may be unlike the normal's);
        - `share_positive` with Wilson's interval, `zeros`, and `sign_test`, the exact p of
          "positive and negative are equally likely", zeros left out;
        - `depth`, and `compound` = (1 + mean)^depth with what the ends of the mean's interval give;
        - `initial_mean` and `initial_std`, what the layers' initializers alone would give;
          `shift`, (mean - initial mean) in standard errors of the mean, with the p of its t-test,
          `shift_test`; `drift`, the Wasserstein distance from the initializers' distribution in
          units of the weights, and `drift_by_chance`, what freshly initialized weights would
          have on average. NaN where an initializer is not known.

        `table.attrs` holds the model's name, the confidence and, for the figure, quantiles of the
        initializers' distributions.

    Raises:
        InputError: Not a built Keras model, or a setting of the wrong form.
        AddressError: A choice that matches no weight.
        MethodError: No attention was found and none was named, or the weights are quantized.

    Example:

    ```python
    table = kv.attention.summarize(model, groups={"expand": ".*expand/.*"}, depth=2)
    print(table[["mean", "mean_low", "mean_high", "sign_test", "compound"]])
    ```
    """
    import pandas as pd

    found = _described(model, groups, depth, _checked(confidence))
    index = pd.MultiIndex.from_tuples(list(found), names=["group", "role"])
    table = pd.DataFrame([one.row for one in found.values()], index=index)
    table.attrs = {
        "model": model.name,
        "confidence": confidence,
        "initial": {key: one.initial for key, one in found.items()},
    }
    return table


def compare(
    models: Sequence[keras.Model] | Mapping[str, keras.Model],
    groups: Groups = None,
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Who leans where: the attention weights of several models, or checkpoints of one, together.

    Args:
        models: At least two, in a list (named by `model.name`, "name~2" where that repeats) or in
            a dict of name to model. The first is the one that others are compared with.
        groups: As in `summarize`, the same for all. A model need not have all groups that are
            found.
        confidence: Of all intervals.

    Returns:
        DataFrame indexed by (model, group, role):

        - `count`, `mean` with `mean_low` to `mean_high`, `std`, `share_positive` as in `summarize`;
        - `lean`: -1 or 1 where the interval of the mean leaves out 0, else 0;
        - `same_sign`: whether the means of the group's kernels and biases have the same sign;
          None for a group without both, or where a mean is 0;
        - `off_center`: |mean| / std; near 0 for weights that are spread around zero;
        - `difference` of the mean from the first model's, with Welch's interval
          `difference_low` to `difference_high` and the p of his test, `welch_test`; `distance`,
          the Wasserstein distance from the first model's weights. NaN for the first model.

    Raises:
        InputError: Fewer than two models, or a setting of the wrong form.
        AddressError: A choice that matches no weight of one of the models.
        MethodError: A model in which no attention was found, or whose weights are quantized.

    Example:

    ```python
    before, after = model, keras.models.clone_model(model)
    table = kv.attention.compare(
        {"before": before, "after": after}, groups={"expand": ".*expand/.*"}
    )
    print(table[["mean", "lean", "difference", "welch_test"]])
    ```
    """
    import pandas as pd

    named = _named(models)
    _checked(confidence)
    found = {name: _described(model, groups, 1, confidence) for name, model in named.items()}
    first = next(iter(found.values()))
    rows = {}
    for name, of_model in found.items():
        for group, role in of_model:
            other = None if of_model is first else first.get((group, role))
            rows[name, group, role] = _compared((group, role), of_model, other, confidence)
    index = pd.MultiIndex.from_tuples(list(rows), names=["model", "group", "role"])
    table = pd.DataFrame(list(rows.values()), index=index)
    table.attrs = {"confidence": confidence}
    return table


def _described(
    model: keras.Model, groups: Groups, depth: Any, confidence: float
) -> dict[tuple[str, str], Description]:
    chosen = chosen_groups(model, groups)
    depths = _depths(chosen, depth)
    return {
        (group.name, role): description.describe(
            f"({group.name}, {role}) of '{model.name}'", held, depths[group.name], confidence
        )
        for group in chosen
        for role, held in group.by_role().items()
    }


def _depths(groups: Sequence[Group], depth: Any) -> dict[str, int | None]:
    names = [group.name for group in groups]
    if not isinstance(depth, Mapping):
        given = {} if depth is None else dict.fromkeys(names, depth)
    else:
        given = dict(depth)
        unknown = [name for name in given if name not in names]
        if unknown:
            raise InputError(
                f"`depth` must name groups of the table: {', '.join(names)}. "
                f"Received: {unknown[0]!r}. Use one of them, or one number for all."
            )
    for value in given.values():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise InputError(
                "`depth` must be a number of gates in sequence, 1 or more. "
                f"Received: {value!r}. Leave it out to have it counted."
            )
    counted = {group.name: group.depth for group in groups if group.name not in given}
    return counted | {name: int(value) for name, value in given.items()}


def _checked(confidence: float) -> float:
    if not isinstance(confidence, numbers.Real) or not 0.0 < confidence < 1.0:
        raise InputError(
            "`confidence` must lie between 0 and 1. "
            f"Received: {confidence!r}. Use 0.95 for intervals of 95 %."
        )
    return confidence


def _named(models: Any) -> dict[str, keras.Model]:
    if isinstance(models, keras.Model) or not isinstance(models, (Mapping, Sequence)):
        listed: Any = None
    elif isinstance(models, Mapping):
        listed = {str(name): model for name, model in models.items()}
    else:
        listed = {}
        seen: dict[str, int] = {}
        for model in models:
            name = getattr(model, "name", str(model))
            seen[name] = seen.get(name, 0) + 1
            listed[name if seen[name] == 1 else f"{name}~{seen[name]}"] = model
    if listed is None or len(listed) < 2:
        raise InputError(
            "`models` must be a list or a dict of at least two models. "
            f"Received: {models!r}. Use `kv.attention.summarize` for a single one."
        )
    return listed


def _compared(
    key: tuple[str, str],
    found: Mapping[tuple[str, str], Description],
    other: Description | None,
    confidence: float,
) -> dict[str, Any]:
    one = found[key]
    row = {name: one.row[name] for name in COMPARED}
    row["lean"] = int(row["mean_low"] > 0) - int(row["mean_high"] < 0)
    row["same_sign"] = _same_sign(key[0], found)
    with np.errstate(divide="ignore", invalid="ignore"):
        row["off_center"] = float(np.divide(abs(row["mean"]), row["std"]))
    if other is None:
        other = Description({"count": 0}, one.ordered[:0], ())
    return row | description.difference(one, other, confidence)


def _same_sign(group: str, found: Mapping[tuple[str, str], Description]) -> bool | None:
    means = [
        found[group, role].row["mean"] for role in ("kernel", "bias") if (group, role) in found
    ]
    if len(means) < 2 or not means[0] * means[1]:
        return None
    return bool(means[0] * means[1] > 0)
