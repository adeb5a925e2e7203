"""What the gates of a model are, and what they do on data."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe import gates as probe_gates
from kerasviz.probe.gates import Gate
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.stream import Stream

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ops: Any = keras.ops
MARGIN = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class GateStatistics:
    """What each gate did on a data set.

    Arrays have the gate's own axes without the batch, channels last; an axis along which a gate
    does not differ has size 1. A gate of one value a channel has shape (1, 1, channels).

    Args:
        table: A row a gate, by address: `source`, `kind`, `channels` and `positions` (how many
            different values along each), `low` and `high` (bounds of what it can be), `mean` and
            `std` over everything, `between_inputs` (how far a value moves from input to input: the
            root of the mean variance over samples), `between_channels` and `between_positions`
            (std of the means of each; NaN where there is one only), `closed` and `open` (share of
            values in the lowest and in the highest tenth of the bounds).
        means: Address → mean over samples.
        spreads: Address → standard deviation over samples (population).
        closed: Address → share of samples in which the value is closed.
        count: Number of samples.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    means: dict[str, np.ndarray]
    spreads: dict[str, np.ndarray]
    closed: dict[str, np.ndarray]
    count: int
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"GateStatistics({len(self.table)} gates, {self.count} samples)"

    def per_channel(self, address: str) -> pd.DataFrame:
        """A row a channel: `mean`, `spread` and `closed`, each averaged over positions.

        Raises:
            AddressError: No such gate.
        """
        import pandas as pd

        arrays = [part[self._known(address)] for part in (self.means, self.spreads, self.closed)]
        columns = [array.mean(axis=tuple(range(array.ndim - 1))) for array in arrays]
        table = pd.DataFrame(dict(zip(("mean", "spread", "closed"), columns, strict=True)))
        return table.rename_axis("channel")

    def per_position(self, address: str) -> np.ndarray:
        """(*positions,) mean over channels and samples; axes of size 1 for a gate of channels.

        Raises:
            AddressError: No such gate.
        """
        found: np.ndarray = self.means[self._known(address)].mean(axis=-1)
        return found

    def _known(self, address: str) -> str:
        if address not in self.means:
            raise addresses.not_found(address, list(self.means))
        return address

    def plot(self, **kwargs: Any) -> Figure:
        """The channels of each gate in order, its numbers, and maps of gates that differ by
        position; see `kv.plots.gate_statistics`."""
        from kerasviz.plots.gates import gate_statistics

        return gate_statistics(self.table, self.means, **kwargs)


def gates(model: keras.Model, inputs: Any = None) -> pd.DataFrame:
    """Every gate of a model: where features are multiplied by a bounded factor.

    A gate is a factor between 0 and 2 that depends on the input and is computed by weights of its
    own: weights, or columns of them, from which every path to the model's outputs leads through
    it. Found in the graph of one run, whatever the layers are called: squeeze-and-excitation, CBAM,
    pixel-wise fusion, gated linear units, also those cut out of one dense layer. Activations such
    as swish, x·σ(x), have no weights of their own and are not gates; nor are factors without a
    bound (GEGLU, SwiGLU), matrix products, and gates inside of loops (recurrent layers).

    Args:
        model: Any built Keras 3 model; not altered.
        inputs: A batch, needed only for models that do not say what they take.

    Returns:
        DataFrame indexed by the address of the call that multiplies: `source` (address of the call
        that computes the gate), `kind` ("channel", "position" or "both": along what it differs),
        `channels`, `positions` (None where open), `low`, `high` (its bounds by interval
        arithmetic), `weights` (number of its own weights) and `variables` (their names; with
        "[..., 8:16]" where only these entries of the last axis are its own). What a model's own
        `call` computes bears the model's name.

    Raises:
        InputError: The model does not say what it takes and no `inputs` came.

    Reference:
        Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018; Woo, Park, Lee, Kweon, "CBAM",
        ECCV 2018; Moore, "Interval Analysis", 1966.

    Example:

    ```python
    print(kv.attention.gates(model))
    ```
    """
    import pandas as pd

    rows = [_described(gate) for gate in probe_gates.gates_of(model, inputs)]
    columns = ["address", "source", "kind", "channels", "positions", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "weights", "variables"]).set_index("address")


