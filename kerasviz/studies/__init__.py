"""Experiments as functions: what they need is made or bundled, what they find is returned."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasviz.studies.initializer_study import initializer_network, initializers

_HOMES = {
    "initializer_network": "initializer_study",
    "initializers": "initializer_study",
}

__all__ = ["initializer_network", "initializers"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
