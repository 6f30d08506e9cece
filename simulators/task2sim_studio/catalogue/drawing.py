"""What the makers of objects share: random choices, finishes, and the assembly of pieces to a mesh.

A maker is a generator function registered with `category`. It draws what varies, then yields its pieces. It works in
whatever unit suits the object; the front faces -y and z is up.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias, TypeVar

import attrs
import numpy as np

from task2sim import Material
from task2sim_studio.forms import Floats, Form, join, normals
from task2sim_studio.mesh import Mesh, Part

Colour: TypeAlias = tuple[float, float, float]
Choice = TypeVar("Choice")

WOODS = ("#a9743f", "#8a5a2b", "#c89b6a", "#6b4226", "#d9b98c", "#5a3825")
METALS = ("#c8ccd0", "#b5b8bd", "#9ba1a8", "#d6d2c8")
BRASS = ("#d4a63a", "#c8963c", "#e0b84f")
DARKS = ("#1c1c1f", "#2a2a2e", "#26221f", "#20262e")
PALES = ("#f2efe8", "#e8e4da", "#ffffff", "#e9eef2", "#f5ead6")
GREENS = ("#3f7d2c", "#5a9a3a", "#2f6b32", "#6fa544", "#4b7f3f")
BRIGHTS = (
    "#d0342c",
    "#e8722a",
    "#f2b632",
    "#4f9d4a",
    "#2a9d9a",
    "#2f6fc4",
    "#274690",
    "#7d4ab0",
    "#d95c9a",
    "#f0ede4",
    "#8fc1e3",
    "#7a4b32",
    "#9bc25a",
    "#3a3f47",
)
"""Colours a thing may have when nothing speaks against any."""


@attrs.frozen
class Finish:
    """What a piece's surface looks like."""

    material: Material
    colour: Colour


Piece: TypeAlias = tuple[str, Form, Finish]
"""A part's name, its form and its finish; pieces with the same name are one part."""
Pieces: TypeAlias = Iterator[Piece]


