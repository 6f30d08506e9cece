"""Meshes and environments on the device: uploaded when first needed, kept for the next batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import warp as wp
from numpy.typing import NDArray

from task2sim import ConfigError
from task2sim_studio import structures, surroundings
from task2sim_studio.environments import Environment, level_sizes, sharpest
from task2sim_studio.floor import floor_mesh
from task2sim_studio.mesh import MATERIALS, Mesh, Textures
from task2sim_studio.packing import IMAGES, Placed
from task2sim_studio.reflectance import reflectance_table
from task2sim_studio.textures import levels

_MESH_BUDGET = 6_000_000
"""Triangles that may lie on the device before all meshes are dropped and uploaded anew as needed: about 0.5 GB.

A batch may need more; one that needs twice as much is cut in halves."""

_TEXEL_BUDGET = 64_000_000
"""Texels likewise: 256 MB."""

_ENVIRONMENT_BUDGET = 64


@attrs.define(eq=False)
class Store:
    """An array on the device that grows by doubling."""

    dtype: Any
    device: str
    length: int = 0
    array: Any = None

    def append(self, values: NDArray[Any]) -> int:
        """Add values at the end and return where they begin."""
        start = self.length
        self.length += len(values)
        if self.array is None or self.length > len(self.array):
            larger = wp.empty(max(self.length, 2 * start, 1024), dtype=self.dtype, device=self.device)
            if start:
                wp.copy(larger, self.array, count=start)
            self.array = larger
        wp.copy(self.array, wp.array(values, dtype=self.dtype, device="cpu"), start, 0, len(values))
        return start


class Meshes:
    """All uploaded meshes."""

    def __init__(self, load: Callable[[str, int], Mesh], device: str) -> None:
        self._load = load
        self._device = device
        self.clear()

    def clear(self) -> None:
        """Drop all meshes."""
        self._placed: dict[tuple[str, int] | None, Placed] = {}
        types = (wp.vec3, wp.vec3, wp.vec2, wp.vec3i, wp.int32)
        self._stores = tuple(Store(dtype, self._device) for dtype in types)
        self._images, self._texels = Store(wp.vec4i, self._device), Store(wp.vec4ub, self._device)
        # Kernels take arrays that exist, even if nothing reads them.
        self._images.append(np.zeros((1, 4), dtype=np.int32))
        self._texels.append(np.zeros((1, 4), dtype=np.uint8))

    def placed(self, keys: Sequence[tuple[str, int]], divisible: bool = False) -> list[Placed]:
        """Upload what is missing; all of `keys` lie on the device afterwards.

        Raises:
            MemoryError: they are twice what the device should hold at once, and the batch is `divisible`.
        """
        if self._stores[3].length > _MESH_BUDGET or self._texels.length > _TEXEL_BUDGET:
            self.clear()
        for key in keys:
            if key not in self._placed:
                mesh = self._load(*key)
                _check(mesh, f"{key[0]}/{key[1]}")
                self._placed[key] = self._upload(mesh)
                full = self._stores[3].length > 2 * _MESH_BUDGET or self._texels.length > 2 * _TEXEL_BUDGET
                if full and divisible:
                    raise MemoryError  # the renderer tries again with fewer pictures
        return [self._placed[key] for key in keys]

    def floor(self) -> Placed:
        """Upload the floor's disc if it is missing."""
        if None not in self._placed:
            self._placed[None] = self._upload(floor_mesh())
        return self._placed[None]

    def geometry(self) -> Any:
        """The arrays as the kernels take them."""
        geometry = structures.Geometry()
        names = ("positions", "normals", "uvs", "triangles", "parts")
        for name, store in zip(names, self._stores, strict=True):
            setattr(geometry, name, store.array)
        geometry.images, geometry.texels = self._images.array, self._texels.array
        return geometry

    def _upload(self, mesh: Mesh) -> Placed:
        arrays = (mesh.vertices, mesh.normals, mesh.uvs, mesh.triangles, mesh.part_of_triangle)
        # Parts often share a picture: it is uploaded, and averaged, once.
        numbers: dict[tuple[int, bool], int] = {}
        tints: dict[int, NDArray[np.float32]] = {}
        starts = [store.append(values) for store, values in zip(self._stores, arrays, strict=True)]
        return Placed(
            vertices=len(mesh.vertices),
            triangles=len(mesh.triangles),
            first_vertex=starts[0],
            first_triangle=starts[3],
            closed=is_closed(mesh),
            vertex_positions=mesh.vertices,
            bulk=_bulk(mesh),
            parts=mesh.parts,
            part_shares=_part_shares(mesh),
            kinds=np.array([MATERIALS.index(part.material.name) for part in mesh.parts]),
            seeds=np.array([part.material.seed for part in mesh.parts]),
            colours=np.array([part.colour or (np.nan,) * 3 for part in mesh.parts], dtype=np.float32),
            finishes=np.array(
                [[np.nan if x is None else x for x in (p.roughness, p.metalness, p.opacity)] for p in mesh.parts],
                dtype=np.float32,
            ),
            images=np.array([self._pictures(part.textures, numbers) for part in mesh.parts], dtype=np.int32),
            tints=np.array([_tint(part.textures, tints) for part in mesh.parts], dtype=np.float32),
        )

    def _pictures(self, textures: Textures | None, numbers: dict[tuple[int, bool], int]) -> list[int]:
        """Upload a part's pictures that are not in `numbers` yet, and return their numbers, -1 for what it lacks."""
        out = []
        for name, colour in IMAGES.items():
            picture = None if textures is None else getattr(textures, name)
            if picture is not None and (id(picture), colour) not in numbers:
                numbers[id(picture), colour] = self._picture(picture, colour)
            out.append(-1 if picture is None else numbers[id(picture), colour])
        return out

    def _picture(self, picture: NDArray[np.uint8], colour: bool) -> int:
        height, width, channels = picture.shape
        full = np.full((height, width, 4), 255, dtype=np.uint8)
        full[..., :channels] = picture
        made = levels(full, colour)
        first = self._texels.append(np.concatenate([level.reshape(-1, 4) for level in made]))
        return self._images.append(np.array([[first, width, height, len(made)]], dtype=np.int32))


