"""Processes that write a run and die. Started once; forks a child for each line it is given.

A line is `folder first generation die_at`: write epochs from `first` on, and die at the `die_at`-th
call of the system that touches a file, or never for 0. What a child finishes it says on stdout.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

import numpy as np

from kerasviz.dynamics.writing import RunWriter

TOUCHING = ("open", "write", "fsync", "ftruncate", "replace", "unlink", "mkdir")


def scalars(epoch: int, generation: int) -> dict[str, float]:
    """What the run holds of an epoch that was written by that generation of a process."""
    return {"loss": 1.0 / (1 + epoch), "generation": generation, "weights/conv/mean": 0.1 * epoch}


def arrays(epoch: int, generation: int) -> dict[str, dict[str, np.ndarray]]:
    """Arrays that tell the epoch and the generation."""
    random = np.random.default_rng([epoch, generation])
    return {
        "histograms": {"conv/counts": random.integers(0, 99, 30), "conv/edges": random.random(31)},
        "explanations": {"cam": random.random((2, 9, 9)).astype("float32")},
    }


def write(folder: str, first: int, generation: int) -> None:
    """Write epochs until the process is killed."""
    with RunWriter(folder, {"model": "tiny"}) as writer:
        for epoch in itertools.count(first):
            numbers = scalars(epoch, generation)
            writer.write_epoch(epoch, numbers, arrays(epoch, generation), step=epoch * 10)
            os.write(1, f"finished {epoch} {generation}\n".encode())


def die_at(call: int) -> None:
    """Die in the middle of the `call`-th call: half of what is to be written is written."""
    calls = itertools.count(1)

    def deadly(name: str, real: Any) -> Any:
        def replacement(*arguments: Any, **settings: Any) -> Any:
            if arguments[:1] != (1,) and next(calls) == call:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os._exit(9)
            return real(*arguments, **settings)

        return replacement

    for name in TOUCHING:
        setattr(os, name, deadly(name, getattr(os, name)))


def main() -> None:
    for line in sys.stdin:
        folder, first, generation, call = line.split()
        child = os.fork()
        if child == 0:
            os.write(1, f"child {os.getpid()}\n".encode())
            if int(call):
                die_at(int(call))
            write(folder, int(first), int(generation))
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
