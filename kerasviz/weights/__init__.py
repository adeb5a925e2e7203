"""What a model is made of: summaries, factors, banding and expanded weights, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    pass

_HOMES: dict[str, str] = {}

__all__: list[str] = []

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
