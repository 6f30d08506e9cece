"""The plugin: says a scene of task2sim in Mitsuba's words, and reads back what Mitsuba has rendered.

Mitsuba is imported when it renders, not when task2sim looks at the plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from task2sim import (
    Camera,
    ComponentConfig,
    FrameBatch,
    PluginError,
    Scene,
    SceneAssets,
    SceneObject,
    SceneSimulator,
    fingerprint_libraries,
)

from mitsuba_things.surroundings import BACKGROUNDS, MATERIALS, panorama, surface
from mitsuba_things.things import BUILDERS, Ball, Box, Floats, Part, Rod, thing

SUNLIGHT = 2.2
"""Irradiance of a clear day's sun; a white wall that faces it reflects a radiance of 2.2 / pi."""

ASSETS = SceneAssets(instances=dict.fromkeys(BUILDERS, 1000), materials=MATERIALS, backgrounds=tuple(BACKGROUNDS))


class Mitsuba(SceneSimulator):
    """Renders things built of balls, boxes and rods with Mitsuba 3, under all eight parameters of Task2Sim."""

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: mitsuba, ...}``."""

        resolution: Annotated[int, Field(ge=8, le=1024, description="side of an image in pixels")] = 64
        samples: Annotated[int, Field(ge=1, le=4096, description="rays a pixel; more make images less grainy")] = 8

    def __init__(self, config: Config) -> None:
        if find_spec("mitsuba") is None:  # said by `task2sim validate`, and not after the first hour
            raise PluginError("Mitsuba is not installed", mend="pip install mitsuba")
        self.config = config

    def fingerprint(self) -> str:
        """Images change with the engine's version."""
        return fingerprint_libraries("mitsuba", "drjit", "numpy")

    @property
    def assets(self) -> SceneAssets:
        """Nine categories of a thousand instances each."""
        return ASSETS

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.resolution, self.config.resolution)

    @property
    def capabilities(self) -> frozenset[str]:
        """All but scene graphs."""
        return frozenset({"rgb", "instance-mask", "category-mask", "depth", "normals"})

    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render each scene twice: in colour, and at the middle of each pixel for what is to be seen there."""
        rgb, seen = zip(*(self._render(scene) for scene in scenes), strict=True)
        depth, normals = (np.stack(arrays) for arrays in zip(*seen, strict=True))
        labels = np.array([self.categories.index(scene.objects[0].category) for scene in scenes])
        mask = np.isfinite(depth).astype(np.uint16)  # there is one object in a scene
        return FrameBatch(
            indices=np.array([scene.index for scene in scenes]),
            rgb=np.stack(rgb),
            labels=labels,
            instance_mask=mask,
            category_mask=mask * (labels + 1).astype(np.uint16)[:, None, None],
            depth=depth,
            normals=normals,
        )

    def _render(self, scene: Scene) -> tuple[NDArray[np.uint8], tuple[NDArray[np.float32], NDArray[np.float32]]]:
        mi = _engine()
        sun = np.array(scene.sun.colour) * scene.sun.intensity * SUNLIGHT
        shapes = dict(_shapes(scene.objects[0], mi))
        lights = {
            "sky": {
                "type": "envmap",
                "bitmap": mi.Bitmap(panorama(scene.background.name)),
                # Mitsuba's panoramas have y up.
                "to_world": _turned(scene.background.rotation, mi) @ mi.ScalarTransform4f().rotate([1, 0, 0], 90),
            },
            "sun": {
                "type": "directional",
                "direction": [-x for x in scene.sun.direction],
                "irradiance": {"type": "rgb", "value": sun.tolist()},
            },
        }
        coloured = {
            "type": "scene",
            "integrator": {"type": "direct", "emitter_samples": 2},  # as many as there are lights
            "sensor": self._sensor(
                scene.camera, scene.camera.aperture, {"type": "multijitter", "sample_count": self.config.samples}, mi
            ),
            **lights,
            **shapes,
        }
        measured = {
            "type": "scene",
            "integrator": {"type": "aov", "aovs": "p:position,n:sh_normal"},
            "sensor": self._sensor(scene.camera, 0.0, {"type": "stratified", "sample_count": 1, "jitter": False}, mi),
            **shapes,
        }
        light = np.array(mi.render(mi.load_dict(coloured), seed=scene.index % 2**31))
        aovs = np.array(mi.render(mi.load_dict(measured)))
        return _srgb(light), _depth_and_normals(aovs[..., :3], aovs[..., 3:], scene.camera)

    def _sensor(self, camera: Camera, aperture: float, sampler: dict[str, Any], mi: Any) -> dict[str, Any]:
        lens = {"type": "thinlens", "aperture_radius": aperture / 2, "focus_distance": camera.focus_distance}
        return {
            **(lens if aperture else {"type": "perspective"}),
            "fov": camera.field_of_view,
            "to_world": mi.ScalarTransform4f().look_at(origin=camera.position, target=camera.target, up=[0, 0, 1]),
            "film": {
                "type": "hdrfilm",
                "width": self.config.resolution,
                "height": self.config.resolution,
                "pixel_format": "rgb",
                "component_format": "float32",
                "rfilter": {"type": "box"},
            },
            "sampler": sampler,
        }


def _engine() -> Any:
    """Mitsuba, in its variant for any processor; another plugin may have chosen another variant meanwhile."""
    import drjit
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)  # it would print warnings to stdout
    drjit.set_thread_count(1)  # task2sim runs a worker on each core
    return mitsuba


def _shapes(described: SceneObject, mi: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object's parts, placed in the world, by names of their own."""
    model = thing(described.category, described.instance)
    materials = described.materials or model.materials
    transform = mi.ScalarTransform4f
    placed = (
        transform().translate(described.position)
        @ _turned(described.rotation, mi)
        @ transform().scale(described.size / (2 * model.radius))
        @ transform().translate(-model.centre)
    )
    for number, part in enumerate(model.parts):
        worn = surface(materials[number % len(materials)])
        for place, shape in enumerate(_primitives(part, transform)):
            shape["to_world"] = placed @ shape["to_world"]
            yield f"part{number}_{place}", {**shape, "bsdf": worn}


