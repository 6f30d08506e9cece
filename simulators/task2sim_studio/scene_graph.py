"""Scenes as plain data: what is where, what it is made of, and where it is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import Scene
from task2sim_studio.packing import Placed

COLOUR_NAMES = {
    "black": ((24, 24, 24),),
    "grey": ((128, 128, 128), (75, 75, 75), (185, 185, 185)),
    "white": ((240, 240, 240),),
    "red": ((200, 30, 35), (255, 0, 0), (120, 10, 15)),
    "orange": ((235, 125, 30), (255, 150, 60)),
    "yellow": ((240, 210, 45), (255, 255, 0), (250, 222, 150)),
    "green": ((60, 150, 55), (0, 255, 0), (15, 70, 20), (150, 205, 130), (0, 125, 120)),
    "blue": ((40, 90, 195), (0, 0, 255), (15, 25, 85), (0, 0, 110), (135, 185, 240), (0, 230, 230)),
    "purple": ((125, 60, 165), (70, 15, 100), (180, 130, 220)),
    "pink": ((240, 140, 180), (250, 200, 215), (255, 0, 255)),
    "brown": ((110, 68, 38), (60, 35, 20), (160, 115, 75)),
}
"""The eleven basic colour terms of English (Berlin and Kay, "Basic color terms", 1969), each with a typical sRGB."""


def colour_names(colours: NDArray[np.floating[Any]]) -> list[str]:
    """The basic colour term nearest to each linear RGB colour, by distance in CIELAB.

    Args:
        colours: Array of shape (N, 3), linear RGB in [0, 1].
    """
    from skimage.color import rgb2lab

    linear = np.clip(colours, 0.0, 1.0)
    display = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    names = [name for name, shades in COLOUR_NAMES.items() for _ in shades]
    named = rgb2lab(np.array([shade for shades in COLOUR_NAMES.values() for shade in shades]) / 255.0)
    distance = np.linalg.norm(rgb2lab(display)[:, None] - named[None], axis=-1)
    return [names[k] for k in distance.argmin(axis=1)]


@attrs.frozen(eq=False)
class SceneGraphs(Sequence[Mapping[str, Any]]):
    """The scene graphs of a batch, each made when it is asked for, since most are never read.

    Attributes:
        scenes: The scenes.
        meshes: What each object's mesh is, scene by scene.
        views: The packed `structures.View` of each scene.
        draws: The packed `structures.Draw` of each object.
        surfaces: The packed materials.
        boxes: float32 array of shape (objects, 4): each object's full extent: left, top, right, bottom in pixels.
        visible_boxes: int32 array of the same shape: its extent in the instance mask; empty if it is not seen.
        visibilities: float32 array of shape (objects,): what share of it in the picture is not hidden by others.
        resolution: Pixels along a side.
    """

    scenes: Sequence[Scene]
    meshes: Sequence[Placed]
    views: NDArray[Any]
    draws: NDArray[Any]
    surfaces: NDArray[Any]
    boxes: NDArray[np.float32]
    visible_boxes: NDArray[np.int32]
    visibilities: NDArray[np.float32]
    resolution: int

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self._graph(number) for number in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(index, slice):
            return [self._graph(number) for number in range(*index.indices(len(self)))]
        return self._graph(range(len(self))[index])

    def _graph(self, number: int) -> dict[str, Any]:
        scene, view = self.scenes[number], self.views[number]
        camera, sun = scene.camera, scene.sun
        axes = np.stack([view["right"], view["down"], view["forward"]]).astype(np.float64)
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = axes
        world_to_camera[:3, 3] = -axes @ np.array(camera.position)
        focal, middle = float(view["focal"]), 0.5 * self.resolution
        graph: dict[str, Any] = {
            "index": scene.index,
            "objects": [self._object(scene, k, int(view["first_draw"]) + k) for k in range(len(scene.objects))],
            "camera": {
                **attrs.asdict(camera),
                "intrinsics": [[focal, 0.0, middle], [0.0, focal, middle], [0.0, 0.0, 1.0]],
                "world_to_camera": world_to_camera.tolist(),
            },
            "sun": attrs.asdict(sun),
            "background": attrs.asdict(scene.background),
            "floor": None,
            "fog": None if scene.fog is None else attrs.asdict(scene.fog),
            "extent": {"centre": view["shadow_centre"].tolist(), "radius": float(view["shadow_radius"])},
        }
        if scene.floor is not None:
            draw = self.draws[int(view["floor"])]
            surface = self.surfaces[int(draw["first_surface"])]
            graph["floor"] = {
                **attrs.asdict(scene.floor.material),
                "height": float(draw["position"][2]),
                "radius": scene.floor.radius,
                "colour": surface["base"].tolist(),
                "colour_name": colour_names(surface["base"][None])[0],
            }
        plain: dict[str, Any] = _plain(graph)
        return plain

    def _object(self, scene: Scene, k: int, draw_number: int) -> dict[str, Any]:
        item, mesh, draw = scene.objects[k], self.meshes[draw_number], self.draws[draw_number]
        first = int(draw["first_surface"])
        worn = self.surfaces[first : first + len(mesh.parts)]
        colours = worn["base"] if item.materials else worn["base"] * mesh.tints
        names = colour_names(colours)
        parts = []
        for p, part in enumerate(mesh.parts):
            material = item.materials[p % len(item.materials)] if item.materials else part.material
            parts.append(
                {
                    "name": part.name,
                    "material": material.name,
                    "seed": material.seed,
                    "share": float(mesh.part_shares[p]),
                    "colour": colours[p].tolist(),
                    "colour_name": names[p],
                }
            )
        left, top, right, bottom = (int(x) for x in self.visible_boxes[draw_number])
        box = [float(x) for x in self.boxes[draw_number]]
        return {
            "number": k + 1,
            "category": item.category,
            "instance": item.instance,
            "position": draw["position"].tolist(),
            "rotation": item.rotation,
            "size": item.size,
            "bulk": float(draw["bulk"]),
            "parts": parts,
            "box": box if box[0] <= box[2] else None,
            "visible_box": [left, top, right, bottom] if left < right else None,
            "visibility": float(self.visibilities[draw_number]),
        }


def _plain(value: Any) -> Any:
    """Turn tuples into lists, so that a graph equals what JSON gives back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
