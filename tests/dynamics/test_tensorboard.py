"""A run for TensorBoard: event files are read back record by record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasviz.dynamics.folder import Run
from kerasviz.dynamics.writing import RunWriter
from kerasviz.errors import OutputError


def numbers(epoch: int) -> dict[str, float]:
    return {"loss": 0.5 / (1 + epoch), "weights/conv/mean": float(epoch)}


def arrays(epoch: int) -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(epoch)
    return {
        "histograms": {
            "weights/conv/edges": np.linspace(-1, 1, 6),
            "weights/conv/counts": np.arange(5),
        },
        "pictures": {"conv:3": random.random((2, 5, 7, 3)).astype("float32")},
        "explanations": {"cam": random.random((2, 4, 6)) * 2 - 1},
        "other": {"flat": np.ones(3)},
    }


def write(folder: Path, epochs: range, **settings: Any) -> Run:
    with RunWriter(folder, **settings) as writer:
        for epoch in epochs:
            writer.write_step(epoch * 10 + 5, {"batch_loss": 0.25}, epoch=epoch)
            writer.write_epoch(epoch, numbers(epoch), arrays(epoch), step=(epoch + 1) * 10)
    return Run(folder)


def events(folder: Path) -> list[Any]:
    """All events of all files, in the order of their making."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            found.append(tf.compat.v1.Event.FromString(record.numpy()))
    return found


def values(found: list[Any]) -> dict[tuple[int, str], Any]:
    return {
        (event.step, value.tag): (
            value.metadata.plugin_data.plugin_name,
            tf.make_ndarray(value.tensor),
        )
        for event in found
        for value in event.summary.value
    }


def check(found: list[Any], epochs: range) -> None:
    assert found[0].file_version == "brain.Event:2"
    held = values(found)
    assert {step for step, _ in held} == set(epochs)
    for epoch in epochs:
        for name, number in numbers(epoch).items():
            plugin, value = held[epoch, name]
            assert (plugin, value) == ("scalars", np.float32(number))
        plugin, rows = held[epoch, "weights/conv"]
        edges = np.linspace(-1, 1, 6)
        assert plugin == "histograms"
        np.testing.assert_array_equal(rows, np.stack([edges[:-1], edges[1:], np.arange(5)], 1))
        plugin, parts = held[epoch, "pictures/conv:3"]
        assert (plugin, parts[0], parts[1], len(parts)) == ("images", b"7", b"5", 4)
        for png, picture in zip(parts[2:], arrays(epoch)["pictures"]["conv:3"], strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
            np.testing.assert_array_equal(pixels, np.rint(picture * 255))
        plugin, parts = held[epoch, "explanations/cam"]
        assert (plugin, parts[0], parts[1], len(parts)) == ("images", b"6", b"4", 4)
        assert not [tag for _, tag in held if "flat" in tag]


def test_a_run_is_exported(tmp_path: Path) -> None:
    run = write(tmp_path / "run", range(3))
    for _ in range(2):
        assert run.to_tensorboard(tmp_path / "board") == tmp_path / "board"
    check(events(tmp_path / "board" / "epochs"), range(3))
    steps = values(events(tmp_path / "board" / "steps"))
    assert steps.keys() == {(5, "batch_loss"), (15, "batch_loss"), (25, "batch_loss")}
    event = events(tmp_path / "board" / "epochs")[2]
    assert abs(event.wall_time - run.snapshots["time"][0].timestamp()) < 1e-3
    names = [path.name for path in (tmp_path / "board" / "epochs").iterdir()]
    assert len(names) == 1


def test_a_training_writes_both(tmp_path: Path) -> None:
    board = tmp_path / "board"
    write(tmp_path / "run", range(3), tensorboard=board)
    check(events(board / "epochs"), range(3))
    run = write(tmp_path / "run", range(2, 4), tensorboard=board)
    assert run.epochs == [0, 1, 2, 3]
    found = events(board / "epochs")
    starts = [event.step for event in found if event.HasField("session_log")]
    assert starts == [0, 2]
    check(found, range(4))


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    run = write(tmp_path / "run", range(2))
    path = tmp_path / "run" / "pictures" / "epoch-000000.npz"
    path.write_bytes(path.read_bytes()[:-9])
    run.to_tensorboard(tmp_path / "board")
    held = values(events(tmp_path / "board" / "epochs"))
    assert (0, "pictures/conv:3") not in held
    assert {(1, "pictures/conv:3"), (0, "explanations/cam"), (0, "loss")} <= held.keys()


def test_odd_values(tmp_path: Path) -> None:
    odd = {
        "pictures": {
            "nan": np.full((1, 3, 3, 1), np.nan),
            "bytes": np.full((1, 3, 3, 3), 255, np.uint8),
            "none": np.ones((0, 3, 3, 3)),
        },
        "explanations": {"signal": np.linspace(0, 1, 8).reshape(2, 4)},
        "histograms": {"empty/edges": np.zeros(1), "empty/counts": np.zeros(0)},
    }
    with RunWriter(tmp_path / "run", tensorboard=tmp_path / "board") as writer:
        writer.write_epoch(0, {"nan": np.nan}, odd)
    held = values(events(tmp_path / "board" / "epochs"))
    assert np.isnan(held[0, "nan"][1])
    tags = {tag for _, tag in held}
    assert tags == {"nan", "pictures/nan", "pictures/bytes", "explanations/signal"}


def test_a_board_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with RunWriter(tmp_path / "run", tensorboard=tmp_path / "file" / "board") as writer:
        with pytest.raises(OutputError, match="can be written"):
            writer.write_epoch(0, {"loss": 1.0})
        assert Run(tmp_path / "run").epochs == [0]
    with pytest.raises(OutputError, match="can be written"):
        Run(tmp_path / "run").to_tensorboard(tmp_path / "file" / "board")
