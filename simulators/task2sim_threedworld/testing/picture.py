"""Pictures of a `World`, by a small ray caster in numpy.

This is no photograph: each object is its bounds' box in front of a painted sky. What a picture is for is that every
command shows, exactly and measurably:

* The box stands where the commands put it. Pixel (row, column) is set where the ray through the pixel's centre enters
  the box between the clipping planes, so masks, depth and normals are exact.
* A box is cut across its longest side into slabs of equal width, one for each slot of the model. A slab's two colours
  and its pattern follow from the name of the material that it wears. An arrowhead on the front (+z) points up.
* The sun shades by Lambert's law; the sky adds its mean colour. No shadows fall.
* The sky is a function of direction and of the skybox's name: a gradient, rings, a skyline and meridians that make
  every turn of the camera show.
* Depth of field blurs a pixel by the circle of confusion of its depth, in the form that Unity's post-processing uses;
  exposure, contrast and saturation act on the whole picture.

Equal worlds give equal pictures: nothing here is random or depends on time.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from task2sim_threedworld.testing.rotations import matrix
from task2sim_threedworld.testing.world import SENSOR_HEIGHT, Avatar, World, WorldObject

Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Shares of red, green and blue in brightness (Rec. 709)."""

BLUR_LEVELS = 3
"""How often the picture is blurred for depth of field; the widest blur has a standard deviation of 4.6 pixels."""


@attrs.frozen(eq=False)
class Picture:
    """What the avatar's camera sees; all arrays have the top row first.

    Attributes:
        rgb: The `_img` pass, (height, width, 3) uint8.
        id: The `_id` pass: segmentation colours, black where nothing is, (height, width, 3) uint8.
        category: The `_category` pass, likewise.
        mask: The `_mask` pass: white where an object is, (height, width, 3) uint8.
        depth: Metres along the view axis, the far plane where nothing is, (height, width) float32.
        normals: The `_normals` pass: the surface's normal in the camera's axes, -1..1 as 0..255; black where nothing
            is, (height, width, 3) uint8.
    """

    rgb: Bytes
    id: Bytes
    category: Bytes
    mask: Bytes
    depth: Floats
    normals: Bytes


def draw(world: World) -> Picture:
    """Draw what the avatar's camera sees.

    Raises:
        ValueError: The world has no avatar.
    """
    avatar = world.avatar
    if avatar is None:
        raise ValueError("there is no avatar to take a picture")
    height, width = world.height, world.width
    camera = matrix(avatar.sensor_rotation)
    rays = _camera_rays(width, height, avatar.field_of_view)
    directions = rays @ camera.T.astype(np.float32)

    depth = np.full(height * width, avatar.far, np.float32)
    seen = np.full(height * width, -1, np.int32)
    normal = np.zeros((height * width, 3), np.float32)
    albedo = np.zeros((height * width, 3), np.float32)
    objects = [item for item in world.objects.values() if item.visible]
    for number, item in enumerate(objects):
        _cast(item, number, avatar, directions, _window(item, avatar, width, height), depth, seen, normal, albedo)

    hit = seen >= 0
    colour = _sky(world, directions)
    colour[hit] = _shade(world, albedo[hit], normal[hit])
    rgb = _develop(world, avatar, colour.reshape(height, width, 3), depth.reshape(height, width))

    toned = np.zeros((height * width, 3), np.uint8)
    toned[hit] = np.rint((normal[hit] @ camera.astype(np.float32) + 1) * 127.5)
    shape = (height, width, 3)
    return Picture(
        rgb=rgb,
        id=_palette([item.segmentation_colour for item in objects])[seen].reshape(shape),
        category=_palette([item.category_colour for item in objects])[seen].reshape(shape),
        mask=_palette([(255, 255, 255) for _ in objects])[seen].reshape(shape),
        depth=depth.reshape(height, width),
        normals=toned.reshape(shape),
    )


def _palette(colours: list[tuple[int, int, int]]) -> Bytes:
    """Put colours into a table whose last row, number -1, is black."""
    return np.array([*colours, (0, 0, 0)], np.uint8)


