"""When the user's model raises: its own error, or one that says which inputs made it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.probe.backend.compiled import Form
from kerasviz.probe.inputs import Declared, shown


class ModelError(Exception):
    """The model raised an error while it ran; `__cause__` is that error."""


@contextlib.contextmanager
def blaming_inputs(model: keras.Model, taken: Declared | None, form: Form) -> Iterator[None]:
    """Within this context a `ModelError` on inputs that the model left open is an `InputError`.

    On inputs that are just what the model declares, the model's own error is raised.

    Args:
        model: The user's model.
        taken: What the model declares; None where it declares nothing.
        form: Structure, shapes and dtypes on which it runs.
    """
    try:
        yield
    except ModelError as failure:
        cause: Any = failure.__cause__
        if taken is not None and _is_just(taken, form):
            raise cause from None
        received = [f"{s} {d}" for s, d in zip(map(shown, form.shapes), form.dtypes, strict=True)]
        raise InputError(
            f"`inputs` must be of a size and dtype that '{model.name}' can run on"
            f"{_built_at(taken)}. Received: {', '.join(received)}, on which it raised "
            f"{type(cause).__name__}: {gist(cause)} Give what it was trained on; "
            "`model(inputs)` shows the whole error."
        ) from cause


def _is_just(taken: Declared, form: Form) -> bool:
    """Whether the inputs are what the model declares, to the last size."""
    is_sized = all(slot.is_sized for slot in taken.slots)
    return is_sized and taken.form.shapes == form.of_size(None).shapes


def _built_at(taken: Declared | None) -> str:
    return f", such as {', '.join(shown(slot.shape) for slot in taken.slots)}" if taken else ""


def gist(error: BaseException) -> str:
    """The first line of an error that says something, without Keras's frame around it."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    told = [line.strip() for line in lines if line.strip()]
    told = [line for line in told if not line.startswith("Exception encountered")]
    return (told[0] if told else "no message").rstrip(".")[:300] + "."
