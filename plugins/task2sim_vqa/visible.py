"""What can be seen in a picture: objects with their words and places, from a scene graph and, if given, its pixels.

Read of a scene graph, as studio and threedworld make them:

* ``camera``: ``world_to_camera`` (4 x 4; x to the right, y down, z forward) and ``intrinsics`` (3 x 3, in pixels);
* of each of ``objects``: ``number`` (its value in the instance mask), ``category``, ``position``, ``size``,
  ``visible_box`` and ``box`` (left, top, right, bottom in pixels, or None), ``visibility`` (a share, or None where
  nobody counted) and ``parts``, each with ``material`` and, where the renderer knows them, ``colour_name`` and
  ``share``, which share of the surface it has (equal shares otherwise).

Facts that are not clear to a person are None: a colour between two, a cup half hidden. What depends on
one is not asked.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

UNSEEN_SHARE = 0.0003
"""Of the picture's pixels: whoever fills less is not seen by anybody, and does not count."""
CLEAR_SHARE = 0.002
"""Whoever fills less is too small to be told for sure."""
UNSEEN_VISIBILITY = 0.02

NAMED_SHARE = 0.006
"""Of the picture's pixels: whoever fills less has no colour that can be named; too many of its pixels are mixed."""
COLOUR_IS = 0.6
"""Share of an object's pixels that have its colour, at least."""
COLOUR_IS_NOT = 0.12
"""Share of them that a colour it does not have may fill."""

MADE_OF = 0.7
"""Share of an object's surface that a material has which it is said to be made of, at least."""
NOT_MADE_OF = 0.1

COLOURS = {
    "black": ((20, 20, 20), (40, 38, 36)),
    "grey": ((128, 128, 128), (80, 80, 82), (175, 175, 175)),
    "white": ((245, 245, 245), (222, 222, 218)),
    "red": ((200, 30, 35), (255, 0, 0), (125, 12, 18), (225, 80, 75)),
    "orange": ((235, 125, 30), (255, 160, 70), (205, 95, 20)),
    "yellow": ((240, 210, 45), (255, 255, 0), (250, 228, 140), (190, 165, 25)),
    "green": ((60, 150, 55), (0, 255, 0), (18, 75, 24), (150, 205, 130), (0, 125, 115), (95, 115, 40)),
    "blue": ((40, 90, 195), (0, 0, 255), (15, 25, 90), (135, 185, 240), (0, 225, 230), (85, 125, 165)),
    "purple": ((125, 60, 165), (70, 18, 100), (180, 130, 220)),
    "pink": ((240, 140, 180), (250, 200, 215), (255, 0, 255), (215, 75, 145)),
    "brown": ((110, 68, 38), (65, 38, 22), (160, 115, 75)),
}
"""The eleven basic colour terms of English (Berlin and Kay, "Basic color terms", 1969) in typical sRGB."""
COLOUR_NAMES = tuple(COLOURS)
WITHOUT_HUE = frozenset({"black", "grey", "white"})
HUE_IS_NOT, HUE_IS = 0.18, 0.28
"""Saturation in CIELAB, chroma over its length with lightness: up to the first nobody sees a hue, from the second on
all do. Between them a colour may be called grey or by its hue."""
DARK = 12.0
"""Lightness in CIELAB, of 100, up to which hues are not told apart."""

MATERIALS = {
    "plastic": "plastic",
    "ceramic": "ceramic",
    "wood": "wood",
    "marble": "stone",
    "granite": "stone",
    "stone": "stone",
    "brick": "brick",
    "fabric": "fabric",
    "knit": "fabric",
    "cotton": "fabric",
    "linen": "fabric",
    "leather": "leather",
    "metal": "metal",
    "steel": "metal",
    "iron": "metal",
    "rust": "metal",
    "glass": "glass",
}
"""What a person calls a material, by a word in its name; patterns and others have no name and are not asked for."""
MATERIAL_NAMES = tuple(dict.fromkeys(MATERIALS.values()))

