"""Files that name the layers of kerasviz load without `--import`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.attention.layers import SelectChannels

ROOT = Path(__file__).parents[2]
SHOW = """
import sys
from pathlib import Path
import numpy as np
from kerasviz.cli.model_files import load_model_file

other, own, images, found = map(Path, sys.argv[1:])
load_model_file(other, {})
assert "kerasviz.attention" not in sys.modules
np.save(found, load_model_file(own, {}).predict(np.load(images), verbose=0))
"""


def in_a_new_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def network() -> keras.Model:
    image = keras.Input((8, 8, 4))
    parts = [SelectChannels(0, 2)(image), SelectChannels(2, 4)(image)]
    rgb, depth = kv.attention.EncoderFusion(2)(parts)
    x = kv.attention.ResplacementBlock(6)(keras.layers.Concatenate()([rgb, depth]))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_new_process_loads_them(network, ending, model_file, tmp_path):
    """It imports them for a file that names them, not for another."""
    path = tmp_path / f"network.{ending}"
    network.save(path)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    given, found = tmp_path / "images.npy", tmp_path / "found.npy"
    np.save(given, images)
    run = in_a_new_process(SHOW, model_file, path, given, found)
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(found), network.predict(images, verbose=0))


def test_a_name_of_ours_opens_no_door(network, refused, tmp_path):
    """A layer that kerasviz does not have is refused, whatever package it says it is from."""
    source, copy = tmp_path / "network.keras", tmp_path / "forged.keras"
    network.save(source)
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(copy, "w") as forged:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                text = content.decode().replace("kerasviz>EncoderFusion", "kerasviz>system")
                content = text.replace('"EncoderFusion"', '"system"').encode()
                assert json.loads(content)
            forged.writestr(name, content)
    message = refused("layers", copy)
    assert "uses the custom 'system'" in message
