"""What the layers of a model return, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe import addresses, containment
from kerasviz.probe.backend import graph
from kerasviz.probe.run import run
from kerasviz.probe.taps import Edit
from kerasviz.probe.wrapper import Wrapper

if TYPE_CHECKING:
    import pandas as pd


class Activations(Wrapper):
    """A `keras.Model` that returns what layers of another model return.

    Args:
        model: Any built Keras 3 model.
        layers: Addresses, layer objects or indices. None: every call site whose output is a
            single tensor.
        edits: Optional dict address → function of that layer's output; what it returns is what the
            rest of the model sees. An ablation is `{"conv": lambda x: 0 * x}`.

    Call arguments:
        inputs: A batch in the model's own structure.

    Returns:
        A dict address → float array (batch, …), as the layer returned it. "output" is not in it;
        the model's outputs are what `model.predict` gives.

    Raises:
        AddressError: A layer that the model does not have, or does not call.

    Example:

    ```python
    taps = kv.Activations(model, ["encoder/conv"])
    features = taps(images)["encoder/conv"]      # one batch
    features = taps.predict(dataset)             # any size, progress bar
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[Any] | None = None,
        edits: Mapping[str, Edit] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(model, name=name)
        if isinstance(layers, (str, int, np.integer, keras.Operation)):
            layers = [layers]
        wanted = (
            None
            if layers is None
            else tuple(addresses.to_address(model, layer) for layer in layers)
        )
        self._wanted = wanted
        self._edits = _Edits(edits or {})

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs, edits=self._edits.by_address)
        chosen = (
            record.calls
            if self._wanted is None
            else [record.find(address) for address in self._wanted]
        )
        return {c.address: c.output for c in chosen if graph.is_here(c.output)}, None

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """The activations of one batch, as a dict of NumPy arrays."""
        if self.in_graph:
            return super().__call__(inputs, **kwargs)
        return self.evaluate_on("activations", inputs)

    def call(self, inputs: Any) -> dict[str, Any]:
        """The same as tensors, inside a graph."""
        return self.computed_in_graph("activations", inputs, ())[0]


class _Edits:
    """Keeps the edits out of Keras's attribute tracking."""

    def __init__(self, edits: Mapping[str, Edit]) -> None:
        self.by_address = dict(edits)


def activations(
    model: keras.Model,
    inputs: Any,
    layers: Sequence[Any] | None = None,
    batch_size: int = 32,
    verbose: Any = 0,
) -> dict[str, np.ndarray]:
    """What `layers` return for `inputs`: dict address → array (samples, …).

    Args:
        model: Any built Keras 3 model.
        inputs: Arrays in the model's structure, or anything that `predict` takes.
        layers: Addresses, layer objects or indices; None for all.
        batch_size: Samples run at once when `inputs` are arrays.
        verbose: Keras's progress bar: 0, 1 or 2.

    Returns:
        dict address → array. For repeated use, build `kv.Activations(model, layers)` once.

    Raises:
        AddressError: A layer that the model does not have.
        InputError: Inputs that do not fit the model.

    Example:

    ```python
    kv.activations(model, images, layers=["encoder/conv"])["encoder/conv"].shape
    ```
    """
    return Activations(model, layers).predict(inputs, batch_size=batch_size, verbose=verbose)


def layers(model: keras.Model, inputs: Any = None) -> pd.DataFrame:
    """Every call site of a model: the addresses that the rest of kerasviz takes.

    Args:
        model: Any built Keras 3 model.
        inputs: A batch, needed only for models that do not say what they take (subclassed ones
            built by hand); nothing is computed on it.

    Returns:
        DataFrame indexed by address, in the order in which layers return: `type`, `output_shape`
        (batch axis None), `parameters` (of the layer with all below it), `calls` (how often the
        layer object is called in one inference run; 0 for layers that are held but not called).

    Raises:
        InputError: The model is not built, or does not say what it takes and no `inputs` came.
    """
    import pandas as pd

    rows = _Layers(model).rows(inputs)
    columns = ["address", "type", "output_shape", "parameters", "calls"]
    return pd.DataFrame(rows, columns=columns).set_index("address")


def check_called(model: keras.Model, address: str) -> None:
    """Refuse an address that no call site bears, found by running: a layer that no container holds
    may still be called.

    Raises:
        AddressError: There is no such call site; the message names the closest.
        InputError: The model does not say what it takes.
    """
    known = [row["address"] for row in _Layers(model).rows(None)]
    if address not in known:
        raise addresses.not_found(address, known)


class _Layers(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        return {}, [(c.address, c.layer, _output_shape(c.output)) for c in record.calls]

    def rows(self, inputs: Any) -> list[dict[str, Any]]:
        if inputs is not None:
            sites = self.traced("layers", self.batch(inputs)).info
        else:
            sites = self.info("layers")
        if sites is None:
            raise InputError(
                f"`inputs` must be given for '{self.model.name}', which does not say what it "
                "takes. Received: None. Pass a batch: `kv.layers(model, images)`."
            )
        return [*map(_row(sites), sites), *_never_called(self.model, sites)]


def _row(sites: Sequence[Any]) -> Callable[[Any], dict[str, Any]]:
    def row(site: Any) -> dict[str, Any]:
        address, layer, shape = site
        calls = sum(other is layer for _, other, _ in sites)
        return _fields(address, layer, shape, calls)

    return row


def _never_called(model: keras.Model, sites: Sequence[Any]) -> list[dict[str, Any]]:
    called = {id(layer) for _, layer, _ in sites}
    return [
        _fields(address, layer, None, 0)
        for address, layer in containment.walk(model)
        if id(layer) not in called
    ]


def _fields(address: str, layer: Any, shape: Any, calls: int) -> dict[str, Any]:
    parameters = layer.count_params() if isinstance(layer, keras.Layer) and layer.built else 0
    return {
        "address": address,
        "type": type(layer).__name__,
        "output_shape": shape,
        "parameters": parameters,
        "calls": calls,
    }


def _output_shape(output: Any) -> Any:
    shapes = [tuple(t.shape) for t in keras.tree.flatten(output) if keras.ops.is_tensor(t)]
    return shapes[0] if len(shapes) == 1 else shapes
