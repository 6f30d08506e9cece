"""Reads Radiance pictures (.hdr): equirectangular panoramas with more range than a screen has.

The format is Greg Ward's (Radiance reference manual, "File formats"): a text header, a size line, then scanlines
of red, green, blue and a shared exponent, plain or run-length encoded.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from task2sim import ConfigError

_MOST_PIXELS = 2**27


def read_radiance(path: Path) -> NDArray[np.float32]:
    """Read a picture.

    Args:
        path: A .hdr file with top-down, left-to-right scanlines (``-Y height +X width``).

    Returns:
        float32 array of shape (height, width, 3), linear RGB >= 0.

    Raises:
        ConfigError: the file can't be read or is no such picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"can't read the panorama: {error.strerror or error}", place=str(path)) from error
    try:
        return _parse(data)
    except ValueError as error:
        raise ConfigError(
            f"this is no usable Radiance picture: {error}", place=str(path), mend="replace or remove the file"
        ) from error


def _parse(data: bytes) -> NDArray[np.float32]:
    if not data.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise ValueError("it doesn't begin with #?RADIANCE")
    end = data.find(b"\n\n")
    if end < 0:
        raise ValueError("its header has no end")
    if b"32-bit_rle_xyze" in data[:end]:
        raise ValueError("its colours are XYZ, not RGB")
    line_end = data.find(b"\n", end + 2)
    size = re.fullmatch(rb"-Y (\d+) \+X (\d+)\s*", data[end + 2 : max(line_end, 0)])
    if size is None:
        raise ValueError("its size line is not '-Y height +X width'")
    height, width = int(size[1]), int(size[2])
    if not (height > 0 and width > 0 and height * width <= _MOST_PIXELS):
        raise ValueError(f"a size of {width} x {height} pixels is out of range")
    body = data[line_end + 1 :]
    pixels = _encoded(body, height, width) if _is_encoded(body, width) else _flat(body, height, width)
    exponents = pixels[..., 3:].astype(np.int32)
    return np.where(exponents > 0, np.ldexp(pixels[..., :3].astype(np.float32), exponents - 136), 0).astype(
        np.float32
    )


def _is_encoded(body: bytes, width: int) -> bool:
    return 8 <= width < 32768 and body[:2] == b"\x02\x02" and len(body) > 3 and (body[2] << 8 | body[3]) == width


def _flat(body: bytes, height: int, width: int) -> NDArray[np.uint8]:
    if len(body) < 4 * height * width:
        raise ValueError("its pixels end early")
    return np.frombuffer(body, np.uint8, 4 * height * width).reshape(height, width, 4)


def _encoded(body: bytes, height: int, width: int) -> NDArray[np.uint8]:
    pixels = np.empty((height, 4, width), np.uint8)
    at = 0
    for row in range(height):
        if not _is_encoded(body[at : at + 4], width):
            raise ValueError(f"scanline {row} is damaged or missing")
        at += 4
        for channel in range(4):
            at = _expand(body, at, pixels[row, channel])
    return pixels.transpose(0, 2, 1)


def _expand(body: bytes, at: int, line: NDArray[np.uint8]) -> int:
    """Expand the runs of one channel of one scanline, and return where the next one begins."""
    filled = 0
    while filled < len(line):
        if at >= len(body):
            raise ValueError("its pixels end early")
        count = body[at]
        run = count > 128
        count = count - 128 if run else count
        if count == 0 or filled + count > len(line):
            raise ValueError("a run is longer than its scanline")
        chunk = body[at + 1 : at + 2] if run else body[at + 1 : at + 1 + count]
        if len(chunk) < (1 if run else count):
            raise ValueError("its pixels end early")
        line[filled : filled + count] = np.frombuffer(chunk, np.uint8)
        at += 1 + len(chunk)
        filled += count
    return at
