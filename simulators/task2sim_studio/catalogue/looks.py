"""What the surface of a part read from a file looks like: its numbers and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import ConfigError
from task2sim_studio.forms import Floats
from task2sim_studio.mesh import Textures

MOST_PIXELS = 1024
"""Pictures are cut down to at most so many pixels a side."""


@attrs.frozen(eq=False)
class Look:
    """A material of a mesh file; the fields are those of `task2sim_studio.mesh.Part`."""

    colour: tuple[float, float, float] | None = None
    roughness: float | None = None
    metalness: float | None = None
    opacity: float | None = None
    textures: Textures | None = None


Picture: TypeAlias = NDArray[np.uint8]
FileReader: TypeAlias = Callable[[str], bytes | None]
"""Reads a file by the name that a mesh calls it; None if it is not there."""


class Pictures:
    """The pictures of one mesh, each read and cut down once.

    Args:
        place: The mesh file, for errors.
        read: Reads a picture by its name.
        forgiving: Do without pictures that are not there.
    """

    def __init__(self, place: str, read: FileReader, forgiving: bool) -> None:
        self._place = place
        self._read = read
        self._forgiving = forgiving
        self._known: dict[str, Picture | None] = {}

    def load(self, name: str) -> Picture | None:
        """Read a picture.

        Returns:
            uint8 array of shape (height, width, 4), sides at most `MOST_PIXELS`, or None if it is not there and may
            be done without.

        Raises:
            ConfigError: it is not there and is needed, or can't be read.
        """
        if name not in self._known:
            data = self._read(name)
            if data is None and not self._forgiving:
                raise ConfigError(
                    f"this mesh wants the picture {name!r}, which is not there",
                    place=self._place,
                    mend="put the picture beside the mesh, or take it out of the mesh's material",
                )
            self._known[name] = None if data is None else self._decode(name, data)
        return self._known[name]

    def _decode(self, name: str, data: bytes) -> Picture:
        from PIL import Image

        try:
            with Image.open(BytesIO(data)) as file:
                file.draft("RGB", (MOST_PIXELS, MOST_PIXELS))  # JPEG: decode no more than is kept
                if file.mode.startswith(("I", "F")):
                    deep = np.asarray(file, float)
                    image = Image.fromarray(np.clip(deep / 257, 0, 255).astype(np.uint8))
                else:
                    image = file.convert("RGBA" if file.has_transparency_data else "RGB")
            image = image.reduce(-(-max(image.size) // MOST_PIXELS)).convert("RGBA")
            return np.array(image)
        except Exception as error:  # readers of formats raise whatever they like
            raise ConfigError(
                f"the picture {name!r} of this mesh can't be read ({reason(error)})",
                place=self._place,
                mend="save it anew as .png or .jpg",
            ) from error


def albedo(picture: Picture) -> Picture:
    """Colours of a picture; where it is transparent, the mean of where it is not, since nobody cares for those.

    Args:
        picture: uint8 array of shape (height, width, 4).

    Returns:
        uint8 array of shape (height, width, 3).
    """
    colours, alpha = picture[..., :3], picture[..., 3]
    if alpha.min() == 255 or alpha.max() == 0:
        return np.ascontiguousarray(colours)
    mean = np.average(colours.reshape(-1, 3), axis=0, weights=alpha.ravel())
    return np.where(alpha[..., None] < 128, np.round(mean).astype(np.uint8), colours)


def linear(values: Floats) -> Floats:
    """Turn sRGB values in [0, 1] into linear ones (IEC 61966-2-1)."""
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4))


def rgb(values: Floats) -> tuple[float, float, float]:
    """Linear RGB as a part has it, each in [0, 1]."""
    red, green, blue = (float(value) for value in np.clip(np.nan_to_num(values[:3]), 0.0, 1.0))
    return red, green, blue


def share(value: float) -> float:
    """A number, cut to [0, 1]."""
    return float(min(max(value, 0.0), 1.0))


def reason(error: Exception) -> str:
    """The first line of what an error says."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    lines = str(error).strip().splitlines()
    # What names an object in memory says nothing to a person.
    return lines[0] if lines and " at 0x" not in lines[0] else type(error).__name__
