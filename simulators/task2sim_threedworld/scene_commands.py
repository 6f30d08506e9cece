"""From scenes to ThreeDWorld's commands: one self-contained request an image.

A request clears the stage and says with absolute values where everything is, so that an image does not depend on the
images before it. Two things ThreeDWorld has no absolute command for: which skybox is loaded, and the intensity of the
sun, which can only be adjusted *by* something. `SceneCommands` keeps account of both.

The set-up is that of the paper's generator (Mishra et al., CVPR 2022), in the names of ThreeDWorld 1.13.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from task2sim import Scene, SceneObject, Staging
from task2sim_threedworld.axes import CAMERA_POSITION, Rig, matrix_of, sun_turns
from task2sim_threedworld.library import Library, Model, Skybox

Command: TypeAlias = dict[str, Any]

AVATAR = "a"
FIELD_OF_VIEW = 60.0
NEAR, FAR = 0.01, 160.0
"""Clipping planes in metres."""
ROOM = (10.0, 4.5, 10.0)
"""Width, height and length in metres of the room that the paper fits objects into."""
SHARP_APERTURE = 70.0
"""The f-number that keeps everything sharp."""
SENSOR_HEIGHT = 0.024
"""Of Unity's camera, in metres; with the field of view it gives the focal length."""
INTENSITY_STEP = 2.0**-16
"""Intensities are multiples of it, so that adding and taking away in Unity's 32 bits loses nothing."""


def focal_length(field_of_view: float) -> float:
    """Metres, for a vertical field of view in degrees."""
    return 0.5 * SENSOR_HEIGHT / math.tan(math.radians(0.5 * field_of_view))


F_NUMBERS = (0.5, 1.2)
"""Of a blurred picture, in the paper."""

STAGING = Staging(
    # From the object, whose centre is one metre above the ground at the origin, to the camera.
    camera_direction=(-CAMERA_POSITION[0], -CAMERA_POSITION[2], CAMERA_POSITION[1] - 1.0),
    camera_distance=math.hypot(CAMERA_POSITION[0], CAMERA_POSITION[1] - 1.0, CAMERA_POSITION[2]),
    field_of_view=FIELD_OF_VIEW,
    distance_factors=(0.4, 1.5),
    aperture_range=(focal_length(FIELD_OF_VIEW) / F_NUMBERS[1], focal_length(FIELD_OF_VIEW) / F_NUMBERS[0]),
)
"""The paper's scene and its ranges. Those that it does not name are the core's, which are the paper's too: intensity
within 0.6 of the skybox's, colours from 0.05 to 1, three images in four blurred, focus within a metre of the object.
"""

ANNOTATIONS = (
    "send_segmentation_colors",
    "send_transforms",
    "send_bounds",
    "send_lights",
    "send_camera_matrices",
)
"""What is asked for beside the image when masks, depth and scene graphs are wanted."""


def set_up(resolution: int, annotated: bool, skybox: Skybox) -> list[Command]:
    """The commands that prepare a build that has just loaded the empty scene; the answer tells its lights."""
    passes = ["_img", "_id", "_depth"] if annotated else ["_img"]
    avatar = {"avatar_id": AVATAR}
    return [
        {"$type": "set_screen_size", "width": resolution, "height": resolution},
        {"$type": "set_render_quality", "render_quality": 5},
        {"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": AVATAR},
        {"$type": "simulate_physics", "value": False},
        {"$type": "set_img_pass_encoding", "value": True},
        {"$type": "set_pass_masks", "pass_masks": passes, **avatar},
        {"$type": "set_field_of_view", "field_of_view": FIELD_OF_VIEW, **avatar},
        {"$type": "set_camera_clipping_planes", "near": NEAR, "far": FAR, **avatar},
        {"$type": "set_anti_aliasing", "mode": "subpixel", **avatar},
        {"$type": "set_aperture", "aperture": SHARP_APERTURE},
        {"$type": "set_vignette", "enabled": False},
        {"$type": "set_post_exposure", "post_exposure": 0.6},
        {"$type": "set_contrast", "contrast": -20},
        {"$type": "set_saturation", "saturation": 10},
        {"$type": "set_screen_space_reflections", "enabled": False},
        {"$type": "set_shadow_strength", "strength": 1.0},
        add_skybox(skybox),
        {"$type": "send_lights", "frequency": "once"},
    ]


