"""Small models and images on disk, and the command line to try on them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from kerasviz.cli import app

SIZE = 24
CLASSES = 3


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command line in this process."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """Run a command line that must end in one line, and return that line."""

    def invoke(*arguments: object) -> str:
        result = run(*arguments)
        lines = result.output.strip().splitlines()
        assert result.exit_code == 2, result.output
        assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
        assert "Traceback" not in result.output
        return lines[-1].removeprefix("Error: ")

    return invoke


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """Convolution, ReLU, global average pooling, softmax."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((SIZE, SIZE, 3), name="photo")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(CLASSES, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name="tiny")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files that tests only read."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def model_file(model: keras.Model, folder: Path) -> Path:
    path = folder / "tiny.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def hdf5_file(model: keras.Model, folder: Path) -> Path:
    path = folder / "tiny.h5"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def saved_model(model: keras.Model, folder: Path) -> Path:
    path = folder / "tiny_saved_model"
    model.export(path, verbose=False)
    return path


@pytest.fixture(scope="session")
def image_file(folder: Path) -> Path:
    """A photo-like image: smooth colours, wider than high."""
    y, x = np.mgrid[0:40, 0:60]
    pixels = np.stack([x * 4, y * 6, 255 - x * 4], axis=-1).astype(np.uint8)
    path = folder / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def edited(model_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the model file with members of the archive changed; None leaves one out."""

    def edit(change: Callable[[str, bytes], bytes | None]) -> Path:
        path = tmp_path / "edited.keras"
        with zipfile.ZipFile(model_file) as source, zipfile.ZipFile(path, "w") as copy:
            for name in source.namelist():
                content = change(name, source.read(name))
                if content is not None:
                    copy.writestr(name, content)
        return path

    return edit


@pytest.fixture
def full_disk():
    """A process that may write no file above 20 kB stands for a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
