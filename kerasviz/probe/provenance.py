"""Where a result comes from."""

from __future__ import annotations

import datetime
import importlib.metadata
from typing import Any

import keras

import kerasviz


def provenance(model: keras.Model) -> dict[str, Any]:
    """Versions, name of the model, and the time now."""
    return {
        "kerasviz": kerasviz.__version__,
        "keras": keras.__version__,
        "tensorflow": importlib.metadata.version("tensorflow"),
        "model": model.name,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
