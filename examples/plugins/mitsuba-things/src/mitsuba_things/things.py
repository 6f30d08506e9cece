"""What there is to see: a category is a function that builds a thing of balls, boxes and rods.

Every instance has other proportions and colours. Things face -y and stand along z; their size does not matter.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from task2sim import Material, spawn_generator

Floats = NDArray[np.float64]
Numbers: TypeAlias = tuple[float, float, float]


class Ball(NamedTuple):
    """A sphere."""

    centre: Numbers
    radius: float


class Box(NamedTuple):
    """A box along the axes, by its centre and the lengths of its sides."""

    centre: Numbers
    sides: Numbers


class Rod(NamedTuple):
    """A closed cylinder between two points."""

    start: Numbers
    end: Numbers
    radius: float


Part: TypeAlias = Ball | Box | Rod
Draw: TypeAlias = Callable[[float, float], float]
"""Draws a number between two bounds."""


def legs(x: float, y: float, height: float, thickness: float) -> Iterator[Part]:
    """Four legs below z = 0."""
    for side, end in itertools.product((-1, 1), repeat=2):
        yield Box((side * x, end * y, -height / 2), (thickness, thickness, height))


def table(draw: Draw) -> Iterator[Part]:
    x, y, thick = draw(0.4, 0.8), draw(0.3, 0.5), draw(0.04, 0.1)
    yield Box((0, 0, thick / 2), (2 * x, 2 * y, thick))
    yield from legs(x - 0.08, y - 0.08, draw(0.4, 0.9), draw(0.06, 0.14))


def chair(draw: Draw) -> Iterator[Part]:
    side, thick, back = draw(0.22, 0.3), draw(0.04, 0.1), draw(0.4, 0.7)
    yield Box((0, 0, thick / 2), (2 * side, 2 * side, thick))
    yield Box((0, side - thick / 2, thick + back / 2), (2 * side, thick, back))
    yield from legs(side - 0.04, side - 0.04, draw(0.35, 0.5), draw(0.05, 0.09))


def lamp(draw: Draw) -> Iterator[Part]:
    height, foot = draw(0.8, 1.3), draw(0.2, 0.35)
    yield Rod((0, 0, 0), (0, 0, 0.06), foot)
    yield Rod((0, 0, 0.06), (0, 0, height), draw(0.02, 0.05))
    yield Ball((0, 0, height), draw(0.15, 0.3))


def snowman(draw: Draw) -> Iterator[Part]:
    large, middle, small = draw(0.4, 0.5), draw(0.27, 0.35), draw(0.17, 0.24)
    head = 0.85 * (large + 2 * middle + small)
    yield Ball((0, 0, 0), large)
    yield Ball((0, 0, 0.85 * (large + middle)), middle)
    yield Ball((0, 0, head), small)
    yield Rod((0, 0, head), (0, -small - draw(0.1, 0.25), head), 0.04)


def dumbbell(draw: Draw) -> Iterator[Part]:
    half, radius = draw(0.3, 0.6), draw(0.15, 0.3)
    yield Rod((-half, 0, 0), (half, 0, 0), draw(0.04, 0.1))
    yield Ball((-half, 0, 0), radius)
    yield Ball((half, 0, 0), radius)


def hammer(draw: Draw) -> Iterator[Part]:
    length, head = draw(0.8, 1.2), draw(0.4, 0.6)
    yield Rod((0, 0, -length), (0, 0, 0), draw(0.04, 0.07))
    yield Box((draw(-0.08, 0.08), 0, 0), (head, draw(0.14, 0.22), draw(0.16, 0.24)))


def car(draw: Draw) -> Iterator[Part]:
    length, width, height, wheel = draw(1.2, 1.8), draw(0.55, 0.75), draw(0.2, 0.35), draw(0.13, 0.2)
    yield Box((0, 0, 0), (width, length, height))
    yield Box((0, draw(0.0, 0.2), 0.9 * height), (0.85 * width, draw(0.4, 0.6) * length, 0.9 * height))
    for side, end in itertools.product((-1, 1), repeat=2):
        x, y, z = side * width / 2, 0.3 * end * length, -height / 2
        yield Rod((x - 0.05, y, z), (x + 0.05, y, z), wheel)


def tree(draw: Draw) -> Iterator[Part]:
    height = draw(0.5, 1.0)
    yield Rod((0, 0, 0), (0, 0, height), draw(0.05, 0.1))
    for _ in range(int(draw(2, 6))):
        yield Ball((draw(-0.25, 0.25), draw(-0.25, 0.25), height + draw(0.0, 0.4)), draw(0.18, 0.32))


def tower(draw: Draw) -> Iterator[Part]:
    z, side = 0.0, draw(0.4, 0.6)
    for _ in range(int(draw(4, 8))):
        height = draw(0.12, 0.3)
        yield Box((0, 0, z + height / 2), (side, side, height))
        z, side = z + height, side * draw(0.7, 0.95)


BUILDERS: dict[str, Callable[[Draw], Iterator[Part]]] = {
    build.__name__: build for build in (table, chair, lamp, snowman, dumbbell, hammer, car, tree, tower)
}


class Thing(NamedTuple):
    """An instance of a category: parts and their own materials, the bounding sphere's centre and radius."""

    parts: tuple[Part, ...]
    materials: tuple[Material, ...]
    centre: Floats
    radius: float


@functools.lru_cache(maxsize=1024)
def thing(category: str, instance: int) -> Thing:
    """Build an instance; the same numbers give the same thing."""
    generator = spawn_generator(instance, "mitsuba-things", category)
    parts = tuple(BUILDERS[category](lambda low, high: float(generator.uniform(low, high))))
    seeds = generator.integers(2**31, size=len(parts))
    points, margins = zip(*(extent for part in parts for extent in _extents(part)), strict=True)
    corners, radii = np.array(points), np.array(margins)[:, None]
    centre = 0.5 * ((corners - radii).min(axis=0) + (corners + radii).max(axis=0))
    radius = float((np.linalg.norm(corners - centre, axis=1) + radii[:, 0]).max())
    return Thing(parts, tuple(Material("paint", int(seed)) for seed in seeds), centre, radius)


def _extents(part: Part) -> Iterator[tuple[Floats, float]]:
    """Spheres about the part: centres and radii."""
    match part:
        case Ball(centre, radius):
            yield np.array(centre), radius
        case Box(centre, sides):
            for signs in itertools.product((-0.5, 0.5), repeat=3):
                yield np.array(centre) + np.array(signs) * sides, 0.0
        case Rod(start, end, radius):
            yield np.array(start), radius
            yield np.array(end), radius