ALIKE = (
    {"tree", "conifer", "palm", "potted plant", "cactus", "flower"},
    {"lamp", "street lamp"},
    {"ship", "sailing boat"},
    {"table", "desk", "bench"},
    {"chair", "stool", "bench", "sofa"},
    {"house", "church", "castle", "lighthouse", "skyscraper", "windmill"},
    {"bus", "truck", "car", "train"},
    {"jug", "kettle", "teapot", "vase"},
    {"mug", "jug", "bucket", "bowl"},
    {"bottle", "vase"},
    {"frying pan", "saucepan"},
    {"guitar", "violin"},
    {"ball", "orange", "apple", "tomato"},
    {"watermelon", "pumpkin", "ball"},
    {"screwdriver", "paintbrush", "toothbrush"},
    {"suitcase", "handbag", "backpack", "basket"},
    {"bookshelf", "wardrobe"},
    {"laptop", "keyboard"},
    {"barrel", "bucket", "drum"},
    {"bicycle", "motorcycle"},
    {"cat", "dog", "rabbit"},
    {"duck", "penguin"},
    {"hammer", "axe"},
    {"wine glass", "trophy"},
    {"doughnut", "bread"},
)
"""Categories that a person may take for one another; one is not counted while another of its set is seen."""


@functools.cache
def look_alikes(category: str) -> frozenset[str]:
    """Categories that may be taken for this one, itself not among them."""
    return frozenset().union(*(group for group in ALIKE if category in group)) - {category}


@attrs.frozen
class SeenObject:
    """An object of which something is seen.

    Attributes:
        number: Its value in the instance mask.
        category: Its category.
        visibility: Which share of it other objects leave to be seen; 0 if it is too small to be told for sure.
        colours: Shares of its pixels, or of its parts, by basic colour term; empty where colours can't be named.
        unsure_colours: Shares of its pixels that may be called so, or by another term.
        materials: Shares of its surface by word for the material; None stands for those without a word.
        size: Diameter of its bounding sphere, in metres.
        position: Its centre in the world, in metres.
        depth: Distance of its centre along the viewing direction, in metres.
        left: Of what is seen of it, as a share of the picture's width from the left; so are `right` and `middle`.
        right: See `left`.
        middle: Half way between them, or the mean column of its pixels.
        extent: The longer side of its visible box, as a share of the picture's width.
        cut: Whether the picture's edge cuts it off.
    """

    number: int
    category: str
    visibility: float
    colours: Mapping[str, float]
    unsure_colours: Mapping[str, float]
    materials: Mapping[str | None, float]
    size: float
    position: tuple[float, float, float]
    depth: float
    left: float
    right: float
    middle: float
    extent: float
    cut: bool

    @property
    def colour(self) -> str | None:
        """The basic colour term that fits it, or None if none does clearly."""
        return next((name for name, share in self.colours.items() if share >= COLOUR_IS), None)

    @property
    def material(self) -> str | None:
        """The word for what nearly all of it is made of, or None."""
        return next((name for name, share in self.materials.items() if share >= MADE_OF), None)

    def has_colour(self, colour: str) -> bool | None:
        """Whether a person would say that it has this colour; None if that is not clear."""
        share = self.colours.get(colour, 0.0)
        if share >= COLOUR_IS:
            return True
        known = self.colours or self.unsure_colours
        return False if known and share + self.unsure_colours.get(colour, 0.0) <= COLOUR_IS_NOT else None

    def is_made_of(self, material: str) -> bool | None:
        """Whether a person would say that it is made of this; None if that is not clear."""
        share = self.materials.get(material, 0.0)
        if share >= MADE_OF:
            return True
        return False if max(share, self.materials.get(None, 0.0)) <= NOT_MADE_OF else None


class Things(NamedTuple):
    """A description that objects may fit: any object, with what is not None.

    Attributes:
        category: A category, or None for any.
        colour: A basic colour term, or None.
        material: A word for a material, or None.
    """

    category: str | None = None
    colour: str | None = None
    material: str | None = None

    def within(self, other: Things) -> bool:
        """Whether whatever fits this description fits the other one too."""
        return all(theirs is None or ours == theirs for ours, theirs in zip(self, other, strict=True))

    def fit(self, item: SeenObject, visibility: float) -> bool | None:
        """Whether an object fits; None if that is not clear, because less of it is seen than `visibility`."""
        clear = item.visibility >= visibility
        if self.category is not None and item.category != self.category:
            if item.category not in look_alikes(self.category):
                return False
            clear = False
        if self.colour is not None and (has := item.has_colour(self.colour)) is not True:
            if has is False:
                return False
            clear = False
        if self.material is not None and (made := item.is_made_of(self.material)) is not True:
            if made is False:
                return False
            clear = False
        return True if clear else None