@lru_cache(maxsize=8)
def _camera_rays(width: int, height: int, field_of_view: float) -> Floats:
    """Give the rays through the pixels' centres in the camera's axes, (height * width, 3), of length 1 along +z.

    A distance along such a ray is thus a depth.
    """
    slope = math.tan(math.radians(field_of_view) / 2)
    x = ((np.arange(width) + 0.5) * 2 / width - 1) * slope * width / height
    y = (1 - (np.arange(height) + 0.5) * 2 / height) * slope
    rays = np.ones((height * width, 3), np.float32)
    rays[:, 0], rays[:, 1] = np.tile(x, height), np.repeat(y, width)
    rays.flags.writeable = False
    return rays


def _window(item: WorldObject, avatar: Avatar, width: int, height: int) -> npt.NDArray[np.intp]:
    """Give the numbers of the pixels that a box can cover: all of them where it reaches behind the near plane."""
    corners = (item.corners - avatar.sensor_position) @ matrix(avatar.sensor_rotation)
    rows, columns = (0, height), (0, width)
    if corners[:, 2].min() > avatar.near:
        scale = height / 2 / math.tan(math.radians(avatar.field_of_view) / 2)
        x = corners[:, 0] / corners[:, 2] * scale + width / 2
        y = height / 2 - corners[:, 1] / corners[:, 2] * scale
        # One pixel more on each side, for rounding.
        columns = _clipped(x, width)
        rows = _clipped(y, height)
    return (np.arange(*rows)[:, None] * width + np.arange(*columns)).ravel()


def _clipped(places: npt.NDArray[np.float64], size: int) -> tuple[int, int]:
    low, high = np.clip([places.min() - 1, places.max() + 2], 0, size)
    return int(low), int(high)


def _cast(
    item: WorldObject,
    number: int,
    avatar: Avatar,
    directions: Floats,
    pixels: npt.NDArray[np.intp],
    depth: Floats,
    seen: npt.NDArray[np.int32],
    normal: Floats,
    albedo: Floats,
) -> None:
    """Draw one object's box into the flat buffers, where nothing nearer is."""
    axes = matrix(item.rotation)
    low, high = item.box
    start = (avatar.sensor_position - item.position) @ axes
    towards = directions[pixels] @ axes.astype(np.float32)
    towards[np.abs(towards) < 1e-9] = 1e-9
    first = (low - start).astype(np.float32) / towards
    second = (high - start).astype(np.float32) / towards
    enters = np.minimum(first, second)
    entry = enters.max(axis=1)
    # From inside a box nothing of it is seen: Unity does not draw the backs of faces.
    hit = (entry <= np.maximum(first, second).min(axis=1)) & (entry >= avatar.near) & (entry < depth[pixels])
    if not hit.any():
        return
    pixels, entry, towards = pixels[hit], entry[hit], towards[hit]
    axis = enters[hit].argmax(axis=1)
    side = -np.sign(np.take_along_axis(towards, axis[:, None], 1)[:, 0])
    place = start.astype(np.float32) + entry[:, None] * towards
    size = np.maximum(high - low, 1e-9)
    place = np.clip((place - low.astype(np.float32)) / size.astype(np.float32), 0, 1)
    front = (axis == 2) & (side > 0)

    depth[pixels] = entry
    seen[pixels] = number
    normal[pixels] = axes.T.astype(np.float32)[axis] * side[:, None]
    albedo[pixels] = _paint(item, place, front, int(np.argmax(size)))


def _paint(item: WorldObject, place: Floats, front: npt.NDArray[np.bool_], longest: int) -> Floats:
    """Give the colours of places on a box (each 0..1 along its axes), as its slots' materials have them."""
    count = len(item.slots)
    slot = np.minimum((place[:, longest] * count).astype(np.int32), count - 1)
    table = np.stack([_material(part.material) for part in item.slots])
    tints = np.ones((count, 3), np.float32)
    for row, part in enumerate(item.slots):
        if part.colour is not None:
            tints[row] = part.colour
            table[row, 0:6] = 0.75
    looks = table[slot]
    across = np.einsum("ij,ij->i", place, looks[:, 6:9]) + looks[:, 12]
    along = np.einsum("ij,ij->i", place, looks[:, 9:12])
    second = ((np.floor(across) + np.floor(along)) % 2 > 0)[:, None]
    colours: Floats = np.where(second, looks[:, 3:6], looks[:, 0:3]) * tints[slot]
    # The arrowhead: dark on bright materials, bright on dark ones.
    up = (place[:, 1] - 0.2) / 0.6
    arrow = front & (up >= 0) & (np.abs(place[:, 0] - 0.5) <= 0.3 * (1 - up))
    bright = colours[arrow] @ LUMA > 0.35
    colours[arrow] = np.where(bright, np.float32(0.03), np.float32(0.9))[:, None]
    return colours


