"""Does a grasping network look at colour or at depth, and what do its attention weights say?

    python examples/rgbd_grasping.py

Trains a small RGB-D grasp network on scenes of objects on a table, tests it on scenes that it has
not seen, and takes it apart: its attention weights and gates, trained against untrained; and, for
plain objects, flat prints of objects (decoys), objects in the table's own pattern (camouflaged) and
objects of which the depth sensor sees nothing (glossy), how much of its answer comes from colour
and how much from depth. Writes rgbd_grasping.png: scenes, grasps, Grad-CAM and |gradient ×
activation| of each modality; rgbd_attention.png: the attention weights, with what the initializers
alone would give.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import kerasviz as kv
from kerasviz import plots, samples

KINDS = ("plain", "camouflaged", "glossy", "decoy")
HEADS = ("grip", "horizontal", "vertical")
GRIP_WEIGHT = 3.0
FEWEST = 3
ABOVE_TABLE = 20.0


def main(
    size: int,
    scenes: int,
    tested: int,
    epochs: int,
    filters: list[int],
    blocks: list[int],
    output: Path,
) -> None:
    """Train, test, and look inside."""
    output.mkdir(parents=True, exist_ok=True)
    trained = samples.rgbd_scenes(scenes, size, seed=0)
    held_out = samples.rgbd_scenes(tested, size, seed=1)
    untrained = network(size, filters, blocks, seed=0)
    model = network(size, filters, blocks, seed=0)
    fit(model, trained, epochs)
    print(f"\n{model.count_params()} weights, {scenes} scenes, {epochs} epochs\n")
    predicted = model.predict(held_out.inputs, verbose=0)
    show("On scenes it has not seen", quality(held_out, predicted))
    show("Share of objects that it grips", gripped_shares(model, held_out))

    models = {"untrained": untrained, "trained": model}
    tables = {name: kv.attention.summarize(each) for name, each in models.items()}
    show("Mean of the attention weights", compared_means(tables))
    show("What its gates do", compared_gates(models, held_out.inputs))
    figure = plots.weight_histograms(kv.attention.weights(model), tables["trained"])
    save(figure, output / "rgbd_attention.png")

    table, layers = by_kind(model, held_out)
    print("\nBranches end in", layers)
    show("Where the score of an object comes from", table)
    save(drawn(model, held_out, predicted, layers), output / "rgbd_grasping.png")
    look_at_photo(model, size)


def network(size: int, filters: list[int], blocks: list[int], seed: int) -> keras.Model:
    """The note's network, with fewer and smaller blocks."""
    keras.utils.set_random_seed(seed)
    return kv.attention.rgbd_grasp_network(
        (size, size, 4),
        filters=filters,
        blocks=blocks,
        dilation_rates=[1, *[3] * (len(filters) - 1)],
        decoder_filters=(2 * filters[0], filters[0]),
        head_filters=filters[0],
    )


