"""The disc that objects stand on."""

from __future__ import annotations

import numpy as np

from task2sim import Material
from task2sim_studio.mesh import Mesh, Part

SEGMENTS = 64
RADIUS = 4.0
"""Of the mesh, in metres: patterns are as large as on an object of one metre."""


def floor_mesh() -> Mesh:
    """A disc about the origin that faces the front, -y, as a wall would: patterns that have an up lie along it."""
    turns = np.linspace(0.0, 2.0 * np.pi, SEGMENTS, endpoint=False)
    rim = RADIUS * np.stack([np.cos(turns), np.zeros(SEGMENTS), np.sin(turns)], axis=1)
    vertices = np.concatenate([np.zeros((1, 3)), rim])
    around = np.arange(SEGMENTS)
    return Mesh(
        vertices=vertices,
        normals=np.tile([0.0, -1.0, 0.0], (len(vertices), 1)),
        uvs=vertices[:, [0, 2]],
        triangles=np.stack([np.zeros(SEGMENTS, dtype=np.int64), 1 + around, 1 + (around + 1) % SEGMENTS], axis=1),
        part_of_triangle=np.zeros(SEGMENTS, dtype=np.int64),
        parts=[Part("floor", Material("plastic", 0))],
    )


LYING = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""The rotation that lays the disc down, facing up."""
