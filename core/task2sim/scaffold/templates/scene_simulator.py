"""A simulator that renders scenes: one ellipsoid under a sun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    Camera,
    ComponentConfig,
    FrameBatch,
    Scene,
    SceneAssets,
    SceneSimulator,
    fingerprint_libraries,
    spawn_generator,
)

Floats = NDArray[np.float64]

# blank: what there is to see. Here: how long the axes of an ellipsoid are, the longest 1.
SHAPES = {"ball": (1.0, 1.0, 1.0), "coin": (1.0, 1.0, 0.15), "cigar": (0.2, 0.2, 1.0), "egg": (0.7, 0.7, 1.0)}

# blank: surfaces and surroundings, in linear RGB. The first background is the fixed default.
MATERIALS = {"chalk": (0.8, 0.8, 0.8), "brick": (0.7, 0.25, 0.15), "moss": (0.2, 0.45, 0.1)}
BACKGROUNDS = {"grey": (0.2, 0.2, 0.2), "sky": (0.25, 0.4, 0.7), "sand": (0.5, 0.4, 0.25)}


class MyPlugin(SceneSimulator):
    """Renders balls, coins, cigars and eggs."""

    # blank: the parameters this renderer honours; policies are offered no others.
    scene_features = frozenset(
        {
            "object_rotation",
            "camera_distance",
            "light_intensity",
            "light_colour",
            "light_direction",
            "background",
            "materials",
        }
    )

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: my-plugin, ...}``."""

        resolution: Annotated[int, Field(ge=16, le=512, description="side of an image in pixels")] = 64

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Images change with what draws them; name your engine here."""
        return fingerprint_libraries("numpy")

    @property
    def assets(self) -> SceneAssets:
        """What scenes are built from; of each category there are a hundred different objects."""
        return SceneAssets(dict.fromkeys(SHAPES, 100), tuple(MATERIALS), tuple(BACKGROUNDS))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.resolution, self.config.resolution)

    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Turn scenes into pixels; nothing random may happen here."""
        labels = [self.categories.index(scene.objects[0].category) for scene in scenes]
        images = np.stack([picture(scene, self.config.resolution) for scene in scenes])
        return FrameBatch(np.array([scene.index for scene in scenes]), images, np.array(labels))


def picture(scene: Scene, resolution: int) -> NDArray[np.uint8]:
    """One image: uint8 of shape (resolution, resolution, 3)."""
    # blank: your renderer. Here: where a ray meets an ellipsoid, in the ellipsoid's own axes, where it is a ball.
    thing, light = scene.objects[0], scene.sun
    own = spawn_generator(thing.instance, "my-plugin", thing.category)
    axes = np.array(SHAPES[thing.category]) * own.uniform(0.85, 1.0, 3) * thing.size / 2
    turn = rotation(thing.rotation)
    origin = np.subtract(scene.camera.position, thing.position) @ turn / axes
    rays = viewing_rays(scene.camera, resolution) @ turn / axes
    a, b, c = (rays**2).sum(-1), rays @ origin, origin @ origin - 1
    below = b**2 - a * c
    nearest = (-b - np.sqrt(np.maximum(below, 0))) / a
    normals = (origin + rays * nearest[..., None]) / axes @ turn.T
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)

    sky = np.array(BACKGROUNDS[scene.background.name])
    surface = np.array(MATERIALS[thing.materials[0].name] if thing.materials else own.uniform(0.2, 0.8, 3))
    sunlight = (
        np.maximum(normals @ np.array(light.direction), 0)[..., None] * light.intensity * np.array(light.colour)
    )
    linear = np.where((below > 0)[..., None], surface * (sunlight + 0.3 * sky + 0.1), sky)
    # sRGB (IEC 61966-2-1) has about this curve.
    return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def rotation(quaternion: tuple[float, float, float, float]) -> Floats:
    """Shape (3, 3): the world's axes from the object's own, in columns."""
    crossed = np.cross(quaternion[:3], np.eye(3)).T  # crossed @ x is the cross product with the vector part
    return np.asarray(np.eye(3) + 2 * quaternion[3] * crossed + 2 * crossed @ crossed)


def viewing_rays(camera: Camera, resolution: int) -> Floats:
    """Shape (resolution, resolution, 3): where the middle of each pixel looks; the top row first."""
    forward = np.subtract(camera.target, camera.position)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right = right / np.linalg.norm(right)
    half = np.tan(np.radians(camera.field_of_view) / 2)
    places = ((np.arange(resolution) + 0.5) / resolution * 2 - 1) * half
    up = np.cross(right, forward)
    return np.asarray(forward + places[None, :, None] * right - places[:, None, None] * up)
