"""A folder of meshes as a catalogue: ``folder/class/object.glb`` (or .obj, .ply)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from task2sim import ConfigError, Material, spawn_generator
from task2sim_studio.catalogue.drawing import linear
from task2sim_studio.forms import Floats, Form, Integers, normals, rotation
from task2sim_studio.mesh import Mesh, Part

SUFFIXES = (".glb", ".obj", ".ply")
MOST_TRIANGLES = 100_000
"""Meshes with more triangles are simplified: at the sizes of pre-training images nobody could tell."""

CREASE = 40.0
"""Edges of a file without normals stay sharp where its triangles turn by more than so many degrees."""


class FolderCatalogue:
    """Objects read from files: one folder a class, one file an object, both in the order of their names.

    Files with the suffixes .glb and .obj have y up and face +z (glTF 2.0, section 3.4); .ply files have z up and face
    -y. Each named mesh of a file becomes a part, in the mean of its own colours if it has any.

    Args:
        folder: Where the class folders lie.

    Raises:
        ConfigError: the folder is missing, holds fewer than two classes, or a class holds no mesh. Files are read
            when they are needed.
    """

    def __init__(self, folder: Path) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ConfigError("no such folder of meshes", place=str(folder))
        classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if len(classes) < 2:
            raise ConfigError(
                f"a folder of meshes needs at least two classes, found {len(classes)}",
                place=str(folder),
                mend="make a folder for each class and put its meshes there",
            )
        self._files = {entry.name: _meshes(entry) for entry in classes}
        self._read = lru_cache(maxsize=256)(read_mesh)

    @property
    def instances(self) -> Mapping[str, int]:
        """For each class how many objects it has."""
        return MappingProxyType({name: len(files) for name, files in self._files.items()})

    def mesh(self, category: str, instance: int) -> Mesh:
        """Read an object, or take it from those that were read last.

        Raises:
            KeyError: there is no such class.
            IndexError: the class has no such object.
            ConfigError: the file can't be read, is empty, or holds numbers that are not finite.
        """
        files = self._files[category]
        if not 0 <= instance < len(files):
            raise IndexError(f"{category} has instances 0 to {len(files) - 1}, not {instance}")
        return self._read(files[instance])


def _meshes(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise ConfigError("a class without a mesh", place=str(folder), mend="put .glb, .obj or .ply files there")
    return files


def read_mesh(path: Path) -> Mesh:
    """Read a file as one mesh: merged, centred, scaled, turned upright.

    Raises:
        ConfigError: the file can't be read, is empty or flat to a point, or holds numbers that are not finite.
    """
    import trimesh

    try:
        scene = trimesh.load_scene(path, process=False)
        bodies = [body for body in scene.dump() if isinstance(body, trimesh.Trimesh) and len(body.faces)]
        # The order of a scene's nodes is that of a set: not the same in every process.
        bodies.sort(key=lambda body: str(body.metadata.get("node")))
    except Exception as error:  # readers of formats raise whatever they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"can't read this mesh ({reason})", place=str(path)) from error
    if not bodies:
        raise ConfigError("this mesh has no triangles", place=str(path))
    vertices = np.concatenate([np.asarray(body.vertices, float) for body in bodies])
    starts = np.cumsum([0] + [len(body.vertices) for body in bodies])
    triangles = np.concatenate([_outwards(body) + start for body, start in zip(bodies, starts, strict=False)])
    parts = np.repeat(np.arange(len(bodies)), [len(body.faces) for body in bodies])
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ConfigError("a triangle of this mesh names a vertex that is not there", place=str(path))
    used = np.unique(triangles)
    if not np.isfinite(vertices[used]).all():
        raise ConfigError("this mesh has coordinates that are not finite", place=str(path))
    vertices[np.setdiff1d(np.arange(len(vertices)), used)] = vertices[used[0]]
    if path.suffix.lower() != ".ply":
        vertices = vertices @ rotation("x", 90).T
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    radius = np.sqrt(((vertices - centre) ** 2).sum(axis=1).max())
    if not radius > 0:
        raise ConfigError("this mesh has no size", place=str(path))
    vertices = (vertices - centre) / (2 * radius)
    vertices, triangles, parts = _simplified(vertices, triangles, parts)
    form = _creased(vertices, triangles)
    seeds = spawn_generator(0, "catalogue", f"{path.parent.name}/{path.name}").integers(0, 2**31, len(bodies))
    return Mesh(
        vertices=form.vertices,
        normals=normals(form),
        uvs=form.uvs,
        triangles=form.triangles,
        part_of_triangle=parts,
        parts=[
            Part(str(body.metadata.get("name", f"part {k}")), Material("plastic", int(seed)), _colour(body))
            for k, (body, seed) in enumerate(zip(bodies, seeds, strict=True))
        ],
    )


def _outwards(body: Any) -> Integers:
    """Triangles of a body, turned over if it is closed and inside out."""
    faces = np.asarray(body.faces, np.int64)
    return faces[:, ::-1] if body.is_watertight and body.volume < 0 else faces


def _colour(body: Any) -> tuple[float, float, float] | None:
    """Mean colour of what the file says the mesh looks like: linear RGB, or None if it says nothing."""
    if not body.visual.defined:
        return None
    visual = body.visual if body.visual.kind in ("vertex", "face") else body.visual.to_color()
    mean = np.asarray(visual.vertex_colors, float).reshape(-1, 4)[:, :3].mean(axis=0) / 255
    return linear(mean[0]), linear(mean[1]), linear(mean[2])


def _simplified(vertices: Floats, triangles: Integers, parts: Integers) -> tuple[Floats, Integers, Integers]:
    """Melt vertices that share a cell of a grid, ever coarser, until there are few enough triangles.

    Rossignac and Borrel, "Multi-resolution 3D approximations for rendering complex scenes", 1993: crude, but it
    takes any mesh, closed or not.
    """
    cells = 512.0
    while len(triangles) > MOST_TRIANGLES:
        x, y, z = np.floor((vertices + 0.5) * cells).astype(np.int64).T
        _, cell = np.unique((x << 40) + (y << 20) + z, return_inverse=True)
        counts = np.bincount(cell)
        vertices = np.stack([np.bincount(cell, vertices[:, k]) / counts for k in range(3)], axis=1)
        triangles = cell[triangles]
        a, b, c = triangles.T
        kept = (a != b) & (b != c) & (c != a)
        triangles, parts = triangles[kept], parts[kept]
        cells *= min(0.9, np.sqrt(MOST_TRIANGLES / max(len(triangles), 1)))
    return vertices, triangles, parts


def _creased(vertices: Floats, triangles: Integers) -> Form:
    """Shade a mesh smooth within and sharp across its creases, and lay texture on it from the six sides of a box.

    Two triangles that meet at an edge share normals there if they turn by less than `CREASE`; a corner's smoothing
    group is all that hangs together around it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, point = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    points = point.reshape(-1)[triangles]
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-30)
    # Directed edge 3 * t + k runs from corner k of triangle t to its next corner.
    ends = np.stack([points, np.roll(points, -1, axis=1)], axis=2).reshape(-1, 2)
    order = np.lexsort(np.sort(ends, axis=1).T)
    first, second = order[:-1], order[1:]
    same = (np.sort(ends[first], axis=1) == np.sort(ends[second], axis=1)).all(axis=1)
    flat = (faces[first // 3] * faces[second // 3]).sum(axis=1) > np.cos(np.radians(CREASE))
    first, second = first[same & flat], second[same & flat]
    nexts = np.arange(3 * len(triangles)).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    aligned = ends[first, 0] == ends[second, 0]
    links = np.concatenate(
        [
            np.stack([first, np.where(aligned, second, nexts[second])]),
            np.stack([nexts[first], np.where(aligned, nexts[second], second)]),
        ],
        axis=1,
    )
    size = 3 * len(triangles)
    graph = coo_array((np.ones(links.shape[1], np.int8), (links[0], links[1])), shape=(size, size))
    _, groups = connected_components(graph, directed=False)
    sides = np.abs(faces).argmax(axis=1).repeat(3)
    _, chosen, corner = np.unique(groups * 3 + sides, return_index=True, return_inverse=True)
    placed, side = vertices[triangles.ravel()[chosen]], sides[chosen]
    rows = np.arange(len(placed))
    return Form(
        vertices=placed,
        uvs=np.stack([placed[rows, np.where(side == 0, 1, 0)], placed[rows, np.where(side == 2, 1, 2)]], axis=1),
        triangles=corner.reshape(-1, 3),
        smoothing=groups[chosen].astype(np.int64),
    )
