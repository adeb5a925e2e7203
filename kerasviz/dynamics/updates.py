"""What a step of training did to each weight: from the weights before and after it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.probe.trainable import trainable_weights

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("weight_norm", "norm", "ratio", "cosine")
Values = dict[str, np.ndarray]


class UpdateReader:
    """Reads how far a step moved each trainable weight, exactly: weights after minus before.

    Args:
        model: Any built Keras 3 model; not altered.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    updates = kv.dynamics.UpdateReader(model)
    updates.before()
    model.train_on_batch(images, labels)
    print(updates.after()["ratio"])
    ```
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._before: Values | None = None
        self._previous: Values | None = None

    def before(self) -> None:
        """Remember the weights before a step."""
        self._before = self._values()

    def skip(self) -> None:
        """A step passes that is not read: the next one has no predecessor."""
        self._before = self._previous = None

    def after(self) -> pd.DataFrame:
        """What the step did: index address; of a step that was not begun, no rows.

        Returns:
            `weight_norm` before the step, `norm` of the update, their `ratio` (NaN for a weight
            of zeros), and `cosine` with the update of the step before (NaN where that was not
            read, or nothing moved).
        """
        import pandas as pd

        if self._before is None:
            return pd.DataFrame(columns=[*COLUMNS], dtype="float64")
        before, now = self._before, self._values()
        updates = {a: value - before[a] for a, value in now.items() if a in before}
        rows = [self._row(before[a], update, a) for a, update in updates.items()]
        self._previous, self._before = updates, None
        index = pd.Index([*updates], name="address", dtype="object")
        return pd.DataFrame(rows, columns=[*COLUMNS], index=index, dtype="float64")

    def _row(self, weight: np.ndarray, update: np.ndarray, address: str) -> tuple[float, ...]:
        size, moved = _norm(weight), _norm(update)
        ratio = moved / size if size > 0 else math.nan
        earlier = (self._previous or {}).get(address)
        if earlier is None or not moved > 0 or not _norm(earlier) > 0:
            return size, moved, ratio, math.nan
        cosine = float(np.vdot(earlier, update)) / (moved * _norm(earlier))
        return size, moved, ratio, float(np.clip(cosine, -1.0, 1.0))

    def _values(self) -> Values:
        return {address: _values(v) for address, v in trainable_weights(self._model).items()}


def _values(variable: Any) -> np.ndarray:
    tensor = keras.ops.convert_to_tensor(variable)
    return np.array(keras.ops.convert_to_numpy(tensor), "float64").reshape(-1)


def _norm(values: np.ndarray) -> float:
    return float(np.sqrt(np.vdot(values, values)))
