"""Unity's rotations: left-handed, y up, quaternions as x, y, z, w, angles in degrees.

A positive yaw turns +z towards +x, a positive pitch turns +z towards -y, a positive roll turns +x towards +y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float64]
"""Three numbers: x (right), y (up), z (ahead)."""

Quaternion: TypeAlias = npt.NDArray[np.float64]
"""Four numbers: x, y, z, w, of length 1."""

AXES = {"pitch": 0, "yaw": 1, "roll": 2}
"""The coordinate axis that each of the API's axis names turns about."""


def identity() -> Quaternion:
    """Give the rotation that turns nothing."""
    return np.array([0.0, 0.0, 0.0, 1.0])


def unit(quaternion: Sequence[float] | Quaternion) -> Quaternion:
    """Scale a quaternion to length 1; four zeros are no rotation, as in Unity."""
    values = np.asarray(quaternion, dtype=np.float64)
    length = math.sqrt(float(values @ values))
    if length < 1e-12:
        return identity()
    scaled: Quaternion = values / length
    return scaled


def about(axis: str, angle: float) -> Quaternion:
    """Give the turn by `angle` degrees about an axis named `pitch`, `yaw` or `roll`."""
    half = math.radians(angle) / 2
    quaternion = np.zeros(4)
    quaternion[AXES[axis]] = math.sin(half)
    quaternion[3] = math.cos(half)
    return quaternion


def after(second: Quaternion, first: Quaternion) -> Quaternion:
    """Compose two rotations: `first`, and then `second` (Hamilton's product second * first)."""
    x, y, z, w = (float(part) for part in second)
    a, b, c, d = (float(part) for part in first)
    return unit(
        (
            w * a + x * d + y * c - z * b,
            w * b - x * c + y * d + z * a,
            w * c + x * b - y * a + z * d,
            w * d - x * a - y * b - z * c,
        )
    )


def inverse(quaternion: Quaternion) -> Quaternion:
    """Give the rotation that undoes another."""
    undone: Quaternion = quaternion * np.array([-1.0, -1.0, -1.0, 1.0])
    return undone


def matrix(quaternion: Quaternion) -> npt.NDArray[np.float64]:
    """Give the 3x3 matrix whose columns are the turned axes x, y, z."""
    x, y, z, w = (float(part) for part in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def turn(quaternion: Quaternion, vector: Vector) -> Vector:
    """Turn a vector."""
    turned: Vector = matrix(quaternion) @ vector
    return turned


def from_euler(angles: Sequence[float] | Vector) -> Quaternion:
    """Give the rotation of Unity's Euler angles: roll first, then pitch, then yaw, about fixed axes."""
    pitch, yaw, roll = (float(angle) for angle in angles)
    return after(about("yaw", yaw), after(about("pitch", pitch), about("roll", roll)))


def looking(direction: Vector) -> Quaternion | None:
    """Give the rotation that turns +z towards a direction and keeps +y as far up as it goes.

    None for a direction of no length.
    """
    length = math.sqrt(float(direction @ direction))
    if length < 1e-9:
        return None
    x, y, z = (float(part) / length for part in direction)
    level = math.hypot(x, z)
    yaw = math.degrees(math.atan2(x, z)) if level > 1e-9 else 0.0
    return after(about("yaw", yaw), about("pitch", -math.degrees(math.atan2(y, level))))
