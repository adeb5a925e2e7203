"""Pictures of many directions of a layer, drawn side by side in batches of one compiled loop."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.activation_maximization import ActivationMaximization
from kerasviz.features.images import Fourier
from kerasviz.features.images.value_range import ValueRange, to_value_range
from kerasviz.features.objectives.activity import LEAST_COSINE, TINY, Place
from kerasviz.features.objectives.base import Objective, Scene, mean_of_positions
from kerasviz.probe.settings import whole

ops: Any = keras.ops
SIZE = 80
GREY = 0.5


@dataclasses.dataclass(frozen=True)
class Icon(Fourier):
    """`kv.images.Fourier`, small where the model leaves the size open."""

    def sizes(self, declared: tuple[int | None, ...]) -> tuple[int, ...]:
        if self.size is None:
            return tuple(SIZE if length is None else length for length in declared)
        return super().sizes(declared)


class Painter:
    """Draws what excites directions of a layer.

    The model is compiled once per number of pictures drawn side by side: the directions are a
    variable that each batch is written into.

    Args:
        model: The model; not altered.
        layer: Address of the layer.
        size: Height and width of a picture; None: what the model declares, 80 where it is open.
        steps: Gradient steps per picture; 0 draws nothing.
        cosine_power: As in `kv.objectives.direction`.
        centred: Look at the middle position only, not at the mean over all.
        batch_size: Pictures drawn side by side.
        seed: The same seed gives the same pictures.
        settings: Further settings of `kv.ActivationMaximization`.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: str,
        size: int | None = None,
        steps: int = 128,
        cosine_power: float = 1.0,
        centred: bool = False,
        batch_size: int = 16,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.layer, self.centred = model, layer, centred
        self.steps = whole(steps, "steps", 0)
        self.batch_size = whole(batch_size, "batch_size")
        self.cosine_power = _power(cosine_power)
        self.settings = _checked(dict(settings or {}), size) | {"seed": whole(seed, "seed", 0)}
        self._visualizers: dict[tuple[int, int], tuple[ActivationMaximization, Any]] = {}

    @property
    def parameters(self) -> dict[str, Any]:
        """What the pictures depend on, as JSON can hold it."""
        told = {key: _plain(value) for key, value in self.settings.items()}
        own = {"steps": self.steps, "cosine_power": self.cosine_power, "centred": self.centred}
        return told | own | {"batch_size": self.batch_size}

    def draw(self, vectors: np.ndarray, verbose: Any = "auto") -> tuple[Any, Any]:
        """Pictures (n, *positions, channels) in the model's range, and the same in [0, 1] for the
        eye; (None, None) for 0 steps.

        A vector of zeros is no direction: its picture is grey.

        Args:
            vectors: (n, channels) directions of the layer.
            verbose: "auto" or 1 for a progress bar over all of them; 0 for none.
        """
        lengths = np.linalg.norm(vectors, axis=-1)
        drawn = np.flatnonzero(lengths > 0)
        if not self.steps or not drawn.size:
            return None, None
        units = (vectors[drawn] / lengths[drawn, None]).astype("float32")
        pictures, display = self._in_batches(units, _Progress(self.steps, len(drawn), verbose))
        grey = next(iter(self._visualizers.values()))[0].grey
        return _spread(pictures, drawn, len(vectors), grey), _spread(
            display, drawn, len(vectors), GREY
        )

    def _in_batches(self, units: np.ndarray, progress: _Progress) -> tuple[np.ndarray, np.ndarray]:
        """Batches of equal size, the last one filled up with its last direction."""
        batches = -(-len(units) // self.batch_size)
        count = -(-len(units) // batches)
        visualizer, wanted = self._visualizer(count, units.shape[-1])
        pictures, display = [], []
        for start in range(0, len(units), count):
            part = units[start : start + count]
            wanted.assign(np.pad(part, ((0, count - len(part)), (0, 0)), mode="edge"))
            progress.begin(len(part))
            found = visualizer(steps=self.steps, verbose=0, callbacks=[progress])
            pictures.append(_first(found)[: len(part)])
            display.append(_first(visualizer.display())[: len(part)])
        return np.concatenate(pictures), np.concatenate(display)

    def _visualizer(self, count: int, channels: int) -> tuple[ActivationMaximization, Any]:
        if (count, channels) not in self._visualizers:
            wanted = keras.Variable(
                np.zeros((count, channels), "float32"), trainable=False, dtype="float32"
            )
            objective = _along(self.layer, wanted, self.cosine_power, self.centred)
            settings = {"image": Icon()} | self.settings
            visualizer = ActivationMaximization(self.model, objective, num_images=count, **settings)
            self._visualizers[count, channels] = (visualizer, wanted)
        return self._visualizers[count, channels]

    def value_range(self, channels: int) -> ValueRange:
        """What the model takes for black and white."""
        return to_value_range(self.settings.get("value_range"), self.model, channels)


class _Progress(keras.callbacks.Callback):
    """One progress bar over all batches."""

    def __init__(self, steps: int, pictures: int, verbose: Any) -> None:
        super().__init__()
        shown = 0 if verbose in (0, "0", False) else 1
        self._bar = keras.utils.Progbar(steps * pictures, verbose=shown, unit_name="picture step")
        self._steps, self._before, self._now, self._pictures = steps, 0, 0, 1

    def begin(self, pictures: int) -> None:
        """The next batch, of so many pictures, begins."""
        self._before, self._pictures = self._now, pictures

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keras's hook."""
        self._now = self._before + min(batch + 1, self._steps) * self._pictures
        self._bar.update(self._now)


def _along(layer: str, wanted: Any, cosine_power: float, centred: bool) -> Objective:
    """`kv.objectives.direction` for unit vectors that are known only when it runs."""

    def values(scene: Scene) -> Any:
        tensor = scene.features(layer)
        if centred:
            tensor = Place.of(None, None, None).taken(tensor, layer)
        shape = (tensor.shape[0],) + (1,) * (len(tensor.shape) - 2) + (tensor.shape[-1],)
        product = ops.sum(tensor * ops.reshape(ops.convert_to_tensor(wanted), shape), axis=-1)
        if cosine_power:
            cosine = product / ops.sqrt(ops.sum(ops.square(tensor), axis=-1) + TINY)
            product = product * ops.maximum(cosine, LEAST_COSINE) ** cosine_power
        return mean_of_positions(product)

    return Objective(f"directions of {layer}", values, wanted.shape[0])


def _checked(settings: dict[str, Any], size: int | None) -> dict[str, Any]:
    known = set(inspect.signature(ActivationMaximization).parameters)
    known -= {"model", "target", "num_images", "seed", "name"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(
            f"Further settings must be those of `kv.ActivationMaximization`, {sorted(known)}. "
            f"Received: {unknown}."
        )
    if size is None:
        return settings
    if "image" in settings:
        raise InputError(
            "The size of the pictures must be said once. Received: `size` and `image`. "
            "Leave `size` out."
        )
    return settings | {"image": Icon(size)}


def _power(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 100:
        raise InputError(f"`cosine_power` must be a number from 0 on. Received: {value!r}.")
    return float(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _spread(pictures: np.ndarray, drawn: np.ndarray, count: int, rest: Any) -> np.ndarray:
    found = np.empty((count, *pictures.shape[1:]), pictures.dtype)
    found[:] = rest
    found[drawn] = pictures
    return found


def _first(pictures: Any) -> np.ndarray:
    return next(iter(pictures.values())) if isinstance(pictures, Mapping) else pictures
