"""Randomisation: how a parameter setting turns into random scenes.

This is core code, apart from how a scene turns into pixels: with the same assets and seeds every scene
simulator is asked for the same scenes. Image i depends on (setting, seed, i) alone, and each aspect of a scene
reads its own slots of the image's uniform numbers: turning one toggle changes that aspect and nothing else.

The ranges follow those of Task2Sim (Mishra et al., CVPR 2022, section 3.1 and its public code), translated from
ThreeDWorld's units: light intensity 1 plays the role of its default sun, and a lens diameter that of its f-number.
The ranges of the parameters beyond the paper's eight are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from task2sim.parameters import ParameterSetting
from task2sim.scenes import (
    Background,
    Camera,
    Floor,
    Fog,
    Material,
    Quaternion,
    Scene,
    SceneAssets,
    SceneObject,
    Sky,
    Sun,
    Vector,
)
from task2sim.seeds import image_uniforms

INTENSITY_RANGE = (0.4, 1.6)
COLOUR_RANGE = (0.05, 1.0)
BLUR_PROBABILITY = 0.75
FOCUS_RANGE = (-1.0, 1.0)
"""Metres by which the focus misses the object."""
MATERIAL_SLOTS = 8
"""Materials drawn for an object; part k wears number k modulo this."""

MOST_OBJECTS = 12
SPACING = 0.9
"""Metres between the places of other objects, which stand in rows of five behind the labelled one, and far beside."""
PLACE_SLACK = 0.05
"""Metres by which an object misses its place; the largest then just stays clear of the labelled one."""
OTHER_SIZES = (0.35, 0.7)
CLUTTER_SIZES = (0.14, 0.3)
CLUTTER_DISTANCE = 0.71
"""Metres from the object's centre to the small things around it."""
CLUTTER_ANGLES = (36.0, -36.0, 72.0, -72.0, 108.0)
"""Degrees about the object, from the camera's side: none stands right before the camera."""
ELEVATION_RANGE = (0.0, 80.0)
"""Degrees above the horizon from which the camera looks."""
FIELD_OF_VIEW_RANGE = (15.0, 60.0)
SOFTNESS_RANGE = (0.5, 30.0)
"""Degrees that the sun measures in the sky; drawn on a logarithmic scale."""
FOG_RANGE = (0.02, 0.25)
"""Densities per metre; drawn on a logarithmic scale."""
NOISE_RANGE = (0.0, 0.06)
MOTION_PROBABILITY = 0.75
MOTION_RANGE = (0.01, 0.08)
"""Shares of the picture's height."""

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
_PLACES = [(-2, 0), (2, 0), *((across, back) for back in range(1, 4) for across in range(-2, 3))]
_COUNT = _MATERIALS.stop
_PLACE_ORDER = slice(_COUNT + 1, _COUNT + 1 + len(_PLACES))
_PER_OBJECT = 8
_OTHERS = slice(_PLACE_ORDER.stop, _PLACE_ORDER.stop + (MOST_OBJECTS - 1) * _PER_OBJECT)
_CLUTTER_COUNT = _OTHERS.stop
_CLUTTER = slice(_CLUTTER_COUNT + 1, _CLUTTER_COUNT + 1 + len(CLUTTER_ANGLES) * _PER_OBJECT)
_FLOOR = slice(_CLUTTER.stop, _CLUTTER.stop + 2)
_ELEVATION = _FLOOR.stop
_FIELD_OF_VIEW = _ELEVATION + 1
_SOFTNESS = _FIELD_OF_VIEW + 1
_FOG = _SOFTNESS + 1
_NOISE = slice(_FOG + 1, _FOG + 3)
_MOTION = slice(_NOISE.stop, _NOISE.stop + 3)
_TIME = _MOTION.stop
_GROUND = _TIME + 1
_SLOTS = _GROUND + 1


def label_of(index: int, categories: int) -> int:
    """The label of image `index`: categories take turns, so every prefix of a dataset is balanced."""
    return index % categories