def _numbers(key: str, count: int) -> Floats:
    """Give numbers from 0 to 1 that follow from a text."""
    digest = hashlib.blake2b(key.encode(), digest_size=2 * count).digest()
    return np.frombuffer(digest, "<u2").astype(np.float32) / np.float32(65535)


@lru_cache(maxsize=4096)
def _material(name: str) -> Floats:
    """Give a material's look: two colours (0:3, 3:6), the directions of its two stripes (6:9, 9:12), a shift (12)."""
    numbers = _numbers(f"material {name}", 13)
    look = np.empty(13, np.float32)
    look[0:3] = 0.08 + 0.8 * numbers[0:3]
    look[3:6] = look[0:3] * (0.35 + 0.4 * numbers[3:4])
    # Stripes along all axes, so that every side of a box shows them: 2 to 6 across, the second ones 0 to 5.
    look[6:9] = 2 + 4 * numbers[6:9]
    look[9:12] = 5 * numbers[9:12] * (numbers[4] > 0.4)
    look[12] = numbers[12]
    look.flags.writeable = False
    return look


def _shade(world: World, albedo: Floats, normal: Floats) -> Floats:
    """Light surfaces by the sun (Lambert) and by the sky's mean colour."""
    light = world.light
    facing = np.maximum(normal @ -light.direction.astype(np.float32), 0)
    sun = (light.colour * max(light.intensity, 0.0)).astype(np.float32)
    zenith, horizon, ground, _ = _sky_look(world)
    sky = (0.45 * zenith + 0.35 * horizon + 0.2 * ground) * np.float32(max(world.ambient, 0.0) * 0.5)
    lit: Floats = albedo * (facing[:, None] * sun + sky)
    return lit


def _sky_look(world: World) -> tuple[Floats, Floats, Floats, Floats]:
    """Give the colours of zenith, horizon and ground, times exposure, and ten numbers for the sky's shapes."""
    name, exposure = (world.skybox.name, world.skybox.exposure) if world.skybox else ("", 1.0)
    numbers = _numbers(f"skybox {name}", 19)
    factor = np.float32(max(exposure, 0.0))
    blue, grey, green = (np.array(part, np.float32) for part in ((0.2, 0.4, 0.9), (0.7, 0.75, 0.8), (0.3, 0.28, 0.2)))
    zenith = blue * (0.5 + 0.6 * numbers[0:3]) * factor
    horizon = grey * (0.5 + 0.8 * numbers[3:6]) * factor
    ground = green * (0.4 + 1.2 * numbers[6:9]) * factor
    return zenith, horizon, ground, numbers[9:]


def _sky(world: World, directions: Floats) -> Floats:
    """Paint the sky in given directions (of any length), (n, 3)."""
    zenith, horizon, ground, numbers = _sky_look(world)
    x, y, z = directions[:, 0], directions[:, 1], directions[:, 2]
    level2 = x * x + z * z
    up = y / np.sqrt(level2 + y * y)
    # The azimuth as a complex number of length 1: its powers give waves around the horizon without an arc tangent.
    angle = math.radians(world.skybox.rotation) if world.skybox else 0.0
    around = (z + 1j * x) * np.complex64(complex(math.cos(angle), -math.sin(angle)))
    around /= np.sqrt(np.maximum(level2, np.float32(1e-12)))
    twice = around * around
    waves = np.stack([around.real, around.imag, twice.real, (twice * around).imag, (twice * twice * around).real])
    skyline = np.float32(0.12) * ((numbers[0:5] - np.float32(0.5)) @ waves)
    # A glow on one side makes every turn about the vertical change every pixel a little.
    glow = (
        1
        + np.float32(0.25)
        * np.sqrt(1 - up * up)
        * (around * np.exp(2j * np.pi * numbers[5]).astype(np.complex64)).real
    )
    rings = 1 + np.float32(0.08) * np.sign(np.sin(up * (9 + 6 * numbers[6])))
    meridians = 1 + np.float32(0.25) * np.sign((twice * twice * twice).imag + np.float32(0.6))
    above = up > skyline
    blend = np.clip(up - skyline, 0, 1) ** np.float32(0.6)
    shade = np.where(above, rings, meridians) * glow
    colour = np.where(above[:, None], horizon + blend[:, None] * (zenith - horizon), ground)
    painted: Floats = colour * shade[:, None]
    return painted


