"""The peer's pictures: boxes where the commands put them, and every parameter visible."""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim_threedworld.testing.picture import Picture, circle_of_confusion, draw
from task2sim_threedworld.testing.rotations import matrix
from task2sim_threedworld.testing.world import World

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

APPLE = 0.08862933
SIZE = 64


def point(x: float, y: float, z: float) -> dict[str, float]:
    return {"x": x, "y": y, "z": z}


def do(world: World, command: str, /, **values: Any) -> World:
    world.execute({"$type": command, **values})
    return world


def sky(world: World, name: str = "bergen_4k", **values: float) -> None:
    """The sun behind the camera, a little above and to its left."""
    given = {"exposure": 1.0, "initial_skybox_rotation": 0, "sun_elevation": 30, "sun_initial_angle": 20}
    do(world, "add_hdri_skybox", name=name, url="https://somewhere", **{**given, "sun_intensity": 1, **values})


@pytest.fixture
def world() -> World:
    """A camera at the origin that looks along +z at an apple of 1 m, 3 m away, seen from its back."""
    return staged()


def staged() -> World:
    scene = do(World(), "load_scene", scene_name="ProcGenScene")
    do(scene, "create_avatar", type="A_Img_Caps_Kinematic")
    do(scene, "set_screen_size", width=SIZE, height=SIZE)
    do(scene, "set_field_of_view", field_of_view=60)
    do(scene, "set_camera_clipping_planes", near=0.01, far=160)
    do(scene, "set_aperture", aperture=70)
    sky(scene)
    do(scene, "add_object", name="apple", url="https://somewhere", id=1, scale_factor=APPLE)
    do(scene, "scale_object", id=1, scale_factor=point(10, 10, 10))
    do(scene, "teleport_object", id=1, position=point(0, 0, 3), use_centroid=True)
    return scene


def where(world: World, place: np.ndarray) -> tuple[float, float]:
    """Row and column of a point, by projecting it."""
    avatar = world.avatar
    assert avatar is not None
    x, y, z = (place - avatar.sensor_position) @ matrix(avatar.sensor_rotation)
    scale = world.height / 2 / np.tan(np.radians(avatar.field_of_view) / 2)
    return world.height / 2 - y / z * scale, world.width / 2 + x / z * scale


def shown(picture: Picture) -> np.ndarray:
    return picture.mask[..., 0] > 0


