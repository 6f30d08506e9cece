"""Reads a mesh file, or takes it from the cache."""

from __future__ import annotations

from time import perf_counter

import attrs

from task2sim import Material, fingerprint_libraries, spawn_generator
from task2sim_studio.catalogue import looks, mesh_cache, mesh_shape
from task2sim_studio.catalogue.mesh_files import MeshFile, read_bodies
from task2sim_studio.forms import normals
from task2sim_studio.mesh import Mesh, Part

VERSION = 2
"""Counted up when the same file makes another mesh than before."""

WORTH_CACHING = 0.05
"""Meshes that are read in fewer seconds are not cached."""

LIBRARIES = ("fast-simplification", "numpy", "pillow", "scipy", "trimesh")
"""What reads meshes: another version may make other meshes."""


def read_mesh(file: MeshFile) -> Mesh:
    """Read a file as one mesh, the same in every process; its parts are the file's materials or named meshes.

    Raises:
        ConfigError: the file is broken, empty, too big or has no size, holds numbers that are not finite, or a file
            that it names is missing or broken.
    """
    data = file.read()
    key = _key(file, data)
    cached = mesh_cache.read_cached(key, file.beside)
    if cached is not None:
        return cached
    beside: dict[str, str] = {}

    def read_beside(name: str) -> bytes | None:
        content = file.beside(name)
        beside[name] = mesh_cache.digest(content)
        return content

    started = perf_counter()
    bodies = read_bodies(file, data, read_beside)
    shape = mesh_shape.shape_of(bodies, file)
    form = mesh_shape.creased(shape)
    seeds = spawn_generator(0, "catalogue", mesh_cache.digest(data)).integers(0, 2**31, len(bodies))
    mesh = Mesh(
        vertices=form.vertices,
        normals=normals(form),
        uvs=form.uvs,
        triangles=form.triangles,
        part_of_triangle=shape.parts,
        parts=[
            Part(body.name, Material("plastic", int(seed)), **attrs.asdict(body.look, recurse=False))
            for body, seed in zip(bodies, seeds, strict=True)
        ],
    )
    if perf_counter() - started > WORTH_CACHING:
        mesh_cache.write_cached(key, mesh, beside)
    return mesh


def _key(file: MeshFile, data: bytes) -> str:
    rotation = None if file.rotation is None else file.rotation.tolist()
    limits = (mesh_shape.MOST_TRIANGLES, mesh_shape.CREASE, looks.MOST_PIXELS)
    made_by = (VERSION, limits, fingerprint_libraries(*LIBRARIES))
    made_from = (file.suffix, file.forgiving, rotation, file.extent, mesh_cache.digest(data))
    return mesh_cache.digest(repr((made_by, made_from)).encode())