def _develop(world: World, avatar: Avatar, light: Floats, depth: Floats) -> Bytes:
    """Make a picture of the light that falls on the pixels: depth of field, exposure, tone, contrast, saturation."""
    if world.post_process:
        light = _defocus(light, circle_of_confusion(world, avatar, depth))
        light = light * np.float32(2.0**world.post_exposure)
    # The tone curve never clips, so that more light is a brighter pixel; then the gamma of a screen.
    tone: npt.NDArray[Any] = (1 - np.exp(-light)) ** np.float32(1 / 2.2)
    if world.post_process:
        grey = (tone @ LUMA)[..., None]
        tone = grey + (tone - grey) * np.float32(1 + world.saturation / 100)
        tone = np.float32(0.5) + (tone - np.float32(0.5)) * np.float32(1 + world.contrast / 100)
    developed: Bytes = np.rint(np.clip(tone, 0, 1) * 255).astype(np.uint8)
    return developed


def circle_of_confusion(world: World, avatar: Avatar, depth: Floats) -> Floats:
    """Give the radius of the circle of confusion of each pixel, in pixels.

    |d - s| / d * f^2 / (N (s - f) 2 h) of the picture's height, with depth d, focus distance s, focal length f,
    f-number N and sensor height h: the thin lens in the form of Unity's post-processing stack v2; at most 0.05 of the
    height and 10 pixels (its medium kernel).

    Args:
        world: Focus distance, aperture and picture height are its.
        avatar: Its field of view gives the focal length.
        depth: Metres along the view axis, of any shape.

    Returns:
        Radii of the same shape, float32.
    """
    focal = avatar.focal_length / 1000
    focus = max(world.focus_distance, focal * 1.01)
    factor = focal**2 / (world.aperture * (focus - focal) * 2 * SENSOR_HEIGHT / 1000) * world.height
    radius: Floats = np.abs(1 - np.float32(focus) / depth) * np.float32(factor)
    return np.minimum(radius, np.float32(min(0.05 * world.height, 10.0)))


def _defocus(light: Floats, radius: Floats) -> Floats:
    """Blur each pixel to the variance of a disc of its radius; below half a pixel it stays sharp."""
    wanted = np.where(radius < 0.5, np.float32(0), radius * radius / 4)
    most = float(wanted.max())
    if most == 0:
        return light
    result = light.copy()
    level, variance = light, 0.0
    for number in range(BLUR_LEVELS):
        step = 2**number
        wider = _smoothed(_smoothed(level, step, 0), step, 1)
        # Between two levels, weights that are linear in the variance give a blur of just that variance.
        more = np.clip((wanted - np.float32(variance)) / np.float32(step * step), 0, 1)[..., None]
        inside = wanted > variance
        result[inside] = (level + (wider - level) * more)[inside]
        level, variance = wider, variance + step * step
        if most <= variance:
            break
    return result


def _smoothed(values: Floats, step: int, axis: int) -> Floats:
    """Smooth along an axis by the weights 1 4 6 4 1 in steps of `step` pixels; the edge's pixels go on outside.

    The variance that this adds is step squared.
    """
    edge = [(0, 0)] * values.ndim
    edge[axis] = (2 * step, 2 * step)
    padded = np.pad(values, edge, mode="edge")
    size = values.shape[axis]
    parts = [padded[(slice(None),) * axis + (slice(k * step, k * step + size),)] for k in range(5)]
    total = parts[0] + parts[4]
    total += np.float32(4) * (parts[1] + parts[3])
    total += np.float32(6) * parts[2]
    total *= np.float32(1 / 16)
    smoothed: Floats = total
    return smoothed
