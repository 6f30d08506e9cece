"""Packs scenes into the arrays that the kernels read, vectorised over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import Scene
from task2sim_studio.daylight import SUN_IRRADIANCE
from task2sim_studio.floor import LYING, RADIUS
from task2sim_studio.materials import surfaces
from task2sim_studio.mesh import MATERIALS, Part
from task2sim_studio.patterns import Surface
from task2sim_studio.structures import CHUNK, NEAR, Draw, View

IMAGES = {"albedo": True, "roughness_metalness": False, "normal": False}
"""The pictures of `Textures`, and whether they are colours (sRGB)."""

MOST_OBJECTS = 63
"""In a scene: each has a bit of a word that tells what hides what."""


@attrs.frozen(eq=False)
class Placed:
    """Where a mesh lies in the device's arrays, and what packing needs to know of it."""

    vertices: int
    triangles: int
    first_vertex: int
    first_triangle: int
    closed: bool
    vertex_positions: NDArray[np.float32]
    bulk: float
    parts: tuple[Part, ...]
    part_shares: NDArray[np.float64]
    kinds: NDArray[np.int64]
    seeds: NDArray[np.int64]
    colours: NDArray[np.float32]
    finishes: NDArray[np.float32]
    images: NDArray[np.int32]
    tints: NDArray[np.float32]


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


