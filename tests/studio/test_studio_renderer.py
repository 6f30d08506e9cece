"""The renderer on meshes and lights whose pictures are known."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import Background, Camera, ConfigError, Material, Scene, SceneObject, Sun
from task2sim_studio.environments import Environment, directions, prefilter
from task2sim_studio.mesh import Mesh, Part

RESOLUTION = 64
DARK = Sun((0.0, 0.0, 1.0), intensity=0.0)
WHITE = Part("all", Material("plastic", 1), (1.0, 1.0, 1.0))


def mesh(vertices, triangles, normals=None, parts=(WHITE,), part_of_triangle=None):
    vertices = np.asarray(vertices, dtype=np.float32).reshape(-1, 3)
    triangles = np.asarray(triangles, dtype=np.int32).reshape(-1, 3)
    if normals is None:
        normals = vertices / np.maximum(np.linalg.norm(vertices, axis=1, keepdims=True), 1e-9)
    if part_of_triangle is None:
        part_of_triangle = np.zeros(len(triangles), dtype=np.int32)
    return Mesh(vertices, normals, np.zeros((len(vertices), 2)), triangles, part_of_triangle, parts)


def ball(rings=32):
    polar, around = np.meshgrid(np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, 2 * rings + 1))
    vertices = 0.5 * np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    corner = (np.arange(2 * rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    quads = np.stack([corner, corner + 1, corner + rings + 2, corner + rings + 1], -1)
    return mesh(vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def plate():
    """A square in the plane y = 0 that faces -y: an open mesh."""
    corners = [(-0.35, 0, -0.35), (0.35, 0, -0.35), (0.35, 0, 0.35), (-0.35, 0, 0.35)]
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], normals=[(0, -1, 0)] * 4)


MESHES = {
    "ball": ball(),
    "plate": plate(),
    "black": attrs.evolve(ball(), parts=(attrs.evolve(WHITE, colour=(0.0, 0.0, 0.0)),)),
    "nothing": mesh([(0, 0, 0)], np.zeros((0, 3))),
    "point": mesh([(0, 0, 0)] * 3, [(0, 1, 2), (0, 0, 0)]),
    "line": mesh([(-0.5, 0, 0), (0, 0, 0), (0.5, 0, 0)], [(0, 1, 2), (0, 1, 0)]),
    "not-a-number": mesh([(np.nan, 0, 0), (0.5, 0, 0), (0, 0, np.inf)], [(0, 1, 2)], normals=[(0, 0, 1)] * 3),
    "no-normals": attrs.evolve(ball(8), normals=np.zeros((9 * 17, 3))),
}
FURNACE = 0.4


def environment(name: str, size: int) -> Environment:
    radiance = np.full((size, size, 3), 0.0 if name == "black" else FURNACE, dtype=np.float32)
    if name == "axes":  # red towards +x, green towards +y, blue towards +z
        radiance = np.maximum(directions(size), 0.0)
    return prefilter(radiance)


@pytest.fixture(scope="module")
def renderer():
    from task2sim_studio.renderer import Renderer

    made = Renderer(RESOLUTION, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")
    yield made
    made.close()


def scene(*objects, camera=None, sun=DARK, background="black", index=0):
    return Scene(index, objects, camera or Camera((0.0, -2.4, 0.0)), sun, Background(background))


def one(renderer, *args, **kwargs):
    return renderer.render([scene(*args, **kwargs)])


def linear(frame):
    """Undo the tone table, in picture order."""
    from task2sim_studio.film import TONE_LIMIT, TONE_STEPS
    from task2sim_studio.renderer import tone_table

    radiance = np.linspace(0, math.sqrt(TONE_LIMIT), TONE_STEPS) ** 2
    table = tone_table()
    means = np.array([radiance[table == byte].mean() if (table == byte).any() else np.nan for byte in range(256)])
    return means[frame.rgb]


def test_ball_has_the_silhouette_and_depth_of_a_sphere(renderer):
    frame = one(renderer, SceneObject("ball", 0))
    focal = 0.5 * RESOLUTION / math.tan(math.radians(20.0))
    at = np.arange(RESOLUTION) + 0.5 - RESOLUTION / 2
    x, z = np.meshgrid(at / focal, -at / focal)
    # Rays (x, 1, z) t from (0, -2.4, 0) meet the sphere of radius 0.5 where a t^2 - 2 b t + c = 0; t is the depth.
    a, b, c = x**2 + z**2 + 1, 2.4, 2.4**2 - 0.25
    root = b * b - a * c
    inside = root > 0
    mask = frame.instance_mask[0] == 1
    assert (mask != inside).sum() <= 0.02 * inside.sum()
    assert mask.sum() == pytest.approx(inside.sum(), rel=0.015)
    both = mask & inside & (root > 0.02)
    expected = (b - np.sqrt(np.maximum(root, 0))) / a
    assert np.abs(frame.depth[0] - expected)[both].max() < 0.01
    assert np.isinf(frame.depth[0][~mask]).all()


@pytest.mark.parametrize("placing", ["left", "right", "up", "down"])
def test_the_picture_is_the_right_way_round(renderer, placing):
    position = {"left": (-0.6, 0, 0), "right": (0.6, 0, 0), "up": (0, 0, 0.6), "down": (0, 0, -0.6)}[placing]
    mask = one(renderer, SceneObject("ball", 0, position, size=0.3)).instance_mask[0]
    rows, columns = np.nonzero(mask)
    half = RESOLUTION / 2
    assert {
        "left": columns.max() < half,
        "right": columns.min() >= half,
        "up": rows.max() < half,
        "down": rows.min() >= half,
    }[placing]


@pytest.mark.parametrize(
    ("rotation", "colour"),
    [
        ((0.0, 0.0, 0.0, 1.0), 1),
        ((0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)), 0),  # a quarter turn about z takes +x to +y, where we look
        ((-math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)), 2),  # a quarter turn back about x takes +z to +y
    ],
)
def test_the_surroundings_turn_from_their_own_axes_to_the_world(renderer, rotation, colour):
    turned = attrs.evolve(scene(SceneObject("nothing", 0)), background=Background("axes", rotation))
    middle = renderer.render([turned]).rgb[0, RESOLUTION // 2, RESOLUTION // 2]
    assert middle.argmax() == colour
    assert np.sort(middle)[1] < 40
    # They light objects from the same side.
    lit = attrs.evolve(turned, objects=(SceneObject("ball", 0),), camera=Camera((0.0, 2.4, 0.0)))
    assert renderer.render([lit]).rgb[0, RESOLUTION // 2, RESOLUTION // 2].argmax() == colour


def test_a_white_ball_nearly_vanishes_in_a_white_furnace(renderer):
    """Light from all sides, no sun: a white surface returns what it gets, plus the gloss that sits on it."""
    frame = one(renderer, SceneObject("ball", 0), background="white")
    light = linear(frame)[0]
    mask = frame.instance_mask[0] == 1
    outside = light[~mask & (frame.instance_mask[0] == 0)]
    assert np.allclose(np.median(outside), FURNACE, atol=0.01)
    assert abs(light[mask].mean() - FURNACE) < 0.04
    assert light[mask].max() < 1.2 * FURNACE + 0.02


def test_the_sun_lights_a_plane_by_the_cosine(renderer):
    from task2sim_studio.packing import SUN_IRRADIANCE

    levels = []
    for degrees in (10, 50, 75):
        towards = math.radians(degrees)
        sun = Sun((0.0, -math.cos(towards), math.sin(towards)), intensity=0.4)
        frame = one(renderer, SceneObject("plate", 0), sun=sun)
        levels.append(linear(frame)[0][RESOLUTION // 2, RESOLUTION // 2].mean())
        lambert = 0.4 * SUN_IRRADIANCE / math.pi * math.cos(towards)
        assert levels[-1] == pytest.approx(lambert, rel=0.35)
    assert levels[0] > levels[1] > levels[2]


def test_the_sun_behind_leaves_a_plane_dark_and_objects_cast_shadows(renderer):
    behind = one(renderer, SceneObject("plate", 0), sun=Sun((0.0, 1.0, 0.0)))
    assert behind.rgb[0][behind.instance_mask[0] == 1].max() <= 2
    blocker = SceneObject("ball", 0, (0.0, -0.6, 0.9), size=0.5)
    toward = Sun((0.0, -0.5547, 0.83205))
    free = one(renderer, SceneObject("plate", 0), sun=toward)
    shaded = one(renderer, SceneObject("plate", 0), blocker, sun=toward)
    middle = RESOLUTION // 2
    assert shaded.instance_mask[0, middle, middle] == 1
    assert free.rgb[0, middle, middle].min() > 60
    assert shaded.rgb[0, middle, middle].max() < 10


def test_nearer_objects_hide_farther_ones_in_any_order(renderer):
    near, far = SceneObject("ball", 0, (0.0, -0.8, 0.0), size=0.3), SceneObject("plate", 0)
    for objects in ((near, far), (far, near)):
        frame = one(renderer, *objects)
        middle = RESOLUTION // 2
        assert frame.instance_mask[0, middle, middle] == objects.index(near) + 1
        assert frame.category_mask[0, middle, middle] == list(MESHES).index("ball") + 1
        assert frame.depth[0, middle, middle] == pytest.approx(1.45, abs=0.02)


def test_both_sides_of_an_open_mesh_are_drawn(renderer):
    half_turn = (0.0, 0.0, 1.0, 0.0)
    front = one(renderer, SceneObject("plate", 0), sun=Sun((0.0, -1.0, 0.0)))
    back = one(renderer, SceneObject("plate", 0, rotation=half_turn), sun=Sun((0.0, -1.0, 0.0)))
    assert np.array_equal(front.instance_mask, back.instance_mask)
    assert np.abs(front.rgb.astype(int) - back.rgb).max() <= 2


@pytest.mark.parametrize("name", ["nothing", "point", "line", "not-a-number"])
def test_degenerate_meshes_draw_nothing(renderer, name):
    frame = one(renderer, SceneObject(name, 0), background="white")
    assert (frame.instance_mask == 0).all()
    assert np.isinf(frame.depth).all()
    assert len(np.unique(frame.rgb)) == 1


def test_a_mesh_without_normals_is_shaded_flat(renderer):
    frame = one(renderer, SceneObject("no-normals", 0), sun=Sun((1.0, 0.0, 0.0)))
    row = frame.rgb[0, RESOLUTION // 2, :, 0]
    assert row[RESOLUTION // 2 + 3 :].max() > 150
    assert row[: RESOLUTION // 2 - 3].max() <= 2


def test_a_camera_within_an_object_and_objects_behind_it(renderer):
    inside = one(renderer, SceneObject("plate", 0, size=20.0), camera=Camera((0.0, -0.3, 0.1), (5.0, 0.0, 0.1)))
    mask = inside.instance_mask[0] == 1
    assert 0.05 < mask.mean() < 0.95  # the plate runs from before the camera to behind it
    assert np.isfinite(inside.depth[0][mask]).all()
    assert (inside.depth[0][mask] > 0.0).all()
    for position in ((0.0, -5.0, 0.0), (0.0, -2.395, 0.0)):  # behind it, and nearer than the near plane
        assert (one(renderer, SceneObject("plate", 0, position)).instance_mask == 0).all()


def test_what_is_nearer_than_the_near_plane_is_cut_away(renderer):
    from task2sim_studio.structures import NEAR

    # A slope that rises before the camera from 6 to 13 millimetres away.
    eighth = math.radians(-22.5)
    slope = SceneObject("plate", 0, (0.0, -2.4, -0.008), (math.sin(eighth), 0.0, 0.0, math.cos(eighth)))
    frame = one(renderer, slope)
    mask = frame.instance_mask[0] == 1
    assert mask[0].all()
    assert not mask[-1].any()
    assert frame.depth[0][mask].min() >= NEAR - 1e-6


def test_edges_are_smooth(renderer):
    """A leaning white square on black: its edge pixels take the levels between."""
    leaning = (0.0, math.sin(math.radians(5)), 0.0, math.cos(math.radians(5)))
    frame = one(renderer, SceneObject("plate", 0, rotation=leaning), sun=Sun((0.0, -1.0, 0.0), intensity=0.4))
    levels = frame.rgb[0, :, :, 1]
    inside = levels[RESOLUTION // 2, RESOLUTION // 2]
    between = (levels > 5) & (levels < inside - 5)
    assert between.sum() > 60
    assert len(np.unique(levels[between])) >= 3


def test_blur_softens_edges_where_focus_misses_and_keeps_masks(renderer):
    def picture(focus, aperture):
        camera = Camera((0.0, -2.4, 0.0), focus_distance=focus, aperture=aperture)
        return one(renderer, SceneObject("plate", 0), camera=camera, sun=Sun((0.0, -1.0, 0.0)))

    def steepest(frame):
        return np.abs(np.diff(frame.rgb[0].astype(int), axis=1)).max()

    sharp, focused, missed = picture(2.4, 0.0), picture(2.4, 0.15), picture(1.2, 0.15)
    assert np.abs(focused.rgb.astype(int) - sharp.rgb).max() <= 2
    assert steepest(missed) < 0.6 * steepest(sharp)
    assert np.array_equal(missed.instance_mask, sharp.instance_mask)
    assert np.array_equal(missed.depth, sharp.depth)
    # Light is spread, not lost.
    assert linear(missed)[0].mean() == pytest.approx(linear(sharp)[0].mean(), rel=0.05)


def test_blur_keeps_what_is_sharp_and_near_before_what_is_blurred(renderer):
    """A dark ball in focus before a bright, blurred plate: no light creeps over the ball's edge."""
    plate, post = SceneObject("plate", 0, (0.0, 3.0, 0.0), size=4.0), SceneObject("black", 0, size=0.6)
    sun = Sun((0.0, -0.8, 0.6))
    sharp = one(renderer, plate, post, sun=sun)
    camera = Camera((0.0, -2.4, 0.0), focus_distance=2.3, aperture=0.3)
    blurred = one(renderer, plate, post, camera=camera, sun=sun)
    inner = sharp.instance_mask[0] == 2
    inner[1:-1, 1:-1] &= inner[2:, 1:-1] & inner[:-2, 1:-1] & inner[1:-1, 2:] & inner[1:-1, :-2]
    assert inner.sum() > 30
    assert sharp.rgb[0][sharp.instance_mask[0] == 1].max() > 150
    assert np.abs(blurred.rgb[0].astype(int) - sharp.rgb[0])[inner].mean() < 4


