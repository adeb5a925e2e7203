"""Settings that a user writes, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasviz.errors import InputError


def whole(value: Any, name: str, least: int = 1) -> int:
    """A setting that is a whole number from `least` on.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"`{name}` must be a whole number from {least} on. Received: {value!r}.")
    return int(value)
