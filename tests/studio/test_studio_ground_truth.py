"""What the renderer says about its pictures: masks, depth, normals, boxes, visibility, cameras and scene graphs."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import Background, Camera, ConfigError, Floor, Fog, Material, Scene, SceneObject, Sun
from task2sim_studio.environments import Environment, prefilter
from task2sim_studio.mesh import Mesh, Part, Textures
from task2sim_studio.scene_graph import COLOUR_NAMES, colour_names

RESOLUTION = 64
MIDDLE = RESOLUTION // 2
PLASTIC = Material("plastic", 1)
FLOOR = Floor(PLASTIC)
GLASS = Material("glass", 3)


def mesh(vertices, triangles, normals):
    parts = (Part("all", PLASTIC),)
    return Mesh(vertices, normals, np.zeros((len(vertices), 2)), triangles, np.zeros(len(triangles)), parts)


def ball(rings=32):
    polar, around = np.meshgrid(np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, 2 * rings + 1))
    normals = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    normals = normals.reshape(-1, 3)
    corner = (np.arange(2 * rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    quads = np.stack([corner, corner + 1, corner + rings + 2, corner + rings + 1], -1)
    return mesh(0.5 * normals, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), normals)


def plate():
    """A square in the plane y = 0 that faces -y, with a diagonal of 1."""
    side = math.sqrt(0.125)
    corners = [(-side, 0, -side), (side, 0, -side), (side, 0, side), (-side, 0, side)]
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], [(0, -1, 0)] * 4)


def wearing(shape, **looks):
    return attrs.evolve(shape, parts=(attrs.evolve(shape.parts[0], **looks),))


RED_PICTURE = np.tile(np.array([200, 30, 35], dtype=np.uint8), (8, 8, 1))
MESHES = {
    "ball": ball(),
    "plate": plate(),
    "flag": mesh([(-0.3, 0, -0.4), (0.5, 0, 0), (-0.3, 0, 0.4)], [(0, 1, 2)], [(0, -1, 0)] * 3),
    "pane": wearing(plate(), material=GLASS),
    "red": wearing(ball(8), colour=(0.6, 0.01, 0.02)),
    "pictured": wearing(ball(8), colour=(1.0, 1.0, 1.0), textures=Textures(albedo=RED_PICTURE)),
}


def environment(_name: str, size: int) -> Environment:
    return prefilter(np.full((size, size, 3), 0.4, dtype=np.float32))


@pytest.fixture(scope="module")
def renderer():
    from task2sim_studio.renderer import Renderer

    made = Renderer(RESOLUTION, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")
    yield made
    made.close()


def scene(*objects, camera=None, sun=None, index=0, **more):
    objects = tuple(SceneObject(item, 0) if isinstance(item, str) else item for item in objects)
    sun = sun or Sun((0.0, -0.6, 0.8), intensity=0.3)
    return Scene(index, objects, camera or Camera((0.0, -2.4, 0.0)), sun, Background("white"), **more)


def one(renderer, *args, **kwargs):
    """A frame and its scene graph."""
    frame = renderer.render([scene(*args, **kwargs)])
    return frame, frame.scenes[0]


def inner(mask):
    """A mask without its rim."""
    out = mask.copy()
    out[1:-1, 1:-1] &= mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
    out[[0, -1]] = out[:, [0, -1]] = False
    return out


def project(graph, points):
    """Picture positions (x, y) and depths of points in the world, through the graph's matrices."""
    to_camera, lens = (np.array(graph["camera"][key]) for key in ("world_to_camera", "intrinsics"))
    seen = np.asarray(points) @ to_camera[:3, :3].T + to_camera[:3, 3]
    flat = seen @ lens.T
    return flat[..., :2] / flat[..., 2:], seen[..., 2]


def back_project(graph, depth):
    """Points in the world, of shape (height, width, 3), seen through the middles of the pixels."""
    to_camera, lens = (np.array(graph["camera"][key]) for key in ("world_to_camera", "intrinsics"))
    at = np.arange(RESOLUTION) + 0.5
    x, y = np.meshgrid(at, at)
    seen = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(lens).T * depth[..., None]
    return (seen - to_camera[:3, 3]) @ to_camera[:3, :3]


def extent(mask):
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


