"""Gradients of a probe batch by every trainable weight, and how noisy they are."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.distribution_result import Distributions, gathered
from kerasviz.dynamics.statistics import Settings, reading_of
from kerasviz.errors import InputError
from kerasviz.probe.loss_gradients import LossGradients
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole


@dataclasses.dataclass(frozen=True, eq=False)
class Gradients:
    """The gradient of a loss by each trainable weight.

    Args:
        distributions: A row a weight: `norm`, `noise_scale` (in samples), and all that
            `kv.dynamics.weight_distributions` says of a weight, of its gradient; with histograms.
            Weights that the loss does not depend on are left out.
        loss: The loss of the probe, the mean over its microbatches.
        norm: Norm of the whole gradient.
        noise_scale: Of the whole gradient, in samples; NaN where there is one microbatch only, or
            where the estimate has no positive squared gradient.
        samples: Size of the probe.
        microbatches: How many microbatches it was gone through in.
        unconnected: Weights that the loss does not depend on.
    """

    distributions: Distributions
    loss: float
    norm: float
    noise_scale: float
    samples: int
    microbatches: int
    unconnected: tuple[str, ...]

    def __repr__(self) -> str:
        weights = len(self.distributions.table)
        return f"Gradients({weights} weights, norm {self.norm:.3g}, {self.samples} samples)"


class GradientReader:
    """Reads the gradient of the model's own loss on a probe batch, compiled once.

    The gradient is that of the model's `compute_loss`, regularization and `add_loss` included,
    averaged over microbatches of about `batch_size` samples; no loss scaling, weight decay or
    clipping. The model, its metrics, optimizer and seed generators stay as they are.

    The noise scale is B = tr(Σ)/|G|² with both terms estimated without bias from the squared norms
    of the microbatches' gradients and of their mean: the batch size at which noise and signal of a
    step are alike. With batch normalization in training the samples of a microbatch are not
    independent, so that B depends on `batch_size`.

    Args:
        model: Any built Keras 3 model, compiled with a loss; not altered.
        batch_size: Samples in a microbatch.
        training: Whether the model runs as in training: dropout on, batch normalization on the
            statistics of the microbatch.
        loss: `(y, y_pred) -> values`, averaged, for a model that has no loss of its own.
        most_values: As in `WeightReader`; norms and noise scales are of all values even so.

    Raises:
        InputError: Settings out of range, or not a built model.

    Reference:
        McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    reader = kv.dynamics.GradientReader(model)
    found = reader.read(images, labels)
    print(found.distributions.table["norm"], found.noise_scale)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        batch_size: int = 32,
        training: bool = True,
        loss: Callable[..., Any] | None = None,
        most_values: int | None = None,
    ) -> None:
        self.batch_size = whole(batch_size, "batch_size")
        self._most = None if most_values is None else whole(most_values, "most_values")
        self.model = model
        self._gradients = LossGradients(model, training, loss)
        self._reading = reading_of(Settings())

    @property
    def num_traces(self) -> int:
        """How many compiled functions are held."""
        return self._gradients.num_traces

    def read(self, x: Any, y: Any = None, sample_weight: Any = None) -> Gradients:
        """The gradient now.

        Args:
            x: Arrays in the model's structure.
            y: Arrays as `fit` takes them.
            sample_weight: The same.

        Returns:
            `Gradients`.

        Raises:
            InputError: No samples, or arrays that do not fit the model or each other.
            MethodError: The model has no loss of its own, or nothing to train.
        """
        batch = keras.tree.map_structure(_array, (x, y, sample_weight))
        samples = _samples(batch)
        mean = _Mean()
        for part, size in _parts(batch, samples, self.batch_size):
            mean.add(*self._gradients(*part), size)
        found = {}
        for address, gradient in mean.gradients.items():
            squared = float(np.sum(gradient**2))
            one = self._reading.of_values(gradient.reshape(-1).astype("float32"), self._most)
            noise = mean.noise_scale(squared, mean.squares[address])
            row = {"norm": math.sqrt(squared), "noise_scale": noise, **one.row}
            found[address] = dataclasses.replace(one, row=row)
        squared = sum(row.row["norm"] ** 2 for row in found.values())
        noise = mean.noise_scale(squared, sum(mean.squares.values()))
        return Gradients(
            gathered(found, provenance(self.model)),
            mean.loss,
            math.sqrt(squared),
            noise,
            samples,
            len(mean.sizes),
            tuple(mean.unconnected),
        )


class _Mean:
    """The mean of gradients, weighted by the number of samples, and their squared norms."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.squares: dict[str, float] = {}
        self.unconnected: list[str] = []
        self._sums: dict[str, np.ndarray] = {}
        self._loss = 0.0

    @property
    def loss(self) -> float:
        return self._loss / sum(self.sizes)

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        return {address: value / sum(self.sizes) for address, value in self._sums.items()}

    def add(self, loss: float, gradients: dict[str, np.ndarray | None], size: int) -> None:
        self.sizes.append(size)
        self._loss += size * loss
        self.unconnected = [address for address, value in gradients.items() if value is None]
        for address, value in gradients.items():
            if value is not None:
                exact = value.astype("float64")
                self.squares[address] = self.squares.get(address, 0.0) + float(np.sum(exact**2))
                self._sums[address] = self._sums.get(address, 0.0) + size * exact

    def noise_scale(self, big: float, small: float) -> float:
        """tr(Σ)/|G|², from |Ḡ|² and the sum of the microbatches' |G|².

        E|G_b|² = |G|² + tr(Σ)/b, for microbatches of b samples and for their mean of n.
        """
        count, samples = len(self.sizes), sum(self.sizes)
        if count < 2 or not math.isfinite(big + small):
            return math.nan
        per_small = float(np.mean([1.0 / size for size in self.sizes]))
        variance = (small / count - big) / (per_small - 1.0 / samples)
        signal = big - variance / samples
        return max(variance, 0.0) / signal if signal > 0.0 else math.nan


def _array(value: Any) -> Any:
    return None if value is None else keras.ops.convert_to_numpy(value)


def _samples(batch: Any) -> int:
    sizes = [len(a) if np.ndim(a) else 0 for a in keras.tree.flatten(batch) if a is not None]
    if not sizes or min(sizes) < 1 or len(set(sizes)) > 1:
        raise InputError(
            "`x`, `y` and `sample_weight` must be arrays of equally many samples, one at least. "
            f"Received: {sizes or 'none'}. Give a probe batch as `(x, y)`."
        )
    return sizes[0]


def _parts(batch: Any, samples: int, batch_size: int) -> Iterator[tuple[Any, int]]:
    """Microbatches of equal sizes, or of sizes that differ by one."""
    count = -(-samples // batch_size)
    ends = [samples * place // count for place in range(count + 1)]
    for start, end in itertools.pairwise(ends):
        part = keras.tree.map_structure(_slicer(start, end), batch)
        yield part, end - start


def _slicer(start: int, end: int) -> Callable[[Any], Any]:
    return lambda value: None if value is None else value[start:end]
