"""Sweet Home 3D furniture libraries (.sh3f) as a catalogue: each class is what the last word of the names says."""

from __future__ import annotations

import os
import posixpath
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from zipfile import BadZipFile, ZipFile

import attrs
import numpy as np

from task2sim import ConfigError
from task2sim_studio.catalogue.folder import KEPT
from task2sim_studio.catalogue.looks import reason
from task2sim_studio.catalogue.mesh_files import MOST_BYTES, SUFFIXES, MeshFile
from task2sim_studio.catalogue.mesh_reader import read_mesh
from task2sim_studio.forms import Floats
from task2sim_studio.mesh import Mesh

SUFFIX = ".sh3f"
CONTENTS = "PluginFurnitureCatalog.properties"
"""The file in a library that lists its objects, in English."""

_BROKEN = (BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, zlib.error)
"""What zipfile raises for an archive that is no archive, damaged, encrypted or packed in a way it does not know."""


@attrs.frozen(eq=False)
class _Object:
    library: Path
    name: str
    model: str
    rotation: Floats | None
    extent: tuple[float, float, float] | None


class SweetHomeCatalogue:
    """Objects of furniture libraries, grouped by `head_noun` of their names; classes of a single object are left out.

    Objects come in the order of the libraries' names and of their numbers there, classes in that of their names.
    Objects whose model is no .obj, .glb or .ply file are left out. Pictures that a library lacks are done without,
    as Sweet Home 3D does.

    Args:
        libraries: One or more .sh3f files.

    Raises:
        ConfigError: a library can't be read, or there are fewer than two classes.
    """

    def __init__(self, libraries: Sequence[Path]) -> None:
        self._archives: dict[tuple[Path, int], ZipFile] = {}
        objects = [item for library in sorted(libraries) for item in self._objects(library)]
        nouns = [head_noun(item.name) for item in objects]
        groups: dict[str, list[_Object]] = {}
        for item, noun in zip(objects, nouns, strict=True):
            groups.setdefault(noun[:-1] if noun.endswith("s") and noun[:-1] in nouns else noun, []).append(item)
        self._classes = {noun: groups[noun] for noun in sorted(groups) if noun and len(groups[noun]) > 1}
        if len(self._classes) < 2:
            raise ConfigError(
                f"furniture libraries need at least two classes of two objects, found {len(self._classes)}",
                place=", ".join(str(library) for library in libraries),
            )
        self._load = lru_cache(maxsize=KEPT)(self._read)

    @property
    def instances(self) -> Mapping[str, int]:
        """For each class how many objects it has."""
        return MappingProxyType({name: len(objects) for name, objects in self._classes.items()})

    def mesh(self, category: str, instance: int) -> Mesh:
        """Read an object, or take it from those that were read last.

        Raises:
            KeyError: there is no such class.
            IndexError: the class has no such object.
            ConfigError: its model can't be read, is empty or too big.
        """
        objects = self._classes[category]
        if not 0 <= instance < len(objects):
            raise IndexError(f"{category} has instances 0 to {len(objects) - 1}, not {instance}")
        return self._load(objects[instance])

    def _read(self, item: _Object) -> Mesh:
        return read_mesh(
            MeshFile(
                place=f"{item.library}/{item.model}",
                suffix=PurePosixPath(item.model).suffix.lower(),
                read=partial(self._member, item.library, item.model),
                beside=partial(self._beside, item),
                forgiving=True,
                rotation=item.rotation,
                extent=item.extent,
            )
        )

    def _objects(self, library: Path) -> Iterator[_Object]:
        properties = parse_properties(self._member(library, CONTENTS).decode("latin-1"))
        numbers = (key.partition("#")[2] for key in properties if key.startswith("model#"))
        for number in sorted(int(number) for number in numbers if number.isdigit()):
            values = {key: properties.get(f"{key}#{number}", "") for key in _KEYS}
            model = values["model"].lstrip("/")
            if PurePosixPath(model).suffix.lower() in SUFFIXES:
                turn, extent = _numbers(values["modelRotation"], 9), [_numbers(values[key], 1) for key in _SIZES]
                yield _Object(
                    library=library,
                    name=values["name"],
                    model=model,
                    rotation=np.array(turn).reshape(3, 3) if turn else None,
                    extent=(extent[0][0], extent[1][0], extent[2][0]) if all(extent) else None,
                )

    def _beside(self, item: _Object, name: str) -> bytes | None:
        """Read a file that a model names, or one of that name right beside it."""
        folder, named = PurePosixPath(item.model).parent, PurePosixPath(name.replace("\\", "/"))
        members = self._archive(item.library).NameToInfo
        for candidate in (folder / named, folder / named.name):
            member = posixpath.normpath(candidate)
            if member in members:
                return self._member(item.library, member)
        return None

    def _member(self, library: Path, name: str) -> bytes:
        """Read a file of a library, in memory."""
        try:
            archive = self._archive(library)
            size = archive.getinfo(name).file_size
            if size > MOST_BYTES:
                raise ConfigError(
                    f"{name} in this furniture library is too big to be read: {size / 2**30:.1f} GB",
                    place=str(library),
                )
            return archive.read(name)
        except KeyError as error:
            raise ConfigError(f"this furniture library lacks {name}", place=str(library)) from error
        except _BROKEN as error:
            raise ConfigError(
                f"can't read this furniture library ({reason(error)})", place=str(library), mend="download it anew"
            ) from error

    def _archive(self, library: Path) -> ZipFile:
        """The open library; a forked process opens its own."""
        key = (library, os.getpid())
        if key not in self._archives:
            self._archives[key] = ZipFile(library)
        return self._archives[key]


_SIZES = ("width", "height", "depth")
_KEYS = ("name", "model", "modelRotation", *_SIZES)


def head_noun(name: str) -> str:
    """What kind of thing an English name names: its last word, in lower case.

    What comes after a preposition, a conjunction, a comma, a bracket, a dash or a number is cut off before, and so
    are codes in capitals: "Sofa 2 seats" is a sofa, "Double door with panes" a door, "Convertible sofa BZ" a sofa.
    """
    phrase = re.split(r"[,;(/]| [-–] |\b(?:with|without|on|under|in|of|for|and|at|to)\b|(?:^|\s)\d", name)[0]
    words = phrase.split()
    while len(words) > 1 and words[-1].isupper():
        words.pop()
    return words[-1].lower() if words else ""


def parse_properties(text: str) -> dict[str, str]:
    """Read a Java .properties file (java.util.Properties.load), already decoded from Latin-1."""
    properties = {}
    lines = re.sub(r"(?<!\\)((?:\\\\)*)\\(?:\r\n|\r|\n)[ \t\f]*", r"\1", text).splitlines()
    for line in lines:
        line = line.lstrip(" \t\f")
        if line and line[0] not in "#!":
            match = re.match(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line)
            if match:
                properties[_unescaped(match[1])] = _unescaped(match[2])
    return properties


def _unescaped(text: str) -> str:
    simple = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.)|$)",
        lambda match: chr(int(match[1], 16)) if match[1] else simple.get(match[2] or "", match[2] or ""),
        text,
    )


def _numbers(text: str, count: int) -> list[float]:
    """So many numbers, or none if the text holds anything else."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else []