CAMERAS = [
    Camera((0.0, -2.4, 0.0)),
    Camera((1.2, -1.9, 0.7), field_of_view=50.0),
    Camera((-0.4, 2.1, 1.4), (0.1, 0.2, -0.1), field_of_view=35.0),
    Camera((0.1, -0.3, 3.0), field_of_view=30.0),
]

where = st.tuples(*[st.floats(-1.2, 1.2)] * 3)
rotations = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(x * x for x in q) > 0.01)
things = st.lists(
    st.builds(
        SceneObject, st.sampled_from(["ball", "plate", "pane"]), st.just(0), where, rotations, st.floats(0.05, 0.9)
    ),
    min_size=1,
    max_size=6,
)
views = st.builds(
    lambda turn, rise, lens: Camera((3.2 * math.cos(turn), 3.2 * math.sin(turn), rise), field_of_view=lens),
    st.floats(0, 6.3),
    st.floats(-2, 4),
    st.floats(15, 60),
)


# --- cameras, depth and normals ---


@pytest.mark.parametrize("camera", CAMERAS)
def test_matrices_project_an_objects_middle_to_its_place_in_the_picture(renderer, camera):
    spots = [(-0.5, 0.1, 0.3), (0.4, -0.3, -0.3), (0.0, 0.0, 0.0)]
    frame, graph = one(renderer, *(SceneObject("ball", 0, spot, size=0.16) for spot in spots), camera=camera)
    at, depth = project(graph, spots)
    seen = 0
    for k, (place, far) in enumerate(zip(at, depth, strict=True)):
        rows, columns = np.nonzero(frame.instance_mask[0] == k + 1)
        if len(rows) and graph["objects"][k]["visibility"] > 0.95 and 4 < place.min() < place.max() < RESOLUTION - 4:
            assert np.hypot(columns.mean() + 0.5 - place[0], rows.mean() + 0.5 - place[1]) < 0.5
            assert frame.depth[0, rows, columns].mean() == pytest.approx(far - 0.16 / 3, abs=0.01)
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize("camera", CAMERAS)
def test_pixels_go_back_to_where_the_surface_is(renderer, camera):
    spot, size = (0.2, -0.1, 0.15), 0.8
    frame, graph = one(renderer, SceneObject("ball", 0, spot, size=size), camera=camera)
    seen = frame.instance_mask[0] == 1
    assert seen.sum() > 200
    away = np.linalg.norm(back_project(graph, np.where(seen, frame.depth[0], 1.0)) - spot, axis=-1)
    assert np.abs(away - 0.5 * size)[inner(seen)].max() < 0.006
    assert np.abs(away - 0.5 * size)[seen].max() < 0.03


@pytest.mark.parametrize("camera", CAMERAS)
def test_triangles_much_smaller_than_pixels_are_where_they_are(renderer, camera):
    """A ball of 4096 triangles on some 40 pixels, slivers at its poles among them."""
    rng = np.random.default_rng(3)
    for _ in range(4):
        spots = rng.uniform(-0.5, 0.5, (3, 3))
        balls = [SceneObject("ball", 0, tuple(spot), tuple(rng.normal(size=4)), 0.16) for spot in spots]
        frame, graph = one(renderer, *balls, camera=camera)
        points = back_project(graph, np.where(np.isfinite(frame.depth[0]), frame.depth[0], 1.0))
        for number, spot in enumerate(spots, start=1):
            away = np.linalg.norm(points - spot, axis=-1)[frame.instance_mask[0] == number]
            assert np.abs(away - 0.08).max(initial=0.0) < 0.02


@pytest.mark.parametrize("camera", CAMERAS)
def test_normals_of_a_ball_point_away_from_its_middle(renderer, camera):
    spot = (0.2, -0.1, 0.15)
    frame, graph = one(renderer, SceneObject("ball", 0, spot, (0.5, 0.1, -0.3, 0.8), 0.8), camera=camera)
    seen = frame.instance_mask[0] == 1
    points = back_project(graph, np.where(seen, frame.depth[0], 1.0))
    outwards = (points - spot) / 0.4
    normals = frame.normals[0]
    assert (normals[~seen] == 0.0).all()
    assert np.abs(normals - outwards)[inner(seen)].max() < 0.1
    assert np.abs(normals - outwards)[inner(seen)].mean() < 0.02


