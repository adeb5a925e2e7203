"""What a layer's own initializer alone would give a weight: a distribution, not a draw."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from scipy import special, stats

from kerasviz.probe.held_weights import HeldWeight

SEED = 20
DRAWN = 20_000
MOST_DRAWS = 256
OWN = "keras"
CUT = 2
SCALED_FROM_ONE = tuple(
    getattr(keras.layers, name)
    for name in ("RMSNormalization",)
    if hasattr(keras.layers, name)  # from Keras 3.9 on
)
CUT_STD = float(stats.truncnorm.std(-CUT, CUT))


@dataclasses.dataclass(frozen=True, eq=False)
class Initial:
    """The distribution of the values that an initializer gives to one weight tensor.

    Attributes:
        mean: Of a value.
        std: Of a value.
        quantile: Function from probabilities in (0, 1), ascending, to values.
    """

    mean: float
    std: float
    quantile: Callable[[np.ndarray], np.ndarray]


def initial_values(held: HeldWeight) -> Initial | None:
    """What the initializer of a weight gives, in closed form or drawn with fixed seeds.

    Keras's own initializers are known in closed form, `Orthogonal` included. Others are rebuilt
    from their config with a seed of ours and drawn, on which no global random state depends.

    Returns:
        None where it cannot be known: the layer names no initializer for this weight, or a custom
        one that takes no `seed` or cannot be rebuilt.
    """
    initializer = initializer_of(held)
    if initializer is None:
        return None
    shape = tuple(held.variable.shape)
    dtype = keras.backend.standardize_dtype(held.variable.dtype)
    known = FORMULAS.get(type(initializer))
    if known is not None:
        config = initializer.get_config() | _named_axes(held, initializer)
        return known(config, shape) or _drawn(initializer, shape, dtype)
    return _drawn(initializer, shape, dtype)


def initializer_of(held: HeldWeight) -> Any:
    """The initializer that the layer keeps for a weight of this name."""
    layer, role = held.layer, held.role
    if role == "bias" and getattr(layer, "unit_forget_bias", False):
        return None
    names = [f"{role}_initializer", f"{role.removesuffix('_kernel')}_initializer"]
    if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        names = ["depthwise_initializer"] if role == "kernel" else names
    if isinstance(layer, SCALED_FROM_ONE) and role == "scale":
        return keras.initializers.Ones()
    if isinstance(layer, keras.layers.Attention) and role in BUILT_IN:
        return keras.initializers.get(BUILT_IN[role](layer))
    found = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
    return found if isinstance(found, keras.initializers.Initializer) else None


def _named_axes(held: HeldWeight, initializer: Any) -> dict[str, Any]:
    """The axes that an `EinsumDense` takes for inputs and outputs, where its Keras does so."""
    config, layer = initializer.get_config(), held.layer
    is_open = "input_axes" in config and None in (config["input_axes"], config["output_axes"])
    if not (is_open and isinstance(layer, keras.layers.EinsumDense) and held.role == "kernel"):
        return {}
    kernel, output = layer.equation.split(",")[1].split("->")
    axes: dict[str, Any] = {"input_axes": [], "output_axes": []}
    for axis, letter in enumerate(kernel.strip().replace("...", "")):
        axes["output_axes" if letter in output else "input_axes"].append(axis)
    return axes


def _scale(layer: Any) -> str:
    return "glorot_uniform" if isinstance(layer, keras.layers.AdditiveAttention) else "ones"


BUILT_IN: dict[str, Callable[[Any], str]] = {
    "scale": _scale,
    "concat_score_weight": lambda layer: "ones",
}


def _normal(mean: float, std: float) -> Initial:
    return Initial(mean, std, lambda p: mean + std * special.ndtri(p))


def _truncated_normal(mean: float, scale: float) -> Initial:
    """Cut at two of its `scale`, as Keras cuts it."""
    low, high = special.ndtr(-CUT), special.ndtr(CUT)
    return Initial(
        mean, CUT_STD * scale, lambda p: mean + scale * special.ndtri(low + p * (high - low))
    )


def _uniform(low: float, high: float) -> Initial:
    return Initial((low + high) / 2, (high - low) / math.sqrt(12), lambda p: low + (high - low) * p)


def _constant(value: float) -> Initial:
    return Initial(value, 0.0, lambda p: np.full_like(p, value))


def _variance_scaling(config: dict[str, Any], shape: Sequence[int]) -> Initial:
    """He, Glorot, LeCun: the variance is `scale` over the fan of the tensor."""
    fan_in, fan_out = _fans(shape, config.get("input_axes"), config.get("output_axes"))
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    std = math.sqrt(config["scale"] / max(1.0, fans[config["mode"]]))
    if config["distribution"] == "uniform":
        return _uniform(-math.sqrt(3) * std, math.sqrt(3) * std)
    if config["distribution"] == "untruncated_normal":
        return _normal(0.0, std)
    return _truncated_normal(0.0, std / CUT_STD)


def _fans(shape: Sequence[int], inputs: Any, outputs: Any) -> tuple[float, float]:
    """Keras's rule: (…, in, out) of a convolution, or the axes that the layer has named."""
    if inputs is not None and outputs is not None:
        return math.prod(shape[i] for i in inputs), math.prod(shape[i] for i in outputs)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _orthogonal(config: dict[str, Any], shape: Sequence[int]) -> Initial | None:
    """An entry of a random unit vector of m numbers: its square is Beta(1/2, (m - 1)/2)."""
    size = max(math.prod(shape[:-1]), shape[-1])
    if size < 2:
        return None
    gain = config["gain"]
    half = stats.beta((size - 1) / 2, (size - 1) / 2)
    return Initial(0.0, abs(gain) / math.sqrt(size), lambda p: abs(gain) * (2 * half.ppf(p) - 1))


