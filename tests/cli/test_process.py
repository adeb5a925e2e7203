"""The command line as its users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kerasviz

ROOT = Path(kerasviz.__file__).parents[1]


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if name[:6] != "TF_CPP"}
    settings |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "kerasviz", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=settings, timeout=120)


def test_help_is_light():
    heavy = {"tensorflow", "keras", "numpy", "pandas", "matplotlib", "PIL", "plotly", "scipy"}
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from kerasviz.cli import app\n"
        "assert 'grad-cam' in CliRunner().invoke(app, ['explain', '--help']).output\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert found.stdout.split() == []


def test_results_on_stdout_and_nothing_of_tensorflow_on_stderr(model_file, image_file, tmp_path):
    arguments = ["--method", "saliency", "--output", tmp_path / "out"]
    found = start("explain", model_file, image_file, *arguments)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0].startswith("photo.png: class ")
    assert lines[1:] == [str(tmp_path / "out" / "report.html")]
    steps = found.stderr.splitlines()
    assert steps[:3] == ["Starting TensorFlow …", f"Loading {model_file} …", "Reading images …"]
    assert [line for line in steps if "tensorflow" in line or "0000" in line] == []
