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
            "gradients/block1/a/kernel/norm": [6e-6] * 5,
            "gradients/block1/b/kernel/norm": [8e-6] * 5,
            "gradients/block2/a/kernel/norm": [1e-2] * 5,
            "gradients/head/kernel/norm": [1.0] * 5,
            "gradients/head/bias/norm": [1e9] * 5,
        },
    )
    dead, flow = kv.dynamics.advice(run)
    assert str(dead) == "layer4/conv: 61% dead units since epoch 3."
    assert str(flow) == (
        "Gradients of the first block (block1) are 1e-05 of those of the last (head) since epoch "
        "0, most of it between block1 and block2."
    )
    assert flow.value == pytest.approx(1e-5)
    assert list(flow.curve) == pytest.approx([1e-5] * 5)


def test_blocks_of_a_flat_model_are_told_by_their_names(tmp_path) -> None:
    def column(layer):
        return f"gradients/{layer}/kernel/norm"

    norms = {"conv1_block_2_expand": 3.0, "conv1_block_2_project": 4.0, "conv1_block_10a": 5e-4}
    run = written(tmp_path, {column(layer): [norm] for layer, norm in norms.items()})
    [flow] = kv.dynamics.advice(run)
    assert flow.value == pytest.approx(1e4)
    assert "(conv1_block_2) are 1e+04" in str(flow)
    assert "(conv1_block_10a)" in str(flow)


def test_a_watcher_that_looks_every_few_batches(tmp_path) -> None:
    name, both = "activations/{a}/dead_units", "activations/b/dead_units"
    with kv.dynamics.RunWriter(tmp_path) as writer:
        for step, share in ((0, 0.1), (4, 0.7), (8, 0.8)):
            writer.write_step(step, {name: share, both: share}, epoch=0)
        writer.write_epoch(0, {both: 0.0, "loss": 1.0})
    [found] = kv.dynamics.advice(kv.dynamics.Run(tmp_path))
    assert str(found) == "{a}: 80% dead units since step 4."
    assert (found.unit, found.since, found.scalar) == ("step", 4, name)
    assert found.curve.to_dict() == {0: 0.1, 4: 0.7, 8: 0.8}


def test_what_a_model_was_before_training_is_no_advice(tmp_path) -> None:
    with kv.dynamics.RunWriter(tmp_path) as writer:
        writer.write_step(0, {"activations/a/dead_units": 1.0}, epoch=0)
        writer.write_epoch(0, {"loss": 1.0})
    assert kv.dynamics.advice(kv.dynamics.Run(tmp_path)) == []