@settings(max_examples=20, deadline=None)
@given(things, views, st.booleans())
def test_normals_are_unit_vectors_towards_the_camera(renderer, objects, camera, on_a_floor):
    frame, graph = one(renderer, *objects, camera=camera, floor=FLOOR if on_a_floor else None)
    seen = np.isfinite(frame.depth[0])
    normals = frame.normals[0]
    assert (normals[~seen] == 0.0).all()
    assert np.abs(np.linalg.norm(normals[seen], axis=-1) - 1.0).max(initial=0.0) < 1e-4
    towards = np.array(camera.position) - back_project(graph, np.where(seen, frame.depth[0], 1.0))
    assert ((normals * towards).sum(axis=-1)[seen] > -0.02).all()


def test_both_sides_of_a_plate_have_normals_towards_the_camera(renderer):
    for y in (-2.4, 2.4):
        frame, _ = one(renderer, "plate", camera=Camera((0.0, y, 0.0)))
        assert frame.normals[0, MIDDLE, MIDDLE] == pytest.approx((0.0, math.copysign(1.0, y), 0.0), abs=1e-6)


# --- floors ---


def test_the_floor_lies_under_the_first_object_and_the_others_stand_on_it(renderer):
    lean = (0.0, math.sin(0.3), 0.0, math.cos(0.3))
    objects = [
        SceneObject("ball", 0, (0.1, 0.0, 0.2), size=0.8),
        SceneObject("ball", 0, (-0.7, 0.3, 1.5), size=0.3),
        SceneObject("flag", 0, (0.8, 0.4, -2.0), lean, 0.5),
    ]
    frame, graph = one(renderer, *objects, camera=Camera((0.0, -2.8, 1.2)), floor=FLOOR)
    assert graph["floor"]["height"] == pytest.approx(-0.2, abs=1e-3)
    assert graph["objects"][0]["position"] == pytest.approx((0.1, 0.0, 0.2))
    assert graph["objects"][1]["position"] == pytest.approx((-0.7, 0.3, -0.05), abs=1e-3)
    # The turn is one of 0.6 about y, which takes x to -z.
    corners = MESHES["flag"].vertices
    lowest = -0.5 * (math.cos(0.6) * corners[:, 2] - math.sin(0.6) * corners[:, 0]).min()
    assert graph["objects"][2]["position"] == pytest.approx((0.8, 0.4, lowest - 0.2), abs=1e-3)
    for item in graph["objects"]:
        assert item["visibility"] > 0.9
    # The pictures agree: no object's points lie below the floor, and the lowest lie on it.
    points = back_project(graph, np.where(np.isfinite(frame.depth[0]), frame.depth[0], 1.0))
    for number in (1, 2, 3):
        lows = points[..., 2][inner(frame.instance_mask[0] == number)]
        assert -0.205 < lows.min() < -0.05


def test_the_floor_is_a_flat_disc_of_its_radius_that_the_masks_leave_out(renderer):
    camera = Camera((0.3, -2.8, 1.6), field_of_view=60.0)
    floor = Floor(Material("checker", 5), 1.5)
    frame, graph = one(renderer, SceneObject("ball", 0, (0.2, 0.0, 0.0), size=0.4), camera=camera, floor=floor)
    number, category = frame.instance_mask[0], frame.category_mask[0]
    ground = np.isfinite(frame.depth[0]) & (number == 0)
    assert ground.sum() > 300
    assert ((category == 0) == (number == 0)).all()
    assert np.allclose(frame.normals[0][ground], (0.0, 0.0, 1.0), atol=1e-5)
    # Where the pixels' rays meet the plane, and how far that is from the first object.
    rays = back_project(graph, np.ones((RESOLUTION, RESOLUTION))) - camera.position
    with np.errstate(divide="ignore"):
        depth = (-0.2 - camera.position[2]) / rays[..., 2]
    points = camera.position + rays * depth[..., None]
    away = np.where(depth > 0.0, np.hypot(points[..., 0] - 0.2, points[..., 1]), np.inf)
    assert np.abs(frame.depth[0] - depth)[inner(ground)].max() < 0.01
    assert ground[(away < 1.42) & (number == 0)].all()
    assert not ground[away > 1.58].any()
    assert graph["floor"]["radius"] == 1.5
    assert (graph["floor"]["name"], graph["floor"]["seed"]) == ("checker", 5)


