"""Which directions of its inputs a layer reads, and where in its window."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.saving import Kept
from kerasviz.probe.settings import whole
from kerasviz.probe.spatial_kernels import SpatialKernel, spatial_kernel
from kerasviz.weights.one_sided import (
    SIDES,
    alike_first,
    most_factors,
    one_sided,
    unexplained,
    unit_scaled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasviz.features.objectives.base import Objective

PICTURES = (1, 3)


@dataclasses.dataclass(frozen=True, eq=False)
class WeightFactors(Kept):
    """A kernel as a few maps of its window times a few directions of its inputs.

    Args:
        maps: (neurons, *window, factors) where each neuron reads each direction, in the units of
            the weights: weights ≈ Σ map · direction. Not negative on the input side.
        directions: (factors, inputs) of length one, the factor that explains most first. Not
            negative on the output side.
        neurons: (neurons,) their numbers in the layer.
        order: (neurons,) places in `neurons`, those of like maps beside each other.
        errors: (neurons,) ‖W - Σ map · direction‖² / ‖W‖² in [0, 1] where the fit is good; NaN for
            a neuron without weights.
        error: The same of all neurons together.
        norms: (neurons,) ‖W‖.
        pictures: (neurons, *window, channels) the kernel itself where it reads one channel or
            three, as the first layer does; else empty.
        side: "input" or "output", which has the sign.
        kind: "convolution", "grouped", "transposed", "depthwise", "separable" or "dense".
        layer: Address of the layer.
        parameters: All settings.
        provenance: Versions, model, time.
    """

    maps: np.ndarray
    directions: np.ndarray
    neurons: np.ndarray
    order: np.ndarray
    errors: np.ndarray
    error: float
    norms: np.ndarray
    pictures: np.ndarray
    side: str
    kind: str
    layer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"WeightFactors({self.layer!r}, {len(self.directions)} factors of "
            f"{len(self.neurons)} neurons, error {self.error:.0%})"
        )

    def top(self, factor: int, num: int = 5) -> list[tuple[int, float]]:
        """The inputs that weigh most in a direction, by magnitude, with their signed weights."""
        values = self.directions[factor]
        order = np.argsort(-np.abs(values), kind="stable")[:num]
        return [(int(place), float(values[place])) for place in order]

    def objective(self, source: str, factor: int | None = None, **settings: Any) -> Objective:
        """A direction as what `kv.ActivationMaximization` draws.

        Args:
            source: Address of the layer whose channels this one reads.
            factor: Which direction; None: all, a picture each.
            **settings: As `kv.objectives.direction` takes them.
        """
        from kerasviz.features.objectives import direction

        vectors = self.directions if factor is None else self.directions[factor]
        return direction(source, vectors, **settings)

    def plot(self, **kwargs: Any) -> Figure:
        """The maps in colours, like ones beside each other; see `kv.plots.weight_factors`."""
        from kerasviz.plots.kernel_factors import weight_factors

        return weight_factors(self, **kwargs)


def factorize(
    model: keras.Model,
    layer: Any,
    num_factors: int = 3,
    neurons: Any = None,
    side: str | None = None,
    seed: int = 0,
) -> WeightFactors:
    """One-sided non-negative factors of a layer's weights: which directions are read where.

    Of a neuron's kernel W (*window, inputs), the parts above and below zero are set side by side
    over the inputs, V = [relu(W), relu(-W)], and factorized into non-negative A·B. A says where in
    the window each factor is read; the two halves of B, one minus the other, say what is read: a
    direction of the inputs. The factors of several neurons are fitted together, so that a colour
    is the same direction in all of them. Of a group (`neurons` a list) the parts are set side by
    side over the neurons instead: maps have a sign, directions have none.

    A depthwise kernel, whose neurons read one channel each, is factorized as one neuron that reads
    all of them (one per depth multiplier): a map is a shape that channels share, its direction says
    which channels have it.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it. For a dense
            layer it is traced once, to know what was flattened.
        layer: Address, layer object or index of a convolution (of 1 to 3 dimensions, grouped,
            depthwise, separable as the product of its two kernels, transposed), of a dense layer
            after a Flatten, or of a wrapper around one.
        num_factors: Number of factors. 3 become red, green and blue; more become hues.
        neurons: Number of a neuron, or a list of them; None: all. Of a depthwise layer, which of
            its depth multiplier.
        side: "input" or "output"; None: "output" for a list of neurons, else "input".
        seed: The same seed gives the same factors.

    Returns:
        A `WeightFactors`.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit.
        MethodError: A layer without positions, quantized, all zero, or not finite.

    Reference:
        Voss et al., "Visualizing Weights", Distill 2021; Petrov, Voss et al., "Weight Banding",
        Distill 2021.

    Example:

    ```python
    found = kv.weights.factorize(model, "block_3/expand", num_factors=3)
    print(found.error, found.top(0))
    ```
    """
    check_model(model)
    num_factors, seed = whole(num_factors, "num_factors"), whole(seed, "seed", 0)
    if side is None:
        side = "input" if neurons is None or np.ndim(neurons) == 0 else "output"
    if side not in SIDES:
        raise InputError(f"`side` must be one of {[*SIDES]}, or None. Received: {side!r}.")
    kernel = spatial_kernel(model, layer)
    chosen = _chosen(kernel, neurons)
    values, exponent = unit_scaled(kernel.values[..., chosen])
    _check(kernel, values, num_factors, side)
    maps, directions = one_sided(values, num_factors, side, seed)
    rows = np.moveaxis(values, -1, 0)
    norms = np.linalg.norm(rows.reshape(len(rows), -1), axis=-1)
    errors = unexplained(values, maps, directions)
    squares = np.square(norms.astype("float64"))
    is_picture = rows.shape[-1] in PICTURES and kernel.kind not in ("depthwise", "dense")
    return WeightFactors(
        maps=_unscaled(maps, kernel, exponent),
        directions=directions,
        neurons=chosen,
        order=alike_first(maps),
        errors=errors.astype("float32"),
        error=float(np.nansum(errors * squares) / squares.sum()),
        norms=_unscaled(norms, kernel, exponent),
        pictures=_unscaled(rows, kernel, exponent) if is_picture else np.empty(0, "float32"),
        side=side,
        kind=kernel.kind,
        layer=kernel.address,
        parameters={"num_factors": num_factors, "seed": seed},
        provenance=provenance(model),
    )


def _unscaled(values: np.ndarray, kernel: SpatialKernel, exponent: int) -> np.ndarray:
    return np.ldexp(values.astype(kernel.values.dtype, copy=False), exponent)


def _chosen(kernel: SpatialKernel, neurons: Any) -> np.ndarray:
    count = kernel.values.shape[-1]
    if neurons is None:
        return np.arange(count)
    found = np.atleast_1d(np.asarray(neurons))
    fits = found.ndim == 1 and found.size and found.dtype.kind in "iu"
    if not fits or found.min() < 0 or found.max() >= count or len({*found.tolist()}) < found.size:
        what = "depth multiplier" if kernel.kind == "depthwise" else "neurons"
        raise InputError(
            f"`neurons` must be different whole numbers from 0 to {count - 1}, the {what} of "
            f"{kernel.address!r}. Received: {neurons!r}. None takes all."
        )
    return found.astype("int64")


def _check(kernel: SpatialKernel, values: np.ndarray, num_factors: int, side: str) -> None:
    most = most_factors(values, side)
    if num_factors > most:
        raise InputError(
            f"`num_factors` must be at most {most}, for {values.shape[-1]} neurons of "
            f"{kernel.address!r} on the {side} side. Received: {num_factors}. Take fewer."
        )
    if not values.any():
        raise MethodError(
            f"Expected weights other than zero. Received: {kernel.address!r}, whose chosen neurons "
            "have none. See `kv.weights.diagnose`."
        )
