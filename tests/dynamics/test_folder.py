"""The run folder: what is written is read back, and what can't be is said."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pytest

from kerasviz.dynamics import folder as reading
from kerasviz.dynamics.folder import Run
from kerasviz.dynamics.records import EPOCH, STEP, Record, Timeline
from kerasviz.dynamics.writing import RunWriter
from kerasviz.errors import InputError, OutputError


def cam(epoch: int) -> dict[str, dict[str, np.ndarray]]:
    return {"explanations": {"cam": np.full((2, 3, 3), epoch, np.float32)}}


def written(folder: Path, epochs: int = 3, **settings: Any) -> Run:
    with RunWriter(folder, {"model": "tiny"}, **settings) as writer:
        for epoch in range(epochs):
            writer.write_epoch(epoch, {"loss": 1.0 / (epoch + 1)}, cam(epoch), step=epoch * 7)
    return Run(folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_scalars_come_back_as_they_were(tmp_path: Path) -> None:
    values = {
        "nan": math.nan,
        "inf": math.inf,
        "-inf": -math.inf,
        "tiny": 5e-324,
        "third": 1 / 3,
        "float32": np.float32(0.1),
        "bfloat16": np.asarray(3.14, ml_dtypes.bfloat16),
        "zero": -0.0,
        "count": np.int64(2**53 - 1),
        "encoder/conv\n/kernel/mean ÷": 1,
    }
    with RunWriter(tmp_path) as writer:
        writer.write_epoch(4, values)
    found = Run(tmp_path).scalars.loc[4]
    assert list(found.index) == list(values)
    np.testing.assert_array_equal(found, [float(value) for value in values.values()])
    assert math.copysign(1, found["zero"]) == -1


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    values = {
        "float64": np.array([math.nan, -math.inf, 0.1]),
        "half": np.ones((2, 0, 3), np.float16),
        "bytes": np.arange(8, dtype=np.uint8).reshape(2, 4, order="F"),
        "flags": np.array(True),
        "texts": np.array(["a", "ü"]),
        "file": np.arange(3),
        "allow_pickle": np.arange(2),
        "../a/conv ÷": np.arange(4)[::-1],
    }
    with RunWriter(tmp_path) as writer:
        rounded = np.arange(3, dtype=ml_dtypes.bfloat16)
        writer.write_epoch(0, arrays={"mixed": values | {"bfloat16": rounded}})
    found = Run(tmp_path).arrays("mixed", 0)
    expected = values | {"bfloat16": np.arange(3, dtype=np.float32)}
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    assert not list(tmp_path.parent.glob("a"))


def test_the_files_are_plain(tmp_path: Path) -> None:
    written(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["model"]) == (
        "kerasviz run",
        1,
        "tiny",
    )
    assert {"kerasviz", "keras", "tensorflow", "created", "parts"} <= manifest.keys()
    lines = (tmp_path / "scalars.jsonl").read_text().splitlines()
    strict = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [line["scalars"] for line in strict] == [{"loss": 1.0 / (n + 1)} for n in range(3)]
    assert [(line["at"], line["epoch"], line["step"]) for line in strict][-1] == ("epoch", 2, 14)
    for line in strict:
        with np.load(tmp_path / line["arrays"]["explanations"]["file"]) as file:
            np.testing.assert_array_equal(file["cam"], cam(line["epoch"])["explanations"]["cam"])


def test_reading(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run") as writer:
        for epoch in (0, 2):
            scalars = {"loss": 0.5, "weights/encoder/conv/mean": epoch, "weights/dense/mean": 7}
            scalars |= {"weights/dense/std": 3} if epoch else {}
            edges, counts = np.arange(4 + epoch) / 2, np.arange(3 + epoch)
            arrays = {"histograms": {"weights/dense/edges": edges, "weights/dense/counts": counts}}
            writer.write_epoch(epoch, scalars, arrays | cam(epoch))
        writer.write_step(350, {"batch_loss": 0.25}, cam(9), epoch=3)
    run = Run(tmp_path / "run")
    assert (run.epochs, run.steps, run.kinds) == ([0, 2], [350], ["explanations", "histograms"])
    assert run.step_scalars.to_dict() == {"batch_loss": {350: 0.25}}
    table = run.table("weights")
    assert table.index.names == ["epoch", "layer"]
    assert table.loc[(2, "dense")].to_dict() == {"mean": 7, "std": 3}
    assert run.table("weights", epoch=-1).loc["encoder/conv", "mean"] == 2
    assert math.isnan(table.loc[(0, "dense"), "std"])
    edges, counts = run.histograms(2)["weights/dense"]
    np.testing.assert_array_equal(edges, np.arange(6) / 2)
    np.testing.assert_array_equal(counts, np.arange(5))
    assert run.arrays("explanations", step=350)["cam"].max() == 9
    assert list(run.snapshots["at"]) == ["epoch", "epoch", "step"]
    assert run.snapshots["time"].dt.tz is not None
    assert "2 epochs (0 to 2), 1 steps, arrays of explanations, histograms" in repr(run)
    with pytest.raises(InputError, match="one shape"):
        np.asarray(run.stack("histograms", "weights/dense/counts"))


def test_a_stack_is_read_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = written(tmp_path, 4)
    read = []
    real = reading.read_arrays
    monkeypatch.setattr(reading, "read_arrays", lambda *a: read.append(a[0].name) or real(*a))
    stack = run.stack("explanations", "cam")
    assert (stack.shape, stack.numbers, len(stack), read) == ((4, 2, 3, 3), (0, 1, 2, 3), 4, [])
    assert stack[-1].max() == 3
    assert read == ["epoch-000003.npz"]
    whole = np.asarray(stack)
    np.testing.assert_array_equal(whole[:, 0, 0, 0], [0, 1, 2, 3])


def slow(lines: list[Record]) -> list[Record]:
    """What holds, by going through all that came before for each line."""
    held: list[Record] = []
    for new in lines:
        left = []
        for old in held:
            same = (old.at, old.number, old.part) == (new.at, new.number, new.part)
            later = old.at == new.at and old.number > new.number
            beyond = new.at == EPOCH and old.at == STEP and old.epoch > new.epoch
            if not (same or later or beyond):
                left.append(old)
        held = [*left, new]
    return sorted(held, key=lambda record: (record.at, record.number))


def test_what_holds_after_going_back() -> None:
    draw = random.Random(3)
    for _ in range(50):
        lines = []
        for count in range(30):
            epoch = draw.randrange(6)
            at = draw.choice((EPOCH, STEP))
            step = epoch * 10 + draw.randrange(10)
            lines.append(Record(at, epoch, step, draw.choice("ab"), str(count), {}, {}))
        timeline = Timeline(lines)
        found = [*timeline.records(EPOCH), *timeline.records(STEP)]
        assert {record.time for record in found} == {record.time for record in slow(lines)}
        assert [r.number for r in found] == [r.number for r in slow(lines)]


def test_a_resumed_training_replaces_what_it_repeats(tmp_path: Path) -> None:
    run = written(tmp_path, 5)
    before = run.arrays("explanations", 2)["cam"]
    with RunWriter(tmp_path, {"freq": 2}, part="training") as writer:
        assert writer.epochs == [0, 1, 2, 3, 4]
        writer.write_epoch(3, {"accuracy": 0.5}, cam(33))
        assert run.epochs == [0, 1, 2, 3]
        writer.write_epoch(4, {"accuracy": 0.6})
    assert run.epochs == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(run.arrays("explanations", 2)["cam"], before)
    assert run.arrays("explanations", 3)["cam"].max() == 33
    assert math.isnan(run.scalars.loc[3, "loss"])
    assert run.stack("explanations", "cam").numbers == (0, 1, 2, 3)
    assert len(list((tmp_path / "explanations").iterdir())) == 4
    assert run.damaged.empty
    assert run.manifest["parts"]["training"] == {"freq": 2}
    assert [session["part"] for session in run.manifest["sessions"]] == ["training"] * 2


def test_a_training_that_begins_again_is_refused(tmp_path: Path) -> None:
    run = written(tmp_path, 3)
    before = contents(tmp_path)
    with RunWriter(tmp_path) as writer, pytest.raises(OutputError, match=r"epochs 0 to 2.*again"):
        writer.write_epoch(0, {"loss": 9.0}, cam(9))
    assert {k: v for k, v in contents(tmp_path).items() if k != "manifest.json"} == {
        k: v for k, v in before.items() if k != "manifest.json"
    }
    with RunWriter(tmp_path, overwrite=True) as writer:
        writer.write_epoch(0, {"loss": 9.0}, cam(9))
    assert run.scalars.to_dict() == {"loss": {0: 9.0}}
    assert len(list((tmp_path / "explanations").iterdir())) == 1


def test_parts_share_a_folder(tmp_path: Path) -> None:
    run = written(tmp_path, 1)
    with RunWriter(tmp_path) as first, RunWriter(tmp_path, part="weights") as second:
        for epoch in (1, 2):
            first.write_epoch(epoch, {"loss": 0.1}, cam(epoch))
            second.write_epoch(epoch, {"norm": 2.0}, {"explanations": {"other": np.ones(2)}})
        with pytest.raises(InputError, match=r"'loss' of 'scalars'.*'training' has written"):
            second.write_epoch(2, {"loss": 0.1})
        assert run.scalars.loc[2].to_dict() == {"loss": 0.1, "norm": 2.0}
        assert run.arrays("explanations", 2).keys() == {"cam", "other"}
        first.close()
        second.write_epoch(3, {"norm": 3.0})
        with pytest.raises(OutputError, match="was closed"):
            first.write_epoch(3, {"loss": 0.1})
    assert run.epochs == [0, 1, 2, 3]


def test_a_second_writer_of_a_part_takes_over(tmp_path: Path) -> None:
    first = RunWriter(tmp_path)
    first.write_epoch(0, {"loss": 1.0})
    second = RunWriter(tmp_path)
    with pytest.raises(OutputError, match="another writer has taken over"):
        first.write_epoch(1, {"loss": 7.0})
    first.close()
    second.write_epoch(1, {"loss": 0.5})
    assert Run(tmp_path).scalars["loss"].tolist() == [1.0, 0.5]
    second.close()


def test_a_writer_in_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom kerasviz.dynamics.writing import RunWriter\n"
        "writer = RunWriter(sys.argv[1])\nwriter.write_epoch(0)\nprint('open', flush=True)\n"
        "sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert other.stdout.readline() == b"open\n"
    with pytest.raises(OutputError, match=f"process {other.pid} is writing"):
        RunWriter(tmp_path)
    assert Run(tmp_path).epochs == [0]
    other.kill()
    other.wait()
    with RunWriter(tmp_path) as writer:
        writer.write_epoch(1)
    assert Run(tmp_path).epochs == [0, 1]


def test_a_writer_nobody_holds_lets_go(tmp_path: Path) -> None:
    RunWriter(tmp_path).write_epoch(0)
    code = "import sys\nfrom kerasviz.dynamics.writing import RunWriter\nRunWriter(sys.argv[1])"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    run = written(tmp_path, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunWriter(tmp_path) as writer:
        files = contents(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(OutputError, match="`folder` must be a folder that can be written"):
                writer.write_epoch(2, {"loss": 0.1}, cam(2) | {"large": {"a": np.zeros(9999)}})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert contents(tmp_path) == files
        writer.write_epoch(2, {"loss": 0.1}, cam(2))
    assert run.epochs == [0, 1, 2]
    assert run.damaged.empty


def test_a_line_that_fits_in_part_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path, 2)
    with RunWriter(tmp_path) as writer:
        files, write = contents(tmp_path), os.write

        def full(file: int, data: bytes) -> int:
            if len(data) > 100:
                return write(file, bytes(data[:50]))
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="No space left on device"):
            writer.write_epoch(2, {"loss": 0.1}, cam(2))
        monkeypatch.undo()
        assert contents(tmp_path) == files
        writer.write_epoch(2, {"loss": 0.1}, cam(2))
    assert run.epochs == [0, 1, 2]


@pytest.mark.parametrize("name", ["fsync", "ftruncate", "replace"])
def test_an_interrupted_write_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Ctrl-C in each call of the system in turn, until none is left."""
    run, real = written(tmp_path, 2), getattr(os, name)
    with RunWriter(tmp_path) as writer:
        for call in range(30):
            left = [call]

            def interrupt(*arguments: Any, left: list[int] = left, **settings: Any) -> Any:
                left[0] -= 1
                if left[0] == -1:
                    raise KeyboardInterrupt
                return real(*arguments, **settings)

            monkeypatch.setattr(os, name, interrupt)
            try:
                writer.write_epoch(2, {"loss": 0.1}, cam(2))
            except KeyboardInterrupt:
                assert run.epochs == [0, 1]
                assert run.damaged.empty
            else:
                break
        monkeypatch.undo()
        assert call > 0
    assert run.epochs == [0, 1, 2]
    assert len(list((tmp_path / "explanations").iterdir())) == 3


