"""A folder of meshes as a catalogue: ``folder/class/object.glb`` (or .obj, .ply)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from task2sim import ConfigError
from task2sim_studio.catalogue.mesh_files import MOST_BYTES, SUFFIXES, MeshFile
from task2sim_studio.catalogue.mesh_reader import read_mesh
from task2sim_studio.mesh import Mesh

KEPT = 32
"""So many of the meshes that were read last stay in memory: with their pictures they may take 10 MB each."""


class FolderCatalogue:
    """Objects read from files: one folder a class, one file an object, both in the order of their names.

    Files with the suffixes .glb and .obj have y up and face +z (glTF 2.0, section 3.4); .ply files have z up and face
    -y. Each material or named mesh of a file becomes a part, with its colours and pictures.

    Args:
        folder: Where the class folders lie.

    Raises:
        ConfigError: the folder is missing, holds fewer than two classes, or a class holds no mesh. Files are read
            when they are needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise ConfigError("no such folder of meshes", place=str(folder))
        classes = sorted(e for e in self._folder.iterdir() if e.is_dir() and not e.name.startswith("."))
        if len(classes) < 2:
            raise ConfigError(
                f"a folder of meshes needs at least two classes, found {len(classes)}",
                place=str(folder),
                mend="make a folder for each class and put its meshes there",
            )
        self._files = {entry.name: _meshes(entry) for entry in classes}
        self._load = lru_cache(maxsize=KEPT)(self._read)

    @property
    def instances(self) -> Mapping[str, int]:
        """For each class how many objects it has."""
        return MappingProxyType({name: len(files) for name, files in self._files.items()})

    def mesh(self, category: str, instance: int) -> Mesh:
        """Read an object, or take it from those that were read last.

        Raises:
            KeyError: there is no such class.
            IndexError: the class has no such object.
            ConfigError: the file can't be read, is empty or too big, or wants a picture that is not there.
        """
        files = self._files[category]
        if not 0 <= instance < len(files):
            raise IndexError(f"{category} has instances 0 to {len(files) - 1}, not {instance}")
        return self._load(files[instance])

    def _read(self, path: Path) -> Mesh:
        return read_mesh(
            MeshFile(
                place=str(path),
                suffix=path.suffix.lower(),
                read=partial(_content, path),
                beside=partial(_beside, self._folder, path),
            )
        )


def _meshes(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.iterdir()
        # Hidden files, such as other systems leave, don't count; nor do they in the fingerprint.
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not files:
        raise ConfigError("a class without a mesh", place=str(folder), mend="put .glb, .obj or .ply files there")
    return files


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ConfigError(
                f"this file is too big to be read: {size / 2**30:.1f} GB",
                place=str(path),
                mend=f"make it smaller than {MOST_BYTES / 2**30:.0f} GB",
            )
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"can't read this file ({error.strerror or error})", place=str(path)) from error


def _beside(folder: Path, mesh: Path, name: str) -> bytes | None:
    """Read a file that a mesh names, or one of that name right beside it: many a mesh names where it was made.

    Only within the folder: what lies outside can't be told from a picture that changes behind the study's back.
    """
    named = PurePosixPath(name.replace("\\", "/"))
    for candidate in (mesh.parent / named, mesh.parent / named.name):
        path = Path(os.path.normpath(candidate))
        if path.is_relative_to(os.path.normpath(folder)) and path.is_file():
            return _content(path)
    return None
