"""What rays meet, found by walking along them in small steps."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_inside(thing: Any, points: np.ndarray) -> np.ndarray:
    """Which points (3, …) are inside a box, an upright cylinder or a lying one."""
    length, width, height = thing.size
    x, y, z = points[0] - thing.center[0], points[1] - thing.center[1], points[2]
    u = x * np.cos(thing.angle) + y * np.sin(thing.angle)
    v = y * np.cos(thing.angle) - x * np.sin(thing.angle)
    if thing.shape == "cylinder":
        return (u * u + v * v < (length / 2) ** 2) & (z > 0) & (z < height)
    if thing.shape == "rod":
        radius = height / 2
        return (v * v + (z - radius) ** 2 < radius**2) & (abs(u) < length / 2)
    return (abs(u) < length / 2) & (abs(v) < width / 2) & (z > 0) & (z < height)


def march(
    things: Any, start: np.ndarray, directions: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first thing that each ray meets, and where; (-1, inf) for none.

    `start` and `directions` are (3, …), or broadcast to that.
    """
    shape = np.broadcast_shapes(start.shape, directions.shape)[1:]
    owner, depth = np.full(shape, -1), np.full(shape, np.inf)
    for step in steps:
        points = start + step * directions
        for index, thing in enumerate(things):
            new = (owner == -1) & is_inside(thing, points)
            owner[new], depth[new] = index, step
    return owner, depth
