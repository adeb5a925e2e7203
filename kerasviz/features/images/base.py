"""What every parameterization of a picture has in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.images import colors

ops: Any = keras.ops
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Image:
    """Base of the parameterizations; a value that holds settings and no weights.

    A subclass implements `initial_values` and `signal`, and `values_of` where it can start from
    given pictures. The signal is squashed by a sigmoid, after its colours were mixed as those of
    natural photos are, so that a picture is always in [0, 1] and no gradient dies at a limit.

    Args:
        size: Height and width (or one length per position axis), an int for all of them; None:
            what the model declares.
        decorrelate: Mix the channels as natural photos do; None: where there are three or four,
            and `bounded`.
        alpha: Add an opacity channel: the picture is laid over other noise at each step, so that
            what the unit does not care about becomes transparent.
        bounded: Squash into [0, 1]. False: the signal around 0.5 as it is, clipped at the end only.

    Raises:
        InputError: Settings that do not go together.
    """

    size: int | tuple[int, ...] | None = None
    decorrelate: bool | None = None
    alpha: bool = False
    bounded: bool = True

    learning_rate: ClassVar[float] = 0.05

    def __post_init__(self) -> None:
        if self.alpha and not self.bounded:
            raise InputError(
                "`alpha` needs pictures that are squashed into [0, 1]. Received: bounded=False. "
                "Leave one of them out."
            )

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        """The weights to start from, float32, each with the pictures as first axis.

        Args:
            shape: (num_images, *positions, channels).
            random: Where random numbers come from.
        """
        raise NotImplementedError

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        """The signal (num_images, *positions, channels) that the weights spell, around 0."""
        raise NotImplementedError

    def values_of(self, signal: np.ndarray) -> dict[str, np.ndarray]:
        """The weights that spell a given signal; raises where there are none."""
        raise InputError(
            "`start` needs an image that can spell any picture. "
            f"Received: {type(self).__name__}. Use `kv.images.Pixels` or `kv.images.Fourier`."
        )

    def render(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        """The pictures in [0, 1] that the weights spell."""
        signal = self.signal(weights, shape)
        signal = colors.mixed(signal) if self._mixes(shape[-1]) else signal
        return ops.sigmoid(signal) if self.bounded else signal + 0.5

    def start_values(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """The weights from which `render` makes these pictures in [0, 1]."""
        inside = np.clip(pictures, 1e-3, 1 - 1e-3)
        signal = np.log(inside / (1 - inside)) if self.bounded else pictures - 0.5
        signal = colors.unmixed(signal) if self._mixes(signal.shape[-1]) else signal
        return self.values_of(signal.astype("float32"))

    def for_positions(self, rank: int) -> Image:
        """This parameterization for pictures of that many position axes, where it has to differ."""
        return self

    def sizes(self, declared: tuple[int | None, ...]) -> Shape:
        """The sizes of the position axes: those asked for, those declared, 128 where both are open.

        Raises:
            InputError: The model declares other ones, or another number of axes.
        """
        asked: Any = self.size
        if asked is None:
            return tuple(128 if length is None else length for length in declared)
        wanted = (asked,) * len(declared) if _is_whole(asked) else asked
        if not isinstance(wanted, (tuple, list)) or not all(map(_is_whole, wanted)):
            raise InputError(
                "`size` must be a whole number, or one for each position axis. "
                f"Received: {asked!r}."
            )
        wanted = tuple(int(length) for length in wanted)
        fits = len(wanted) == len(declared) and all(
            open_ is None or open_ == length for open_, length in zip(declared, wanted, strict=True)
        )
        if not fits or min(wanted, default=1) < 1:
            raise InputError(
                f"`size` must be what the model takes, {_show(declared)}. Received: {wanted}. "
                "Leave `size` out, or build the model for open sizes (`Input((None, None, 3))`)."
            )
        return wanted

    def _mixes(self, channels: int) -> bool:
        colours = channels - self.alpha
        if self.decorrelate and colours not in (3, 4):
            raise InputError(
                "`decorrelate` needs three colours, with or without a fourth channel. "
                f"Received: {colours} channels. Leave it out."
            )
        if self.decorrelate is None:
            return self.bounded and colours in (3, 4)
        return self.decorrelate


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _show(sizes: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
