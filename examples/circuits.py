"""How do the channels of two layers talk, and what is the circuit of one of them?

    python examples/circuits.py

Draws the strongest links between two layers of the sample network, with what excites the channels
at both ends: weight_connections.png; the circuit of a channel, two steps back: weight_circuit.png;
and what it reads at each position of its window: weight_positions.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

import kerasviz as kv
from kerasviz import plots, samples

SOURCE, TARGET = "block_5/expand_normalization", "block_6/expand"
EARLIER = "block_4/expand_normalization"
CHANNELS = (77, 40)


def main(channels: list[int], strongest: int, size: int, steps: int, output: Path) -> None:
    """Expand the weights, rank them, draw what the channels look for."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    drawn = {"size": size, "steps": steps, "verbose": 0, "redirected_steps": 0}
    output.mkdir(parents=True, exist_ok=True)

    links = kv.weights.connections(model, SOURCE, TARGET, strongest, targets=channels)
    print(links)
    print(links.table.round(2).to_string())
    save(links.visualize(model, **drawn).plot(), output / "weight_connections.png")

    circuit = kv.weights.circuit(model, TARGET, channels[0], through=[EARLIER, SOURCE])
    print(circuit)
    save(circuit.visualize(model, **drawn).plot(), output / "weight_circuit.png")

    where = kv.weights.position_weights(model, SOURCE, TARGET, channels[-1])
    print(where)
    save(where.visualize(model, num=9, **drawn).plot(), output / "weight_positions.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure and say where."""
    path.write_bytes(plots.to_png(figure, dpi=100))
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--strongest", type=int, default=5, help="links into each channel")
    parser.add_argument("--size", type=int, default=80, help="height and width of the pictures")
    parser.add_argument("--steps", type=int, default=40, help="gradient steps per picture")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
