"""What stands on the table, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Shape: TypeAlias = Literal["box", "cylinder", "rod"]
Kind: TypeAlias = Literal["plain", "decoy", "camouflaged", "glossy"]

SHAPES: tuple[Shape, ...] = ("box", "cylinder", "rod")
GAP = 14.0
FREE = 0.93
CANDIDATES = 24
LAYOUTS = 100


@dataclass(frozen=True)
class SceneObject:
    """A thing on the table, or the picture of one.

    Args:
        shape: "box", "cylinder" (upright) or "rod" (a lying cylinder).
        kind: "plain" (in colour and in depth), "decoy" (a flat print: in colour only),
            "camouflaged" (in the table's own pattern: in depth only) or "glossy" (in colour; the
            depth sensor sees a hole around it).
        center: (x, y) on the table in millimetres: x to the right, y up in the picture, from the
            point that the camera looks at.
        size: (length, width, height) in millimetres; width is at most length.
        angle: Direction of the length in [0, π), from the picture's horizontal, counter-clockwise.
    """

    shape: Shape
    kind: Kind
    center: tuple[float, float]
    size: tuple[float, float, float]
    angle: float

    @property
    def is_solid(self) -> bool:
        """Whether it has a height: all but decoys."""
        return self.kind != "decoy"

    @property
    def grip_angle(self) -> float | None:
        """Direction in [0, π) in which the fingers of a gripper close: across the length.

        None for upright cylinders, which can be gripped in any direction, and for decoys.
        """
        if self.shape == "cylinder" or not self.is_solid:
            return None
        return (self.angle + np.pi / 2) % np.pi

    @property
    def reach(self) -> float:
        """Radius of the circle around it on the table, in millimetres."""
        length, width, _ = self.size
        return length / 2 if self.shape == "cylinder" else float(np.hypot(length, width)) / 2


def draw_things(
    generator: np.random.Generator, count: int, kinds: list[Kind], spots: int, half: float
) -> tuple[tuple[SceneObject, ...], list[tuple[float, float, float]]]:
    """Things side by side on a table, and the circles in which the sensor sees nothing.

    Args:
        generator: Where the random numbers come from.
        count: How many things.
        kinds: Kind of each.
        spots: Circles without depth where nothing stands.
        half: Half of the visible side of the table, in millimetres.

    Returns:
        The things, and (x, y, radius) of each circle, those around glossy things included.
    """
    sizes = [_draw_size(generator) for _ in range(count)]
    radii = [_reach(shape, size) for shape, size in sizes]
    radii += [float(generator.uniform(25, 55)) for _ in range(spots)]
    is_glossy = [kind == "glossy" for kind in kinds]
    holes = [1.15 * r if i >= count or is_glossy[i] else r for i, r in enumerate(radii)]
    places = _places(generator, holes, half)
    angles = generator.uniform(0, np.pi, count)
    things = tuple(
        SceneObject(shape, kind, place, size, float(angle))
        for (shape, size), kind, place, angle in zip(
            sizes, kinds, places[:count], angles, strict=True
        )
    )
    blind = [
        (*place, hole)
        for index, (place, hole) in enumerate(zip(places, holes, strict=True))
        if index >= count or is_glossy[index]
    ]
    return things, blind


def _draw_size(generator: np.random.Generator) -> tuple[Shape, tuple[float, float, float]]:
    shape = SHAPES[generator.integers(len(SHAPES))]
    if shape == "box":
        length = generator.uniform(60, 130)
        width = generator.uniform(25, min(65.0, 0.7 * length))
        return shape, (float(length), float(width), float(generator.uniform(25, 110)))
    across = generator.uniform(40, 70) if shape == "cylinder" else generator.uniform(18, 42)
    long = generator.uniform(40, 110) if shape == "cylinder" else generator.uniform(80, 160)
    across, long = float(across), float(long)
    return shape, (across, across, long) if shape == "cylinder" else (long, across, across)


def _reach(shape: Shape, size: tuple[float, float, float]) -> float:
    return SceneObject(shape, "plain", (0.0, 0.0), size, 0.0).reach


def _places(
    generator: np.random.Generator, radii: list[float], half: float
) -> list[tuple[float, float]]:
    """The first layout in which nothing touches, else the one with the widest narrowest gap."""
    best: tuple[float, list[tuple[float, float]]] = (-np.inf, [])
    for _ in range(LAYOUTS):
        found = _layout(generator, radii, half)
        if found[0] > best[0]:
            best = found
        if best[0] >= GAP:
            break
    return best[1]


def _layout(
    generator: np.random.Generator, radii: list[float], half: float
) -> tuple[float, list[tuple[float, float]]]:
    """Each where it has room, the largest first; the narrowest gap, and the places."""
    order = np.argsort(radii)[::-1]
    places = np.zeros((len(radii), 2))
    narrowest = np.inf
    done: list[int] = []
    for index in order:
        room = max(FREE * half - radii[index], 1.0)
        candidates = generator.uniform(-room, room, (CANDIDATES, 2))
        gaps = np.full(CANDIDATES, np.inf)
        for other in done:
            distance = np.hypot(*(candidates - places[other]).T)
            gaps = np.minimum(gaps, distance - radii[other] - radii[index])
        fits = np.flatnonzero(gaps >= GAP)
        chosen = fits[0] if len(fits) else int(gaps.argmax())
        places[index] = candidates[chosen]
        narrowest = min(narrowest, float(gaps[chosen]))
        done.append(int(index))
    return narrowest, [(float(x), float(y)) for x, y in places]