def _primitives(part: Part, transform: Any) -> Iterator[dict[str, Any]]:
    match part:
        case Ball(centre, radius):
            yield {"type": "sphere", "to_world": transform().translate(centre).scale(radius)}
        case Box(centre, sides):
            yield {"type": "cube", "to_world": transform().translate(centre).scale([side / 2 for side in sides])}
        case Rod(start, end, radius):
            yield {"type": "cylinder", "p0": start, "p1": end, "radius": radius, "to_world": transform()}
            axis = np.subtract(end, start)
            up = [0, 1, 0] if abs(axis[2]) > abs(axis[1]) else [0, 0, 1]
            for tip, outwards in ((start, -axis), (end, axis)):  # Mitsuba's cylinders are open
                faces = transform().look_at(origin=tip, target=(tip + outwards).tolist(), up=up)
                yield {"type": "disk", "to_world": faces @ transform().scale(radius)}


def _turned(rotation: tuple[float, float, float, float], mi: Any) -> Any:
    """The rotation of a unit quaternion (x, y, z, w)."""
    axis = np.array(rotation[:3])
    length = float(np.linalg.norm(axis))
    degrees = np.degrees(2.0 * np.arctan2(length, rotation[3]))
    return mi.ScalarTransform4f().rotate((axis / length).tolist() if length else [0, 0, 1], degrees)


def _depth_and_normals(
    points: NDArray[np.float32], normals: NDArray[np.float32], camera: Camera
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth along the viewing direction, infinite where nothing was hit; normals towards the camera."""
    hit = np.any(normals != 0.0, axis=-1)
    forward: Floats = np.subtract(camera.target, camera.position)
    from_camera = points - np.array(camera.position)
    depth = np.where(hit, from_camera @ (forward / np.linalg.norm(forward)), np.inf)
    away = np.sum(normals * from_camera, axis=-1, keepdims=True) > 0.0
    return depth.astype(np.float32), np.where(away, -normals, normals)


def _srgb(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light as sRGB bytes (IEC 61966-2-1)."""
    light = np.clip(light, 0.0, 1.0)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * curve).astype(np.uint8)
