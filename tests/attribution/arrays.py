"""Small helpers shared by the tests of the explainers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.models import Case


def target_of(case: Case) -> Any:
    """The target that stands for the unit the references explain; one sigmoid unit is class 1."""
    return 1 if case.final == "sigmoid" and case.num_units == 1 else case.target


def spatial_maps(case: Case, maps: Any) -> list[np.ndarray]:
    """The maps of the spatial inputs, in the order of the flattened inputs."""
    if not isinstance(maps, dict):
        return [maps]
    return [m for m in maps.values() if m.ndim > 2]
