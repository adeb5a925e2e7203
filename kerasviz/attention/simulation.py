"""How much attention weights can change what flows through a network: the impact simulator."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.attention import random_networks
from kerasviz.attention.expectation import expected
from kerasviz.attention.group_weights import group_distribution
from kerasviz.attention.settings import (
    BIAS,
    FILTERS,
    INPUT,
    KERNELS,
    LAYER_BIASES,
    MULTIPLIER,
    SIZE,
    Normal,
    Settings,
    check_memory,
    checked,
    checked_seeds,
    flag,
)
from kerasviz.attention.sweeping import sweep
from kerasviz.errors import InputError, KerasvizWarning
from kerasviz.probe.provenance import provenance
from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Simulation", "simulate_cnn", "simulate_dense", "simulate_group", "sweep"]


@dataclasses.dataclass(frozen=True, eq=False)
class Simulation(Kept):
    """What random networks made of activations, and what they were expected to.

    Args:
        kind: "dense" or "cnn".
        attention: Whether the layers had attention.
        means: (seeds,) mean activation of the last layer; inf after an overflow of float32.
        expected: The same in closed form: its mean over all seeds.
        expected_std: The closed form's standard deviation from seed to seed.
        images: (seeds, size, size) float32: the last layer; of the CNN the mean of its channels.
        layer_means: (seeds, depth) mean activation of each layer.
        expected_layers: (depth,) the same in closed form.
        expected_layer_stds: (depth,) its standard deviation from seed to seed.
        seeds: The seeds.
        parameters: Settings of the network; pairs are a mean and a standard deviation.
        diagnosis: Why the numbers are of no use, or `""`.
        provenance: Versions, time; of `simulate_group` also the model and the group.
        baseline: The same networks, on the same kernels and biases, without attention; or None.
    """

    kind: str
    attention: bool
    means: np.ndarray
    expected: float
    expected_std: float
    images: np.ndarray
    layer_means: np.ndarray
    expected_layers: np.ndarray
    expected_layer_stds: np.ndarray
    seeds: tuple[int, ...]
    parameters: dict[str, Any]
    diagnosis: str
    provenance: dict[str, Any]
    baseline: Simulation | None = None

    def __repr__(self) -> str:
        network = "with attention" if self.attention else "without attention"
        return (
            f"Simulation({self.kind!r}, {network}, mean {self.mean:.4g} ± {self.std:.2g}, "
            f"expected {self.expected:.4g} ± {self.expected_std:.2g}, {len(self.seeds)} seeds)"
        )

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.means))

    @property
    def std(self) -> float:
        """Standard deviation over seeds (ddof 1); NaN of a single seed or after an overflow."""
        if len(self.means) < 2 or not np.isfinite(self.means).all():
            return float("nan")
        return float(np.std(self.means, ddof=1))

    @property
    def ratios(self) -> np.ndarray:
        """(seeds,) mean with attention over the mean without, on the same kernels.

        Raises:
            InputError: Without a baseline.
        """
        if self.baseline is None:
            raise InputError(
                "Expected a simulation with attention and its baseline. Received: one without. "
                "Pass `baseline=True`."
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.means / self.baseline.means)

    @property
    def expected_ratio(self) -> float:
        """Expected mean with attention over the expected mean without; NaN without a baseline."""
        if self.baseline is None:
            return float("nan")
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.expected) / self.baseline.expected)

    def table(self) -> pd.DataFrame:
        """A row a network: mean, std over seeds, standard error, expected mean and its std."""
        import pandas as pd

        rows = {
            "with attention" if one.attention else "without attention": {
                "mean": one.mean,
                "std": one.std,
                "standard error": one.std / len(one.seeds) ** 0.5,
                "expected": one.expected,
                "expected std": one.expected_std,
                "seeds": len(one.seeds),
            }
            for one in (self.baseline, self)
            if one is not None
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")

    def plot(self, *others: Simulation, **kwargs: Any) -> Figure:
        """The pictures on one colour scale, and the growth over layers, beside the expectation.

        Args:
            *others: Further simulations of the same kind, drawn to the right.
            **kwargs: What `kerasviz.plots.attention_impact.simulations` takes: `limits`, `seed`.
        """
        from kerasviz.plots.attention_impact import simulations

        shown = [one for one in (self.baseline, self, *others) if one is not None]
        return simulations(shown, **kwargs)


def simulate_dense(
    attention: bool = True,
    multiplier: Normal = MULTIPLIER,
    bias: Normal = BIAS,
    depth: int = 11,
    size: int = SIZE,
    seeds: Any = 8,
    *,
    kernel: Normal = KERNELS["dense"],
    layer_bias: Normal = LAYER_BIASES["dense"],
    baseline: bool = True,
    verbose: Any = "auto",
) -> Simulation:
    """Send a white image through random dense layers, with and without attention.

    x = ones(size²); then `depth` times: x = ReLU(x·W + b), and with attention x = ReLU(x·M + B)
    element by element. W and b are what `keras.initializers.RandomNormal` draws for whole numbers
    as seeds; M and B are normal, drawn anew for every layer and element.

    All pairs are a mean and a standard deviation.

    Args:
        attention: Whether the network has attention.
        multiplier: Of M: 1 + what a kernel of the attention holds on average, and its std.
        bias: Of B.
        depth: Number of layers, from 1 to 999.
        size: Height and width of the image; a layer has size⁴ weights.
        seeds: How many draws (then 0, 1, …), or a list of seeds from 0 to 400,000.
        kernel: Of W.
        layer_bias: Of b.
        baseline: With attention, run the network without on the same kernels too.
        verbose: "auto" or 1 for a progress bar over layers, 0 for none.

    Returns:
        A `Simulation`.

    Raises:
        InputError: Settings that make no network, or one that needs more than 4 GiB.

    Warns:
        KerasvizWarning: Activations left float32 or all became zero; the message says where.

    Example:

    ```python
    found = kv.attention.simulate_dense(size=12, depth=3, seeds=4)
    print(found.mean, found.expected, found.baseline.mean, found.ratios)
    ```
    """
    settings = checked(
        "dense",
        attention=attention,
        multiplier=multiplier,
        bias=bias,
        depth=depth,
        size=size,
        kernel=kernel,
        layer_bias=layer_bias,
    )
    return _simulate(settings, seeds, baseline, verbose)


def simulate_cnn(
    attention: bool = True,
    multiplier: Normal = MULTIPLIER,
    bias: Normal = BIAS,
    depth: int = 22,
    size: int = SIZE,
    seeds: Any = 8,
    *,
    filters: int = FILTERS,
    kernel: Normal = KERNELS["cnn"],
    layer_bias: Normal = LAYER_BIASES["cnn"],
    divisor: float | None = None,
    input: Normal = INPUT,  # noqa: A002
    baseline: bool = True,
    verbose: Any = "auto",
) -> Simulation:
    """Send a noisy image through random convolutions, with and without attention.

    x ~ N(1, 0.5) of size × size × 1; then `depth` times: x = sigmoid(conv3×3(x) / divisor), with
    attention x·M + B channel by channel, ReLU. All pairs are a mean and a standard deviation.

    Args:
        attention: Whether the network has attention.
        multiplier: Of M, one a channel and layer.
        bias: Of B, one a channel and layer.
        depth: Number of layers, from 1 to 999.
        size: Height and width of the image.
        seeds: How many draws (then 0, 1, …), or a list of seeds from 0 to 400,000.
        filters: Channels of every layer.
        kernel: Of the convolutions' kernels.
        layer_bias: Of the convolutions' biases.
        divisor: What a convolution, bias included, is divided by. None: the number of filters,
            which is 512 in the original, as its divisor is.
        input: Of the input.
        baseline: With attention, run the network without on the same kernels too.
        verbose: "auto" or 1 for a progress bar over layers, 0 for none.

    Returns:
        A `Simulation`; its images are the mean over channels.

    Raises:
        InputError: Settings that make no network, or one that needs more than 4 GiB.

    Warns:
        KerasvizWarning: Activations left float32 or all became zero; the message says where.

    Example:

    ```python
    found = kv.attention.simulate_cnn(size=12, depth=3, filters=8, seeds=2)
    print(found.table())
    ```
    """
    settings = checked(
        "cnn",
        attention=attention,
        multiplier=multiplier,
        bias=bias,
        depth=depth,
        size=size,
        filters=filters,
        kernel=kernel,
        layer_bias=layer_bias,
        divisor=divisor,
        input=input,
    )
    return _simulate(settings, seeds, baseline, verbose)


def simulate_group(
    model: keras.Model,
    group: str,
    kind: str = "dense",
    depth: int | None = None,
    *,
    groups: Any = None,
    seeds: Any = 8,
    baseline: bool = True,
    verbose: Any = "auto",
    **settings: Any,
) -> Simulation:
    """Simulate the impact of attention weights as they are distributed in a model.

    The multiplier gets the mean 1 + mean(kernels) and the standard deviation of the kernels; the
    bias the mean and standard deviation of the biases (of the population, ddof 0).

    Args:
        model: Any built Keras 3 model; not altered.
        group: A group of `kv.attention.weights(model, groups)`, or the address of a layer.
        kind: "dense" or "cnn".
        depth: Number of layers. None: how many gates of the group follow each other in the model;
            of a layer, or where that is not known, 11 dense layers or 22 convolutions.
        groups: What `kv.attention.weights` takes; None for the modules that it knows.
        seeds: As for `simulate_dense`.
        baseline: As for `simulate_dense`.
        verbose: As for `simulate_dense`.
        **settings: Further settings of `simulate_dense` or `simulate_cnn`.

    Returns:
        A `Simulation`; its provenance names the model, the group and the number of weights.

    Raises:
        AddressError: A choice of `groups` that matches no weight.
        InputError: No such group, weights that are NaN, or settings that make no network.
        MethodError: No attention was found, and `group` is no address.

    Example:

    ```python
    found = kv.attention.simulate_group(model, "classes", depth=2, size=8, seeds=2)
    print(found.parameters["multiplier"], found.ratios)
    ```
    """
    found = group_distribution(model, group, groups)
    own = {"multiplier": found.multiplier, "bias": found.bias}
    twice = sorted(set(own) & set(settings))
    if twice:
        raise InputError(
            "Expected the multiplier and the bias to be the group's. Received: settings "
            f"{twice}. Leave them out, or call `kv.attention.simulate_dense` or `simulate_cnn`."
        )
    made = checked(kind, depth=found.depth if depth is None else depth, **own, **settings)
    return dataclasses.replace(
        _simulate(made, seeds, baseline, verbose),
        provenance=provenance(model) | {"group": group, "weights": found.counts},
    )


def _simulate(settings: Settings, seeds: Any, baseline: bool, verbose: Any) -> Simulation:
    bar = functools.partial(random_networks.progress_bar, verbose=verbose)
    return simulated(settings, seeds, baseline, bar)


def simulated(
    settings: Settings,
    seeds: Any,
    baseline: bool,
    progress: Callable[[int], Callable[[], object]],
) -> Simulation:
    """What `simulate_dense` and `simulate_cnn` return.

    Args:
        settings: Of the network.
        seeds: As there.
        baseline: As there.
        progress: From the number of layers to the function to call after each.

    Raises:
        InputError: It needs more than 4 GiB.
    """
    numbers = checked_seeds(seeds)
    both = flag(baseline, "baseline") and settings.attention
    flags = [False, True] if both else [settings.attention]
    check_memory(settings, len(flags), len(numbers))
    advance = progress(len(numbers) * settings.depth)
    measured = random_networks.run(settings, flags, numbers, advance)
    without: Simulation | None = None
    if len(flags) == 2:
        plain = dataclasses.replace(settings, attention=False)
        without = _simulation(plain, numbers, measured, 0, None)
    return _simulation(settings, numbers, measured, len(flags) - 1, without)


def _simulation(
    settings: Settings,
    seeds: tuple[int, ...],
    measured: random_networks.Measured,
    network: int,
    baseline: Simulation | None,
) -> Simulation:
    law = expected(settings)
    layer_means = measured.means[network]
    diagnosis = _diagnosis(layer_means, settings.attention)
    if diagnosis:
        warnings.warn(diagnosis, KerasvizWarning, stacklevel=4)
    return Simulation(
        kind=settings.kind,
        attention=settings.attention,
        means=layer_means[:, -1].copy(),
        expected=float(law.means[-1]),
        expected_std=float(law.stds[-1]),
        images=measured.images[network],
        layer_means=layer_means,
        expected_layers=law.means,
        expected_layer_stds=law.stds,
        seeds=seeds,
        parameters=settings.parameters,
        diagnosis=diagnosis,
        provenance=provenance(),
        baseline=baseline,
    )


def _diagnosis(layer_means: np.ndarray, attention: bool) -> str:
    network = "With attention" if attention else "Without attention"
    for gone, words, way_out in (
        (np.isinf(layer_means), "left the range of float32 (3e38)", "fewer layers"),
        (layer_means == 0.0, "are all zero", "a larger bias or multiplier"),
    ):
        seeds = int(gone[:, -1].sum())
        if seeds:
            first = int(gone.any(axis=0).argmax()) + 1
            return (
                f"{network}, the activations of {seeds} of {len(layer_means)} seeds {words}, "
                f"the first in layer {first}. Choose {way_out}; `layer_means` shows the layers "
                "before."
            )
    return ""
