"""Capital letters in the fonts that matplotlib brings along."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from task2sim import ImageSet, Task, spawn_generator

# The fonts whose A to Z are letters; the others hold symbols, parts of brackets or placeholders. No font of a
# training family is in val or test.
_FONTS = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
        *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
        *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    ),
    "val": ("DejaVuSansMono", "DejaVuSansMono-BoldOblique", "cmr10", "cmsy10", "cmti10"),
    "test": ("DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "cmb10", "cmmi10", "cmss10", "cmtt10"),
}
_VARIANTS = 3


def letters(size: int) -> Task:
    """A to Z in 23 fonts, black on white, each letter of a font three times in slightly different size and place.

    The splits are divided by font: train has DejaVu Sans, DejaVu Serif and STIX, val and test have different
    fonts of DejaVu Sans Mono and Computer Modern.
    """
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    parts = {split: _render(folder, fonts, size) for split, fonts in _FONTS.items()}
    return Task(
        name="letters",
        classes=tuple(ascii_uppercase),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        domain="characters",
    )


def _render(folder: Path, fonts: tuple[str, ...], size: int) -> ImageSet:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for name in fonts:
        generator = spawn_generator(0, "letters", name)
        data = folder / f"{name}.ttf"
        for label, letter in enumerate(ascii_uppercase):
            for _ in range(_VARIANTS):
                font = ImageFont.truetype(
                    data, size * generator.uniform(0.55, 0.75), layout_engine=ImageFont.Layout.BASIC
                )
                images.append(_draw(letter, font, size, generator.uniform(-0.06, 0.06, 2)))
                labels.append(label)
    return ImageSet(np.stack(images), np.array(labels))


def _draw(letter: str, font: ImageFont.FreeTypeFont, size: int, shift: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A letter in the middle, then shifted by shares of `size` to the right and down as far as there is room."""
    image = Image.new("RGB", (size, size), "white")
    left, top, right, bottom = font.getbbox(letter)
    room = np.maximum((size - np.array([right - left, bottom - top])) / 2 - 1, 0)
    x, y = (size - np.array([left + right, top + bottom])) / 2 + np.clip(shift * size, -room, room)
    ImageDraw.Draw(image).text((x, y), letter, fill="black", font=font)
    return np.asarray(image)
