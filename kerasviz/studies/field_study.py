"""The study of receptive fields: what kernel size, activation, pooling and a bottleneck do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.comparison_training import trained
from kerasviz.errors import InputError
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.receptive_fields.description import describe
from kerasviz.receptive_fields.unit_gradients import UnitGradients
from kerasviz.studies.field_study_result import FieldStudy
from kerasviz.studies.retina_network import LAYERS, retina
from kerasviz.studies.small_pictures import small_pictures

BATCH_SIZE = 64
GREY = 0.5
DESCRIBABLE = ("conv_1", *LAYERS)
Progress = Callable[[str, int, int], object]
Fields = Callable[[keras.Model, str], np.ndarray]


def retina_variants() -> dict[str, dict[str, Any]]:
    """The variants of the study: name → settings of `retina`.

    Kernels of 9, 7, 5 and 3 pixels, and 9 without a bottleneck; at 5 pixels the activations ELU,
    GELU, SELU, tanh and ReLU, and average pooling early, late and everywhere.
    """
    kernels = {f"kernel {size}": {"kernel_size": size} for size in (9, 7, 5, 3)}
    activations = {
        name: {"kernel_size": 5, "activation": name} for name in ("elu", "gelu", "selu", "tanh")
    }
    pooling = {
        f"pooling {kind}": {"kernel_size": 5, "pooling": kind}
        for kind in ("early", "late", "everywhere")
    }
    wide = {"kernel 9, no bottleneck": {"kernel_size": 9, "bottleneck": None}}
    return {**kernels, **wide, **activations, **pooling}


def middle_fields(model: keras.Model, layer: str) -> np.ndarray:
    """(units, height, width, colours) gradient of each middle unit of a layer on a grey picture."""
    reader = UnitGradients(model, layer)
    grey = np.full((1, *reader.shape), GREY, "float32")
    return reader.unit_gradients(reader.in_layout(grey))[0]


def receptive_fields(
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 20,
    data: Any = "patches",
    num_train: int | None = None,
    colors: int = 1,
    learning_rate: float = 1e-4,
    layers: Sequence[str] = LAYERS,
    progress: Progress | None = None,
    fields: Fields = middle_fields,
) -> FieldStudy:
    """Train variants of `retina` from several seeds; describe the receptive fields of three layers.

    Pictures are scaled to [0, 1], batches hold 64. The field of a unit is the gradient of the unit
    in the middle of its channel by a picture that is 0.5 everywhere, described by
    `kv.receptive_fields.describe`.

    Args:
        variants: Name → settings of `retina`; None: those of `retina_variants`.
        seeds: One training of each variant a seed: initial weights and order of pictures.
        epochs: Of training.
        data: "patches": 4096 patches of photos, their classes the seven photos, and a quarter as
            many from other regions for validation, all bundled. "cifar10": what `keras.datasets`
            downloads. Or `((x_train, y_train), (x_validation, y_validation))` with pictures
            `(n, 32, 32, 1 or 3)` in [0, 255] and classes below 10.
        num_train: Use only so many training pictures; of patches, cut so many. None: all.
        colors: 1 for grey pictures, 3.
        learning_rate: Of Adam.
        layers: Which layers of `retina` are described, of "conv_1", "bottleneck", "mid", "last".
        progress: Called after each epoch with the variant's name, the seed, and how many epochs
            are done.
        fields: Function of the trained model and a layer that returns the maps to describe.

    Returns:
        A `FieldStudy`.

    Raises:
        InputError: Settings out of range, or data of another shape.

    Example:

    ```python
    small = {"narrow": {"kernel_size": 3, "pooling": "everywhere"}}
    found = kv.studies.receptive_fields(
        small, seeds=[0], epochs=1, num_train=64, layers=["bottleneck"]
    )
    print(found.summary())
    ```
    """
    import pandas as pd

    chosen = {name: dict(x) for name, x in (variants or retina_variants()).items()}
    runs, count = [whole(seed, "seeds", 0) for seed in seeds], whole(epochs, "epochs")
    if not runs or not layers or not chosen:
        raise InputError(
            "`variants`, `seeds` and `layers` must name at least one each. Received: "
            f"{len(chosen)}, {len(runs)} and {len(layers)}. Pass None for the usual variants."
        )
    if not set(layers) <= set(DESCRIBABLE):
        raise InputError(
            f"`layers` must be among {DESCRIBABLE}. Received: {tuple(layers)}. Choose of these."
        )
    train, validation = (
        (x / 255.0, y) for x, y in small_pictures(data, num_train, whole(colors, "colors"))
    )
    rows, epochs_seen, maps = [], [], {}
    for (name, settings), seed in itertools.product(chosen.items(), runs):
        given = {"colors": colors, "learning_rate": learning_rate, **settings, "seed": seed}
        model = retina(**given)
        check_model(model)
        history = trained(model, train, count, BATCH_SIZE, seed, _told(progress, name, seed))
        scores = model.evaluate(*validation, batch_size=BATCH_SIZE, verbose=0, return_dict=True)
        epochs_seen += _epochs(name, seed, history, scores)
        for layer in layers:
            found = maps[name, seed, layer] = np.asarray(fields(model, layer), "float32")
            table = describe(found).reset_index()
            rows.append(table.assign(variant=name, seed=seed, layer=layer))
    first = ["variant", "seed", "layer"]
    table = pd.concat(rows, ignore_index=True)
    facts = {"epochs": count, "pictures": len(train[0]), "learning_rate": learning_rate}
    return FieldStudy(
        table=table[[*first, *(column for column in table if column not in first)]],
        training=pd.DataFrame(epochs_seen),
        maps=maps,
        variants=chosen,
        seeds=tuple(runs),
        layers=tuple(layers),
        provenance={**provenance(), **facts},
    )


def _told(progress: Progress | None, name: str, seed: int) -> Callable[[int], object]:
    return lambda done: progress(name, seed, done) if progress else None


def _epochs(
    name: str, seed: int, history: Mapping[str, list[float]], scores: Mapping[str, float]
) -> list[dict[str, Any]]:
    count = len(next(iter(history.values())))
    rows: list[dict[str, Any]] = [
        {"variant": name, "seed": seed, "epoch": epoch + 1}
        | {key: values[epoch] for key, values in history.items()}
        for epoch in range(count)
    ]
    rows[-1] |= {f"val_{key}": float(value) for key, value in scores.items()}
    return rows
