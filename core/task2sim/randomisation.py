"""Randomisation: how a parameter setting turns into random scenes.

This is core code, apart from how a scene turns into pixels: with the same assets and seeds every scene
simulator is asked for the same scenes. Image i depends on (setting, seed, i) alone, and each aspect of a scene
reads its own slots of the image's uniform numbers: turning one toggle changes that aspect and nothing else.

The ranges follow those of Task2Sim (Mishra et al., CVPR 2022, section 3.1 and its public code), translated from
ThreeDWorld's units: light intensity 1 plays the role of its default sun, and a lens diameter that of its f-number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from task2sim.parameters import ParameterSetting
from task2sim.scenes import (
    Background,
    Camera,
    Material,
    Quaternion,
    Scene,
    SceneAssets,
    SceneObject,
    Sun,
    Vector,
)
from task2sim.seeds import image_uniforms

DEFAULT_CAMERA_DISTANCE = 2.0
"""Metres from the camera to an object of bounding-sphere diameter 1: it fills about two thirds of the picture."""

CAMERA_DIRECTION: Vector = (0.45, -0.8, 0.4)
"""From the object towards the camera: the front, seen a little from the right and from above."""

DISTANCE_FACTORS = (0.75, 1.75)
"""Nearest and farthest camera, relative to the default. The paper's 0.4 to 1.5 would cut objects off at the near end,
where ours just fill the picture, so the range is narrower and reaches farther."""

SUN_DIRECTION: Vector = (0.5, -0.45, 0.74)
INTENSITY_RANGE = (0.4, 1.6)
COLOUR_RANGE = (0.05, 1.0)
BLUR_PROBABILITY = 0.75
FOCUS_RANGE = (-1.0, 1.0)
"""Metres by which the focus misses the object."""
APERTURE_RANGE = (0.04, 0.16)
"""Lens diameters in metres; large as a macro photograph's, relative to an object of one metre."""
MATERIAL_SLOTS = 8
"""Materials drawn for an object; part k wears number k modulo this."""

# Slots of an image's uniform numbers, one range an aspect. New aspects go to the end: the others stay as they are.
_INSTANCE = 0
_ROTATION = slice(1, 4)
_DISTANCE = 4
_INTENSITY = 5
_COLOUR = slice(6, 9)
_LIGHT_DIRECTION = slice(9, 11)
_BLUR = slice(11, 14)
_BACKGROUND = slice(14, 17)
_MATERIALS = slice(17, 17 + 2 * MATERIAL_SLOTS)
_SLOTS = _MATERIALS.stop


def label_of(index: int, categories: int) -> int:
    """The label of image `index`: categories take turns, so every prefix of a dataset is balanced."""
    return index % categories


def randomise(setting: ParameterSetting, assets: SceneAssets, index: int, seed: int) -> Scene:
    """Make the scene of image `index`.

    Args:
        setting: A setting of `task2sim.parameters.TASK2SIM_PARAMETERS`, or of a subset of them; a parameter
            that is absent stays fixed.
        assets: What the simulator offers.
        index: The image's index, >= 0.
        seed: The dataset's seed, in [0, 2**63).

    Returns:
        The scene: one object at the origin, the camera, the sun and the background.
    """

    def varies(name: str) -> bool:
        return bool(setting.get(name, 0))

    u: list[float] = image_uniforms(seed, index, _SLOTS).tolist()
    label = label_of(index, len(assets.instances))
    category = assets.categories[label]

    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    if varies("object_rotation"):
        rotation = _random_rotation(u[_ROTATION])

    distance = DEFAULT_CAMERA_DISTANCE
    if varies("camera_distance"):
        distance *= _between(DISTANCE_FACTORS, u[_DISTANCE])

    focus_distance, aperture = distance, 0.0
    if varies("focus_blur") and u[_BLUR][0] < BLUR_PROBABILITY:
        focus_distance = max(0.3, distance + _between(FOCUS_RANGE, u[_BLUR][1]))
        aperture = _between(APERTURE_RANGE, u[_BLUR][2])

    background = Background(assets.backgrounds[0])
    if varies("background"):
        which, yaw, height = u[_BACKGROUND]
        background = Background(assets.backgrounds[int(which * len(assets.backgrounds))], _random_view(yaw, height))

    materials: tuple[Material, ...] = ()
    if varies("materials"):
        draws = u[_MATERIALS]
        materials = tuple(
            Material(assets.materials[int(name * len(assets.materials))], int(which * 2**31))
            for name, which in zip(draws[::2], draws[1::2], strict=True)
        )

    return Scene(
        index=index,
        objects=(
            SceneObject(
                category,
                instance=int(u[_INSTANCE] * assets.instances[category]),
                rotation=rotation,
                materials=materials,
            ),
        ),
        camera=Camera(_scaled(CAMERA_DIRECTION, distance), focus_distance=focus_distance, aperture=aperture),
        sun=Sun(
            direction=_random_direction(u[_LIGHT_DIRECTION])
            if varies("light_direction")
            else _scaled(SUN_DIRECTION, 1.0),
            colour=_colour(u[_COLOUR]) if varies("light_colour") else (1.0, 1.0, 1.0),
            intensity=_between(INTENSITY_RANGE, u[_INTENSITY]) if varies("light_intensity") else 1.0,
        ),
        background=background,
    )


def _between(bounds: tuple[float, float], u: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _scaled(direction: Vector, length: float) -> Vector:
    factor = length / math.sqrt(sum(x * x for x in direction))
    return (direction[0] * factor, direction[1] * factor, direction[2] * factor)


def _colour(u: Sequence[float]) -> Vector:
    return (_between(COLOUR_RANGE, u[0]), _between(COLOUR_RANGE, u[1]), _between(COLOUR_RANGE, u[2]))


def _random_direction(u: Sequence[float]) -> Vector:
    """Uniform on the sphere (Archimedes: the height is uniform)."""
    height = 1.0 - 2.0 * u[0]
    around = 2.0 * math.pi * u[1]
    radius = math.sqrt(max(0.0, 1.0 - height * height))
    return (radius * math.cos(around), radius * math.sin(around), height)


def _random_rotation(u: Sequence[float]) -> Quaternion:
    """Uniform over all rotations (Shoemake, "Uniform random rotations", Graphics Gems III, 1992)."""
    inner, outer = math.sqrt(1.0 - u[0]), math.sqrt(u[0])
    first, second = 2.0 * math.pi * u[1], 2.0 * math.pi * u[2]
    return (
        inner * math.sin(first),
        inner * math.cos(first),
        outer * math.sin(second),
        outer * math.cos(second),
    )


def _random_view(yaw: float, height: float) -> Quaternion:
    """Turn the background so that the camera sees it in a direction uniform on the sphere, horizon level."""
    half_yaw = math.pi * yaw
    half_pitch = 0.5 * math.asin(2.0 * height - 1.0)
    # Pitch about the camera's horizontal axis after yaw about the vertical one.
    right_x, right_y = -CAMERA_DIRECTION[1], CAMERA_DIRECTION[0]
    norm = math.hypot(right_x, right_y)
    axis_x, axis_y = right_x / norm * math.sin(half_pitch), right_y / norm * math.sin(half_pitch)
    sin_yaw, cos_yaw, cos_pitch = math.sin(half_yaw), math.cos(half_yaw), math.cos(half_pitch)
    return (
        axis_x * cos_yaw + axis_y * sin_yaw,
        axis_y * cos_yaw - axis_x * sin_yaw,
        cos_pitch * sin_yaw,
        cos_pitch * cos_yaw,
    )
