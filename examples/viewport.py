"""How far away is it still seen, and does the network know where it is?

    python examples/viewport.py

Photos at random positions and several distances in a frame of 120 × 160 pixels, shown to
EfficientNet-Lite0: how far its answer for the photo alone still holds, and how well position and
distance can be read linearly from each layer. Writes viewport.png.

Reference:
    Islam, Jia, Bruce 2020, "How Much Position Information Do Convolutional Neural Networks Encode?"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv
from kerasviz import plots, samples


def main(
    frame: list[int], photos: list[str], background: str, positions: int, output: Path
) -> None:
    """Measure, say what was found, and draw it."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    found = kv.studies.viewport(
        model,
        samples.crop([photo.image for photo in samples.photos(*photos)]),
        frame=(frame[0], frame[1]),
        positions=positions,
        background=background,
        preprocess=lambda frames: (frames - 127.0) / 128.0,
    )
    print(*found.words(), sep="\n")
    output.mkdir(parents=True, exist_ok=True)
    (output / "viewport.png").write_bytes(plots.to_png(found.plot(), dpi=80))
    print(output / "viewport.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frame", type=int, nargs=2, default=[120, 160], help="height and width")
    parser.add_argument("--photos", nargs="*", default=[], help="all seven where none are named")
    parser.add_argument("--background", default="grey", choices=("grey", "noise", "texture"))
    parser.add_argument("--positions", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
