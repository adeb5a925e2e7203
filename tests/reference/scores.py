"""The explained number, one per sample: a logit, from a twin of the model with a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.models import Case

Index = int | Sequence[int]


def index_of(index: Index, sample: int) -> int:
    """The unit that is explained for one sample: `index` itself or its element."""
    return index if isinstance(index, int) else int(index[sample])


def num_samples(case: Case) -> int:
    """The batch size of the case's inputs."""
    return len(keras.tree.flatten(case.inputs)[0])


def sample_of(inputs: Any, sample: int) -> Any:
    """A batch of one: the given sample of every array in `inputs`."""
    return keras.tree.map_structure(lambda array: array[sample : sample + 1], inputs)


def explained_output(case: Case, outputs: Any) -> tf.Tensor:
    """The explained one of a model's outputs, shape `(batch, ..., units)`."""
    return outputs if case.output is None else outputs[case.output]


def unit_score(case: Case, outputs: Any, index: int) -> tf.Tensor:
    """The score of a batch of one: one unit, averaged over the pixels if there are any."""
    return tf.reduce_mean(tf.cast(explained_output(case, outputs)[..., index], tf.float64))


def logits(case: Case) -> np.ndarray:
    """What the explained output is before its final activation, shape `(batch, ..., units)`."""
    outputs = explained_output(case, case.linear_model(case.inputs, training=False))
    return keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))


def scores(case: Case, index: Index) -> np.ndarray:
    """The score of each sample, shape `(batch,)`."""
    values = logits(case)
    return np.array([values[i, ..., index_of(index, i)].mean() for i in range(len(values))])


def activated(case: Case, values: np.ndarray) -> np.ndarray:
    """`values` after the case's final activation, in NumPy."""
    if case.final == "softmax":
        exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)
    return 1 / (1 + np.exp(-values)) if case.final == "sigmoid" else values
