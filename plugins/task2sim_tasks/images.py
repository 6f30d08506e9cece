"""Reading pictures and bringing them to one form: uint8, RGB, square."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field

from task2sim import TaskError

ImageSize = Annotated[int, Field(ge=8, le=512, description="Side of the square images, in pixels.")]
"""The ``image_size`` key of every task source."""


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """Read a picture file as a square.

    Args:
        path: A file of any format that Pillow reads; the first frame if there are several.
        size: Side of the square, in pixels.

    Returns:
        uint8 array of shape (size, size, 3), sRGB: upright after its EXIF orientation, transparency on white.

    Raises:
        TaskError: the file can't be read.
    """
    try:
        with Image.open(path) as image:
            # JPEG decodes large photographs several times faster at a reduced scale that is still large enough.
            image.draft("RGB", (size, size))
            return square(image, size)
    except Exception as error:  # Pillow's decoders raise whatever they stumble over in a damaged file
        raise TaskError(
            f"can't read the image: {_reason(error)}", place=str(path), mend="replace or remove this file"
        ) from error


def square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Turn a picture upright, scale its short side to `size` and cut the middle out of its long side.

    Args:
        image: A picture of any mode and size.
        size: Side of the square, in pixels.

    Returns:
        uint8 array of shape (size, size, 3), sRGB, transparency on white.

    Raises:
        ValueError: its pixels are floating-point or wider than 16 bits, so that black and white are unknown.
    """
    upright = ImageOps.exif_transpose(image)
    return np.asarray(ImageOps.fit(as_rgb(upright), (size, size), Image.Resampling.BICUBIC))


def squares(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Apply `square` to arrays.

    Args:
        images: uint8 arrays of shape (height, width) or (height, width, 3).
        size: Side of the squares, in pixels.

    Returns:
        uint8 array of shape (N, size, size, 3).
    """
    result = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for position, image in enumerate(images):
        result[position] = square(Image.fromarray(image), size)
    return result


def sample_image(name: str) -> NDArray[np.uint8]:
    """A picture or array of pictures in scikit-image's wheel, by the name of its function in `skimage.data`."""
    from skimage import data

    picture: NDArray[np.uint8] = getattr(data, name)()
    return picture


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB: transparency on white, 16 bits scaled to 8.

    Raises:
        ValueError: its pixels are floating-point or wider than 16 bits, so that black and white are unknown.
    """
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have more than 16 bits")
        # Pillow's own conversion clips instead of scaling; 65535 / 257 = 255.
        return Image.fromarray(np.round(values / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "it is in no image format that Pillow knows"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
