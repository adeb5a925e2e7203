"""Which layer can see a whole object?

    python examples/receptive_fields.py

The theoretical receptive fields of EfficientNet-Lite0, drawn on a photo: what one unit in the
middle of each layer can see, which layer is the first to see an object of a given size as a whole,
and from which layer on an object is smaller than the distance of two units. Writes
receptive_fields.png.

Reference:
    Araujo, Norris, Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv
from kerasviz import plots, samples


def main(photo: str, size: int, objects: list[int], output: Path) -> None:
    """Say what the layers can see, and draw it."""
    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    fields = kv.receptive_fields.ReceptiveFields.measure(model)
    table = fields.table
    print(f"{'object':>8}  {'first layer to see all of it':<30} first layer with larger steps")
    for pixels in objects:
        seeing = fields.seeing(pixels) or ["none"]
        coarse = table.index[table["stride_height"] > pixels]
        print(f"{pixels:>8}  {seeing[0]:<30} {coarse[0] if len(coarse) else 'none'}")
    picture = samples.crop([samples.photos(photo)[0].image], size)[0]
    output.mkdir(parents=True, exist_ok=True)
    drawn = plots.to_png(fields.plot(picture), dpi=110)
    (output / "receptive_fields.png").write_bytes(drawn)
    print(output / "receptive_fields.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="coffee")
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--objects", type=int, nargs="+", default=[6, 12, 24, 48, 96, 192])
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
