"""Where the tokens of an attention layer lie on an input: a grid, after leading class tokens."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe.attention import Attention
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call

MOST_LEADING = 8


@dataclasses.dataclass(frozen=True)
class Layout:
    """How tokens lie on an input.

    Attributes:
        grid: Number of tokens along each axis of the input; (n,) for a sequence.
        leading: How many class or register tokens come first.
        name: Name of the input.
        reason: How it was found.
        call: The layer whose positions these are; None where they are told by size alone.
    """

    grid: tuple[int, ...]
    leading: int
    name: str
    reason: str
    call: Call | None = None

    @property
    def positions(self) -> np.ndarray:
        """(tokens of the grid, axes) float64 row and column of each token."""
        return np.stack(np.unravel_index(np.arange(math.prod(self.grid)), self.grid), axis=-1) * 1.0

    @property
    def distances(self) -> np.ndarray:
        """(tokens of the grid, the same) Euclidean distance in tokens."""
        places = self.positions
        return np.linalg.norm(places[:, None] - places, axis=-1)

    @property
    def longest(self) -> float:
        """Distance between the two tokens furthest apart; 0 for a single token."""
        return float(np.linalg.norm(np.array(self.grid) - 1.0))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a user says about the tokens.

    Attributes:
        grid: Tokens along each axis, or None.
        class_token: How many tokens stand in front of the grid, or None.
    """

    grid: tuple[int, ...] | None = None
    class_token: int | None = None


def wanted(grid: Any, class_token: Any) -> Wanted:
    """Check the two settings.

    Raises:
        MethodError: No sequence of whole numbers from 1 on; no whole number from 0 on.
    """
    sizes = (grid,) if _is_whole(grid) else grid
    if sizes is not None and not (
        isinstance(sizes, (tuple, list)) and sizes and all(_is_whole(n) and n > 0 for n in sizes)
    ):
        raise MethodError(
            "`grid` must be the number of tokens along each axis, or None. "
            f"Received: {grid!r}. For 14 rows of 14 patches: `grid=(14, 14)`."
        )
    is_count = class_token is None or isinstance(class_token, bool) or _is_whole(class_token)
    if not is_count or (class_token is not None and class_token < 0):
        raise MethodError(
            "`class_token` must be True, False, the number of tokens in front of the grid, or "
            f"None. Received: {class_token!r}. Leave it out, and it is found by rule."
        )
    chosen = None if sizes is None else tuple(int(n) for n in sizes)
    return Wanted(chosen, None if class_token is None else int(class_token))


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def layout(record: Run, attention: Attention, asked: Wanted) -> Layout:
    """How the tokens that a layer attends with lie on an input.

    The grid that was asked for; or that of the last layer before with as many positions; or the
    input divided into equal patches; in each case after up to 8 leading tokens.

    Raises:
        MethodError: They fit no grid.
    """
    tokens = attention.tokens[0]
    if tokens is None:
        raise MethodError(
            "Expected a fixed number of tokens. Received: an open one at "
            f"{attention.address!r}. Build the model for one input size."
        )
    for name, x in _inputs(record, attention).items():
        for found in _candidates(record, attention, x, asked, tokens):
            if asked.class_token in (None, found.leading):
                return dataclasses.replace(found, name=name)
    settings = "" if asked == Wanted() else f" with grid={asked.grid}, class_token="
    settings += "" if asked == Wanted() else f"{asked.class_token}"
    raise MethodError(
        f"Expected tokens that lie in a grid on an input, after up to {MOST_LEADING} class tokens. "
        f"Received: {tokens} tokens at {attention.address!r}{settings}. "
        "Say how they lie: `grid=(rows, columns)`, `class_token=` how many stand in front."
    )


def _inputs(record: Run, attention: Attention) -> dict[str, Any]:
    found = record.input_tensors
    scores = attention.scores
    return {n: x for n, x in found.items() if scores in graph.Below([x], differentiable=False)}


def _candidates(
    record: Run, attention: Attention, x: Any, asked: Wanted, tokens: int
) -> Iterator[Layout]:
    """Layouts of the tokens on an input, best first."""
    axes = record.input_positions(x)
    if asked.grid is not None:
        leading = tokens - math.prod(asked.grid)
        most = MOST_LEADING if asked.class_token is None else leading
        if 0 <= leading <= most:
            yield _laid_out(asked.grid, tokens, "as asked")
        return
    if attention.grid and None not in attention.grid:
        yield _laid_out(attention.grid, tokens, "as the layer takes them")
    sizes = [x.shape[axis] for axis in axes]
    if len(axes) > 1:
        yield from _of_layers(record, attention, len(axes), tokens)
    if axes and None not in sizes:
        yield from _of_patches(sizes, tokens)
    elif len(axes) == 1 or graph.is_text(x):
        yield _laid_out((tokens,), tokens, "one per position")


def _of_layers(record: Run, attention: Attention, rank: int, tokens: int) -> Iterator[Layout]:
    """The positions of layers before, the last first."""
    inside = attention.address.split("#")[0]
    before = itertools.takewhile(lambda c: not _is_within(c.address, inside), record.calls)
    for call in reversed([*before]):
        if getattr(getattr(call.output, "shape", None), "rank", None) != rank + 2:
            continue
        sizes = list(call.output.shape)
        del sizes[record.channel_axis(call)]
        if None not in sizes[1:] and 0 <= tokens - math.prod(sizes[1:]) <= MOST_LEADING:
            yield _laid_out(sizes[1:], tokens, f"as {call.address!r} has them", call)


def _is_within(address: str, outer: str) -> bool:
    return address == outer or address.startswith(outer + "/")


def _of_patches(sizes: Sequence[int], tokens: int) -> Iterator[Layout]:
    """The input cut into equal patches, with as few leading tokens as possible."""
    for leading in range(min(MOST_LEADING, tokens - 1) + 1):
        for patch in range(1, min(sizes) + 1):
            grid = [size // patch for size in sizes]
            is_even = all(size % patch == 0 for size in sizes)
            if is_even and math.prod(grid) == tokens - leading:
                side = f"patches of {_text([patch] * len(sizes))}"
                yield _laid_out(grid, tokens, "one per position" if patch == 1 else f"as {side}")


def _laid_out(
    grid: Sequence[int | None], tokens: int, why: str, call: Call | None = None
) -> Layout:
    sizes = tuple(int(size) for size in grid if size is not None)
    leading = tokens - math.prod(sizes)
    behind = f" after {leading} class or register token" if leading else ""
    behind += "s" if leading > 1 else ""
    return Layout(sizes, leading, "", f"{_text(sizes)} tokens {why}{behind}", call)


def _text(grid: Sequence[int]) -> str:
    return " × ".join(map(str, grid))
