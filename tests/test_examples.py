"""Every example runs, small, and leaves the pictures it promises."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SMALL = {
    "activation_atlas": ["--per-photo", "2", "--grid", "2", "--icon", "32", "--steps", "1"],
    "any_model": ["--size", "64"],
    "attention_impact": ["--size", "8", "--depth", "4", "--seeds", "2"],
    "channel_gradients": ["--size", "64", "--photos", "coffee", "--per-photo", "2"],
    "circuits": [
        *["--channels", "40", "77", "--strongest", "1"],
        *["--size", "32", "--steps", "1"],
    ],
    "during_predict": ["--size", "64", "--stride", "224", "--photo", "coffee"],
    "expanded_weights": [
        *["--size", "64", "--targets", "block_2", "--photos", "coffee", "--per-photo", "1"],
    ],
    "feature_visualization": ["--size", "64", "--steps", "16"],
    "first_map": ["--size", "64"],
    "five_methods": ["--size", "64", "--photos", "coffee", "--methods", "CAM", "DeconvNet"],
    "initializers": [
        *["--names", "orthogonal", "--epochs", "1"],
        *["--seeds", "1", "--num", "64"],
    ],
    "receptive_fields": ["--size", "64"],
    "reconstruction": ["--size", "64", "--channels", "1", "--epochs", "1"],
    "retina_development": ["--num", "70", "--epochs", "1", "--samples", "2", "--fits", "0"],
    "rgbd_grasping": [
        *["--size", "16", "--scenes", "8", "--tested", "8", "--epochs", "1"],
        *["--filters", "4", "--blocks", "1"],
    ],
    "sanity": ["--size", "64", "--photos", "coffee", "rocket", "--methods", "GradCAM"],
    "understanding": ["--size", "96", "--cell", "6", "--icon", "32", "--steps", "1"],
    "unit_receptive_fields": [
        *["--later", "block_0", "--depths", "block_0"],
        *["--units", "4", "--num-samples", "1"],
    ],
    "viewport": [
        *["--frame", "64", "64", "--photos", "coffee", "chelsea", "rocket"],
        *["--positions", "2"],
    ],
    "vision_transformer": ["--epochs", "1", "--samples", "5"],
    "where_time_goes": [
        *["--sizes", "12x8", "16x12", "--kernel-size", "3"],
        *["--units", "4", "--batch-size", "1", "--seconds", "0.1"],
    ],
    "weight_banding": [
        *["--conditions", "flatten", "--seeds", "1"],
        *["--num", "60", "--epochs", "1"],
    ],
    "weights": ["--role", "bias"],
    "why_a_not_b": ["--size", "64"],
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning"),
    pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning"),
]


def test_all_examples_are_tried() -> None:
    assert {script.stem for script in EXAMPLES} == set(SMALL)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_example_runs(
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(script), *SMALL[script.stem], "--output", str(tmp_path / "new")]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    promised = set(re.findall(r"[a-z_]+\.png", runpy.run_path(str(script))["__doc__"]))
    written = {path.name for path in (tmp_path / "new").iterdir()}
    assert promised == written
    for name in written:
        assert name in printed
        with Image.open(tmp_path / "new" / name) as picture:
            low, high = picture.convert("L").getextrema()
        assert low < high
