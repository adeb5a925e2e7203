"""The gradient of each unit of a layer by the input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.blank_inputs import open_size
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.unit_gradients import UNITS, CentreReader
from kerasviz.receptive_fields.reach import Stage, StageKeeper
from kerasviz.receptive_fields.unit_fields import UnitFields, peaks_of


class GradientReceptiveField:
    """The gradient receptive field of every unit of a layer: ∂y_c/∂x for each channel c.

    y_c is the unit in the middle of the layer, and the maps are cut to what it can see. Where that
    does not touch the border of the input, no padding has a part in it, and the maps are the
    gradients of a 1×1 output by an input of just that size. Where it does, `is_cut` says so.

    Compiled once for a layer: all units, constants and seeds run the same function, many units in
    one batch.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index.
        input: Name or index of the input; None: the first with positions that the layer depends on.
        size: Positions along each axis of the input that the model leaves open, one number or one
            each; None: 32, 64, 128 or 256, the first that the field fits into.
        batch_size: Gradients computed at once; memory grows with it.

    Call arguments:
        fill: The value that all inputs hold, in their own units.
        samples: Average the gradient over so many inputs of N(0, 1) noise in place of the constant
            (bytes: mean 127.5, standard deviation 64). None: the constant.
        seed: Of the noise; the first samples of a longer draw are those of a shorter one.
        units: Numbers of the units; None: all.

    Returns:
        `UnitFields`.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit, no such input or unit.
        MethodError: The layer does not depend on the input, or answers NaN.

    Reference:
        Zeiler & Fergus 2013 for gradients as pictures; Lindsey et al. 2019, "A Unified Theory of
        Early Visual Representations from Retina to Cortex through Anatomically Constrained Deep
        CNNs", arXiv:1901.00945, for units of early layers at a blank image.

    Example:

    ```python
    fields = kv.receptive_fields.GradientReceptiveField(model, "encoder/conv")(samples=16)
    figure = fields.plot()
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        input: str | int | None = None,  # noqa: A002
        size: int | Sequence[int] | None = None,
        batch_size: int = 32,
    ) -> None:
        self._reader = CentreReader(model, layer, input)
        made = made_of(input, size, batch_size)
        self._batch_size = made["batch_size"]
        self._keeper = StageKeeper(self._reader, UNITS, made["size"])

    @property
    def num_units(self) -> int:
        """How many units the layer has."""
        return self._keeper.stage().seen.num_units

    def __call__(
        self,
        fill: float = 0.5,
        samples: int | None = None,
        seed: int = 0,
        units: Sequence[int] | None = None,
    ) -> UnitFields:
        asked = asked_of(fill, samples, seed)
        here = self._keeper.stage()
        numbers = chosen_units(units, here.seen.num_units, self._reader.address)
        maps, values = self._measured(here, numbers, **asked)
        peaks = peaks_of(maps)
        return UnitFields(
            maps=maps,
            units=numbers,
            peaks=peaks,
            errors=np.full(len(maps), np.nan, "float32"),
            method="gradient",
            layer=self._reader.address,
            input_name=here.seen.input_name,
            start=here.reach.start,
            input_size=here.reach.input_size,
            is_cut=here.reach.is_cut,
            diagnosis=tuple(map(_diagnosis, peaks, values, [samples] * len(peaks))),
            parameters={**asked, "reach": here.reach.source},
            provenance=provenance(self._reader.model),
        )

    def _measured(
        self, here: Stage, units: np.ndarray, fill: float, samples: int | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(units, *positions, colours) gradients, and (units,) whether any answer was not zero."""
        at_once = min(self._batch_size, len(units))
        per_run = max(1, self._batch_size // at_once)
        parts, values = [], []
        for first in range(0, len(units), at_once):
            some = units[first : first + at_once]
            total: Any = 0.0
            answered: Any = False
            for batch in _stimuli(here, fill, samples, seed, per_run):
                found = self._reader.asked(UNITS, batch, some)
                self._reader.check_finite(found["effect"])
                total = total + here.reach.crop(found["gradients"]).astype("float64")
                answered = answered | (found["values"] != 0).any(axis=0)
            parts.append((total / (samples or 1)).astype("float32"))
            values.append(answered)
        return np.concatenate(parts), np.concatenate(values)


def maps(
    model: keras.Model,
    layer: Any,
    fill: float = 0.5,
    samples: int | None = None,
    seed: int = 0,
    units: Sequence[int] | None = None,
    input: str | int | None = None,  # noqa: A002
    size: int | Sequence[int] | None = None,
    batch_size: int = 32,
) -> UnitFields:
    """The gradient receptive field of every unit of a layer.

    Short for `GradientReceptiveField(model, layer, …)(fill, …)`; keep that object to ask about one
    layer several times, as it is compiled once.

    Args:
        model: As for `GradientReceptiveField`, and so are all the others.

    Returns:
        `UnitFields`.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit, no such input or unit.
        MethodError: The layer does not depend on the input, or answers NaN.

    Example:

    ```python
    fields = kv.receptive_fields.maps(model, "encoder/conv", fill=0.0)
    print(fields.maps.shape, fields.strength)
    ```
    """
    method = GradientReceptiveField(model, layer, input, size, batch_size)
    return method(fill, samples, seed, units)


def chosen_units(units: Any, count: int, address: str) -> np.ndarray:
    """Numbers of units, checked.

    Raises:
        InputError: Not whole numbers, none, or beyond the layer.
    """
    if units is None:
        return np.arange(count)
    numbers = np.asarray(units)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise InputError(
            "`units` must be a list of at least one whole number. "
            f"Received: {units!r}. Pass such as `units=[0, 5]`, or leave it out for all."
        )
    beyond = numbers[(numbers < 0) | (numbers >= count)]
    if beyond.size:
        raise InputError(
            f"`units` must be from 0 to {count - 1}, as {address!r} has {count}. "
            f"Received: {beyond[0]}. See `kv.layers(model)`."
        )
    return numbers.astype("int64")


def asked_of(fill: Any, samples: Any, seed: Any) -> dict[str, Any]:
    """Settings of a call of `GradientReceptiveField`, checked.

    Raises:
        InputError: One that makes no sense.
    """
    return {
        "fill": finite(fill, "fill"),
        "samples": None if samples is None else whole(samples, "samples"),
        "seed": whole(seed, "seed", 0),
    }


def made_of(input: str | int | None, size: Any, batch_size: Any) -> dict[str, Any]:  # noqa: A002
    """Settings of the constructor of `GradientReceptiveField`, checked.

    Raises:
        InputError: One that makes no sense.
    """
    return {
        "input": input,
        "size": open_size(size),
        "batch_size": whole(batch_size, "batch_size"),
    }


def finite(value: Any, name: str) -> float:
    """A setting that is a finite number.

    Raises:
        InputError: It is not.
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(f"`{name}` must be a finite number. Received: {value!r}. Try 0.5.")
    return float(value)


def _stimuli(
    here: Stage, fill: float, samples: int | None, seed: int, at_once: int
) -> Iterator[Batch]:
    if samples is None:
        yield here.inputs.constant(fill)
        return
    for first in range(0, samples, at_once):
        yield here.inputs.noise(seed, first, min(at_once, samples - first))


def _diagnosis(peak: float, answered: bool, samples: int | None) -> str:
    if peak > 0:
        return ""
    if answered:
        return (
            "The unit answers the same whatever the input: ReLUs before it are shut, or it counts "
            f"steps. {_ways_out(samples)}, or an earlier layer."
        )
    return (
        "The unit is 0 on all of these inputs, as behind a ReLU that is shut. "
        f"{_ways_out(samples)}, or the layer before its activation."
    )


def _ways_out(samples: int | None) -> str:
    return "Try `samples=64`, another `fill`" if samples is None else "Try a constant `fill`"
