"""The study of receptive fields: what kernel size, activation, pooling and a bottleneck do."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

import kerasviz
from kerasviz.dynamics.comparison_training import trained
from kerasviz.errors import InputError
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.receptive_fields.description import describe
from kerasviz.receptive_fields.gradient_fields import maps
from kerasviz.studies.field_study_result import FieldStudy
from kerasviz.studies.field_training import FieldTraining, KeptTrainings, digest_of
from kerasviz.studies.retina_network import LAYERS, POOLING, retina
from kerasviz.studies.small_pictures import small_pictures

BATCH_SIZE = 64
GREY = 0.5
DESCRIBABLE = ("conv_1", *LAYERS)
Progress = Callable[[str, int, int], object]


def retina_variants(pooling: str = "none") -> dict[str, dict[str, Any]]:
    """The variants of the study: name → settings of `retina`.

    Kernels of 9, 7, 5 and 3 pixels, and 9 and 5 without a bottleneck; at 5 pixels the activations
    ELU, GELU, SELU and tanh besides ReLU, and the three other kinds of pooling.

    Args:
        pooling: Of all variants that are not about pooling; "early" trains about seven times as
            fast as "none", whose dense layer has 34 million weights.

    Raises:
        InputError: No such pooling.
    """
    if pooling not in POOLING:
        raise InputError(
            f"`pooling` must be one of {tuple(POOLING)}. Received: {pooling!r}. Choose one of them."
        )
    base = {"kernel_size": 5, "pooling": pooling}
    kernels = {f"kernel {size}": {**base, "kernel_size": size} for size in (9, 7, 5, 3)}
    wide = {
        f"kernel {size}, no bottleneck": {**base, "kernel_size": size, "bottleneck": None}
        for size in (9, 5)
    }
    activations = {name: {**base, "activation": name} for name in ("elu", "gelu", "selu", "tanh")}
    others = {f"pooling {kind}": {**base, "pooling": kind} for kind in POOLING if kind != pooling}
    return {**kernels, **wide, **activations, **others}


def middle_fields(model: keras.Model, layer: str, samples: int | None) -> np.ndarray:
    """(units, height, width, colours) gradient of each middle unit of a layer."""
    return maps(model, layer, fill=GREY, samples=samples).maps


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
    samples: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> FieldStudy:
    """Train variants of `retina` from several seeds; describe the receptive fields of three layers.

    Pictures are scaled to [0, 1], batches hold 64. The field of a unit is the gradient of the unit
    in the middle of its channel by a picture that is 0.5 everywhere (or its mean over pictures of
    noise), described by `kv.receptive_fields.describe`.

    Args:
        variants: Name → settings of `retina`; None: those of `retina_variants()`.
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
        samples: Average the gradient over so many pictures of N(0, 1) noise, which passes a
            bottleneck that a grey picture leaves silent. None: the grey picture.
        folder: Where each training is kept as it ends. A study that was interrupted, or is asked
            for more seeds or variants, goes on from there. None: nothing is kept.
        progress: Called after each epoch with the variant's name, the seed, and how many epochs
            are done.

    Returns:
        A `FieldStudy`.

    Raises:
        InputError: Settings out of range, or data of another shape.
        OutputError: A `folder` that can't be made.

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
    averaged = None if samples is None else whole(samples, "samples")
    train, validation = (
        (x / 255.0, y) for x, y in small_pictures(data, num_train, whole(colors, "colors"))
    )
    study = _Study(train, validation, count, averaged, tuple(layers))
    trainings = KeptTrainings(folder)
    rows, epochs_seen, kept = [], [], {}
    for (name, settings), seed in itertools.product(chosen.items(), runs):
        given = {"colors": colors, "learning_rate": learning_rate, **settings, "seed": seed}
        told = _told(progress, name, seed)
        asked = {**given, **study.facts}
        made, is_known = trainings.found_or(asked, functools.partial(study.train, given, told))
        for epoch in range(count if is_known else 0):
            told(epoch + 1)
        epochs_seen += _epochs(name, seed, made.history, made.scores)
        for layer in layers:
            kept[name, seed, layer] = getattr(made, layer)
            table = describe(kept[name, seed, layer]).reset_index()
            rows.append(table.assign(variant=name, seed=seed, layer=layer))
    first = ["variant", "seed", "layer"]
    table = pd.concat(rows, ignore_index=True)
    facts: dict[str, Any] = {
        "epochs": count,
        "pictures": len(train[0]),
        "learning_rate": learning_rate,
    }
    facts["samples"] = averaged
    return FieldStudy(
        table=table[[*first, *(column for column in table if column not in first)]],
        training=pd.DataFrame(epochs_seen),
        maps=kept,
        variants=chosen,
        seeds=tuple(runs),
        layers=tuple(layers),
        provenance={**provenance(), **facts},
    )


class _Study:
    """What all trainings of a study share."""

    def __init__(
        self, train: Any, validation: Any, epochs: int, samples: int | None, layers: Sequence[str]
    ) -> None:
        self._train, self._validation = train, validation
        self._epochs, self._samples, self._layers = epochs, samples, layers
        self.facts = {
            "kerasviz": kerasviz.__version__,
            "data": digest_of(*train, *validation),
            "epochs": epochs,
            "batch_size": BATCH_SIZE,
            "samples": samples,
            "layers": list(layers),
        }

    def train(self, settings: dict[str, Any], told: Callable[[int], object]) -> FieldTraining:
        model = retina(**settings)
        check_model(model)
        history = trained(model, self._train, self._epochs, BATCH_SIZE, settings["seed"], told)
        scores = model.evaluate(
            *self._validation, batch_size=BATCH_SIZE, verbose=0, return_dict=True
        )
        fields = {
            layer: np.asarray(middle_fields(model, layer, self._samples), "float32")
            for layer in self._layers
        }
        return FieldTraining({}, dict(history), {k: float(v) for k, v in scores.items()}, **fields)


def _told(progress: Progress | None, name: str, seed: int) -> Callable[[int], object]:
    return lambda done: progress(name, seed, done) if progress else None


def _epochs(
    name: str, seed: int, history: Mapping[str, Sequence[float]], scores: Mapping[str, float]
) -> list[dict[str, Any]]:
    count = len(next(iter(history.values())))
    rows: list[dict[str, Any]] = [
        {"variant": name, "seed": seed, "epoch": epoch + 1}
        | {key: values[epoch] for key, values in history.items()}
        for epoch in range(count)
    ]
    rows[-1] |= {f"val_{key}": value for key, value in scores.items()}
    return rows
