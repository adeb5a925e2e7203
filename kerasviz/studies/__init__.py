"""Experiments as functions: what they need is made or bundled, what they find is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.studies.initializer_study import initializer_network, initializers

_HOMES = {
    "initializer_network": "initializer_study",
    "initializers": "initializer_study",
}

__all__ = ["initializer_network", "initializers"]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
