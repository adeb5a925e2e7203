"""What a unit can see: receptive fields, theoretical and effective, their pictures and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.receptive_fields.theory import ReceptiveFields, theoretical

_HOMES: dict[str, str] = {
    "ReceptiveFields": "theory",
    "theoretical": "theory",
}

__all__: list[str] = ["ReceptiveFields", "theoretical"]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
