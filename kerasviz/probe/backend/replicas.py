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


def never_empty(tensor: Any) -> Any:
    """The samples that came to this replica; one of zeros where none did, as happens with a last
    batch that is smaller than the number of replicas: not every layer can take none."""
    missing = tf.maximum(1 - tf.shape(tensor)[:1], 0)
    more = tf.zeros(tf.concat([missing, tf.shape(tensor)[1:]], 0), tensor.dtype)
    return tf.ensure_shape(tf.concat([tensor, more], 0), [None, *tensor.shape[1:]])


def all_or_none(tensor: Any, num_samples: Any) -> Any:
    """A tensor, or an empty one where there are no samples."""
    return tensor[: tf.where(num_samples > 0, tf.shape(tensor)[0], 0)]
