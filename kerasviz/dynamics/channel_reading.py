"""Goes through a data set and measures the gradient in the channels of a model's convolutions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.dynamics.channel_loss import ChannelLoss
from kerasviz.dynamics.sample_statistics import Columns, Reservoir
from kerasviz.errors import InputError, KerasvizWarning, MethodError
from kerasviz.probe import addresses, convolutions, settings
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import channel_flow, compiled
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.stream import Stream

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.absorption import ChannelGradients

MEASURES = {"paper": channel_flow.pair_flow, "code": channel_flow.channel_flow}
QUANTITIES = ("absorption", "emission")


class ChannelGradientReader(Stream):
    """Measures absorption and emission as often as asked, compiled once.

    Args:
        model: Any built Keras 3 model; not altered.
        definition: "paper" or "code"; see `kv.dynamics.channel_gradients`, as for all others.
        layers: Addresses, layer objects or indices; None for all.
        loss: What is differentiated.
        batch_statistics: Let batch normalization use the statistics of each sample.
    """

    def __init__(
        self,
        model: keras.Model,
        definition: str = "paper",
        layers: Any = None,
        loss: Any = None,
        batch_statistics: bool = False,
    ) -> None:
        if not isinstance(definition, str) or definition not in MEASURES:
            raise InputError(
                f'`definition` must be "paper" or "code". Received: {definition!r}. '
                "See `kv.dynamics.channel_gradients`."
            )
        super().__init__(model)
        self._asked = _Asked(model, definition, layers, loss, bool(batch_statistics))

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        asked = self._asked
        record = run(self.model, inputs, batch_statistics=asked.batch_statistics)
        found = convolutions.find(record)
        chosen = found.of_layers(record, asked.layers)
        values, learned = asked.loss.values(record, key[1], feeds)
        gradients = record.gradients(values, [one.convolution.output for one in chosen])
        result, deaf = {}, []
        for one, gradient in zip(chosen, gradients, strict=True):
            if gradient is None:
                deaf.append(one.address)
                continue
            emission, absorption = MEASURES[asked.definition](one.convolution, gradient)
            result[f"absorption/{one.address}"] = absorption
            result[f"emission/{one.address}"] = emission
        if deaf and (asked.layers is not None or not result):
            raise MethodError(
                "`layers` must be convolutions that the loss depends on. Received: "
                f"{', '.join(map(repr, deaf[:3]))}. Choose others, or another `loss`."
            )
        beyond = () if asked.layers is not None else (*found.beyond, *deaf)
        return result, (learned, beyond)

    def take_labelled(self, batch: Batch, labels: Any) -> None:
        if not self._asked.batch_statistics:
            return self._take(batch, labels)
        for n in range(batch.size):
            alone = Batch([x[n : n + 1] for x in batch.flat], batch.form, batch.names, 1)
            self._take(alone, None if labels is None else labels[n : n + 1])
        return None

    def _take(self, batch: Batch, labels: Any) -> None:
        asked, seen = self._asked, self._seen
        key = ("channel gradients", labels is not None)
        trace = self.traced(key, batch, _tensors(asked.loss.placeholders(labels, batch.size)))
        learned, seen.beyond = trace.info
        feeds = asked.loss.feeds(labels, learned, batch.size)
        found = self.evaluate_trace(trace, batch, _tensors(feeds))
        places = seen.reservoir.places(batch.size)
        for name, values in found.items():
            _check_finite(name, values)
            seen.columns.setdefault(name, Columns()).add(values, places)

    def read(
        self,
        dataset: Any,
        batch_size: int = 8,
        verbose: Any = "auto",
        num_kept: int = 1000,
        seed: int = 0,
    ) -> ChannelGradients:
        """Absorption and emission over a data set.

        Args:
            dataset: As for `kv.dynamics.channel_gradients`, and so are the next two.
            batch_size: Samples run at once.
            verbose: Keras's progress bar.
            num_kept: How many samples are kept.
            seed: Of the choice which.

        Warns:
            KerasvizWarning: No gradient reaches any of the convolutions.
        """
        from kerasviz.dynamics.absorption import ChannelGradients

        size = settings.whole(batch_size, "batch_size")
        kept = settings.whole(num_kept, "num_kept")
        self._seen = seen = _Seen(Reservoir(kept, settings.whole(seed, "seed", 0)))
        count = self.go_through(_batches(self._taken, dataset, size), size, verbose)
        table = _table(seen.columns)
        if not table[[f"{quantity}_max" for quantity in QUANTITIES]].any(axis=None):
            warnings.warn(_nothing(self._asked), KerasvizWarning, stacklevel=2)
        kept_by = {q: _kept(seen.columns, q) for q in QUANTITIES}
        return ChannelGradients(
            table=table,
            absorption=kept_by["absorption"],
            emission=kept_by["emission"],
            definition=self._asked.definition,
            loss=str(self._asked.loss),
            batch_statistics=self._asked.batch_statistics,
            count=count,
            beyond=seen.beyond,
            provenance=provenance(self.model),
        )


class _Asked:
    """The settings, out of reach of Keras's attribute tracking."""

    def __init__(
        self, model: keras.Model, definition: str, layers: Any, loss: Any, batch_statistics: bool
    ) -> None:
        self.definition = definition
        self.layers = _addresses(model, layers)
        self.loss = ChannelLoss(loss)
        self.batch_statistics = batch_statistics


