"""The peer's scene: what each command does to it, and which commands it refuses."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim_threedworld.testing.rotations import about, after, from_euler, inverse, looking, matrix, turn, unit
from task2sim_threedworld.testing.schema import COMMANDS, Rejected, fields, read_command
from task2sim_threedworld.testing.world import BOUNDS, World

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

SKYBOX = {
    "$type": "add_hdri_skybox",
    "name": "bergen_4k",
    "url": "https://somewhere",
    "exposure": 0.6,
    "initial_skybox_rotation": 210,
    "sun_elevation": 140,
    "sun_initial_angle": 70,
    "sun_intensity": 1.2,
}


def point(x: float, y: float, z: float, **more: float) -> dict[str, float]:
    return {"x": x, "y": y, "z": z, **more}


def do(world: World, command: str, /, **values: Any) -> World:
    world.execute({"$type": command, **values})
    return world


@pytest.fixture
def world() -> World:
    """A camera at (0, 1, -3) and an apple, wearing its own scale, at the origin."""
    scene = World()
    do(scene, "load_scene", scene_name="ProcGenScene")
    do(scene, "create_avatar", type="A_Img_Caps_Kinematic", id="a")
    do(scene, "teleport_avatar_to", position=point(0, 1, -3))
    do(scene, "add_object", name="apple", url="https://somewhere", id=1, scale_factor=0.08862933)
    return scene


# --- rotations are Unity's ---


def test_positive_turns_go_where_unity_turns() -> None:
    ahead, right = np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    assert np.allclose(turn(about("yaw", 90), ahead), (1, 0, 0))
    assert np.allclose(turn(about("pitch", 90), ahead), (0, -1, 0))
    assert np.allclose(turn(about("roll", 90), right), (0, 1, 0))
    assert np.allclose(turn(from_euler((30, 90, 0)), ahead), turn(about("yaw", 90), turn(about("pitch", 30), ahead)))
    assert np.allclose(unit((0, 0, 0, 0)), (0, 0, 0, 1))


angles = st.floats(-360, 360)
places = st.tuples(*[st.floats(-5, 5)] * 3).map(np.array)


@given(angles, angles, angles, places)
def test_rotations_compose_and_invert(pitch: float, yaw: float, roll: float, place: np.ndarray) -> None:
    first, second = from_euler((pitch, yaw, roll)), about("pitch", yaw)
    assert np.allclose(turn(after(second, first), place), turn(second, turn(first, place)), atol=1e-9)
    assert np.allclose(turn(inverse(first), turn(first, place)), place, atol=1e-9)
    assert np.isclose(np.linalg.det(matrix(first)), 1)


@given(places)
def test_looking_points_ahead_and_keeps_the_camera_level(place: np.ndarray) -> None:
    rotation = looking(place)
    if rotation is None:
        assert np.linalg.norm(place) < 1e-8
        return
    axes = matrix(rotation)
    assert np.allclose(axes[:, 2], place / np.linalg.norm(place), atol=1e-6)
    assert abs(axes[1, 0]) < 1e-6
    assert axes[1, 1] > -1e-6


# --- objects ---


def test_an_object_has_the_size_of_its_record_and_stands_on_its_pivot(world: World) -> None:
    apple = world.objects[1]
    sides = dict(zip(BOUNDS, apple.bounds, strict=True))
    assert np.isclose(sides["right"][0] - sides["left"][0], 0.1008, atol=2e-3)
    assert np.isclose(sides["bottom"][1], 0, atol=1e-6)
    assert np.allclose(sides["center"], apple.centre)
    assert [(slot.sub_object, slot.index) for slot in apple.slots] == [("Apple", 0), ("Stem", 0)]
    assert apple.category == "apple"


def test_sides_keep_their_names_as_the_object_turns(world: World) -> None:
    before = world.objects[1].bounds
    do(world, "rotate_object_by", id=1, angle=90, axis="yaw")
    front, center = world.objects[1].bounds[0], world.objects[1].bounds[6]
    assert front[0] - center[0] == pytest.approx(before[0][2] - before[6][2])
    assert np.allclose(world.objects[1].forward, (1, 0, 0), atol=1e-9)


def test_objects_turn_about_world_axes_or_their_own(world: World) -> None:
    do(world, "rotate_object_to", id=1, rotation={"w": 1, "x": 0, "y": 0, "z": 0})
    do(world, "rotate_object_by", id=1, angle=90, axis="yaw")
    do(world, "rotate_object_by", id=1, angle=90, axis="pitch")
    assert np.allclose(world.objects[1].forward, (1, 0, 0), atol=1e-9)
    do(world, "rotate_object_by", id=1, angle=90, axis="pitch", is_world=False)
    assert np.allclose(world.objects[1].forward, (0, 0, -1), atol=1e-9)
    do(world, "rotate_object_to_euler_angles", id=1, euler_angles=point(0, -90, 0))
    assert np.allclose(world.objects[1].forward, (-1, 0, 0), atol=1e-9)


def test_the_pivot_stays_or_the_centre(world: World) -> None:
    apple = world.objects[1]
    do(world, "teleport_object", id=1, position=point(1, 2, 3))
    do(world, "rotate_object_by", id=1, angle=70, axis="pitch")
    assert np.allclose(apple.position, (1, 2, 3))
    centre = apple.centre
    do(world, "rotate_object_by", id=1, angle=50, axis="roll", use_centroid=True)
    assert np.allclose(apple.centre, centre)
    assert not np.allclose(apple.position, (1, 2, 3))
    do(world, "teleport_object", id=1, position=point(0, 1, 0), use_centroid=True)
    assert np.allclose(apple.centre, (0, 1, 0))


def test_scale_multiplies_and_offsets_add(world: World) -> None:
    apple = world.objects[1]
    size = np.subtract(*apple.box[::-1])
    do(world, "scale_object", id=1, scale_factor=point(2, 3, 4))
    do(world, "scale_object", id=1)
    assert np.allclose(np.subtract(*apple.box[::-1]), size * (2, 3, 4))
    do(world, "rotate_object_to", id=1, rotation=dict(zip("xyzw", about("yaw", 90).tolist(), strict=True)))
    do(world, "teleport_object_by", id=1, position=point(0, 0, 1))
    do(world, "teleport_object_by", id=1, position=point(0, 0, 1), absolute=False)
    assert np.allclose(apple.position, (1, 0, 1))
    do(world, "rotate_object_around", id=1, position=point(0, 0, 0), angle=90)
    assert np.allclose(apple.position, (1, 0, -1))


def test_a_carried_object_keeps_its_place_in_the_picture(world: World) -> None:
    avatar, apple = world.avatar, world.objects[1]
    assert avatar is not None

    def seen() -> np.ndarray:
        return (apple.corners - avatar.sensor_position) @ matrix(avatar.sensor_rotation)

    do(world, "look_at", object_id=1, use_centroid=True)
    assert np.allclose((apple.centre - avatar.sensor_position) @ matrix(avatar.sensor_rotation)[:, :2], 0, atol=1e-9)
    before = seen()
    do(world, "parent_object_to_avatar", id=1, avatar_id="a", sensor=True)
    do(world, "look_at_position", position=point(4, 3, -5), id="a")  # the paper's code calls avatar_id id
    assert np.allclose(seen(), before)
    assert np.allclose(avatar.sensor_forward, np.array([4, 2, -2]) / math.sqrt(24))
    do(world, "teleport_avatar_to", position=point(7, 8, 9))
    assert np.allclose(seen(), before)
    do(world, "unparent_object", id=1)
    do(world, "rotate_sensor_container_by", axis="yaw", angle=5)
    assert not np.allclose(seen(), before)


def test_turning_the_avatar_turns_its_camera(world: World) -> None:
    assert world.avatar is not None
    do(world, "rotate_sensor_container_by", axis="yaw", angle=30)
    do(world, "rotate_avatar_by", angle=60)
    assert np.allclose(world.avatar.sensor_forward, (1, 0, 0), atol=1e-9)
    do(world, "reset_sensor_container_rotation")
    assert np.allclose(world.avatar.sensor_forward, turn(about("yaw", 60), np.array([0.0, 0, 1])))


def test_objects_wear_materials_that_were_added(world: World) -> None:
    wear = {"material_name": "cotton_natural_rough", "object_name": "Stem", "material_index": 0, "id": 1}
    with pytest.raises(Rejected, match="add_material"):
        do(world, "set_visual_material", **wear)
    do(world, "add_material", name="cotton_natural_rough", url="https://somewhere")
    do(world, "set_visual_material", **wear)
    assert [slot.material for slot in world.objects[1].slots] == ["Apple", "cotton_natural_rough"]
    for wrong in ({"object_name": "Leaf"}, {"material_index": 1}, {"id": 2}):
        with pytest.raises(Rejected):
            do(world, "set_visual_material", **{**wear, **wrong})
    do(world, "unload_asset_bundles", bundle_type="materials")
    with pytest.raises(Rejected, match="add_material"):
        do(world, "set_visual_material", **wear)


def test_local_bundles_bring_their_own_records(world: World, tmp_path: Path) -> None:
    record = {
        "bounds": {side: point(*place) for side, place in {
            "front": (0, 1, 2), "back": (0, 1, -2), "left": (-1, 1, 0), "right": (1, 1, 0),
            "top": (0, 2, 0), "bottom": (0, 0, 0), "center": (0, 1, 0)}.items()},
        "substructure": [{"name": "body", "materials": ["m", "n"]}],
        "scale_factor": 0.5, "wcategory": "sofa",
    }  # fmt: skip
    bundle = tmp_path / "my sofa"
    bundle.write_text(json.dumps(record))
    do(world, "add_object", name="sofa", url=bundle.as_uri(), id=2, scale_factor=0.25)
    assert np.allclose(world.objects[2].box, ((-0.5, 0, -1), (0.5, 1, 1)))
    assert [slot.index for slot in world.objects[2].slots] == [0, 1]
    assert world.objects[2].category == "sofa"
    (tmp_path / "binary").write_bytes(b"UnityFS\0\xff")
    do(world, "add_object", name="unheard of", url=(tmp_path / "binary").as_uri(), id=3)
    assert np.allclose(world.objects[3].box, ((-0.5, 0, -0.5), (0.5, 1, 0.5)))
    with pytest.raises(Rejected, match="no file"):
        do(world, "add_object", name="apple", url=(tmp_path / "none").as_uri(), id=4)


def test_colours_tell_objects_apart_and_do_not_depend_on_history(world: World) -> None:
    for number in range(2, 60):
        do(world, "add_object", name="034_vray", url="https://somewhere", id=number)
    colours = {item.segmentation_colour for item in world.objects.values()}
    assert len(colours) == 59
    assert min(min(colour) for colour in colours) >= 0x20
    assert set(world.categories) == {"apple", "camera"}
    fresh = do(World(), "add_object", name="034_vray", url="https://somewhere", id=40)
    assert fresh.objects[40].segmentation_colour == world.objects[40].segmentation_colour
    assert fresh.objects[40].category_colour == world.categories["camera"]


# --- light and sky ---


def test_the_sun_follows_the_skybox_and_turns_about_its_own_axes(world: World) -> None:
    do(world, "set_directional_light_color", color={"r": 1, "g": 0.2, "b": 0.1, "a": 1})
    world.execute(SKYBOX)
    sun = after(about("yaw", 70), about("pitch", 140))
    assert np.allclose(world.light.rotation, sun)
    assert world.light.direction[1] == pytest.approx(-math.sin(math.radians(140)))
    assert (world.light.intensity, *world.light.colour) == pytest.approx((1.2, 1, 1, 1))
    do(world, "rotate_directional_light_by", angle=33)
    do(world, "rotate_directional_light_by", angle=20, axis="pitch")
    assert np.allclose(world.light.rotation, after(sun, after(about("yaw", 33), about("pitch", 20))))
    do(world, "adjust_directional_light_intensity_by", intensity=-0.5)
    do(world, "adjust_directional_light_intensity_by", intensity=0.1)
    assert world.light.intensity == pytest.approx(0.8)
    do(world, "reset_directional_light_rotation")
    assert np.allclose(world.light.rotation, sun)


def test_sky_and_sun_turn_together(world: World) -> None:
    with pytest.raises(Rejected, match="no HDRI skybox"):
        do(world, "rotate_hdri_skybox_by", angle=30)
    world.execute(SKYBOX)
    before = world.light.direction
    do(world, "rotate_hdri_skybox_by", angle=30)
    assert world.skybox is not None
    assert world.skybox.rotation == 240
    assert np.allclose(world.light.direction, turn(about("yaw", -30), before))
    do(world, "set_hdri_skybox_exposure", exposure=2)
    assert world.skybox.exposure == 2


# --- what is due ---


def test_once_always_never(world: World) -> None:
    do(world, "send_images")
    do(world, "send_transforms", ids=[1], frequency="always")
    do(world, "send_lights", frequency="once")
    assert world.due == (("images", ("a",)), ("transforms", (1,)), ("lights", ()))
    world.finish_frame()
    assert world.due == (("transforms", (1,)),)
    world.finish_frame()
    do(world, "destroy_object", id=1)
    assert world.due == (("transforms", ()),)
    do(world, "send_transforms", frequency="never")
    assert world.due == ()
    assert world.frames == 2


def test_no_ids_mean_all(world: World) -> None:
    do(world, "add_object", name="apple", url="https://somewhere", id=7)
    do(world, "send_bounds")
    do(world, "send_image_sensors")
    assert world.due == (("bounds", (1, 7)), ("image_sensors", ("a",)))
    do(world, "terminate")
    assert world.due[-1] == ("quit", ())


def test_a_new_scene_is_empty_but_keeps_what_was_loaded(world: World) -> None:
    do(world, "add_material", name="cotton_natural_rough", url="https://somewhere")
    do(world, "create_empty_environment")
    do(world, "set_aperture", aperture=70)
    do(world, "set_screen_size", width=64, height=32)
    do(world, "send_images", frequency="always")
    do(world, "load_scene", scene_name="ProcGenScene")
    assert (world.objects, world.avatar, world.skybox, world.regions, world.due) == ({}, None, None, [], ())
    assert (world.width, world.height, world.aperture) == (64, 32, 4)
    assert world.materials == {"cotton_natural_rough"}


def test_camera_settings(world: World) -> None:
    avatar = world.avatar
    assert avatar is not None
    do(world, "set_field_of_view", field_of_view=60)
    assert avatar.focal_length == pytest.approx(20.785, abs=1e-3)
    do(world, "set_focal_length", focal_length=avatar.focal_length)
    assert avatar.field_of_view == pytest.approx(60)
    do(world, "set_camera_clipping_planes", near=0.01, far=160)
    do(world, "focus_on_object", object_id=1)
    assert world.focus_distance == pytest.approx(math.sqrt(10))
    do(world, "set_pass_masks", pass_masks=["_img", "_depth"])
    assert avatar.pass_masks == ("_img", "_depth")
    # A point's place on the screen through Unity's two matrices.
    clip = avatar.projection_matrix(1.0) @ avatar.camera_matrix @ np.array([1.0, 1.0, 1.0, 1.0])
    assert clip[3] == pytest.approx(4)
    assert clip[:2] / clip[3] == pytest.approx((1 / 4 / math.tan(math.radians(30)), 0))


# --- what is refused ---


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ({"$type": "set_directionial_light_color"}, "does not know"),
        ({"type": "send_images"}, "no \\$type"),
        ("send_images", "an object"),
        ({"$type": "teleport_object", "id": 1}, "position is missing"),
        ({"$type": "teleport_object", "id": 1, "position": {"x": 0, "y": 1}}, "x, y, z"),
        ({"$type": "teleport_object", "id": 1, "position": {"x": 0, "y": 1, "z": math.nan}}, "x, y, z"),
        ({"$type": "teleport_object", "id": 1, "position": [0, 1, 2]}, "x, y, z"),
        ({"$type": "teleport_object", "id": 9, "position": {"x": 0, "y": 1, "z": 2}}, "no object 9"),
        ({"$type": "rotate_object_to", "id": 1, "rotation": {"x": 0, "y": 0, "z": 0}}, "x, y, z, w"),
        ({"$type": "rotate_object_by", "id": 1, "angle": "1"}, "a number"),
        ({"$type": "rotate_object_by", "id": 1, "angle": True}, "a number"),
        ({"$type": "rotate_object_by", "id": 1, "angle": 10**400}, "finite"),
        ({"$type": "rotate_object_by", "id": 1, "angle": 1, "axis": "up"}, "pitch or yaw or roll"),
        ({"$type": "destroy_object", "id": 1.0}, "whole number"),
        ({"$type": "destroy_object", "id": 2**31}, "32 bits"),
        ({"$type": "send_images", "frequency": "often"}, "once or always or never"),
        ({"$type": "send_images", "ids": ["b"]}, "no avatar b"),
        ({"$type": "send_bounds", "ids": [1, 5]}, "no object 5"),
        ({"$type": "send_bounds", "ids": 1}, "a list"),
        ({"$type": "teleport_avatar_to", "position": {"x": 0, "y": 1, "z": 2}, "avatar_id": "b"}, "no avatar b"),
        ({"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": "b"}, "one avatar"),
        (
            {"$type": "look_at_position", "position": {"x": 0, "y": 1, "z": 2}, "sensor_name": "eye"},
            "SensorContainer",
        ),
        ({"$type": "set_pass_masks", "pass_masks": ["_flow"]}, "_img"),
        ({"$type": "set_screen_size", "width": 0}, "pixels"),
        ({"$type": "set_aperture", "aperture": 0}, "above 0"),
        ({"$type": "set_camera_clipping_planes", "near": 5, "far": 1}, "near"),
        ({"$type": "set_img_pass_encoding", "value": 1}, "true or false"),
        ({"$type": "rotate_directional_light_by", "angle": 3, "index": 1}, "one directional light"),
        ({"$type": "add_object", "name": "apple", "url": "https://u", "id": 1}, "already"),
        ({"$type": "add_object", "name": "no such model", "url": "https://u", "id": 2}, "no model"),
        ({"$type": "add_object", "name": "apple", "id": 2}, "url is missing"),
        ({"$type": "add_material", "name": "no such material", "url": "https://u"}, "no material"),
        ({**SKYBOX, "name": "no such sky"}, "no HDRI skybox"),
        ({**SKYBOX, "sun_intensity": None}, "a number"),
        ({"$type": "load_scene", "scene_name": "Atlantis"}, "ProcGenScene"),
    ],
)
def test_what_the_build_would_quit_over_is_refused_and_changes_nothing(
    world: World, command: Any, words: str
) -> None:
    def state() -> str:
        items = [
            [item.position.tolist(), item.rotation.tolist(), repr(item.slots)] for item in world.objects.values()
        ]
        avatar = world.avatar
        assert avatar is not None
        camera = [avatar.near, avatar.far, avatar.pass_masks, avatar.position.tolist()]
        return repr([items, camera, world.due, world.skybox, world.light.intensity, world.width, world.aperture])

    before = state()
    with pytest.raises(Rejected, match=words) as refused:
        world.execute(command)
    assert state() == before
    assert refused.value.command == (command.get("$type", "") if isinstance(command, dict) else "")


def test_keys_that_nobody_knows_are_ignored(world: World) -> None:
    do(world, "send_images", sensor="x", frequency="once")
    assert world.due == (("images", ("a",)),)


def test_the_table_and_the_scene_agree_on_every_key() -> None:
    for name in COMMANDS:
        keys = [field.key for field in fields(name) or ()]
        assert len(keys) == len(set(keys))
        method = getattr(World, f"_{name}", None)
        if method is not None:
            assert set(inspect.signature(method).parameters) == {"self", *keys}, name


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.fixed_dictionaries({key: st.floats(-2, 2) for key in "xyzwrgba"}),
)
KEYS = sorted({field.key for name in COMMANDS for field in fields(name) or ()})


@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=12))
def test_whatever_comes_is_taken_or_refused(name: str, values: dict[str, Any]) -> None:
    scene = do(World(), "create_avatar", type="A_Img_Caps_Kinematic")
    with suppress(Rejected):
        scene.execute({"$type": name, **values})
    with suppress(Rejected):  # with what must be there
        scene.execute({"$type": name, **{field.key: values.get(field.key) for field in fields(name) or ()}})


def test_defaults_are_those_of_the_command_api() -> None:
    name, values = read_command({"$type": "rotate_object_by", "id": 1, "angle": 3})
    assert (name, values) == (
        "rotate_object_by",
        {"id": 1, "angle": 3.0, "axis": "yaw", "is_world": True, "use_centroid": False},
    )
    assert read_command({"$type": "set_field_of_view"})[1] == {"field_of_view": 54.43223, "avatar_id": "a"}
    assert read_command({"$type": "scale_object", "id": 1})[1]["scale_factor"].tolist() == [1, 1, 1]


def test_the_papers_commands_run(world: World) -> None:
    """The commands of the paper's generator, in its order, under their names of TDW 1.13."""
    commands: list[dict[str, Any]] = [
        {"$type": "use_pre_signed_urls", "value": True},
        {"$type": "set_shadow_strength", "strength": 1.0},
        {"$type": "send_scene_regions", "frequency": "once"},
        {"$type": "set_render_quality", "render_quality": 0},
        {"$type": "set_pass_masks", "avatar_id": "a", "pass_masks": []},
        {"$type": "send_images", "frequency": "never"},
        {"$type": "rotate_object_to", "id": 1, "rotation": point(0, 0, 0, w=0)},
        {"$type": "look_at", "avatar_id": "a", "object_id": 1, "use_centroid": True},
        {"$type": "teleport_avatar_to", "position": point(1, 1.5, 1.8), "id": "a"},
        {"$type": "send_image_sensors", "frequency": "once"},
        {"$type": "rotate_sensor_container_by", "angle": 3.5, "avatar_id": "a", "axis": "pitch"},
        {"$type": "rotate_sensor_container_to", "avatar_id": "a", "rotation": point(0, 0, 0, w=1)},
        {"$type": "set_focus_distance", "focus_distance": -0.3},
        {"$type": "unload_asset_bundles"},
        {"$type": "do_nothing"},
    ]
    for command in commands:
        world.execute(command)
    assert [kind for kind, _ in world.due] == ["scene_regions", "image_sensors"]
    assert world.focus_distance == 0.1
    assert np.allclose(world.objects[1].rotation, (0, 0, 0, 1))


def test_starting_up_imports_nothing_heavy() -> None:
    code = (
        "import sys, task2sim_threedworld.testing.world, task2sim_threedworld.testing.picture\n"
        "print([m for m in ('tdw', 'torch', 'zmq', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
