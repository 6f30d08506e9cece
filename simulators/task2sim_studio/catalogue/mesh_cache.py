"""Meshes that took long to read, in the cache: as arrays, with their parts described in JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from task2sim import Material
from task2sim_studio.cache import read_arrays, write_arrays
from task2sim_studio.catalogue.looks import FileReader
from task2sim_studio.mesh import Mesh, Part, Textures

KIND = "meshes"

_ARRAYS = ("vertices", "normals", "uvs", "triangles", "part_of_triangle")
_PICTURES = tuple(attribute.name for attribute in attrs.fields(Textures))


def digest(data: bytes | None) -> str:
    """The hash of a file's content, or of its absence."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def read_cached(key: str, beside: FileReader) -> Mesh | None:
    """Read a mesh, unless it is not there, broken, or a file that it was made from has changed.

    Args:
        key: The hash of what it was made from.
        beside: Reads the files that the mesh file names.
    """
    arrays = read_arrays(KIND, key)
    if arrays is None:
        return None
    with contextlib.suppress(Exception):  # whatever is wrong with it: it can be made anew
        description = json.loads(arrays["description"].tobytes())
        if any(digest(beside(name)) != expected for name, expected in description["beside"].items()):
            return None
        pictures = [arrays[f"picture{number}"] for number in range(description["pictures"])]
        return Mesh(
            **{name: arrays[name] for name in _ARRAYS},
            parts=[_part(part, pictures) for part in description["parts"]],
        )
    return None


def write_cached(key: str, mesh: Mesh, beside: Mapping[str, str]) -> None:
    """Keep a mesh.

    Args:
        key: The hash of what it was made from.
        mesh: The mesh.
        beside: `digest` of each file that the mesh file names.
    """
    pictures: list[Any] = []
    parts = [_description(part, pictures) for part in mesh.parts]
    description = json.dumps({"beside": dict(beside), "pictures": len(pictures), "parts": parts}).encode()
    arrays = {name: getattr(mesh, name) for name in _ARRAYS}
    arrays |= {f"picture{number}": picture for number, picture in enumerate(pictures)}
    arrays["description"] = np.frombuffer(description, np.uint8)
    write_arrays(KIND, key, arrays)


def _description(part: Part, pictures: list[Any]) -> dict[str, Any]:
    """A part as JSON can hold it; its pictures go to a list, each once."""
    description = attrs.asdict(part, filter=attrs.filters.exclude(attrs.fields(Part).textures))
    if part.textures is not None:
        description["textures"] = {}
        for name in _PICTURES:
            picture = getattr(part.textures, name)
            if picture is not None:
                numbers = [number for number, known in enumerate(pictures) if known is picture]
                if not numbers:
                    numbers = [len(pictures)]
                    pictures.append(picture)
                description["textures"][name] = numbers[0]
    return description


def _part(description: dict[str, Any], pictures: list[Any]) -> Part:
    textures = description.pop("textures", None)
    colour = description.pop("colour")
    return Part(
        material=Material(**description.pop("material")),
        colour=None if colour is None else tuple(colour),
        textures=None if textures is None else Textures(**{k: pictures[number] for k, number in textures.items()}),
        **description,
    )