def statistics(
    model: keras.Model,
    inputs: Any,
    gates: Sequence[str] | None = None,
    batch_size: int = 32,
    verbose: Any = "auto",
) -> GateStatistics:
    """What the gates of a model do on data: how open, how different, how much they move.

    One pass over the data; memory does not grow with the number of samples.

    Args:
        model: Any built Keras 3 model; not altered.
        inputs: Arrays in the model's structure, or anything that `predict` takes.
        gates: Addresses, as `kv.attention.gates(model)` lists them; None for all.
        batch_size: Samples run at once when `inputs` are arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        `GateStatistics`.

    Raises:
        AddressError: No such gate.
        InputError: Inputs that do not fit the model, none at all, NaN, or of several sizes where a
            gate differs by position.
        MethodError: A model without gates, a gate that is NaN, or one of which there is not one
            a sample.

    Example:

    ```python
    net = keras.Sequential([keras.Input((8, 8, 4)), kv.attention.SqueezeExcitation(2)])
    found = kv.attention.statistics(net, np.random.default_rng(0).normal(size=(5, 8, 8, 4)))
    print(found.table[["mean", "between_inputs", "closed"]])
    ```
    """
    collector = _Collector(model, gates)
    count = collector.go_through(inputs, batch_size, verbose)
    return collector.summary(count)


def gate_values(
    model: keras.Model,
    inputs: Any,
    gates: Sequence[str] | None = None,
    batch_size: int = 32,
    verbose: Any = 0,
) -> dict[str, np.ndarray]:
    """The gates themselves: address → float32 (samples, *positions, channels).

    Args:
        model: Any built Keras 3 model; not altered.
        inputs: Arrays in the model's structure, or anything that `predict` takes.
        gates: Addresses, as `kv.attention.gates(model)` lists them; None for all.
        batch_size: Samples run at once when `inputs` are arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        dict address → array, channels last; an axis along which a gate does not differ has size 1.

    Raises:
        AddressError: No such gate.
        InputError: Inputs that do not fit the model, or of several sizes where a gate differs by
            position.
        MethodError: A model without gates, or a gate of which there is not one a sample.
    """
    keeper = _Keeper(model, gates)
    keeper.go_through(inputs, batch_size, verbose)
    return {name: _joined(name, parts) for name, parts in keeper.kept.parts.items()}


def _joined(address: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    for part in parts:
        _same_size(address, parts[0].shape[1:], part.shape[1:])
    return np.concatenate(parts)


def _same_size(address: str, before: tuple[int, ...], now: tuple[int, ...]) -> None:
    if before != now:
        raise InputError(
            "All inputs must have one size where a gate differs by position. Received: gates "
            f"of shapes {before} and {now} at {address!r}. Resize the inputs to one size."
        )


def _described(gate: Gate) -> dict[str, Any]:
    sizes = list(gate.shape[1:])
    channels = sizes.pop(gate.channel_axis - 1)
    return {
        "address": gate.address,
        "source": gate.source,
        "kind": gate.kind,
        "channels": channels,
        "positions": _product(sizes),
        "low": gate.bounds[0],
        "high": gate.bounds[1],
        "weights": _own_weights(gate),
        "variables": ", ".join([v.path for v in gate.variables] + [*map(_named, gate.parts)]),
    }


def _own_weights(gate: Gate) -> int:
    whole = sum(math.prod(variable.shape) for variable in gate.variables)
    return whole + sum(math.prod(v.shape[:-1]) * len(units) for v, units in gate.parts)


def _named(part: tuple[Any, tuple[int, ...]]) -> str:
    """A variable with what is taken of its last axis: "dense/kernel[..., 8:16]"."""
    variable, units = part
    start, stop = units[0], units[-1] + 1
    step = (stop - 1 - start) // max(len(units) - 1, 1) or 1
    return f"{variable.path}[..., {start}:{stop}{f':{step}' if step > 1 else ''}]"


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


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


class _Keeper(_Reader):
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


class _Collector(_Reader):
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
        _same_size(address, kept["mean"].shape, parts["mean"].shape)
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
