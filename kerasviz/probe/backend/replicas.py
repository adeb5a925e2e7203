"""Which replica of a distribution strategy this code runs on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def count() -> int:
    """Number of replicas of the strategy in whose scope this is called; 1 without any."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def own_number() -> Any:
    """Number of the replica that runs this code; None for code that speaks for all of them."""
    context = tf.distribute.get_replica_context()
    return None if context is None else context.replica_id_in_sync_group
