"""The clear sky at any time of day: sunlight that air, haze and ozone scatter and absorb around a round earth.

Light that is scattered once is integrated along each view ray, dimmed on its way in and out (Nishita et al.,
"Display of the Earth taking into account atmospheric scattering", SIGGRAPH 1993, section 3). Light that is scattered
more often is taken as even in all directions, so that a geometric series sums it up (Hillaire, "A scalable and
production ready sky and atmosphere rendering technique", EGSR 2020, section 5.5). Coefficients of air and ozone are
Hillaire's (table 1); haze is denser than there, as on an ordinary day.

Lengths are in kilometres, and light is relative to the sun's irradiance in space, the same in red, green and blue.
"""

from __future__ import annotations

import math
from functools import cache

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_GROUND, _TOP = 6360.0, 6440.0
"""Radii of the earth and of its atmosphere."""

_EYE = 0.2
"""Height of the eye above the ground."""

_AIR = np.array([5.802e-3, 13.558e-3, 33.1e-3], dtype=np.float32)
_AIR_HEIGHT = 8.0
_HAZE = 40e-3
_HAZE_EXTINCTION = 1.11 * _HAZE
_HAZE_HEIGHT = 1.2
_OZONE = np.array([0.650e-3, 1.881e-3, 0.085e-3], dtype=np.float32)
_FORWARDNESS = 0.8
"""Mean cosine of the angle by which haze scatters."""

ALBEDO = 0.25
"""Of the ground far around."""

_SUN_WIDTH = math.radians(0.53)
_DUSK = 0.6
"""Square root of the sine of the depth below the horizon at which the sun lights nothing any more."""

_ROWS, _COLUMNS, _STEPS = 28, 13, 20


@attrs.frozen(eq=False)
class Daylight:
    """The light of the clear sky and of the sun at one elevation.

    Attributes:
        elevation: Of the sun, in degrees above the horizon.
        sun: float32 array of shape (3,): irradiance from the sun on the ground, facing the sun; 0 once it has set.
        sky: float32 array of shape (3,): irradiance from the sky on level ground.
        even: float32 array of shape (rows, columns, 3): radiance of the sky but for haze. Row i looks
            ``90 * (i / (rows - 1))**2`` degrees up, column j as far to the side of the sun as j parts of 180 degrees.
        haze: float32 array of shape (rows, columns, 3): radiance that haze scatters once, but for its phase function.
    """

    elevation: float
    sun: Array
    sky: Array
    even: Array
    haze: Array

    def radiance(self, directions: Array, heights: Array | None = None) -> Array:
        """Radiance of the sky; its sun stands towards +y and is not painted itself.

        Args:
            directions: float32 array of shape (..., 3), unit vectors, z up.
            heights: float32 array of shape (...): look the air up at these elevations, in degrees, instead of the
                directions' own. Elevations below 0 count as 0.

        Returns:
            float32 array of shape (..., 3), linear RGB.
        """
        x, y, z = (directions[..., i] for i in range(3))
        up = np.degrees(np.arcsin(np.clip(z, -1.0, 1.0))) if heights is None else heights
        row = np.sqrt(np.clip(up, 0.0, 90.0) / 90.0) * (len(self.even) - 1)
        column = np.abs(np.arctan2(x, y)) / math.pi * (self.even.shape[1] - 1)
        even, haze = np.split(_interpolate(np.concatenate([self.even, self.haze], axis=-1), row, column), 2, axis=-1)
        angle = math.radians(self.elevation)
        return np.asarray(even + haze * _haze_phase(y * math.cos(angle) + z * math.sin(angle))[..., None], np.float32)


