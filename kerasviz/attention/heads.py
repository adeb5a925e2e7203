"""What stock attention layers look at: scores of every head, and statistics over a data set."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.attention.head_measures import MEASURES, measures
from kerasviz.errors import AddressError, InputError, KerasvizWarning, MethodError
from kerasviz.probe import addresses, tokens
from kerasviz.probe.attention import Attention, Heads, attend
from kerasviz.probe.inputs import Batch
from kerasviz.probe.tokens import Layout
from kerasviz.probe.wrapper import Wrapper

if TYPE_CHECKING:
    import pandas as pd

ops: Any = keras.ops


class Scores(Wrapper):
    """A `keras.Model` that returns what the attention layers of another model look at.

    The softmax whose result multiplies the values is found in the graph, in Keras's layers (also
    where they hand out no scores, as by default) and in custom ones. Where the graph shows none, as
    for several attention axes, Keras's layers are asked. Nothing of the model is edited.

    Args:
        model: Any built Keras 3 model with attention.
        layers: Addresses, layer objects or indices of attention layers; None for all.
        name: Optional Keras name.

    Call arguments:
        inputs: A batch in the model's own structure.

    Returns:
        dict address → float32 (batch, heads, queries, keys): probabilities over the keys, in
        inference mode. Positions along several axes are flattened in their order. A layer that
        attends more than once within one call is "address", "address#2", ….

    Raises:
        AddressError: A layer that is not an attention layer of the model, or is not reachable.
        MethodError: The model has no attention that can be read.

    Example:

    ```python
    from kerasviz.attention.heads import Scores

    heads = Scores(vit)
    by_layer = heads(images)                # one batch
    by_layer = heads.predict(dataset)       # any size, progress bar
    ```
    """

    def __init__(
        self, model: keras.Model, layers: Sequence[Any] | None = None, name: str | None = None
    ) -> None:
        super().__init__(model, name=name)
        self._wanted = _Wanted(model, layers)

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        found = attend(self.model, inputs)
        chosen = self._wanted.of(found)
        left_out = () if self._wanted.addresses else tuple(found.unreachable)
        return {one.address: one.scores for one in chosen}, left_out

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """The scores of one batch, as a dict of NumPy arrays."""
        if self.in_graph:
            return super().__call__(inputs, **kwargs)
        batch = self.batch(inputs)
        trace = self.traced("scores", batch)
        found = self.evaluate_trace(trace, batch)
        check_rows(found, batch)
        return found

    def call(self, inputs: Any) -> dict[str, Any]:
        """The same as tensors, inside a graph."""
        return self.computed_in_graph("scores", inputs, ())[0]


class _Wanted:
    """Which attention layers are asked for; kept out of Keras's attribute tracking."""

    def __init__(self, model: keras.Model, layers: Any) -> None:
        if isinstance(layers, (str, int, np.integer, keras.Operation)):
            layers = [layers]
        self.model = model
        self.addresses = (
            None
            if layers is None
            else [addresses.to_address(model, one) for one in _listed(layers)]
        )

    def of(self, found: Heads) -> list[Attention]:
        """Those of a run.

        Raises:
            AddressError: One that is asked for is not among them.
            MethodError: There are none.
        """
        known = {one.address: one for one in found.attentions}
        if self.addresses is None:
            if not known:
                raise nothing_to_read(self.model, found)
            return list(known.values())
        for address in self.addresses:
            if address not in known:
                raise _not_there(address, known, found)
        return [known[address] for address in self.addresses]


def _listed(layers: Any) -> list[Any]:
    if not isinstance(layers, Iterable) or not (listed := list(layers)):
        raise InputError(
            "`layers` must name attention layers, or be None for all. "
            f"Received: {layers!r}. Give addresses, layer objects or indices."
        )
    return listed


def nothing_to_read(model: keras.Model, found: Heads) -> MethodError:
    """The error for a model without attention."""
    hidden = ", ".join(map(repr, found.unreachable))
    received = f"its attention in {hidden}, which cannot be read" if hidden else "none"
    return MethodError(
        "Expected a model with attention: keras.layers.MultiHeadAttention, GroupQueryAttention, "
        f"Attention, or a layer that computes softmax(QKᵀ)V. Received: '{model.name}', {received}. "
        "See `kv.layers(model)`, and `kv.GradCAM` for where it looks."
    )


def _not_there(address: str, known: dict[str, Attention], found: Heads) -> AddressError:
    if address in found.unreachable:
        return AddressError(
            f"`layers` must be attention layers outside of loops. Received: {address!r}, whose "
            "scores cannot be read: it runs inside a loop or computes in one fused step. "
            "Apply the layer to single steps."
        )
    found.record.find(address)
    return AddressError(
        f"`layers` must be attention layers. Received: {address!r}, which attends to nothing. "
        f"Those of this model: {', '.join(map(repr, known)) or 'none'}."
    )


