"""What a unit can see: receptive fields, theoretical and effective, their pictures and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.receptive_fields.description import describe, draw_fits, plot_fits
    from kerasviz.receptive_fields.nonlinearity import complexity, linearity

_HOMES: dict[str, str] = {
    "complexity": "nonlinearity",
    "describe": "description",
    "draw_fits": "description",
    "linearity": "nonlinearity",
    "plot_fits": "description",
}

__all__ = ["complexity", "describe", "draw_fits", "linearity", "plot_fits"]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
