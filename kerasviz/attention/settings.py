"""What a simulation is made of, checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasviz.errors import InputError

KINDS = ("dense", "cnn")
DEPTHS = {"dense": 11, "cnn": 22}
KERNELS = {"dense": (0.0, 0.05), "cnn": (0.2, 0.2)}
LAYER_BIASES = {"dense": (0.0, 0.05), "cnn": (0.0, 0.2)}
MULTIPLIER = (1.071, 0.253)
BIAS = (0.114, 0.181)
INPUT = (1.0, 0.5)
SIZE = 50
FILTERS = 512
DEEPEST = 999
LARGEST_SEED = 400_000
LARGEST_NUMBER = 1e9
MOST_BYTES = 4 * 2**30
FLOAT_BYTES = 4

Normal = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Settings:
    """A random network; every pair is a mean and a standard deviation.

    Args:
        kind: "dense" or "cnn".
        attention: Whether each layer ends with ReLU(x·M + B).
        multiplier: Of M.
        bias: Of B.
        depth: Number of layers.
        size: Height and width.
        kernel: Of the layers' kernels.
        layer_bias: Of the layers' own biases.
        filters: Channels of the convolutions.
        divisor: What convolutions are divided by before the sigmoid.
        input: Of the input of the convolutions.
    """

    kind: str
    attention: bool = True
    multiplier: Normal = MULTIPLIER
    bias: Normal = BIAS
    depth: int = DEPTHS["dense"]
    size: int = SIZE
    kernel: Normal = KERNELS["dense"]
    layer_bias: Normal = LAYER_BIASES["dense"]
    filters: int = FILTERS
    divisor: float = FILTERS
    input: Normal = INPUT

    @property
    def parameters(self) -> dict[str, Any]:
        """What applies to the kind, as plain numbers."""
        found = dataclasses.asdict(self)
        if self.kind == "dense":
            for name in ("filters", "divisor", "input"):
                del found[name]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def checked(kind: str, **given: Any) -> Settings:
    """Settings of that kind, its defaults where None is given.

    Raises:
        InputError: A setting that makes no network.
    """
    if kind not in KINDS:
        raise InputError(f"`kind` must be 'dense' or 'cnn'. Received: {kind!r}.")
    defaults = {
        "depth": DEPTHS[kind],
        "kernel": KERNELS[kind],
        "layer_bias": LAYER_BIASES[kind],
    }
    given = {name: value for name, value in given.items() if value is not None}
    known = {field.name for field in dataclasses.fields(Settings)}
    if kind == "dense":
        known -= {"filters", "divisor", "input"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(
            f"Settings of a simulation of kind {kind!r} must be among {sorted(known - {'kind'})}. "
            f"Received: {unknown}."
        )
    values: dict[str, Any] = {}
    for name, value in (defaults | given).items():
        values[name] = _CHECKS[name](value, name)
    if "divisor" not in values and "filters" in values:
        values["divisor"] = float(values["filters"])
    return Settings(kind, **values)


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    """A number of seeds, or the seeds themselves, as a tuple.

    Raises:
        InputError: None, a seed out of range, or a seed twice.
    """
    if isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool):
        return tuple(range(whole(seeds, "seeds")))
    text = f"`seeds` must be how many, or a list of different whole numbers up to {LARGEST_SEED:,}."
    if isinstance(seeds, (str, bool)) or not isinstance(seeds, (Sequence, np.ndarray, range)):
        raise InputError(f"{text} Received: {seeds!r}.")
    found = tuple(seeds)
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise InputError(f"{text} Received: {seed!r}.")
    numbers = tuple(int(seed) for seed in found)
    fits = all(0 <= seed <= LARGEST_SEED for seed in numbers)
    if not numbers or not fits or len(set(numbers)) < len(numbers):
        raise InputError(f"{text} Received: {list(numbers)[:8]}.")
    return numbers


def check_memory(settings: Settings, networks: int, seeds: int) -> None:
    """Refuse what would not fit: one layer's kernel, its activations, and the pictures.

    Raises:
        InputError: More than 4 GiB.
    """
    positions = settings.size**2
    if settings.kind == "dense":
        weights, activations = positions**2, 2 * networks * positions
    else:
        weights = 9 * settings.filters**2
        activations = 3 * networks * positions * settings.filters
    pictures = networks * seeds * positions
    needed = FLOAT_BYTES * (weights + activations + pictures)
    if needed > MOST_BYTES:
        raise InputError(
            f"Expected a simulation that needs at most {MOST_BYTES / 2**30:.0f} GiB at a time. "
            f"Received: one of {needed / 2**30:,.1f} GiB, {weights:,} weights a layer. Choose a "
            "smaller size (fewer filters, fewer seeds), or `kv.attention.sweep`, which computes "
            "the expectation at any size without drawing weights."
        )


def whole(value: Any, name: str, most: int | None = None) -> int:
    """A whole number from 1 on.

    Raises:
        InputError: It is not.
    """
    fits = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1
    if not fits or (most is not None and value > most):
        limit = "from 1 on" if most is None else f"from 1 to {most}"
        raise InputError(f"`{name}` must be a whole number {limit}. Received: {value!r}.")
    return int(value)


def _normal(value: Any, name: str) -> Normal:
    text = (
        f"`{name}` must be a mean and a standard deviation from 0 on, both of at most "
        f"{LARGEST_NUMBER:.0e} in size."
    )
    try:
        mean, std = (float(number) for number in value)
    except (TypeError, ValueError):
        raise InputError(f"{text} Received: {value!r}.") from None
    if not (abs(mean) <= LARGEST_NUMBER and 0.0 <= std <= LARGEST_NUMBER):
        raise InputError(f"{text} Received: {(mean, std)!r}.")
    return mean, std


def _depth(value: Any, name: str) -> int:
    return whole(value, name, DEEPEST)


def _divisor(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise InputError(f"`{name}` must be a number above 0. Received: {value!r}.")
    if not 0.0 < float(value) < math.inf:
        raise InputError(f"`{name}` must be a number above 0. Received: {value!r}.")
    return float(value)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"`{name}` must be True or False. Received: {value!r}.")
    return bool(value)


_CHECKS: dict[str, Any] = {
    "attention": _flag,
    "multiplier": _normal,
    "bias": _normal,
    "depth": _depth,
    "size": whole,
    "kernel": _normal,
    "layer_bias": _normal,
    "filters": whole,
    "divisor": _divisor,
    "input": _normal,
}
