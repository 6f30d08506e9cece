"""What each command of the Command API may hold: its keys, their types and defaults (TDW 1.13, command_api.md).

A table, written as `key type` for a key that must be there and `key type=default` for one that may be left out, and a
reader for each type. Where Unity's JSON reader takes something silently (a position without y), the reader refuses:
a controller that is tested here should not hang on it there. Keys that the table does not hold are ignored, as Unity
ignores them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import attrs
import numpy as np


class Rejected(Exception):
    """A command that the build answers by logging an error and quitting.

    Attributes:
        command: The command's `$type`; empty where it has none.
        message: What is wrong with it.
    """

    def __init__(self, command: str, message: str) -> None:
        self.command = command
        self.message = message
        super().__init__(f"{command}: {message}" if command else message)


COMMANDS: Mapping[str, str] = {
    # The build and the session
    "set_error_handling": "error bool=true, warning bool=false",
    "send_log_messages": "",
    "terminate": "",
    "load_scene": "scene_name scene",
    "add_scene": "name string, url string, convexify bool=false",
    "set_screen_size": "width size=256, height size=256",
    "set_img_pass_encoding": "value bool",
    "unload_asset_bundles": "bundle_type bundle=models",
    "create_empty_environment": "center vector3=0, bounds vector3=10",
    "create_exterior_walls": "walls grid",
    # The avatar and its camera
    "create_avatar": "type avatar_type, id string=a",
    "destroy_avatar": "avatar_id avatar=a",
    "teleport_avatar_to": "position vector3, avatar_id avatar=a",
    "teleport_avatar_by": "position vector3, avatar_id avatar=a",
    "rotate_avatar_to": "rotation quaternion, avatar_id avatar=a",
    "rotate_avatar_to_euler_angles": "euler_angles vector3, avatar_id avatar=a",
    "rotate_avatar_by": "angle float, axis axis=yaw, is_world bool=true, avatar_id avatar=a",
    "rotate_sensor_container_to": "rotation quaternion, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "rotate_sensor_container_by": "axis axis, angle float, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "reset_sensor_container_rotation": "sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "translate_sensor_container_by": "move_by vector3=0, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "look_at": "object_id object, use_centroid bool, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "look_at_position": "position vector3, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "set_field_of_view": "field_of_view angle=54.43223, avatar_id avatar=a",
    "set_focal_length": "focal_length positive=35, avatar_id avatar=a",
    "set_camera_clipping_planes": "near positive=0.1, far positive=100, avatar_id avatar=a",
    "set_pass_masks": "pass_masks passes, avatar_id avatar=a",
    # Post-processing
    "set_post_process": "value bool",
    "set_aperture": "aperture positive=4",
    "set_focus_distance": "focus_distance float=2",
    "focus_on_object": "object_id object, use_centroid bool=false, sensor_name sensor=SensorContainer, "
    "avatar_id avatar=a",
    "set_post_exposure": "post_exposure float=0",
    "set_contrast": "contrast float=20",
    "set_saturation": "saturation float=-20",
    # Objects
    "add_object": "id int, name string, url string, position vector3=0, rotation vector3=0, scale_factor positive=1, "
    "category string=, affordance_points vectors=",
    "destroy_object": "id object",
    "destroy_all_objects": "",
    "teleport_object": "id object, position vector3, physics bool=false, absolute bool=true, use_centroid bool=false",
    "teleport_object_by": "id object, position vector3, absolute bool=true, use_centroid bool=false",
    "rotate_object_by": "id object, angle float, axis axis=yaw, is_world bool=true, use_centroid bool=false",
    "rotate_object_to": "id object, rotation quaternion, physics bool=false, use_centroid bool=false",
    "rotate_object_to_euler_angles": "id object, euler_angles vector3, use_centroid bool=false",
    "rotate_object_around": "id object, angle float, axis axis=yaw, position vector3",
    "object_look_at": "id object, other_object_id object",
    "object_look_at_position": "id object, position vector3",
    "scale_object": "id object, scale_factor vector3=1",
    "scale_object_and_mass": "id object, scale_factor vector3=1",
    "scale_object_to": "id object, scale vector3=1",
    "parent_object_to_avatar": "id object, avatar_id avatar=a, sensor bool=true",
    "unparent_object": "id object",
    "hide_object": "id object",
    "show_object": "id object",
    "set_object_visibility": "id object, visible bool=true",
    "set_color": "id object, color colour",
    "set_color_in_substructure": "id object, object_name string, color colour",
    "add_material": "name string, url string",
    "set_visual_material": "id object, material_name string, object_name string, material_index int",
    # Light and sky
    "add_hdri_skybox": "name string, url string, exposure float, initial_skybox_rotation float, sun_elevation float, "
    "sun_initial_angle float, sun_intensity float",
    "rotate_hdri_skybox_by": "angle float",
    "set_hdri_skybox_exposure": "exposure float",
    "set_ambient_intensity": "intensity float=1",
    "adjust_directional_light_intensity_by": "intensity float, index light=0",
    "reset_directional_light_rotation": "index light=0",
    "rotate_directional_light_by": "angle float, axis axis=yaw, index light=0",
    "set_directional_light_color": "color colour, index light=0",
    # What the build is to send; the addressees are checked when the command comes
    "send_version": "log bool=true, frequency frequency=once",
    "send_images": "ids avatars=, frequency frequency=once",
    "send_image_sensors": "ids avatars=, frequency frequency=once",
    "send_camera_matrices": "ids avatars=, frequency frequency=once",
    "send_transforms": "ids objects=, frequency frequency=once",
    "send_bounds": "ids objects=, frequency frequency=once",
    "send_segmentation_colors": "ids objects=, frequency frequency=once",
    "send_categories": "frequency frequency=once",
    "send_lights": "frequency frequency=once",
    "send_scene_regions": "frequency frequency=once",
    # Read, and not simulated: they change nothing that a picture or a datum here could show
    "do_nothing": "",
    "use_pre_signed_urls": "value bool",
    "simulate_physics": "value bool",
    "set_network_logging": "value bool",
    "set_legacy_shaders": "value bool",
    "set_download_timeout": "timeout int=1800, retry bool=true",
    "set_socket_timeout": "timeout int=1000, max_retries int=1000",
    "set_target_framerate": "framerate int=1000",
    "set_time_step": "time_step positive=0.01",
    "set_vsync_count": "count int=1",
    "set_render_quality": "render_quality quality=5",
    "set_gravity_vector": "gravity vector3=0",
    "set_physics_solver_iterations": "iterations int=12",
    "set_sleep_threshold": "sleep_threshold float=0.005",
    "set_cursor": "visible bool=true, locked bool=false",
    "step_physics": "frames int",
    "unload_unused_assets": "",
    "enable_reflection_probes": "enable bool=true",
    "set_anti_aliasing": "mode anti_aliasing=subpixel, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "set_render_order": "render_order int=0, sensor_name sensor=SensorContainer, avatar_id avatar=a",
    "set_vignette": "enabled bool=false",
    "set_screen_space_reflections": "enabled bool=true",
    "set_ambient_occlusion_intensity": "intensity float=0.25",
    "set_ambient_occlusion_thickness_modifier": "thickness float=1.25",
    "set_shadow_strength": "strength float=0.582",
    "set_avatar_kinematic_state": "is_kinematic bool=false, use_gravity bool=false, avatar_id avatar=a",
    "set_kinematic_state": "id object, is_kinematic bool=false, use_gravity bool=false",
    "set_mass": "id object, mass positive",
    "set_physic_material": "id object, dynamic_friction float, static_friction float, bounciness float",
    "set_object_collision_detection_mode": "id object, mode detection=continuous_dynamic",
    "set_object_drag": "id object, drag float=0, angular_drag float=0.05",
    "set_object_physics_solver_iterations": "id object, iterations int=12",
    "set_velocity": "id object, velocity vector3=0",
    "set_angular_velocity": "id object, velocity vector3=0",
}
"""The commands that the peer takes, and what each may hold."""


PASSES = ("_img", "_id", "_category", "_mask", "_depth", "_normals")
"""The picture passes that the peer renders."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "scene": ("ProcGenScene", "PointLightScene"),
    "bundle": ("models", "materials", "scenes", "skyboxes", "humanoids", "humanoid_animations"),
    "avatar_type": ("A_Img_Caps_Kinematic",),
    "axis": ("pitch", "yaw", "roll"),
    "frequency": ("once", "always", "never"),
    "anti_aliasing": ("fast", "none", "subpixel", "temporal"),
    "detection": ("continuous_dynamic", "continuous_speculative", "discrete", "continuous"),
    "sensor": ("SensorContainer",),
    "pass": PASSES,
}
"""The words that a type of the table takes."""


