"""A scene that takes ThreeDWorld's commands one by one and remembers what they did.

`World` stands in for the part of the Unity build that a controller can see: objects with their places, sizes and
materials, one avatar with a camera, the sun, the sky, post-processing, and what the build was asked to send. It
renders nothing (`picture.py` does) and knows nothing of the network (`messages.py`, `peer.py` do). Physics is not
simulated: objects stay where they were put.

Conventions are Unity's: left-handed, y up, a camera looks along its +z; lengths are metres, angles degrees,
quaternions x, y, z, w. What is said of the sun could not be verified against Unity: `add_hdri_skybox` sets it to the
skybox's intensity, to white, and to the rotation Ry(sun_initial_angle) Rx(sun_elevation); light travels along its
local +z; it turns about its own axes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlparse

import attrs
import numpy as np
import numpy.typing as npt

from task2sim_threedworld.testing.rotations import (
    Quaternion,
    Vector,
    about,
    after,
    from_euler,
    identity,
    inverse,
    looking,
    matrix,
    turn,
    unit,
)
from task2sim_threedworld.testing.schema import Rejected, fields, read_command

__all__ = ["Avatar", "Colour", "Due", "Light", "Region", "Rejected", "Skybox", "Slot", "World", "WorldObject"]

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

Due: TypeAlias = tuple[str, tuple[Any, ...]]
"""What is to be sent: a kind of data and the ids it is about; see `World.due`."""

SENSOR_HEIGHT = 24.0
"""Height of the camera's sensor in millimetres, from which field of view and focal length follow each other."""

BOUNDS = ("front", "back", "right", "left", "top", "bottom", "center")
"""The order of the seven points of an object's bounds, as in TDW's `Bounds` frames."""


@attrs.define
class Slot:
    """A place of an object that wears a material.

    Attributes:
        sub_object: Name of the sub-object (`object_name` of `set_visual_material`).
        index: Index of the material in the sub-object.
        material: Name of the material worn now; at first the model's own.
        colour: Tint by `set_color`: red, green, blue, 0 to 1; None where there is none.
    """

    sub_object: str
    index: int
    material: str
    colour: Vector | None = None


@attrs.define(eq=False)
class WorldObject:
    """An object in the scene: a box with slots.

    Attributes:
        id: Number by which commands name it.
        name: Name of its model.
        category: Category, as `add_object` gave it, else as the record does.
        position: Where its pivot is (x, y, z); a model's pivot is, as a rule, at the centre of its bottom.
        rotation: Quaternion x, y, z, w.
        scale: Factors along its own axes, `add_object`'s `scale_factor` included.
        low: Lower corner of its bounds in its own axes at scale 1, seen from the pivot.
        high: Upper corner.
        slots: Where it wears materials, in the record's order.
        segmentation_colour: Its colour in the `_id` pass, of no other object in the scene.
        category_colour: Its colour in the `_category` pass.
        visible: False while it is hidden.
        carried: What carries it: `"sensor"` or `"avatar"` after `parent_object_to_avatar`, else None.
    """

    id: int
    name: str
    category: str
    position: Vector
    rotation: Quaternion
    scale: Vector
    low: Vector
    high: Vector
    slots: tuple[Slot, ...]
    segmentation_colour: Colour
    category_colour: Colour
    visible: bool = True
    carried: str | None = None

    @property
    def box(self) -> tuple[Vector, Vector]:
        """Lower and upper corner of the scaled box in the object's own axes, seen from the pivot, in metres."""
        a, b = self.low * self.scale, self.high * self.scale
        return np.minimum(a, b), np.maximum(a, b)

    @property
    def centre(self) -> Vector:
        """Where the centre of its box is in the world."""
        low, high = self.box
        return self.position + turn(self.rotation, (low + high) / 2)

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """The middles of its sides and its centre in the world, (7, 3), in the order of `BOUNDS`.

        A side keeps its name as the object turns: front is where the object's own +z points, right its +x.
        """
        low, high = self.box
        middle = (low + high) / 2
        points = np.tile(middle, (7, 1))
        points[0, 2], points[1, 2] = high[2], low[2]
        points[2, 0], points[3, 0] = high[0], low[0]
        points[4, 1], points[5, 1] = high[1], low[1]
        turned: npt.NDArray[np.float64] = points @ matrix(self.rotation).T + self.position
        return turned

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """The eight corners of its box in the world, (8, 3)."""
        ends = np.stack(self.box)
        picks = np.array([[k & 1, k >> 1 & 1, k >> 2] for k in range(8)])
        turned: npt.NDArray[np.float64] = ends[picks, np.arange(3)] @ matrix(self.rotation).T + self.position
        return turned

    @property
    def forward(self) -> Vector:
        """Where its own +z points, of length 1."""
        return turn(self.rotation, np.array([0.0, 0.0, 1.0]))


