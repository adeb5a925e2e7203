"""Image files, read and scaled as a model takes them."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasviz.cli.images import ReadImage, image_layout, read_images
from kerasviz.cli.preprocessing import Preprocessing, choose_preprocessing
from kerasviz.cli.progress import Steps
from kerasviz.errors import ImageFileError, InputError


@dataclass(frozen=True, eq=False)
class ReadInputs:
    """Images, ready for a model.

    Args:
        images: Those that could be read.
        failures: A `(path, reason)` for each that could not.
        preprocessing: How they were scaled.
        inputs: Float32, as the model takes them.
    """

    images: Sequence[ReadImage]
    failures: list[tuple[str, str]]
    preprocessing: Preprocessing
    inputs: NDArray[np.float32]

    @property
    def pictures(self) -> NDArray[np.uint8]:
        """`(n, height, width, channels)` before they were scaled."""
        return np.stack([image.pixels for image in self.images])

    @property
    def names(self) -> list[str]:
        """The files' names, or their paths where the same name comes twice."""
        names = [Path(image.path).name for image in self.images]
        return [
            name if names.count(name) == 1 else image.path
            for name, image in zip(names, self.images, strict=True)
        ]


def read_inputs(
    paths: Sequence[str],
    model: keras.Model,
    spec: str,
    scaling: Preprocessing | None,
    steps: Steps,
    size: tuple[int, int] | None = None,
) -> ReadInputs:
    """Read images for a model, and say how they were cut and scaled.

    Args:
        paths: Image files.
        model: The model.
        spec: How the command line named it.
        scaling: As asked for; None to choose.
        steps: Shows how far it is.
        size: (height, width), where the model leaves them open; None: 224.

    Raises:
        InputError: The model does not take one image.
        ImageFileError: None of the files can be read.
    """
    layout = image_layout(model)
    if size is not None and layout.any_size:
        layout = dataclasses.replace(layout, height=size[0], width=size[1])
    with steps.step("Reading images", total=len(paths)) as advance:
        found, failures = read_images(paths, layout, advance)
    if not found:
        raise ImageFileError(_none_left(failures))
    scaling = scaling or choose_preprocessing(spec, model)
    steps.say(f"Images: shorter side resized and centre cut to {layout}. Values: {scaling}.")
    pictures = np.stack([image.pixels for image in found])
    return ReadInputs(found, failures, scaling, layout.arrange(scaling(pictures)))


def read_arrays(path: Path) -> Any:
    """Read inputs as a model takes them: an array from `.npy`, a dict of them by name from `.npz`.

    An `.npz` file with a single array gives that array.

    Raises:
        InputError: The file is missing, damaged, holds Python objects, or is none of the two.
    """
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            "`--data` must be a .npy or .npz file of numbers. "
            f"Received: {path}, which cannot be read: {_why(error)}. Write it with `numpy.save`."
        ) from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def _none_left(failures: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{name}, which {reason}" for name, reason in failures[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    return f"Expected at least one image. Received: {named}{more}."
