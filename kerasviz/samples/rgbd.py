"""Scenes of objects on a table for an RGB-D network: colour, depth, and where to grip."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.samples.tabletop.grips import grip_maps
from kerasviz.samples.tabletop.light import photographed
from kerasviz.samples.tabletop.rays import TABLE, Camera, Hits, camera_above, entries, first_hits
from kerasviz.samples.tabletop.sensor import sensed
from kerasviz.samples.tabletop.things import Kind, SceneObject, draw_things

__all__ = ["RGBDScenes", "SceneObject", "rgbd_scenes"]

HALF_VIEW = 215.0
TILT = 0.08
SMALLEST = 16
MOST_OBJECTS = 8


@dataclass(frozen=True, eq=False)
class RGBDScenes:
    """Objects on tables, seen from above by a colour and by a depth camera.

    Args:
        rgb: `(n, size, size, 3)` uint8.
        depth: `(n, size, size)` float32 in millimetres from the camera along its view, below 800
            unless `noise` is 5 or more; 0 where the sensor measured nothing.
        grip: `(n, output_size, output_size)` int32: 1 where the middle of a gripper with two
            fingers may go, else 0.
        horizontal: `(n, output_size, output_size)` float32: cos 2θ, with θ the angle in which the
            fingers close, from the picture's horizontal, counter-clockwise. A gripper turned by
            180° is the same, hence 2θ. 0 outside of `mask`.
        vertical: The same of sin 2θ.
        mask: `(n, output_size, output_size)` bool: where there is such an angle, which is where
            `grip` is 1 but for upright cylinders, which can be gripped from any side.
        instances: `(n, output_size, output_size)` int8: which of the scene's `objects` is there, in
            depth or, as a decoy, in colour; -1 for the table.
        objects: What each scene holds.
    """

    rgb: np.ndarray
    depth: np.ndarray
    grip: np.ndarray
    horizontal: np.ndarray
    vertical: np.ndarray
    mask: np.ndarray
    instances: np.ndarray
    objects: tuple[tuple[SceneObject, ...], ...]

    def __len__(self) -> int:
        return len(self.rgb)

    def __repr__(self) -> str:
        size, output = self.rgb.shape[1], self.grip.shape[1]
        return f"RGBDScenes({len(self)}, size={size}, output_size={output})"

    @property
    def inputs(self) -> np.ndarray:
        """`(n, size, size, 4)` float32: red, green and blue in [0, 1], depth in millimetres, as
        `kv.attention.rgbd_grasp_network` takes them."""
        return np.concatenate([self.rgb / np.float32(255), self.depth[..., None]], axis=-1)

    def kinds(self, *wanted: Kind) -> np.ndarray:
        """`(n, output_size, output_size)` bool: where objects of these kinds are.

        Args:
            *wanted: "plain", "decoy", "camouflaged", "glossy".
        """
        found = np.zeros(self.instances.shape, bool)
        for scene, (objects, instances) in enumerate(
            zip(self.objects, self.instances, strict=True)
        ):
            chosen = [i for i, thing in enumerate(objects) if thing.kind in wanted]
            found[scene] = np.isin(instances, chosen)
        return found


def rgbd_scenes(
    num: int,
    size: int = 64,
    seed: int = 0,
    *,
    output_size: int | None = None,
    objects: tuple[int, int] = (2, 5),
    decoys: float = 0.2,
    camouflaged: float = 0.15,
    glossy: float = 0.15,
    noise: float = 1.0,
) -> RGBDScenes:
    """Draw scenes of objects on a table, ray-traced, with grasps.

    The camera looks down from 62 to 74 cm, tilted by up to 4.6°, on 43 cm of a table with boxes,
    upright cylinders and rods. Neither modality tells all: a *decoy* is a flat print, which from
    the camera looks like the thing; a *camouflaged* thing has the table's own pattern and casts no
    visible shadow; around a *glossy* thing the depth sensor sees a round hole, as it also does on
    some empty spots of the table.

    Depth has a Kinect's noise, 1.2 + 1.9 (z - 0.4)² mm at z metres, disparities in eighths of a
    pixel (steps of 1.4 mm at 70 cm), no values where the light of its projector, 75 mm to the
    right, does not come, 40 % of the pixels at steps of more than 12 mm lost, and 0.3 % of all.

    Args:
        num: Number of scenes.
        size: Height and width in pixels, at least 16.
        seed: The same seed gives the same scenes; scene i does not depend on `num`.
        output_size: Height and width of the grasp maps; None: `size`.
        objects: Smallest and largest number of objects in a scene, within 1 to 8; from 7 on there
            is not room for all, and some may touch.
        decoys: Share of the objects that are decoys, in [0, 1].
        camouflaged: Share that are camouflaged.
        glossy: Share that are glossy; the three sum to at most 1.
        noise: Factor of the depth's noise; 0 gives exact depth with no holes but glossy ones.

    Returns:
        An `RGBDScenes`.

    Raises:
        InputError: A setting outside of its range.

    Reference:
        Nguyen, Izadi, Lovell 2012, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction and
        Tracking", for the noise. Khoshelham, Elberink 2012, "Accuracy and Resolution of Kinect
        Depth Data for Indoor Mapping Applications", for disparities and holes.

    Example:
        >>> from kerasviz import samples
        >>> scenes = samples.rgbd_scenes(2, size=32)
        >>> scenes.inputs.shape, scenes.grip.shape
        ((2, 32, 32, 4), (2, 32, 32))
    """
    output_size = size if output_size is None else output_size
    _check_sizes(num, size, seed, output_size)
    _check_objects(objects)
    shares = _shares(decoys, camouflaged, glossy, noise)
    drawn = [
        _scene(np.random.default_rng((seed, index)), size, output_size, objects, shares, noise)
        for index in range(num)
    ]
    names = ("rgb", "depth", "grip", "horizontal", "vertical", "mask", "instances")
    arrays = {name: np.stack([arrays[i] for arrays, _ in drawn]) for i, name in enumerate(names)}
    return RGBDScenes(**arrays, objects=tuple(things for _, things in drawn))


def _scene(
    generator: np.random.Generator,
    size: int,
    output_size: int,
    objects: tuple[int, int],
    shares: Sequence[float],
    noise: float,
) -> tuple[list[np.ndarray], tuple[SceneObject, ...]]:
    """The arrays of one scene, in the order of `RGBDScenes`, and what is in it."""
    count = int(generator.integers(objects[0], objects[1] + 1))
    names: list[Kind] = ["decoy", "camouflaged", "glossy", "plain"]
    kinds = [names[i] for i in np.searchsorted(np.cumsum(shares), generator.random(count), "right")]
    spots = int(generator.binomial(count, shares[2] / 2))
    things, blind = draw_things(generator, count, kinds, spots, HALF_VIEW)
    distance = float(generator.uniform(620, 740))
    tilt = generator.uniform(-TILT, TILT, 2) * np.sqrt(0.5)
    camera = camera_above(distance, tilt, HALF_VIEW / distance)
    view = _View(things, camera, size)
    rgb = photographed(generator, things, view.seen, camera)
    depth = sensed(generator, things, view.felt, camera, blind, noise)
    return [rgb, depth, *_labels(view if size == output_size else view.of(output_size))], things


@dataclass(frozen=True)
class _View:
    """What is seen and felt of a scene at some number of pixels."""

    things: Sequence[SceneObject]
    camera: Camera
    size: int

    def of(self, size: int) -> _View:
        return _View(self.things, self.camera, size)

    @functools.cached_property
    def seen(self) -> Hits:
        """In colour: decoys as if they stood there, nothing camouflaged."""
        return self._hits([thing.kind != "camouflaged" for thing in self.things])

    @functools.cached_property
    def felt(self) -> Hits:
        """In depth: no decoys."""
        return self._hits([thing.is_solid for thing in self.things])

    @functools.cached_property
    def _directions(self) -> np.ndarray:
        return self.camera.directions(self.size)

    @functools.cached_property
    def _entered(self) -> np.ndarray:
        return entries(self.things, self.camera, self._directions)

    def _hits(self, chosen: Sequence[bool]) -> Hits:
        return first_hits(self.things, chosen, self._entered, self.camera, self._directions)


def _labels(view: _View) -> list[np.ndarray]:
    grip, (horizontal, vertical, mask) = grip_maps(view.things, view.felt)
    felt, seen = view.felt.owner, view.seen.owner
    instances = np.where(felt == TABLE, seen, felt).astype("int8")
    return [grip.astype("int32"), horizontal, vertical, mask > 0, instances]


def _check_sizes(num: Any, size: Any, seed: Any, output_size: Any) -> None:
    limits = {"num": (num, 1), "size": (size, SMALLEST), "seed": (seed, 0)}
    limits["output_size"] = (output_size, 1)
    for name, (value, least) in limits.items():
        if not _is_whole(value) or value < least:
            raise InputError(
                f"`{name}` must be a whole number from {least} on. Received: {value!r}. "
                "Choose another."
            )


def _check_objects(objects: Any) -> None:
    fits = isinstance(objects, (tuple, list)) and len(objects) == 2 and all(map(_is_whole, objects))
    if not fits or not 1 <= objects[0] <= objects[1] <= MOST_OBJECTS:
        raise InputError(
            "`objects` must be the smallest and the largest number of objects, within 1 to "
            f"{MOST_OBJECTS}. Received: {objects!r}. Pass such as (2, 5)."
        )


def _shares(decoys: Any, camouflaged: Any, glossy: Any, noise: Any) -> list[float]:
    """The three shares, checked, and `noise` with them."""
    named = {"decoys": decoys, "camouflaged": camouflaged, "glossy": glossy, "noise": noise}
    for name, value in named.items():
        is_number = isinstance(value, (int, float, np.integer, np.floating))
        most = np.inf if name == "noise" else 1
        if not is_number or isinstance(value, bool) or not 0 <= value <= most or value == np.inf:
            reach = "from 0 on" if name == "noise" else "from 0 to 1"
            raise InputError(
                f"`{name}` must be a number {reach}. Received: {value!r}. Choose another."
            )
    shares = [float(decoys), float(camouflaged), float(glossy)]
    if sum(shares) > 1 + 1e-9:
        raise InputError(
            "`decoys`, `camouflaged` and `glossy` must sum to at most 1. Received: "
            f"{sum(shares):g}. Lower one of them."
        )
    return shares


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
