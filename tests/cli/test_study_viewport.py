"""`kerasviz study viewport`, as it is typed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasviz import studies


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("viewport")
    generator = np.random.default_rng(0)
    for place in range(3):
        pixels = generator.integers(0, 256, (30, 40, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{place}.png")
    model.save(folder / "tiny.keras")
    return folder


def test_tables_picture_and_page(run, files, tmp_path):
    output, pictures = tmp_path / "out", [files / f"{place}.png" for place in range(3)]
    given = ("--model", files / "tiny.keras", "--positions", 2, "--output", output)
    result = run("study", "viewport", *pictures, files / "none.png", *given)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    detection = pd.read_csv(output / "detection.csv")
    assert detection["size"].tolist()[:3] == [24, 17, 12]
    assert len(pd.read_csv(output / "placements.csv")) == 3 * 8 * 2
    found = studies.Viewport.load(output / "viewport.npz")
    assert found.parameters["frame"] == [24, 24]
    summary = json.loads((output / "summary.json").read_text())
    assert summary["words"] == found.words()
    assert summary["detection"][0]["accuracy"] == detection["accuracy"][0]
    assert "How far, and where" in (output / "report.html").read_text()
    assert (output / "viewport.png").stat().st_size > 10_000


def test_images_need_a_model(refused, files, tmp_path):
    told = refused("study", "viewport", files / "0.png", "--output", tmp_path / "o")
    assert told.startswith("Expected --model with images.")


def test_a_frame_of_another_size(refused, files, tmp_path):
    given = ("--model", files / "tiny.keras", "--frame", "20x30", "--output", tmp_path / "o")
    told = refused("study", "viewport", files / "0.png", *given)
    assert told.startswith("`frame` must be the size that 'tiny' takes, (24, 24)")
