"""Which layers of a network look unusual? Its weights alone tell; no photo is needed.

    python examples/weights.py

Prints what is wrong with the weights of the sample network and which stand out among their peers,
and draws their distributions by depth, weights_by_depth.png, those of the layer with the heaviest
tails, weights_heavy_tails.png, and which kernels are made of bands, weights_bands.png. In
examples/output, or where --output says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import kerasviz as kv


def main() -> None:
    """Summarize, diagnose, rank, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--role", default="kernel")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model = kv.samples.efficientnet_lite0()

    findings = kv.weights.diagnose(model)
    for finding, rows in findings.groupby("finding", sort=False):
        print(f"{finding}: {rows['value'].sum():.0f} units in {len(rows)} layers, such as")
        print(f"  {rows['sentence'].iloc[0]}")

    table = kv.weights.summarize(model)
    ranking = kv.weights.unusual(table)
    print(f"{ranking['unusual'].sum()} of {len(ranking)} weights stand out, first of all")
    for sentence in ranking["sentence"].head(8):
        print(f"  {sentence}")

    kernels = table[table["role"] == arguments.role]
    heaviest = str(kernels["kurtosis"].idxmax())
    print(f"heaviest tails: {heaviest}, kurtosis {kernels['kurtosis'].max():.1f}")
    pictures = {
        "weights_by_depth.png": kv.weights.by_depth(model, arguments.role).plot(max_rows=11),
        "weights_heavy_tails.png": kv.weights.distribution(model, heaviest).plot(title=heaviest),
        "weights_bands.png": kv.plots.weight_banding(kv.weights.banding(model)),
    }
    for name, figure in pictures.items():
        path = arguments.output / name
        path.write_bytes(kv.plots.to_png(figure, dpi=100))
        print(path)


if __name__ == "__main__":
    main()
