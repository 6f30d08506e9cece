# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Looking up pictures on surfaces, filtered: a Warp function, and the levels it reads."""

from __future__ import annotations

import numpy as np
import warp as wp
from numpy.typing import NDArray

from task2sim_studio.structures import Geometry
from task2sim_studio.surroundings import about_log2

_BYTE = wp.constant(1.0 / 255.0)


@wp.func
def linear(value: wp.float32):
    """Turn an sRGB value into a linear one (IEC 61966-2-1), to within 0.002 (a cubic: cheaper than a power)."""
    return value * (value * (value * 0.305306011 + 0.682171111) + 0.012522878)


@wp.func
def texel_value(texel: wp.vec4ub, colour: wp.bool):
    """A texel's numbers in [0, 1]; colours turn from sRGB into linear ones."""
    value = wp.vec3(wp.float32(texel[0]), wp.float32(texel[1]), wp.float32(texel[2])) * _BYTE
    if colour:
        value = wp.vec3(linear(value[0]), linear(value[1]), linear(value[2]))
    return value


@wp.func
def texel_at(
    geometry: Geometry,
    first: wp.int32,
    width: wp.int32,
    height: wp.int32,
    u: wp.float32,
    v: wp.float32,
    colour: wp.bool,
):
    """Interpolate one level of a picture that repeats; u and v in texels, within the picture."""
    x = u - 0.5
    y = v - 0.5
    # Clamped, since coordinates that are no numbers must not be read at either.
    left = wp.clamp(wp.int32(wp.floor(x)), -1, width - 1)
    top = wp.clamp(wp.int32(wp.floor(y)), -1, height - 1)
    fx = x - wp.floor(x)
    fy = y - wp.floor(y)
    # u and v lie within the picture, so that at most one texel on each side lies across its edge.
    c0 = wp.where(left < 0, width - 1, left)
    c1 = wp.where(left + 1 < width, left + 1, 0)
    r0 = wp.where(top < 0, height - 1, top)
    r1 = wp.where(top + 1 < height, top + 1, 0)
    upper = (1.0 - fx) * texel_value(geometry.texels[first + r0 * width + c0], colour)
    upper += fx * texel_value(geometry.texels[first + r0 * width + c1], colour)
    lower = (1.0 - fx) * texel_value(geometry.texels[first + r1 * width + c0], colour)
    lower += fx * texel_value(geometry.texels[first + r1 * width + c1], colour)
    return wp.lerp(upper, lower, fy)


@wp.func
def sample_image(geometry: Geometry, image: wp.int32, uv: wp.vec2, stretch: wp.float32, colour: wp.bool):
    """Look a picture up, blended between the two levels whose texels are about as large as a pixel.

    Args:
        geometry: Holds the pictures.
        image: The picture's number: where its texels begin, its width, height and number of levels.
        uv: Texture coordinates; v grows upwards, the picture's rows downwards.
        stretch: Area of a pixel in texture coordinates.
        colour: Whether the texels are sRGB.
    """
    about = geometry.images[image]
    width = about[1]
    height = about[2]
    texels = wp.max(stretch * wp.float32(width) * wp.float32(height), 1.0)
    level = wp.clamp(0.5 * about_log2(texels), 0.0, wp.float32(about[3] - 1))
    lower = wp.min(wp.int32(level + 0.25), about[3] - 1)
    # Near a level, that level alone will do.
    share = wp.clamp(2.0 * (level - wp.float32(lower)) - 0.5, 0.0, 1.0)
    first = about[0]
    for _level in range(lower):
        first += width * height
        width = wp.max(width / 2, 1)
        height = wp.max(height / 2, 1)
    u = uv[0] - wp.floor(uv[0])
    v = 1.0 - (uv[1] - wp.floor(uv[1]))
    found = texel_at(geometry, first, width, height, u * wp.float32(width), v * wp.float32(height), colour)
    if share > 0.0 and lower + 1 < about[3]:
        first += width * height
        width = wp.max(width / 2, 1)
        height = wp.max(height / 2, 1)
        found = wp.lerp(
            found,
            texel_at(geometry, first, width, height, u * wp.float32(width), v * wp.float32(height), colour),
            share,
        )
    return found


def levels(picture: NDArray[np.uint8], colour: bool) -> list[NDArray[np.uint8]]:
    """Halve a picture down to one texel.

    Args:
        picture: uint8 array of shape (height, width, 4).
        colour: Whether its first three channels are sRGB, and so averaged as light.

    Returns:
        uint8 arrays; each is half as high and wide as the one before, rounded down.
    """
    out = [picture]
    light = picture.astype(np.float32) / 255.0
    if colour:
        light[..., :3] **= 2.2
    while max(light.shape[:2]) > 1:
        height, width = (max(side // 2, 1) for side in light.shape[:2])
        # Odd sides lose their last row or column.
        rows = light[: 2 * height : 2] + light[1 : 2 * height : 2] if light.shape[0] > 1 else 2.0 * light
        light = rows[:, : 2 * width : 2] + rows[:, 1 : 2 * width : 2] if light.shape[1] > 1 else 2.0 * rows
        light = 0.25 * light
        shown = light.copy()
        if colour:
            shown[..., :3] **= 1.0 / 2.2
        out.append(np.asarray(np.round(shown * 255.0), dtype=np.uint8))
    return out