def stand(scenes: Sequence[Scene], meshes: Sequence[Placed]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find where objects really are, and how high the floors lie.

    Returns:
        float64 arrays of shape (objects, 3), positions in metres, and (scenes,), heights of floors, NaN without one.
    """
    positions = np.array([item.position for scene in scenes for item in scene.objects], dtype=np.float64)
    floors = np.full(len(scenes), np.nan)
    first = 0
    for number, scene in enumerate(scenes):
        if scene.floor is not None:
            turns = _matrices(np.array([item.rotation for item in scene.objects]))
            for k, item in enumerate(scene.objects):
                vertices = meshes[first + k].vertex_positions
                lowest = (
                    item.size * float(np.einsum("ij,j->i", vertices, turns[k, 2]).min()) if len(vertices) else 0.0
                )
                if k == 0:
                    floors[number] = positions[first, 2] + lowest
                positions[first + k, 2] = floors[number] - lowest
        first += len(scene.objects)
    return positions, floors


def pack_views(
    scenes: Sequence[Scene],
    positions: NDArray[np.float64],
    environments: Sequence[int],
    resolution: int,
) -> NDArray[Any]:
    """Pack cameras, suns and surroundings: one `structures.View` a scene."""
    cameras, suns = [scene.camera for scene in scenes], [scene.sun for scene in scenes]
    counts = np.array([len(scene.objects) for scene in scenes])
    floored = np.array([scene.floor is not None for scene in scenes])
    out = np.zeros(len(scenes), layout(View))
    origin = np.array([camera.position for camera in cameras])
    forward = _normalised(np.array([camera.target for camera in cameras]) - origin)
    right, up = _axes(forward, (0.0, 0.0, 1.0))
    out["origin"], out["right"], out["down"], out["forward"] = origin, right, -up, forward
    lens = np.array([(c.field_of_view, c.focus_distance, c.aperture, c.noise) for c in cameras])
    focal = 0.5 * resolution / np.tan(np.radians(lens[:, 0]) / 2.0)
    out["focal"], out["focus_inverse"], out["aperture"] = focal, 1.0 / lens[:, 1], lens[:, 2]
    out["noise"], out["noise_seed"] = lens[:, 3], [camera.noise_seed for camera in cameras]
    out["motion"] = resolution * np.array([camera.motion for camera in cameras])

    sun = _normalised(np.array([s.direction for s in suns]))
    sun_right, sun_up = _axes(-sun, (0.0, 0.0, 1.0))
    out["sun"], out["sun_right"], out["sun_up"] = sun, sun_right, sun_up
    out["sun_radiance"] = SUN_IRRADIANCE * np.array([np.multiply(s.colour, s.intensity) for s in suns])
    out["sun_radiance"][floored & (sun[:, 2] <= 0.0)] = 0.0  # it shines on the floor's other side
    out["sun_spread"] = np.tan(np.radians([0.5 * s.angular_diameter for s in suns]))

    # The ball around all objects bounds the shadow map; balls seen from the camera bound the blur.
    owner = np.repeat(np.arange(len(scenes)), counts)
    radii = 0.5 * np.array([item.size for scene in scenes for item in scene.objects])
    low, high = np.full((len(scenes), 3), np.inf), np.full((len(scenes), 3), -np.inf)
    np.minimum.at(low, owner, positions - radii[:, None])
    np.maximum.at(high, owner, positions + radii[:, None])
    middle = 0.5 * (low + high)
    reach = np.zeros(len(scenes))
    np.maximum.at(reach, owner, np.linalg.norm(positions - middle[owner], axis=1) + radii)
    reach *= 1.02
    for number, scene in enumerate(scenes):
        if scene.extent is not None:
            middle[number], reach[number] = scene.extent.centre, scene.extent.radius
    # Rounded as the kernels see them, so that the extent of a scene graph gives the very same shadows.
    middle, reach = (value.astype(np.float32).astype(np.float64) for value in (middle, reach))
    out["shadow_centre"], out["shadow_radius"] = middle, reach
    out["shadow_scale"] = 1.0 / np.maximum(reach, 1e-12)

    seen = positions - origin[owner]
    depth = np.einsum("ij,ij->i", seen, forward[owner])
    distance = np.linalg.norm(seen, axis=1)
    blur = np.zeros(len(scenes))
    for surface in (depth - radii, depth + radii):
        disc = np.abs(out["focus_inverse"][owner] - 1.0 / np.maximum(surface, NEAR))
        np.maximum.at(blur, owner, 0.5 * (out["aperture"] * out["focal"])[owner] * disc)
    # A floor reaches from near the camera to nearly infinity.
    for inverse in (0.0, 2.0 / np.maximum(np.linalg.norm(origin - middle, axis=1), NEAR)):
        disc = 0.5 * out["aperture"] * out["focal"] * np.abs(out["focus_inverse"] - inverse)
        blur = np.where(floored, np.maximum(blur, disc), blur)
    blur = np.minimum(blur, 0.25 * resolution)
    out["blur_limit"] = blur
    # Beside the middle of the picture a ball's image is an ellipse; twice its radius at the middle covers that.
    away = np.sqrt(np.maximum(distance**2 - radii**2, 1e-12))
    inside = (distance <= 1.05 * radii) | (depth <= radii) | floored[owner]
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
    rays = np.stack([right / focal[:, None], -up / focal[:, None], forward], axis=1) @ turns
    out["ray_right"], out["ray_down"] = rays[:, 0], rays[:, 1]
    out["ray"] = rays[:, 2] - 0.5 * resolution * (rays[:, 0] + rays[:, 1])
    out["fog"] = [scene.fog.density if scene.fog is not None else 0.0 for scene in scenes]
    out["draws"], out["first_draw"] = counts, np.cumsum(counts) - counts
    # Floors are drawn after all objects.
    out["floor"] = np.where(floored, counts.sum() + np.cumsum(floored) - 1, -1)
    return out


def pack_draws(
    scenes: Sequence[Scene],
    positions: NDArray[np.float64],
    floors: NDArray[np.float64],
    meshes: Sequence[Placed],
    labels: dict[str, int],
) -> NDArray[Any]:
    """Pack objects, scene by scene, and then floors: one `structures.Draw` each."""
    objects = [item for scene in scenes for item in scene.objects]
    floored = np.flatnonzero(~np.isnan(floors))
    out = np.zeros(len(meshes), layout(Draw))
    for field in ("closed", "vertices", "first_vertex", "triangles", "first_triangle", "bulk"):
        out[field] = [getattr(mesh, field) for mesh in meshes]
    out["first_placed"] = np.cumsum(out["vertices"]) - out["vertices"]
    parts = np.array([len(mesh.parts) for mesh in meshes])
    out["first_surface"] = np.cumsum(parts) - parts

    things, ground = out[: len(objects)], out[len(objects) :]
    counts = [len(scene.objects) for scene in scenes]
    things["view"] = np.repeat(np.arange(len(scenes)), counts)
    things["number"] = [number for count in counts for number in range(1, count + 1)]
    things["category"] = [labels[item.category] for item in objects]
    things["rotation"] = _matrices(np.array([item.rotation for item in objects]))
    things["position"] = positions
    things["size"] = [item.size for item in objects]
    things["bulk"] *= things["size"]
    things["casts"] = 1
    ground["view"], ground["category"] = floored, -1
    ground["rotation"] = LYING
    for draw, view in zip(ground, floored.tolist(), strict=True):
        x, y, _ = scenes[view].objects[0].position
        draw["position"] = x, y, floors[view]
        floor = scenes[view].floor
        draw["size"] = floor.radius / RADIUS if floor is not None else 1.0
    return out


def pack_surfaces(scenes: Sequence[Scene], meshes: Sequence[Placed]) -> NDArray[Any]:
    """Pack materials: one `patterns.Surface` for each part of each object, and then for each floor."""
    kinds, seeds, colours, finishes, images = [], [], [], [], []
    numbers = {name: kind for kind, name in enumerate(MATERIALS)}
    objects = (item for scene in scenes for item in scene.objects)
    dressed = [
        [item.materials[part % len(item.materials)] for part in range(len(mesh.parts))] if item.materials else None
        for item, mesh in zip(objects, meshes, strict=False)
    ]
    dressed += [[scene.floor.material] for scene in scenes if scene.floor is not None]
    for worn, mesh in zip(dressed, meshes, strict=True):
        if worn is None:
            kinds.append(mesh.kinds)
            seeds.append(mesh.seeds)
            colours.append(mesh.colours)
            finishes.append(mesh.finishes)
            images.append(mesh.images)
        else:
            kinds.append(np.array([numbers[material.name] for material in worn]))
            seeds.append(np.array([material.seed for material in worn]))
            colours.append(np.full((len(worn), 3), np.nan, dtype=np.float32))
            finishes.append(np.full((len(worn), 3), np.nan, dtype=np.float32))
            images.append(np.full((len(worn), 3), -1, dtype=np.int32))
    out = surfaces(np.concatenate(kinds), np.concatenate(seeds), np.concatenate(colours), layout(Surface))
    finish, image = np.concatenate(finishes), np.concatenate(images)
    for k, field in enumerate(("roughness", "metalness", "opacity")):
        out[field] = np.where(np.isnan(finish[:, k]), out[field], finish[:, k])
    out["albedo_image"], out["finish_image"], out["normal_image"] = image.T
    out["pictures"] = (image >= 0).any(axis=1)
    return out


def chunks(counts: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Cut draws of `counts` elements into chunks: the draw of each chunk, and its first element in the draw."""
    per_draw = -(-counts // CHUNK)
    draw = np.repeat(np.arange(len(counts), dtype=np.int32), per_draw)
    first = np.arange(len(draw), dtype=np.int32) - np.repeat(np.cumsum(per_draw) - per_draw, per_draw)
    return draw, np.asarray(first * CHUNK, dtype=np.int32)