Found = tuple[list[SeenObject], list[SeenObject]]


class View:
    """What is seen in one picture, and who fits which description."""

    def __init__(self, objects: Sequence[SeenObject]) -> None:
        self.objects = tuple(objects)
        self._found: dict[tuple[Things, float], Found] = {}

    def find(self, things: Things, visibility: float) -> Found:
        """Objects that fit for sure, and objects of which it is not clear."""
        key = (things, visibility)
        if key not in self._found:
            fits = [(things.fit(item, visibility), item) for item in self.objects]
            self._found[key] = [item for fit, item in fits if fit], [item for fit, item in fits if fit is None]
        return self._found[key]

    def only(self, things: Things, visibility: float) -> SeenObject | None:
        """The one object that fits; None if there is none, are several or it is not clear."""
        sure, unsure = self.find(things, visibility)
        return sure[0] if len(sure) == 1 and not unsure else None


def look(
    graph: Mapping[str, Any], mask: NDArray[np.uint16] | None = None, rgb: NDArray[np.uint8] | None = None
) -> View:
    """Find out what is seen in a picture.

    Args:
        graph: The scene graph; see the module.
        mask: The instance mask, uint16 of shape (height, width); without it areas are taken from boxes.
        rgb: The picture, uint8 of shape (height, width, 3): colours are then what its pixels show, in the light
            that falls on them; else what the graph says of the parts.
    """
    camera = graph["camera"]
    intrinsics, pose = camera["intrinsics"], camera["world_to_camera"]
    if mask is not None:
        height, width = mask.shape
    else:
        width, height = 2.0 * intrinsics[0][2], 2.0 * intrinsics[1][2]
    objects = graph["objects"]
    areas = shares = unsure = columns = None
    if mask is not None:
        areas, columns, shares, unsure = _measure(mask, rgb, 1 + max((item["number"] for item in objects), default=0))
    seen = []
    for item in objects:
        box = item["visible_box"]
        if box is None:
            continue
        number = item["number"]
        left, top, right, bottom = box
        area = float(areas[number]) if areas is not None else 0.6 * (right - left) * (bottom - top)
        visibility = _visibility(item, width, height)
        if area < max(3.0, UNSEEN_SHARE * width * height) or visibility < UNSEEN_VISIBILITY:
            continue
        if area < CLEAR_SHARE * width * height:
            visibility = 0.0
        x, y, z = item["position"]
        row = pose[2]
        parts = item["parts"]
        materials = _shares((material_word(part["material"]), part) for part in parts)
        full = item["box"]
        # What shows through glass is not its own colour.
        no_colour = materials.get("glass", 0.0) > NOT_MADE_OF or area < NAMED_SHARE * width * height
        seen.append(
            SeenObject(
                number=number,
                category=item["category"],
                visibility=visibility,
                colours={} if no_colour else _colours(parts) if shares is None else _by_name(shares[number]),
                unsure_colours={} if no_colour or unsure is None else _by_name(unsure[number]),
                materials=materials or {None: 1.0},
                size=float(item["size"]),
                position=(float(x), float(y), float(z)),
                depth=row[0] * x + row[1] * y + row[2] * z + row[3],
                left=left / width,
                right=right / width,
                middle=float(columns[number]) / width if columns is not None else 0.5 * (left + right) / width,
                extent=max(right - left, bottom - top) / width,
                cut=full is None or full[0] < 0 or full[1] < 0 or full[2] > width or full[3] > height,
            )
        )
    return View(seen)


@functools.lru_cache(maxsize=4096)
def material_word(name: str | None) -> str | None:
    """What a person calls a material, by the words in its name; None if that is not clear."""
    found = {MATERIALS[part] for part in re.split(r"[^a-z]+", (name or "").lower()) if part in MATERIALS}
    return found.pop() if len(found) == 1 else None


