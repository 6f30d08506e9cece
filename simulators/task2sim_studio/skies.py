"""Procedural surroundings: skies over grounds, painted onto directions as high-dynamic-range radiance."""

from __future__ import annotations

import math

import attrs
import numpy as np

from task2sim_studio.grounds import (
    Array,
    Colour,
    Ground,
    Noise,
    fields,
    grass,
    laid,
    mix,
    plain,
    rippled,
    road,
    smooth_step,
)
from task2sim_studio.relief import Relief


@attrs.frozen
class Surroundings:
    """One place and its weather; colours are linear radiances, before the exposure.

    Attributes:
        zenith: Colour overhead.
        horizon: Colour at the horizon.
        ground: What lies below.
        light: Colour of the light on the ground.
        mean: Mean luminance of the whole panorama after exposure.
        clouds: Share of the sky that clouds cover, in [0, 1].
        cloud: Colour of their lit side.
        glow: Colour of the sky around the sun, added.
        glow_at: Azimuth and elevation of that in degrees.
        haze: How fast the ground fades into the horizon.
        ridge: Height in degrees of hills, trees or houses on the horizon.
        ridge_colour: Their colour.
        ridge_steps: Whether they have straight edges, as houses do.
        horizon_at: Elevation of the horizon in degrees; it lies low, as from a hill, so that the default camera,
            which looks down at its object, sees some sky.
        lamps: Whether soft boxes hang overhead, as in a photographer's studio.
    """

    zenith: Colour
    horizon: Colour
    ground: Ground
    light: Colour = (1.0, 1.0, 1.0)
    mean: float = 0.42
    clouds: float = 0.0
    cloud: Colour = (1.0, 1.0, 1.0)
    glow: Colour = (0.0, 0.0, 0.0)
    glow_at: tuple[float, float] = (48.0, 48.0)
    haze: float = 0.012
    ridge: float = 0.0
    ridge_colour: Colour = (0.08, 0.12, 0.06)
    ridge_steps: bool = False
    horizon_at: float = -10.0
    lamps: bool = False


_BLUE, _PALE = (0.16, 0.36, 0.8), (0.62, 0.78, 0.95)
_LAWN = grass((0.055, 0.13, 0.025), (0.2, 0.31, 0.075))
_MEADOW = grass((0.06, 0.12, 0.03), (0.22, 0.28, 0.08), flowers=(0.75, 0.6, 0.15))
_DRY = grass((0.22, 0.15, 0.06), (0.5, 0.38, 0.17))
_SAND = rippled((0.42, 0.31, 0.19), (0.7, 0.56, 0.38), 1.4)
_DUNES = rippled((0.48, 0.27, 0.12), (0.78, 0.5, 0.26), 0.7)
_SNOW = plain((0.66, 0.72, 0.82), (0.92, 0.94, 0.98), 3.0)
_SEA = rippled((0.015, 0.07, 0.13), (0.09, 0.22, 0.32), 1.8)
_LAGOON = rippled((0.02, 0.27, 0.33), (0.2, 0.55, 0.55), 1.2)
_GREY_SEA = rippled((0.05, 0.08, 0.1), (0.22, 0.28, 0.31), 1.2)
_ROAD = road((0.085, 0.088, 0.095), (0.13, 0.2, 0.06))
_CONCRETE = laid((0.33, 0.32, 0.3), (0.46, 0.45, 0.43), (0.16, 0.15, 0.14), 2.2, 2.2)
_PAVING = laid((0.3, 0.22, 0.17), (0.48, 0.4, 0.33), (0.14, 0.12, 0.1), 0.9, 0.9)
_PLANKS = laid((0.3, 0.15, 0.065), (0.5, 0.29, 0.14), (0.07, 0.035, 0.02), 0.6, 4.0)
_TILED = laid((0.72, 0.72, 0.7), (0.82, 0.82, 0.8), (0.35, 0.35, 0.35), 1.3, 1.3)
_PATCHWORK = fields(((0.3, 0.33, 0.08), (0.11, 0.2, 0.04), (0.5, 0.4, 0.14), (0.26, 0.17, 0.09), (0.17, 0.26, 0.06)))
_FOREST_FLOOR = grass((0.05, 0.055, 0.02), (0.19, 0.17, 0.07))
_ROCK = plain((0.16, 0.15, 0.14), (0.4, 0.37, 0.34), 4.0)


