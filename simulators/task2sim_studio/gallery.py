"""Contact sheets of everything the studio can draw."""

from __future__ import annotations

import math
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import (
    Background,
    ConfigError,
    Floor,
    Material,
    Scene,
    SceneSimulator,
    Sky,
    Staging,
    StoreError,
    report_progress,
    spawn_seed,
)
from task2sim.randomisation import randomise

if TYPE_CHECKING:
    from PIL.Image import Image

STAGING = Staging()
INSTANCES = 3
"""Objects shown of each category, where it has as many."""
SEEDS = 4
"""Variants shown of each material."""
DIRECTIONS = 3
"""Ways of looking into each of the surroundings."""
VARIATIONS = 6
"""Images shown of each parameter."""
MOST_STRIPS = 160
"""Of a page; what is left over goes to further ones."""

MODEL = "vase"
"""Wears the materials and stands in the surroundings, if it is among the categories."""
PALE = Material("marble", 8)
"""Worn in the surroundings: it takes their colours."""
BACKDROP = "studio-grey"
"""Behind the categories, if it is among the backgrounds."""
ON_FLOOR = ("shadow_softness",)
"""Parameters that show little in the air: both rows have a floor."""
SUN_BESIDE = math.radians(-75.0)
"""From the camera's line of sight to a sky's sun: to the right, out of the picture."""

PAPER = (236, 235, 232)
INK = (56, 56, 58)
PALE_INK = (128, 127, 124)
LABEL_LENGTH = 24
"""Letters of a label, and of a line of a note; longer labels are cut."""


@attrs.frozen
class Strip:
    """Pictures that share a label.

    Attributes:
        label: What they show.
        rows: One or more rows of scenes.
        note: A sentence about them, for labels beside.
    """

    label: str
    rows: tuple[tuple[Scene, ...], ...]
    note: str = ""


@attrs.frozen
class Sheet:
    """A page of strips.

    Attributes:
        name: Of its file, without the suffix.
        columns: How many strips stand side by side.
        strips: In reading order.
        beside: Whether labels stand to the left of the pictures rather than beneath.
    """

    name: str
    columns: int
    strips: tuple[Strip, ...]
    beside: bool = False


