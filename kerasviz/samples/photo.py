"""Colour photos that ship inside scikit-image and scikit-learn, with their licences."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasviz.errors import ImageFileError, InputError
from kerasviz.samples.packages import package_folder


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo with its licence, and what a good ImageNet network should call it.

    Args:
        name: What `photos` calls it.
        image: Read-only uint8 RGB array `(height, width, 3)`.
        expected: The acceptable names, as in `imagenet_labels`; empty where no class fits.
        licence: The terms it may be used under.
        credit: Who made it.
        source: Where it was published.
    """

    name: str
    image: NDArray[np.uint8]
    expected: tuple[str, ...]
    licence: str
    credit: str
    source: str


@dataclass(frozen=True)
class _Entry:
    package: tuple[str, str]
    file: str
    expected: tuple[str, ...]
    licence: str
    credit: str
    source: str


_SCIKIT_IMAGE = ("skimage", "scikit-image")
_SCIKIT_LEARN = ("sklearn", "scikit-learn")
_CREATIVE_COMMONS = "CC BY 2.0, https://creativecommons.org/licenses/by/2.0/"
_ZERO = "CC0 1.0, no copyright restrictions"

_CATALOGUE = {
    "coffee": _Entry(
        _SCIKIT_IMAGE,
        "data/coffee.png",
        ("espresso",),
        _ZERO,
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        "scikit-image, skimage.data.coffee",
    ),
    "chelsea": _Entry(
        _SCIKIT_IMAGE,
        "data/chelsea.png",
        ("tabby, tabby cat", "tiger cat", "Egyptian cat"),
        _ZERO,
        "Stefan van der Walt",
        "scikit-image, skimage.data.chelsea",
    ),
    "motorcycle": _Entry(
        _SCIKIT_IMAGE,
        "data/motorcycle_left.png",
        ("moped", "motor scooter, scooter"),
        "No licence stated; published as a benchmark for research",
        "D. Scharstein, H. Hirschmüller, Y. Kitajima, G. Krathwohl, N. Nesic, X. Wang, P. Westling",
        "Middlebury 2014 stereo benchmark, http://vision.middlebury.edu/stereo/data/scenes2014/",
    ),
    "rocket": _Entry(
        _SCIKIT_IMAGE,
        "data/rocket.jpg",
        (),
        "Public domain",
        "SpaceX",
        "https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
    "astronaut": _Entry(
        _SCIKIT_IMAGE,
        "data/astronaut.png",
        (),
        "Public domain, no known copyright restrictions",
        "NASA",
        "NASA Great Images database, https://flic.kr/p/r9qvLn",
    ),
    "china": _Entry(
        _SCIKIT_LEARN,
        "datasets/images/china.jpg",
        (),
        _CREATIVE_COMMONS,
        "danielbuechele on Flickr",
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    "flower": _Entry(
        _SCIKIT_LEARN,
        "datasets/images/flower.jpg",
        (),
        _CREATIVE_COMMONS,
        "vultilion on Flickr",
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
}


def photos(*names: str) -> list[Photo]:
    """Return photos by name, or all of them: those whose class is known to be recognised first.

    Args:
        *names: `"coffee"`, `"chelsea"`, `"motorcycle"`, `"rocket"`, `"astronaut"`, `"china"` or
            `"flower"`; none means all, in this order.

    Returns:
        The photos, in the order asked for.

    Raises:
        InputError: There is no photo of that name.
        MissingExtraError: The package that holds the photo is not installed.
        ImageFileError: The file is missing from the package, or cannot be decoded.

    Example:
        >>> from kerasviz import samples
        >>> samples.photos("china")[0].credit
        'danielbuechele on Flickr'
    """
    return [_load(name) for name in names or _CATALOGUE]


def _load(name: str) -> Photo:
    if name not in _CATALOGUE:
        raise InputError(_unknown(name))
    entry = _CATALOGUE[name]
    image = _read_image(package_folder(*entry.package) / entry.file)
    return Photo(name, image, entry.expected, entry.licence, entry.credit, entry.source)


def _unknown(name: str) -> str:
    closest = get_close_matches(name, _CATALOGUE, n=1)
    hint = f" Closest: {closest[0]!r}." if closest else ""
    return f"Expected one of {', '.join(map(repr, _CATALOGUE))}. Received: {name!r}.{hint}"


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as file:
            image = np.array(file.convert("RGB"))
    except OSError as error:
        raise ImageFileError(f"Expected a photo. Cannot read {path}: {error}.") from error
    image.flags.writeable = False
    return image