def test_without_a_floor_objects_float_where_they_are(renderer):
    _, graph = one(renderer, "ball", SceneObject("ball", 0, (0.5, 0.5, 0.9), size=0.2))
    assert graph["floor"] is None
    assert graph["objects"][1]["position"] == pytest.approx((0.5, 0.5, 0.9))


def test_a_batch_may_mix_scenes_with_and_without_floors(renderer):
    lone = SceneObject("ball", 0, size=0.5)
    scenes = [
        scene(lone, camera=CAMERAS[1], index=0),
        scene(lone, "plate", camera=CAMERAS[1], floor=FLOOR, index=1),
        scene("plate", camera=CAMERAS[1], index=2),
        scene(lone, camera=CAMERAS[1], floor=Floor(Material("brick", 2), 1.0), index=3),
    ]
    together = renderer.render(scenes)
    for k, single in enumerate(scenes):
        alone = renderer.render([single])
        assert np.array_equal(alone.rgb[0], together.rgb[k])
        assert np.array_equal(alone.depth[0], together.depth[k])
        assert alone.scenes[0] == together.scenes[k]


# --- boxes and visibility ---


@settings(max_examples=25, deadline=None)
@given(things, views, st.booleans())
def test_visible_boxes_are_the_masks_extents_and_lie_within_the_full_ones(renderer, objects, camera, on_a_floor):
    frame, graph = one(renderer, *objects, camera=camera, floor=FLOOR if on_a_floor else None)
    assert len(graph["objects"]) == len(objects)
    for k, item in enumerate(graph["objects"]):
        assert item["number"] == k + 1
        seen = extent(frame.instance_mask[0] == k + 1)
        assert item["visible_box"] == seen
        assert 0.0 <= item["visibility"] <= 1.0
        if seen is not None:
            assert item["visibility"] > 0.0
            # Pixels count as a whole: the full extent may end within one.
            left, top, right, bottom = item["box"]
            assert (left < seen[0] + 1, top < seen[1] + 1, right > seen[2] - 1, bottom > seen[3] - 1) == (True,) * 4


def test_the_full_box_is_the_outline_of_the_whole_object(renderer):
    """Also of what is hidden, and of what lies beyond the picture's edge."""
    spot = (-0.95, 0.3, 0.2)
    hider = SceneObject("plate", 0, (-0.4, -0.9, 0.1), size=1.5)
    _, graph = one(renderer, SceneObject("ball", 0, spot, size=0.5), hider)
    corners = np.array(spot) + 0.25 * MESHES["ball"].vertices / 0.5
    at, _ = project(graph, corners)
    assert at[:, 0].min() < 0.0
    assert graph["objects"][0]["box"] == pytest.approx([*at.min(axis=0), *at.max(axis=0)], abs=0.01)


def test_an_object_that_is_hidden_or_out_of_the_picture_is_not_visible(renderer):
    hider, hidden = SceneObject("plate", 0, size=1.5), SceneObject("ball", 0, (0.0, 1.0, 0.0), size=0.3)
    behind = SceneObject("ball", 0, (0.0, -6.0, 0.0))
    beside = SceneObject("ball", 0, (9.0, 0.0, 0.0))
    frame, graph = one(renderer, hider, hidden, behind, beside)
    assert set(np.unique(frame.instance_mask)) == {0, 1}
    for item in graph["objects"][1:]:
        assert (item["visible_box"], item["visibility"]) == (None, 0.0)
    assert graph["objects"][1]["box"] is not None
    assert graph["objects"][2]["box"] is None
    assert graph["objects"][3]["box"][0] > RESOLUTION


@pytest.mark.parametrize("away", [(0.0, -6.0, 0.0), (9.0, 0.0, 0.0)])
def test_the_only_object_is_not_visible_either_when_it_is_out_of_the_picture(renderer, away):
    _, graph = one(renderer, SceneObject("ball", 0, away))
    assert (graph["objects"][0]["visible_box"], graph["objects"][0]["visibility"]) == (None, 0.0)


