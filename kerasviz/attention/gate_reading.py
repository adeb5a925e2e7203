"""Going through data and reading the gates of each batch."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.attention.gate_statistics import GateStatistics
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import gates as probe_gates
from kerasviz.probe.gates import Gate
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.stream import Stream

ops: Any = keras.ops
MARGIN = 0.1


class _Reader(Stream):
    """The gates of each batch, channels last."""

    def __init__(self, model: keras.Model, wanted: Sequence[str] | None) -> None:
        super().__init__(model)
        self._wanted = _checked(wanted)

    def _chosen(self, found: Sequence[Gate]) -> list[Gate]:
        if not found:
            raise MethodError(
                "Expected a model with gates: features multiplied by a bounded factor with weights "
                f"of its own. Received: '{self.model.name}', which has none. For scores of "
                "attention layers see `kv.attention.head_statistics`."
            )
        known = {gate.address: gate for gate in found}
        for address in self._wanted or ():
            if address not in known:
                raise _no_gate(address, known)
        return [known[address] for address in self._wanted or known]


def _checked(wanted: Any) -> tuple[str, ...] | None:
    if wanted is None:
        return None
    listed = [wanted] if isinstance(wanted, str) else wanted
    is_list = isinstance(listed, Sequence) or hasattr(listed, "tolist")
    if not is_list or not len(listed) or not all(isinstance(one, str) for one in listed):
        raise InputError(
            "`gates` must be addresses, as `kv.attention.gates(model)` lists them, or None for "
            f"all. Received: {wanted!r}. Write e.g. `gates=[table.index[0]]`."
        )
    return tuple(map(str, listed))


def _no_gate(address: str, known: Any) -> AddressError:
    close = difflib.get_close_matches(address, list(known), n=3, cutoff=0.4)
    shown = ", ".join(map(repr, close or list(known)[:3]))
    return AddressError(
        f"`gates` must be addresses of gates of this model. Received: {address!r}. "
        f"Closest: {shown}. See `kv.attention.gates(model)`."
    )


def _one_a_sample(address: str, rows: Any, batch: Batch) -> None:
    """Refuse gates of windows, frames or parts that were folded into the batch axis."""
    if int(rows) != batch.size:
        raise MethodError(
            f"Expected one gate a sample at {address!r}. Received: {int(rows)} for {batch.size} "
            "samples: another axis is folded into the batch axis there. Leave it out: pass "
            "`gates=` the others."
        )


class GateKeeper(_Reader):
    """Keeps every gate."""

    def __init__(self, model: keras.Model, wanted: Sequence[str] | None) -> None:
        super().__init__(model, wanted)
        self.kept = _Parts()

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        chosen = self._chosen(probe_gates.find(run(self.model, inputs)))
        return {gate.address: _channels_last(gate) for gate in chosen}, None

    def take(self, batch: Batch) -> None:
        for name, values in self.evaluate_trace(self.traced("values", batch), batch).items():
            _one_a_sample(name, len(values), batch)
            self.kept.parts.setdefault(name, []).append(values)


class GateCollector(_Reader):
    """Keeps running means and sums of squares of every value of every gate."""

    def __init__(self, model: keras.Model, wanted: Sequence[str] | None) -> None:
        super().__init__(model, wanted)
        self._parts = _Running()

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        chosen = self._chosen(probe_gates.find(run(self.model, inputs)))
        found = {}
        for gate in chosen:
            values, (low, high) = _channels_last(gate), gate.bounds
            mean = ops.mean(values, axis=0)
            found[f"rows/{gate.address}"] = ops.cast(ops.shape(values)[0], "int32")
            found[f"mean/{gate.address}"] = mean
            found[f"variance/{gate.address}"] = ops.mean(ops.square(values - mean), axis=0)
            for name, share in _ends(values, low, high).items():
                found[f"{name}/{gate.address}"] = share
        return found, [dataclasses.replace(gate, tensor=None) for gate in chosen]

    def take(self, batch: Batch) -> None:
        trace = self.traced("statistics", batch)
        self._parts.gates = trace.info
        arrays = self.evaluate_trace(trace, batch)
        for gate in trace.info:
            _one_a_sample(gate.address, arrays[f"rows/{gate.address}"], batch)
            parts = {
                name: arrays[f"{name}/{gate.address}"].astype("float64")
                for name in ("mean", "variance", "closed", "open")
            }
            _check(gate.address, parts["mean"])
            self._parts.add(gate.address, parts, batch.size)

    def summary(self, count: int) -> GateStatistics:
        """What was kept, as tables and arrays."""
        import pandas as pd

        parts = self._parts.by_address
        rows = [_row(gate, parts[gate.address][1]) for gate in self._parts.gates]
        return GateStatistics(
            table=pd.DataFrame(rows).set_index("address"),
            means={name: part["mean"] for name, (_, part) in parts.items()},
            spreads={name: np.sqrt(part["variance"]) for name, (_, part) in parts.items()},
            closed={name: part["closed"] for name, (_, part) in parts.items()},
            count=count,
            provenance=provenance(self.model),
        )


class _Parts:
    """What came so far, in an object that Keras does not track."""

    def __init__(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}


class _Running:
    """Running moments, merged exactly."""

    def __init__(self) -> None:
        self.gates: Sequence[Gate] = ()
        self.by_address: dict[str, tuple[int, dict[str, np.ndarray]]] = {}

    def add(self, address: str, parts: dict[str, np.ndarray], size: int) -> None:
        """Take in the moments of a batch.

        Reference:
            Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
            variances", COMPSTAT 1982.
        """
        if address not in self.by_address:
            self.by_address[address] = size, parts
            return
        before, kept = self.by_address[address]
        same_size(address, kept["mean"].shape, parts["mean"].shape)
        share = size / (before + size)
        distance = parts["mean"] - kept["mean"]
        merged = {name: kept[name] + share * (parts[name] - kept[name]) for name in kept}
        merged["variance"] += share * (1.0 - share) * np.square(distance)
        self.by_address[address] = before + size, merged


def _channels_last(gate: Gate) -> Any:
    return ops.moveaxis(ops.cast(gate.tensor, "float32"), gate.channel_axis, -1)


def _ends(values: Any, low: float, high: float) -> dict[str, Any]:
    """Shares of samples whose values are in the lowest and in the highest part of the bounds."""
    margin = MARGIN * (high - low)
    shut, wide = values <= low + margin, values >= high - margin
    return {
        "closed": ops.mean(ops.cast(shut, "float32"), axis=0),
        "open": ops.mean(ops.cast(wide, "float32"), axis=0),
    }


def _check(address: str, mean: np.ndarray) -> None:
    bad = ~np.isfinite(mean)
    if bad.any():
        raise MethodError(
            f"Expected finite gates. Received: {int(bad.sum())} values of {address!r} that are NaN "
            "or infinite. Look for them in the model's weights."
        )


def _row(gate: Gate, part: dict[str, np.ndarray]) -> dict[str, Any]:
    mean, variance = part["mean"], part["variance"]
    by_channel = mean.mean(axis=tuple(range(mean.ndim - 1)))
    by_position = mean.mean(axis=-1)
    return {
        "address": gate.address,
        "source": gate.source,
        "kind": gate.kind,
        "channels": by_channel.size,
        "positions": by_position.size,
        "low": gate.bounds[0],
        "high": gate.bounds[1],
        "mean": mean.mean(),
        "std": np.sqrt(mean.var() + variance.mean()),
        "between_inputs": np.sqrt(variance.mean()),
        "between_channels": by_channel.std() if by_channel.size > 1 else np.nan,
        "between_positions": by_position.std() if by_position.size > 1 else np.nan,
        "closed": part["closed"].mean(),
        "open": part["open"].mean(),
    }


def joined(address: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The batches of a gate as one array."""
    for part in parts:
        same_size(address, parts[0].shape[1:], part.shape[1:])
    return np.concatenate(parts)


def same_size(address: str, before: tuple[int, ...], now: tuple[int, ...]) -> None:
    """Refuse batches of several sizes.

    Raises:
        InputError: The shapes differ.
    """
    if before != now:
        raise InputError(
            "All inputs must have one size where a gate differs by position. Received: gates "
            f"of shapes {before} and {now} at {address!r}. Resize the inputs to one size."
        )