def test_an_image_depends_on_its_scene_alone(renderer):
    scenes = [
        scene(
            SceneObject("ball", 0, (0.1 * i, 0.0, 0.0), materials=(Material("marble", i),)),
            sun=Sun((0.5, -0.45, 0.74)),
            background="white",
            camera=Camera((0.0, -2.4, 0.3), focus_distance=1.9, aperture=0.05 * i),
            index=i,
        )
        for i in range(5)
    ]
    together = renderer.render(scenes)
    order = [3, 0, 4, 1, 2]
    shuffled = renderer.render([scenes[i] for i in order])
    for place, i in enumerate(order):
        alone = renderer.render([scenes[i]])
        for field in ("rgb", "depth", "instance_mask", "category_mask"):
            expected = getattr(together, field)[i]
            assert np.array_equal(getattr(shuffled, field)[place], expected)
            assert np.array_equal(getattr(alone, field)[0], expected)
        assert alone.scenes[0] == together.scenes[i]
    assert together.indices.tolist() == list(range(5))
    assert len({picture.tobytes() for picture in together.rgb}) == 5


def test_frames_do_not_share_memory_with_later_ones(renderer):
    frame = one(renderer, SceneObject("ball", 0), background="white")
    kept = frame.rgb.copy(), frame.depth.copy()
    one(renderer, SceneObject("plate", 0), sun=Sun((0.0, -1.0, 0.0)))
    assert np.array_equal(frame.rgb, kept[0])
    assert np.array_equal(frame.depth, kept[1])