@pytest.mark.parametrize("cover", ["plate", "pane"])
@pytest.mark.parametrize("hidden", [0.25, 0.5, 0.8])
def test_visibility_is_the_share_that_is_not_hidden(renderer, hidden, cover):
    # A plate 2 m away; another, twice as large as needed and at half the way, covers its left part.
    half = math.sqrt(0.125)
    edge = -half + 2.0 * half * hidden
    hider = SceneObject(cover, 0, (0.5 * edge - 2.0 * half, -1.2, 0.0), size=2.0)
    for objects in (("plate", hider), (hider, "plate")):
        frame, graph = one(renderer, *objects)
        whole, front = graph["objects"] if objects[0] == "plate" else graph["objects"][::-1]
        assert front["visibility"] == 1.0
        assert whole["visibility"] == pytest.approx(1.0 - hidden, abs=0.04)
        own = frame.instance_mask[0] == whole["number"]
        alone, _ = one(renderer, "plate")
        assert own.sum() / (alone.instance_mask[0] == 1).sum() == pytest.approx(whole["visibility"], abs=0.04)


def test_what_nothing_hides_is_wholly_visible(renderer):
    apart = [SceneObject("ball", 0, (x, 0.3 * x, 0.2 * x), size=0.25) for x in (-0.6, -0.3, 0.0, 0.3, 0.6)]
    for floor in (None, FLOOR):
        _, graph = one(renderer, *apart, floor=floor, camera=Camera((0.0, -2.4, 0.6)))
        assert [item["visibility"] for item in graph["objects"]] == [1.0] * 5
    _, graph = one(renderer, "ball")
    assert graph["objects"][0]["visibility"] == 1.0


