"""What does training change, and does that depend on how the weights began?

    python examples/initializers.py

Trains a small network on patches of photos from seven initializers, and measures its weights and
features before and after. Writes initializer_weights.png and initializer_features.png: a row an
initializer. Prints three claims about training, with effects and intervals over the seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasviz import dynamics, plots, studies


def main(names: list[str], epochs: int, seeds: int, num: int, output: Path) -> None:
    """Run the study, and write its pictures."""
    every = dynamics.standard_initializers()
    found = studies.initializers(
        initializers={name: every[name] for name in names or every},
        seeds=range(seeds),
        epochs=epochs,
        num_train=num,
        num_samples=256,
    )
    columns = ["initializer", "inputs", "layer", "estimate", "low", "high", "holds"]
    table = found.findings()
    print(table.loc[table["group"] != "blocks", columns].to_string(float_format="%.3g"))
    print(*found.words(), sep="\n")
    output.mkdir(parents=True, exist_ok=True)
    for kind in ("weights", "features"):
        picture = output / f"initializer_{kind}.png"
        picture.write_bytes(plots.to_png(found.plot(kind), dpi=80))
        print(picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", default=[], help="initializers; default: all seven")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--num", type=int, default=2048, help="training patches")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
