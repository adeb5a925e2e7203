"""The circuit of a channel: what it reads, and what that reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe.feeding import feeding
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.weights.channel_circuit import Circuit
from kerasviz.weights.drawn_channels import NOTHING
from kerasviz.weights.expanded import ExpandedWeights
from kerasviz.weights.expansion import expand
from kerasviz.weights.links import FIGURES, link_table, strongest_pairs

LEVELS = 2
NEAREST = 3
Node = tuple[str, int]


def circuit(
    model: keras.Model,
    layer: Any,
    channel: int,
    strongest: int = 3,
    through: Sequence[Any] | None = None,
    examples: Any = None,
) -> Circuit:
    """A channel's strongest inputs in the layer before, and their strongest inputs before that.

    The layers before are the convolutions and dense layers from which a way leads to the channel's
    own that meets no other: one in a chain, several behind an addition or a concatenation, of which
    the three nearest are looked at. Depthwise convolutions keep channels apart, so that they are no
    layers before but part of the link. A layer whose output goes to a batch normalization alone is
    named by that, for its channels have like scales, so that their weights can be compared. Links
    are the maps of `kv.weights.expand`, of direct paths only, ranked by their L2 norm, those from
    several layers together.

    Args:
        model: Any built Keras 3 model; not altered. It is traced to find the layers before.
        layer: Address, layer object or index of the channel's layer.
        channel: Number of the channel.
        strongest: How many links into each channel.
        through: The layers to look at in place of those before, the earliest first; one or more.
            Each is an address, or a list of addresses where several feed the next. All paths
            between them count then, whatever they pass.
        examples: None for the linear path; or inputs, over which to average gradients. See
            `kv.weights.expand`.

    Returns:
        A `Circuit`. Nothing is drawn until `visualize` is called.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit.
        MethodError: The layer reads the input of the model, or has no weights other than zero.

    Reference:
        Voss et al., "Visualizing Weights", Distill 2021; Olah et al., "Zoom In: An Introduction to
        Circuits", Distill 2020.

    Example:

    ```python
    found = kv.weights.circuit(model, "block_3/expand", 4)
    print(found.nodes, found.links)
    figure = found.plot()
    ```
    """
    check_model(model)
    strongest = whole(strongest, "strongest")
    target = addresses.to_address(model, layer)
    plan = _Plan(model, target, through)
    columns = [[(target, whole(channel, "channel", 0))]]
    reader = _Reader(model, strongest, examples)
    links: list[_Link] = []
    for level in range(plan.levels):
        found = reader.into(columns[-1], level, plan)
        links += found
        columns.append([*dict.fromkeys(link.source for link in found)])
    if not links:
        raise MethodError(
            f"Expected a channel with weights other than zero. Received: '{target}:{channel}', "
            "which has none. See `kv.weights.diagnose`."
        )
    return _assembled(model, columns, links, plan, reader)


@dataclasses.dataclass(frozen=True, eq=False)
class _Link:
    """One link, `level` columns before the last."""

    level: int
    source: Node
    target: Node
    figures: tuple[float, ...]
    weights: np.ndarray


class _Plan:
    """Which layers feed which."""

    def __init__(self, model: keras.Model, target: str, through: Sequence[Any] | None) -> None:
        self.left_out: dict[str, None] = {}
        self._given = None if through is None else _given(model, through)
        self._found: dict[str, tuple[str, ...]] = {}
        self.levels = LEVELS if self._given is None else len(self._given)
        if self._given is None:
            self._found = feeding(model, target, LEVELS)
            if not self._found[target]:
                raise MethodError(
                    "`layer` must come after another convolution or dense layer. Received: "
                    f"{target!r}, which reads the input of the model. "
                    "See `kv.weights.factorize` for such a layer."
                )

    def before(self, layer: str, level: int) -> dict[str, list[str]]:
        """The layers to look at, from one that is `level` columns before the last; and for each
        the layers to hold, lest a link go through another layer that feeds the same."""
        if self._given is not None:
            return {one: [] for one in self._given[-1 - level]}
        every = self._found[layer]
        self.left_out |= dict.fromkeys(every[NEAREST:])
        return {one: [other for other in every if other != one] for one in every[:NEAREST]}


class _Reader:
    """Expands weights and keeps the strongest."""

    def __init__(self, model: keras.Model, strongest: int, examples: Any) -> None:
        self._model, self._strongest, self._examples = model, strongest, examples
        self.said: dict[str, None] = {}
        self.method = ""

    def into(self, front: Sequence[Node], level: int, plan: _Plan) -> list[_Link]:
        """The strongest links into each channel of a column."""
        found = []
        for layer in dict.fromkeys(layer for layer, _ in front):
            channels = [channel for own, channel in front if own == layer]
            links: list[_Link] = []
            for source, held in plan.before(layer, level).items():
                links += self._between(source, layer, channels, level, held)
            for channel in channels:
                own = [link for link in links if link.target[1] == channel]
                own.sort(key=lambda link: -link.figures[0])
                found += own[: self._strongest]
        return found

    def _between(
        self, source: str, layer: str, channels: list[int], level: int, held: list[str]
    ) -> list[_Link]:
        expanded = expand(self._model, source, layer, self._examples, targets=channels, held=held)
        if held:
            expanded = _trimmed(expanded)
        self.method = expanded.method
        self.said |= dict.fromkeys([expanded.diagnosis] if expanded.diagnosis else [])
        norms = np.asarray(expanded.norms, "float64")
        pairs = strongest_pairs(norms, self._strongest, each=True)
        table = link_table(expanded, pairs)
        return [
            _Link(
                level,
                (source, int(row["source"])),
                (layer, int(row["target"])),
                tuple(float(row[name]) for name in FIGURES),
                expanded.maps[pair],
            )
            for pair, row in zip(pairs, table.to_dict("records"), strict=True)
        ]


def _given(model: keras.Model, through: Sequence[Any]) -> list[list[str]]:
    if isinstance(through, str) or not isinstance(through, (list, tuple)) or not through:
        raise InputError(
            "`through` must be a list of layers, the earliest first. "
            f"Received: {through!r}. Leave it out to take the layers before."
        )
    columns = [one if isinstance(one, (list, tuple)) else [one] for one in through]
    return [[addresses.to_address(model, layer) for layer in column] for column in columns]


def _trimmed(expanded: ExpandedWeights) -> ExpandedWeights:
    """Without the borders of the window that are zero in all maps: seen through held layers."""
    seen = (expanded.positive != 0) | (expanded.negative != 0)
    box = [slice(None), slice(None)]
    for axis in range(2, seen.ndim):
        places = np.flatnonzero(seen.any(axis=tuple(a for a in range(seen.ndim) if a != axis)))
        box.append(slice(places[0], places[-1] + 1) if len(places) else slice(None))
    parts = {name: getattr(expanded, name)[tuple(box)] for name in ("maps", "positive", "negative")}
    return dataclasses.replace(expanded, **parts)


def _assembled(
    model: keras.Model,
    columns: list[list[Node]],
    links: list[_Link],
    plan: _Plan,
    reader: _Reader,
) -> Circuit:
    import pandas as pd

    columns = [column for column in reversed(columns) if column]
    last = len(columns) - 1
    rows = [(place, *node) for place, column in enumerate(columns) for node in column]
    number = {(place, (layer, channel)): n for n, (place, layer, channel) in enumerate(rows)}
    ends = [
        (
            number[last - link.level - 1, link.source],
            number[last - link.level, link.target],
            *link.figures,
        )
        for link in links
    ]
    return Circuit(
        nodes=pd.DataFrame(rows, columns=["column", "layer", "channel"]),
        links=pd.DataFrame(ends, columns=["source", "target", *FIGURES]),
        maps=tuple(link.weights for link in links),
        left_out=tuple(plan.left_out),
        pictures=NOTHING,
        method=reader.method,
        diagnosis=" ".join(reader.said),
        provenance=provenance(model),
    )
