"""Wavefront materials: Ramey, Rose and Tyerman, "MTL material format", 1995, with Clara.io's Pr, Pm and norm."""

from __future__ import annotations

import re

import numpy as np

from task2sim_studio.catalogue.looks import Look, Picture, Pictures, albedo, linear, rgb, share
from task2sim_studio.mesh import Textures

Statements = dict[str, str]
"""What an .mtl file says of one material: keywords in lower case, and what follows them."""

_OPTIONS = re.compile(r"(?:-(?:type|imfchan)\s+\S+\s+|-\w+\s+(?:(?:on|off|[-+]?[\d.]+(?:e[-+]?\d+)?)\s+)*)*", re.I)
"""What may stand between ``map_Kd`` and the name of the picture."""


def text_of(data: bytes) -> str:
    """Decode a file that nobody says the encoding of."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def libraries(text: str) -> list[str]:
    """Names of the .mtl files that an .obj file asks for."""
    return [match.strip() for match in re.findall(r"^mtllib\s+(.+)$", text, re.MULTILINE)]


def parse_materials(text: str) -> dict[str, Statements]:
    """Read an .mtl file: what it says of each material, by its name."""
    materials: dict[str, Statements] = {}
    current: Statements = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ") if "\t" not in line else line.strip().partition("\t")
        if keyword.lower() == "newmtl":
            current = materials.setdefault(" ".join(value.split()), {})
        elif keyword and not keyword.startswith("#"):
            current.setdefault(keyword.lower(), value.strip())
    return materials


def look(statements: Statements, pictures: Pictures) -> Look:
    """Turn the statements about a material into its look.

    The colour is that of the picture alone where there is one: exporters write a grey ``Kd`` beside it that nobody
    means. A Phong exponent n becomes the roughness with the same width of highlight, alpha² = 2 / (n + 2) (Walter et
    al., "Microfacet models for refraction through rough surfaces", 2007), alpha being the roughness squared; what
    has no highlight is rough.

    Raises:
        ConfigError: a picture is missing or can't be read.
    """
    picture = _picture(statements, "map_kd", pictures)
    diffuse = _numbers(statements, "kd")
    colour = None
    if picture is not None:
        colour = (1.0, 1.0, 1.0)
    elif diffuse:
        colour = rgb(linear(np.clip((diffuse * 3)[:3], 0, 1)))
    dissolve, transparency = _numbers(statements, "d"), _numbers(statements, "tr")
    opacity = dissolve[-1] if dissolve else 1 - transparency[-1] if transparency else 1.0
    normal = _picture(statements, "norm", pictures)
    textures = None
    if picture is not None or normal is not None:
        textures = Textures(
            albedo=None if picture is None else albedo(picture),
            normal=None if normal is None else np.ascontiguousarray(normal[..., :3]),
        )
    metalness = _numbers(statements, "pm")
    return Look(
        colour=colour,
        roughness=_roughness(statements),
        metalness=share(metalness[0]) if metalness else 0.0,
        opacity=share(opacity) if share(opacity) < 1 else None,
        textures=textures,
    )


def _roughness(statements: Statements) -> float | None:
    given, exponent, highlight = (_numbers(statements, keyword) for keyword in ("pr", "ns", "ks"))
    if given:
        return share(given[0])
    if (highlight and max(highlight) <= 0) or statements.get("illum", "2").strip() in ("0", "1"):
        return 1.0
    return float((2 / (max(exponent[0], 0.0) + 2)) ** 0.25) if exponent else None


def _numbers(statements: Statements, keyword: str) -> list[float]:
    numbers = []
    for word in statements.get(keyword, "").split():
        try:
            numbers.append(float(np.nan_to_num(float(word))))
        except ValueError:
            continue
    return numbers


def _picture(statements: Statements, keyword: str, pictures: Pictures) -> Picture | None:
    value = statements.get(keyword, "")
    match = _OPTIONS.match(value)
    name = value[match.end() :] if match else value
    return pictures.load(name) if name else None
