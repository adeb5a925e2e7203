"""Names of layers that TensorFlow's graphs do not take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasviz.probe.patches import Patch

NOT_TAKEN = re.compile(r"[^A-Za-z0-9_./-]")


def _tamed(original: Callable[..., Any]) -> Callable[..., Any]:
    def begin(self: Any, name: Any, *rest: Any) -> None:
        if isinstance(name, str) and tf.inside_function():
            name = NOT_TAKEN.sub("_", name)
            name = name if name[:1] not in {"_", "/", "-"} else f"n{name}"
        original(self, name, *rest)

    return begin


tamed_scopes = Patch(tf.name_scope, "__init__", _tamed)
"""While on, a layer may go by any name ("my conv") in a graph that is being built.

Keras puts each layer in a scope of its name. TensorFlow refuses some, and Keras, thus interrupted,
leaves its own scope open: every variable made later in the process would be named below it.
"""
