"""Reads .obj, .glb and .ply files: the geometry through trimesh, the looks by the modules beside this."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import attrs
import numpy as np

from task2sim import ConfigError
from task2sim_studio.catalogue import wavefront
from task2sim_studio.catalogue.gltf import BinaryGltf
from task2sim_studio.catalogue.looks import FileReader, Look, Pictures, albedo, linear, reason, rgb
from task2sim_studio.forms import Floats, Integers
from task2sim_studio.mesh import Textures

SUFFIXES = (".glb", ".obj", ".ply")
MOST_BYTES = 2**30
"""Larger files are refused: as text they take ten times their size to read."""
MOST_READ_TRIANGLES = 5_000_000
"""Meshes with more triangles are refused rather than simplified."""

SIMPLIFY = "simplify it in a modelling program"


@attrs.frozen(eq=False)
class MeshFile:
    """A mesh file, wherever it lies.

    Attributes:
        place: What errors call it.
        suffix: One of `SUFFIXES`.
        read: Reads it; raises `ConfigError`.
        beside: Reads another file by the name this one calls it.
        forgiving: Do without materials and pictures that are not there.
        rotation: float64 array of shape (3, 3): from the file's axes to upright ones, with y up and +z the front;
            or None if they are so (.glb, .obj) or have z up and -y the front (.ply).
        extent: Width, height and depth (x, y, z) to stretch it to after that, or None.
    """

    place: str
    suffix: str
    read: Callable[[], bytes]
    beside: FileReader
    forgiving: bool = False
    rotation: Floats | None = None
    extent: tuple[float, float, float] | None = None


@attrs.frozen(eq=False)
class Body:
    """The triangles of a part.

    Attributes:
        name: The part's name.
        vertices: float64 array of shape (V, 3), in the file's axes.
        triangles: int64 array of shape (T, 3).
        uvs: float64 array of shape (V, 2), or None.
        look: What it looks like.
    """

    name: str
    vertices: Floats
    triangles: Integers
    uvs: Floats | None
    look: Look


def read_bodies(file: MeshFile, data: bytes, beside: FileReader) -> list[Body]:
    """Read the parts of a mesh, one or more, each with one or more triangles.

    Args:
        file: The mesh.
        data: Its content.
        beside: Reads the files it names.

    Raises:
        ConfigError: the file is broken, empty or too big, holds numbers that are not finite, or a file that it
            names is missing or broken.
    """
    read = {".glb": _read_glb, ".obj": _read_obj, ".ply": _read_ply}[file.suffix]
    try:
        bodies = [body for body in read(file, data, beside) if len(body.triangles)]
    except ConfigError:
        raise
    except Exception as error:  # readers of formats raise whatever they like
        raise ConfigError(
            f"can't read this mesh ({reason(error)})", place=file.place, mend="export it anew, or remove it"
        ) from error
    if not bodies:
        raise ConfigError("this mesh has no triangles", place=file.place, mend="export it anew, or remove it")
    for body in bodies:
        if body.triangles.min() < 0 or body.triangles.max() >= len(body.vertices):
            raise ConfigError("a triangle of this mesh names a vertex that is not there", place=file.place)
        if not np.isfinite(body.vertices[body.triangles]).all():
            raise ConfigError("this mesh has coordinates that are not finite", place=file.place)
    return bodies


def _read_glb(file: MeshFile, data: bytes, beside: FileReader) -> Iterable[Body]:
    gltf = BinaryGltf(data, file.place)
    pictures = Pictures(file.place, gltf.reader(beside), file.forgiving)
    looks: dict[str, Look] = {}
    for name, mesh, copies in _geometries(file, gltf.without_looks(), beside):
        material = _material(mesh)
        look = Look()
        uvs = _uvs(mesh)
        if material is not None:
            look = looks.setdefault(material, gltf.look(int(material), pictures))
            uvs = gltf.laid(int(material), uvs)
        yield _body(name, mesh, copies, uvs, _tinted(look, _vertex_colours(mesh), is_linear=True))


def _read_obj(file: MeshFile, data: bytes, beside: FileReader) -> Iterable[Body]:
    if data.count(b"\nf") > MOST_READ_TRIANGLES:
        raise _too_many(file, data.count(b"\nf"))
    text = wavefront.text_of(data)
    materials: dict[str, wavefront.Statements] = {}
    for name in wavefront.libraries(text):
        library = beside(name)
        if library is None and not file.forgiving:
            raise ConfigError(
                f"this mesh wants the materials {name!r}, which are not there",
                place=file.place,
                mend="put the .mtl file beside it, or take the line 'mtllib' out of it",
            )
        materials |= wavefront.parse_materials(wavefront.text_of(library or b""))
    pictures = Pictures(file.place, beside, file.forgiving)
    # Numbers instead of names leave trimesh nothing to misread, and the looks to this package.
    numbers = {name: str(number) for number, name in enumerate(materials)}
    names = {number: name for name, number in numbers.items()}
    text = re.sub(r"^mtllib\b.*$", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^usemtl\b(.*)$",
        lambda match: f"usemtl {numbers.get(' '.join(match[1].split()), 'unknown')}",
        text,
        flags=re.MULTILINE,
    )
    stub = "".join(f"newmtl {number}\nKd 1 1 1\n" for number in names).encode()
    meshes = _geometries(file, f"mtllib stub\n{text}".encode(), lambda _: stub, split_objects=not names)
    for name, mesh, copies in reversed(meshes):  # trimesh takes an .obj file from its end
        material = names.get(_material(mesh) or "")
        look = Look() if material is None else wavefront.look(materials[material], pictures)
        yield _body(material or name, mesh, copies, _uvs(mesh), _tinted(look, _vertex_colours(mesh)))


def _read_ply(file: MeshFile, data: bytes, beside: FileReader) -> Iterable[Body]:
    header, _, _ = data[: 2**16].partition(b"end_header")
    counted = re.search(rb"element\s+face\s+(\d+)", header)
    if counted and int(counted[1]) > MOST_READ_TRIANGLES:
        raise _too_many(file, int(counted[1]))
    pictured = re.search(r"^comment\s+TextureFile\s+(.+)$", wavefront.text_of(header), re.MULTILINE | re.IGNORECASE)
    for name, mesh, copies in _geometries(file, data, beside, skip_materials=True):
        look, uvs = Look(), _uvs(mesh)
        if pictured and uvs is not None:
            picture = Pictures(file.place, beside, file.forgiving).load(pictured[1].strip())
            if picture is not None:
                look = Look(colour=(1.0, 1.0, 1.0), textures=Textures(albedo=albedo(picture)))
        yield _body(name, mesh, copies, uvs, _tinted(look, _vertex_colours(mesh)))


@attrs.frozen
class _Resolver:
    """How trimesh asks for the files that a mesh names."""

    read: FileReader

    def get(self, name: str) -> bytes:
        data = self.read(name)
        if data is None:
            raise FileNotFoundError(f"{name} is not there")
        return data

    __getitem__ = get


def _geometries(
    file: MeshFile, data: bytes, beside: FileReader, **options: Any
) -> list[tuple[str, Any, list[Floats]]]:
    """Every mesh of a file, in its order, with the transforms of its copies."""
    import trimesh

    resolver: Any = _Resolver(beside)
    scene = trimesh.load_scene(BytesIO(data), file_type=file.suffix[1:], resolver=resolver, process=False, **options)
    copies: dict[str, list[Floats]] = {name: [] for name in scene.geometry}
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        copies[str(name)].append(np.asarray(transform, float))
    meshes = [(name, mesh) for name, mesh in scene.geometry.items() if isinstance(mesh, trimesh.Trimesh)]
    count = sum(len(mesh.faces) * len(copies[name]) for name, mesh in meshes)
    if count > MOST_READ_TRIANGLES:
        raise _too_many(file, count)
    # The order of a scene's nodes, and the names of some, are not the same in every process.
    return [(name, mesh, sorted(copies[name], key=lambda copy: copy.ravel().tolist())) for name, mesh in meshes]


def _too_many(file: MeshFile, count: int) -> ConfigError:
    return ConfigError(
        f"this mesh has {count:,} triangles, more than {MOST_READ_TRIANGLES:,}", place=file.place, mend=SIMPLIFY
    )


def _material(mesh: Any) -> str | None:
    material = getattr(mesh.visual, "material", None)
    name = getattr(material, "name", None)
    return None if name is None else str(name)


def _uvs(mesh: Any) -> Floats | None:
    uvs = getattr(mesh.visual, "uv", None)
    if uvs is None or np.shape(uvs) != (len(mesh.vertices), 2):
        return None
    return np.asarray(uvs, float)


def _usable(uvs: Floats) -> Floats:
    """Texture coordinates that single precision can hold, whatever was done to them."""
    return np.asarray(np.clip(np.nan_to_num(uvs, posinf=0.0, neginf=0.0), -1e6, 1e6))


def _vertex_colours(mesh: Any) -> Floats | None:
    """A mesh's own colours, as they are in the file: RGB in [0, 1] of each vertex, or None if it has none."""
    visual = mesh.visual
    if visual.kind in ("vertex", "face"):
        colours = visual.vertex_colors
    else:
        colours = getattr(visual, "vertex_attributes", {}).get("color")
    if colours is None or not len(colours):
        return None
    scale = np.iinfo(colours.dtype).max if colours.dtype.kind in "ui" else 1.0
    return np.asarray(np.asarray(colours, float)[:, :3] / scale)


