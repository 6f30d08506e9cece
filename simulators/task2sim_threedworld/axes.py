"""From the core's axes to Unity's: right-handed with z up, to left-handed with y up.

The core's objects face -y, ThreeDWorld's face +z, and both see their own right on the same side of the picture:
(x, y, z) becomes (-x, z, -y).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from task2sim import Scene
from task2sim.scenes import Quaternion, Vector

CAMERA_POSITION = np.array((1.0, 1.5, 1.8))
"""Where the camera always stands, in Unity's axes and metres, as in the paper's generator."""

TO_UNITY = np.array(((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)))
"""The matrix of the change of axes; its determinant is -1."""


def matrix_of(rotation: Quaternion) -> NDArray[np.float64]:
    """The 3 x 3 matrix that turns column vectors as a unit quaternion does."""
    x, y, z, w = rotation
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(matrix: NDArray[np.float64]) -> Quaternion:
    """The unit quaternion of a rotation matrix, with w >= 0; the largest of its four parts is found first."""
    squares = 1.0 + np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]]) @ np.diag(matrix)
    # Four times the products of the parts, a row for each part: the row of the largest is the most exact.
    a, b, c = matrix[2, 1], matrix[0, 2], matrix[1, 0]
    d, e, f = matrix[1, 2], matrix[2, 0], matrix[0, 1]
    products = np.array(
        [
            [squares[0], c + f, b + e, a - d],
            [c + f, squares[1], a + d, b - e],
            [b + e, a + d, squares[2], c - f],
            [a - d, b - e, c - f, squares[3]],
        ]
    )
    row = products[int(np.argmax(squares))]
    row = row / np.linalg.norm(row) * (-1.0 if row[3] < 0.0 else 1.0)
    return (float(row[0]), float(row[1]), float(row[2]), float(row[3]))


class Rig:
    """How a scene lies in Unity's world, where the sky can't be turned: camera and objects are turned the other way.

    Attributes:
        turn: float64 matrix from the core's axes of the scene to Unity's axes.
    """

    def __init__(self, scene: Scene) -> None:
        self.turn = TO_UNITY @ matrix_of(scene.background.rotation).T
        self._camera = np.array(scene.camera.position)
        self._target = np.array(scene.camera.target)

    def position(self, position: Vector) -> NDArray[np.float64]:
        """Where a point of the scene lies in Unity's world."""
        placed: NDArray[np.float64] = CAMERA_POSITION + self.turn @ (np.array(position) - self._camera)
        return placed

    def position_back(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `position`."""
        placed: NDArray[np.float64] = self._camera + self.turn.T @ (position - CAMERA_POSITION)
        return placed

    def rotation(self, rotation: Quaternion) -> Quaternion:
        """How an object of the scene is turned in Unity's world."""
        return quaternion_of(self.turn @ matrix_of(rotation) @ TO_UNITY.T)

    def rotation_back(self, rotation: Quaternion) -> Quaternion:
        """The inverse of `rotation`."""
        return quaternion_of(self.turn.T @ matrix_of(rotation) @ TO_UNITY)

    def camera_axes(self) -> NDArray[np.float64]:
        """Unit vectors to the right, down and forward of the camera in the core's axes, one a row."""
        forward = self._target - self._camera
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def camera_rotation(self) -> Quaternion:
        """How the camera is turned in Unity's world, where it looks along its own +z with +y up."""
        right, down, forward = self.camera_axes()
        return quaternion_of(self.turn @ np.stack([right, -down, forward], axis=1))

    def sun_travel(self, direction: Vector) -> NDArray[np.float64]:
        """The direction in which the sun's light travels in Unity's world."""
        travel: NDArray[np.float64] = self.turn @ -np.array(direction)
        return travel


def sun_turns(travel: NDArray[np.float64], elevation: float, angle: float) -> tuple[float, float]:
    """By how much to turn a skybox's own sun so that its light travels in a direction.

    The sun of a skybox is turned by Unity's Euler angles (elevation, angle, 0), its light travels along its own +z,
    and it is turned about its own axes: first yaw, then pitch.

    Args:
        travel: Unit vector in Unity's world.
        elevation: ``sun_elevation`` of the skybox's record, in degrees.
        angle: ``sun_initial_angle`` of the skybox's record, in degrees.

    Returns:
        Yaw and pitch in degrees, each in [0, 360).
    """
    x, y, z = sun_rotation(elevation, angle).T @ travel
    yaw, pitch = np.degrees(np.arctan2(x, z)), np.degrees(-np.arcsin(np.clip(y, -1.0, 1.0)))
    return float(yaw) % 360.0, float(pitch) % 360.0


def sun_rotation(pitch: float, yaw: float) -> NDArray[np.float64]:
    """The matrix of Unity's Euler angles (pitch, yaw, 0) in degrees: the pitch first, then the yaw."""
    p, q = np.radians(pitch), np.radians(yaw)
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(p), -np.sin(p)], [0.0, np.sin(p), np.cos(p)]])
    turn = np.array([[np.cos(q), 0.0, np.sin(q)], [0.0, 1.0, 0.0], [-np.sin(q), 0.0, np.cos(q)]])
    both: NDArray[np.float64] = turn @ tilt
    return both
