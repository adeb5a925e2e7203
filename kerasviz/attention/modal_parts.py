"""Which part of a model's inputs is which modality, and what to put in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.inputs import EXACT

REPLACEMENTS = ("mean", "zeros", "other")
TEXT = "OUS"
RGBD = {"colour": (0, 1, 2), "depth": (3,)}


@dataclass(frozen=True)
class Leaf:
    """One of a model's inputs.

    Attributes:
        name: Its name.
        channel_axis: Where its channels are; None without any.
        channels: How many; None where the model leaves it open.
    """

    name: str
    channel_axis: int | None
    channels: int | None


@dataclass(frozen=True)
class Part:
    """Channels of an input.

    Attributes:
        leaf: Index of the input.
        axis: Its channel axis; None for an input that is a modality as a whole.
        channels: The channels along that axis.
    """

    leaf: int
    axis: int | None = None
    channels: tuple[int, ...] = ()

    def taken(self, values: Any) -> Any:
        """This part of an input, an array or a tensor of the open graph, channels last."""
        if self.axis is None:
            return values
        pieces = [values[self._at(channel)] for channel in self.channels]
        stack: Any = np.stack if isinstance(values, np.ndarray) else _stack
        return stack(pieces, axis=-1)

    def put(self, values: np.ndarray, replacement: np.ndarray) -> np.ndarray:
        """A copy of an input with this part taken from `replacement`."""
        if self.axis is None:
            return replacement
        found = values.copy()
        for channel in self.channels:
            found[self._at(channel)] = replacement[self._at(channel)]
        return found

    def _at(self, channel: int) -> tuple[Any, ...]:
        return (*[slice(None)] * int(self.axis or 0), channel)


def _stack(pieces: Sequence[Any], axis: int) -> Any:
    import keras

    return keras.ops.stack(pieces, axis=axis)


def to_parts(channels: Any, leaves: Sequence[Leaf]) -> dict[str, Part]:
    """The part of the inputs that each modality is.

    Args:
        channels: What the user wrote: modality → channels of the only input, the name of an input,
            or (name, channels). None: each input is a modality, and a single one of four channels
            is colour and depth.
        leaves: The model's inputs.

    Raises:
        InputError: Channels that there are not, that belong to two modalities, or fewer than two
            modalities.
    """
    if channels is None:
        if len(leaves) > 1:
            return {leaf.name: Part(index) for index, leaf in enumerate(leaves)}
        if leaves[0].channels != 4:
            raise InputError(
                "`channels` must say which channels of the only input are which modality, where "
                f"these are not red, green, blue and depth. Received: None, for "
                f"{leaves[0].channels} channels. Pass such as "
                "`channels={'colour': [0, 1, 2], 'depth': [3]}`."
            )
        channels = RGBD
    if not isinstance(channels, Mapping) or len(channels) < 2:
        raise InputError(
            "`channels` must be a dict of two modalities or more. "
            f"Received: {channels!r}. Pass such as "
            "`{'colour': [0, 1, 2], 'depth': [3]}`, or `{'colour': 'name of an input', ...}`."
        )
    if len({str(name) for name in channels}) < len(channels):
        raise InputError(
            "`channels` must have a name of its own for each modality. "
            f"Received: {list(channels)}. Rename one."
        )
    parts = {str(name): _to_part(str(name), value, leaves) for name, value in channels.items()}
    _check_apart(parts)
    return parts


def _to_part(modality: str, value: Any, leaves: Sequence[Leaf]) -> Part:
    names = [leaf.name for leaf in leaves]
    name, wanted = (value, None) if isinstance(value, str) else (None, value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        name, wanted = value
    if (name is None and len(leaves) > 1) or (name is not None and name not in names):
        raise InputError(
            f"`channels` must name one of the inputs {names} for each modality. Received: "
            f"{value!r} for {modality!r}. Pass the name, or (name, channels)."
        )
    index = 0 if name is None else names.index(name)
    return Part(index) if wanted is None else _of_channels(modality, wanted, index, leaves[index])


def _of_channels(modality: str, wanted: Any, index: int, leaf: Leaf) -> Part:
    try:
        numbers = tuple(int(number) for number in np.atleast_1d(wanted))
        is_whole = all(np.atleast_1d(wanted) == numbers)
    except (TypeError, ValueError):
        numbers, is_whole = (), False
    most = np.inf if leaf.channels is None else leaf.channels
    fits = is_whole and len(set(numbers)) == len(numbers) > 0
    if not fits or leaf.channel_axis is None or min(numbers) < 0 or max(numbers) >= most:
        raise InputError(
            f"`channels` must be different channel numbers from 0 to {most - 1} of the input "
            f"'{leaf.name}'. Received: {wanted!r} for {modality!r}. Choose others."
        )
    return Part(index, leaf.channel_axis, numbers)


def _check_apart(parts: Mapping[str, Part]) -> None:
    owners: dict[tuple[int, int], str] = {}
    whole = [part.leaf for part in parts.values() if part.axis is None]
    for name, part in parts.items():
        for channel in part.channels or (-1,):
            other = owners.setdefault((part.leaf, channel), name)
            if other != name or (part.axis is not None and part.leaf in whole):
                raise InputError(
                    "`channels` must give each channel to one modality. Received: "
                    f"{name!r}, which shares a channel with another. Leave it to one of them."
                )


def replacements(
    arrays: Sequence[np.ndarray], parts: Mapping[str, Part], replace: str, seed: int
) -> list[np.ndarray]:
    """What stands in for each input, sample by sample; inputs that hold no modality stay.

    Args:
        arrays: The inputs, (n, …).
        parts: Where the modalities are.
        replace: "mean" over the samples, position by position; "zeros"; "other": another sample.
        seed: Which other sample.

    Raises:
        InputError: An unknown word, too few samples, or no mean of whole numbers or text.
    """
    if replace not in REPLACEMENTS:
        raise InputError(
            f"`replace` must be one of {REPLACEMENTS}. Received: {replace!r}. Choose one."
        )
    if replace != "zeros" and len(arrays[0]) < 2:
        raise InputError(
            f"`inputs` must hold two samples or more with replace={replace!r}. Received: one. "
            "Give more, or use replace='zeros'."
        )
    used = {part.leaf for part in parts.values()}
    order = np.random.default_rng(seed).permutation(len(arrays[0]))
    return [
        _replacement(array, replace, order) if index in used else array
        for index, array in enumerate(arrays)
    ]


def _replacement(array: np.ndarray, replace: str, order: np.ndarray) -> np.ndarray:
    if replace == "other":
        return shuffled(array, order)
    if array.dtype.kind in (EXACT if replace == "mean" else TEXT):
        raise InputError(
            "`replace` must be 'other' for text, and 'zeros' or 'other' for whole numbers, which "
            f"have no mean. Received: {replace!r}. Choose another."
        )
    if replace == "zeros":
        return np.zeros_like(array)
    mean = array.mean(axis=0, keepdims=True, dtype="float64").astype(array.dtype)
    return np.broadcast_to(mean, array.shape)


def shuffled(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each sample's place taken by the next one in a random round: never by itself."""
    found = np.empty_like(array)
    found[order] = array[np.roll(order, -1)]
    return found