def test_an_object_does_not_hide_itself(renderer):
    """The far side of an open ball is drawn and lies behind the near side."""
    whole = MESHES["ball"]
    MESHES["bowl"] = attrs.evolve(whole, triangles=whole.triangles[5:], part_of_triangle=whole.part_of_triangle[5:])
    from task2sim_studio.renderer import Renderer

    own = Renderer(RESOLUTION, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")
    _, graph = one(own, SceneObject("bowl", 0, size=0.5), SceneObject("ball", 0, (0.6, 0.0, 0.0), size=0.2))
    assert [item["visibility"] for item in graph["objects"]] == [1.0, 1.0]
    own.close()
    del MESHES["bowl"]


def test_glass_is_what_the_masks_and_the_depth_show(renderer):
    pane = SceneObject("pane", 0, (0.0, -0.8, 0.0), size=0.5)
    for objects in ((pane, "ball"), ("ball", pane)):
        frame, graph = one(renderer, *objects)
        number = objects.index(pane) + 1
        assert frame.instance_mask[0, MIDDLE, MIDDLE] == number
        assert frame.category_mask[0, MIDDLE, MIDDLE] == list(MESHES).index("pane") + 1
        assert frame.depth[0, MIDDLE, MIDDLE] == pytest.approx(1.6, abs=1e-3)
        assert frame.normals[0, MIDDLE, MIDDLE] == pytest.approx((0.0, -1.0, 0.0), abs=1e-5)
        assert graph["objects"][number - 1]["visibility"] == 1.0
        assert graph["objects"][2 - number]["visibility"] < 0.9


def test_glass_behind_something_is_hidden(renderer):
    frame, graph = one(renderer, SceneObject("pane", 0, (0.0, 0.8, 0.0), size=0.4), "ball")
    assert set(np.unique(frame.instance_mask)) == {0, 2}
    assert [item["visibility"] for item in graph["objects"]] == [0.0, 1.0]
    assert frame.depth[0, MIDDLE, MIDDLE] == pytest.approx(1.9, abs=0.01)


def test_at_most_63_objects(renderer):
    row = [SceneObject("red", 0, (0.2 * (k % 8) - 0.7, 0.0, 0.2 * (k // 8) - 0.7), size=0.15) for k in range(64)]
    camera = Camera((0.0, -2.4, 0.0))
    frame, graph = one(renderer, *row[:63], camera=camera)
    assert set(range(1, 64)) <= set(np.unique(frame.instance_mask))
    assert [item["visibility"] for item in graph["objects"]] == [1.0] * 63
    with pytest.raises(ConfigError, match="64 objects") as caught:
        one(renderer, *row, camera=camera)
    assert "63" in str(caught.value.mend)
    assert "\n" not in str(caught.value)


# --- scene graphs ---


def test_a_graph_is_plain_data_that_json_gives_back(renderer):
    objects = [
        SceneObject("ball", 0, (0.3, 0.1, 0.2), (0.1, 0.2, 0.3, 0.9), 0.4, (Material("marble", 7), GLASS)),
        SceneObject("pane", 0, (0.0, -9.0, 0.0)),
        SceneObject("red", 2),
    ]
    camera = Camera((0.0, -2.4, 0.6), focus_distance=2.0, aperture=0.1, motion=(0.02, 0.01), noise=0.03, noise_seed=9)
    sun = Sun((0.0, -0.6, 0.8), (1.0, 0.5, 0.2), 0.7, 12.0)
    _, graph = one(renderer, *objects, camera=camera, sun=sun, floor=FLOOR, fog=Fog(0.2), index=41)
    assert json.loads(json.dumps(graph, allow_nan=False)) == graph
    assert graph["index"] == 41
    assert graph["fog"] == {"density": 0.2}
    assert graph["sun"] == json.loads(json.dumps(attrs.asdict(sun)))
    assert graph["background"] == {"name": "white", "rotation": [0.0, 0.0, 0.0, 1.0]}
    given = json.loads(json.dumps(attrs.asdict(camera)))
    assert {key: graph["camera"][key] for key in given} == given
    first, second, third = graph["objects"]
    assert (first["category"], first["instance"], first["size"]) == ("ball", 0, 0.4)
    assert first["rotation"] == [0.1, 0.2, 0.3, 0.9]
    assert first["parts"][0]["material"] == "marble"
    assert first["parts"][0]["seed"] == 7
    assert second["box"] is second["visible_box"] is None
    assert (third["instance"], third["parts"][0]["name"]) == (2, "all")
    assert third["parts"][0]["colour"] == pytest.approx((0.6, 0.01, 0.02))
    assert third["parts"][0]["colour_name"] == "red"


def test_graphs_are_a_sequence_that_later_frames_do_not_change(renderer):
    scenes = [scene("ball", SceneObject("plate", 0, (0.1 * k, -0.6, 0.0), size=0.3), index=k) for k in range(4)]
    frame = renderer.render(scenes)
    kept = [json.dumps(graph) for graph in frame.scenes]
    renderer.render([scene("plate", "plate", "ball", floor=FLOOR) for _ in range(4)])
    assert [json.dumps(graph) for graph in frame.scenes] == kept
    assert len(frame.scenes) == 4
    assert frame.scenes[-1] == frame.scenes[3] == frame.scenes[1:][2]
    assert [graph["index"] for graph in frame.scenes[::2]] == [0, 2]
    with pytest.raises(IndexError):
        frame.scenes[4]


def test_a_pictures_colour_is_the_one_that_is_named(renderer):
    _, graph = one(renderer, "pictured")
    assert graph["objects"][0]["parts"][0]["colour_name"] == "red"


PRIMARIES = {
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "grey": (0.2, 0.2, 0.2),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "orange": (1.0, 0.25, 0.0),
    "pink": (1.0, 0.4, 0.55),
    "brown": (0.13, 0.05, 0.02),
    "purple": (0.2, 0.03, 0.4),
}


SHADES = {
    "blue": [(0.0, 0.0, 0.1), (0.02, 0.03, 0.2), (0.25, 0.5, 0.95)],
    "green": [(0.0, 0.1, 0.0), (0.1, 0.3, 0.05), (0.3, 0.7, 0.25)],
    "red": [(0.5, 0.02, 0.02)],
    "grey": [(0.08, 0.08, 0.08), (0.45, 0.45, 0.45)],
}


def test_light_and_dark_colours_have_their_names():
    for name, colours in SHADES.items():
        assert colour_names(np.array(colours)) == [name] * len(colours)


def test_primary_colours_have_their_names():
    assert set(PRIMARIES) == set(COLOUR_NAMES)
    assert colour_names(np.array(list(PRIMARIES.values()))) == list(PRIMARIES)
    assert colour_names(np.array([(7.0, 0.0, 0.0), (-1.0, -1.0, -1.0)])) == ["red", "black"]
