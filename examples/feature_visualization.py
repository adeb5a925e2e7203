"""What do layers and classes look for?

    python examples/feature_visualization.py

Draws pictures that excite channels of four layers, from edges to things, and pictures that excite
classes, and shows the latter to the network again. Writes feature_visualization.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kerasviz as kv
from kerasviz import plots, samples

CHANNELS = ("block_3/expand:0", "block_6/expand:1", "block_10/expand:7", "block_13/expand:4")
CLASSES = ("robin", "ladybug", "daisy", "pineapple")


def main(size: int, steps: int, output: Path) -> None:
    """Draw the channels in one run, the classes in another."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    image = kv.images.Fourier(size=size)

    channels = kv.ActivationMaximization(model, list(CHANNELS), image=image)
    classes = kv.ActivationMaximization(model, list(CLASSES), image=image)
    found = [channels.visualize(steps), classes.visualize(steps)]

    for one in found:
        for name, value, rise in zip(one.names, one.values, one.history.T, strict=True):
            print(f"{name}: {rise[0]:.2f} at the first step, {value:.2f} in the end")
    answers = model.predict(found[1].pictures, verbose=0)
    labels = samples.imagenet_labels()
    for name, answer in zip(CLASSES, answers, strict=True):
        best = int(answer.argmax())
        print(f"the picture of {name} is taken for {labels[best]} ({answer[best]:.1%})")
    output.mkdir(parents=True, exist_ok=True)
    titles = [f"{n}\n{v:.3g}" for one in found for n, v in zip(one.names, one.values, strict=True)]
    shown = np.concatenate([one.display for one in found])
    figure = plots.pictures(shown, titles, columns=4)
    (output / "feature_visualization.png").write_bytes(plots.to_png(figure, dpi=110))
    print(output / "feature_visualization.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the pictures")
    parser.add_argument("--steps", type=int, default=128, help="steps of gradient ascent")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
