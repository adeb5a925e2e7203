"""Steps repeated inside one graph."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf

from kerasviz.probe.backend.loop import Loop


def test_many_loops_are_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    """TensorFlow takes loops made by the same lines for one function that is traced over again."""
    total = tf.Variable(0.0)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        found = [Loop(lambda: total.assign_add(1.0)[None], 1)(2) for _ in range(8)]
    np.testing.assert_array_equal(np.concatenate(found)[:, 0], np.arange(1, 17))
    assert "retracing" not in caplog.text


def test_a_loop_is_traced_once() -> None:
    traces = []
    loop = Loop(lambda: tf.zeros(1) + len(traces) if not traces.append(0) else None, 1)
    for count in (1, 3, 2):
        assert loop(count).tolist() == [[1.0]] * count
    assert len(traces) == 1
