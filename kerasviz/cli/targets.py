"""The value of `--target`: a class, or one class for each image."""

from __future__ import annotations

from collections.abc import Sequence

from kerasviz.errors import TargetError


def parse_targets(text: str | None, labels: Sequence[str] | None, count: int) -> list[int] | None:
    """Turn `--target` into one class index for each image on the command line.

    Args:
        text: A class index, a label (or one of the synonyms in it), or a comma-separated list of
            those, one an image; None for the predicted class.
        labels: Class names, or None.
        count: How many images the command line names.

    Returns:
        `count` class indices, or None.

    Raises:
        TargetError: A class is not known, or their number is not that of the images.

    Example:
        >>> from kerasviz.cli.targets import parse_targets
        >>> parse_targets("dog", ["cat", "dog"], 3)
        [1, 1, 1]
        >>> parse_targets("0,dog", ["cat", "dog"], 2)
        [0, 1]
    """
    if text is None:
        return None
    if not text.strip():
        raise TargetError("`--target` must be a class index or a label. Received: nothing.")
    if _is_one(text, labels):
        return [parse_class(text, labels)] * count
    parts = text.split(",")
    if len(parts) != count:
        raise TargetError(
            f"`--target` must be one class, or one for each of the {count} images. "
            f"Received: {len(parts)}, {text!r}."
        )
    return [parse_class(part, labels) for part in parts]


def _is_one(text: str, labels: Sequence[str] | None) -> bool:
    return "," not in text or text.strip().lower() in (label.lower() for label in labels or ())


def parse_class(text: str, labels: Sequence[str] | None, option: str = "--target") -> int:
    """Turn a class index or a label into the index.

    Args:
        text: As given on the command line.
        labels: Class names, or None.
        option: The option it was given with, for the error.

    Raises:
        TargetError: It is a label, and unknown.
    """
    from kerasviz.probe.targets import label_index

    try:
        return int(text)
    except ValueError:
        pass
    if labels is None:
        raise TargetError(
            f"`{option}` must be a class index when no labels are known. "
            f"Received: {text.strip()!r}. Pass --labels FILE, one label a line."
        )
    return label_index(text, labels)
