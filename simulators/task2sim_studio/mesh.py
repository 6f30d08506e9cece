"""Triangle meshes with named parts: what the catalogue makes and the renderer draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import Material


def _float32(value: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(value, dtype=np.float32)


def _int32(value: Any) -> NDArray[np.int32]:
    return np.ascontiguousarray(value, dtype=np.int32)


def _parts(value: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(value)


@attrs.frozen(eq=False)
class Textures:
    """Pictures on a part's surface; the first row lies at v = 1, and they repeat beyond [0, 1].

    Attributes:
        albedo: uint8 array of shape (height, width, 3), sRGB; multiplied with the part's colour. Or None.
        roughness_metalness: uint8 array of shape (height, width, 2), linear; multiplied with the part's roughness and
            metalness. Or None.
        normal: uint8 array of shape (height, width, 3): tangent-space normals as glTF has them, green towards
            growing v (upwards). Or None.
    """

    albedo: NDArray[np.uint8] | None = None
    roughness_metalness: NDArray[np.uint8] | None = None
    normal: NDArray[np.uint8] | None = None


@attrs.frozen
class Part:
    """A named part of an object, such as ``"seat"``.

    Attributes:
        name: The part's name.
        material: What it is made of unless the scene says otherwise.
        colour: Linear RGB in [0, 1] that replaces the material's own base colour, or None to leave it.
        roughness: In [0, 1], replaces the material's own; or None.
        metalness: In [0, 1], replaces the material's own; or None.
        opacity: In [0, 1], replaces the material's own; or None. What is not opaque lets through what is behind it.
        textures: Pictures on it, laid by the mesh's texture coordinates; or None.
    """

    name: str
    material: Material
    colour: tuple[float, float, float] | None = None
    roughness: float | None = None
    metalness: float | None = None
    opacity: float | None = None
    textures: Textures | None = None


MATERIALS = (
    "plastic",
    "ceramic",
    "wood",
    "bark",
    "marble",
    "granite",
    "brick",
    "tiles",
    "fabric",
    "knit",
    "leather",
    "metal",
    "rust",
    "checker",
    "stripes",
    "dots",
    "clouds",
    "foliage",
    "glass",
)
"""Names of the procedural materials; a material's seed varies its colours and its pattern."""


@attrs.frozen(eq=False)
class Mesh:
    """A triangle mesh.

    Vertices are centred and scaled so that the bounding sphere about the origin has diameter 1. The front faces
    -y, z is up. Seen from outside, a triangle's vertices run counter-clockwise.

    Attributes:
        vertices: float32 array of shape (V, 3).
        normals: float32 array of shape (V, 3): unit vertex normals, pointing outwards.
        uvs: float32 array of shape (V, 2): texture coordinates, one unit to about the object's size.
        triangles: int32 array of shape (T, 3): positions in `vertices`.
        part_of_triangle: int32 array of shape (T,): positions in `parts`.
        parts: One or more parts.
    """

    vertices: NDArray[np.float32] = attrs.field(converter=_float32, repr=lambda value: f"<{value.shape}>")
    normals: NDArray[np.float32] = attrs.field(converter=_float32, repr=False)
    uvs: NDArray[np.float32] = attrs.field(converter=_float32, repr=False)
    triangles: NDArray[np.int32] = attrs.field(converter=_int32, repr=lambda value: f"<{value.shape}>")
    part_of_triangle: NDArray[np.int32] = attrs.field(converter=_int32, repr=False)
    parts: tuple[Part, ...] = attrs.field(converter=_parts)
