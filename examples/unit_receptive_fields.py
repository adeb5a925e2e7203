"""What do the units of early layers look for, and how much of the image do they use?

    python examples/unit_receptive_fields.py

The gradient of each unit by the input, at a grey image, for the first convolution of the sample
network and for one a little deeper; and for layers of growing depth how large their field is, and
how much of it they really use. The strongest units of the later layer are drawn beside the Gabor
function and the difference of Gaussians that fit them best. Writes first_fields.png,
later_fields.png and fitted_fields.png.

Reference:
    Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural
    Networks".
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasviz import plots, receptive_fields, samples

FIRST = "stem_normalization"


def main(later: str, depths: list[str], units: int, num_samples: int, output: Path) -> None:
    """Draw the fields of two layers, print the effective sizes of several."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    output.mkdir(parents=True, exist_ok=True)
    for name, layer in (("first_fields.png", FIRST), ("later_fields.png", later)):
        fields = receptive_fields.maps(model, layer, fill=0.0)
        alive = sum(not text for text in fields.diagnosis)
        print(f"{layer}: {fields.size} positions, {alive} of {len(fields)} units have a gradient")
        figure = fields.plot() if layer == FIRST else fields.plot(units)
        (output / name).write_bytes(plots.to_png(figure, dpi=110))
        print(output / name)
    described = receptive_fields.describe(fields)
    print(", ".join(f"{count} {kind}" for kind, count in described["type"].value_counts().items()))
    strongest = fields.units[fields.strength.argsort()[::-1][:6]].tolist()
    figure = receptive_fields.plot_fits(fields, described, strongest)
    (output / "fitted_fields.png").write_bytes(plots.to_png(figure, dpi=110))
    print(output / "fitted_fields.png")
    print(f"\n{'layer':36}{'can see':>10}{'uses':>8}{'share':>8}")
    for layer in depths:
        method = receptive_fields.EffectiveReceptiveField(model, layer, num_samples=num_samples)
        found = method()
        print(f"{layer:36}{found.reach[0]:10}{found.size:8.1f}{found.ratio:8.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--later", default="block_1/depthwise_normalization")
    parser.add_argument("--depths", nargs="+", default=["block_1", "block_2", "block_3"])
    parser.add_argument("--units", type=int, default=24, help="how many of the later layer to draw")
    parser.add_argument("--num-samples", type=int, default=32)
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