def add_skybox(skybox: Skybox) -> Command:
    """The command that loads a skybox with its sun."""
    return {
        "$type": "add_hdri_skybox",
        "name": skybox.name,
        "url": skybox.url,
        "exposure": skybox.exposure,
        "initial_skybox_rotation": skybox.initial_skybox_rotation,
        "sun_elevation": skybox.sun_elevation,
        "sun_initial_angle": skybox.sun_initial_angle,
        "sun_intensity": skybox.sun_intensity,
    }


def add_model(model: Model, identity: int) -> Command:
    """The command that adds a model to the scene, under a number."""
    return {
        "$type": "add_object",
        "name": model.name,
        "url": model.url,
        "scale_factor": model.scale_factor,
        "category": model.category,
        "id": identity,
    }


def scale_of(model: Model, size: float) -> float:
    """What to scale a model by, so that its largest side measures `size`, within the bounds of the room.

    As in the paper no side may be longer than half the room (nine tenths of its height), and not all sides shorter
    than a tenth of it (a fifth of the height).
    """
    sides = [high - low for low, high in zip(model.low, model.high, strict=True)]
    scale = size / max(max(sides), 1e-6)
    width, height, length = (side * scale for side in sides)
    most = max(2.0 * width / ROOM[0], height / (0.9 * ROOM[1]), 2.0 * length / ROOM[2])
    least = max(10.0 * width / ROOM[0], 5.0 * height / (0.9 * ROOM[1]), 10.0 * length / ROOM[2])
    # An object among others is small on purpose.
    return scale / max(most, 1.0) / (min(least, 1.0) if size >= 1.0 else 1.0)


