"""Packs scenes into the arrays that the kernels read, vectorised over a batch, and describes them as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import Scene
from task2sim_studio import kernels
from task2sim_studio.materials import surfaces
from task2sim_studio.mesh import MATERIALS, Part
from task2sim_studio.patterns import Surface

SUN_IRRADIANCE = 3.5
"""Of a sun of intensity 1, on a surface that faces it; a clear day's surroundings have a mean radiance of 0.42."""


@attrs.frozen(eq=False)
class Placed:
    """Where a mesh lies in the device's arrays, and what packing needs to know of it."""

    vertices: int
    triangles: int
    first_vertex: int
    first_triangle: int
    closed: bool
    parts: tuple[Part, ...]
    kinds: NDArray[np.int64]
    seeds: NDArray[np.int64]
    colours: NDArray[np.float32]


def layout(struct: Any) -> np.dtype[Any]:
    """The NumPy layout of a Warp struct."""
    described: np.dtype[Any] = np.dtype(struct.numpy_dtype())
    return described


def _normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _axes(
    forward: NDArray[np.float64], up: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors that make a right-handed system (right, up, -forward) with unit `forward`, picture upright."""
    along = np.cross(forward, np.array(up))
    steep = np.linalg.norm(along, axis=-1, keepdims=True) < 1e-6
    right = _normalised(np.where(steep, np.cross(forward, np.array((0.0, 1.0, 0.0))), along))
    return right, np.cross(right, forward)


def _matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices of shape (N, 3, 3) of quaternions (x, y, z, w)."""
    x, y, z, w = np.moveaxis(_normalised(quaternions), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def pack_views(scenes: Sequence[Scene], environments: Sequence[int], resolution: int) -> NDArray[Any]:
    """Pack cameras, suns and surroundings: one `kernels.View` a scene."""
    cameras, suns = [scene.camera for scene in scenes], [scene.sun for scene in scenes]
    out = np.zeros(len(scenes), layout(kernels.View))
    origin = np.array([camera.position for camera in cameras])
    forward = _normalised(np.array([camera.target for camera in cameras]) - origin)
    right, up = _axes(forward, (0.0, 0.0, 1.0))
    out["origin"], out["right"], out["down"], out["forward"] = origin, right, -up, forward
    lens = np.array([(c.field_of_view, c.focus_distance, c.aperture) for c in cameras])
    focal = 0.5 * resolution / np.tan(np.radians(lens[:, 0]) / 2.0)
    out["focal"], out["focus_inverse"], out["aperture"] = focal, 1.0 / lens[:, 1], lens[:, 2]

    sun = _normalised(np.array([s.direction for s in suns]))
    sun_right, sun_up = _axes(-sun, (0.0, 0.0, 1.0))
    out["sun"], out["sun_right"], out["sun_up"] = sun, sun_right, sun_up
    out["sun_radiance"] = SUN_IRRADIANCE * np.array([np.multiply(s.colour, s.intensity) for s in suns])

    # The ball around all objects bounds the shadow map; balls seen from the camera bound the blur.
    owner = np.repeat(np.arange(len(scenes)), [len(scene.objects) for scene in scenes])
    centres = np.array([item.position for scene in scenes for item in scene.objects])
    radii = 0.5 * np.array([item.size for scene in scenes for item in scene.objects])
    low, high = np.full((len(scenes), 3), np.inf), np.full((len(scenes), 3), -np.inf)
    np.minimum.at(low, owner, centres - radii[:, None])
    np.maximum.at(high, owner, centres + radii[:, None])
    middle = 0.5 * (low + high)
    reach = np.zeros(len(scenes))
    np.maximum.at(reach, owner, np.linalg.norm(centres - middle[owner], axis=1) + radii)
    out["shadow_centre"], out["shadow_radius"] = middle, 1.02 * reach

    seen = centres - origin[owner]
    depth = np.einsum("ij,ij->i", seen, forward[owner])
    distance = np.linalg.norm(seen, axis=1)
    blur = np.zeros(len(scenes))
    for surface in (depth - radii, depth + radii):
        disc = np.abs(out["focus_inverse"][owner] - 1.0 / np.maximum(surface, kernels.NEAR))
        np.maximum.at(blur, owner, 0.5 * (out["aperture"] * out["focal"])[owner] * disc)
    blur = np.minimum(blur, 0.25 * resolution)
    out["blur_limit"] = blur
    # Beside the middle of the picture a ball's image is an ellipse; twice its radius at the middle covers that.
    away = np.sqrt(np.maximum(distance**2 - radii**2, 1e-12))
    inside = (distance <= 1.05 * radii) | (depth <= radii)
    spread = np.where(inside, 1e9, 1.5 * focal[owner] * radii / away + blur[owner] + 2.0)
    safe = np.maximum(depth, 1e-3)
    x = 0.5 * resolution + focal[owner] * np.einsum("ij,ij->i", seen, right[owner]) / safe
    y = 0.5 * resolution - focal[owner] * np.einsum("ij,ij->i", seen, up[owner]) / safe
    box = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf]), (len(scenes), 1))
    np.minimum.at(box[:, :2], owner, np.stack([x - spread, y - spread], axis=-1))
    np.maximum.at(box[:, 2:], owner, np.stack([x + spread, y + spread], axis=-1))
    out["blur_box"] = box

    out["environment"] = environments
    turns = _matrices(np.array([scene.background.rotation for scene in scenes]))
    out["to_environment"] = turns.transpose(0, 2, 1)
    return out


