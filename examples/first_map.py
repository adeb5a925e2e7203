"""Where does the network look? One photo, one map.

    python examples/first_map.py

Writes first_map.png: the photo with the network's answers, and the Grad-CAM map over it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv
from kerasviz import samples


def main(photo: str, size: int, output: Path) -> None:
    """Explain the network's first answer for one photo."""
    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    pictures = samples.crop(samples.photos(photo)[0].image, size)

    why = kv.GradCAM(model).explain(samples.preprocess(pictures, size))

    print(f"answers   {', '.join(f'{name} {share:.1%}' for name, share in why.top(3)[0])}")
    print(f"explained {why.target_names[0]}, score {why.scores[0]:.2f} {why.score_kind}")
    print(f"layer     {why.layer} {why.resolution}: {why.layer_reason}")
    print(f"peak      {why.peaks[0]:.3f}, what 1.0 in the map stands for")
    why.plot(pictures, path=output / "first_map.png")
    print(output / "first_map.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="coffee", help="name of a sample photo")
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