@settings(max_examples=25, deadline=None)
@given(
    where=st.tuples(*[st.floats(-3, 3)] * 3),
    size=st.floats(0.001, 50),
    at=st.tuples(*[st.floats(-3, 3)] * 3),
    view=st.floats(1, 170),
    aperture=st.floats(0, 1),
)
def test_masks_and_depth_agree_for_any_camera(renderer, where, size, at, view, aperture):
    camera = Camera(where, (0.0, 0.0, 0.0), view, max(0.1, math.dist(where, (0, 0, 0))), aperture)
    frame = one(
        renderer, SceneObject("ball", 0, at, size=size), SceneObject("plate", 0), camera=camera, background="white"
    )
    seen = frame.instance_mask > 0
    assert np.array_equal(seen, np.isfinite(frame.depth))
    assert (frame.depth > 0).all()
    labels = np.array([0, 1 + list(MESHES).index("ball"), 1 + list(MESHES).index("plate")])
    assert np.array_equal(frame.category_mask, labels[frame.instance_mask])


def test_closed_meshes_are_told_from_open_and_inverted_ones():
    from task2sim_studio.uploads import is_closed

    whole = ball(8)
    assert is_closed(whole)
    assert not is_closed(plate())
    assert not is_closed(MESHES["nothing"])
    assert not is_closed(MESHES["point"])
    assert not is_closed(attrs.evolve(whole, triangles=whole.triangles[:, ::-1]))
    half = attrs.evolve(whole, triangles=whole.triangles[20:], part_of_triangle=whole.part_of_triangle[20:])
    assert not is_closed(half)


