"""Where rays meet the table and what stands on it. Lengths in millimetres.

The table is the plane z = 0; x points to the right of the picture, y up, z towards the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasviz.samples.tabletop.things import SceneObject

TINY = 1e-9
LIFT = 0.5
TABLE = -1


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera that looks at the table's origin.

    Args:
        position: (3,) of the pinhole.
        axes: (3, 3), columns: the picture's right, its up, and the direction against the view.
        tangent: Half of the picture's side at distance 1.
    """

    position: np.ndarray
    axes: np.ndarray
    tangent: float

    def directions(self, size: int) -> np.ndarray:
        """(3, size, size) directions through the pixels' centres, of length 1 along the view.

        A point at `position + t · direction` has the depth t.
        """
        steps = (np.arange(size, dtype="float32") + 0.5) * (2 / size) - 1
        x, y = np.meshgrid(steps, -steps)
        local = np.stack([x * self.tangent, y * self.tangent, -np.ones_like(x)])
        return np.einsum("ij,jhw->ihw", self.axes.astype("float32"), local)


def camera_above(distance: float, tilt: Sequence[float], tangent: float) -> Camera:
    """A camera above the table's origin, tilted by two small angles in radians."""
    (a, b), (c, d) = np.cos(tilt), np.sin(tilt)
    about_x = np.array([[1, 0, 0], [0, a, -c], [0, c, a]])
    about_y = np.array([[b, 0, d], [0, 1, 0], [-d, 0, b]])
    axes = about_x @ about_y
    return Camera(distance * axes[:, 2], axes, tangent)


@dataclass(frozen=True, eq=False)
class Hits:
    """The first thing that each ray meets.

    Args:
        owner: (h, w) int: index of the thing, `TABLE` for the table.
        depth: (h, w) float32: distance along the view.
        points: (3, h, w).
        normals: (3, h, w), of length 1.
    """

    owner: np.ndarray
    depth: np.ndarray
    points: np.ndarray
    normals: np.ndarray


def entries(things: Sequence[SceneObject], camera: Camera, directions: np.ndarray) -> np.ndarray:
    """(things, h, w) depth at which each ray enters each thing, infinite where it misses it."""
    found = np.full((len(things), *directions.shape[1:]), np.inf, "float32")
    start = camera.position.astype("float32")[:, None, None]
    for index, thing in enumerate(things):
        near, far = _crossing(thing, start, directions)
        found[index] = np.where(near < far, near, np.inf)
    return found


def first_hits(
    things: Sequence[SceneObject],
    chosen: Sequence[bool],
    entered: np.ndarray,
    camera: Camera,
    directions: np.ndarray,
) -> Hits:
    """What each ray meets first among the chosen things and the table."""
    table = (-camera.position[2] / directions[2]).astype("float32")
    owner = np.full(table.shape, TABLE)
    depth = table.copy()
    for index, is_chosen in enumerate(chosen):
        if is_chosen:
            nearer = entered[index] < depth
            owner[nearer], depth[nearer] = index, entered[index][nearer]
    points = camera.position.astype("float32")[:, None, None] + depth * directions
    normals = np.zeros_like(points)
    normals[2] = 1.0
    for index, thing in enumerate(things):
        inside = np.flatnonzero(owner == index)
        places = local(thing, pixels(points)[:, inside])
        pixels(normals)[:, inside] = _normals(thing, places)
    return Hits(owner, depth, points, normals)


def is_hidden(
    things: Sequence[SceneObject], chosen: Sequence[bool], hits: Hits, source: np.ndarray
) -> np.ndarray:
    """(h, w) bool: whether a chosen thing stands between a point and a source of light.

    Args:
        things: All things.
        chosen: Which of them are in the way of light.
        hits: The points.
        source: (3,) position of the source.
    """
    start = hits.points + LIFT * hits.normals
    towards = source.astype("float32")[:, None, None] - start
    hidden = np.zeros(hits.owner.shape, bool)
    for thing, is_chosen in zip(things, chosen, strict=True):
        if is_chosen:
            near, far = _crossing(thing, start, towards)
            hidden |= (np.maximum(near, 0) < far) & (near < 1)
    return hidden