def check_rows(found: dict[str, np.ndarray], batch: Batch) -> None:
    """Refuse scores of windows, or of heads, that were folded into the batch axis.

    Raises:
        MethodError: More or fewer rows than samples.
    """
    for address, array in found.items():
        if len(array) != batch.size:
            raise MethodError(
                f"Expected one score map a sample at {address!r}. Received: {len(array)} for "
                f"{batch.size} samples: windows or heads are folded into the batch axis there. "
                "Leave it out: pass `layers=` the others."
            )


def scores(
    model: keras.Model,
    inputs: Any,
    layers: Sequence[Any] | None = None,
    batch_size: int = 32,
    verbose: Any = 0,
) -> dict[str, np.ndarray]:
    """What every head of every attention layer looks at.

    Args:
        model: Any built Keras 3 model with attention.
        inputs: Arrays in the model's structure, or anything that `predict` takes.
        layers: Addresses, layer objects or indices of attention layers; None for all.
        batch_size: Samples run at once when `inputs` are arrays.
        verbose: Keras's progress bar: 0, 1 or 2.

    Returns:
        dict address → float32 (n, heads, queries, keys) probabilities; see
        `kerasviz.attention.heads.Scores`, to build once for repeated use. Layers inside a loop
        are left out with a warning.

    Raises:
        AddressError: A layer that is not an attention layer of the model, or is not reachable.
        InputError: Inputs that do not fit the model, or `layers` that is neither None nor a choice.
        MethodError: The model has no attention that can be read.

    Example:

    ```python
    kv.attention.scores(vit, images)["block_1/attention"].shape  # (n, heads, tokens, tokens)
    ```
    """
    reader = Scores(model, layers)
    found = reader.predict(inputs, batch_size=batch_size, verbose=verbose)
    _warn_of(reader.latest_info)
    return found


def _warn_of(left_out: Sequence[str]) -> None:
    if left_out:
        warnings.warn(
            f"Left out: {', '.join(map(repr, left_out))}, whose scores cannot be read: inside a "
            "loop, or computed in one fused step.",
            KerasvizWarning,
            stacklevel=3,
        )


class _Statistics(Scores):
    """Measures every head batch by batch, and keeps running sums only."""

    def __init__(self, model: keras.Model, layers: Any, asked: tokens.Wanted) -> None:
        super().__init__(model, layers)
        self._asked = asked
        self._running = _Running()

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        found = attend(self.model, inputs)
        tensors, layouts = {}, {}
        for one in self._wanted.of(found):
            layouts[one.address] = layout = self._layout(found, one)
            for name, tensor in measures(one, layout).items():
                tensors[f"{name}/{one.address}"] = tensor
        left_out = () if self._wanted.addresses else tuple(found.unreachable)
        return tensors, (left_out, layouts)

    def _layout(self, found: Heads, one: Attention) -> Layout | None:
        """Where the tokens lie; None where they fit nothing and nobody said they would."""
        if not one.is_self:
            return None
        try:
            return tokens.layout(found.record, one, self._asked)
        except MethodError:
            if self._asked != tokens.Wanted():
                raise
            return None

    def make_predict_function(self, force: bool = False) -> Any:
        if self._has_replicas:
            raise MethodError(
                "Expected one device. Received: a distribution strategy of "
                f"{self.distribute_strategy.num_replicas_in_sync}. Call it outside of the "
                "strategy's scope."
            )
        return super().make_predict_function(force)

    def predict_step(self, data: Any) -> Any:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch(x)
        found = self.evaluate_trace(self.traced("measures", batch), batch)
        check_rows(found, batch)
        self._running.samples += batch.size
        for name, values in found.items():
            if name.startswith("entropy/") and np.isnan(values).any():
                raise _not_finite(name.removeprefix("entropy/"), values)
            self._running.add(name, values)
        return ops.zeros((batch.size, 1))

    def table(self, inputs: Any, batch_size: int, verbose: Any) -> pd.DataFrame:
        """See `head_statistics`."""
        import pandas as pd

        self.predict(inputs, batch_size=batch_size, verbose=verbose)
        left_out, layouts = self.latest_info
        _warn_of(left_out)
        rows = [
            {"address": address, "head": head, **self._row(address, head)}
            for address in layouts
            for head in range(len(self._running.mean(f"entropy/{address}")))
        ]
        table = pd.DataFrame(rows).set_index(["address", "head"])
        table.attrs["similarity"] = {
            address: self._running.mean(f"pairs/{address}").tolist() for address in layouts
        }
        table.attrs["samples"] = self._running.samples
        table.attrs["tokens"] = {
            address: "not on an input" if layout is None else layout.reason
            for address, layout in layouts.items()
        }
        return table

    def _row(self, address: str, head: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for measure in MEASURES:
            name = f"{measure}/{address}"
            found[measure] = float(self._running.mean(name)[head])
            found[f"{measure}_std"] = float(self._running.spread(name)[head])
        pairs = self._running.mean(f"pairs/{address}")
        others = np.where(np.arange(len(pairs)) == head, -np.inf, pairs[head])
        found["closest"] = float(others.max()) if len(pairs) > 1 else float("nan")
        found["closest_head"] = int(others.argmax()) if len(pairs) > 1 else -1
        return found


class _Running:
    """Means and spreads of arrays of samples that come in batches, without keeping them."""

    def __init__(self) -> None:
        self.samples = 0
        self._sums: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def add(self, name: str, values: np.ndarray) -> None:
        """See one batch, (batch, …); NaN is left out. Chan, Golub and LeVeque 1983."""
        known = np.isfinite(values)
        count = known.sum(axis=0).astype("float64")
        clean = np.where(known, values, 0.0).astype("float64")
        mean = clean.sum(axis=0) / np.maximum(count, 1.0)
        squares = (np.where(known, clean - mean, 0.0) ** 2).sum(axis=0)
        if name in self._sums:
            before, old, spread = self._sums[name]
            total = np.maximum(before + count, 1.0)
            squares = spread + squares + (mean - old) ** 2 * before * count / total
            mean = old + (mean - old) * count / total
            count = before + count
        self._sums[name] = count, mean, squares

    def mean(self, name: str) -> np.ndarray:
        """Mean over the samples; NaN where none had a number."""
        count, mean, _ = self._sums[name]
        return np.where(count > 0, mean, np.nan)

    def spread(self, name: str) -> np.ndarray:
        """Standard deviation over the samples, n - 1 in the denominator; NaN for one sample."""
        count, _, squares = self._sums[name]
        return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1.0, 1.0)), np.nan)