def randomise(setting: ParameterSetting, assets: SceneAssets, index: int, seed: int) -> Scene:
    """Make the scene of image `index`.

    Args:
        setting: Values of any of `task2sim.parameters.TASK2SIM_PARAMETERS` and `FURTHER_PARAMETERS`; a parameter that
            is absent stays fixed.
        assets: What the simulator offers.
        index: The image's index, >= 0.
        seed: The dataset's seed, in [0, 2**63).

    Returns:
        The scene: the labelled object at the origin, maybe others, the camera, the sun and the surroundings.
    """

    def varies(name: str) -> bool:
        return bool(setting.get(name, 0))

    u: list[float] = image_uniforms(seed, index, _SLOTS).tolist()
    staging = assets.staging

    field_of_view = staging.field_of_view
    if varies("field_of_view"):
        field_of_view = _between(FIELD_OF_VIEW_RANGE, u[_FIELD_OF_VIEW])
    # The narrower the lens, the farther the camera: the object stays as large.
    distance = staging.camera_distance * _half_tangent(staging.field_of_view) / _half_tangent(field_of_view)
    if varies("camera_distance"):
        distance *= _between(staging.distance_factors, u[_DISTANCE])
    from_where = staging.camera_direction
    if varies("camera_elevation"):
        from_where = _at_elevation(staging.camera_direction, _between(ELEVATION_RANGE, u[_ELEVATION]))
    focus_distance, aperture = distance, 0.0
    if varies("focus_blur") and u[_BLUR][0] < BLUR_PROBABILITY:
        focus_distance = max(0.3, distance + _between(FOCUS_RANGE, u[_BLUR][1]))
        aperture = _between(staging.aperture_range, u[_BLUR][2])
    motion = (0.0, 0.0)
    if varies("motion_blur") and u[_MOTION][0] < MOTION_PROBABILITY:
        length, angle = _between(MOTION_RANGE, u[_MOTION][1]), math.pi * u[_MOTION][2]
        motion = (length * math.cos(angle), length * math.sin(angle))
    camera = Camera(
        _scaled(from_where, distance),
        field_of_view=field_of_view,
        focus_distance=focus_distance,
        aperture=aperture,
        motion=motion,
        noise=_between(NOISE_RANGE, u[_NOISE][0]) if varies("sensor_noise") else 0.0,
        noise_seed=int(u[_NOISE][1] * 2**31) if varies("sensor_noise") else 0,
    )

    direction = (
        _random_direction(u[_LIGHT_DIRECTION]) if varies("light_direction") else _scaled(staging.sun_direction, 1.0)
    )
    colour = _colour(u[_COLOUR]) if varies("light_colour") else (1.0, 1.0, 1.0)
    intensity = _between(INTENSITY_RANGE, u[_INTENSITY]) if varies("light_intensity") else 1.0
    background = Background(assets.backgrounds[0])
    if varies("time_of_day"):
        # Sun and sky belong together: the other parameters turn both, filter the sun and change the ground below.
        grounds = list(assets.skies.values())
        skies = grounds[int(u[_GROUND] * len(grounds))] if varies("background") else grounds[0]
        sky = skies[int(u[_TIME] * len(skies))]
        direction, background = _placed_sky(sky, math.atan2(direction[1], direction[0]))
        colour = (colour[0] * sky.colour[0], colour[1] * sky.colour[1], colour[2] * sky.colour[2])
        intensity *= sky.intensity
    elif varies("background"):
        which, yaw, height = u[_BACKGROUND]
        background = Background(
            assets.backgrounds[int(which * len(assets.backgrounds))],
            _random_view(yaw, height, staging.camera_direction),
        )
    sun = Sun(direction, colour, intensity)
    if varies("shadow_softness"):
        sun = Sun(direction, colour, intensity, _logarithmically_between(SOFTNESS_RANGE, u[_SOFTNESS]))

    floor = None
    if varies("floor"):
        name, which = u[_FLOOR]
        floor = Floor(_material(assets, name, which))
    fog = Fog(_logarithmically_between(FOG_RANGE, u[_FOG])) if varies("fog") else None
    return Scene(index, tuple(_objects(setting, assets, index, u)), camera, sun, background, floor, fog)


