"""How what is seen moves along an axis of a tensor, and how it goes on beyond the ends."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

SIGNS = np.array([1.0, -1.0, 1.0, -1.0])


class Step(NamedTuple):
    """How what is seen moves along an axis: by `distance` input positions every `period`."""

    period: int
    distance: int

    def scaled(self, source: int, result: int) -> Step:
        """Along an axis of which `result` positions take the place of `source`."""
        common = math.gcd(source, result)
        source, result = source // common, result // common
        times = self.period // math.gcd(source, self.period)
        return Step(abs(result) * times, self.distance * source * times // self.period)

    def reversed(self) -> Step:
        """The other way round."""
        return Step(self.period, -self.distance)

    def merged(self, other: Step) -> Step | None:
        """What holds for both; None where they move at different speeds."""
        period = math.lcm(self.period, other.period)
        one, two = (s.distance * (period // s.period) for s in (self, other))
        return Step(period, one) if one == two else None


def found_step(ends: np.ndarray) -> Step | None:
    """How (rows, …, places) move along their last axis, where they show it; None otherwise."""
    line = ends[(0,) * (ends.ndim - 1)]
    signs = SIGNS[: len(ends)].reshape(-1, *[1] * (ends.ndim - 1))
    for period in range(1, ends.shape[-1]):
        with np.errstate(invalid="ignore"):
            moved = line[period:] - line[:-period]
            if not np.isfinite(moved[0]) or (moved != moved[0]).any():
                continue
            if ((ends[..., period:] - ends[..., :-period]) * signs == moved[0]).all():
                return Step(period, int(moved[0]))
    return None


def beyond(ends: np.ndarray, step: Step | None, places: np.ndarray) -> np.ndarray:
    """The unclipped rows at any places along the last axis, as the inner ones go on."""
    size = ends.shape[-1]
    outside = (places < 0) | (places >= size)
    if not outside.any():
        return ends[..., places]
    step = step or found_step(ends)
    if step is None:
        values = ends[..., places.clip(0, size - 1)].copy()
        values[..., outside & ~np.isinf(values).all(axis=tuple(range(ends.ndim - 1)))] = math.nan
        return values
    before = -(places // step.period)
    after = -((places - size + step.period) // step.period)
    periods = np.where(places < 0, before, np.where(places >= size, after, 0))
    base = places + periods * step.period
    moved = periods * step.distance * SIGNS[:2].reshape(2, *[1] * (ends.ndim - 1))
    values = ends[..., base.clip(0, size - 1)] - moved
    known = (base >= 0) & (base < size)
    return np.where(known | np.isinf(values), values, math.nan)


def taken_step(step: Step | None, places: np.ndarray) -> Step | None:
    if step is None or not len(places):
        return None
    between = np.diff(places)
    if len(between) and (between != between[0]).any():
        return None
    stride = int(between[0]) if len(between) else 1
    if not stride:
        return None
    scaled = step.scaled(abs(stride), 1)
    return scaled if stride > 0 else scaled.reversed()