def _not_finite(address: str, values: np.ndarray) -> MethodError:
    sample = int(np.argmax(np.isnan(values).any(axis=1)))
    return MethodError(
        f"Expected finite attention of at least one query at {address!r}. Received: NaN, or "
        f"nothing but masked queries, for sample {sample} of a batch. Look for NaN in the model's "
        "weights, and for samples that are all padding."
    )


def head_statistics(
    model: keras.Model,
    inputs: Any,
    layers: Sequence[Any] | None = None,
    grid: Any = None,
    class_token: Any = None,
    batch_size: int = 32,
    verbose: Any = "auto",
) -> pd.DataFrame:
    """What each attention head does on data: how focused, how far, how like the others.

    Each measure is the mean over a sample's queries (masked keys and queries left out), then the
    mean over the samples; its column with "_std" is the standard deviation over the samples.
    Only running sums are kept, whatever the size of the data.

    Args:
        model: Any built Keras 3 model with attention.
        inputs: Arrays in the model's structure, or anything that `predict` takes.
        layers: Addresses, layer objects or indices of attention layers; None for all.
        grid: Tokens along each axis of the input, for distances; None: found by rule.
        class_token: How many tokens stand in front of the grid; None: found by rule.
        batch_size: Samples run at once when `inputs` are arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        DataFrame indexed by (address, head). `entropy` in nats; `normalized_entropy` as a share of
        log(number of allowed keys), in [0, 1], of queries with two keys or more; `perplexity`
        exp(entropy); `distance` Σ_k A(q, k)·|q - k| in tokens, without class tokens, and
        `distance_share` of the largest distance there is; `on_class_token` what the other tokens
        give the class tokens; `on_self`, `on_first` the query's own and the first key; `largest`
        probability; `focused` the share of queries that give one key more than a half;
        `similarity` the mean cosine of the head's rows with those of each other head, `closest`
        that with the most similar one, `closest_head` (-1 without another). NaN where a measure has
        no meaning. In `attrs`: "similarity", address → (heads, heads) lists; "samples"; "tokens",
        address → where the tokens lie and why.

    Raises:
        AddressError: A layer that is not an attention layer of the model, or is not reachable.
        InputError: Inputs that do not fit the model, or `layers` that is neither None nor a choice.
        MethodError: No attention that can be read; tokens that do not fit `grid`; NaN.

    Reference:
        Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 7 (attention distance);
        Clark et al. 2019, "What Does BERT Look At?" (entropy, tokens attended to).

    Example:

    ```python
    table = kv.attention.head_statistics(vit, images, verbose=0)
    table[["entropy", "distance_share", "closest"]]
    ```
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(
            f"`batch_size` must be a whole number from 1 on. Received: {batch_size!r}."
        )
    reader = _Statistics(model, layers, tokens.wanted(grid, class_token))
    return reader.table(inputs, batch_size, verbose)
