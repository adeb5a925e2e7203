"""Where a result comes from."""

from __future__ import annotations

import datetime
import importlib.metadata
from typing import Any

import keras

import kerasviz


def provenance(model: keras.Model | None = None) -> dict[str, Any]:
    """Versions, name of the model if there is one, and the time now."""
    return {
        "kerasviz": kerasviz.__version__,
        "keras": keras.__version__,
        "tensorflow": importlib.metadata.version("tensorflow"),
        **({} if model is None else {"model": model.name}),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
