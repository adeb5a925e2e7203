"""Each rule speaks beyond its threshold, and is silent below it."""

from __future__ import annotations

import math

import pytest

import kerasviz as kv

NAN = math.nan
CASES = {
    "dead": ("activations/layer4/conv/dead_units", [0.1, 0.6, 0.61], "dead units", 1),
    "dead-again": ("activations/a/dead_units", [0.9, 0.1, 0.5], "dead units", 2),
    "saturated": ("activations/a/saturation", [0.7, 0.5], "saturated", 0),
    "nan-loss": ("loss", [1.0, NAN, NAN], "not finite", 1),
    "nan-weights": ("weights/a/kernel/not_finite", [0, 0, 3], "not finite", 2),
    "no-gradient": ("gradients/a/bias/norm", [1.0, 0.0], "no gradient", 1),
    "small": ("updates/a/kernel/ratio", [1e-3, 9e-5], "small updates", 1),
    "large": ("updates/a/kernel/ratio", [1.1e-2, 2e-2], "large updates", 0),
    "rising": ("loss", [2.0, 1.0, 1.06, 1.1, 1.2], "rising loss", 2),
    "overfitting": ("val_loss", [1.0, 1.2, 1.2, 1.2], "rising validation loss", 1),
}
SILENT = {
    "alive": ("activations/a/dead_units", [0.9, 0.49]),
    "ratio": ("updates/a/kernel/ratio", [1e-5, 1e-3]),
    "ratio-of-bias": ("updates/a/bias/ratio", [0.5, 0.5]),
    "frozen": ("updates/a/kernel/ratio", [0.0, 0.0]),
    "falling": ("loss", [3.0, 2.0, 1.0, 0.5]),
    "briefly": ("loss", [3.0, 1.0, 1.2, 1.2]),
    "wobbling": ("loss", [1.0, 1.04, 1.04, 1.04]),
    "not-a-gradient": ("weights/a/kernel/norm", [0.0, 0.0]),
}


def written(folder, columns) -> kv.dynamics.Run:
    with kv.dynamics.RunWriter(folder) as writer:
        for epoch in range(len(next(iter(columns.values())))):
            writer.write_epoch(epoch, {name: values[epoch] for name, values in columns.items()})
    return kv.dynamics.Run(folder)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_speaks(name, tmp_path) -> None:
    scalar, values, rule, since = CASES[name]
    [found] = kv.dynamics.advice(written(tmp_path, {scalar: values}))
    assert (found.rule, found.scalar, found.since) == (rule, scalar, since)
    assert found.value == values[-1] or math.isnan(values[-1])
    assert str(since) in str(found)


@pytest.mark.parametrize("name", SILENT)
def test_and_is_silent_else(name, tmp_path) -> None:
    scalar, values = SILENT[name]
    assert kv.dynamics.advice(written(tmp_path, {scalar: values})) == []


def test_the_words_of_the_issue(tmp_path) -> None:
    run = written(
        tmp_path,
        {
            "activations/layer4/conv/dead_units": [0.1, 0.2, 0.4, 0.6, 0.61],
            "gradients/block1/kernel/norm": [1e-5] * 5,
            "gradients/block2/kernel/norm": [1e-2] * 5,
            "gradients/head/kernel/norm": [1.0] * 5,
            "gradients/head/bias/norm": [1e9] * 5,
        },
    )
    dead, flow = map(str, kv.dynamics.advice(run))
    assert dead == "layer4/conv: 61% dead units since epoch 3."
    assert flow == (
        "Gradients of the first weight (block1/kernel) are 1e-05 of those of the last "
        "(head/kernel) since epoch 0."
    )
