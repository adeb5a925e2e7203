"""The viewport study: pictures at positions and distances in a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe import addresses
from kerasviz.probe.activations import layers as listed
from kerasviz.probe.answers import Answers
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.studies.viewport_data import defaults
from kerasviz.studies.viewport_frames import Painter, frame_layout, placed
from kerasviz.studies.viewport_measuring import decoding_table, detection_table, reliable_interval
from kerasviz.studies.viewport_reading import Reading
from kerasviz.studies.viewport_result import Viewport
from kerasviz.studies.viewport_settings import (
    checked_distances,
    checked_images,
    checked_positions,
    checked_range,
    checked_share,
    checked_size,
)

if TYPE_CHECKING:
    import pandas as pd

DISTANCES = tuple(round(2.0 ** (step / 2), 4) for step in range(8))
LEAST_DECODED, DECODED = 30, 6
MOST_LAYERS = 12
FEW = 4
SKIPPED = ("InputLayer", "Dropout", "Softmax", "Flatten", "Rescaling", "Normalization")


def viewport(
    model: keras.Model | None = None,
    images: Any = None,
    labels: Any = None,
    *,
    frame: tuple[int, int] | None = None,
    distances: Sequence[float] = DISTANCES,
    positions: Any = 12,
    background: Any = "grey",
    size: int | None = None,
    layers: Sequence[Any] | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    preprocess: Callable[[np.ndarray], Any] | None = None,
    output: str | int | None = None,
    share: float = 0.5,
    num_decoding: int = 400,
    batch_size: int = 16,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Viewport:
    """How far away is a class still detected, and does a network know where it is?

    Each picture is put into frames at several distances and positions: at distance d its longer
    side has `size` / d pixels, shrunk with antialiasing. Detection is the share of frames for
    which the most probable class is the label, with Wilson's interval for groups of frames of one
    picture. "Somewhat reliably" are classes detected up to the largest distance at which, and at
    all nearer ones, the accuracy is at least `share` of that at the nearest, and the low end of
    its interval is above chance. Position (x, y) and log2 distance are decoded by ridge
    regression from the pixels and from each layer, pooled to a grid of 3 × 4 cells and globally;
    R² is that of predictions for pictures that were not learned from, of which a fifth is held out
    in turn, as are the ones by which the penalty is chosen. More than 1536 features are folded
    by random signs. Intervals of R² are by bootstrap over pictures; they do not hold
    what would change with other pictures to learn from.

    Args:
        model: Any built model that takes pictures and tells at least two classes. None: a small
            network trained on patches of photos, see `viewport_network`.
        images: At least three pictures, (height, width, channels) of any sizes, with values in
            `value_range`. None: the central squares of the bundled photos; patches of them for
            the small network.
        labels: A class a picture. None: what the model answers for the picture alone, at its own
            size, or resized to all of the frame where the model takes no other.
        frame: (height, width) in pixels. None: the model's own size; (120, 160), the viewport of
            the seed document, where it leaves it open.
        distances: Above 0; 1 is where the longer side has `size` pixels.
        positions: How many random positions of each picture at each distance, or shares (n, 2)
            from 0 to 1 of the way from left to right and from top to bottom. All of a picture is
            inside of the frame.
        background: "grey", "noise" (uniform, each pixel and channel), "texture" (grey, with the
            spectrum of photos), or values of the shape of a frame.
        size: Longer side at distance 1, in pixels. None: the shorter side of the frame, or that of
            the smallest picture if it is less.
        layers: Addresses, layer objects or indices. None: up to twelve, spread over the depth.
        value_range: The values of black and of white.
        preprocess: From frames (n, height, width, channels) in `value_range` to what the model
            takes. None: nothing is changed, but for a model that takes whole numbers, for which
            values are rounded.
        output: Name or index of the output of classes, for models with several.
        share: Of the accuracy at the nearest distance, above 0, at most 1.
        num_decoding: At most so many frames, drawn at random, are used to decode.
        batch_size: Frames run at once.
        seed: Of positions, backgrounds, folds and intervals.
        progress: Called after each batch with how many frames are done, and of how many.

    Returns:
        A `Viewport`.

    Raises:
        InputError: Pictures or settings that do not fit each other or the model.
        AddressError: No such layer.
        TargetError: `output` is not an output of classes.
        MissingExtraError: The bundled photos are not installed.

    Example:

    ```python
    squares = [np.full((16, 16, 3), 50.0 * place) for place in range(5)]
    found = kv.studies.viewport(model, squares, distances=(1, 2), positions=2)
    print(found.words())
    ```
    """
    value_range = checked_range(value_range)
    if images is None:
        model, images, labels, preprocess = defaults(model, labels, preprocess, value_range, seed)
    if model is None:
        raise InputError(
            "`model` must be given with `images`. Received: None. Leave both out for the bundled "
            "photos and a small network."
        )
    layout = frame_layout(model, frame)
    pictures = checked_images(images, layout, value_range)
    away, places = checked_distances(distances), checked_positions(positions)
    share, longest = checked_share(share), checked_size(size, layout, pictures, min(away))
    whole(seed, "seed", 0)
    most = whole(num_decoding, "num_decoding", LEAST_DECODED)
    painter = Painter(pictures, layout, background, value_range, preprocess, seed)
    close = [painter.inputs(layout.close_up(picture)[None]) for picture in pictures]
    watched = _layers(model, layers, close[0])
    reading = Reading(
        Answers(model, watched, output), painter, watched, whole(batch_size, "batch_size")
    )
    classes = _classes(labels, reading.close_ups(close))
    rows = placed(pictures, classes, layout, away, places, longest, seed)
    rows["decoded"] = np.random.default_rng((seed, DECODED)).permutation(len(rows)) < most
    probabilities = reading.answers(rows, seed, progress)
    rows["predicted"] = probabilities.argmax(axis=1)
    rows["correct"] = rows["predicted"] == rows["label"]
    rows["confidence"] = probabilities[np.arange(len(rows)), rows["label"]].astype("float64")
    detection = detection_table(rows, share, seed)
    reliable = detection.loc[detection["reliable"], "distance"]
    return Viewport(
        detection=detection,
        decoding=decoding_table(reading.features, reading.counts, rows[rows["decoded"]], seed),
        placements=rows,
        examples=_examples(painter, rows),
        reliable_distance=float(reliable.max()) if len(reliable) else float("nan"),
        reliable_interval=reliable_interval(rows, detection, share, seed),
        is_open=bool(detection["reliable"].all()),
        parameters={
            "frame": [layout.height, layout.width],
            "distances": list(away),
            "positions": places if isinstance(places, int) else places.tolist(),
            "background": background if isinstance(background, str) else "given",
            "size": longest,
            "labels": "close-up answers" if labels is None else "given",
            "images": len(pictures),
            "share": share,
            "num_decoding": most,
            "seed": seed,
        },
        provenance=provenance(model),
    )


def _layers(model: keras.Model, layers: Sequence[Any] | None, inputs: Any) -> list[str]:
    """Addresses of those asked for, or of a few spread over the depth."""
    if layers is not None:
        given = [layers] if isinstance(layers, (str, int, keras.Operation)) else layers
        return list(dict.fromkeys(addresses.to_address(model, layer) for layer in given))
    table = listed(model, inputs)
    usable = [
        str(name)
        for name, row in table.iterrows()
        if row["calls"] and _is_tensor(row["output_shape"]) and row["type"] not in SKIPPED
    ]
    outer = [name for name in usable if "/" not in name]
    usable = outer if len(outer) >= FEW else usable
    places = np.linspace(0, len(usable) - 1, min(MOST_LAYERS, len(usable))).round()
    return [usable[int(place)] for place in places]


def _is_tensor(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) > 1


def _classes(labels: Any, close: np.ndarray) -> np.ndarray:
    count, total = close.shape
    found = close.argmax(axis=1) if labels is None else np.asarray(labels).reshape(-1)
    if (
        found.dtype.kind not in "iu"
        or len(found) != count
        or not 0 <= found.min() <= found.max() < total
    ):
        raise InputError(
            f"`labels` must be {count} classes from 0 to {total - 1}, one a picture. Received: "
            f"{len(found)} of {found.dtype}. Leave them out for the model's own answers."
        )
    return found


def _examples(painter: Painter, rows: pd.DataFrame) -> np.ndarray:
    """Of each distance the first frame of the first picture, in 0..255."""
    first = rows[rows["image"] == 0].drop_duplicates("distance").sort_values("distance")
    low, high = painter.value_range
    scaled = (painter.frames(first) - low) / (high - low) * 255.0
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype("uint8")