def _objects(setting: ParameterSetting, assets: SceneAssets, index: int, u: list[float]) -> Iterator[SceneObject]:
    """The labelled object, those beside and behind it, and the small things around it."""
    turned, redressed = setting.get("object_rotation", 0), setting.get("materials", 0)
    towards = assets.staging.camera_direction

    def materials(number: int) -> tuple[Material, ...]:
        if not redressed:
            return ()
        # Each object starts at other places of the same numbers.
        names, seeds = u[_MATERIALS][::2], u[_MATERIALS][1::2]
        turn = 0.618034 * number
        return tuple(
            _material(assets, (name + turn) % 1.0, (which + turn) % 1.0)
            for name, which in zip(names, seeds, strict=True)
        )

    def other(number: int, across: float, back: float, height: float, size: float, v: Sequence[float]) -> SceneObject:
        category = assets.categories[int(v[0] * len(assets.categories))]
        right = _scaled((-towards[1], towards[0], 0.0), 1.0)
        return SceneObject(
            category,
            instance=int(v[1] * assets.instances[category]),
            position=(right[0] * across - right[1] * back, right[1] * across + right[0] * back, height),
            rotation=_random_rotation(v[2:5]) if turned else _yaw(2.0 * math.pi * v[2]),
            size=size,
            materials=materials(number),
        )

    category = assets.categories[label_of(index, len(assets.categories))]
    yield SceneObject(
        category,
        instance=int(u[_INSTANCE] * assets.instances[category]),
        rotation=_random_rotation(u[_ROTATION]) if turned else (0.0, 0.0, 0.0, 1.0),
        materials=materials(0),
    )
    number = 0
    if setting.get("object_count", 0):
        order = sorted(range(len(_PLACES)), key=u[_PLACE_ORDER].__getitem__)
        for number in range(1, int(u[_COUNT] * MOST_OBJECTS) + 1):
            v = u[_OTHERS][(number - 1) * _PER_OBJECT : number * _PER_OBJECT]
            across, back = _PLACES[order[number - 1]]
            size = _between(OTHER_SIZES, v[5])
            yield other(
                number,
                SPACING * across + PLACE_SLACK * (2.0 * v[6] - 1.0),
                SPACING * back + PLACE_SLACK * (2.0 * v[7] - 1.0),
                0.5 * (size - 1.0),
                size,
                v,
            )
    if setting.get("clutter", 0):
        first = MOST_OBJECTS
        for place in range(1 + int(u[_CLUTTER_COUNT] * len(CLUTTER_ANGLES))):
            v = u[_CLUTTER][place * _PER_OBJECT : (place + 1) * _PER_OBJECT]
            angle = math.radians(CLUTTER_ANGLES[place]) + 0.1 * (2.0 * v[6] - 1.0)
            yield other(
                first + place,
                CLUTTER_DISTANCE * math.sin(angle),
                -CLUTTER_DISTANCE * math.cos(angle),
                0.6 * v[7] - 0.4,
                _between(CLUTTER_SIZES, v[5]),
                v,
            )


def _material(assets: SceneAssets, name: float, seed: float) -> Material:
    return Material(assets.materials[int(name * len(assets.materials))], int(seed * 2**31))


def _placed_sky(sky: Sky, azimuth: float) -> tuple[Vector, Background]:
    """The direction of a sky's sun when it stands over `azimuth` (radians), and the sky turned to match."""
    elevation = math.radians(sky.elevation)
    level = math.cos(elevation)
    direction = (level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation))
    return direction, Background(sky.background, _yaw(azimuth - 0.5 * math.pi))


def _yaw(angle: float) -> Quaternion:
    """A turn about the vertical axis, in radians."""
    return (0.0, 0.0, math.sin(0.5 * angle), math.cos(0.5 * angle))


def _half_tangent(degrees: float) -> float:
    return math.tan(math.radians(0.5 * degrees))


def _at_elevation(direction: Vector, degrees: float) -> Vector:
    """The same direction over the ground, at another height above the horizon."""
    level = math.cos(math.radians(degrees)) / math.hypot(direction[0], direction[1])
    return (direction[0] * level, direction[1] * level, math.sin(math.radians(degrees)))


def _logarithmically_between(bounds: tuple[float, float], u: float) -> float:
    return float(bounds[0] * (bounds[1] / bounds[0]) ** u)


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


def _random_view(yaw: float, height: float, towards_camera: Vector) -> Quaternion:
    """Turn the background so that the camera sees it in a direction uniform on the sphere, horizon level."""
    half_yaw = math.pi * yaw
    half_pitch = 0.5 * math.asin(2.0 * height - 1.0)
    # Pitch about the camera's horizontal axis after yaw about the vertical one.
    right_x, right_y = -towards_camera[1], towards_camera[0]
    norm = math.hypot(right_x, right_y)
    axis_x, axis_y = right_x / norm * math.sin(half_pitch), right_y / norm * math.sin(half_pitch)
    sin_yaw, cos_yaw, cos_pitch = math.sin(half_yaw), math.cos(half_yaw), math.cos(half_pitch)
    return (
        axis_x * cos_yaw + axis_y * sin_yaw,
        axis_y * cos_yaw - axis_x * sin_yaw,
        cos_pitch * sin_yaw,
        cos_pitch * cos_yaw,
    )
