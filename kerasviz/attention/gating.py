"""What the gates of a model are, and what they do on data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.attention.gate_reading import GateCollector, GateKeeper, joined
from kerasviz.attention.gate_statistics import GateStatistics
from kerasviz.probe import gates as probe_gates
from kerasviz.probe.gates import Gate

if TYPE_CHECKING:
    import pandas as pd


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
    collector = GateCollector(model, gates)
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
    keeper = GateKeeper(model, gates)
    keeper.go_through(inputs, batch_size, verbose)
    return {name: joined(name, parts) for name, parts in keeper.kept.parts.items()}


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