def _tint(textures: Textures | None, tints: dict[int, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean colour of a part's picture, linear, kept in `tints`; white without one."""
    if textures is None or textures.albedo is None:
        return np.ones(3, dtype=np.float32)
    if id(textures.albedo) not in tints:
        mean = ((textures.albedo / np.float32(255.0)) ** 2.2).mean(axis=(0, 1))
        tints[id(textures.albedo)] = np.asarray(mean, dtype=np.float32)
    return tints[id(textures.albedo)]


def _part_shares(mesh: Mesh) -> NDArray[np.float64]:
    """Which share of the mesh's surface each part has."""
    a, b, c = (mesh.vertices[mesh.triangles[:, k]].astype(np.float64) for k in range(3))
    areas = np.bincount(
        mesh.part_of_triangle, np.linalg.norm(np.cross(b - a, c - a), axis=1), minlength=len(mesh.parts)
    )
    return np.asarray(areas / max(float(areas.sum()), 1e-12))


def _bulk(mesh: Mesh) -> float:
    """Radius of a ball that hides about as much as the mesh: mean silhouettes are a quarter of the area (Cauchy)."""
    if len(mesh.triangles) == 0:
        return 0.0
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    area = 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
    spread = float(np.sqrt((mesh.vertices**2).sum(axis=1).mean()))
    return min(spread, math.sqrt(area / (4.0 * math.pi)))


def _check(mesh: Mesh, name: str) -> None:
    """Refuse a mesh whose numbers point outside its arrays: kernels don't look."""
    vertices, triangles, parts = len(mesh.vertices), len(mesh.triangles), len(mesh.parts)
    shapes = {
        "vertices": (mesh.vertices.shape, (vertices, 3)),
        "normals": (mesh.normals.shape, (vertices, 3)),
        "uvs": (mesh.uvs.shape, (vertices, 2)),
        "triangles": (mesh.triangles.shape, (triangles, 3)),
        "part_of_triangle": (mesh.part_of_triangle.shape, (triangles,)),
    }
    for field, (shape, expected) in shapes.items():
        if shape != expected:
            raise ConfigError(f"the mesh's {field} have shape {shape}, not {expected}", place=name)
    for field, values, count in (
        ("triangles", mesh.triangles, vertices),
        ("part_of_triangle", mesh.part_of_triangle, parts),
    ):
        if values.size and not (values.min() >= 0 and values.max() < count):
            raise ConfigError(f"the mesh's {field} must lie in [0, {count})", place=name)


def is_closed(mesh: Mesh) -> bool:
    """Whether the mesh encloses space and faces outwards, so that its back faces can never be seen.

    Vertices that coincide count as one, since seams of texture coordinates and creases double them.
    """
    if len(mesh.triangles) == 0 or not np.isfinite(mesh.vertices).all():
        return False
    _, welded = np.unique(np.round(mesh.vertices * 1e5).astype(np.int32), axis=0, return_inverse=True)
    corners = welded.reshape(-1)[mesh.triangles].astype(np.int64)
    ring = np.roll(corners, -1, axis=1)
    real = (corners != ring).all(axis=1)
    count = int(welded.max()) + 1
    forth = np.sort((corners[real] * count + ring[real]).ravel())
    back = np.sort((ring[real] * count + corners[real]).ravel())
    if not np.array_equal(forth, back):
        return False
    a, b, c = (mesh.vertices[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) > 0.0


class Environments:
    """All uploaded environments."""

    def __init__(self, load: Callable[[str, int], Environment], size: int, device: str) -> None:
        self._load = load
        self._size = size
        self._device = device
        sizes = np.array(level_sizes(size), dtype=np.int32)
        areas = (sizes + 2) ** 2
        self._stride = int(areas.sum())
        self._reflectances: Any = wp.array(reflectance_table(), dtype=wp.vec2, device=device)
        self._level_size: Any = wp.array(sizes, dtype=wp.int32, device=device)
        first = np.concatenate([[0], np.cumsum(areas)[:-1]]).astype(np.int32)
        self._level_first: Any = wp.array(first, dtype=wp.int32, device=device)
        self.clear()

    def clear(self) -> None:
        """Drop all environments."""
        self._numbers: dict[str, int] = {}
        self._texels = Store(wp.vec3, self._device)
        self._harmonics = Store(wp.vec3, self._device)

    def numbers(self, names: Sequence[str]) -> list[int]:
        """Upload what is missing, and return each one's number."""
        if len(self._numbers) > _ENVIRONMENT_BUDGET:
            self.clear()
        for name in names:
            if name not in self._numbers:
                environment = self._load(name, self._size)
                self._texels.append(environment.texels)
                self._numbers[name] = self._harmonics.append(environment.harmonics) // 9
        return [self._numbers[name] for name in names]

    def surroundings(self) -> Any:
        """The arrays as the kernels take them."""
        made: Any = surroundings.Surroundings()
        made.texels = self._texels.array
        made.harmonics = self._harmonics.array
        made.level_first = self._level_first
        made.level_size = self._level_size
        made.levels = len(level_sizes(self._size))
        made.stride = self._stride
        made.sharpest = sharpest(self._size)
        made.reflectances = self._reflectances
        return made
