"""Class names from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from kerasviz.errors import InputError

_FORMS = "one label a line, a JSON list, or a JSON object of index: label"


def read_labels(path: Path) -> tuple[str, ...]:
    """Read class names, in the order of the model's outputs.

    Args:
        path: A text file with one label a line; or JSON: a list of labels, an object
            `{"0": "cat", ...}`, `{"cat": 0, ...}`, or `{"0": ["n02124075", "cat"], ...}`.

    Returns:
        The labels.

    Raises:
        InputError: The file cannot be read, holds no labels, or skips a class.

    Example:
        >>> from kerasviz.cli.labels import read_labels
        >>> read_labels(Path("labels.txt"))  # doctest: +SKIP
        ('cat', 'dog')
    """
    text = _read_text(path)
    labels = _from_json(path, text) if text.lstrip()[:1] in ("[", "{") else _from_lines(text)
    if not labels:
        raise InputError(f"Expected {_FORMS}. Received: {path}, which is empty.")
    return labels


def labels_for(model: keras.Model, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Check labels against a model's classes, or find out what they are without them.

    Args:
        model: A model; one whose outputs are not plain classes is not checked.
        labels: Class names that were given, or None.

    Returns:
        The labels; those of ImageNet when none were given for 1000 classes; otherwise None.

    Raises:
        InputError: Their number is wrong.
    """
    count = class_count(model)
    if labels is None:
        from kerasviz.samples.labels import usual_labels

        return usual_labels(count)
    if count not in (None, len(labels)):
        raise InputError(
            f"Expected {count} labels, one a class of the model. Received: {len(labels)}. "
            "Name the file that was written for this model."
        )
    return labels


def class_count(model: keras.Model) -> int | None:
    """How many classes a model tells apart; None when its outputs are not plain classes."""
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        return None
    return 2 if shape[1] == 1 else int(shape[1])


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"Expected a file of labels. Cannot read {path}: {reason}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"Expected a text file of labels. {path} is not UTF-8 text.") from error


def _from_lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {_FORMS}. {path} is broken JSON: {error}.") from error
    values = _ordered(content) if isinstance(content, dict) else content
    if values is None:
        raise InputError(
            f"Expected {_FORMS}, of classes 0, 1, 2 and so on. Received: {path}, whose indices "
            "are not numbers or leave some out."
        )
    return tuple(_label(path, value) for value in values)


def _ordered(content: dict[str, Any]) -> list[Any] | None:
    if content and all(type(value) is int for value in content.values()):
        content = {str(index): label for label, index in content.items()}
    expected = [str(index) for index in range(len(content))]
    return [content[index] for index in expected] if content.keys() == set(expected) else None


def _label(path: Path, value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[-1]
    if not isinstance(value, str):
        raise InputError(f"Expected {_FORMS}. Received: {path}, which holds {value!r} as a label.")
    return value.strip()