def test_the_line_comes_after_all_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is on the disk before its name, names before the line, the line last."""
    writer = RunWriter(tmp_path)
    writer.write_epoch(0, {}, cam(0))
    calls: list[tuple[str, str]] = []

    def name_of(target: Any) -> str:
        path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
        return "part" if path.endswith(".part") else Path(path).name

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append((name, name_of(arguments[-1 if name == "replace" else 0])))
            return real(*arguments)

        return call

    for name in ("fsync", "replace", "write"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    writer.write_epoch(1, {}, cam(1))
    monkeypatch.undo()
    writer.close()
    assert calls == [
        ("fsync", "part"),
        ("replace", "epoch-000001.npz"),
        ("fsync", "explanations"),
        ("write", "scalars.jsonl"),
        ("fsync", "scalars.jsonl"),
    ]


def test_a_torn_last_line_never_was(tmp_path: Path) -> None:
    run, path = written(tmp_path, 3), tmp_path / "scalars.jsonl"
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in {start + 1, start + 40, len(whole) - 2, len(whole) - 1}:
        path.write_bytes(whole[:end])
        assert run.epochs == [0, 1]
        assert run.damaged.empty
    with RunWriter(tmp_path) as writer:
        assert path.read_bytes() == whole[:start]
        writer.write_epoch(2, {"loss": 5.0})
    assert run.scalars["loss"].tolist() == [1.0, 0.5, 5.0]


def spoil_size(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def spoil_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(1).tobytes())] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(spoil_size, "bytes"), (spoil_byte, "CRC"), (Path.unlink, "is missing")],
    ids=["truncated", "flipped", "missing"],
)
def test_a_damaged_file_leaves_the_others(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    run = written(tmp_path, 3)
    spoil(tmp_path / "explanations" / "epoch-000001.npz")
    damaged = run.damaged
    assert damaged["epoch"].tolist() == [1]
    assert reason in damaged["reason"][0]
    assert run.epochs == [0, 1, 2]
    assert run.scalars.loc[1, "loss"] == 0.5
    with pytest.raises(InputError, match=rf"epoch 1 must.*damaged \(.*{reason}.*run\.damaged"):
        run.arrays("explanations", 1)
    assert run.stack("explanations", "cam")[2].max() == 2
    with RunWriter(tmp_path) as writer:
        writer.write_epoch(3, {"loss": 0.1}, cam(3))
    assert run.damaged["epoch"].tolist() == [1]


def test_a_damaged_line_leaves_the_others(tmp_path: Path) -> None:
    run, path = written(tmp_path, 3), tmp_path / "scalars.jsonl"
    lines = path.read_bytes().split(b"\n")
    for bad in (b'{"at": "epoch"}', b"\0\0\0", b"[" * 5000, lines[1].replace(b"expl", b"../e")):
        path.write_bytes(b"\n".join([lines[0], bad, *lines[2:]]))
        assert run.epochs == [0, 2]
        assert run.damaged["file"].tolist() == ["scalars.jsonl"]
        assert "line 2 can't be read" in run.damaged["reason"][0]
    with RunWriter(tmp_path) as writer:
        writer.write_epoch(3)
    assert run.epochs == [0, 2, 3]
    assert (tmp_path / "explanations" / "epoch-000001.npz").exists()


def test_only_the_last_files_are_kept(tmp_path: Path) -> None:
    run = written(tmp_path, 5, keep=2)
    with RunWriter(tmp_path, part="other", keep=1) as writer:
        writer.write_epoch(4, {}, {"pictures": {"a": np.ones((1, 2, 2, 3))}})
    assert run.epochs == [0, 1, 2, 3, 4]
    assert run.stack("explanations", "cam").numbers == (3, 4)
    assert len(list((tmp_path / "explanations").iterdir())) == 2
    assert run.damaged.empty
    with RunWriter(tmp_path, keep=2) as writer:
        writer.write_epoch(4, {}, cam(44))
        writer.write_epoch(5, {}, cam(5))
    assert [int(array.max()) for array in run.stack("explanations", "cam")] == [44, 5]
    assert run.damaged.empty


def test_reading_while_it_is_written(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        run = Run(tmp_path)
        assert run.epochs == []
        assert run.scalars.empty
        for epoch in range(3):
            writer.write_epoch(epoch, {"loss": 1.0}, cam(epoch))
            assert run.arrays("explanations", -1)["cam"].max() == epoch
        stack = run.stack("explanations", "cam")
        writer.write_epoch(2, {"loss": 1.0}, cam(22))
        assert stack[2].max() == 22
        assert run.damaged.empty


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = RunWriter(folder)
    first.write_epoch(0)
    shutil.rmtree(folder)
    with pytest.raises(OutputError, match="removed or moved"):
        first.write_epoch(1)
    written(tmp_path / "other", 1)
    shutil.copytree(tmp_path / "other", folder)
    with pytest.raises(OutputError, match="removed or moved"):
        first.write_epoch(1)
    with RunWriter(folder) as second:
        second.write_epoch(0, {"loss": 1.0})
    first.close()
    assert Run(folder).epochs == [0]


def test_folders_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"without files.*'thesis\.tex'.*Choose another"):
        RunWriter(tmp_path / "other")
    with pytest.raises(InputError, match=r"run was written to.*manifest\.json can't be read"):
        Run(tmp_path / "other")
    with pytest.raises(OutputError, match="can be written"):
        RunWriter(tmp_path / "other" / "thesis.tex" / "run")
    with pytest.raises(OutputError, match="must be on this machine"):
        RunWriter("gs://bucket/run")
    (tmp_path / "shared" / "checkpoints").mkdir(parents=True)
    written(tmp_path / "shared", 1)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": "kerasviz run", "version": 2}', "newer kerasviz with schema 2"),
        ('{"format": "recipe", "version": 1}', "of another kind"),
        ('{"format": "kerasviz run", "versi', "is damaged"),
        ("[]", "is damaged"),
    ],
    ids=["newer", "other", "torn", "list"],
)
def test_manifests_that_are_refused(tmp_path: Path, content: str, words: str) -> None:
    written(tmp_path, 1)
    (tmp_path / "manifest.json").write_text(content)
    before = contents(tmp_path)
    for opened in (Run, RunWriter):
        with pytest.raises(InputError, match=words):
            opened(tmp_path)
    assert contents(tmp_path) == before


BAD_WRITES: dict[str, tuple[Callable[[RunWriter], None], str]] = {
    "negative epoch": (lambda w: w.write_epoch(-1), "`epoch` must be a whole number"),
    "no step": (lambda w: w.write_step(None, epoch=1), "`step` must be a whole number"),
    "text": (lambda w: w.write_epoch(1, {"a": "b"}), r"real numbers.*'a'"),
    "none": (lambda w: w.write_epoch(1, {"a": None}), r"real numbers.*'a'"),
    "array": (lambda w: w.write_epoch(1, {"a": np.ones(2)}), r"shape \(2,\).*`arrays`"),
    "complex": (lambda w: w.write_epoch(1, {"a": 1j}), "real numbers"),
    "nameless": (lambda w: w.write_epoch(1, {3: 1.0}), "texts as names. Received: 3"),
    "kind": (lambda w: w.write_epoch(1, {}, {"../a": {"b": np.ones(1)}}), r"kinds.*'\.\./a'"),
    "flat": (lambda w: w.write_epoch(1, {}, {"a": np.ones(2)}), "at least one array by name"),
    "objects": (lambda w: w.write_epoch(1, {}, {"a": {"b": [None]}}), "numbers or text"),
    "ragged": (lambda w: w.write_epoch(1, {}, {"a": {"b": [[1], []]}}), "numbers or text"),
}


@pytest.mark.parametrize("name", BAD_WRITES)
def test_what_can_not_be_written(tmp_path: Path, name: str) -> None:
    written(tmp_path, 1)
    write, words = BAD_WRITES[name]
    with RunWriter(tmp_path) as writer:
        before = contents(tmp_path)
        with pytest.raises(InputError, match=words):
            write(writer)
        assert contents(tmp_path) == before


BAD_READS: dict[str, tuple[Callable[[Run], Any], str]] = {
    "epoch": (lambda run: run.arrays("explanations", 3), r"`epoch`.*\[0, 1, 2\].*Received: 3"),
    "before": (lambda run: run.arrays("explanations", -4), "Received: -4"),
    "both": (lambda run: run.arrays("explanations", 1, step=1), "not both"),
    "kind": (lambda run: run.arrays("pictures", 1), r"`kind`.*\['explanations'\]"),
    "name": (lambda run: run.stack("explanations", "sam"), r"`name`.*\['cam'\].*'sam'"),
    "group": (lambda run: run.table("weights"), r"`group` must be one of \[\].*'weights'"),
}


@pytest.mark.parametrize("name", BAD_READS)
def test_what_can_not_be_read(tmp_path: Path, name: str) -> None:
    read, words = BAD_READS[name]
    with pytest.raises(InputError, match=words):
        read(written(tmp_path))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"keep": 0}, "`keep` must be a whole number from 1"),
        ({"manifest": {"a": math.nan}}, "`manifest` must hold only what JSON"),
        ({"part": "a/b"}, "letters, digits"),
    ],
    ids=["keep", "manifest", "part"],
)
def test_bad_settings(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        RunWriter(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_tables_have_types(tmp_path: Path) -> None:
    run = written(tmp_path, 1)
    assert run.damaged.dtypes["epoch"] == pd.Int64Dtype()
    assert run.scalars.dtypes["loss"] == np.float64
    assert run.scalars.index.name == "epoch"


def test_a_run_of_steps_is_not_begun_again(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for step in (0, 4, 8):
            writer.write_step(step, {"loss": 1.0 * step}, epoch=step // 5)
    with RunWriter(tmp_path) as writer:
        with pytest.raises(OutputError, match="holds the steps 0 to 8"):
            writer.write_step(0, {"loss": 9.0}, epoch=0)
        with pytest.raises(OutputError, match="holds the steps of epochs 0 to 1"):
            writer.write_epoch(0, {"loss": 9.0})
        assert Run(tmp_path).step_scalars["loss"].tolist() == [0.0, 4.0, 8.0]
        writer.write_step(4, {"loss": 9.0}, epoch=0)
    assert Run(tmp_path).step_scalars["loss"].tolist() == [0.0, 9.0]
    with RunWriter(tmp_path, overwrite=True) as writer:
        writer.write_step(0, {"loss": 7.0}, epoch=0)
    assert Run(tmp_path).step_scalars["loss"].tolist() == [7.0]