class SceneCommands:
    """Writes the requests for one build, from its set-up on.

    Args:
        library: Models, materials and skyboxes.
        annotated: Whether masks, depth and scene graphs are wanted.
        colour: The colour of the build's own sun: red, green and blue in [0, 1].

    Attributes:
        loads: How many objects the build has been given.
    """

    def __init__(self, library: Library, annotated: bool, colour: Sequence[float]) -> None:
        self._library = library
        self._annotated = annotated
        self._colour = tuple(float(part) for part in colour)
        self._skybox = next(iter(library.skyboxes.values()))
        self._intensity = np.float32(self._skybox.sun_intensity)
        self._placed = 0
        self.loads = 0

    def request(self, scene: Scene) -> list[Command]:
        """The commands that make one image, whatever the build showed before."""
        rig = Rig(scene)
        commands: list[Command] = [{"$type": "destroy_object", "id": number + 1} for number in range(self._placed)]
        skybox = self._library.skyboxes[scene.background.name]
        if skybox.name != self._skybox.name:
            commands.append(add_skybox(skybox))
            self._skybox, self._intensity = skybox, np.float32(skybox.sun_intensity)
        for number, item in enumerate(scene.objects):
            commands.extend(self._object(number + 1, item, rig))
        self._placed = len(scene.objects)
        self.loads += len(scene.objects)
        commands.extend(self._camera(scene, rig))
        commands.extend(self._sun(scene, rig))
        commands.append({"$type": "send_images", "frequency": "once", "ids": [AVATAR]})
        if self._annotated:
            commands.extend({"$type": name, "frequency": "once"} for name in ANNOTATIONS)
        return commands

    def model(self, item: SceneObject) -> Model:
        """Which model an object of a scene is."""
        return self._library.models[item.category][item.instance]

    def _object(self, identity: int, item: SceneObject, rig: Rig) -> Iterator[Command]:
        model = self.model(item)
        yield add_model(model, identity)
        scale = scale_of(model, item.size)
        rotation = rig.rotation(item.rotation)
        # The pivot is placed such that the centre of the model comes to lie where the scene wants it.
        pivot = rig.position(item.position) - matrix_of(rotation) @ (scale * np.array(model.centre))
        factor = _number(scale)
        yield {"$type": "scale_object", "id": identity, "scale_factor": {"x": factor, "y": factor, "z": factor}}
        yield {"$type": "teleport_object", "id": identity, "position": _vector(pivot)}
        yield {"$type": "rotate_object_to", "id": identity, "rotation": _quaternion(rotation)}
        if not item.materials:
            return
        worn = [item.materials[k % len(item.materials)].name for k in range(len(model.slots))]
        for name in dict.fromkeys(worn):
            yield {"$type": "add_material", "name": name, "url": self._library.materials[name]}
        for (part, index), name in zip(model.slots, worn, strict=True):
            yield {
                "$type": "set_visual_material",
                "id": identity,
                "material_name": name,
                "object_name": part,
                "material_index": index,
            }

    def _camera(self, scene: Scene, rig: Rig) -> Iterator[Command]:
        camera = scene.camera
        yield {"$type": "teleport_avatar_to", "avatar_id": AVATAR, "position": _vector(CAMERA_POSITION)}
        rotation = _quaternion(rig.camera_rotation())
        yield {"$type": "rotate_sensor_container_to", "avatar_id": AVATAR, "rotation": rotation}
        yield {"$type": "set_field_of_view", "field_of_view": _number(camera.field_of_view), "avatar_id": AVATAR}
        aperture = focal_length(camera.field_of_view) / camera.aperture if camera.aperture else SHARP_APERTURE
        yield {"$type": "set_focus_distance", "focus_distance": _number(camera.focus_distance)}
        yield {"$type": "set_aperture", "aperture": _number(aperture)}

    def _sun(self, scene: Scene, rig: Rig) -> Iterator[Command]:
        sun = scene.sun
        yield {"$type": "reset_directional_light_rotation", "index": 0}
        if not _same_direction(sun.direction, STAGING.sun_direction):
            turns = sun_turns(
                rig.sun_travel(sun.direction), self._skybox.sun_elevation, self._skybox.sun_initial_angle
            )
            for axis, angle in zip(("yaw", "pitch"), turns, strict=True):
                yield {"$type": "rotate_directional_light_by", "axis": axis, "angle": _number(angle), "index": 0}
        colour = self._colour if sun.colour == (1.0, 1.0, 1.0) else sun.colour
        red, green, blue = (_number(part) for part in colour)
        yield {
            "$type": "set_directional_light_color",
            "color": {"r": red, "g": green, "b": blue, "a": 1.0},
            "index": 0,
        }
        wanted = np.float32(self._skybox.sun_intensity)
        if sun.intensity != 1.0:
            steps = round((self._skybox.sun_intensity + sun.intensity - 1.0) / INTENSITY_STEP)
            wanted = np.float32(max(steps, 0) * INTENSITY_STEP)
        change = float(wanted) - float(self._intensity)
        self._intensity = wanted
        if change:
            yield {"$type": "adjust_directional_light_intensity_by", "intensity": change, "index": 0}


def _same_direction(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two vectors point the same way."""
    a, b = np.array(first), np.array(second)
    return bool(np.allclose(a / np.linalg.norm(a), b / np.linalg.norm(b), rtol=0.0, atol=1e-9))


def _number(value: float) -> float:
    """Rounded to a millionth: Unity has 32 bits, and the stream of commands is the same on every machine."""
    return round(float(value), 6) + 0.0


def _vector(values: Sequence[float] | np.ndarray[Any, Any]) -> Mapping[str, float]:
    x, y, z = (_number(value) for value in values)
    return {"x": x, "y": y, "z": z}


def _quaternion(values: Sequence[float]) -> Mapping[str, float]:
    x, y, z, w = (_number(value) for value in values)
    return {"x": x, "y": y, "z": z, "w": w}