def _backdrop(colour: Colour) -> Ground:
    return plain((0.92 * colour[0], 0.92 * colour[1], 0.92 * colour[2]), colour, 0.5)


def _studio(colour: Colour, wall: Colour, mean: float) -> Surroundings:
    return Surroundings(
        wall, colour, _backdrop(colour), mean=mean, haze=0.12, horizon_at=-14.0, lamps=True, light=(1.0, 0.99, 0.97)
    )


SKIES = {
    "clear-noon": Surroundings(
        zenith=_BLUE,
        horizon=_PALE,
        ground=_LAWN,
        light=(1.15, 1.1, 1.0),
        mean=0.42,
        clouds=0.32,
        ridge=4.5,
        ridge_colour=(0.07, 0.15, 0.06),
    ),
    "overcast": Surroundings(
        zenith=(0.62, 0.66, 0.72),
        horizon=(0.85, 0.87, 0.9),
        ground=_PATCHWORK,
        mean=0.5,
        clouds=0.95,
        cloud=(0.8, 0.82, 0.85),
        ridge=2.0,
    ),
    "sunset": Surroundings(
        zenith=(0.12, 0.16, 0.36),
        horizon=(1.1, 0.5, 0.2),
        ground=_SEA,
        light=(1.1, 0.6, 0.4),
        mean=0.4,
        clouds=0.45,
        cloud=(1.2, 0.5, 0.3),
        glow=(1.8, 0.8, 0.25),
        glow_at=(112, 2),
    ),
    "dawn-mist": Surroundings(
        zenith=(0.42, 0.5, 0.68),
        horizon=(0.95, 0.8, 0.72),
        ground=_MEADOW,
        light=(1.0, 0.9, 0.85),
        mean=0.45,
        clouds=0.3,
        glow=(0.8, 0.5, 0.3),
        glow_at=(60, 5),
        haze=0.14,
        ridge=4.0,
        ridge_colour=(0.3, 0.33, 0.36),
    ),
    "blue-hour": Surroundings(
        zenith=(0.05, 0.09, 0.27),
        horizon=(0.28, 0.3, 0.5),
        ground=_SNOW,
        light=(0.45, 0.55, 0.95),
        mean=0.28,
        clouds=0.2,
        cloud=(0.3, 0.28, 0.45),
        ridge=3.5,
        ridge_colour=(0.05, 0.07, 0.12),
    ),
    "desert": Surroundings(
        zenith=(0.14, 0.33, 0.72),
        horizon=(0.85, 0.8, 0.7),
        ground=_DUNES,
        light=(1.2, 1.1, 0.95),
        mean=0.55,
        clouds=0.08,
        ridge=2.0,
        ridge_colour=(0.5, 0.3, 0.15),
    ),
    "beach": Surroundings(
        zenith=(0.13, 0.36, 0.82),
        horizon=(0.6, 0.8, 0.95),
        ground=_SAND,
        light=(1.2, 1.12, 1.0),
        mean=0.56,
        clouds=0.25,
    ),
    "lagoon": Surroundings(
        zenith=(0.1, 0.34, 0.85),
        horizon=(0.65, 0.85, 0.98),
        ground=_LAGOON,
        light=(1.1, 1.1, 1.0),
        mean=0.52,
        clouds=0.4,
        ridge=1.2,
    ),
    "open-sea": Surroundings(
        zenith=(0.2, 0.4, 0.75),
        horizon=(0.7, 0.82, 0.92),
        ground=_SEA,
        mean=0.42,
        clouds=0.5,
    ),
    "storm": Surroundings(
        zenith=(0.16, 0.18, 0.22),
        horizon=(0.5, 0.52, 0.52),
        ground=_GREY_SEA,
        light=(0.8, 0.85, 0.9),
        mean=0.3,
        clouds=0.9,
        cloud=(0.4, 0.42, 0.46),
    ),
    "meadow": Surroundings(
        zenith=(0.15, 0.38, 0.82),
        horizon=(0.7, 0.84, 0.96),
        ground=_MEADOW,
        light=(1.15, 1.1, 0.95),
        mean=0.5,
        clouds=0.55,
        ridge=5.0,
        ridge_colour=(0.06, 0.11, 0.045),
    ),
    "wheat-fields": Surroundings(
        zenith=(0.2, 0.4, 0.75),
        horizon=(0.85, 0.85, 0.8),
        ground=_DRY,
        light=(1.2, 1.1, 0.9),
        mean=0.52,
        clouds=0.35,
        ridge=2.0,
    ),
    "farmland": Surroundings(
        zenith=_BLUE,
        horizon=(0.75, 0.83, 0.9),
        ground=_PATCHWORK,
        light=(1.1, 1.05, 0.95),
        mean=0.48,
        clouds=0.45,
        ridge=2.5,
    ),
    "autumn-hills": Surroundings(
        zenith=(0.3, 0.45, 0.7),
        horizon=(0.9, 0.8, 0.66),
        ground=_FOREST_FLOOR,
        light=(1.1, 1.0, 0.85),
        mean=0.44,
        clouds=0.3,
        ridge=9.0,
        ridge_colour=(0.32, 0.13, 0.03),
    ),
    "snowfield": Surroundings(
        zenith=(0.2, 0.4, 0.8),
        horizon=(0.8, 0.88, 0.96),
        ground=_SNOW,
        light=(1.0, 1.0, 1.0),
        mean=0.62,
        clouds=0.2,
        ridge=6.0,
        ridge_colour=(0.5, 0.56, 0.66),
    ),
    "mountains": Surroundings(
        zenith=(0.12, 0.3, 0.75),
        horizon=(0.7, 0.8, 0.92),
        ground=_ROCK,
        light=(1.1, 1.05, 1.0),
        mean=0.46,
        clouds=0.4,
        ridge=14.0,
        ridge_colour=(0.22, 0.25, 0.31),
    ),
    "forest-clearing": Surroundings(
        zenith=(0.35, 0.55, 0.8),
        horizon=(0.6, 0.75, 0.7),
        ground=_LAWN,
        light=(0.8, 0.9, 0.6),
        mean=0.36,
        clouds=0.3,
        ridge=22.0,
        ridge_colour=(0.03, 0.07, 0.02),
    ),
    "city-street": Surroundings(
        zenith=(0.3, 0.45, 0.7),
        horizon=(0.75, 0.8, 0.85),
        ground=_ROAD,
        mean=0.42,
        clouds=0.5,
        ridge=20.0,
        ridge_colour=(0.27, 0.24, 0.22),
        ridge_steps=True,
    ),
    "car-park": Surroundings(
        zenith=(0.4, 0.55, 0.78),
        horizon=(0.8, 0.84, 0.88),
        ground=_CONCRETE,
        mean=0.48,
        clouds=0.65,
        ridge=9.0,
        ridge_colour=(0.4, 0.33, 0.28),
        ridge_steps=True,
    ),
    "market-square": Surroundings(
        zenith=_BLUE,
        horizon=(0.8, 0.84, 0.88),
        ground=_PAVING,
        light=(1.15, 1.08, 0.95),
        mean=0.46,
        clouds=0.3,
        ridge=16.0,
        ridge_colour=(0.5, 0.34, 0.22),
        ridge_steps=True,
    ),
    "moonlit-night": Surroundings(
        zenith=(0.012, 0.02, 0.06),
        horizon=(0.05, 0.07, 0.15),
        ground=_LAWN,
        light=(0.3, 0.42, 0.75),
        mean=0.12,
        clouds=0.3,
        cloud=(0.12, 0.15, 0.25),
        glow=(0.1, 0.12, 0.18),
        glow_at=(150, 25),
        ridge=5.0,
        ridge_colour=(0.008, 0.012, 0.02),
    ),
    "living-room": Surroundings(
        zenith=(0.75, 0.72, 0.66),
        horizon=(0.7, 0.6, 0.48),
        ground=_PLANKS,
        light=(1.0, 0.93, 0.82),
        mean=0.45,
        haze=0.02,
        lamps=True,
    ),
    "bathroom": Surroundings(
        zenith=(0.8, 0.84, 0.86),
        horizon=(0.62, 0.74, 0.78),
        ground=_TILED,
        mean=0.55,
        haze=0.03,
        lamps=True,
    ),
    "studio-grey": _studio((0.42, 0.43, 0.45), (0.2, 0.2, 0.22), 0.4),
    "studio-warm": _studio((0.78, 0.58, 0.4), (0.4, 0.28, 0.2), 0.45),
    "studio-blue": _studio((0.16, 0.36, 0.6), (0.06, 0.13, 0.26), 0.36),
    "studio-white": _studio((0.86, 0.86, 0.85), (0.7, 0.7, 0.7), 0.62),
}
"""All surroundings by name; the first is the fixed default."""


