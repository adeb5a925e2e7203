"""A real RGB-D photo: a stereo pair that ships inside scikit-image, with measured disparities."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kerasviz.errors import ImageFileError
from kerasviz.samples.packages import package_folder
from kerasviz.samples.photo import photos

FOCAL_LENGTH = 994.978
BASELINE = 193.001
OFFSET = 31.086
_FILE = "data/motorcycle_disp.npz"


@dataclass(frozen=True, eq=False)
class RGBDPhoto:
    """A photo with a depth for each of its pixels.

    Args:
        name: What it shows.
        rgb: Read-only uint8 array `(height, width, 3)`.
        depth: Read-only float32 array `(height, width)`: millimetres from the camera along its
            view; 0 where it was not measured.
        licence: The terms it may be used under.
        credit: Who made it.
        source: Where it was published.
    """

    name: str
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    licence: str
    credit: str
    source: str

    @property
    def inputs(self) -> NDArray[np.float32]:
        """`(1, height, width, 4)` float32: red, green, blue in [0, 1], depth in millimetres."""
        return np.concatenate([self.rgb / np.float32(255), self.depth[..., None]], axis=-1)[None]


def rgbd_photo() -> RGBDPhoto:
    """The left picture of the motorcycle in a workshop, with its depth: 2.1 m to 5.0 m.

    The depth is baseline · focal length / (disparity + offset of the principal points), with the
    calibration that scikit-image gives for `skimage.data.stereo_motorcycle`: 193.001 mm,
    994.978 px, 31.086 px. For 7.3 % of the pixels the disparity is infinite: no depth is known.

    No licence is stated: look at it, but publish no picture of it.

    Returns:
        An `RGBDPhoto` of 500 by 741 pixels.

    Raises:
        MissingExtraError: scikit-image is not installed.
        ImageFileError: A file is missing from the package, or cannot be read.

    Reference:
        Scharstein et al. 2014, "High-Resolution Stereo Datasets with Subpixel-Accurate Ground
        Truth"; calibration as in https://vision.middlebury.edu/stereo/data/scenes2014/.

    Example:
        >>> from kerasviz import samples
        >>> photo = samples.rgbd_photo()
        >>> photo.rgb.shape, photo.depth.shape
        ((500, 741, 3), (500, 741))
    """
    (photo,) = photos("motorcycle")
    depth = depth_of(_read(package_folder("skimage", "scikit-image") / _FILE))
    depth.flags.writeable = False
    return RGBDPhoto(photo.name, photo.image, depth, photo.licence, photo.credit, photo.source)


def depth_of(disparity: NDArray[np.floating]) -> NDArray[np.float32]:
    """Millimetres of a disparity in pixels; 0 where that is infinite or NaN."""
    known = np.isfinite(disparity)
    shift = np.where(known, disparity, 1.0) + OFFSET
    return np.asarray(np.where(known, BASELINE * FOCAL_LENGTH / shift, 0.0), "float32")


def _read(path: Path) -> NDArray[np.floating]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["arr_0"], "float64")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ImageFileError(
            f"Expected disparities as an array `arr_0`. Cannot read {path}: {error}. "
            "Reinstall scikit-image."
        ) from error
