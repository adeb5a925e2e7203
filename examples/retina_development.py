"""How do the receptive fields of a small retina come about?

    python examples/retina_development.py

Trains a network with a bottleneck of one channel, like the optic nerve, to tell from which photo a
grey patch is, and keeps the fields of every unit after it once an epoch. Prints of how many units
the field is a Gabor or a difference of Gaussians, before and after, and writes
retina_development.png. With --run FOLDER it keeps the run, and writes a page with a slider there.

Reference:
    Lindsey et al. 2019, "A Unified Theory of Early Visual Representations from Retina to Cortex
    through Anatomically Constrained Deep CNNs", arXiv:1901.00945.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import keras

from kerasviz import callbacks, dynamics, plots, receptive_fields, report, samples

SIZE, KERNEL, CHANNELS = 24, 7, 32
NAMES = ("astronaut", "chelsea", "china", "coffee", "flower", "rocket")
SHOWN = (0, 1, 3, 8)


def retina(classes: int) -> keras.Model:
    """Convolution 32, bottleneck 1 ("nerve"), convolution 32 ("cortex"), compiled."""
    layers = keras.layers
    settings = {"padding": "same"}
    x = picture = keras.Input((SIZE, SIZE, 1))
    x = layers.ReLU()(layers.Conv2D(CHANNELS, KERNEL, name="retina", **settings)(x))
    x = layers.BatchNormalization()(layers.Conv2D(1, KERNEL, name="nerve", **settings)(x))
    x = layers.Conv2D(CHANNELS, KERNEL, name="cortex", **settings)(layers.ReLU()(x))
    x = layers.Flatten()(layers.AveragePooling2D(4)(layers.ReLU()(x)))
    model = keras.Model(picture, layers.Dense(classes, "softmax")(x), name="retina")
    adam = keras.optimizers.Adam(2e-3)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(num: int, epochs: int, samples_of_noise: int, fits: int, run: Path, output: Path) -> None:
    """Train, then show the fields of the cortex over the epochs."""
    keras.utils.set_random_seed(0)
    patches = samples.photo_patches(num, SIZE, color=False, names=NAMES)
    mean, std = patches.x_train.mean(), patches.x_train.std()
    train, test = ((x - mean) / std for x in (patches.x_train, patches.x_test))
    model = retina(len(NAMES))
    watcher = callbacks.ReceptiveFieldWatcher(
        run, layers=["cortex"], samples=samples_of_noise, overwrite=True
    )
    settings = {"epochs": epochs, "batch_size": 32, "callbacks": [watcher], "verbose": 0}
    history = model.fit(
        train, patches.y_train, validation_data=(test, patches.y_test), **settings
    ).history
    print(f"accuracy on other regions of the photos: {history['val_accuracy'][-1]:.2f}")

    development = receptive_fields.Development(dynamics.Run(run), "cortex")
    for number, rows in development.table(fits).groupby("epochs"):
        print(f"epoch {number}: likeness to the last {rows['with_last'].mean():.2f}", end="")
        known = rows["type"].dropna() if fits else ()
        counts = known.value_counts().to_dict() if len(known) else ""
        print(f" {counts}" if counts else "")
    output.mkdir(parents=True, exist_ok=True)
    path = output / "retina_development.png"
    shown = [number for number in SHOWN if number in development.numbers]
    title = "Fields of the layer after the bottleneck, as it learns"
    path.write_bytes(plots.to_png(development.plot(shown, title=title), dpi=80))
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=1200, help="how many patches to train on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8, help="of noise, for each field")
    parser.add_argument("--fits", type=int, default=3, help="at how many epochs to fit fields")
    parser.add_argument("--run", type=Path, help="where to keep the run, and a page of it")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = given.run or Path(folder) / "run"
        main(given.num, given.epochs, given.samples, given.fits, kept, given.output)
        if given.run:
            print(report.development(kept, "cortex", kept / "cortex.html"))