def sheets(studio: SceneSimulator, seed: int) -> list[Sheet]:
    """What a gallery shows of a simulator: everything it offers, by name.

    Args:
        studio: Its assets and parameters count; nothing is rendered.
        seed: Of all the scenes, in [0, 2**63).
    """
    assets, space = studio.assets, studio.parameter_space
    kinds = len(assets.categories)
    backdrop = Background(BACKDROP if BACKDROP in assets.backgrounds else assets.backgrounds[0])

    def scene(number: int, **values: Any) -> Scene:
        return randomise(space.setting(values), assets, number, seed)

    def category(label: int, name: str) -> Strip:
        plain = attrs.evolve(scene(label), background=backdrop)
        count = min(INSTANCES, assets.instances[name])
        return Strip(name, (tuple(_dressed(plain, instance=instance) for instance in range(count)),))

    model = _dressed(scene(assets.categories.index(MODEL) if MODEL in assets.instances else 0), instance=0)
    near = _seen_from(model, elevation=20.0, nearness=0.8)
    level = _seen_from(_dressed(model, materials=(PALE,)), elevation=6.0, nearness=1.0)

    def material(name: str) -> Strip:
        seeds = [spawn_seed(seed, "gallery", f"{name} {number}") % 2**31 for number in range(SEEDS)]
        return Strip(name, (tuple(_dressed(near, materials=(Material(name, each),)) for each in seeds),))

    def surroundings(name: str) -> Strip:
        turns = [2.0 * math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
        return Strip(name, (tuple(attrs.evolve(level, background=_turned(name, turn)) for turn in turns),))

    # Every so many images, so that categories from the whole alphabet are seen.
    numbers = [max(1, kinds // VARIATIONS) * number for number in range(VARIATIONS)]

    def parameter(name: str, values: tuple[object, object], description: str) -> Strip:
        rows = [[scene(number, **{name: value}) for number in numbers] for value in values]
        if name in ON_FLOOR:
            rows = [[attrs.evolve(each, floor=Floor(PALE)) for each in row] for row in rows]
            description += "; here on a floor"
        return Strip(name, tuple(map(tuple, rows)), description)

    made = [
        *_paged("categories", 6, [category(label, name) for label, name in enumerate(assets.categories)]),
        *_paged("materials", 4, [material(name) for name in assets.materials]),
        *_paged("surroundings", 5, [surroundings(name) for name in assets.backgrounds]),
    ]
    if assets.skies:
        strips = [
            Strip(f"{ground} {sky.elevation:g}°", ((_under(sky, level),),))
            for ground, skies in assets.skies.items()
            for sky in skies
        ]
        made += _paged("skies", max(map(len, assets.skies.values())), strips)
    parameters = [parameter(each.name, (each.default, each.varied), each.description) for each in space]
    return made + _paged("parameters", 2, parameters, beside=True)


def write_gallery(studio: SceneSimulator, folder: Path, seed: int) -> Iterator[Path]:
    """Render the sheets and write each as a PNG.

    Args:
        studio: Who renders.
        folder: Where; made if it is missing. Sheets of the same names are replaced.
        seed: Of all the scenes, in [0, 2**63).

    Yields:
        The path of each sheet when it is there.

    Raises:
        ConfigError: `folder` is a file.
        StoreError: it can't be written.
    """
    _make(folder)
    for sheet in sheets(studio, seed):
        path = folder / f"{sheet.name}.png"
        _save(lay_out(sheet, _render(studio, sheet)), path)
        yield path


def lay_out(sheet: Sheet, pictures: Sequence[NDArray[np.uint8]]) -> Image:
    """Arrange rendered pictures on a page.

    Args:
        sheet: What they are.
        pictures: One a scene, strip by strip and row by row: uint8 arrays of one shape (height, width, 3), sRGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = pictures[0].shape[:2]
    gap, margin, size = max(2, width // 32), max(6, width // 8), max(9, width // 7)
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(8, 4 * size // 5))
    line = math.ceil(1.35 * size)
    across = max(len(row) for strip in sheet.strips for row in strip.rows)
    down = max(len(strip.rows) for strip in sheet.strips)
    wide, high = across * (width + gap) - gap, down * (height + gap) - gap
    labels = [_shortened(strip.label) for strip in sheet.strips]
    notes = ["\n".join(textwrap.wrap(strip.note, LABEL_LENGTH)) for strip in sheet.strips]
    longest = math.ceil(max(map(font.getlength, labels)))
    left = longest + margin if sheet.beside else 0
    # A strip's cell is the pictures and the label, left of them or beneath.
    cell = (left + wide, high) if sheet.beside else (max(wide, longest), high + line)
    columns = min(sheet.columns, len(sheet.strips))
    lines = math.ceil(len(sheet.strips) / columns)
    page = Image.new("RGB", (columns * (cell[0] + margin) + margin, lines * (cell[1] + margin) + margin), PAPER)
    draw = ImageDraw.Draw(page)
    remaining = iter(pictures)
    for number, strip in enumerate(sheet.strips):
        x = margin + number % columns * (cell[0] + margin)
        y = margin + number // columns * (cell[1] + margin)
        draw.text((x, y if sheet.beside else y + high + gap), labels[number], INK, font)
        draw.multiline_text((x, y + line), notes[number], PALE_INK, small)
        for j, row in enumerate(strip.rows):
            for i in range(len(row)):
                page.paste(Image.fromarray(next(remaining)), (x + left + i * (width + gap), y + j * (height + gap)))
    return page


def _shortened(label: str) -> str:
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 2]}.."


def _paged(name: str, columns: int, strips: Sequence[Strip], beside: bool = False) -> list[Sheet]:
    """Sheets of so many strips that a page can still be looked at; the second is called ``name-2``."""
    starts = range(0, len(strips), MOST_STRIPS)
    return [
        Sheet(f"{name}-{page}" if page > 1 else name, columns, tuple(strips[start : start + MOST_STRIPS]), beside)
        for page, start in enumerate(starts, start=1)
    ]


def _render(studio: SceneSimulator, sheet: Sheet) -> list[NDArray[np.uint8]]:
    scenes = [scene for strip in sheet.strips for row in strip.rows for scene in row]
    pictures: list[NDArray[np.uint8]] = []
    while len(pictures) < len(scenes):
        report_progress(sheet.name, len(pictures), len(scenes), "pictures")
        pictures.extend(studio.render_scenes(scenes[len(pictures) : len(pictures) + studio.batch_size]).rgb)
    report_progress(sheet.name, len(pictures), len(scenes), "pictures")
    return pictures


def _dressed(scene: Scene, **changes: Any) -> Scene:
    """The scene with its object changed."""
    return attrs.evolve(scene, objects=(attrs.evolve(scene.objects[0], **changes),))


def _seen_from(scene: Scene, elevation: float, nearness: float) -> Scene:
    """The scene from so many degrees above the horizon, at this share of the usual distance."""
    around, up = math.atan2(STAGING.camera_direction[1], STAGING.camera_direction[0]), math.radians(elevation)
    towards = (math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up))
    x, y, z = (nearness * STAGING.camera_distance * coordinate for coordinate in towards)
    return attrs.evolve(scene, camera=attrs.evolve(scene.camera, position=(x, y, z)))


def _turned(background: str, angle: float) -> Background:
    """Surroundings, turned about the vertical axis by so many radians."""
    return Background(background, (0.0, 0.0, math.sin(0.5 * angle), math.cos(0.5 * angle)))


def _under(sky: Sky, scene: Scene) -> Scene:
    """The scene under a sky and its sun, as randomisation places them."""
    azimuth = math.atan2(-STAGING.camera_direction[1], -STAGING.camera_direction[0]) + SUN_BESIDE
    elevation = math.radians(sky.elevation)
    level = math.cos(elevation)
    direction = (level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation))
    sun = attrs.evolve(scene.sun, direction=direction, colour=sky.colour, intensity=sky.intensity)
    return attrs.evolve(scene, sun=sun, background=_turned(sky.background, azimuth - 0.5 * math.pi))


def _make(folder: Path) -> None:
    """Make the folder and try to write there, before anything is rendered."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file", place=str(folder), mend="name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(error, folder) from error


def _save(page: Image, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        page.save(part, format="PNG")
        part.replace(path)
    except OSError as error:
        raise _unwritable(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def _unwritable(error: OSError, path: Path) -> StoreError:
    return StoreError(
        f"can't write here: {error.strerror or error}", place=str(path), mend="name a folder that can be written"
    )