class Draw:
    """Random choices for one object."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def __call__(self, low: float, high: float) -> float:
        """A number between two."""
        return float(self._generator.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A whole number between two, both included."""
        return int(self._generator.integers(low, high + 1))

    def chance(self, probability: float = 0.5) -> bool:
        """Yes, with a probability."""
        return bool(self._generator.random() < probability)

    def pick(self, *options: Choice) -> Choice:
        """One of the options."""
        return options[int(self._generator.integers(len(options)))]

    def many(self, count: int, low: float, high: float) -> Floats:
        """Numbers between two: float64 array of shape (count,)."""
        return self._generator.uniform(low, high, count)

    def directions(self, count: int, lowest: float = -1.0) -> Floats:
        """Unit vectors spread over the sphere where z >= lowest, evenly but not regularly, of shape (count, 3)."""
        # Fibonacci's lattice, shaken.
        k = np.arange(count)
        z = lowest + (1 - lowest) * (k + self.many(count, 0.2, 0.8)) / count
        turn = 2.399963 * k + self(0, 7) + self.many(count, -0.3, 0.3)
        out = np.sqrt(np.maximum(0, 1 - z**2))
        return np.stack([out * np.cos(turn), out * np.sin(turn), z], axis=1)

    def lumps(self, form: Form, height: float, waves: float = 3.0) -> Form:
        """Swell and dent a form about the origin: by up to `height`, as a fraction of the distance."""
        directions = self._generator.normal(0, waves, (5, 3))
        phases = self.many(5, 0, 2 * np.pi)
        size = max(float(np.abs(form.vertices).max()), 1e-9)
        return form.deform(
            lambda v: v * (1 + height * np.sin(v / size @ directions.T + phases).mean(axis=1))[:, None]
        )

    def colour(self, *hexes: str, spread: float = 1.0) -> Colour:
        """One of some sRGB colours, or nearly: linear RGB."""
        code = self.pick(*hexes).lstrip("#")
        hue, saturation, value = colorsys.rgb_to_hsv(*(int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)))
        hue += spread * self(-0.02, 0.02)
        saturation = min(1.0, saturation * (1 + spread * self(-0.15, 0.15)))
        value = min(1.0, value * (1 + spread * self(-0.15, 0.12)))
        return tuple(linear(c) for c in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))  # type: ignore[return-value]

    def finish(self, material: str, *hexes: str) -> Finish:
        """A material in about one of some sRGB colours (any bright one unless given)."""
        return Finish(Material(material, self.whole(0, 2**31 - 1)), self.colour(*(hexes or BRIGHTS)))

    def wood(self, *hexes: str) -> Finish:
        """Wood, natural unless colours are given."""
        return self.finish("wood", *(hexes or WOODS))

    def metal(self, *hexes: str) -> Finish:
        """Metal, of a steel's colour unless colours are given."""
        return self.finish("metal", *(hexes or METALS))

    def plastic(self, *hexes: str) -> Finish:
        """Plastic or paint."""
        return self.finish("plastic", *hexes)

    def ceramic(self, *hexes: str) -> Finish:
        """Glazed ceramic."""
        return self.finish("ceramic", *hexes)

    def natural(self, *hexes: str) -> Finish:
        """Skins, crusts, hides and flesh: nearly one colour, mottled at most."""
        return self.finish(self.pick("plastic", "leather"), *hexes)

    def leather(self, *hexes: str) -> Finish:
        """Leather, brown or black unless colours are given."""
        return self.finish("leather", *(hexes or ("#6b4226", "#3a2a20", "#8a5a35", "#241f1d", "#7a2f26")))

    def cloth(self, *hexes: str) -> Finish:
        """Cloth: plain mostly, sometimes with a pattern."""
        return self.finish(self.pick("fabric", "fabric", "fabric", "knit", "stripes", "checker"), *hexes)

    def green(self, *hexes: str) -> Finish:
        """Leaves."""
        return self.finish("foliage", *(hexes or GREENS))

    def dark(self) -> Finish:
        """Black plastic or rubber."""
        return self.finish("plastic", *DARKS)


Maker: TypeAlias = Callable[[Draw], Pieces]

MAKERS: dict[str, Maker] = {}
"""All makers by the name of their category."""


def category(name: str, looks: Literal["-x", "-y"] = "-y") -> Callable[[Maker], Maker]:
    """Register a maker under the name of its category.

    Args:
        name: The category.
        looks: Where the front of what the maker builds faces; things that look to -x are turned to -y.
    """

    def register(maker: Maker) -> Maker:
        if name in MAKERS:
            raise ValueError(f"two makers make {name!r}")
        MAKERS[name] = maker if looks == "-y" else lambda draw: _turned(maker(draw))
        return maker

    return register


def _turned(pieces: Pieces) -> Pieces:
    for name, form, finish in pieces:
        yield name, form.turn("z", 90), finish


def assemble(pieces: Iterator[Piece]) -> Mesh:
    """Join pieces to a mesh whose bounding sphere has diameter 1."""
    forms: dict[str, list[Form]] = {}
    finishes: dict[str, Finish] = {}
    for name, form, finish in pieces:
        forms.setdefault(name, []).append(form)
        finishes.setdefault(name, finish)
    parts = {name: join(some) for name, some in forms.items()}
    whole = join(list(parts.values()))
    centre = (whole.vertices.min(axis=0) + whole.vertices.max(axis=0)) / 2
    vertices = whole.vertices - centre
    scale = 0.5 / np.sqrt((vertices**2).sum(axis=1).max())
    return Mesh(
        vertices=vertices * scale,
        normals=normals(whole),
        uvs=whole.uvs * scale,
        triangles=whole.triangles,
        part_of_triangle=np.repeat(np.arange(len(parts)), [len(form.triangles) for form in parts.values()]),
        parts=[Part(name, finishes[name].material, finishes[name].colour) for name in parts],
    )


def linear(value: float) -> float:
    """Turn an sRGB value in [0, 1] into a linear one (IEC 61966-2-1)."""
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