def _scaled(mode: str, scale: float, distribution: str) -> Callable[..., Initial]:
    fixed = {"mode": mode, "scale": scale, "distribution": distribution}
    return lambda config, shape: _variance_scaling(config | fixed, shape)


FORMULAS: dict[type, Callable[[dict[str, Any], Sequence[int]], Initial | None]] = {
    keras.initializers.Zeros: lambda config, shape: _constant(0.0),
    keras.initializers.Ones: lambda config, shape: _constant(1.0),
    keras.initializers.RandomNormal: lambda c, shape: _normal(c["mean"], c["stddev"]),
    keras.initializers.RandomUniform: lambda c, shape: _uniform(c["minval"], c["maxval"]),
    keras.initializers.TruncatedNormal: lambda c, shape: _truncated_normal(c["mean"], c["stddev"]),
    keras.initializers.VarianceScaling: _variance_scaling,
    keras.initializers.GlorotUniform: _scaled("fan_avg", 1.0, "uniform"),
    keras.initializers.GlorotNormal: _scaled("fan_avg", 1.0, "truncated_normal"),
    keras.initializers.HeUniform: _scaled("fan_in", 2.0, "uniform"),
    keras.initializers.HeNormal: _scaled("fan_in", 2.0, "truncated_normal"),
    keras.initializers.LecunUniform: _scaled("fan_in", 1.0, "uniform"),
    keras.initializers.LecunNormal: _scaled("fan_in", 1.0, "truncated_normal"),
    keras.initializers.Orthogonal: _orthogonal,
}


def _drawn(initializer: Any, shape: Sequence[int], dtype: str) -> Initial | None:
    """From draws of the rebuilt initializer, in the shape of the tensor."""
    try:
        config = initializer.get_config()
        if "seed" not in config and not type(initializer).__module__.startswith(OWN):
            return None
        with _random_states_kept(), keras.StatelessScope():
            values = _draws(initializer, config, shape, dtype)
    except Exception:  # whatever the custom class raises: then it is not known
        return None
    ordered = np.sort(values)
    if ordered[0] == ordered[-1]:
        return _constant(float(ordered[0]))
    return Initial(
        float(values.mean()),
        float(values.std()),
        lambda p: ordered[np.minimum((p * ordered.size).astype(int), ordered.size - 1)],
    )


def _draws(
    initializer: Any, config: dict[str, Any], shape: Sequence[int], dtype: str
) -> np.ndarray:
    """Values of one or more tensors; one that takes no seed always gives the same."""
    if "seed" not in config:
        return _flat(initializer(tuple(shape), dtype=dtype))
    number = min(MOST_DRAWS, math.ceil(DRAWN / max(1, math.prod(shape))))
    rebuilt = [
        type(initializer).from_config(config | {"seed": SEED + index}) for index in range(number)
    ]
    return np.concatenate([_flat(one(tuple(shape), dtype=dtype)) for one in rebuilt])


def _flat(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor).astype("float64").reshape(-1)


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    """Whatever runs inside, Python's and NumPy's global random states are as before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
