"""Going through a data set of any size, keeping only what is asked for."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.errors import MethodError
from kerasviz.probe.inputs import Batch
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops


class Stream(Wrapper):
    """Goes through a data set batch by batch, by Keras's `predict`, and keeps only what `take`
    keeps of each batch."""

    def take(self, batch: Batch) -> None:
        """Look at one batch."""
        raise NotImplementedError

    def take_labelled(self, batch: Batch, labels: Any) -> None:
        """Look at one batch with its labels, None where the data set has none."""
        self.take(batch)

    def go_through(self, dataset: Any, batch_size: int, verbose: Any) -> int:
        """Show all of a data set to `take`; how many samples it held.

        Args:
            dataset: Arrays, or anything that `predict` takes.
            batch_size: Samples run at once when `dataset` holds arrays.
            verbose: Keras's progress bar: "auto", 0, 1 or 2.

        Raises:
            InputError: The data set is empty, or holds what does not fit the model.
        """
        self._count = 0
        self.predict(dataset, batch_size=batch_size, verbose=verbose)
        return self._count

    def make_predict_function(self, force: bool = False) -> Any:
        """Keras's hook: what is kept is kept here, so one device looks at all batches."""
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise MethodError(
                "Expected one device. Received: a distribution strategy of "
                f"{self.distribute_strategy.num_replicas_in_sync}. Call it outside of the "
                "strategy's scope."
            )
        return super().make_predict_function(force)

    def predict_step(self, data: Any) -> Any:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch(x)
        self.take_labelled(batch, y)
        self._count += batch.size
        return ops.zeros((batch.size, 1))