def pack_draws(scenes: Sequence[Scene], meshes: Sequence[Placed], labels: dict[str, int]) -> NDArray[Any]:
    """Pack objects: one `kernels.Draw` each, scene by scene."""
    objects = [item for scene in scenes for item in scene.objects]
    out = np.zeros(len(objects), layout(kernels.Draw))
    out["view"] = np.repeat(np.arange(len(scenes)), [len(scene.objects) for scene in scenes])
    out["number"] = [number for scene in scenes for number in range(1, len(scene.objects) + 1)]
    out["category"] = [labels[item.category] for item in objects]
    out["rotation"] = _matrices(np.array([item.rotation for item in objects]))
    out["position"] = [item.position for item in objects]
    out["size"] = [item.size for item in objects]
    for field in ("closed", "vertices", "first_vertex", "triangles", "first_triangle"):
        out[field] = [getattr(mesh, field) for mesh in meshes]
    out["first_placed"] = np.cumsum(out["vertices"]) - out["vertices"]
    parts = np.array([len(mesh.parts) for mesh in meshes])
    out["first_surface"] = np.cumsum(parts) - parts
    return out


def pack_surfaces(scenes: Sequence[Scene], meshes: Sequence[Placed]) -> NDArray[Any]:
    """Pack materials: one `patterns.Surface` for each part of each object."""
    kinds, seeds, colours = [], [], []
    numbers = {name: kind for kind, name in enumerate(MATERIALS)}
    objects = (item for scene in scenes for item in scene.objects)
    for item, mesh in zip(objects, meshes, strict=True):
        if item.materials:
            worn = [item.materials[part % len(item.materials)] for part in range(len(mesh.parts))]
            kinds.append(np.array([numbers[material.name] for material in worn]))
            seeds.append(np.array([material.seed for material in worn]))
            colours.append(np.full((len(worn), 3), np.nan, dtype=np.float32))
        else:
            kinds.append(mesh.kinds)
            seeds.append(mesh.seeds)
            colours.append(mesh.colours)
    return surfaces(np.concatenate(kinds), np.concatenate(seeds), np.concatenate(colours), layout(Surface))


def chunks(counts: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Cut draws of `counts` elements into chunks: the draw of each chunk, and its first element in the draw."""
    per_draw = -(-counts // kernels.CHUNK)
    draw = np.repeat(np.arange(len(counts), dtype=np.int32), per_draw)
    first = np.arange(len(draw), dtype=np.int32) - np.repeat(np.cumsum(per_draw) - per_draw, per_draw)
    return draw, np.asarray(first * kernels.CHUNK, dtype=np.int32)


def scene_graphs(scenes: Sequence[Scene], meshes: Sequence[Placed]) -> tuple[dict[str, Any], ...]:
    """Describe scenes as plain data that JSON can hold."""
    of_object = iter(meshes)
    graphs = []
    for scene in scenes:
        objects = []
        for number, item in enumerate(scene.objects, start=1):
            parts = []
            for k, part in enumerate(next(of_object).parts):
                material = item.materials[k % len(item.materials)] if item.materials else part.material
                colour = None if item.materials or part.colour is None else list(part.colour)
                parts.append({"name": part.name, "material": material.name, "seed": material.seed, "colour": colour})
            objects.append(
                {
                    "number": number,
                    "category": item.category,
                    "instance": item.instance,
                    "position": list(item.position),
                    "rotation": list(item.rotation),
                    "size": item.size,
                    "parts": parts,
                }
            )
        camera, sun = scene.camera, scene.sun
        graphs.append(
            {
                "index": scene.index,
                "objects": objects,
                "camera": {
                    "position": list(camera.position),
                    "target": list(camera.target),
                    "field_of_view": camera.field_of_view,
                    "focus_distance": camera.focus_distance,
                    "aperture": camera.aperture,
                },
                "sun": {"direction": list(sun.direction), "colour": list(sun.colour), "intensity": sun.intensity},
                "background": {"name": scene.background.name, "rotation": list(scene.background.rotation)},
            }
        )
    return tuple(graphs)
