"""What `kerasviz visualize` shall draw: layers, channels, classes, and drawing them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

import kerasviz
from kerasviz.cli.labels import class_count
from kerasviz.cli.targets import parse_class
from kerasviz.errors import AddressError, InputError, MethodError, TargetError
from kerasviz.features.images.value_range import to_value_range
from kerasviz.features.objectives.shorthand import layer_and_channel
from kerasviz.plots.reading import size_text
from kerasviz.probe import addresses
from kerasviz.probe.channels import channel_counts
from kerasviz.probe.targets import class_name

if TYPE_CHECKING:
    from kerasviz import ActivationMaximization, Visualization

FIRST_CHANNELS = 8
CLASSES = "classes"


@dataclass(frozen=True)
class Group:
    """Pictures that are drawn side by side, in one run.

    Args:
        name: The layer's address, or "classes".
        target: What `kv.ActivationMaximization` takes.
        stems: One text a picture, for the names of files.
        remark: What was chosen for the user, or `""`.
    """

    name: str
    target: Any
    stems: Sequence[str]
    remark: str = ""


@dataclass(frozen=True)
class Drawn:
    """A group and its pictures."""

    group: Group
    found: Visualization


def layer_groups(model: keras.Model, asked: Sequence[str]) -> list[Group]:
    """Turn `LAYER[:CHANNEL]...` into one group a layer.

    Args:
        model: The model.
        asked: Addresses, each with a channel or without; without one, the layer's first channels.

    Returns:
        The groups in the order in which their layers were first named.

    Raises:
        AddressError: There is no such layer or channel.
        MethodError: A layer returns several tensors, or is never called.
    """
    channels: dict[str, list[int]] = {}
    whole: dict[str, int] = {}
    if not asked:
        return []
    counts = channel_counts(model)
    if not counts:
        raise InputError(
            f"Expected a model that says what it takes. Received: '{model.name}', which does not. "
            "Build it with an input shape before it is saved."
        )
    for text in asked:
        address, number = _parsed(text, counts)
        count = _count(counts, address)
        if number is not None and number >= count:
            raise AddressError(
                f"The channel must be from 0 to {count - 1} for the layer {address!r}. "
                f"Received: {text!r}."
            )
        if number is None:
            whole[address] = count
        numbers = range(min(FIRST_CHANNELS, count)) if number is None else [number]
        channels.setdefault(address, []).extend(numbers)
    return [
        _layer_group(address, list(dict.fromkeys(numbers)), whole.get(address))
        for address, numbers in channels.items()
    ]


def class_group(
    model: keras.Model, asked: Sequence[str], labels: Sequence[str] | None
) -> list[Group]:
    """Turn the values of `--class` into one group, or none.

    Args:
        model: The model.
        asked: Class indices and labels.
        labels: Class names, or None.

    Raises:
        TargetError: There is no such class.
    """
    if not asked:
        return []
    numbers = list(dict.fromkeys(parse_class(text, labels, "--class") for text in asked))
    units = class_count(model)
    outside = [number for number in numbers if number < 0 or (units and number >= units)]
    if outside:
        known = f"from 0 to {units - 1}" if units else "from 0 on"
        raise TargetError(f"`--class` must be {known} for this model. Received: {outside[0]}.")
    names = [class_name(labels, number) for number in numbers]
    score = kerasviz.objectives.class_score(numbers if len(numbers) > 1 else numbers[0])
    stems = [f"class-{number}-{name}" for number, name in zip(numbers, names, strict=True)]
    return [Group(CLASSES, dataclasses.replace(score, names=tuple(names)), stems)]


def draw(
    visualizer: ActivationMaximization, group: Group, steps: int, step: Callable[..., Any]
) -> Drawn:
    """Draw a group, and show how far it is.

    Args:
        visualizer: Of that group.
        group: What it draws.
        steps: How many.
        step: `Steps.step`.
    """
    count = len(group.stems)
    text = f"Drawing {group.name}: {count} picture{'s' if count > 1 else ''}, {steps} steps"
    with step(text, total=steps) as advance:
        found = visualizer.visualize(steps, callbacks=[_Advance(advance)], verbose=0)
    return Drawn(group, found)


def pictures_text(
    model: keras.Model, visualizer: ActivationMaximization, value_range: str | None
) -> str:
    """What the pictures will be like: their size and the numbers that the model takes."""
    pictures = visualizer.display()
    if isinstance(pictures, dict):
        return f"Pictures for the inputs {', '.join(pictures)}."
    taken = to_value_range(value_range, model, pictures.shape[-1])
    assumed = value_range is None and taken.reason.startswith("assumed")
    hint = ": pass --preprocess to choose another" if assumed else ""
    return f"Pictures: {size_text(pictures.shape[1:])}. Values: {taken}{hint}."


class _Advance(keras.callbacks.Callback):
    """Tells the progress bar of every step that was made."""

    def __init__(self, advance: Callable[[], None]) -> None:
        super().__init__()
        self._advance = advance
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keras's hook."""
        for _ in range(batch + 1 - self._done):
            self._advance()
        self._done = batch + 1


def _layer_group(address: str, numbers: list[int], whole: int | None) -> Group:
    remark = ""
    if whole is not None and whole > FIRST_CHANNELS:
        last = FIRST_CHANNELS - 1
        remark = (
            f"{address} has {whole} channels: 0 to {last} are drawn. "
            f"Name others as {address}:{FIRST_CHANNELS}."
        )
    target = kerasviz.objectives.channel(address, numbers)
    return Group(address, target, [f"{address}-{number}" for number in numbers], remark)


def _parsed(text: str, counts: Mapping[str, int | None]) -> tuple[str, int | None]:
    found = None if text in counts else layer_and_channel(text)
    address, number = found or (text, None)
    if address not in counts:
        raise addresses.not_found(address, list(counts))
    return address, number


def _count(counts: Mapping[str, int | None], address: str) -> int:
    count = counts[address]
    if count is None:
        raise MethodError(
            "Expected a layer that returns one tensor with a known number of channels. "
            f"Received: {address!r}. Name another; `kerasviz layers` lists them."
        )
    return count
