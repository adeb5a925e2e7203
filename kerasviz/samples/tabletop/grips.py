"""Where a gripper with two fingers takes hold from above, and in which direction it closes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasviz.samples.tabletop.rays import Hits, local, pixels
from kerasviz.samples.tabletop.things import SceneObject

ALONG = 0.5
ACROSS = 0.6


def grip_maps(things: Sequence[SceneObject], hits: Hits) -> tuple[np.ndarray, np.ndarray]:
    """Where to grip, and how.

    Args:
        things: All things.
        hits: What rays meet; no decoys.

    Returns:
        (h, w) bool: the middle half of a thing's length, the middle 60 % of its width, on top; and
        (3, h, w) float32: cosine and sine of twice the angle in which the fingers close, and 1
        where there is such an angle; 0 elsewhere.
    """
    grip = np.zeros(hits.owner.shape, bool)
    angles = np.zeros((3, *hits.owner.shape), "float32")
    for index, thing in enumerate(things):
        inside = np.flatnonzero(hits.owner == index)
        held = inside[_is_held(thing, local(thing, pixels(hits.points)[:, inside]))]
        grip.flat[held] = True
        if thing.grip_angle is not None:
            twice = 2 * thing.grip_angle
            pixels(angles)[:, held] = np.array([[np.cos(twice)], [np.sin(twice)], [1.0]])
    return grip, angles


def _is_held(thing: SceneObject, places: np.ndarray) -> np.ndarray:
    length, width, height = thing.size
    u, v, z = places
    if thing.shape == "cylinder":
        return np.asarray((np.hypot(u, v) < ACROSS * length / 2) & (z > 0.99 * height))
    is_upper = z > (0.5 if thing.shape == "rod" else 0.99) * height
    near_middle = (np.abs(u) < ALONG * length / 2) & (np.abs(v) < ACROSS * width / 2)
    return np.asarray(near_middle & is_upper)
