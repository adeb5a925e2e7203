"""What a unit can see: receptive fields, theoretical and effective, their pictures and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.receptive_fields.description import describe, draw_fits, plot_fits
    from kerasviz.receptive_fields.development import Development
    from kerasviz.receptive_fields.effective import EffectiveField
    from kerasviz.receptive_fields.effective_measuring import EffectiveReceptiveField
    from kerasviz.receptive_fields.gradient_fields import GradientReceptiveField, maps
    from kerasviz.receptive_fields.nonlinearity import complexity, linearity
    from kerasviz.receptive_fields.theory import ReceptiveFields, theoretical
    from kerasviz.receptive_fields.triggered import triggered_average
    from kerasviz.receptive_fields.unit_fields import UnitFields

_HOMES = {
    "Development": "development",
    "EffectiveField": "effective",
    "EffectiveReceptiveField": "effective_measuring",
    "GradientReceptiveField": "gradient_fields",
    "ReceptiveFields": "theory",
    "UnitFields": "unit_fields",
    "complexity": "nonlinearity",
    "describe": "description",
    "draw_fits": "description",
    "linearity": "nonlinearity",
    "maps": "gradient_fields",
    "plot_fits": "description",
    "theoretical": "theory",
    "triggered_average": "triggered",
}

__all__ = [
    "Development",
    "EffectiveField",
    "EffectiveReceptiveField",
    "GradientReceptiveField",
    "ReceptiveFields",
    "UnitFields",
    "complexity",
    "describe",
    "draw_fits",
    "linearity",
    "maps",
    "plot_fits",
    "theoretical",
    "triggered_average",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
