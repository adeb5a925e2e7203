"""Going through a data set of any size by Keras's `evaluate`, updating metrics of our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.probe.backend import replicas
from kerasviz.probe.inputs import Batch
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops

KEY = "statistics"


class Evaluation(Wrapper):
    """Updates metrics with what the model does on each batch, by Keras's `evaluate`.

    Nothing is kept of a batch but what the metrics keep. Built under a strategy's scope it runs on
    all replicas. A subclass implements `prepare`, and `compute`, which updates the metrics in the
    graph and returns no tensors. On several replicas its feeds are the number of samples, which
    may be 0: then the inputs hold one sample of zeros that must not count.
    """

    def __init__(self, model: keras.Model, name: str | None = None) -> None:
        super().__init__(model, name=name)
        self.compile(optimizer=None, jit_compile=False)

    def prepare(self, batch: Batch | None) -> bool:
        """Make the metrics, if they are not there yet, from a batch or from what the model says.

        Returns:
            Whether the metrics are there.
        """
        raise NotImplementedError

    def go_through(self, dataset: Any, batch_size: int, verbose: Any) -> None:
        """Show all of a data set to the metrics, which are not reset.

        Args:
            dataset: Arrays, or anything that `evaluate` takes; targets and weights are ignored.
            batch_size: Samples run at once when `dataset` holds arrays.
            verbose: Keras's progress bar: "auto", 0, 1 or 2.

        Raises:
            InputError: The data set is empty, or holds what does not fit the model.
        """
        self._follow()
        if not self.prepare(None) and self._has_replicas:
            raise InputError(
                "`model` must say what it takes to run on several replicas. Received: "
                f"'{self.model.name}', which does not. Call it once on a batch before."
            )
        settings = {"batch_size": batch_size, "verbose": verbose}
        self._gone_through(self.evaluate, dataset, settings)
        if not self._batches.count and not self._has_replicas:
            raise InputError(
                "`dataset` must hold at least one batch. Received: an empty one. "
                "A generator can be gone through only once."
            )

    def refresh(self) -> None:
        """Forget what was traced, and look at the model anew."""
        super().refresh()
        self.test_function: Any = None

    @property
    def metrics(self) -> list[Any]:
        """None that Keras may reset or report: neither ours nor the model's own."""
        return []

    def get_metrics_result(self) -> dict[str, Any]:
        """Keras's hook: nothing to show beside the progress bar."""
        return {}

    def make_test_function(self, force: bool = False) -> Any:
        """Keras's hook: without a distribution strategy, batches go to the compiled function."""
        self._follow()
        if self._has_replicas:
            return super().make_test_function(force)
        self.test_function = self._test_batch
        return self.test_function

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Keras's hook: nothing is left to build.

        Keras would take a batch out of the data for it, and fail where the replicas' parts of it
        have different sizes.
        """

    def _test_batch(self, iterator: Iterator[Any]) -> dict[str, Any]:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(next(iterator))
        self._batches.count += 1
        batch = self.batch(x, finite=False)
        self.prepare(batch)
        self.evaluate_trace(self.traced(KEY, batch), batch)
        return {}

    def test_step(self, data: Any) -> dict[str, Any]:
        """One batch of `evaluate` on one of several replicas."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        count = ops.shape(keras.tree.flatten(x)[0])[0]
        x = keras.tree.map_structure(replicas.never_empty, x)
        self.computed_in_graph(KEY, x, (count,))
        return {"samples": ops.cast(count, "float32")}
