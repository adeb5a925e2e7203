"""What a colour camera sees: patterns, a lamp with shadows, highlights, blur and noise."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np

from kerasviz.samples.tabletop.rays import Camera, Hits, is_hidden, local, pixels
from kerasviz.samples.tabletop.things import SceneObject

PIXEL_NOISE = 2.5
CONTRAST = 0.3
TABLES = ("plain", "wood", "cloth", "stone")
PATTERNS = ("plain", "plain", "stripes", "rings", "halves")


def photographed(
    generator: np.random.Generator,
    things: Sequence[SceneObject],
    hits: Hits,
    camera: Camera,
) -> np.ndarray:
    """The picture (h, w, 3), uint8, of what the rays hit, decoys as if they stood there."""
    seen = [thing.kind != "camouflaged" for thing in things]
    lamp = np.array([*generator.uniform(-450, 450, 2), generator.uniform(700, 1000)])
    bright, dark = generator.uniform((0.95, 0.35), (1.15, 0.5)).tolist()
    base = _table_color(generator)
    albedo = _table(generator, base, hits.points)
    for index, thing in enumerate(things):
        color, pattern = _color(generator, base), _pattern(generator)
        inside = np.flatnonzero(hits.owner == index)
        places = local(thing, pixels(hits.points)[:, inside])
        pixels(albedo)[:, inside] = _painted(color, pattern, thing, places)
    towards = lamp.astype("float32")[:, None, None] - hits.points
    towards /= np.linalg.norm(towards, axis=0)
    lit = np.clip(np.einsum("ihw,ihw->hw", towards, hits.normals), 0, 1)
    lit[is_hidden(things, seen, hits, lamp)] *= 0.25
    picture = albedo * (dark + (bright - dark) * lit)
    picture += _highlights(things, hits, camera, towards)
    picture = _blurred(picture) * 255
    picture += PIXEL_NOISE * generator.standard_normal(picture.shape, "float32")
    return np.moveaxis(np.clip(np.rint(picture), 0, 255).astype("uint8"), 0, -1)


def _table_color(generator: np.random.Generator) -> np.ndarray:
    hue, saturation, value = generator.uniform((0, 0.05, 0.45), (1, 0.45, 0.9))
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _color(generator: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """A colour that stands out from the table's."""
    choices = generator.uniform((0, 0.45, 0.3), (1, 0.95, 0.95), (8, 3))
    colors = np.array([colorsys.hsv_to_rgb(*choice) for choice in choices])
    distances = np.linalg.norm(colors - base, axis=1)
    far = np.flatnonzero(distances > CONTRAST)
    return colors[far[0] if len(far) else distances.argmax()]


def _table(generator: np.random.Generator, base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3, h, w) colours of the table at points of its plane."""
    kind = TABLES[generator.integers(len(TABLES))]
    angle, *phase = (np.pi * generator.uniform(0, (1, 2, 2, 2, 2))).tolist()
    x = math.cos(angle) * points[0] + math.sin(angle) * points[1]
    y = math.cos(angle) * points[1] - math.sin(angle) * points[0]
    wave = np.zeros(x.shape, "float32")
    if kind == "wood":
        bend = y + 9 * np.sin(x / 95 + phase[0]) + 4 * np.sin(x / 37 + phase[1])
        wave = 0.09 * np.sin(bend / 7 + phase[2]) + 0.05 * np.sin(bend / 2.9 + phase[3])
    elif kind == "cloth":
        wave = 0.07 * (np.sign(np.sin(x / 9 + phase[0])) + np.sign(np.sin(y / 9 + phase[1])))
    elif kind == "stone":
        wave = 0.06 * generator.standard_normal(x.shape, "float32")
    slope = 1 + 0.00025 * (math.cos(phase[0]) * points[0] + math.sin(phase[0]) * points[1])
    return base.astype("float32")[:, None, None] * (1 + wave) * slope


def _pattern(generator: np.random.Generator) -> tuple[str, float, float]:
    """Name, period in millimetres and strength of a pattern."""
    name = PATTERNS[generator.integers(len(PATTERNS))]
    return name, float(generator.uniform(12, 30)), float(generator.uniform(0.2, 0.6))


def _painted(
    color: np.ndarray,
    pattern: tuple[str, float, float],
    thing: SceneObject,
    places: np.ndarray,
) -> np.ndarray:
    """(3, n) colours of a thing at places (3, n) as the thing sees them."""
    name, period, strength = pattern
    u, v, _ = places
    wave = np.zeros_like(u)
    if name == "stripes":
        wave = np.sin(u * (2 * np.pi / period)) > 0
    elif name == "rings":
        wave = np.sin(np.hypot(u, v) * (2 * np.pi / period)) > 0
    elif name == "halves":
        wave = u > 0.1 * thing.size[0]
    return color.astype("float32")[:, None] * (1 - strength * wave)


def _highlights(
    things: Sequence[SceneObject], hits: Hits, camera: Camera, towards: np.ndarray
) -> np.ndarray:
    """(h, w) reflections of the lamp on glossy things (Blinn's half vector)."""
    found = np.zeros(hits.owner.shape, "float32")
    for index, thing in enumerate(things):
        if thing.kind == "glossy":
            inside = np.flatnonzero(hits.owner == index)
            view = camera.position.astype("float32")[:, None] - pixels(hits.points)[:, inside]
            half = pixels(towards)[:, inside] + view / np.linalg.norm(view, axis=0)
            half /= np.linalg.norm(half, axis=0)
            cosine = np.einsum("in,in->n", half, pixels(hits.normals)[:, inside])
            found.flat[inside] = 0.2 + 0.7 * np.clip(cosine, 0, 1) ** 24
    return found


def _blurred(picture: np.ndarray) -> np.ndarray:
    """A lens's blur: (1, 4, 1) / 6 along both axes."""
    wide = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (wide[:, :-2] + 4 * wide[:, 1:-1] + wide[:, 2:]) / 6
    return np.asarray((rows[..., :-2] + 4 * rows[..., 1:-1] + rows[..., 2:]) / 6)
