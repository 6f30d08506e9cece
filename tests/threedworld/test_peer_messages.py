"""What the peer sends is read back by tdw's own classes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

from task2sim_threedworld.testing import messages
from task2sim_threedworld.testing.picture import draw
from task2sim_threedworld.testing.world import World

from tdw import output_data as data  # isort: skip
from tdw.tdw_utils import TDWUtils  # isort: skip
from tdw.version import __version__ as TDW_VERSION  # isort: skip

CHAIR, BOWL = 7, -3
PASSES = ["_img", "_id", "_category", "_mask", "_depth", "_normals"]


def vector(*parts: float) -> dict[str, float]:
    return dict(zip("xyzw", parts, strict=False))


@pytest.fixture
def world() -> World:
    world = World()
    for command in [
        {"$type": "set_screen_size", "width": 48, "height": 32},
        {"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": "eye"},
        {"$type": "teleport_avatar_to", "avatar_id": "eye", "position": vector(0, 1, -3)},
        {"$type": "set_pass_masks", "avatar_id": "eye", "pass_masks": PASSES},
        {"$type": "add_object", "id": CHAIR, "name": "chair_billiani_doll", "url": "", "category": "chair"},
        {"$type": "teleport_object", "id": CHAIR, "position": vector(0.1, 0.5, 0.25)},
        {"$type": "rotate_object_to", "id": CHAIR, "rotation": vector(0, 0.6, 0, 0.8)},
        {"$type": "add_object", "id": BOWL, "name": "serving_bowl", "url": "", "category": "schüssel"},
        {"$type": "create_exterior_walls", "walls": [vector(0, 0), vector(6, 0), vector(0, 8), vector(6, 8)]},
        {"$type": "set_directional_light_color", "color": {"r": 1.0, "g": 0.5, "b": 0.0, "a": 1.0}},
        {"$type": "adjust_directional_light_intensity_by", "intensity": 0.25},
    ]:
        world.execute(command)
    return world


def ask(world: World, *kinds: str) -> list[bytes]:
    for kind in kinds:
        world.execute({"$type": f"send_{kind}", "frequency": "once"})
    frames = messages.outputs(world)
    world.finish_frame()
    return frames


def pixels(passes: data.Images, name: str) -> np.ndarray:
    number = [passes.get_pass_mask(k) for k in range(passes.get_num_passes())].index(name)
    return np.asarray(Image.open(io.BytesIO(bytes(passes.get_image(number)))))


def test_frames_say_what_they_are_in_the_order_of_asking(world: World) -> None:
    kinds = ["lights", "images", "transforms", "bounds", "segmentation_colors", "categories", "camera_matrices",
             "image_sensors", "scene_regions", "version"]  # fmt: skip
    names = [data.OutputData.get_data_type_id(frame) for frame in ask(world, *kinds)]
    assert names == ["ligh", "imag", "tran", "boun", "segm", "cate", "cama", "imse", "sreg", "vers"]
    assert messages.outputs(world) == []


def test_images_hold_the_picture(world: World) -> None:
    picture = draw(world)
    passes = data.Images(ask(world, "images")[0])
    assert (passes.get_avatar_id(), passes.get_sensor_name()) == ("eye", "SensorContainer")
    assert (passes.get_width(), passes.get_height()) == (48, 32)
    assert [passes.get_pass_mask(k) for k in range(passes.get_num_passes())] == PASSES
    assert {passes.get_extension(k) for k in range(passes.get_num_passes())} == {"png"}
    for name, expected in [
        ("_img", picture.rgb),
        ("_id", picture.id),
        ("_category", picture.category),
        ("_mask", picture.mask),
        ("_normals", picture.normals),
    ]:
        np.testing.assert_array_equal(pixels(passes, name), expected)
    assert (
        len(np.unique(picture.id.reshape(-1, 3), axis=0)) == 3
    )  # both objects are in it, so that it proves something


def test_only_the_asked_passes_are_sent_and_colour_may_be_jpg(world: World) -> None:
    world.execute({"$type": "set_pass_masks", "avatar_id": "eye", "pass_masks": ["_mask", "_img"]})
    world.execute({"$type": "set_img_pass_encoding", "value": False})
    passes = data.Images(ask(world, "images")[0])
    assert [passes.get_pass_mask(k) for k in range(passes.get_num_passes())] == ["_mask", "_img"]
    assert [passes.get_extension(k) for k in range(2)] == ["png", "jpg"]
    assert bytes(passes.get_image(1))[:3] == b"\xff\xd8\xff"
    assert np.abs(pixels(passes, "_img").astype(int) - draw(world).rgb).mean() < 8


def test_depth_is_read_by_tdws_own_function(world: World) -> None:
    world.execute({"$type": "set_camera_clipping_planes", "avatar_id": "eye", "near": 0.01, "far": 160})
    passes = data.Images(ask(world, "images")[0])
    raw = passes.get_image(PASSES.index("_depth"))
    assert raw.shape == (32 * 48 * 3,)
    depth = TDWUtils.get_depth_values(raw, width=48, height=32, near_plane=0.01, far_plane=160)
    expected = np.minimum(draw(world).depth, 160 - 0.01)
    assert expected.min() < 3.5
    np.testing.assert_allclose(depth, expected, atol=2e-5)


@settings(max_examples=30, deadline=None)
@given(
    near=st.floats(0.001, 1),
    span=st.floats(1, 1000),
    shares=st.lists(st.floats(0, 1), min_size=6, max_size=6),
)
def test_every_depth_between_the_planes_survives(near: float, span: float, shares: list[float]) -> None:
    depth = (np.array(shares, np.float32) * np.float32(span)).reshape(2, 3)
    raw = np.frombuffer(messages.encode_depth(depth, near, near + span), np.uint8)
    read = TDWUtils.get_depth_values(raw, width=3, height=2, near_plane=near, far_plane=near + span)
    np.testing.assert_allclose(read, depth, atol=span * 2.0**-22)


def test_transforms(world: World) -> None:
    read = data.Transforms(ask(world, "transforms")[0])
    assert [read.get_id(k) for k in range(read.get_num())] == [CHAIR, BOWL]
    np.testing.assert_allclose(read.get_position(0), (0.1, 0.5, 0.25), rtol=1e-6)
    np.testing.assert_allclose(read.get_rotation(0), (0, 0.6, 0, 0.8), rtol=1e-6)
    # cos = 0.8^2 - 0.6^2, sin = 2 * 0.6 * 0.8
    np.testing.assert_allclose(read.get_forward(0), (0.96, 0, 0.28), atol=1e-6)
    np.testing.assert_allclose(read.get_forward(1), (0, 0, 1), atol=1e-6)


def test_transforms_of_some_objects_and_of_none(world: World) -> None:
    world.execute({"$type": "send_transforms", "frequency": "once", "ids": [BOWL]})
    read = data.Transforms(messages.outputs(world)[0])
    assert [read.get_id(k) for k in range(read.get_num())] == [BOWL]
    world.execute({"$type": "destroy_all_objects"})
    assert data.Transforms(messages.outputs(world)[0]).get_num() == 0
    for frame in ask(world, "bounds", "segmentation_colors", "categories")[1:]:
        kind = {"boun": data.Bounds, "segm": data.SegmentationColors, "cate": data.Categories}
        read = kind[data.OutputData.get_data_type_id(frame)](frame)
        assert (read.get_num_categories() if isinstance(read, data.Categories) else read.get_num()) == 0


def test_bounds(world: World) -> None:
    read = data.Bounds(ask(world, "bounds")[0])
    assert [read.get_id(k) for k in range(read.get_num())] == [CHAIR, BOWL]
    sides = [read.get_front, read.get_back, read.get_right, read.get_left, read.get_top, read.get_bottom]
    for k, item in enumerate(world.objects.values()):
        for side, expected in zip([*sides, read.get_center], item.bounds, strict=True):
            np.testing.assert_allclose(side(k), expected, atol=1e-6)
    assert read.get_top(1)[1] > read.get_center(1)[1] > read.get_bottom(1)[1]
    assert read.get_right(1)[0] > read.get_left(1)[0]
    assert read.get_front(1)[2] > read.get_back(1)[2]


def test_segmentation_colours_and_categories_are_those_of_the_picture(world: World) -> None:
    segmentation, read = (
        kind(frame)
        for kind, frame in zip(
            (data.SegmentationColors, data.Categories), ask(world, "segmentation_colors", "categories"), strict=True
        )
    )
    assert [segmentation.get_object_id(k) for k in range(segmentation.get_num())] == [CHAIR, BOWL]
    assert [segmentation.get_object_name(k) for k in range(2)] == ["chair_billiani_doll", "serving_bowl"]
    assert [segmentation.get_object_category(k) for k in range(2)] == ["chair", "schüssel"]
    picture = draw(world)
    seen = {tuple(colour) for colour in picture.id.reshape(-1, 3).tolist()} - {(0, 0, 0)}
    assert seen == {tuple(segmentation.get_object_color(k).tolist()) for k in range(2)}
    seen = {tuple(colour) for colour in picture.category.reshape(-1, 3).tolist()} - {(0, 0, 0)}
    assert seen == {read.get_category_color(k) for k in range(read.get_num_categories())}
    assert [read.get_category_name(k) for k in range(read.get_num_categories())] == ["chair", "schüssel"]


def test_lights(world: World) -> None:
    read = data.Lights(ask(world, "lights")[0])
    assert (read.get_num_directional_lights(), read.get_num_point_lights()) == (1, 0)
    assert read.get_directional_light_intensity(0) == pytest.approx(1.25)
    assert read.get_directional_light_color(0) == (255, 128, 0)  # docs: 0..255, other than in the command
    assert read.get_directional_light_rotation(0) == pytest.approx(tuple(world.light.rotation), abs=1e-6)


def test_camera_matrices_put_a_point_where_the_picture_has_it(world: World) -> None:
    world.execute({"$type": "look_at", "object_id": CHAIR, "use_centroid": True, "avatar_id": "eye"})
    read = data.CameraMatrices(ask(world, "camera_matrices")[0])
    assert (read.get_avatar_id(), read.get_sensor_name()) == ("eye", "SensorContainer")
    camera, projection = read.get_camera_matrix().reshape(4, 4), read.get_projection_matrix().reshape(4, 4)
    centre = np.array([*world.objects[CHAIR].centre, 1.0])
    clip = projection @ camera @ centre
    np.testing.assert_allclose(clip[:2] / clip[3], 0, atol=1e-5)
    # Row by row: the last row of a world-to-camera matrix is 0, 0, 0, 1; of a projection 0, 0, -1, 0.
    np.testing.assert_allclose(camera[3], (0, 0, 0, 1))
    np.testing.assert_allclose(projection[3], (0, 0, -1, 0))
    assert projection[1, 1] / projection[0, 0] == pytest.approx(48 / 32)


def test_image_sensors(world: World) -> None:
    world.execute({"$type": "set_field_of_view", "avatar_id": "eye", "field_of_view": 60})
    world.execute({"$type": "rotate_sensor_container_by", "avatar_id": "eye", "axis": "yaw", "angle": 90})
    read = data.ImageSensors(ask(world, "image_sensors")[0])
    assert (read.get_avatar_id(), read.get_num_sensors()) == ("eye", 1)
    assert (read.get_sensor_name(0), read.get_sensor_on(0)) == ("SensorContainer", True)
    assert read.get_sensor_field_of_view(0) == pytest.approx(60)
    assert read.get_sensor_forward(0) == pytest.approx((1, 0, 0), abs=1e-6)
    assert read.get_sensor_rotation(0) == pytest.approx((0, 0.5**0.5, 0, 0.5**0.5), abs=1e-6)


def test_scene_regions(world: World) -> None:
    world.execute(
        {"$type": "create_empty_environment", "center": vector(1, 2, 3), "bounds": vector(4, 5, 6)},
    )
    read = data.SceneRegions(ask(world, "scene_regions")[0])
    assert [read.get_id(k) for k in range(read.get_num())] == [0, 1]
    assert read.get_bounds(0) == pytest.approx((6, 4.5, 8))
    assert (read.get_center(1), read.get_bounds(1)) == ((1, 2, 3), (4, 5, 6))


def test_version() -> None:
    read = data.Version(messages.version())
    assert (read.get_tdw_version(), read.get_unity_version()) == (TDW_VERSION, "task2sim peer")


@pytest.mark.parametrize("ok", [True, False])
def test_quit_signal(ok: bool) -> None:
    frame = messages.quit_signal(ok)
    assert data.OutputData.get_data_type_id(frame) == "quit"
    assert data.QuitSignal(frame).get_ok() is ok


def test_termination_is_a_good_end(world: World) -> None:
    world.execute({"$type": "terminate"})
    assert [data.QuitSignal(frame).get_ok() for frame in messages.outputs(world)] == [True]


def test_log_message() -> None:
    frame = messages.log_message("AddObject", "there is no model »x«")
    assert data.OutputData.get_data_type_id(frame) == "logm"
    read = data.LogMessage(frame)
    assert (read.get_object_type(), read.get_message_type()) == ("AddObject", "error")
    assert read.get_message() == "there is no model »x«"


def test_failed_to_receive_is_known_by_its_letters() -> None:
    assert messages.failed_to_receive()[4:8] == b"ftre"
