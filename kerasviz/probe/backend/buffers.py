"""The numbers of a variable, looked at where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def view(tensor: Any) -> np.ndarray | None:
    """A read-only array on the memory of a tensor or variable; None where NumPy lacks its dtype.

    What another device holds is copied once.
    """
    try:
        return np.asarray(memoryview(tf.convert_to_tensor(tensor)))
    except (TypeError, ValueError, BufferError):
        return None
