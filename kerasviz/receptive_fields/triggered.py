"""The noise that a unit answered to, on average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.blank_inputs import open_size
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.unit_gradients import VALUES, CentreReader
from kerasviz.receptive_fields.gradient_fields import chosen_units
from kerasviz.receptive_fields.reach import Reach, ReachFinder
from kerasviz.receptive_fields.unit_fields import UnitFields, peaks_of

WEIGHTS = ("magnitude", "signed")


def triggered_average(
    model: keras.Model,
    layer: Any,
    num_samples: int = 2048,
    seed: int = 0,
    weight: str = "magnitude",
    units: Sequence[int] | None = None,
    input: str | int | None = None,  # noqa: A002
    size: int | Sequence[int] | None = None,
    batch_size: int = 32,
) -> UnitFields:
    """Average of N(0, 1) noise, weighted by how much each unit answered: Σ |y| x / Σ |y|.

    y is the unit in the middle of the layer; maps are cut to what it can see. No gradient is taken,
    so steps and saturated units are no obstacle. For y = ReLU(w·x) the average tends to
    √(π/2)·w/‖w‖. For y = w·x it tends to 0, as x and -x weigh the same: there take
    `weight="signed"`, Σ y x / Σ |y|, which tends to √(π/2)·w/‖w‖.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index.
        num_samples: How many inputs are drawn; memory does not grow with it. Chance moves each
            value of a map by about `errors`, 1.25/√num_samples for a linear unit.
        seed: Of the noise. Inputs of bytes get noise of mean 127.5 and standard deviation 64, of
            which the mean is taken off.
        weight: "magnitude" or "signed".
        units: Numbers of the units; None: all.
        input: Name or index of the input; None: the first with positions that the layer depends on.
        size: Positions along each axis of the input that the model leaves open, one number or one
            each; None: 32, 64, 128 or 256, the first that the field fits into.
        batch_size: Samples run at once.

    Returns:
        `UnitFields`, whose `errors` say what chance alone does.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit, no such input or unit.
        MethodError: The layer does not depend on the input, or answers NaN.

    Reference:
        Chichilnisky 2001, "A simple white noise analysis of neuronal light responses", for the
        signed form.

    Example:

    ```python
    fields = kv.receptive_fields.triggered_average(model, "encoder/conv", num_samples=64)
    print(fields.maps.shape)
    ```
    """
    num_samples, seed = whole(num_samples, "num_samples"), whole(seed, "seed", 0)
    batch_size = whole(batch_size, "batch_size")
    if weight not in WEIGHTS:
        raise InputError(f"`weight` must be one of {list(WEIGHTS)}. Received: {weight!r}.")
    reader = CentreReader(model, layer, input)
    here = ReachFinder(reader, VALUES).stage(open_size(size))
    numbers = chosen_units(units, here.seen.num_units, reader.address)
    sums = _Sums(here.reach, numbers, weight)
    for first in range(0, num_samples, batch_size):
        batch = here.inputs.noise(seed, first, min(batch_size, num_samples - first))
        answers = reader.middle(batch)
        reader.check_finite(answers)
        sums.add(answers, here.seen.noise_of(batch))
    found = sums.averages()
    return UnitFields(
        maps=found,
        units=numbers,
        peaks=peaks_of(found),
        errors=sums.errors(),
        method="triggered average",
        layer=reader.address,
        input_name=here.seen.input_name,
        start=here.reach.start,
        input_size=here.reach.input_size,
        is_cut=here.reach.is_cut,
        diagnosis=sums.diagnosis(),
        parameters={
            "num_samples": num_samples,
            "seed": seed,
            "weight": weight,
            "reach": here.reach.source,
        },
        provenance=provenance(model),
    )


class _Sums:
    """Running sums over samples, float64."""

    def __init__(self, reach: Reach, units: np.ndarray, weight: str) -> None:
        self._reach, self._units, self._weight = reach, units, weight
        self._weighted: Any = 0.0
        self._total: Any = 0.0
        self._squares: Any = 0.0
        self._shape: tuple[int, ...] = ()

    def add(self, answers: np.ndarray, noise: np.ndarray) -> None:
        answers = answers[:, self._units].astype("float64")
        seen = self._reach.crop(noise)
        self._shape = seen.shape[1:]
        rows = seen.reshape(len(seen), -1).astype("float64")
        weights = answers if self._weight == "signed" else np.abs(answers)
        self._weighted = self._weighted + weights.T @ rows
        self._total = self._total + np.abs(answers).sum(axis=0)
        self._squares = self._squares + np.square(answers).sum(axis=0)

    @property
    def _divisor(self) -> np.ndarray:
        return np.where(self._total > 0, self._total, 1.0)

    def averages(self) -> np.ndarray:
        found = self._weighted / self._divisor[:, None]
        return found.reshape(-1, *self._shape).astype("float32")

    def errors(self) -> np.ndarray:
        return (np.sqrt(self._squares) / self._divisor).astype("float32")

    def diagnosis(self) -> tuple[str, ...]:
        silent = (
            "The unit is 0 on all of the noise, as behind a ReLU that is shut: try the layer "
            "before its activation, or `kv.receptive_fields.maps` with another `fill`."
        )
        return tuple("" if total > 0 else silent for total in self._total)
