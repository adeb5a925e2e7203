"""Experiments as functions: what they need is made or bundled, what they find is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.studies.field_study import receptive_fields, retina_variants
    from kerasviz.studies.field_study_result import FieldStudy
    from kerasviz.studies.initializer_study import initializer_network, initializers
    from kerasviz.studies.retina_network import retina

_HOMES = {
    "FieldStudy": "field_study_result",
    "initializer_network": "initializer_study",
    "initializers": "initializer_study",
    "receptive_fields": "field_study",
    "retina": "retina_network",
    "retina_variants": "field_study",
}

__all__ = [
    "FieldStudy",
    "initializer_network",
    "initializers",
    "receptive_fields",
    "retina",
    "retina_variants",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
