"""Procedural grounds: albedo in the plane, from noise that fades where a texel is too coarse for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Colour: TypeAlias = tuple[float, float, float]
Ground: TypeAlias = Callable[["Noise", Array, Array, Array], Array]
"""Paints albedo at ground positions: noise, x, y (in eye heights) and the width of a texel there."""


class Noise:
    """Fractal noise in the plane, periodic, deterministic.

    Args:
        seed: Which noise.
    """

    _SIZE = 64

    def __init__(self, seed: int) -> None:
        table = np.random.default_rng(seed).random((self._SIZE, self._SIZE), dtype=np.float32)
        self._table = np.asarray(table * 2.0 - 1.0, dtype=np.float32).ravel()

    def cell(self, x: Array, y: Array) -> Array:
        """A value in [-1, 1] for each unit cell."""
        column = np.floor(x).astype(np.int32) & (self._SIZE - 1)
        row = np.floor(y).astype(np.int32) & (self._SIZE - 1)
        return self._table[row * self._SIZE + column]

    def __call__(self, x: Array, y: Array, octaves: int = 5, footprint: Array | float = 0.0) -> Array:
        """Noise about in [-1, 1]; octaves finer than `footprint` fade out."""
        total = np.zeros_like(x)
        amplitude, frequency = np.float32(0.55), np.float32(1.0)
        mask = self._SIZE - 1
        for octave in range(octaves):
            weight = np.clip(2.0 - 3.0 * np.asarray(footprint, dtype=np.float32) * frequency, 0.0, 1.0) * amplitude
            px, py = x * frequency + np.float32(17.3 * octave), y * frequency + np.float32(9.1 * octave)
            fx, fy = np.floor(px), np.floor(py)
            column, row = fx.astype(np.int32), fy.astype(np.int32)
            tx, ty = px - fx, py - fy
            tx, ty = tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty)
            left, right = column & mask, (column + 1) & mask
            top, bottom = (row & mask) * self._SIZE, ((row + 1) & mask) * self._SIZE
            a, b = self._table[top + left], self._table[top + right]
            c, d = self._table[bottom + left], self._table[bottom + right]
            upper, lower = a + (b - a) * tx, c + (d - c) * tx
            total += weight * (upper + (lower - upper) * ty)
            amplitude, frequency = amplitude * np.float32(0.55), frequency * np.float32(2.1)
        return total


def mix(a: Array | Colour, b: Array | Colour, share: Array) -> Array:
    """Interpolate between colours; the share is clipped to [0, 1]."""
    first, second = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    return np.asarray(first + (second - first) * np.clip(share, 0.0, 1.0)[..., None], dtype=np.float32)


def smooth_step(low: float, high: float, x: Array) -> Array:
    """A smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def lines(x: Array, width: float, footprint: Array) -> Array:
    """Share of a line of `width` at every integer, box-filtered over the footprint."""
    edge = np.maximum(footprint, 0.02)
    near = np.abs(x - np.round(x))
    line = np.clip((0.5 * width - near) / edge + 0.5, 0.0, 1.0)
    return np.asarray(np.where(edge > 0.5, width, line), dtype=np.float32)


def grass(dark: Colour, light: Colour, flowers: Colour | None = None) -> Ground:
    """Grass in tufts, maybe with flowers."""

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        broad = noise(0.35 * x, 0.35 * y, 3, 0.35 * footprint)
        blades = noise(5.0 * x, 5.0 * y, 4, 5.0 * footprint)
        colour = mix(dark, light, 0.5 + 0.4 * broad + 0.75 * blades)
        if flowers is not None:
            colour = mix(colour, flowers, smooth_step(0.45, 0.7, noise(7.0 * x + 5.0, 7.0 * y, 2, 7.0 * footprint)))
        return colour

    return paint


def rippled(dark: Colour, light: Colour, ripples: float) -> Ground:
    """Sand or water in waves, so many to an eye height."""

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        bend = noise(0.5 * x, 0.5 * y, 3, 0.5 * footprint)
        fade = np.clip(1.6 - 2.0 * ripples * footprint, 0.0, 1.0)
        wave = np.sin(2.0 * math.pi * ripples * (0.8 * y + 0.25 * x + 0.5 * bend)) * fade
        grain = noise(9.0 * x, 9.0 * y, 3, 9.0 * footprint)
        return mix(dark, light, 0.5 + 0.25 * wave + 0.3 * bend + 0.4 * grain)

    return paint


def plain(dark: Colour, light: Colour, grain: float) -> Ground:
    """Even ground with a grain: snow, rock, a painted floor."""

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        broad = noise(0.6 * x, 0.6 * y, 3, 0.6 * footprint)
        fine = noise(grain * x, grain * y, 3, grain * footprint)
        return mix(dark, light, 0.5 + 0.4 * broad + 0.7 * fine)

    return paint


def road(tarmac: Colour, verge: Colour) -> Ground:
    """A road with dashes down its middle, and its verge."""

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        fine = noise(10.0 * x, 10.0 * y, 3, 10.0 * footprint)
        broad = noise(0.7 * x, 0.7 * y, 3, 0.7 * footprint)
        colour = mix(tarmac, (1.6 * tarmac[0], 1.6 * tarmac[1], 1.6 * tarmac[2]), 0.5 + 0.4 * broad + 0.5 * fine)
        across = (x + 0.55 * y) / 7.0
        dashes = lines(across, 0.035, footprint / 7.0) * smooth_step(-0.1, 0.1, np.sin(1.1 * (y - 0.55 * x)))
        kerb = np.abs(across - np.round(across / 3.0) * 3.0)
        colour = mix(colour, (0.75, 0.74, 0.7), dashes)
        return mix(colour, verge, smooth_step(0.85, 0.9, kerb))

    return paint


def laid(first: Colour, second: Colour, joint: Colour, width: float, length: float) -> Ground:
    """Slabs or planks of a width and length, each of its own shade."""

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        u, v = x * 0.87 + y * 0.5, y * 0.87 - x * 0.5
        column = u / width
        row = v / length + 0.5 * (np.floor(column) % 2.0)
        own = noise.cell(column, row) * np.clip(1.4 - 2.0 * footprint / width, 0.0, 1.0)
        grain = noise(3.0 * u, 12.0 * v, 3, 12.0 * footprint)
        colour = mix(first, second, 0.5 + 0.45 * own + 0.25 * grain)
        edges = np.maximum(
            lines(column, 0.06, footprint / width), lines(row, 0.06 * width / length, footprint / length)
        )
        return mix(colour, joint, 0.8 * edges)

    return paint


def fields(colours: tuple[Colour, ...]) -> Ground:
    """A patchwork of fields with furrows and hedges."""
    table = np.array(colours, dtype=np.float32)

    def paint(noise: Noise, x: Array, y: Array, footprint: Array) -> Array:
        u, v = 0.16 * (x + 0.3 * y), 0.11 * (y - 0.3 * x)
        which = np.clip((noise.cell(u, v) * 0.5 + 0.5) * len(table), 0, len(table) - 1).astype(np.int32)
        rows = np.sin(9.0 * (x * 0.6 + y)) * np.clip(1.5 - 3.0 * footprint, 0.0, 1.0)
        shade = 1.0 + 0.18 * rows + 0.3 * noise(2.0 * x, 2.0 * y, 4, 2.0 * footprint)
        hedge = np.maximum(lines(u, 0.05, 0.16 * footprint), lines(v, 0.04, 0.11 * footprint))
        return mix(table[which] * shade[..., None], (0.035, 0.06, 0.02), 0.8 * hedge)

    return paint