@cache
def daylight(elevation: float) -> Daylight:
    """Compute the clear sky for one elevation of the sun.

    Args:
        elevation: In degrees above the horizon, from -6 to 90.
    """
    angle = math.radians(elevation)
    up = np.maximum(0.5 * math.pi * (np.arange(_ROWS) / (_ROWS - 1)) ** 2, 1e-3)[:, None, None]
    side = np.linspace(0.0, math.pi, _COLUMNS)[:, None]
    sine, cosine = np.sin(up), np.cos(up)
    towards_sun = cosine * np.cos(side) * math.cos(angle) + sine * math.sin(angle)

    start = _GROUND + _EYE
    length = np.sqrt(_TOP**2 - (start * cosine) ** 2) - start * sine
    ends = (np.arange(_STEPS + 1) / _STEPS) ** 2  # short near the eye, where the air is dense
    at, step = length * 0.5 * (ends[1:] + ends[:-1]), length * np.diff(ends)
    radius = np.sqrt(start**2 + at**2 + 2.0 * start * at * sine)
    sun = np.asarray((start * math.sin(angle) + at * towards_sun) / radius, np.float32)
    height = np.asarray(np.broadcast_to(radius - _GROUND, sun.shape), np.float32)

    air, haze, extinction = _layers(height)
    depth = extinction * step[..., None]
    seen = np.exp(-(np.cumsum(depth, axis=-2) - 0.5 * depth)) * step[..., None]
    lit = _sunlight(height, sun)
    by_air, by_haze = air[..., None] * _AIR, haze[..., None] * np.float32(_HAZE)
    once_by_air = (by_air * lit * seen).sum(axis=-2) * _air_phase(np.asarray(towards_sun, np.float32))
    often = ((by_air + by_haze) * _several(height, sun) * seen).sum(axis=-2)
    once_by_haze = (by_haze * lit * seen).sum(axis=-2)

    day = Daylight(
        elevation=elevation,
        sun=_sunlight(np.full(1, _EYE, np.float32), np.full(1, math.sin(angle), np.float32))[0],
        sky=np.zeros(3, np.float32),
        even=np.asarray(once_by_air + often, np.float32),
        haze=np.asarray(once_by_haze, np.float32),
    )
    return attrs.evolve(day, sky=_sky_irradiance(day))


def luminance(colour: Array) -> float:
    """Luminance of a linear RGB colour (ITU-R BT.709)."""
    return float(colour @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32))


def _sky_irradiance(day: Daylight) -> Array:
    # Even steps of the squared sine are even steps of irradiance.
    sine = np.sqrt((np.arange(24) + 0.5) / 24)[:, None]
    side = (np.arange(24) + 0.5) * (math.pi / 24)
    flat = np.sqrt(1.0 - sine**2)
    grid = np.broadcast_arrays(flat * np.sin(side), flat * np.cos(side), sine)
    return np.asarray(math.pi * day.radiance(np.stack(grid, axis=-1).astype(np.float32)).mean(axis=(0, 1)))


def _air_phase(cosine: Array) -> Array:
    """Rayleigh's phase function, with an axis for the channels."""
    return np.asarray(3.0 / (16.0 * math.pi) * (1.0 + cosine**2), np.float32)


def _haze_phase(cosine: Array) -> Array:
    """Cornette and Shanks's phase function (Bruneton and Neyret, EGSR 2008, section 2.1)."""
    g = _FORWARDNESS
    scale = 3.0 * (1.0 - g * g) / (8.0 * math.pi * (2.0 + g * g))
    return np.asarray(scale * (1.0 + cosine**2) / (1.0 + g * g - 2.0 * g * cosine) ** 1.5, np.float32)


def _layers(height: Array) -> tuple[Array, Array, Array]:
    """Densities of air and haze relative to the ground's, and extinction with an axis for the channels."""
    air, haze = np.exp(height / -_AIR_HEIGHT), np.exp(height / -_HAZE_HEIGHT)
    ozone = np.maximum(0.0, 1.0 - np.abs(height - 25.0) / 15.0)
    extinction = air[..., None] * _AIR + (haze * _HAZE_EXTINCTION)[..., None] + ozone[..., None] * _OZONE
    return air, haze, np.asarray(extinction, np.float32)


def _horizon(height: Array) -> Array:
    """Sine of the elevation, mostly below 0, at which the earth ends, seen from a height."""
    return np.asarray(-np.sqrt(np.maximum(1.0 - (_GROUND / (_GROUND + height)) ** 2, 0.0)), np.float32)


def _sunlight(height: Array, sun: Array) -> Array:
    """Share of the sun's light that arrives at heights where the sine of its elevation is `sun`; and the channels."""
    table = _depths()
    low = _horizon(height)
    above = np.maximum(sun - low, 0.0)
    row = np.sqrt(np.clip(height / (_TOP - _GROUND), 0.0, 1.0)) * (len(table) - 1)
    column = np.sqrt(above / (1.0 - low)) * (table.shape[1] - 1)
    risen = np.clip((sun - low) / (_SUN_WIDTH * np.sqrt(1.0 - low**2)) + 0.5, 0.0, 1.0)
    return np.asarray(np.exp(-_interpolate(table, row, column)) * risen[..., None], np.float32)