class _Seen:
    """What was measured so far."""

    def __init__(self, reservoir: Reservoir) -> None:
        self.reservoir = reservoir
        self.columns: dict[str, Columns] = {}
        self.beyond: tuple[str, ...] = ()


class _Labelled(keras.utils.PyDataset):
    """Arrays with labels, batch by batch."""

    def __init__(self, inputs: Any, labels: np.ndarray, batch_size: int) -> None:
        super().__init__()
        self._inputs = inputs
        self._labels = labels
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[Any, np.ndarray]:
        part = slice(number * self._batch_size, (number + 1) * self._batch_size)
        inputs = keras.tree.map_structure(lambda x: x[part], self._inputs)
        return inputs, self._labels[part]


def _batches(taken: Any, dataset: Any, batch_size: int) -> Any:
    """A tuple of inputs and labels as batches of both; all else as it is."""
    if not isinstance(dataset, tuple):
        return dataset
    if len(dataset) != 2:
        raise InputError(
            "`dataset` must be inputs, or a tuple of inputs and labels. Received: a tuple of "
            f"{len(dataset)}. Give several inputs as a list or a dict."
        )
    inputs, labels = probe_inputs.rows(taken, dataset[0]), np.asarray(dataset[1])
    sizes = {len(x) for x in keras.tree.flatten(inputs)}
    if not labels.ndim or sizes != {len(labels)}:
        came = labels.shape[0] if labels.ndim else "a number"
        raise InputError(
            f"Labels must be one per sample ({', '.join(map(str, sorted(sizes)))}). "
            f"Received: {came}. Give several inputs as a list or a dict, not as a tuple."
        )
    return _Labelled(inputs, labels, batch_size)


def _addresses(model: keras.Model, layers: Any) -> tuple[str, ...] | None:
    if layers is None:
        return None
    alone = isinstance(layers, (str, int, np.integer, keras.Operation))
    found = tuple(addresses.to_address(model, x) for x in ([layers] if alone else layers))
    if not found:
        raise InputError(
            "`layers` must name at least one layer. Received: none. Pass None for all."
        )
    return found


def _tensors(arrays: Sequence[np.ndarray]) -> list[Any]:
    return [compiled.as_tensor(array, array.dtype.name) for array in arrays]


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        quantity, _, address = name.partition("/")
        raise MethodError(
            f"Expected finite gradients at {address!r}. Received: {quantity} that is NaN or "
            "infinite. Look for NaN in the model's weights, or for a loss that is not finite."
        )


def _nothing(asked: _Asked) -> str:
    way_out = "Look for a loss that is constant, and for ReLUs that never answer."
    if asked.batch_statistics:
        way_out = (
            "By its own statistics a map of one position has no gradient: give larger images, or "
            "leave `batch_statistics` out."
        )
    return f"Expected gradient in some convolution. Received: zero in all of them. {way_out}"


def _layers(columns: dict[str, Columns]) -> Iterator[str]:
    for name in columns:
        quantity, _, address = name.partition("/")
        if quantity == QUANTITIES[0]:
            yield address


def _kept(columns: dict[str, Columns], quantity: str) -> dict[str, np.ndarray]:
    return {address: columns[f"{quantity}/{address}"].kept for address in _layers(columns)}


def _table(columns: dict[str, Columns]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([_rows(columns, address) for address in _layers(columns)], ignore_index=True)


def _rows(columns: dict[str, Columns], address: str) -> pd.DataFrame:
    import pandas as pd

    parts = {}
    for quantity in QUANTITIES:
        for name, values in columns[f"{quantity}/{address}"].described().items():
            parts[f"{quantity}_{name}" if name else quantity] = pd.Series(values)
    table = pd.DataFrame(parts)
    table.insert(0, "channel", np.arange(len(table)))
    table.insert(0, "layer", address)
    first = ["layer", "channel", *QUANTITIES]
    return table[[*first, *(name for name in table if name not in first)]]
