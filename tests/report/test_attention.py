"""Sentences about weights and gates say what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kerasviz.attention.gate_statistics import GateStatistics
from kerasviz.report.attention import gates_in_words, weights_in_words


def _weights(**settings: float) -> pd.DataFrame:
    row = {
        "count": 100,
        "mean": 0.07,
        "mean_low": 0.06,
        "mean_high": 0.08,
        "std": 0.25,
        "share_positive": 0.61,
        "sign_test": 1e-6,
        "depth": 11.0,
        "compound": 1.07**11,
        "shift_test": 0.5,
    }
    index = pd.MultiIndex.from_tuples([("semi-local", "kernel")])
    return pd.DataFrame([{**row, **settings}], index=index)


def test_which_way_weights_lean() -> None:
    (said,) = weights_in_words(_weights())
    assert said.startswith("semi-local kernel leans up: mean 0.07 [0.06, 0.08]; 61.0% positive")
    assert "(1 + mean)^11 = 2.1 " in said
    assert "initializer" not in said
    (said,) = weights_in_words(_weights(mean=-0.07, mean_low=-0.08, mean_high=-0.06))
    assert "leans down" in said
    (said,) = weights_in_words(_weights(mean_low=-0.01))
    assert "leans neither way" in said
    assert "^11" not in said
    (said,) = weights_in_words(_weights(shift_test=1e-5, depth=np.nan))
    assert "initializer" in said
    assert "^" not in said
    (said,) = weights_in_words(_weights(std=0.0, mean=0.0))
    assert said == "semi-local kernel: all 100 weights are 0."


def test_what_is_remarkable_about_gates() -> None:
    table = pd.DataFrame(
        {
            "low": [0.0, 0.5, 0.0],
            "high": [1.0, 0.75, 1.0],
            "between_inputs": [0.005, 0.003, 0.2],
            "closed": [0.0, 0.1, 0.9],
            "open": [0.8, 0.0, 0.0],
        },
        index=["a", "b", "c"],
    )
    still, shut, wide = gates_in_words(GateStatistics(table, {}, {}, {}, 5, {}))
    assert still.startswith("a:")
    assert shut.startswith("c:")
    assert wide.startswith("a:")
    assert len(gates_in_words(GateStatistics(table, {}, {}, {}, 1, {}))) == 2
