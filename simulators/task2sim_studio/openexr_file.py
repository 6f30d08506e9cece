"""Reads OpenEXR pictures (.exr): equirectangular panoramas with more range than a screen has."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task2sim import ConfigError
from task2sim_studio.stderr import stderr_without

_MOST_PIXELS = 2**27


def read_openexr(path: Path) -> NDArray[np.float32]:
    """Read a picture's red, green and blue, or its luminance.

    Args:
        path: An .exr file; of several parts the first counts.

    Returns:
        float32 array of shape (height, width, 3), linear RGB >= 0.

    Raises:
        ConfigError: the file can't be read or is no such picture.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"can't read the panorama: {error.strerror or error}", place=str(path)) from error
    import OpenEXR

    try:
        with stderr_without(b"EXR_ERR"), OpenEXR.File(str(path), header_only=True) as file:
            low, high = file.header()["dataWindow"]
        size = np.asarray(high, dtype=np.int64) - np.asarray(low, dtype=np.int64) + 1
        if (size < 1).any() or int(size.prod()) > _MOST_PIXELS:
            raise ValueError(f"its size is {size[0]} x {size[1]} pixels")
        # The library prints its warnings, in two ways.
        with redirect_stdout(StringIO()), stderr_without(b"EXR_ERR"), OpenEXR.File(str(path)) as file:
            channels = {name: channel.pixels for name, channel in file.parts[0].channels.items()}
        return _colours(channels)
    # The library raises RuntimeError and others, whatever is wrong with a file.
    except Exception as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "it is damaged, or none at all"
        raise ConfigError(
            f"this is no usable OpenEXR picture: {reason}", place=str(path), mend="replace or remove the file"
        ) from error


def _colours(channels: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    for name in ("RGB", "RGBA"):
        if name in channels:
            colours = channels[name][..., :3]
            break
    else:
        names = ["R", "G", "B"] if "R" in channels else ["Y"] * 3
        if not all(name in channels for name in names):
            raise ValueError(f"it has the channels {', '.join(sorted(channels)) or 'none'}, not R, G and B")
        if len({channels[name].shape for name in names}) > 1:
            raise ValueError("its channels differ in size")
        colours = np.stack([channels[name] for name in names], axis=-1)
    light = np.asarray(colours, dtype=np.float32)
    if not np.isfinite(light).all():
        raise ValueError("it holds numbers that are not finite")
    return np.maximum(light, 0.0)
