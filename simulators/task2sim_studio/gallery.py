"""Contact sheets of everything the studio can draw."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import (
    Background,
    Camera,
    ConfigError,
    Material,
    ParameterSetting,
    Scene,
    SceneSimulator,
    Sky,
    StoreError,
    report_progress,
    spawn_seed,
)
from task2sim.randomisation import CAMERA_DIRECTION, DEFAULT_CAMERA_DISTANCE, randomise

if TYPE_CHECKING:
    from PIL.Image import Image

INSTANCES = 2
"""Objects shown of each category, where it has as many."""
SEEDS = 4
"""Variants shown of each material."""
VARIATIONS = 6
"""Images shown of each parameter."""
SMOOTH = "vase"
"""Wears the materials and stands before the surroundings, if it is among the categories."""
CAMERA_ELEVATION = math.radians(6.0)
"""So low that the horizon is in the picture."""
SUN_BESIDE = math.radians(-75.0)
"""From the camera's line of sight to a sky's sun: to the right, out of the picture."""

PAPER = (236, 235, 232)
INK = (56, 56, 58)


@attrs.frozen
class Strip:
    """Pictures that share a label.

    Attributes:
        label: What they show.
        rows: One or more rows of scenes.
    """

    label: str
    rows: tuple[tuple[Scene, ...], ...]


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
    smooth = SMOOTH if SMOOTH in assets.instances else assets.categories[0]

    def scene(setting: ParameterSetting, number: int) -> Scene:
        return randomise(setting, assets, number, seed)

    plain = scene(space.default(), assets.categories.index(smooth))
    level = _seen_level(plain)

    def category(label: int, name: str) -> Strip:
        first = scene(space.default(), label)
        instances = range(min(INSTANCES, assets.instances[name]))
        return Strip(name, (tuple(_dressed(first, instance=instance) for instance in instances),))

    def material(name: str) -> Strip:
        seeds = [spawn_seed(seed, "gallery", f"{name} {number}") % 2**31 for number in range(SEEDS)]
        return Strip(name, (tuple(_dressed(plain, materials=(Material(name, each),)) for each in seeds),))

    def parameter(name: str, value: object) -> Strip:
        settings = (space.default(), space.setting({name: value}))
        return Strip(name, tuple(tuple(scene(setting, n) for n in range(VARIATIONS)) for setting in settings))

    made = [
        Sheet("categories", 8, tuple(category(label, name) for label, name in enumerate(assets.categories))),
        Sheet("materials", 4, tuple(material(name) for name in assets.materials)),
        Sheet(
            "surroundings",
            9,
            tuple(Strip(name, ((attrs.evolve(level, background=Background(name)),),)) for name in assets.backgrounds),
        ),
    ]
    if assets.skies:
        strips = [
            Strip(f"{ground}, sun at {sky.elevation:g}°", ((_under(sky, level),),))
            for ground, skies in assets.skies.items()
            for sky in skies
        ]
        made.append(Sheet("skies", max(map(len, assets.skies.values())), tuple(strips)))
    parameters = tuple(parameter(each.name, each.varied) for each in space)
    made.append(Sheet("parameters", 2, parameters, beside=True))
    return made


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
    todo = sheets(studio, seed)
    for done, sheet in enumerate(todo):
        report_progress("gallery", done, len(todo), "sheets")
        path = folder / f"{sheet.name}.png"
        _save(lay_out(sheet, _render(studio, sheet)), path)
        yield path
    report_progress("gallery", len(todo), len(todo), "sheets")


def lay_out(sheet: Sheet, pictures: Sequence[NDArray[np.uint8]]) -> Image:
    """Arrange rendered pictures on a page.

    Args:
        sheet: What they are.
        pictures: One a scene, strip by strip and row by row: uint8 arrays of one shape (height, width, 3), sRGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = pictures[0].shape[:2]
    gap, margin = max(2, width // 32), max(6, width // 8)
    font = ImageFont.load_default(max(9, width // 7))
    ascent, descent = np.ceil(font.getmetrics()).astype(int).tolist() if hasattr(font, "getmetrics") else (9, 3)
    line = ascent + descent
    longest = math.ceil(max(font.getbbox(strip.label)[2] for strip in sheet.strips))
    across = max(len(row) for strip in sheet.strips for row in strip.rows)
    down = max(len(strip.rows) for strip in sheet.strips)
    wide, high = across * (width + gap) - gap, down * (height + gap) - gap
    # A strip's cell is the pictures and the label, left of them or beneath.
    left = longest + 2 * gap if sheet.beside else 0
    cell = (left + wide, high) if sheet.beside else (max(wide, longest), high + line)
    columns = min(sheet.columns, len(sheet.strips))
    lines = math.ceil(len(sheet.strips) / columns)
    page = Image.new(
        "RGB",
        (columns * (cell[0] + margin) + margin, lines * (cell[1] + margin) + margin),
        PAPER,
    )
    draw = ImageDraw.Draw(page)
    remaining = iter(pictures)
    for number, strip in enumerate(sheet.strips):
        x = margin + number % columns * (cell[0] + margin)
        y = margin + number // columns * (cell[1] + margin)
        at = (x + longest, y + high // 2) if sheet.beside else (x, y + high)
        draw.text(at, strip.label, INK, font, anchor="rm" if sheet.beside else "la")
        for j, row in enumerate(strip.rows):
            for i in range(len(row)):
                page.paste(Image.fromarray(next(remaining)), (x + left + i * (width + gap), y + j * (height + gap)))
    return page


def _render(studio: SceneSimulator, sheet: Sheet) -> list[NDArray[np.uint8]]:
    scenes = [scene for strip in sheet.strips for row in strip.rows for scene in row]
    size = studio.batch_size
    batches = (studio.render_scenes(scenes[start : start + size]) for start in range(0, len(scenes), size))
    return [picture for batch in batches for picture in batch.rgb]


def _dressed(scene: Scene, **changes: Any) -> Scene:
    """The scene with its object changed."""
    return attrs.evolve(scene, objects=(attrs.evolve(scene.objects[0], **changes),))


def _seen_level(scene: Scene) -> Scene:
    """The scene from near the ground."""
    level = math.cos(CAMERA_ELEVATION) / math.hypot(CAMERA_DIRECTION[0], CAMERA_DIRECTION[1])
    x, y, z = CAMERA_DIRECTION[0] * level, CAMERA_DIRECTION[1] * level, math.sin(CAMERA_ELEVATION)
    far = DEFAULT_CAMERA_DISTANCE
    camera: Camera = attrs.evolve(scene.camera, position=(far * x, far * y, far * z))
    return attrs.evolve(scene, camera=camera)


def _under(sky: Sky, scene: Scene) -> Scene:
    """The scene under a sky and its sun, as randomisation places them."""
    azimuth = math.atan2(-CAMERA_DIRECTION[1], -CAMERA_DIRECTION[0]) + SUN_BESIDE
    elevation = math.radians(sky.elevation)
    level = math.cos(elevation)
    direction = (level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation))
    half = 0.5 * (azimuth - 0.5 * math.pi)
    return attrs.evolve(
        scene,
        sun=attrs.evolve(scene.sun, direction=direction, colour=sky.colour, intensity=sky.intensity),
        background=Background(sky.background, (0.0, 0.0, math.sin(half), math.cos(half))),
    )


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
