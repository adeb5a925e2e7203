"""Attention rollout: the product of all layers' attention, with the residual paths."""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras

from kerasviz.attribution import maps, registration
from kerasviz.attribution.explainer import Explainer, RawMap, RawMaps
from kerasviz.attribution.explanation import Explanation
from kerasviz.attribution.grad_cam import RESOLUTIONS
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import tokens
from kerasviz.probe.attention import Attention, Heads, Reading
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.targets import Score
from kerasviz.probe.tokens import Layout

ops: Any = keras.ops

FUSIONS: Mapping[str, Any] = {"mean": ops.mean, "max": ops.max, "min": ops.min}
STARTS = ("class_token", "mean")


class AttentionRollout(Explainer):
    """Which tokens of the input the last tokens are mixed from, if attention alone mixed them:
    Â_L · … · Â_1 with Â = (1 - r)·A + r·I, rows divided by their sums, A the heads as one.

    The map does not depend on the target: scores are reported, but each class has the same map.
    Cross attention is left out. Values, output projections and MLPs are not looked at.

    Args:
        model: Any built Keras 3 model with self-attention over one sequence of tokens.
        layer: Attention layer at which to end, by address, object or index. None: the last.
        target: See `Explainer`; changes the reported score only.
        labels: See `Explainer`.
        fusion: How the heads of a layer become one: "mean" (the paper's), "max" or "min".
        discard: Share of each row's keys, in [0, 1), set to zero after fusion, lowest first.
        residual: r, in [0, 1): share of the residual path. The paper's is 0.5.
        start: "class_token": what the first token is mixed from; "mean": the mean over the
            tokens of the grid, for models that pool. None: the class token, if there is one.
        grid: Tokens along each axis of the input; None: found by rule and reported.
        class_token: How many class or register tokens stand in front of the grid; True for one;
            None: found by rule and reported.
        resolution: "input" enlarges the map to the input's size (linear); "layer" leaves it at one
            value a token.
        normalize: See `Explainer`. False: shares of 1; what the class tokens keep is missing.
        name: Optional Keras name.

    Returns:
        See `Explainer`.

    Raises:
        AddressError: `layer` is not a self-attention layer of the model.
        MethodError: No self-attention; token numbers that differ; layers side by side; tokens that
            fit no grid. Use `GradCAM`.

    Reference:
        Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3, equation 1.

    Example:

    ```python
    rollout = kv.AttentionRollout(vit)
    maps = rollout(images)                            # (batch, height, width) in [0, 1]
    ```
    """

    title = "Attention rollout"

    def __init__(
        self,
        model: keras.Model,
        layer: Any = None,
        target: Any = None,
        labels: Sequence[str] | None = None,
        fusion: Literal["mean", "max", "min"] = "mean",
        discard: float = 0.0,
        residual: float = 0.5,
        start: Literal["class_token", "mean"] | None = None,
        grid: Any = None,
        class_token: Any = None,
        resolution: Literal["input", "layer"] = "input",
        normalize: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(model, layer, target, labels, normalize, name)
        self._fusion = _one_of("fusion", fusion, tuple(FUSIONS))
        self._resolution = _one_of("resolution", resolution, RESOLUTIONS)
        self._start = start if start is None else _one_of("start", start, STARTS)
        self._discard = _share("discard", discard)
        self._residual = _share("residual", residual)
        self._wanted = tokens.wanted(grid, class_token)

    @property
    def parameters(self) -> dict[str, Any]:
        own = {
            "fusion": self._fusion,
            "discard": self._discard,
            "residual": self._residual,
            "start": self._start,
            "grid": None if self._wanted.grid is None else list(self._wanted.grid),
            "class_token": self._wanted.class_token,
            "resolution": self._resolution,
            "depends_on_target": False,
        }
        return super().parameters | own

    def reader(self) -> Reading:
        return Reading()

    def explain(self, inputs: Any, target: Any = None) -> Explanation:
        """The maps of one batch with all that belongs to them; `target` sets the scores only."""
        found = super().explain(inputs, target)
        names = tuple(f"{name} (same map for any)" for name in found.target_names)
        return dataclasses.replace(found, target_names=names)

    def raw_maps(self, record: Run, score: Score) -> RawMaps:
        reading: Any = record.recorder.reader
        chains = _chains(record, reading.heads(record), self.address)
        by_input = {}
        for chain in chains:
            layout = tokens.layout(record, chain[-1], self._wanted)
            by_input[layout.name] = self._raw_map(record, chain, layout)
        return RawMaps(by_input)

    def _raw_map(self, record: Run, chain: Sequence[Attention], layout: Layout) -> RawMap:
        start, start_reason = self._starting(chain[-1], layout)
        shares = start
        for one in reversed(chain):
            shares = ops.einsum("bq,bqk->bk", shares, self._mixed(one))
        tensor = record.input_tensors[layout.name]
        rows = graph.sizes(shares)[:1]
        shares = graph.of_sizes(shares, graph.sizes(tensor)[:1], rows, WINDOWS)
        values = ops.reshape(shares[:, layout.leading :], (-1, *layout.grid))
        reason = (
            f"{len(chain)} self-attention layers up to this; {layout.reason}; {start_reason}; "
            "the map is the same for every target"
        )
        if self._resolution == "input":
            values, note = _enlarged(record, layout, values, tensor)
            reason += note
        return RawMap(values, {}, chain[-1].address, layout.grid, reason)

    def _starting(self, last: Attention, layout: Layout) -> tuple[Any, str]:
        """(batch, tokens) the share of each last token in what is traced back, and why."""
        if self._start == "class_token" and not layout.leading:
            raise MethodError(
                "`start` must be 'mean' for tokens without a class token. Received: "
                f"'class_token', and {layout.reason}. Pass `class_token=` if that is wrong."
            )
        kept = ops.ones_like(last.scores[:, 0, :, 0])
        places = ops.arange(kept.shape[1])
        if self._start == "class_token" or (self._start is None and layout.leading):
            return kept * ops.cast(places == 0, "float32"), "from the first token back"
        seen = ops.any(last.allowed, axis=(1, 3))
        kept = ops.cast(ops.logical_and(seen, places >= layout.leading), "float32")
        total = ops.maximum(ops.sum(kept, axis=1, keepdims=True), 1.0)
        return kept / total, "from the mean of the tokens back"

    def _mixed(self, one: Attention) -> Any:
        """(batch, tokens, tokens) Â of a layer: each row sums to 1."""
        fused = FUSIONS[self._fusion](one.scores, axis=1)
        count = fused.shape[-1]
        dropped = int(self._discard * count)
        if dropped:
            limit = ops.sort(fused, axis=-1)[..., dropped : dropped + 1]
            fused = ops.where(fused >= limit, fused, 0.0)
        mixed = (1.0 - self._residual) * fused + self._residual * ops.eye(count)
        total = ops.sum(mixed, axis=-1, keepdims=True)
        return mixed / ops.where(total > 0, total, 1.0)


WINDOWS = (
    "Expected one score map a sample, {} samples. Received: {} of them: windows or heads are "
    "folded into the batch axis. Use `kv.GradCAM`."
)


def _one_of(name: str, value: Any, known: Sequence[str]) -> Any:
    if value not in known:
        raise MethodError(
            f"`{name}` must be one of {tuple(known)}. Received: {value!r}. "
            "Leave it out for the default."
        )
    return value


def _share(name: str, value: Any) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value < 1.0:
        raise InputError(
            f"`{name}` must be a share from 0 to below 1. Received: {value!r}. "
            "Leave it out for the default."
        )
    return float(value)


def _chains(record: Run, found: Heads, address: str | None) -> list[list[Attention]]:
    """The self-attention that follows one another, for each sequence of tokens."""
    selves = [one for one in found.attentions if one.is_self]
    if address is not None:
        return [_up_to(record, found, selves, address)]
    if not selves:
        raise _no_attention(record, found)
    groups = _by_input(record, selves)
    for chain in groups:
        _check(chain)
    return groups


def _up_to(record: Run, found: Heads, selves: Sequence[Attention], address: str) -> list[Attention]:
    ends = [place for place, one in enumerate(selves) if one.address == address]
    if not ends:
        if address not in found.unreachable:
            record.find(address)
        known = ", ".join(repr(one.address) for one in selves)
        raise AddressError(
            f"`layer` must be a self-attention layer outside of loops. Received: {address!r}. "
            f"Those of this model: {known or 'none'}."
        )
    last = selves[ends[0]]
    chain = [one for one in selves[: ends[0]] if _leads(one, last)] + [last]
    _check(chain)
    return chain


def _no_attention(record: Run, found: Heads) -> MethodError:
    name = record.recorder.model.name
    received = f"'{name}', which has none"
    if found.attentions:
        received = f"'{name}', whose attention is all between different sequences"
    elif found.unreachable:
        received = f"'{name}', whose attention in {found.unreachable[0]!r} cannot be read"
    return MethodError(
        f"Expected a model with self-attention. Received: {received}. Use `kv.GradCAM`."
    )


def _by_input(record: Run, selves: Sequence[Attention]) -> list[list[Attention]]:
    """One chain for each input whose tokens are attended to alone; else one for all of them."""
    below = [graph.Below([x], differentiable=False) for x in record.input_tensors.values()]
    if len(below) == 1:
        return [list(selves)]
    sources = [[one.scores in reach for reach in below] for one in selves]
    groups = [
        [one for one, of in zip(selves, sources, strict=True) if of[which] and sum(of) == 1]
        for which in range(len(below))
    ]
    return [group for group in groups if group] or [list(selves)]


def _leads(one: Attention, other: Attention) -> bool:
    """Whether the second depends on what the first gave."""
    return one.result is not None and other.scores in graph.Below(
        [one.result], differentiable=False
    )


def _check(chain: Sequence[Attention]) -> None:
    counts = {one.address: one.tokens[0] for one in chain}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} at {address!r}" for address, count in counts.items())
        raise MethodError(
            "Expected the same tokens in all self-attention layers. Received: "
            f"{listed}. Pass `layer=` the last one with equal numbers before it, or use "
            "`kv.GradCAM`."
        )
    for one, other in itertools.pairwise(chain):
        if not _leads(one, other):
            raise MethodError(
                "Expected self-attention layers that follow one another. Received: "
                f"{one.address!r} and {other.address!r}, side by side. "
                "Pass `layer=` the last of one branch, or use `kv.GradCAM`."
            )


def _enlarged(record: Run, layout: Layout, values: Any, tensor: Any) -> tuple[Any, str]:
    """A map at the input's size, or as it is with a note that says why."""
    axes = () if graph.is_text(tensor) else record.input_positions(tensor)
    if len(axes) != len(layout.grid):
        return values, "; one value a token, since the tokens are not positions of the input"
    shape = ops.shape(tensor)
    sizes = [shape[axis] for axis in axes]
    found = None if layout.call is None else registration.of(record, layout.call, tensor)
    if isinstance(found, str):
        return values, f"; one value a token, since {found}"
    return (maps.enlarged(values, sizes) if found is None else found.place(values, sizes)), ""
