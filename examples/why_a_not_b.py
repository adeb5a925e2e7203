"""Why this class, and not that one?

    python examples/why_a_not_b.py

A difference of classes is a target. Its signed map shows what speaks for the first class (red) and
what speaks for the second (blue). Writes why_a_not_b.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv
from kerasviz import plots, samples

QUESTIONS = (
    ("astronaut", "football helmet", "space shuttle"),
    ("china", "palace", "lakeside"),
)


def main(size: int, output: Path) -> None:
    """Explain one difference of classes for each photo, in one batch."""
    names, firsts, seconds = (list(column) for column in zip(*QUESTIONS, strict=True))
    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    pictures = samples.crop([photo.image for photo in samples.photos(*names)], size)

    question = kv.targets.Class(firsts) - kv.targets.Class(seconds)
    cam = kv.GradCAM(model, rectify=False, resolution="layer")
    why = cam.explain(samples.preprocess(pictures, size), target=question)

    bias = dict(zip(samples.imagenet_labels(), model.get_layer("logits").bias.numpy(), strict=True))
    for i, (name, first, second) in enumerate(QUESTIONS):
        raw = why.maps[i] * why.peaks[i]
        print(f"{name}: {first} before {second} by {why.scores[i]:.3f} {why.score_kind}")
        print(f"  evidence for {raw[raw > 0].sum():.3f}, against {raw[raw < 0].sum():.3f}")
        difference = _bias(bias, first) - _bias(bias, second)
        print(f"  sum {raw.sum():.3f} + difference of biases {difference:.3f} = the score")
    output.mkdir(parents=True, exist_ok=True)
    figure = plots.grid(why, pictures, names=names)
    (output / "why_a_not_b.png").write_bytes(plots.to_png(figure, dpi=110))
    print(output / "why_a_not_b.png")


def _bias(bias: dict[str, float], name: str) -> float:
    return next(value for label, value in bias.items() if name in label.split(", "))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