def _tinted(look: Look, colours: Floats | None, is_linear: bool = False) -> Look:
    """A look in the mean of a mesh's own colours, multiplied with that of its material if it has one."""
    if colours is None:
        return look
    mean = (colours if is_linear else linear(np.clip(colours, 0, 1))).mean(axis=0)
    return attrs.evolve(look, colour=rgb(mean * np.array(look.colour or (1.0, 1.0, 1.0))))


def _body(name: str, mesh: Any, copies: list[Floats], uvs: Floats | None, look: Look) -> Body:
    vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces, np.int64)
    with np.errstate(invalid="ignore"):  # what is not finite is refused later
        placed = [vertices @ copy[:3, :3].T + copy[:3, 3] for copy in copies]
    # A transform that mirrors turns triangles over.
    turned = [faces if np.linalg.det(copy[:3, :3]) >= 0 else faces[:, ::-1] for copy in copies]
    return Body(
        name=name,
        vertices=np.concatenate([np.empty((0, 3)), *placed]),
        triangles=np.concatenate(
            [np.empty((0, 3), np.int64), *(t + k * len(vertices) for k, t in enumerate(turned))]
        ),
        uvs=None if uvs is None or look.textures is None else np.tile(_usable(uvs), (len(copies), 1)),
        look=look,
    )
