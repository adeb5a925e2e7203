"""How far units are from linear filters: whether their field changes with the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.settings import whole
from kerasviz.receptive_fields.unit_gradients import UnitGradients

if TYPE_CHECKING:
    import pandas as pd

PENALTIES = tuple(10.0**power for power in range(-3, 4))
HELD_OUT = 0.2
Gradients = Callable[[np.ndarray, Sequence[int]], np.ndarray]


def complexity(
    model: keras.Model,
    layer: Any,
    units: Sequence[int] | None = None,
    *,
    num_starts: int = 10,
    start: float = 0.0,
    noise: float = 0.1,
    seed: int = 0,
) -> pd.DataFrame:
    """How much the receptive field of each middle unit changes from one noise picture to another.

    The receptive field is the gradient of the unit in the middle of its channel by the picture,
    divided by its root mean square. Complexity is its standard deviation over pictures of noise,
    averaged over pixels: 0 for a linear unit, near 1 for fields that have nothing in common.

    Args:
        model: Any built Keras 3 model of one picture of known size; not altered.
        layer: Address, layer object or index.
        units: Numbers of channels; None: all.
        num_starts: How many pictures of noise, from 2 on.
        start: Mean of the noise.
        noise: Its standard deviation, in the units of the pictures.
        seed: Of the noise.

    Returns:
        DataFrame indexed by unit: `complexity`, NaN where fewer than two gradients are not 0
        everywhere; `active`, the number of starts whose gradient is not.

    Raises:
        AddressError: No such layer or unit.
        InputError: Settings out of range.
        MethodError: The model takes no single picture, or answers NaN.

    Reference:
        Lindsey et al., ICLR 2019, arXiv:1901.00945; their figures are a tenth of these, because
        they scale each field to a standard deviation of 0.1.

    Example:

    ```python
    table = kv.receptive_fields.complexity(model, "encoder/conv", units=[0, 1])
    print(table["complexity"])
    ```
    """
    count = whole(num_starts, "num_starts", 2)
    if not (np.isfinite(start) and np.isfinite(noise) and noise > 0):
        raise InputError(
            "`start` must be a number and `noise` one above 0. Received: "
            f"{start!r} and {noise!r}. Try 0 and 0.1."
        )
    reader = UnitGradients(model, layer)
    generator = np.random.default_rng(whole(seed, "seed", 0))
    drawn = generator.normal(start, noise, (count, *reader.shape)).astype("float32")
    chosen = range(reader.count) if units is None else [reader.unit(unit) for unit in units]
    return spread(reader.unit_gradients, reader.in_layout(drawn), list(chosen))


def spread(unit_gradients: Gradients, pictures: np.ndarray, units: Sequence[int]) -> pd.DataFrame:
    """What `complexity` returns, from a function that differentiates.

    Args:
        unit_gradients: Function of pictures and numbers of units that returns (pictures, units,
            height, width, colours). Called for one unit at a time.
        pictures: The starts.
        units: Numbers of channels.
    """
    import pandas as pd

    rows = []
    for unit in units:
        fields = unit_gradients(pictures, [unit])[:, 0].reshape(len(pictures), -1)
        sizes = np.sqrt((fields.astype("float64") ** 2).mean(axis=1))
        active = fields[sizes > 0] / sizes[sizes > 0, None]
        value = float(active.std(axis=0).mean()) if len(active) > 1 else np.nan
        rows.append({"complexity": value, "active": len(active)})
    index = pd.Index(list(units), name="unit")
    return pd.DataFrame(rows, index=index, columns=["complexity", "active"])


def linearity(
    model: keras.Model,
    layer: Any,
    inputs: Any,
    units: Sequence[int] | None = None,
    *,
    batch_size: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """How well a linear function of the pixels predicts each middle unit on held-out pictures.

    Ridge regression, its penalty chosen for each unit among 10⁻³ … 10³ by leave-one-out errors on
    four fifths of the pictures; R² on the other fifth. The unit in the middle of each channel
    answers as the layer returns it, so that a ReLU counts as not linear. Take more pictures than
    a picture has numbers: with fewer, R² also measures how few there are.

    Args:
        model: Any built Keras 3 model of one picture of known size; not altered.
        layer: Address, layer object or index.
        inputs: Array of pictures as the model takes them, at least 10.
        units: Numbers of channels; None: all.
        batch_size: Pictures run at once.
        seed: Of the choice of held-out pictures.

    Returns:
        DataFrame indexed by unit: `linearity`, R², at most 1, below 0 where the mean predicts
        better, NaN where the unit does not vary; `penalty`.

    Raises:
        AddressError: No such layer or unit.
        InputError: Too few pictures, or ones that do not fit.
        MethodError: The model takes no single picture, or answers NaN.

    Reference:
        Lindsey et al., ICLR 2019, arXiv:1901.00945.

    Example:

    ```python
    pictures = np.concatenate([images, images / 2])
    table = kv.receptive_fields.linearity(model, "encoder/conv", pictures)
    print(table["linearity"].mean())
    ```
    """
    size = whole(batch_size, "batch_size")
    reader = UnitGradients(model, layer)
    pictures = reader.pictures(inputs)
    if len(pictures) < 10:
        raise InputError(
            "`inputs` must be an array of at least 10 pictures. Received: shape "
            f"{pictures.shape}. Take more than a picture has numbers."
        )
    parts = range(0, len(pictures), size)
    answers = np.concatenate([reader.values(pictures[at : at + size]) for at in parts])
    chosen = list(range(reader.count)) if units is None else [reader.unit(unit) for unit in units]
    order = np.random.default_rng(whole(seed, "seed", 0)).permutation(len(pictures))
    held = max(2, round(HELD_OUT * len(pictures)))
    flat = pictures.reshape(len(pictures), -1).astype("float64")
    return _regressed(flat, answers[:, chosen].astype("float64"), order, held, chosen)


def _regressed(
    pixels: np.ndarray, answers: np.ndarray, order: np.ndarray, held: int, units: Sequence[int]
) -> pd.DataFrame:
    import pandas as pd
    from sklearn.linear_model import RidgeCV

    train, test = order[held:], order[:held]
    table = pd.DataFrame(
        {"linearity": np.nan, "penalty": np.nan}, index=pd.Index(list(units), name="unit")
    )
    varies = (np.ptp(answers[train], axis=0) > 0) & (np.ptp(answers[test], axis=0) > 0)
    if not varies.any():
        return table
    scale = answers[train][:, varies].std(axis=0)
    targets = answers[:, varies] / scale
    model = RidgeCV(alphas=PENALTIES, alpha_per_target=True).fit(pixels[train], targets[train])
    left = targets[test] - model.predict(pixels[test]).reshape(held, -1)
    spread = targets[test] - targets[test].mean(axis=0)
    table.loc[varies, "linearity"] = 1.0 - (left**2).sum(axis=0) / (spread**2).sum(axis=0)
    table.loc[varies, "penalty"] = np.ravel(model.alpha_)
    return table