def fit(model: keras.Model, scenes: samples.RGBDScenes, epochs: int, batch: int = 16) -> None:
    """Cross-entropy for where to grip, squared errors for the angle where there is one.

    Two pixels in a hundred are to be gripped: they count `GRIP_WEIGHT` times.
    """
    steps = epochs * -(-len(scenes) // batch)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    losses = dict(zip(HEADS, ("sparse_categorical_crossentropy", "mse", "mse"), strict=True))
    model.compile(keras.optimizers.Adam(rate), loss=losses)
    has_angle = (scenes.mask / scenes.mask.mean()).astype("float32")
    labels = {
        "grip": scenes.grip,
        "horizontal": scenes.horizontal[..., None],
        "vertical": scenes.vertical[..., None],
    }
    weights = {
        "grip": np.where(scenes.grip == 1, GRIP_WEIGHT, 1.0).astype("float32"),
        "horizontal": has_angle,
        "vertical": has_angle,
    }
    model.fit(
        scenes.inputs, labels, sample_weight=weights, batch_size=batch, epochs=epochs, verbose=2
    )


def to_grip(predicted: dict[str, np.ndarray]) -> np.ndarray:
    """(n, height, width) bool."""
    return predicted["grip"].argmax(axis=-1) == 1


def quality(scenes: samples.RGBDScenes, predicted: dict[str, np.ndarray]) -> pd.DataFrame:
    """Against three ways to answer without a network."""
    nowhere = np.zeros(scenes.grip.shape, bool)
    usual = np.arctan2(scenes.vertical.sum(), scenes.horizontal.sum()) / 2
    table_depth = np.median(scenes.depth, axis=(1, 2), keepdims=True)
    high = (scenes.depth > 0) & (scenes.depth < table_depth - ABOVE_TABLE)
    angle = np.arctan2(predicted["vertical"], predicted["horizontal"])[..., 0] / 2
    answers = {
        "network": (to_grip(predicted), angle),
        "grip nowhere": (nowhere, usual),
        "grip everywhere": (~nowhere, usual),
        f"grip {ABOVE_TABLE:.0f} mm above the table": (high, usual),
    }
    return pd.DataFrame({name: _quality(scenes, *answer) for name, answer in answers.items()}).T


def _quality(scenes: samples.RGBDScenes, grip: np.ndarray, angle: Any) -> dict[str, float]:
    truth = scenes.grip == 1
    both, either = (truth & grip).sum(), (truth | grip).sum()
    right = np.arctan2(scenes.vertical, scenes.horizontal) / 2
    apart = np.abs((angle - right + np.pi / 2) % np.pi - np.pi / 2)[scenes.mask]
    return {
        "grip IoU": both / max(either, 1),
        "grip accuracy": (truth == grip).mean(),
        "angle error (°)": np.degrees(apart.mean()) if apart.size else np.nan,
    }


def gripped_shares(model: keras.Model, scenes: samples.RGBDScenes) -> pd.DataFrame:
    """Of the objects of each kind, on how many there are 3 pixels to grip or more.

    Also with one modality replaced by its mean over all scenes, position by position.
    """
    inputs = scenes.inputs
    mean = np.broadcast_to(inputs.mean(axis=0), inputs.shape)
    without_colour = np.concatenate([mean[..., :3], inputs[..., 3:]], axis=-1)
    without_depth = np.concatenate([inputs[..., :3], mean[..., 3:]], axis=-1)
    answers = {
        "as it is": inputs,
        "colour replaced": without_colour,
        "depth replaced": without_depth,
    }
    return pd.DataFrame(
        {
            name: _gripped(scenes, to_grip(model.predict(given, verbose=0)))
            for name, given in answers.items()
        }
    )


def _gripped(scenes: samples.RGBDScenes, grip: np.ndarray) -> dict[str, float]:
    found: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for objects, instances, places in zip(scenes.objects, scenes.instances, grip, strict=True):
        for number, thing in enumerate(objects):
            inside = instances == number
            if inside.any():
                found[thing.kind].append(bool((inside & places).sum() >= FEWEST))
    return {kind: float(np.mean(hits)) if hits else np.nan for kind, hits in found.items()}


def compared_means(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Means before and after training; after it the interval, the sign test and the shift from
    what the initializers alone would give."""
    trained = tables["trained"]
    columns = ["mean", "mean_low", "mean_high", "share_positive", "sign_test", "compound", "shift"]
    found = trained[columns].copy()
    found.insert(0, "untrained", tables["untrained"]["mean"])
    return found


def compared_gates(models: dict[str, keras.Model], inputs: np.ndarray) -> pd.DataFrame:
    """Mean of each gate and how far it moves from scene to scene."""
    columns = ["mean", "between_inputs"]
    tables = {
        name: kv.attention.statistics(model, inputs, verbose=0).table[columns]
        for name, model in models.items()
    }
    return pd.concat(tables, axis=1)


def by_kind(model: keras.Model, scenes: samples.RGBDScenes) -> tuple[pd.DataFrame, dict[str, str]]:
    """Attribution of "grip" against "do not grip" over the pixels of the objects of each kind, and
    the layers at which it was measured."""
    rows, masks, owners = [], [], []
    for kind in KINDS:
        places = scenes.kinds(kind)
        chosen = np.flatnonzero(places.any(axis=(1, 2)))
        rows.append(chosen)
        masks.append(places[chosen])
        owners += [kind] * len(chosen)
    found = attribution(model, scenes.inputs[np.concatenate(rows)], np.concatenate(masks))
    columns = {"score": found.scores}
    for number, name in enumerate(found.modalities):
        if found.layer_shares is not None:
            columns[f"{name}: layer share"] = found.layer_shares[:, number]
        columns[f"{name}: loss"] = found.losses[:, number]
    table = pd.DataFrame(columns).groupby(owners, sort=False)
    text = table.mean().round(2).astype(str) + " ± " + table.std().round(2).astype(str)
    return text, found.layers


def attribution(
    model: keras.Model, inputs: np.ndarray, mask: np.ndarray, layers: dict[str, str] | None = None
) -> kv.attention.ModalityAttribution:
    """Where the score comes from by which the masked pixels are gripped rather than not."""
    target = kv.targets.Mask(mask, 1, "grip") - kv.targets.Mask(mask, 0, "grip")
    return kv.attention.modality_attribution(model, inputs, layers or None, target)


def drawn(
    model: keras.Model,
    scenes: samples.RGBDScenes,
    predicted: dict[str, np.ndarray],
    layers: dict[str, str],
) -> Figure:
    """Scenes with a decoy and something glossy or camouflaged, as many as there are, up to two."""
    odd = [
        ("decoy" in kinds) * len(kinds)
        for kinds in ({thing.kind for thing in objects} for objects in scenes.objects)
    ]
    usable = np.flatnonzero((scenes.instances >= 0).any(axis=(1, 2)))
    chosen = usable[np.argsort(-np.array(odd)[usable], kind="stable")[:2]]
    found = attribution(model, scenes.inputs[chosen], scenes.instances[chosen] >= 0, layers)
    maps = {f"Grad-CAM, {name}": values for name, values in on_one_scale(found.maps).items()}
    for name, values in on_one_scale(found.size_maps).items():
        maps[f"|g·A|, {name}"] = values
    titles = [
        ", ".join(f"{thing.kind} {thing.shape}" for thing in scenes.objects[scene])
        for scene in chosen
    ]
    return plots.rgbd_scenes(
        scenes.rgb[chosen],
        scenes.depth[chosen],
        {
            "true grasps": {name: getattr(scenes, name)[chosen] for name in HEADS},
            "predicted grasps": {name: values[chosen] for name, values in predicted.items()},
        },
        maps=maps,
        titles=titles,
    )


def on_one_scale(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps divided by the largest value of each scene, whichever modality it is in."""
    peaks = np.max([values.max(axis=(1, 2)) for values in maps.values()], axis=0)
    scale = np.where(peaks > 0, peaks, 1)[:, None, None]
    return {name: values / scale for name, values in maps.items()}


def look_at_photo(model: keras.Model, size: int) -> None:
    """A real photo from 2 to 5 m away, as it is and with its depth shrunk to a table's distance."""
    photo = samples.rgbd_photo()
    height, width = photo.depth.shape
    rows = np.arange(size) * height // size
    columns = (width - height) // 2 + np.arange(size) * height // size
    given = photo.inputs[:, rows][:, :, columns]
    shrunk = given * [1, 1, 1, 680 / np.median(given[..., 3])]
    for name, inputs in {"as it is": given, "depth shrunk": shrunk.astype("float32")}.items():
        grip = to_grip(model.predict(inputs, verbose=0))
        print(f"A real RGB-D photo of another world, {name}: {grip.mean():.1%} to be gripped")


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table below its title."""
    print(f"\n{title}\n{table.to_string(float_format=lambda value: f'{value:.3g}')}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure and say where."""
    path.write_bytes(plots.to_png(figure, dpi=110))
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the scenes")
    parser.add_argument("--scenes", type=int, default=800, help="scenes to train on")
    parser.add_argument("--tested", type=int, default=100, help="scenes to test on")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--filters", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 2])
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