@attrs.define(eq=False)
class Avatar:
    """The avatar and its one camera, called SensorContainer.

    Attributes:
        id: Name by which commands name it.
        position: Where the avatar is.
        rotation: How the avatar is turned; turning it turns its sensor.
        sensor_offset: Where the camera is, seen from the avatar, in the world's axes.
        sensor_rotation: How the camera is turned in the world.
        field_of_view: Vertical, in degrees.
        near: Distance of the near clipping plane.
        far: Distance of the far clipping plane.
        pass_masks: Which pictures it takes, such as `_img`.
        sensor_name: Name of its camera.
    """

    id: str
    position: Vector = attrs.field(factory=lambda: np.zeros(3))
    rotation: Quaternion = attrs.field(factory=identity)
    sensor_offset: Vector = attrs.field(factory=lambda: np.zeros(3))
    sensor_rotation: Quaternion = attrs.field(factory=identity)
    field_of_view: float = 54.43223
    near: float = 0.1
    far: float = 100.0
    pass_masks: tuple[str, ...] = ("_img",)
    sensor_name: str = "SensorContainer"

    @property
    def sensor_position(self) -> Vector:
        """Where the camera is."""
        return self.position + self.sensor_offset

    @property
    def sensor_forward(self) -> Vector:
        """Where the camera looks, of length 1."""
        return turn(self.sensor_rotation, np.array([0.0, 0.0, 1.0]))

    @property
    def focal_length(self) -> float:
        """Focal length in millimetres that belongs to the field of view on a sensor 24 mm high."""
        return SENSOR_HEIGHT / 2 / math.tan(math.radians(self.field_of_view) / 2)

    @property
    def camera_matrix(self) -> npt.NDArray[np.float64]:
        """World to camera, (4, 4), as Unity's `worldToCameraMatrix`: right-handed, looking along -z."""
        view = np.eye(4)
        view[:3, :3] = matrix(self.sensor_rotation).T
        view[:3, 3] = -view[:3, :3] @ self.sensor_position
        view[2] *= -1
        return view

    def projection_matrix(self, aspect: float) -> npt.NDArray[np.float64]:
        """Camera to clip space, (4, 4), as Unity's `Camera.projectionMatrix` (OpenGL's).

        Args:
            aspect: Width of the picture by its height.
        """
        scale = 1 / math.tan(math.radians(self.field_of_view) / 2)
        depth = self.far - self.near
        projection = np.zeros((4, 4))
        projection[0, 0], projection[1, 1] = scale / aspect, scale
        projection[2, 2], projection[2, 3] = -(self.far + self.near) / depth, -2 * self.far * self.near / depth
        projection[3, 2] = -1
        return projection


@attrs.define(eq=False)
class Light:
    """The directional light.

    Attributes:
        rotation: Light travels along its local +z.
        initial_rotation: What `reset_directional_light_rotation` goes back to.
        colour: Red, green, blue, 0 to 1.
        intensity: As the commands made it; below 0 it gives no light.
    """

    rotation: Quaternion = attrs.field(factory=lambda: from_euler((50, -30, 0)))
    initial_rotation: Quaternion = attrs.field(factory=lambda: from_euler((50, -30, 0)))
    colour: Vector = attrs.field(factory=lambda: np.ones(3))
    intensity: float = 1.0

    @property
    def direction(self) -> Vector:
        """Where the light travels to, of length 1."""
        return turn(self.rotation, np.array([0.0, 0.0, 1.0]))