def inside_hull(points: np.ndarray, grow: float) -> np.ndarray:
    """Pixels whose centres lie in the convex hull of (row, column) points, grown by some pixels."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    inside = np.ones((SIZE, SIZE), bool)
    for first, second in permutations(points, 2):
        along = second - first
        length = np.hypot(*along)
        if length < 1e-6:
            continue

        def left_of(row: Any, column: Any, start: Any = first, way: Any = along / length) -> Any:
            return way[0] * (column - start[1]) - way[1] * (row - start[0])

        if (left_of(*points.T) >= -1e-6).all():
            inside &= left_of(rows, columns) >= -grow
    return inside


# --- where things are ---


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(2.5, 6)),
    st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
)
def test_the_mask_is_the_projected_box(turn: Any, place: Any, camera: Any) -> None:
    scene = staged()
    do(scene, "scale_object", id=1, scale_factor=point(0.5, 1.5, 1))
    do(scene, "rotate_object_to_euler_angles", id=1, euler_angles=point(*turn))
    do(scene, "teleport_object", id=1, position=point(*place), use_centroid=True)
    do(scene, "rotate_sensor_container_by", axis="yaw", angle=camera[0])
    do(scene, "rotate_sensor_container_by", axis="pitch", angle=camera[1])
    corners = np.array([where(scene, corner) for corner in scene.objects[1].corners])
    found = shown(draw(scene))
    assert not (found & ~inside_hull(corners, 1e-3)).any()
    assert not (~found & inside_hull(corners, -1e-3)).any()


def test_right_is_right_and_up_is_up(world: World) -> None:
    for position, (rows, columns) in {
        (0.8, 0, 3): (slice(None), slice(0, SIZE // 2)),
        (0, 0.8, 3): (slice(SIZE // 2, None), slice(None)),
    }.items():
        do(world, "teleport_object", id=1, position=point(*position), use_centroid=True)
        found = shown(draw(world))
        assert found.any()
        assert not found[rows, columns].any()
    do(world, "rotate_sensor_container_by", axis="yaw", angle=180)
    assert not shown(draw(world)).any()


def test_depth_is_along_the_view_axis(world: World) -> None:
    picture = draw(world)
    front = world.objects[1].bounds[1][2]  # its back (-z) faces the camera
    assert np.allclose(picture.depth[shown(picture)], front, atol=1e-5)
    assert (picture.depth[~shown(picture)] == 160).all()
    assert picture.depth.dtype == np.float32
    do(world, "rotate_object_by", id=1, angle=45)
    picture = draw(world)
    assert picture.depth.min() == pytest.approx(world.objects[1].corners[:, 2].min(), abs=0.03)


def test_the_nearer_object_hides_the_farther_one(world: World) -> None:
    do(world, "add_object", name="apple", url="https://somewhere", id=2, scale_factor=APPLE)
    do(world, "scale_object", id=2, scale_factor=point(3, 3, 3))
    do(world, "teleport_object", id=2, position=point(0, 0, 2), use_centroid=True)
    middle, corner = (SIZE // 2, SIZE // 2), (SIZE // 2, SIZE // 2 + 9)
    near, far = world.objects[2].segmentation_colour, world.objects[1].segmentation_colour
    picture = draw(world)
    assert tuple(picture.id[middle]) == near
    assert tuple(picture.id[corner]) == far
    assert tuple(picture.category[middle]) == tuple(picture.category[corner]) == world.categories["apple"]
    assert set(map(tuple, picture.id.reshape(-1, 3))) == {near, far, (0, 0, 0)}
    do(world, "hide_object", id=2)
    assert tuple(draw(world).id[middle]) == far
    do(world, "show_object", id=2)
    # The order in which objects came does not matter.
    world.objects = dict(reversed(world.objects.items()))
    assert np.array_equal(draw(world).id, picture.id)


def test_nothing_shows_outside_the_clipping_planes_or_from_inside(world: World) -> None:
    do(world, "set_camera_clipping_planes", near=0.01, far=2)
    assert not shown(draw(world)).any()
    do(world, "set_camera_clipping_planes", near=2.9, far=100)
    assert not shown(draw(world)).any()
    do(world, "set_camera_clipping_planes", near=0.01, far=100)
    do(world, "teleport_object", id=1, position=point(0, 0, 0), use_centroid=True)
    assert not shown(draw(world)).any()


def test_a_box_that_reaches_behind_the_camera_is_drawn_whole(world: World) -> None:
    do(world, "scale_object", id=1, scale_factor=point(1, 1, 20))
    do(world, "teleport_object", id=1, position=point(1, -1.2, 0), use_centroid=True)
    found = shown(draw(world))
    assert found[-1, SIZE // 2 :].any()
    assert not found[: SIZE // 2].any()


def test_normals_are_in_the_cameras_axes(world: World) -> None:
    picture = draw(world)
    assert (picture.normals[shown(picture)] == (128, 128, 0)).all()  # towards the camera is -z
    assert (picture.normals[~shown(picture)] == 0).all()
    do(world, "parent_object_to_avatar", id=1)
    do(world, "rotate_sensor_container_by", axis="yaw", angle=70)
    assert np.array_equal(draw(world).normals[shown(picture)], picture.normals[shown(picture)])


def test_pictures_need_not_be_square(world: World) -> None:
    do(world, "set_screen_size", width=90, height=30)
    picture = draw(world)
    assert picture.rgb.shape == picture.id.shape == (30, 90, 3)
    rows, columns = np.nonzero(shown(picture))
    assert abs((columns.max() - columns.min()) - (rows.max() - rows.min())) <= 2


# --- what things look like ---


def same_elsewhere(before: Picture, after: Picture) -> bool:
    behind = ~shown(before)
    return all(
        np.array_equal(getattr(before, name), getattr(after, name))
        for name in ("id", "category", "mask", "depth", "normals")
    ) and bool((before.rgb[behind] == after.rgb[behind]).all())


def brightness(picture: Picture) -> np.ndarray:
    return picture.rgb[shown(picture)].astype(float).mean(axis=0)


def test_light_changes_the_object_and_nothing_else(world: World) -> None:
    plain = draw(world)
    do(world, "adjust_directional_light_intensity_by", intensity=0.3)
    bright = draw(world)
    assert same_elsewhere(plain, bright)
    assert (bright.rgb[shown(plain)] > plain.rgb[shown(plain)]).all()
    do(world, "adjust_directional_light_intensity_by", intensity=-0.9)
    assert (draw(world).rgb[shown(plain)] < plain.rgb[shown(plain)]).all()
    sky(world)
    do(world, "set_directional_light_color", color={"r": 1, "g": 0.3, "b": 0.3, "a": 1})
    red = draw(world)
    assert same_elsewhere(plain, red)
    assert brightness(red)[0] / brightness(red)[2] > 1.1 * brightness(plain)[0] / brightness(plain)[2]
    sky(world)
    do(world, "rotate_directional_light_by", angle=40, axis="pitch")
    turned = draw(world)
    assert same_elsewhere(plain, turned)
    assert not np.array_equal(turned.rgb, plain.rgb)
    do(world, "reset_directional_light_rotation")
    assert np.array_equal(draw(world).rgb, plain.rgb)


def test_the_side_towards_the_sun_is_the_brightest(world: World) -> None:
    levels = []
    for pitch in (0, 30, 60, 89, 120):
        sky(world, sun_elevation=pitch, sun_initial_angle=0)
        levels.append(brightness(draw(world)).sum())
    assert sorted(levels, reverse=True) == levels
    sky(world, sun_elevation=120, sun_initial_angle=0, sun_intensity=3)
    assert brightness(draw(world)).sum() == levels[-1]  # it shines from behind the object


def test_materials_show_on_their_own_slab(world: World) -> None:
    plain = draw(world)
    do(world, "add_material", name="cotton_natural_rough", url="https://somewhere")
    changes = []
    for slot in world.objects[1].slots:
        native = slot.material
        do(world, "set_visual_material", id=1, material_name="cotton_natural_rough",
           object_name=slot.sub_object, material_index=slot.index)  # fmt: skip
        changed = draw(world)
        assert same_elsewhere(plain, changed)
        changes.append((changed.rgb != plain.rgb).any(-1))
        slot.material = native
    assert not (changes[0] & changes[1]).any()
    assert (changes[0] | changes[1])[shown(plain)].mean() > 0.95
    do(world, "set_color", id=1, color={"r": 1, "g": 0, "b": 0, "a": 1})
    assert (draw(world).rgb[shown(plain)].argmax(-1) == 0).mean() > 0.9


def test_every_side_shows_and_the_front_is_marked(world: World) -> None:
    views = []
    for pitch, yaw in ((0, 0), (0, 90), (0, 180), (0, 270), (90, 0), (-90, 0)):
        do(world, "rotate_object_to_euler_angles", id=1, euler_angles=point(pitch, yaw, 0))
        do(world, "teleport_object", id=1, position=point(0, 0, 3), use_centroid=True)
        views.append(draw(world).rgb)
    assert all(not np.array_equal(a, b) for i, a in enumerate(views) for b in views[:i])
    # The front (+z) is the one that a yaw of 180 shows; its arrowhead has one colour, wide below and narrow above.
    arrow = (np.ptp(views[2].astype(int), axis=-1) < np.ptp(views[0].astype(int), axis=-1).max() // 3) & shown(
        draw(world)
    )
    assert arrow.any()


def test_the_sky_shows_every_turn_and_every_name(world: World) -> None:
    do(world, "destroy_object", id=1)
    pictures = []
    for name in ("bergen_4k", "fish_hoek_beach_4k"):
        sky(world, name)
        for axis, angle in (("yaw", 0), ("yaw", 2), ("pitch", 2), ("roll", 2), ("yaw", 120), ("pitch", -80)):
            do(world, "reset_sensor_container_rotation")
            do(world, "rotate_sensor_container_by", axis=axis, angle=angle)
            pictures.append(draw(world).rgb.astype(int))
    for number, picture in enumerate(pictures):
        for other in pictures[:number]:
            assert np.abs(picture - other).mean() > 0.2
    do(world, "teleport_avatar_to", position=point(5, 5, 5))
    assert np.array_equal(draw(world).rgb, pictures[-1])  # it is infinitely far


def test_turning_the_skybox_is_turning_the_camera(world: World) -> None:
    do(world, "destroy_object", id=1)
    do(world, "rotate_sensor_container_by", axis="yaw", angle=-25)
    turned = draw(world).rgb
    do(world, "reset_sensor_container_rotation")
    do(world, "rotate_hdri_skybox_by", angle=25)
    assert np.abs(draw(world).rgb.astype(int) - turned).max() <= 40
    assert (np.abs(draw(world).rgb.astype(int) - turned) <= 1).mean() > 0.99


def test_exposure_of_the_sky_and_of_the_picture(world: World) -> None:
    levels = []
    for exposure in (0.5, 1, 2):
        sky(world, exposure=exposure)
        levels.append(draw(world).rgb.mean())
    assert levels == sorted(levels)
    levels = []
    for stops in (-1, 0, 1):
        do(world, "set_post_exposure", post_exposure=stops)
        levels.append(draw(world).rgb.mean())
    assert levels == sorted(levels)
    do(world, "set_saturation", saturation=-100)
    grey = draw(world).rgb.astype(int)
    assert np.ptp(grey, axis=-1).max() <= 1
    do(world, "set_contrast", contrast=-90)
    assert np.ptp(draw(world).rgb) < np.ptp(grey) / 4
    do(world, "set_post_process", value=False)
    assert np.ptp(draw(world).rgb, axis=-1).max() > 10


# --- depth of field ---


def detail(picture: Picture) -> float:
    """How steep the steps from pixel to pixel are."""
    return float(np.square(np.diff(picture.rgb.astype(float), axis=1)).mean())


def test_a_deep_range_is_sharp_and_a_shallow_one_blurs_what_is_far_from_the_focus(world: World) -> None:
    do(world, "set_screen_size", width=256, height=256)
    sharp = draw(world)
    do(world, "set_focus_distance", focus_distance=1)
    assert np.array_equal(draw(world).rgb, sharp.rgb)
    do(world, "set_aperture", aperture=0.5)
    details = []
    for distance in (2.49, 1.5, 1.0, 0.6):
        do(world, "set_focus_distance", focus_distance=distance)
        soft = draw(world)
        details.append(detail(soft))
        assert np.array_equal(soft.mask, sharp.mask)
        assert np.array_equal(soft.depth, sharp.depth)
    assert details == sorted(details, reverse=True)
    assert details[-1] < 0.7 * detail(sharp)
    do(world, "set_focus_distance", focus_distance=float(sharp.depth.min()))
    inner = (slice(100, 150), slice(100, 150))
    assert np.array_equal(draw(world).rgb[inner], sharp.rgb[inner])


def test_the_circle_of_confusion_is_the_thin_lens(world: World) -> None:
    avatar = world.avatar
    assert avatar is not None
    do(world, "set_focus_distance", focus_distance=2)
    do(world, "set_aperture", aperture=1)
    radius = circle_of_confusion(world, avatar, np.array([2.0, 4.0, 1.0, 0.01], np.float32))
    focal = 0.012 / np.tan(np.radians(30))
    expected = SIZE * 0.5 * focal**2 / ((2 - focal) * 2 * 0.024)
    assert radius == pytest.approx([0, expected, 2 * expected, 0.05 * SIZE], rel=1e-4, abs=1e-6)
    do(world, "set_aperture", aperture=2)
    assert circle_of_confusion(world, avatar, np.float32([4.0]))[0] == pytest.approx(expected / 2, rel=1e-4)


# --- the same, and quickly ---


def test_equal_commands_give_equal_pictures_and_no_global_generator_is_touched() -> None:
    np.random.seed(1)  # noqa: NPY002
    first = draw(staged())
    np.random.seed(2)  # noqa: NPY002
    state = np.random.get_state()[1]  # noqa: NPY002
    second = draw(staged())
    assert all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("rgb", "id", "category", "mask", "depth", "normals")
    )
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_an_empty_scene_has_a_picture_and_one_without_a_camera_none(world: World) -> None:
    do(world, "destroy_all_objects")
    assert not draw(world).mask.any()
    do(world, "destroy_avatar")
    with pytest.raises(ValueError, match="no avatar"):
        draw(world)


@pytest.mark.parametrize(("size", "most"), [(64, 0.005), (256, 0.06)])
def test_pictures_are_quick(world: World, size: int, most: float) -> None:
    do(world, "set_screen_size", width=size, height=size)
    do(world, "set_aperture", aperture=0.6)
    draw(world)
    spent = []
    for _ in range(10):
        start = time.process_time()
        draw(world)
        spent.append(time.process_time() - start)
    assert min(spent) < 2 * most  # room for a slower machine