def _visibility(item: Mapping[str, Any], width: float, height: float) -> float:
    if item["visibility"] is not None:
        return float(item["visibility"])
    # Nobody counted: how much of the box that it would fill is filled.
    left, top, right, bottom = item["visible_box"]
    if item["box"] is None:
        return 0.0
    full = item["box"]
    wide = min(full[2], width) - max(full[0], 0.0)
    high = min(full[3], height) - max(full[1], 0.0)
    return float(min(1.0, (right - left) * (bottom - top) / max(wide * high, 1.0)))


def _shares(named: Iterable[tuple[Any, Mapping[str, Any]]]) -> dict[Any, float]:
    """Shares of the surface by what parts are called."""
    found: dict[Any, float] = {}
    for name, part in named:
        found[name] = found.get(name, 0.0) + part.get("share", 1.0)
    total = sum(found.values())
    return {name: share / total for name, share in found.items()} if total > 0.0 else {}


def _colours(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    if any(part.get("colour_name") is None for part in parts):
        return {}
    return _shares((part["colour_name"], part) for part in parts)


def _by_name(shares: NDArray[np.float64]) -> Mapping[str, float]:
    return {name: share for name, share in zip(COLOUR_NAMES, shares.tolist(), strict=True) if share > 0.0}


def _measure(
    mask: NDArray[np.uint16], rgb: NDArray[np.uint8] | None, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """For each number of the mask: pixels, their mean column, and shares of colours, sure and unsure ones."""
    rows, columns = np.nonzero(mask)
    numbers = mask[rows, columns].astype(np.int64)
    count = max(count, int(numbers.max(initial=0)) + 1)
    areas = np.bincount(numbers, minlength=count)
    filled = np.maximum(areas, 1)
    means = np.bincount(numbers, weights=columns + 0.5, minlength=count) / filled
    if rgb is None:
        return areas, means, None, None
    binned = rgb[rows, columns] >> 3
    kinds = len(COLOUR_NAMES)

    def shares(table: NDArray[np.int64]) -> NDArray[np.float64]:
        terms = table[binned[:, 0], binned[:, 1], binned[:, 2]]
        found = np.bincount(numbers * (kinds + 1) + terms, minlength=count * (kinds + 1)).reshape(count, kinds + 1)
        named: NDArray[np.float64] = found[:, :kinds] / filled[:, None]
        return named

    sure, with_hue, without = _colour_tables()
    return areas, means, shares(sure), shares(with_hue) + shares(without)


@functools.cache
def _colour_tables() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What every sRGB colour in steps of eight is called: for sure; else, perhaps, by its hue; and perhaps without.

    Numbers of `COLOUR_NAMES`, of the nearest term in CIELAB; their count where there is none.
    """
    from skimage.color import rgb2lab

    steps = (np.arange(32) * 8 + 4) / 255.0
    grid = rgb2lab(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)).reshape(-1, 3)
    chroma = np.hypot(grid[:, 1], grid[:, 2])
    saturation = np.where(grid[:, 0] > DARK, chroma / np.maximum(np.hypot(chroma, grid[:, 0]), 1e-9), 0.0)

    def nearest(names: Iterable[str]) -> NDArray[np.int64]:
        shades = [(COLOUR_NAMES.index(name), shade) for name in names for shade in COLOURS[name]]
        named = rgb2lab(np.array([shade for _, shade in shades]) / 255.0)
        far = np.stack([np.sum((grid - shade) ** 2, axis=1) for shade in named], axis=1)
        terms = np.array([term for term, _ in shades], dtype=np.int64)
        return np.asarray(terms[far.argmin(axis=1)], dtype=np.int64)

    with_hue = nearest(name for name in COLOUR_NAMES if name not in WITHOUT_HUE)
    without = nearest(sorted(WITHOUT_HUE))
    none = len(COLOUR_NAMES)
    sure = np.where(saturation <= HUE_IS_NOT, without, np.where(saturation >= HUE_IS, with_hue, none))
    unsure = sure == none
    tables = (sure, np.where(unsure, with_hue, none), np.where(unsure, without, none))
    first, second, third = (table.reshape(32, 32, 32) for table in tables)
    return first, second, third


def distance(first: SeenObject, second: SeenObject) -> float:
    """Metres between the centres of two objects."""
    return math.dist(first.position, second.position)