@attrs.define
class Skybox:
    """The sky.

    Attributes:
        name: Name of the HDRI skybox.
        exposure: Factor on its brightness.
        rotation: How far it is turned about the vertical, in degrees.
    """

    name: str
    exposure: float
    rotation: float


@attrs.frozen(eq=False)
class Region:
    """A room: centre and size (x, y, z) in metres."""

    centre: Vector
    size: Vector


AVATAR_DATA = ("images", "image_sensors", "camera_matrices")
OBJECT_DATA = ("transforms", "bounds", "segmentation_colors")
SCENE_DATA = ("categories", "lights", "scene_regions", "version")


@attrs.define(eq=False)
class World:
    """The scene's state, and what is to be sent.

    Attributes:
        objects: Objects by id, in the order in which they came.
        avatar: The avatar; None before `create_avatar`. The peer holds one at a time.
        light: The sun.
        skybox: The sky; None before `add_hdri_skybox`.
        ambient: Factor on the sky's light (`set_ambient_intensity`).
        materials: Names of the materials that were added.
        regions: Rooms, by `create_empty_environment` and `create_exterior_walls`; the bare ProcGenScene has none.
        width: Width of pictures in pixels.
        height: Height of pictures in pixels.
        encoding: `"png"` or `"jpg"`, of the `_img` pass.
        post_process: Whether the values below count.
        focus_distance: Metres at which the picture is sharp.
        aperture: f-number; the larger, the deeper the sharp range.
        post_exposure: Exposure in stops.
        contrast: -100 to 100.
        saturation: -100 to 100.
        log_messages: Whether the build's log is to be sent along (`send_log_messages`).
        quit_on_error: Whether a rejected command ends the build (`set_error_handling`).
        terminated: Whether the build was told to end.
        frames: How many frames were finished.
    """

    objects: dict[int, WorldObject] = attrs.field(factory=dict)
    avatar: Avatar | None = None
    light: Light = attrs.field(factory=Light)
    skybox: Skybox | None = None
    ambient: float = 1.0
    materials: set[str] = attrs.field(factory=set)
    regions: list[Region] = attrs.field(factory=list)
    width: int = 256
    height: int = 256
    encoding: str = "png"
    post_process: bool = True
    focus_distance: float = 2.0
    aperture: float = 4.0
    post_exposure: float = 0.0
    contrast: float = 20.0
    saturation: float = -20.0
    log_messages: bool = False
    quit_on_error: bool = True
    terminated: bool = False
    frames: int = 0
    _wanted: dict[str, tuple[str, tuple[Any, ...]]] = attrs.field(factory=dict, init=False)

    # What others ask

    @property
    def due(self) -> tuple[Due, ...]:
        """What is to be sent with this frame: pairs of a kind and ids, in the order of first asking.

        ("images", avatar ids), ("image_sensors", avatar ids), ("camera_matrices", avatar ids), ("transforms", object
        ids), ("bounds", object ids), ("segmentation_colors", object ids), ("categories", ()), ("lights", ()),
        ("scene_regions", ()), ("version", ()), and ("quit", ()) once the build was told to end. Where a command names
        no ids, they are those of all that is there now. What is gone since is left out; avatar data with nobody left
        are not due.
        """
        found: list[Due] = []
        for kind, (_, ids) in self._wanted.items():
            if kind in SCENE_DATA:
                found.append((kind, ()))
                continue
            there: Sequence[Any] = list(self.objects)
            if kind in AVATAR_DATA:
                there = [] if self.avatar is None else [self.avatar.id]
            wanted = tuple(key for key in (ids or there) if key in there)
            if wanted or kind in OBJECT_DATA:
                found.append((kind, wanted))
        if self.terminated:
            found.append(("quit", ()))
        return tuple(found)

    @property
    def categories(self) -> dict[str, Colour]:
        """Categories of the objects in the scene and their colours in the `_category` pass."""
        return {item.category: item.category_colour for item in self.objects.values()}

    def execute(self, command: Mapping[str, Any]) -> None:
        """Carry out one command.

        Args:
            command: As the controller sent it.

        Raises:
            Rejected: The command is unknown or malformed, or names what is not there. Nothing was changed.
        """
        name, values = read_command(command)
        for field in fields(name) or ():
            value = values[field.key]
            if field.kind == "object":
                values[field.key] = self._object(name, value)
            elif field.kind == "avatar":
                values[field.key] = self._avatar(name, value)
            elif field.kind == "objects":
                for key in value:
                    self._object(name, key)
            elif field.kind == "avatars":
                for key in value:
                    self._avatar(name, key)
        kind = name.removeprefix("send_")
        if kind in AVATAR_DATA or kind in OBJECT_DATA or kind in SCENE_DATA:
            self._want(kind, values["frequency"], values.get("ids", ()))
            return
        # Commands that the table holds and that have no method here are read and not simulated.
        method = getattr(self, f"_{name}", None)
        if method is not None:
            method(**values)

    def finish_frame(self) -> None:
        """Forget what was to be sent once; call it after the answer was built."""
        self._wanted = {kind: wish for kind, wish in self._wanted.items() if wish[0] == "always"}
        self.frames += 1

    # What commands need

    def _want(self, kind: str, frequency: str, ids: tuple[Any, ...]) -> None:
        if frequency == "never":
            self._wanted.pop(kind, None)
        else:
            self._wanted[kind] = (frequency, ids)

    def _object(self, command: str, key: int) -> WorldObject:
        if key not in self.objects:
            raise Rejected(command, f"there is no object {key}")
        return self.objects[key]

    def _avatar(self, command: str, key: str) -> Avatar:
        if self.avatar is None or self.avatar.id != key:
            raise Rejected(command, f"there is no avatar {key}")
        return self.avatar

    def _clear_scene(self) -> None:
        """Empty the scene and put back what a scene starts with; what was loaded stays loaded."""
        fresh = World()
        for name in ("objects", "avatar", "light", "skybox", "ambient", "regions", "post_process", "focus_distance",
                     "aperture", "post_exposure", "contrast", "saturation"):  # fmt: skip
            setattr(self, name, getattr(fresh, name))

    # The build and the session

    def _set_error_handling(self, error: bool, warning: bool) -> None:
        self.quit_on_error = error

    def _send_log_messages(self) -> None:
        self.log_messages = True

    def _terminate(self) -> None:
        self.terminated = True

    def _load_scene(self, scene_name: str) -> None:
        self._clear_scene()

    def _add_scene(self, name: str, url: str, convexify: bool) -> None:
        _check_bundle("add_scene", "scene", name, url, ("scenes.json",))
        self._clear_scene()

    def _set_screen_size(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def _set_img_pass_encoding(self, value: bool) -> None:
        self.encoding = "png" if value else "jpg"

    def _unload_asset_bundles(self, bundle_type: str) -> None:
        if bundle_type == "materials":
            self.materials.clear()

    def _create_empty_environment(self, center: Vector, bounds: Vector) -> None:
        self.regions.append(Region(center, bounds))

    def _create_exterior_walls(self, walls: tuple[Vector, ...]) -> None:
        if not walls:
            raise Rejected("create_exterior_walls", "walls is empty")
        # Walls stand on a grid of whole metres about the origin; the peer keeps the room and draws no walls.
        extent = np.max(walls, axis=0) - np.min(walls, axis=0)
        self.regions.append(Region(np.zeros(3), np.array([extent[0], 4.5, extent[1]])))

    # The avatar and its camera

    def _create_avatar(self, type: str, id: str) -> None:
        if self.avatar is not None:
            raise Rejected("create_avatar", f"the peer holds one avatar, and {self.avatar.id} is there")
        self.avatar = Avatar(id)

    def _destroy_avatar(self, avatar_id: Avatar) -> None:
        self.avatar = None
        for item in self.objects.values():
            item.carried = None

    def _move_avatar(
        self,
        avatar: Avatar,
        *,
        position: Vector | None = None,
        rotation: Quaternion | None = None,
        sensor_rotation: Quaternion | None = None,
        sensor_offset: Vector | None = None,
    ) -> None:
        """Move the avatar or its camera, and what they carry."""
        before = {
            "avatar": (avatar.position, avatar.rotation),
            "sensor": (avatar.sensor_position, avatar.sensor_rotation),
        }
        if rotation is not None:
            by = after(rotation, inverse(avatar.rotation))
            avatar.sensor_rotation = after(by, avatar.sensor_rotation)
            avatar.sensor_offset = turn(by, avatar.sensor_offset)
            avatar.rotation = rotation
        if position is not None:
            avatar.position = position
        if sensor_rotation is not None:
            avatar.sensor_rotation = sensor_rotation
        if sensor_offset is not None:
            avatar.sensor_offset = sensor_offset
        now = {
            "avatar": (avatar.position, avatar.rotation),
            "sensor": (avatar.sensor_position, avatar.sensor_rotation),
        }
        for item in self.objects.values():
            if item.carried is not None:
                was, was_turned = before[item.carried]
                place, turned = now[item.carried]
                by = after(turned, inverse(was_turned))
                item.position = place + turn(by, item.position - was)
                item.rotation = after(by, item.rotation)

    def _teleport_avatar_to(self, position: Vector, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, position=position)

    def _teleport_avatar_by(self, position: Vector, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, position=avatar_id.position + position)

    def _rotate_avatar_to(self, rotation: Quaternion, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, rotation=unit(rotation))

    def _rotate_avatar_to_euler_angles(self, euler_angles: Vector, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, rotation=from_euler(euler_angles))

    def _rotate_avatar_by(self, angle: float, axis: str, is_world: bool, avatar_id: Avatar) -> None:
        by, now = about(axis, angle), avatar_id.rotation
        self._move_avatar(avatar_id, rotation=after(by, now) if is_world else after(now, by))

    def _rotate_sensor_container_to(self, rotation: Quaternion, sensor_name: str, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, sensor_rotation=unit(rotation))

    def _rotate_sensor_container_by(self, axis: str, angle: float, sensor_name: str, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, sensor_rotation=after(avatar_id.sensor_rotation, about(axis, angle)))

    def _reset_sensor_container_rotation(self, sensor_name: str, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, sensor_rotation=avatar_id.rotation)

    def _translate_sensor_container_by(self, move_by: Vector, sensor_name: str, avatar_id: Avatar) -> None:
        self._move_avatar(avatar_id, sensor_offset=avatar_id.sensor_offset + move_by)

    def _look_at(self, object_id: WorldObject, use_centroid: bool, sensor_name: str, avatar_id: Avatar) -> None:
        self._look_at_position(object_id.centre if use_centroid else object_id.position, sensor_name, avatar_id)

    def _look_at_position(self, position: Vector, sensor_name: str, avatar_id: Avatar) -> None:
        rotation = looking(position - avatar_id.sensor_position)
        if rotation is not None:
            self._move_avatar(avatar_id, sensor_rotation=rotation)

    def _set_field_of_view(self, field_of_view: float, avatar_id: Avatar) -> None:
        avatar_id.field_of_view = field_of_view

    def _set_focal_length(self, focal_length: float, avatar_id: Avatar) -> None:
        avatar_id.field_of_view = math.degrees(2 * math.atan(SENSOR_HEIGHT / 2 / focal_length))

    def _set_camera_clipping_planes(self, near: float, far: float, avatar_id: Avatar) -> None:
        if near >= far:
            raise Rejected("set_camera_clipping_planes", "near must be less than far")
        avatar_id.near, avatar_id.far = near, far

    def _set_pass_masks(self, pass_masks: tuple[str, ...], avatar_id: Avatar) -> None:
        avatar_id.pass_masks = tuple(dict.fromkeys(pass_masks))

    # Post-processing

    def _set_post_process(self, value: bool) -> None:
        self.post_process = value

    def _set_aperture(self, aperture: float) -> None:
        self.aperture = aperture

    def _set_focus_distance(self, focus_distance: float) -> None:
        # The paper's generator draws distances down to -0.4 for near objects; the effect in Unity starts at 0.1 m.
        self.focus_distance = max(focus_distance, 0.1)

    def _focus_on_object(
        self, object_id: WorldObject, use_centroid: bool, sensor_name: str, avatar_id: Avatar
    ) -> None:
        place = object_id.centre if use_centroid else object_id.position
        self._set_focus_distance(float(np.linalg.norm(place - avatar_id.sensor_position)))

    def _set_post_exposure(self, post_exposure: float) -> None:
        self.post_exposure = post_exposure

    def _set_contrast(self, contrast: float) -> None:
        self.contrast = contrast

    def _set_saturation(self, saturation: float) -> None:
        self.saturation = saturation

    # Objects

    def _add_object(
        self,
        id: int,
        name: str,
        url: str,
        position: Vector,
        rotation: Vector,
        scale_factor: float,
        category: str,
        affordance_points: tuple[Vector, ...],
    ) -> None:
        if id in self.objects:
            raise Rejected("add_object", f"there is an object {id} already")
        record = _model_record(name, url)
        category = category or str(record["wcategory"])
        low, high = _native_bounds(record)
        slots = tuple(
            Slot(part["name"], index, material)
            for part in record["substructure"]
            for index, material in enumerate(part["materials"])
        )
        taken = {item.segmentation_colour for item in self.objects.values()}
        self.objects[id] = WorldObject(
            id=id,
            name=name,
            category=category,
            position=position,
            rotation=from_euler(rotation),
            scale=np.full(3, scale_factor),
            low=low,
            high=high,
            slots=slots or (Slot(name, 0, ""),),
            segmentation_colour=_pick_colour(f"object {id}", taken),
            category_colour=_pick_colour(f"category {category}", set()),
        )

    def _destroy_object(self, id: WorldObject) -> None:
        del self.objects[id.id]

    def _destroy_all_objects(self) -> None:
        self.objects.clear()

    def _teleport_object(
        self, id: WorldObject, position: Vector, physics: bool, absolute: bool, use_centroid: bool
    ) -> None:
        if not absolute and id.carried is not None and self.avatar is not None:
            avatar = self.avatar
            place, turned = (
                (avatar.position, avatar.rotation)
                if id.carried == "avatar"
                else (avatar.sensor_position, avatar.sensor_rotation)
            )
            position = place + turn(turned, position)
        id.position = position - (id.centre - id.position) if use_centroid else position

    def _teleport_object_by(self, id: WorldObject, position: Vector, absolute: bool, use_centroid: bool) -> None:
        id.position = id.position + (position if absolute else turn(id.rotation, position))

    def _turn_object(self, item: WorldObject, rotation: Quaternion, use_centroid: bool) -> None:
        centre = item.centre
        item.rotation = rotation
        if use_centroid:
            item.position = item.position + centre - item.centre

    def _rotate_object_by(self, id: WorldObject, angle: float, axis: str, is_world: bool, use_centroid: bool) -> None:
        by = about(axis, angle)
        # The API ignores is_world where the object turns about its centroid; its axes are then the world's.
        world = is_world or use_centroid
        self._turn_object(id, after(by, id.rotation) if world else after(id.rotation, by), use_centroid)

    def _rotate_object_to(self, id: WorldObject, rotation: Quaternion, physics: bool, use_centroid: bool) -> None:
        self._turn_object(id, unit(rotation), use_centroid)

    def _rotate_object_to_euler_angles(self, id: WorldObject, euler_angles: Vector, use_centroid: bool) -> None:
        self._turn_object(id, from_euler(euler_angles), use_centroid)

    def _rotate_object_around(self, id: WorldObject, angle: float, axis: str, position: Vector) -> None:
        by = about(axis, angle)
        id.position = position + turn(by, id.position - position)
        id.rotation = after(by, id.rotation)

    def _object_look_at(self, id: WorldObject, other_object_id: WorldObject) -> None:
        self._object_look_at_position(id, other_object_id.position)

    def _object_look_at_position(self, id: WorldObject, position: Vector) -> None:
        rotation = looking(position - id.position)
        if rotation is not None:
            id.rotation = rotation

    def _scale_object(self, id: WorldObject, scale_factor: Vector) -> None:
        id.scale = id.scale * scale_factor

    def _scale_object_and_mass(self, id: WorldObject, scale_factor: Vector) -> None:
        self._scale_object(id, scale_factor)

    def _scale_object_to(self, id: WorldObject, scale: Vector) -> None:
        id.scale = scale

    def _parent_object_to_avatar(self, id: WorldObject, avatar_id: Avatar, sensor: bool) -> None:
        id.carried = "sensor" if sensor else "avatar"

    def _unparent_object(self, id: WorldObject) -> None:
        id.carried = None

    def _hide_object(self, id: WorldObject) -> None:
        id.visible = False

    def _show_object(self, id: WorldObject) -> None:
        id.visible = True

    def _set_object_visibility(self, id: WorldObject, visible: bool) -> None:
        id.visible = visible

    def _set_color(self, id: WorldObject, color: Vector) -> None:
        for slot in id.slots:
            slot.colour = color[:3]

    def _set_color_in_substructure(self, id: WorldObject, object_name: str, color: Vector) -> None:
        slots = [slot for slot in id.slots if slot.sub_object == object_name]
        if not slots:
            raise Rejected("set_color_in_substructure", f"object {id.id} has no sub-object {object_name}")
        for slot in slots:
            slot.colour = color[:3]

    def _add_material(self, name: str, url: str) -> None:
        # A material has one name and the same record at each level of quality.
        _check_bundle("add_material", "material", name, url, ("materials_med.json",))
        self.materials.add(name)

    def _set_visual_material(
        self, id: WorldObject, material_name: str, object_name: str, material_index: int
    ) -> None:
        if material_name not in self.materials:
            raise Rejected("set_visual_material", f"the material {material_name} was not added (add_material)")
        # Sub-objects may share a name; Unity's look-up by name finds the first.
        for slot in id.slots:
            if slot.sub_object == object_name and slot.index == material_index:
                slot.material = material_name
                slot.colour = None
                return
        raise Rejected(
            "set_visual_material",
            f"object {id.id} ({id.name}) has no material {material_index} on a sub-object {object_name}",
        )

    # Light and sky

    def _add_hdri_skybox(
        self,
        name: str,
        url: str,
        exposure: float,
        initial_skybox_rotation: float,
        sun_elevation: float,
        sun_initial_angle: float,
        sun_intensity: float,
    ) -> None:
        _check_bundle("add_hdri_skybox", "HDRI skybox", name, url, ("hdri_skyboxes.json",))
        self.skybox = Skybox(name, exposure, initial_skybox_rotation)
        sun = after(about("yaw", sun_initial_angle), about("pitch", sun_elevation))
        self.light = Light(rotation=sun, initial_rotation=sun, intensity=float(np.float32(sun_intensity)))

    def _rotate_hdri_skybox_by(self, angle: float) -> None:
        if self.skybox is None:
            raise Rejected("rotate_hdri_skybox_by", "there is no HDRI skybox (add_hdri_skybox)")
        angle = min(abs(angle), 360.0)
        self.skybox.rotation = (self.skybox.rotation + angle) % 360
        by = about("yaw", -angle)
        self.light.rotation = after(by, self.light.rotation)
        self.light.initial_rotation = after(by, self.light.initial_rotation)

    def _set_hdri_skybox_exposure(self, exposure: float) -> None:
        if self.skybox is None:
            raise Rejected("set_hdri_skybox_exposure", "there is no HDRI skybox (add_hdri_skybox)")
        self.skybox.exposure = exposure

    def _set_ambient_intensity(self, intensity: float) -> None:
        self.ambient = intensity

    def _adjust_directional_light_intensity_by(self, intensity: float, index: int) -> None:
        # Unity adds in 32 bits.
        self.light.intensity = float(np.float32(self.light.intensity) + np.float32(intensity))

    def _reset_directional_light_rotation(self, index: int) -> None:
        self.light.rotation = self.light.initial_rotation

    def _rotate_directional_light_by(self, angle: float, axis: str, index: int) -> None:
        self.light.rotation = after(self.light.rotation, about(axis, angle))

    def _set_directional_light_color(self, color: Vector, index: int) -> None:
        self.light.colour = color[:3]


# What TDW's library knows


@cache
def _records(library: str) -> Mapping[str, Any]:
    """Read one of the library's record files; the package itself is not imported, for that takes a second."""
    package = find_spec("tdw")
    if package is None or not package.submodule_search_locations:
        return {}
    path = Path(package.submodule_search_locations[0]) / "metadata_libraries" / library
    records: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["records"]
    return records


def _local_bundle(command: str, name: str, url: str) -> Path | None:
    """Find the file that a `file:///` address names; None for an address on the network."""
    if not url.startswith("file:///"):
        return None
    path = Path(unquote(urlparse(url).path))
    if not path.is_file():
        raise Rejected(command, f"the asset bundle of {name} can't be read: there is no file {path}")
    return path


def _check_bundle(command: str, what: str, name: str, url: str, libraries: tuple[str, ...]) -> None:
    """Refuse an asset bundle that neither is a file nor stands in one of the library's files."""
    if _local_bundle(command, name, url) is None and not any(name in _records(library) for library in libraries):
        raise Rejected(command, f"there is no {what} {name}")


def _model_record(name: str, url: str) -> Mapping[str, Any]:
    """Find a model's record: TDW's own, or a local bundle's.

    A real asset bundle can't be opened here. What stands in for one is a text file that holds the model's record as
    JSON, or a `record.json` beside it; without either, a local model that the library does not know is a cube of 1 m.
    """
    bundle = _local_bundle("add_object", name, url)
    if bundle is not None:
        for path in (bundle, bundle.with_name("record.json")):
            record = _read_record(path)
            if record is not None:
                return record
    for library in ("models_core.json", "models_full.json", "models_special.json"):
        if name in _records(library):
            found: Mapping[str, Any] = _records(library)[name]
            return found
    if bundle is None:
        raise Rejected("add_object", f"there is no model {name}")
    return _cube(name)


def _read_record(path: Path) -> Mapping[str, Any] | None:
    """Read a record that a file holds; None where it holds none."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not {"bounds", "substructure"} <= set(record):
        return None
    return {"wcategory": "", "scale_factor": 1.0, **record}


def _cube(name: str) -> Mapping[str, Any]:
    """Make the record of a cube of 1 m that stands on its pivot and wears one material."""
    sides = {
        "front": (0, 0.5, 0.5), "back": (0, 0.5, -0.5), "right": (0.5, 0.5, 0), "left": (-0.5, 0.5, 0),
        "top": (0, 1, 0), "bottom": (0, 0, 0), "center": (0, 0.5, 0),
    }  # fmt: skip
    return {
        "wcategory": "",
        "scale_factor": 1.0,
        "bounds": {side: dict(zip("xyz", point, strict=True)) for side, point in sides.items()},
        "substructure": [{"name": name, "materials": [""]}],
    }


def _native_bounds(record: Mapping[str, Any]) -> tuple[Vector, Vector]:
    """Give a model's box at scale 1.

    A record's bounds are the model's size in metres once it wears the record's own `scale_factor` (an apple of factor
    0.0886 is 10 cm wide in its record), so that factor is taken out again.
    """
    bounds = record["bounds"]
    points = np.array([[float(bounds[side][axis]) for axis in "xyz"] for side in BOUNDS])
    factor = float(record["scale_factor"]) or 1.0
    return points.min(axis=0) / factor, points.max(axis=0) / factor


def _pick_colour(key: str, taken: set[Colour]) -> Colour:
    """Give a colour that follows from a key alone, unless another took it; never dark."""
    digests = (hashlib.blake2b(f"{key} {number}".encode(), digest_size=3).digest() for number in count())
    colours = ((red | 0x20, green | 0x20, blue | 0x20) for red, green, blue in digests)
    return next(colour for colour in colours if colour not in taken)
