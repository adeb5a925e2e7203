"""What a depth sensor of structured light makes of the true depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasviz.samples.tabletop.rays import Camera, Hits, is_hidden
from kerasviz.samples.tabletop.things import SceneObject

# Focal length 580 px, baseline 75 mm, disparity in eighths of a pixel: Kinect's.
BASELINE = 75.0
DISPARITY = 580.0 * BASELINE * 8
EDGE = 12.0
EDGE_LOSS = 0.4
DROPOUT = 0.003


def sensed(
    generator: np.random.Generator,
    things: Sequence[SceneObject],
    hits: Hits,
    camera: Camera,
    blind: Sequence[tuple[float, float, float]],
    noise: float,
) -> np.ndarray:
    """The depth (h, w) in millimetres as a sensor gives it, 0 where it gives none.

    Args:
        generator: Where the random numbers come from.
        things: All things.
        hits: What the sensor's rays meet; no decoys.
        camera: Where it is; its projector is 75 mm to the right.
        blind: (x, y, radius) of circles on the table in which it sees nothing.
        noise: Factor of the noise; 0 leaves the exact depth and the blind circles.
    """
    depth = hits.depth.copy()
    ragged = generator.uniform(0, 2 * np.pi, (len(blind), 2))
    if noise > 0:
        millimetres = noise * axial_noise(depth)
        depth = depth + millimetres * generator.standard_normal(depth.shape, "float32")
        depth = DISPARITY / np.maximum(np.rint(DISPARITY / depth), 1)
        depth[_lost(generator, things, hits, camera)] = 0
    for (x, y, radius), phases in zip(blind, ragged, strict=True):
        depth[_in_blob(hits.points, x, y, radius, phases)] = 0
    return depth.astype("float32")


def axial_noise(depth: np.ndarray) -> np.ndarray:
    """Standard deviation of a Kinect's depth in millimetres (Nguyen et al. 2012, equation 3)."""
    return np.asarray(1.2 + 1.9 * (depth / 1000 - 0.4) ** 2, "float32")


def _lost(
    generator: np.random.Generator,
    things: Sequence[SceneObject],
    hits: Hits,
    camera: Camera,
) -> np.ndarray:
    """Where the projector's light does not come, edges that mix two depths, and single pixels."""
    solid = [thing.is_solid for thing in things]
    projector = camera.position + BASELINE * camera.axes[:, 0]
    chance = generator.random(hits.depth.shape, "float32")
    edges = (_step(hits.depth) > EDGE) & (chance < EDGE_LOSS)
    return is_hidden(things, solid, hits, projector) | edges | (chance > 1 - DROPOUT)


def _step(depth: np.ndarray) -> np.ndarray:
    """Largest difference to a neighbour in the row or in the column."""
    rows, columns = np.abs(np.diff(depth, axis=0)), np.abs(np.diff(depth, axis=1))
    found = np.zeros_like(depth)
    for part, steps in ((found[1:], rows), (found[:-1], rows)):
        np.maximum(part, steps, out=part)
    for part, steps in ((found[:, 1:], columns), (found[:, :-1], columns)):
        np.maximum(part, steps, out=part)
    return found


def _in_blob(
    points: np.ndarray, x: float, y: float, radius: float, phases: np.ndarray
) -> np.ndarray:
    """Inside a circle with a ragged rim."""
    across, up = points[0] - x, points[1] - y
    angle = np.arctan2(up, across)
    rim = 1 + 0.06 * np.sin(3 * angle + phases[0]) + 0.05 * np.sin(7 * angle + phases[1])
    return np.asarray(np.hypot(across, up) < radius * rim)
