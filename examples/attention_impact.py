"""How much can the attention weights of a network change what flows through it?

    python examples/attention_impact.py

A white image goes through random dense layers, once as they are and once with attention whose
multipliers and biases are distributed as the semi-local attention weights of an RGB-D grasp
network: 1.071 with standard deviation 0.253, and 0.114 with 0.181. Prints the mean activation
over seeds beside its expectation in closed form. Writes attention_impact.png, both pictures on one
colour scale, and attention_sweep.png: for which depth and multiplier attention explodes or starves
such a network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kerasviz as kv
from kerasviz import plots

MISPRINTED_BIAS = 1.114


def main(size: int, depth: int, seeds: int, output: Path) -> None:
    """Simulate, print a table, draw two figures."""
    found = kv.attention.simulate_dense(size=size, depth=depth, seeds=seeds, verbose=0)
    print(found.table().round(4).to_string())
    print(f"attention multiplies the mean by {found.ratios.mean():.3g}")

    around = kv.attention.sweep(
        over={"depth": range(1, 2 * depth + 1), "multiplier_mean": np.linspace(0.6, 1.4, 33)},
        size=size,
    )
    misprint = kv.attention.sweep(over={"bias_mean": [MISPRINTED_BIAS]}, size=size, depth=depth)
    print(f"expected with a bias of {MISPRINTED_BIAS}: {misprint.expected[0]:.4g}")

    figures = {
        "attention_impact.png": found.plot(),
        "attention_sweep.png": around.plot("ratio", marks=[(1.071, depth)]),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        (output / name).write_bytes(plots.to_png(figure, dpi=85))
        print(output / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=50, help="height and width of the image")
    parser.add_argument("--depth", type=int, default=11)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
