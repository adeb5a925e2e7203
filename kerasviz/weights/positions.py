"""What a channel reads at each position of its window, as directions of the source's channels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.features.painter import Painter
from kerasviz.probe.provenance import provenance
from kerasviz.probe.saving import Kept
from kerasviz.probe.settings import whole
from kerasviz.weights.drawn_channels import NOTHING, checked_pictures
from kerasviz.weights.expansion import expand

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasviz.features.objectives.base import Objective

AT_ONCE = 64


@dataclasses.dataclass(frozen=True, eq=False)
class PositionWeights(Kept):
    """A channel's weights, a direction of the source's channels at each position of its window.

    Args:
        directions: (*window, source channels) float32, W[y, x, :] of the channel.
        norms: (*window) L2 norm of each.
        source: Address of the layer that is read.
        target: Address of the channel's layer.
        channel: Number of the channel.
        drawn: (n, axes of the window) the positions of the pictures, the largest norm first; or
            empty.
        excites: (n, *positions, channels) in [0, 1], what excites the channel there; or empty.
        inhibits: (n, *positions, channels) in [0, 1], what inhibits it there; or empty.
        method: How the weights were expanded.
        diagnosis: What to know before one believes them, or "".
        provenance: Versions, model, time.
    """

    directions: np.ndarray
    norms: np.ndarray
    source: str
    target: str
    channel: int
    drawn: np.ndarray
    excites: np.ndarray
    inhibits: np.ndarray
    method: str
    diagnosis: str
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        window = "×".join(map(str, self.norms.shape)) or "one position"
        return f"PositionWeights({self.source!r} → '{self.target}:{self.channel}', {window})"

    def strongest(self, num: int = 25) -> list[tuple[int, ...]]:
        """The positions with the largest norms, the largest first, none with a norm of 0."""
        order = np.argsort(-self.norms, axis=None, kind="stable")[:num]
        places = np.stack(np.unravel_index(order, self.norms.shape), axis=-1).tolist()
        return [tuple(place) for place in places if self.norms[tuple(place)] > 0]

    def objective(
        self, *position: int, inhibits: bool = False, cosine_power: float = 1.0
    ) -> Objective:
        """The direction at a position as what `kv.ActivationMaximization` draws.

        Args:
            *position: Index of the position in the window.
            inhibits: The opposite direction.
            cosine_power: As `kv.objectives.direction` takes it.
        """
        from kerasviz.features.objectives import direction

        sign = -1.0 if inhibits else 1.0
        return direction(self.source, sign * self.directions[position], cosine_power)

    def visualize(
        self,
        model: keras.Model,
        num: int = 25,
        steps: int = 96,
        size: int | None = None,
        cosine_power: float = 1.0,
        seed: int = 0,
        verbose: Any = "auto",
        **settings: Any,
    ) -> PositionWeights:
        """The same weights, with pictures of what excites and what inhibits at each position.

        All pictures are drawn side by side in one run, 64 at most at once.

        Args:
            model: The model that the weights are of; not altered.
            num: At how many positions, those with the largest norms.
            steps: Gradient steps.
            size: Height and width of a picture; None: what the model declares, 80 where it is open.
            cosine_power: How strictly pictures keep to the direction: `kv.objectives.direction`.
            seed: The same seed gives the same pictures.
            verbose: "auto" or 1 for a progress bar, 0 for none.
            **settings: Further settings of `kv.ActivationMaximization`.
        """
        places = self.strongest(whole(num, "num"))
        vectors = np.stack([self.directions[place] for place in places])
        painter = Painter(
            model,
            self.source,
            size=size,
            steps=whole(steps, "steps"),
            cosine_power=cosine_power,
            batch_size=AT_ONCE,
            seed=seed,
            settings=settings,
        )
        _, shown = painter.draw(np.concatenate([vectors, -vectors]), verbose)
        return self.with_pictures(places, shown[: len(places)], shown[len(places) :])

    def with_pictures(self, drawn: Any, excites: Any, inhibits: Any) -> PositionWeights:
        """The same weights, with pictures of your own.

        Args:
            drawn: Positions of the window, as `strongest` returns them.
            excites: (n, *positions, channels) in [0, 1], what excites the channel at each.
            inhibits: (n, *positions, channels) in [0, 1], what inhibits it.

        Raises:
            InputError: Not one picture a position, or values outside of [0, 1].
        """
        places = np.asarray(drawn, "int64").reshape(len(drawn), self.norms.ndim)
        return dataclasses.replace(
            self,
            drawn=places,
            excites=checked_pictures(excites, len(places), "drawn"),
            inhibits=checked_pictures(inhibits, len(places), "drawn"),
        )

    def plot(self, **kwargs: Any) -> Figure:
        """Norms, and a grid of pictures for each sign; see `kv.plots.weight_positions`."""
        from kerasviz.plots.weight_positions import weight_positions

        return weight_positions(self, **kwargs)


def position_weights(
    model: keras.Model, source: Any, target: Any, channel: int, examples: Any = None
) -> PositionWeights:
    """What a channel reads at each position of its window: a direction of the source's channels.

    A link between two channels says where one reads the other. This is the same weights cut the
    other way: at one position, how much of each channel. Such a direction can be drawn: what
    excites this unit here, and, for its opposite, what inhibits it.

    Args:
        model: Any built Keras 3 model; not altered.
        source: Address, layer object or index of the layer that is read.
        target: The same of the channel's layer, somewhere after it.
        channel: Number of the channel.
        examples: None for the linear path; or inputs, over which to average gradients. See
            `kv.weights.expand`.

    Returns:
        A `PositionWeights`. Nothing is drawn until `visualize` is called.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit.
        MethodError: The target does not depend on the source, or all weights are zero.

    Reference:
        Voss et al., "Visualizing Weights", Distill 2021, "Spatial Position Weights".

    Example:

    ```python
    found = kv.weights.position_weights(model, "encoder/conv", "block_3/expand", 4)
    print(found.strongest(3))
    figure = found.plot()
    ```
    """
    channel = whole(channel, "channel", 0)
    expanded = expand(model, source, target, examples, targets=[channel])
    directions = np.ascontiguousarray(np.moveaxis(expanded.maps[0], 0, -1))
    norms = np.linalg.norm(directions, axis=-1)
    if not np.any(norms):
        raise MethodError(
            f"Expected a channel with weights other than zero. Received: '{expanded.target}:"
            f"{channel}', which has none from {expanded.source!r}. See `kv.weights.diagnose`."
        )
    return PositionWeights(
        directions=directions,
        norms=np.asarray(norms, "float32"),
        source=expanded.source,
        target=expanded.target,
        channel=channel,
        drawn=np.empty((0, norms.ndim), "int64"),
        excites=NOTHING,
        inhibits=NOTHING,
        method=expanded.method,
        diagnosis=expanded.diagnosis,
        provenance=provenance(model),
    )