@pytest.mark.parametrize(
    "damage",
    [
        {"triangles": [(0, 1, 4)]},
        {"triangles": [(-1, 1, 2)]},
        {"part_of_triangle": [0, 1]},
        {"normals": np.zeros((3, 3))},
        {"uvs": np.zeros((4, 3))},
    ],
)
def test_meshes_that_point_outside_their_arrays_are_refused(renderer, monkeypatch, damage):
    monkeypatch.setitem(MESHES, "line", attrs.evolve(plate(), **damage))
    monkeypatch.setattr(renderer, "_meshes", type(renderer._meshes)(lambda category, _: MESHES[category], "cpu"))
    with pytest.raises(ConfigError, match="the mesh's") as caught:
        one(renderer, SceneObject("line", 0))
    assert caught.value.place == "line/0"


def test_meshes_are_dropped_and_uploaded_again_when_there_are_too_many(monkeypatch):
    from task2sim_studio import renderer as module
    from task2sim_studio import uploads

    made = module.Renderer(RESOLUTION, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")
    first = one(made, SceneObject("ball", 0), SceneObject("plate", 0), background="white")
    monkeypatch.setattr(uploads, "_MESH_BUDGET", 1)
    monkeypatch.setattr(uploads, "_ENVIRONMENT_BUDGET", 0)
    again = one(made, SceneObject("ball", 0), SceneObject("plate", 0), background="white")
    assert np.array_equal(first.rgb, again.rgb)
    for instance in range(6):
        one(made, SceneObject("ball", instance), background="white")
    assert len(made._meshes.geometry().triangles) < 3 * len(MESHES["ball"].triangles)
    made.close()
    made.close()


def test_a_batch_with_too_many_triangles_is_cut_and_gives_the_same_pictures(renderer, monkeypatch):
    from task2sim_studio import uploads

    scenes = [scene(SceneObject("ball", instance), background="white", index=instance) for instance in range(5)]
    whole = renderer.render(scenes)
    renderer.close()
    monkeypatch.setattr(uploads, "_MESH_BUDGET", len(MESHES["ball"].triangles))
    calls, draw = [], type(renderer).draw
    monkeypatch.setattr(
        type(renderer), "draw", lambda self, scenes: (calls.append(len(scenes)), draw(self, scenes))[1]
    )
    cut = renderer.render(scenes)
    assert len(calls) > 1
    assert np.array_equal(cut.rgb, whole.rgb)
    assert np.array_equal(cut.depth, whole.depth)


def test_a_picture_on_several_parts_is_uploaded_once(renderer):
    from task2sim_studio.mesh import Textures
    from task2sim_studio.uploads import Meshes

    shared = np.full((8, 8, 3), 200, dtype=np.uint8)
    parts = [attrs.evolve(WHITE, textures=Textures(albedo=shared, normal=shared)) for _ in range(4)]
    made = attrs.evolve(plate(), parts=parts)
    meshes = Meshes(lambda *_: made, "cpu")
    (placed,) = meshes.placed([("any", 0)])
    assert len({tuple(numbers) for numbers in placed.images.tolist()}) == 1
    # A colour and a direction are averaged differently: two pictures, of 64 + 16 + 4 + 1 texels each.
    assert meshes._texels.length == 1 + 2 * 85
