"""What a layer sees at each position of one photo, drawn."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.layer_reading import Reader, shown
from kerasviz.features.painter import Painter
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """A picture per cell of one photo.

    Args:
        pictures: (*cells, *positions, channels) as the model takes them; a cell without any
            activation is grey. None where none were drawn.
        display: The same in [0, 1], channels last.
        vectors: (*cells, channels) mean activation of each cell, which its picture stands for.
        magnitudes: (*cells,) length of each vector.
        photo: (*positions, channels) the photo in [0, 1]; None where no input has the positions of
            the layer.
        layer: Address of the layer.
        parameters: All settings, as JSON can hold them.
        provenance: Versions, model, time.
    """

    pictures: np.ndarray | None
    display: np.ndarray | None
    vectors: np.ndarray
    magnitudes: np.ndarray
    photo: np.ndarray | None
    layer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"Grid({self.layer!r}, cells {self.magnitudes.shape})"

    def plot(self, scale: bool = False, **kwargs: Any) -> Figure:
        """The photo and its grid; `scale=True` makes cells smaller where less is active.

        Args:
            scale: Whether the area of each picture is that share of the largest magnitude which
                its own magnitude is.
            **kwargs: As `kv.plots.activation_grid` takes them.
        """
        from kerasviz.plots.feature_maps import activation_grid

        magnitudes = self.magnitudes if scale else None
        return activation_grid(self.display, magnitudes, photo=self.photo, **kwargs)


class ActivationGrid:
    """Draws, for each position of a layer, what would excite it as one photo does there.

    The picture of a cell maximizes the direction of the activations that the photo has in it. All
    cells are drawn side by side, `batch_size` at a time, in one compiled loop.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a layer with positions.
        cell: So many positions a side (or one number per position axis) are averaged into a cell.
        size: Height and width of a cell's picture; None: what the model declares, 80 where it is
            open.
        steps: Gradient steps per picture; 0 only measures.
        cosine_power: How strictly a picture keeps to the direction, see `kv.objectives.direction`.
        centred: Let the direction appear in the middle of the picture only, not everywhere.
        batch_size: Pictures drawn side by side; memory grows with it, not with the cells.
        seed: The same seed gives the same pictures.
        **settings: Further settings of `kv.ActivationMaximization`.

    Call arguments:
        photo: One sample in the model's own structure, with or without a batch axis of 1.
        verbose: "auto" or 1 for a progress bar, 0 for none.

    Returns:
        A `Grid`.

    Raises:
        AddressError: No such layer.
        InputError: Settings or a photo that do not fit.
        MethodError: A layer without positions, or one that answers NaN.

    Reference:
        Olah et al., "The Building Blocks of Interpretability", Distill 2018,
        https://distill.pub/2018/building-blocks

    Example:

    ```python
    grid = kv.ActivationGrid(model, "encoder/conv", cell=8, steps=4)(images[0])
    figure = grid.plot(scale=True)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layer: Any,
        cell: int | tuple[int, ...] = 1,
        size: int | None = None,
        steps: int = 128,
        cosine_power: float = 1.0,
        centred: bool = False,
        batch_size: int = 16,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self._reader = Reader(model, layer)
        self._cell = (
            tuple(whole(one, "cell") for one in cell)
            if isinstance(cell, tuple)
            else whole(cell, "cell")
        )
        self._painter = Painter(
            model,
            self._reader.address,
            size=size,
            steps=steps,
            cosine_power=cosine_power,
            centred=centred,
            batch_size=batch_size,
            seed=seed,
            settings=settings,
        )

    def __call__(self, photo: Any, verbose: Any = "auto") -> Grid:
        batch = self._reader.one(photo)
        features, picture = self._reader.read_batch(batch)
        vectors = pooled(features[0], self._cell)
        cells = vectors.shape[:-1]
        pictures, display = self._painter.draw(vectors.reshape(-1, vectors.shape[-1]), verbose)
        return Grid(
            pictures=None if pictures is None else pictures.reshape(*cells, *pictures.shape[1:]),
            display=None if display is None else display.reshape(*cells, *display.shape[1:]),
            vectors=vectors,
            magnitudes=np.linalg.norm(vectors, axis=-1),
            photo=None if picture is None else shown(picture[0], self._painter.value_range),
            layer=self._reader.address,
            parameters={"cell": self._cell} | self._painter.parameters,
            provenance=provenance(self._reader.model),
        )


def pooled(features: np.ndarray, cell: int | tuple[int, ...]) -> np.ndarray:
    """(*cells, channels): means over cells of `cell` positions; the last ones may be smaller.

    Args:
        features: (*positions, channels).
        cell: Positions a side, one number or one per axis.

    Raises:
        InputError: Another number of axes.
    """
    rank = features.ndim - 1
    sizes = (cell,) * rank if isinstance(cell, int) else cell
    if len(sizes) != rank:
        raise InputError(
            f"`cell` must be one number, or one for each of {rank} axes. Received: {cell!r}."
        )
    for axis, size in enumerate(sizes):
        starts = np.arange(0, features.shape[axis], size)
        lengths = np.diff(np.append(starts, features.shape[axis]))
        shape = [-1 if i == axis else 1 for i in range(features.ndim)]
        features = np.add.reduceat(features, starts, axis=axis) / lengths.reshape(shape)
    return features.astype("float32")