@cache
def _depths() -> Array:
    """Optical depths from heights (rows) to space, at elevations above the horizon there (columns)."""
    height = ((_TOP - _GROUND) * (np.arange(32) / 31.0) ** 2)[:, None, None]
    low = _horizon(np.asarray(height, np.float32))
    sine = low + (1.0 - low) * ((np.arange(48) / 47.0) ** 2)[:, None]
    start = _GROUND + height
    length = np.sqrt(np.maximum(_TOP**2 - start**2 * (1.0 - sine**2), 0.0)) - start * sine
    ends = (np.arange(49) / 48.0) ** 1.5
    at, step = length * 0.5 * (ends[1:] + ends[:-1]), length * np.diff(ends)
    passed = np.sqrt(start**2 + at**2 + 2.0 * start * at * sine) - _GROUND
    extinction = _layers(np.asarray(np.maximum(passed, 0.0), np.float32))[2]
    return np.asarray((extinction * step[..., None]).sum(axis=-2), np.float32)


def _several(height: Array, sun: Array) -> Array:
    """Radiance, even from all sides, of light that has been scattered and meets a point."""
    table = _series()
    row = np.sqrt(np.clip(height / (_TOP - _GROUND), 0.0, 1.0)) * (len(table) - 1)
    root = np.sign(sun) * np.sqrt(np.abs(sun))
    return _interpolate(table, row, np.maximum(root + _DUSK, 0.0) / (1.0 + _DUSK) * (table.shape[1] - 1))


@cache
def _series() -> Array:
    """For heights (rows) and sines of the sun's elevation (columns, closest at 0): all later scatterings, summed."""
    rows, columns, steps = 8, 24, 12
    height = ((_TOP - _GROUND - 1e-3) * (np.arange(rows) / (rows - 1.0)) ** 2)[:, None, None, None]
    root = np.linspace(-_DUSK, 1.0, columns)[:, None, None]
    sun = root * np.abs(root)
    # Directions even over the sphere: by the sine of elevation and, for half of it, by azimuth.
    sines, sides = (np.arange(8) - 3.5) / 4.0, (np.arange(3) + 0.5) * (math.pi / 3.0)
    sine, side = (grid.reshape(-1, 1) for grid in np.meshgrid(sines, sides))
    towards_sun = np.sqrt(1.0 - sine**2) * np.cos(side) * np.sqrt(1.0 - sun**2) + sine * sun

    start = _GROUND + 1e-3 + height
    to_ground = _GROUND**2 - start**2 * (1.0 - sine**2)
    falls = (sine < 0.0) & (to_ground > 0.0)
    far = np.sqrt(_TOP**2 - start**2 * (1.0 - sine**2)) - start * sine
    length = np.where(falls, -start * sine - np.sqrt(np.maximum(to_ground, 0.0)), far)
    at, step = length * ((np.arange(steps) + 0.5) / steps), length / steps
    radius = np.sqrt(start**2 + at**2 + 2.0 * start * at * sine)
    passed = np.asarray(np.maximum(radius - _GROUND, 0.0), np.float32)
    air, haze, extinction = _layers(passed)
    depth = np.cumsum(extinction * step[..., None], axis=-2)
    scatters = (
        (air[..., None] * _AIR + haze[..., None] * np.float32(_HAZE))
        * np.exp(-(depth - 0.5 * extinction * step[..., None]))
        * step[..., None]
    )
    there = np.asarray((start * sun + at * towards_sun) / radius, np.float32)
    passed = np.broadcast_to(passed, there.shape)
    twice = (scatters * _sunlight(passed, there)).sum(axis=-2) / (4.0 * math.pi)
    # Rays that end at the ground find it lit as well, by the sun and by what has been scattered.
    sun_below = np.asarray((start * sun + length * towards_sun) / _GROUND, np.float32)[..., 0]
    lit = _sunlight(np.zeros_like(sun_below), sun_below) * np.maximum(sun_below, 0.0)[..., None]
    grounded = falls * np.exp(-depth[..., -1, :]) * ALBEDO
    twice = twice + grounded * lit / math.pi
    again = (scatters.sum(axis=-2) + grounded).mean(axis=-2)
    return np.asarray(twice.mean(axis=-2) / (1.0 - np.minimum(again, 0.95)), np.float32)


def _interpolate(table: Array, row: Array, column: Array) -> Array:
    """Look a table of shape (rows, columns, channels) up between its entries."""
    row, column = np.asarray(row, np.float32), np.asarray(column, np.float32)
    top = np.clip(row.astype(np.int32), 0, len(table) - 2)
    left = np.clip(column.astype(np.int32), 0, table.shape[1] - 2)
    down, along = (row - top)[..., None], (column - left)[..., None]
    flat = table.reshape(-1, table.shape[-1])
    first = top * table.shape[1] + left
    second = first + table.shape[1]
    upper = flat[first] * (1.0 - along) + flat[first + 1] * along
    lower = flat[second] * (1.0 - along) + flat[second + 1] * along
    return np.asarray(upper * (1.0 - down) + lower * down, np.float32)
