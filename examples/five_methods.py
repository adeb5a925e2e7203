"""What do five methods say about the same photos?

    python examples/five_methods.py

Writes five_methods.png: a row a photo, a column a method.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv
from kerasviz import plots, samples

METHODS = ("Saliency", "GuidedSaliency", "DeconvNet", "CAM", "GradCAM")


def main(photos: list[str], methods: list[str], size: int, output: Path) -> None:
    """Explain the network's first answer for each photo, by every method."""
    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    pictures = samples.crop([photo.image for photo in samples.photos(*photos)], size)
    inputs = samples.preprocess(pictures, size)

    explanations = [getattr(kv, method)(model).explain(inputs) for method in methods]

    print("answers", *explanations[0].target_names, sep="\n  ")
    for why in explanations:
        used = why.layer or why.coverage or "plain gradient by the input"
        print(f"{why.method:16} {used:34} peaks {why.peaks.round(3)}")
    output.mkdir(parents=True, exist_ok=True)
    figure = plots.grid(explanations, pictures, names=photos)
    (output / "five_methods.png").write_bytes(plots.to_png(figure, dpi=100))
    print(output / "five_methods.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", nargs="+", default=["coffee", "chelsea", "rocket"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