def local(thing: SceneObject, points: np.ndarray) -> np.ndarray:
    """Points (3, …) as the thing sees them: along its length, its width, and upwards."""
    x, y = points[0] - thing.center[0], points[1] - thing.center[1]
    found = np.empty_like(points)
    found[0], found[1] = _turned(thing, x, y)
    found[2] = points[2]
    return found


def pixels(picture: np.ndarray) -> np.ndarray:
    """A view (channels, h · w) of a picture (channels, h, w)."""
    return picture.reshape(len(picture), -1)


def _turned(thing: SceneObject, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cosine, sine = math.cos(thing.angle), math.sin(thing.angle)
    return cosine * x + sine * y, cosine * y - sine * x


def _crossing(
    thing: SceneObject, start: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each ray enters and leaves; it misses where it does not enter before it leaves."""
    length, width, height = thing.size
    x, y, z = local(thing, start)
    dx, dy = _turned(thing, directions[0], directions[1])
    dz = directions[2]
    if thing.shape == "cylinder":
        spans = [_through_disc(x, y, dx, dy, length / 2), _through_slab(z, dz, 0, height)]
    elif thing.shape == "rod":
        radius = height / 2
        spans = [
            _through_disc(y, z - radius, dy, dz, radius),
            _through_slab(x, dx, -length / 2, length / 2),
        ]
    else:
        spans = [
            _through_slab(x, dx, -length / 2, length / 2),
            _through_slab(y, dy, -width / 2, width / 2),
            _through_slab(z, dz, 0, height),
        ]
    near, far = spans[0]
    for entered, left in spans[1:]:
        near, far = np.maximum(near, entered), np.minimum(far, left)
    return near, far


def _through_slab(
    start: np.ndarray, direction: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    direction = np.where(np.abs(direction) < TINY, np.float32(TINY), direction)
    one, other = (low - start) / direction, (high - start) / direction
    return np.minimum(one, other), np.maximum(one, other)


def _through_disc(
    x: np.ndarray, y: np.ndarray, dx: np.ndarray, dy: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    square = np.maximum(dx * dx + dy * dy, np.float32(TINY))
    middle = -(x * dx + y * dy) / square
    inside = middle * middle - (x * x + y * y - radius * radius) / square
    half = np.sqrt(np.maximum(inside, 0))
    return np.where(inside > 0, middle - half, np.inf), np.where(inside > 0, middle + half, -np.inf)


def _normals(thing: SceneObject, places: np.ndarray) -> np.ndarray:
    """(3, n) normals at places (3, n) on the surface, given as the thing sees them."""
    length, width, height = thing.size
    u, v, z = places
    found = np.zeros_like(places)
    if thing.shape == "rod":
        is_end = np.abs(u) > length / 2 - 1e-2
        found[0] = np.where(is_end, np.sign(u), 0)
        found[1] = np.where(is_end, 0, v * 2 / height)
        found[2] = np.where(is_end, 0, z * 2 / height - 1)
    else:
        is_top = z > height - 1e-2
        if thing.shape == "cylinder":
            side_u, side_v = u * 2 / length, v * 2 / length
        else:
            along = np.abs(u) / length > np.abs(v) / width
            side_u, side_v = np.where(along, np.sign(u), 0), np.where(along, 0, np.sign(v))
        found[0], found[1] = np.where(is_top, 0, side_u), np.where(is_top, 0, side_v)
        found[2] = is_top
    cosine, sine = math.cos(thing.angle), math.sin(thing.angle)
    found[0], found[1] = (
        cosine * found[0] - sine * found[1],
        sine * found[0] + cosine * found[1],
    )
    return found
