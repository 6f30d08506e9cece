"""The shape of a place in all directions: level ground to a horizon that lies low, and what stands on the horizon."""

from __future__ import annotations

import math

import numpy as np

from task2sim_studio.grounds import Array, Colour, Ground, Noise, lines, mix


class Relief:
    """Where directions from an eye over level ground end.

    Args:
        directions: float32 array of shape (..., 3), unit vectors, z up.
        texel: Angle between neighbouring directions, in radians.
        horizon_at: Elevation of the horizon in degrees; it lies low, as from a hill, so that the default camera,
            which looks down at its object, sees some sky.

    Attributes:
        x: float32 array of shape (...): first component of the directions.
        y: The second.
        z: The third.
        height: Sine of the elevation above the horizon, about.
        ax: x of the direction along the ground, a unit vector.
        ay: y of it.
        distance: To the ground along the direction, in eye heights; large above the horizon.
        below: Whether the direction ends on the ground.
    """

    def __init__(self, directions: Array, texel: float, horizon_at: float) -> None:
        self._texel = texel
        self.x, self.y, self.z = (np.ascontiguousarray(directions[..., i]) for i in range(3))
        self.height = self.z - np.float32(math.sin(math.radians(horizon_at)))
        around = np.maximum(np.hypot(self.x, self.y), np.float32(1e-6))
        self.ax, self.ay = self.x / around, self.y / around
        self.distance = np.float32(1.0) / np.maximum(-self.height, np.float32(1e-3))
        self.below = self.height < 0.0
        self._along = around * self.distance

    def ground(self, noise: Noise, ground: Ground) -> Array:
        """Albedo of the ground where a direction ends on it, 0 elsewhere; of shape (..., 3)."""
        along, distance = self._along[self.below], self.distance[self.below]
        albedo = np.zeros((*self.z.shape, 3), dtype=np.float32)
        footprint = np.asarray(self._texel * distance**1.5, np.float32)
        albedo[self.below] = ground(noise, self.ax[self.below] * along, self.ay[self.below] * along, footprint)
        return albedo

    def veiled(self, ground: Array, haze: Array | Colour, thickness: float) -> Array:
        """Ground that fades into haze with its distance."""
        return mix(ground, haze, 0.8 * (1.0 - np.exp(-thickness * np.maximum(self.distance - 2.0, 0.0))))

    def skyline(self, noise: Noise, highest: float, houses: bool) -> tuple[Array, Array]:
        """Hills or houses on the horizon, up to some degrees high: where they stand, and how light they are."""
        high, height, texel = math.radians(highest), self.height, self._texel
        if houses:
            turn = np.asarray(np.arctan2(self.ay, self.ax) * (40.0 / (2.0 * math.pi)), np.float32)
            zero = np.zeros_like(turn)
            top = high * (0.62 + 0.38 * noise.cell(turn, zero))
            windows = lines(turn * 3.0, 0.45, zero + np.float32(0.1)) * lines(
                np.asarray(height / 0.05, np.float32), 0.5, zero + np.float32(0.1)
            )
            tint = 0.85 + 0.3 * noise.cell(turn, zero + np.float32(3.0)) - 0.4 * windows
        else:
            ax, ay, z = self.ax, self.ay, self.z
            top = high * (0.6 + 0.5 * noise(3.0 * ax, 3.0 * ay, 6, 6.0 * texel))
            tint = 0.9 + 0.35 * noise(9.0 * ax + 6.0 * z, 9.0 * ay - 6.0 * z, 4, 9.0 * texel)
        stands = np.clip(0.35 * (np.tan(top) - height) / texel + 0.5, 0.0, 1.0)
        return np.asarray(stands, np.float32), np.asarray(tint, np.float32)

    def joined(self, ground: Array, sky: Array) -> Array:
        """Ground below the horizon and sky above it; the edge is three texels wide, or interpolation would step."""
        return mix(ground, sky, np.asarray(0.35 * self.height / self._texel + 0.5, np.float32))