def _a_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _an_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise ValueError("a whole number of 32 bits")
    return value


def _a_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _a_string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _between(read: Callable[[Any], Any], low: float, high: float, words: str) -> Callable[[Any], Any]:
    def bounded(value: Any) -> Any:
        number = read(value)
        if not low <= number <= high:
            raise ValueError(words)
        return number

    return bounded


def _parts(names: str) -> Callable[[Any], Any]:
    def numbers(value: Any) -> Any:
        words = f"an object of the numbers {', '.join(names)}"
        if not isinstance(value, Mapping) or not all(name in value for name in names):
            raise ValueError(words)
        try:
            return np.array([_a_float(value[name]) for name in names])
        except ValueError:
            raise ValueError(words) from None

    return numbers


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def word(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(" or ".join(words) + (" (what the peer knows)" if len(words) == 1 else ""))
        return value

    return word


def _list_of(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def items(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("a list")
        try:
            return tuple(read(item) for item in value)
        except ValueError as error:
            raise ValueError(f"a list, each item {error}") from None

    return items


READERS: Mapping[str, Callable[[Any], Any]] = {
    "bool": _a_bool,
    "int": _an_int,
    "float": _a_float,
    "string": _a_string,
    "positive": _between(_a_float, 1e-6, 1e6, "a number above 0"),
    "angle": _between(_a_float, 1, 179, "degrees from 1 to 179"),
    "size": _between(_an_int, 1, 4096, "a whole number of pixels from 1 to 4096"),
    "quality": _between(_an_int, 0, 5, "a whole number from 0 to 5"),
    "light": _between(_an_int, 0, 0, "0: the peer has one directional light"),
    "vector3": _parts("xyz"),
    "quaternion": _parts("xyzw"),
    "colour": _parts("rgba"),
    "vectors": _list_of(_parts("xyz")),
    "grid": _list_of(_parts("xy")),
    "passes": _list_of(_one_of(PASSES)),
    # Names of what must be there; the world looks them up.
    "object": _an_int,
    "objects": _list_of(_an_int),
    "avatar": _a_string,
    "avatars": _list_of(_a_string),
    **{name: _one_of(words) for name, words in CHOICES.items()},
}
"""A reader for each type of the table; it raises ValueError with what is expected."""


@attrs.frozen
class Field:
    """One key that a command may hold.

    Attributes:
        key: Its name.
        kind: The name of its type.
        required: Whether the command must hold it.
        default: Its value where the command does not.
    """

    key: str
    kind: str
    required: bool
    default: Any = None


@cache
def fields(command: str) -> tuple[Field, ...] | None:
    """Give what a command may hold; None for a command that the peer does not know."""
    text = COMMANDS.get(command)
    if text is None:
        return None
    found = []
    for part in filter(None, text.split(", ")):
        key, _, rest = part.partition(" ")
        kind, given, default = rest.partition("=")
        found.append(Field(key, kind, not given, _default(kind, default) if given else None))
    return tuple(found)


def _default(kind: str, text: str) -> Any:
    """Read a default as it stands in the table."""
    if kind == "vector3":
        return np.full(3, float(text))
    if READERS[kind] in (_a_string,) or kind in CHOICES:
        return text
    if not text:
        return ()
    if kind == "bool":
        return text == "true"
    return int(text) if kind in ("int", "size", "quality", "light") else float(text)


def read_command(command: object) -> tuple[str, dict[str, Any]]:
    """Check a command against the table.

    Args:
        command: What the controller sent, as JSON gives it.

    Returns:
        The command's `$type` and a value for every key of the table: plain values, strings, arrays of numbers (x, y,
        z; x, y, z, w; r, g, b, a), tuples. Names of objects and avatars are not looked up.

    Raises:
        Rejected: The command is unknown, a required key is missing, or a value is not of its type.
    """
    if not isinstance(command, Mapping):
        raise Rejected("", "a command is an object with a $type")
    name = command.get("$type")
    if not isinstance(name, str):
        raise Rejected("", "the command has no $type")
    known = fields(name)
    if known is None:
        raise Rejected(name, "the build does not know this command")
    values: dict[str, Any] = {}
    for field in known:
        if field.key not in command:
            if field.required:
                raise Rejected(name, f"{field.key} is missing")
            values[field.key] = field.default
            continue
        try:
            values[field.key] = READERS[field.kind](command[field.key])
        except ValueError as error:
            raise Rejected(name, f"{field.key} must be {error}") from None
    return name, values