def paint(name: str, directions: Array, texel: float) -> Array:
    """Paint a procedural panorama.

    Args:
        name: One of `SKIES`.
        directions: float32 array of shape (..., 3), unit vectors, z up.
        texel: Angle between neighbouring directions, in radians.

    Returns:
        float32 array of shape (..., 3): linear radiance; the exposure (`Surroundings.mean`) is not applied.
    """
    place = SKIES[name]
    noise = Noise(1000 + list(SKIES).index(name))
    relief = Relief(directions, texel, place.horizon_at)
    x, y, z, height = relief.x, relief.y, relief.z, relief.height
    top = 1.0 - np.float32(math.sin(math.radians(place.horizon_at)))

    sky = mix(place.horizon, place.zenith, np.sqrt(np.clip(height / top, 0.0, 1.0)))
    if max(place.glow) > 0.0:
        azimuth, elevation = (math.radians(a) for a in place.glow_at)
        towards = (
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        )
        cosine = np.clip(x * towards[0] + y * towards[1] + z * towards[2], 0.0, 1.0)
        sky = sky + (0.6 * cosine**6 + 2.0 * cosine**60)[..., None] * np.asarray(place.glow, dtype=np.float32)
    if place.clouds > 0.0:
        above = height > 0.0
        sky[above] = _clouded(sky[above], place, noise, x[above], y[above], height[above], texel)
    if place.lamps:
        # Two soft boxes overhead and a large one to the side: their reflections shape glossy things.
        for lx, ly, width, power in ((0.5, -0.5, 0.3, 5.0), (-0.7, 0.1, 0.22, 3.5), (0.1, 0.8, 0.18, 2.5)):
            up = np.maximum(z, 0.05)
            box = smooth_step(width + 0.06, width - 0.06, np.maximum(np.abs(x / up - lx), np.abs(y / up - ly)))
            sky = sky + (power * box * (z > 0.05))[..., None]

    ground = relief.ground(noise, place.ground) * np.asarray(place.light, dtype=np.float32)
    ground = relief.veiled(ground, place.horizon, place.haze)
    if place.ridge > 0.0:
        stands, tint = relief.skyline(noise, place.ridge, place.ridge_steps)
        fade = mix(place.ridge_colour, place.horizon, np.full_like(height, min(0.6, 6.0 * place.haze)))
        sky = mix(sky, fade * tint[..., None], stands)
    return relief.joined(ground, sky)


def _clouded(sky: Array, place: Surroundings, noise: Noise, x: Array, y: Array, height: Array, texel: float) -> Array:
    """Sky behind a flat layer of clouds, lit from above."""
    far = 1.0 / (height + 0.12)
    px, py = np.asarray(0.9 * x * far, np.float32), np.asarray(0.9 * y * far, np.float32)
    thin = texel * far * far
    density = noise(px, py, 5, thin)
    lower = noise(px + 0.12, py - 0.1, 4, thin)
    start = 0.55 - 1.15 * place.clouds
    cover = smooth_step(start, start + 0.5, density) * smooth_step(0.0, 0.12, height)
    shade = np.clip(0.82 + 0.55 * (density - lower), 0.5, 1.15)
    return mix(sky, np.asarray(place.cloud, dtype=np.float32) * shade[..., None], 0.92 * cover)
