"""A process that writes a run may die at any moment: what it finished is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kerasviz as kv
from tests.dynamics.writing_child import arrays, scalars

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


class Nursery:
    """A process that has imported the writer, without TensorFlow, and forks children that die."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.dynamics.writing_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def start(self, folder: Path, first: int, generation: int, die_at: int = 0) -> int:
        """Start a child and return its process id."""
        self._process.stdin.write(f"{folder} {first} {generation} {die_at}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline().split()[1])

    def finished(self) -> dict[int, int]:
        """The epochs that the dead child said were finished, with its generation."""
        found = {}
        for line in iter(self._process.stdout.readline, "dead\n"):
            _, epoch, generation = line.split()
            found[int(epoch)] = int(generation)
        return found

    def first_finished(self) -> tuple[int, int]:
        _, epoch, generation = self._process.stdout.readline().split()
        return int(epoch), int(generation)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def check(folder: Path, finished: dict[int, int]) -> kv.dynamics.Run:
    """Every finished epoch is there with its content, and whatever else is there is whole."""
    run = kv.dynamics.Run(folder)
    assert run.damaged.empty
    table = run.scalars
    assert finished.keys() <= set(run.epochs)
    for epoch in run.epochs:
        generation = int(table.loc[epoch, "generation"])
        assert generation >= finished.get(epoch, 0)
        assert table.loc[epoch].to_dict() == scalars(epoch, generation)
        for kind, named in arrays(epoch, generation).items():
            found = run.arrays(kind, epoch)
            assert found.keys() == named.keys()
            for name, array in named.items():
                np.testing.assert_array_equal(found[name], array)
    return run


def test_a_run_killed_at_random_goes_on(nursery: Nursery, tmp_path: Path) -> None:
    """One run that is killed forty times; some times it repeats an epoch, or two."""
    folder, draw = tmp_path / "run", random.Random(5)
    finished: dict[int, int] = {}
    for generation in range(40):
        done = kv.dynamics.Run(folder).epochs if generation else []
        first = max(len(done) - draw.choice((0, 0, 0, 0, 1, 2)), 1 if done else 0)
        child = nursery.start(folder, first, generation)
        epoch, mark = nursery.first_finished()
        finished = {e: g for e, g in finished.items() if e < epoch} | {epoch: mark}
        time.sleep(draw.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        finished |= nursery.finished()
        run = check(folder, finished)
        assert run.epochs == list(range(len(run.epochs)))
    assert len(run.epochs) > 10
    assert len(set(run.scalars["generation"])) > 5


def test_a_new_run_killed_at_once_opens(nursery: Nursery, tmp_path: Path) -> None:
    draw = random.Random(7)
    for generation in range(30):
        folder = tmp_path / str(generation)
        child = nursery.start(folder, 0, generation)
        time.sleep(draw.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        finished = nursery.finished()
        if finished or (folder / "manifest.json").exists():
            check(folder, finished)
        with kv.dynamics.RunWriter(folder) as writer:
            writer.write_epoch(len(writer.epochs), {"loss": 0.0})


def test_death_at_every_call_of_the_system(nursery: Nursery, tmp_path: Path) -> None:
    """The second process dies at its first, second, ... call; each call there is comes once."""
    for call in range(1, 50):
        folder = tmp_path / str(call)
        with kv.dynamics.RunWriter(folder, {"model": "tiny"}) as writer:
            for epoch in range(2):
                writer.write_epoch(epoch, scalars(epoch, 0), arrays(epoch, 0))
        nursery.start(folder, 1, 1, call)
        finished = nursery.finished()
        run = check(folder, {0: 0, 1: 0} | finished)
        assert len(run.epochs) - len({0, 1} | finished.keys()) <= 1
        last = run.epochs[-1] + 1
        with kv.dynamics.RunWriter(folder) as writer:
            writer.write_epoch(last, scalars(last, 2), arrays(last, 2))
        check(folder, {0: 0, 1: 0, last: 2} | finished)
        held = {f"{kind}/{name}" for kind in run.kinds for name in os.listdir(folder / kind)}
        assert len(held) == 2 * len(run.epochs)
        assert not list(folder.rglob("*.part"))
    assert len(finished) > 1


def test_the_writer_needs_no_tensorflow() -> None:
    code = "import sys, kerasviz.dynamics.writing; print({m.split('.')[0] for m in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tensorflow" not in run.stdout
    assert "keras'" not in run.stdout
