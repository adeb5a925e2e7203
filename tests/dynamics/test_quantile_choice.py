"""Quantiles of the table."""

from __future__ import annotations

import numpy as np
import pytest

from kerasviz.dynamics.statistics import Settings, reading_of
from tests.reference.distributions import quantile


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_quantiles_come_from_whichever_knows_better(shift: float) -> None:
    values = shift + np.random.default_rng(0).standard_t(1.5, 3000)
    row = reading_of(Settings()).of_values(values).row
    for q in (0.01, 0.25, 0.5, 0.75, 0.99):
        true = quantile(values, q)
        limit = min(abs(true) / 128, np.ptp(values) / 32)
        assert abs(row[f"q{100 * q:g}"] - true) <= limit * (1 + 1e-6)
