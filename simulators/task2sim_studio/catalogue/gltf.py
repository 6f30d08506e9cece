"""Materials of binary glTF files: Khronos, "glTF 2.0 specification", sections 3.9 and 4.4."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import unquote

import numpy as np

from task2sim import ConfigError
from task2sim_studio.catalogue.looks import FileReader, Look, Picture, Pictures, albedo, rgb, share
from task2sim_studio.forms import Floats
from task2sim_studio.mesh import Textures

_UNREAD = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization"}
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_HEADER, _CHUNK = struct.Struct("<III"), struct.Struct("<II")


class BinaryGltf:
    """A .glb file taken apart.

    Args:
        data: The file.
        place: Its name, for errors.

    Raises:
        ConfigError: it needs an extension that is not read.
        ValueError, LookupError, struct.error: it is no .glb file, or is broken.
    """

    def __init__(self, data: bytes, place: str) -> None:
        _, version, _ = _HEADER.unpack_from(data)
        if data[:4] != b"glTF" or version != 2:
            raise ValueError("not a glTF 2.0 file")
        self._chunks: list[tuple[int, bytes]] = []
        start = _HEADER.size
        while start + _CHUNK.size <= len(data):
            length, kind = _CHUNK.unpack_from(data, start)
            start += _CHUNK.size
            self._chunks.append((kind, data[start : start + length]))
            start += length
        self._tree: dict[str, Any] = json.loads(dict(self._chunks)[_JSON])
        unread = _UNREAD & set(self._tree.get("extensionsRequired", ()))
        if unread:
            raise ConfigError(
                f"this mesh needs the glTF extension {min(unread)}, which is not read",
                place=place,
                mend="export it without compression",
            )

    def without_looks(self) -> bytes:
        """The file with its materials emptied and named by their numbers, so that only geometry is left to read."""
        tree = {key: value for key, value in self._tree.items() if key not in ("images", "textures", "samplers")}
        tree["materials"] = [{"name": str(number)} for number in range(len(self._tree.get("materials", ())))]
        text = json.dumps(tree).encode()
        text += b" " * (-len(text) % 4)
        chunks = [(_JSON, text), *((kind, chunk) for kind, chunk in self._chunks if kind != _JSON)]
        body = b"".join(_CHUNK.pack(len(chunk), kind) + chunk for kind, chunk in chunks)
        return _HEADER.pack(0x46546C67, 2, _HEADER.size + len(body)) + body

    def reader(self, beside: FileReader) -> FileReader:
        """Read pictures by their names: out of the file, or from `beside` it."""
        images = {self._name(number): image for number, image in enumerate(self._tree.get("images", ()))}

        def read(name: str) -> bytes | None:
            image = images[name]
            if "bufferView" in image:
                view = self._tree["bufferViews"][image["bufferView"]]
                start = view.get("byteOffset", 0)
                return dict(self._chunks)[_BINARY][start : start + view["byteLength"]]
            uri = image["uri"]
            return base64.b64decode(uri.partition(",")[2]) if uri.startswith("data:") else beside(unquote(uri))

        return read

    def look(self, number: int, pictures: Pictures) -> Look:
        """The look of a material.

        Raises:
            ConfigError: a picture is missing or can't be read.
            LookupError, TypeError: the file is broken.
        """
        material = self._tree["materials"][number]
        physical = material.get("pbrMetallicRoughness", {})
        base = self._picture(physical.get("baseColorTexture"), pictures)
        rough = self._picture(physical.get("metallicRoughnessTexture"), pictures)
        normal = self._picture(material.get("normalTexture"), pictures)
        factor = np.array(physical.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0)), float)
        opacity = None
        if material.get("alphaMode") == "BLEND":
            opacity = share(factor[3] * (1.0 if base is None else base[..., 3].mean() / 255))
        textures = None
        if base is not None or rough is not None or normal is not None:
            textures = Textures(
                albedo=None if base is None else albedo(base),
                roughness_metalness=None if rough is None else np.ascontiguousarray(rough[..., 1:3]),
                normal=None if normal is None else np.ascontiguousarray(normal[..., :3]),
            )
        return Look(
            colour=rgb(factor),
            roughness=share(physical.get("roughnessFactor", 1.0)),
            metalness=share(physical.get("metallicFactor", 1.0)),
            opacity=opacity,
            textures=textures,
        )

    def laid(self, number: int, uvs: Floats | None) -> Floats | None:
        """Move texture coordinates to where a material's base picture lies (KHR_texture_transform; not turned).

        Args:
            number: The material's.
            uvs: float64 array of shape (V, 2), v upwards, or None.
        """
        texture = self._tree["materials"][number].get("pbrMetallicRoughness", {}).get("baseColorTexture", {})
        transform = texture.get("extensions", {}).get("KHR_texture_transform")
        if transform is None or uvs is None:
            return uvs
        (x, y), (wide, high) = transform.get("offset", (0.0, 0.0)), transform.get("scale", (1.0, 1.0))
        return np.stack([uvs[:, 0] * wide + x, 1 - ((1 - uvs[:, 1]) * high + y)], axis=1)

    def _picture(self, texture: dict[str, Any] | None, pictures: Pictures) -> Picture | None:
        if texture is None:
            return None
        found = self._tree["textures"][texture["index"]]
        webp = found.get("extensions", {}).get("EXT_texture_webp", {})
        return pictures.load(self._name(webp.get("source", found.get("source"))))

    def _name(self, number: int) -> str:
        image = self._tree["images"][number]
        uri = image.get("uri", "data:")
        return unquote(uri) if not uri.startswith("data:") else f"{number} {image.get('name', '')}".strip()
