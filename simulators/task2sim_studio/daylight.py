"""Times of day: physical skies over four grounds, seen by one camera, each with the sun that belongs to it.

As in a camera, exposure and white balance go along with the light, but only a part of the way.
"""

from __future__ import annotations

import math
from functools import cache

import attrs
import numpy as np

from task2sim import Sky
from task2sim_studio.atmosphere import ALBEDO, Daylight, daylight, luminance
from task2sim_studio.grounds import Array, Colour, Ground, Noise, grass, laid, mix, plain, rippled
from task2sim_studio.relief import Relief

ELEVATIONS = (-3, 1, 4, 8, 14, 22, 32, 44, 58, 72)
"""Of the sun, in degrees above the horizon: from dusk to a southern noon."""

BRIGHT_DAY = 58
"""Sun elevation, in degrees, of the day that white balance and exposure start from."""

SUN_IRRADIANCE = 3.5
"""Of a sun of intensity 1, on a surface that faces it, in the renderer's units."""

COMPENSATION = 0.75
"""Share of a change of light, on a logarithmic scale, that the exposure makes up for: dusk stays darker than noon."""

ADAPTATION = 0.4
"""Share of a change of the light's colour that the white balance makes up for."""

BRIGHTNESS = 1.3
"""Intensity of the bright day's sun."""

_HORIZON_AT = -10.0
_STRETCH = 6.0
"""Degrees: so far about 0 the sky's lowest part is stretched down to the horizon; all else is in place."""


@attrs.frozen
class Place:
    """What lies under the sky.

    Attributes:
        ground: Its albedo.
        ridge: Height in degrees of what stands on the horizon; 0 is nothing.
        ridge_albedo: Its colour.
        houses: Whether that is houses, not hills.
        haze: How fast the ground fades into the horizon.
    """

    ground: Ground
    ridge: float = 0.0
    ridge_albedo: Colour = (0.0, 0.0, 0.0)
    houses: bool = False
    haze: float = 0.006


PLACES = {
    "lawn": Place(grass((0.03, 0.08, 0.012), (0.13, 0.22, 0.045)), 4.5, (0.035, 0.07, 0.025)),
    "sand": Place(rippled((0.3, 0.21, 0.12), (0.52, 0.4, 0.26), 1.4)),
    "paving": Place(
        laid((0.22, 0.2, 0.18), (0.36, 0.34, 0.31), (0.09, 0.085, 0.08), 1.1, 1.1),
        15.0,
        (0.36, 0.25, 0.17),
        houses=True,
    ),
    "snow": Place(plain((0.62, 0.66, 0.72), (0.86, 0.88, 0.9), 3.0), 7.0, (0.3, 0.33, 0.38)),
}
"""All places by name; the first is the fixed default."""


@attrs.frozen(eq=False)
class Light:
    """The light of a time of day as the camera records it.

    Attributes:
        sun: float32 array of shape (3,): irradiance from the sun, facing it, in units of a sun of intensity 1.
        sky: float32 array of shape (3,): irradiance from the sky on level ground, in the renderer's units.
        gain: float32 array of shape (3,): the camera's, from the atmosphere's radiance to the renderer's.
    """

    sun: Array
    sky: Array
    gain: Array


def daylight_name(place: str, elevation: int) -> str:
    """Name of a background, such as ``daylight-lawn-08``; minus is spelt out."""
    return f"daylight-{place}-{elevation:02d}" if elevation >= 0 else f"daylight-{place}-minus-{-elevation:02d}"


NAMES = {daylight_name(place, elevation): (place, elevation) for place in PLACES for elevation in ELEVATIONS}
"""Place and elevation of the sun by the name of the background."""


def daylight_skies() -> dict[str, tuple[Sky, ...]]:
    """All times of day by place; each background's sun stands towards its +y."""
    return {
        place: tuple(_sky(daylight_name(place, elevation), elevation) for elevation in ELEVATIONS) for place in PLACES
    }


def _sky(name: str, elevation: int) -> Sky:
    sun = light(elevation).sun
    intensity = float(sun.max())
    red, green, blue = (float(c) / intensity if intensity > 0.0 else 1.0 for c in sun)
    return Sky(name, float(elevation), (red, green, blue), intensity)


@cache
def light(elevation: int) -> Light:
    """The light at a time of day as the camera, which goes by what it meters, records it."""
    day = daylight(float(elevation))
    metered, bright = _metered(day), _metered(daylight(float(BRIGHT_DAY)))
    exposure = (luminance(bright) / luminance(metered)) ** COMPENSATION
    # White balance leaves luminance alone.
    white, own = bright / luminance(bright), metered / luminance(metered)
    balance = 1.0 / (white * (own / white) ** ADAPTATION)
    brightest = (daylight(float(BRIGHT_DAY)).sun / white).max()
    gain = np.asarray(balance * exposure * BRIGHTNESS * SUN_IRRADIANCE / brightest, np.float32)
    return Light(sun=day.sun * gain / np.float32(SUN_IRRADIANCE), sky=day.sky * gain, gain=gain)


def _metered(day: Daylight) -> Array:
    """Irradiance of a surface that may face any way.

    That is a quarter of the sun's and pi times the mean radiance of sky and ground.
    """
    level = day.sun * np.float32(max(math.sin(math.radians(day.elevation)), 0.0)) + day.sky
    return np.asarray(0.25 * day.sun + 0.5 * day.sky + 0.5 * ALBEDO * level, np.float32)


def paint_daylight(name: str, directions: Array, texel: float) -> Array:
    """Paint a panorama of a time of day; the sun's disc is left out, since a scene has a sun of its own.

    Args:
        name: One of `NAMES`.
        directions: float32 array of shape (..., 3), unit vectors, z up.
        texel: Angle between neighbouring directions, in radians.

    Returns:
        float32 array of shape (..., 3): linear radiance in the renderer's units.
    """
    where, elevation = NAMES[name]
    place, day, lit = PLACES[where], daylight(float(elevation)), light(elevation)
    relief = Relief(directions, texel, _HORIZON_AT)
    noise = Noise(2000 + list(PLACES).index(where))
    sun, angle = lit.sun * np.float32(SUN_IRRADIANCE), math.radians(elevation)

    sky = np.zeros((*relief.z.shape, 3), dtype=np.float32)
    above = relief.height > -4.0 * texel
    up = np.degrees(np.arcsin(np.clip(relief.z[above], -1.0, 1.0)))
    sky[above] = day.radiance(directions[above], 0.5 * (up + np.sqrt(up**2 + _STRETCH**2))) * lit.gain
    # The haze over the ground is as bright as the sky at the horizon in the same direction.
    level = np.stack([relief.ax, relief.ay, np.zeros_like(relief.ax)], axis=-1)
    haze = day.radiance(level, np.full_like(relief.ax, 1.0)) * lit.gain

    on_ground = (sun * max(math.sin(angle), 0.0) + lit.sky) / np.float32(math.pi)
    ground = relief.veiled(relief.ground(noise, place.ground) * on_ground, haze, place.haze)
    if place.ridge > 0.0:
        stands, tint = relief.skyline(noise, place.ridge, place.houses)
        # What stands upright sees half the sky, and the sun if that is behind us.
        facing = np.maximum(-relief.ay, 0.0)[..., None] * np.float32(math.cos(angle)) * sun
        upright = np.asarray(place.ridge_albedo, np.float32) * (facing + 0.6 * lit.sky) / np.float32(math.pi)
        far = mix(upright * tint[..., None], haze, np.full_like(tint, 0.15))
        sky = mix(sky, far, stands)
    return relief.joined(ground, sky)
