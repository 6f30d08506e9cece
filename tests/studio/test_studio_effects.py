"""Shadows on floors, soft light, fog, motion, noise, glass and pictures on surfaces, where the answer is known."""

from __future__ import annotations

import hashlib
import itertools
import math
import subprocess
import sys

import attrs
import numpy as np
import pytest

from task2sim import (
    FURTHER_PARAMETERS,
    TASK2SIM_PARAMETERS,
    Background,
    Camera,
    Floor,
    Fog,
    Material,
    ParameterSpace,
    Scene,
    SceneAssets,
    SceneObject,
    Sky,
    Sun,
)
from task2sim.randomisation import randomise
from task2sim_studio.environments import Environment, directions, prefilter
from task2sim_studio.mesh import MATERIALS, Mesh, Part, Textures
from task2sim_studio.textures import levels

RESOLUTION = 64
MIDDLE = RESOLUTION // 2
FOCAL = MIDDLE / math.tan(math.radians(20.0))
FURNACE = 0.4
GREY = 0.18
DARK = Sun((0.0, 0.0, 1.0), intensity=0.0)
PLASTIC = Material("plastic", 1)
FLOOR = Floor(PLASTIC, 8.0)
FACING = Sun((0.0, -1.0, 0.0), intensity=0.5)
WHITE = Part("all", PLASTIC, (1.0, 1.0, 1.0), 1.0, 0.0)


def mesh(vertices, triangles, normals, uvs=None, part=WHITE):
    uvs = np.zeros((len(vertices), 2)) if uvs is None else uvs
    return Mesh(vertices, normals, uvs, triangles, np.zeros(len(triangles)), (part,))


def ball(rings=32):
    polar, around = np.meshgrid(np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, 2 * rings + 1))
    normals = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    normals = normals.reshape(-1, 3)
    corner = (np.arange(2 * rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    quads = np.stack([corner, corner + 1, corner + rings + 2, corner + rings + 1], -1)
    uvs = np.stack([around, math.pi - polar], -1).reshape(-1, 2) / math.pi
    return mesh(0.5 * normals, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), normals, uvs)


def plate(mirrored=(1.0, 1.0), repeats=1.0):
    """A square in the plane y = 0 that faces -y, with a diagonal of 1; u grows along x and v along z."""
    corners = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)]) * math.sqrt(0.125)
    uvs = (corners[:, [0, 2]] * np.array(mirrored) / math.sqrt(0.5) + 0.5) * repeats
    return mesh(corners, [(0, 1, 2), (0, 2, 3)], [(0, -1, 0)] * 4, uvs)


def wearing(shape, **looks):
    return attrs.evolve(shape, parts=(attrs.evolve(WHITE, **looks),))


def flat_picture(*texel):
    return np.tile(np.array(texel, dtype=np.uint8), (8, 8, 1))


def normal_picture(x, y):
    """A picture of one normal that leans by x along u and by y along v."""
    normal = np.array((x, y, math.sqrt(1.0 - x * x - y * y)))
    return flat_picture(*np.round((normal + 1.0) * 127.5))


RED, GREEN, BLUE, YELLOW = (230, 20, 20), (20, 230, 20), (20, 20, 230), (230, 230, 20)
QUARTERS = np.repeat(np.repeat(np.array([[RED, GREEN], [BLUE, YELLOW]], dtype=np.uint8), 16, axis=0), 16, axis=1)
LEANING = {"u": normal_picture(0.5, 0.0), "v": normal_picture(0.0, 0.5)}
MIRRORS = {"": (1.0, 1.0), "u": (-1.0, 1.0), "v": (1.0, -1.0), "uv": (-1.0, -1.0)}
MESHES = {
    "ball": ball(),
    "plate": plate(),
    "far away": mesh([(0.0, 0.0, 0.0)], np.zeros((0, 3)), [(0.0, 0.0, 1.0)]),
    "black": wearing(ball(), colour=(0.0, 0.0, 0.0)),
    "black plate": wearing(plate(), colour=(0.0, 0.0, 0.0)),
    "red": wearing(plate(), colour=(0.7, 0.02, 0.02)),
    "pane": wearing(plate(), opacity=0.05),
    "glass ball": wearing(ball(), opacity=0.05),
    "quarters": wearing(plate(), textures=Textures(albedo=QUARTERS)),
    "repeated": wearing(plate(repeats=2.0), textures=Textures(albedo=QUARTERS)),
    "half rough": wearing(plate(), roughness=0.8, textures=Textures(roughness_metalness=flat_picture(128, 255))),
    "as rough": wearing(plate(), roughness=0.8 * 128 / 255),
    "half metal": wearing(
        plate(), colour=(0.9, 0.5, 0.2), metalness=1.0, textures=Textures(roughness_metalness=flat_picture(255, 128))
    ),
    "as metal": wearing(plate(), colour=(0.9, 0.5, 0.2), metalness=128 / 255),
    "flat normals": wearing(ball(), textures=Textures(normal=flat_picture(128, 128, 255))),
    **{
        f"leaning {lean} mirrored {mirror}": wearing(plate(flips), textures=Textures(normal=picture))
        for lean, picture in LEANING.items()
        for mirror, flips in MIRRORS.items()
    },
}


def environment(name: str, size: int) -> Environment:
    towards = directions(size)
    level = {"black": 0.0, "grey": GREY}.get(name, FURNACE)
    radiance = np.full((size, size, 3), level, dtype=np.float32)
    if name == "halves":  # bright towards +x
        radiance = np.repeat(np.where(towards[..., :1] > 0.0, 0.8, 0.1), 3, axis=-1).astype(np.float32)
    return prefilter(radiance)


def made_renderer(resolution=RESOLUTION):
    from task2sim_studio.renderer import Renderer

    return Renderer(resolution, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")


@pytest.fixture(scope="module")
def renderer():
    made = made_renderer()
    yield made
    made.close()


def scene(*objects, camera=None, sun=DARK, background="black", index=0, **more):
    objects = tuple(SceneObject(item, 0) if isinstance(item, str) else item for item in objects)
    return Scene(index, objects, camera or Camera((0.0, -2.4, 0.0)), sun, Background(background), **more)


def linear(rgb):
    """Undo the tone table."""
    from task2sim_studio.film import TONE_LIMIT, TONE_STEPS
    from task2sim_studio.renderer import tone_table

    radiance = np.linspace(0, math.sqrt(TONE_LIMIT), TONE_STEPS) ** 2
    table = tone_table()
    means = np.array([radiance[table == byte].mean() if (table == byte).any() else np.nan for byte in range(256)])
    return means[rgb]


def one(renderer, *args, **kwargs):
    """A frame and its light."""
    frame = renderer.render([scene(*args, **kwargs)])
    return frame, linear(frame.rgb)[0]


def middle(light):
    return light[MIDDLE - 1 : MIDDLE + 1, MIDDLE - 1 : MIDDLE + 1].mean(axis=(0, 1))


def floor_points(frame):
    """Points in the world of the pixels that show a floor, and which pixels these are."""
    about = frame.scenes[0]["camera"]
    to_camera, lens = np.array(about["world_to_camera"]), np.array(about["intrinsics"])
    ground = (frame.instance_mask[0] == 0) & np.isfinite(frame.depth[0])
    rows, columns = np.nonzero(ground)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1) @ np.linalg.inv(lens).T
    seen = rays * frame.depth[0][ground][:, None]
    return (seen - to_camera[:3, 3]) @ to_camera[:3, :3], ground


# --- shadows ---


@pytest.mark.parametrize("sun", [(0.5, -0.3, 0.6), (-0.7, 0.2, 0.5), (0.1, 0.6, 0.4)])
def test_objects_throw_their_shadows_on_the_floor_where_they_should(renderer, sun):
    towards = np.array(sun) / np.linalg.norm(sun)
    centre, radius = np.array((0.1, 0.2, 0.3)), 0.3
    camera = Camera((0.0, -2.0, 2.2), (0.0, 0.2, 0.0), 55.0)
    frame, light = one(
        renderer,
        SceneObject("ball", 0, tuple(centre), size=2 * radius),
        camera=camera,
        sun=Sun(tuple(towards)),
        floor=FLOOR,
    )
    points, ground = floor_points(frame)
    # A point lies in the ball's shadow if the way from it to the sun passes the ball's middle within its radius.
    to_ball = centre - points
    passing = np.linalg.norm(to_ball - (to_ball @ towards)[:, None] * towards, axis=1)
    shaded = light[ground].mean(axis=-1) < 0.3 * np.median(light[ground].mean(axis=-1))
    assert (passing < 0.9 * radius).sum() > 30
    assert shaded[passing < 0.9 * radius].mean() > 0.99
    assert not shaded[passing > 1.1 * radius].any()


def test_objects_behind_the_first_throw_shadows_too_and_the_floor_none(renderer):
    camera = Camera((0.0, -1.5, 3.0), (0.0, 0.3, 0.0), 50.0)
    objects = [SceneObject("ball", 0, (-0.5, 0.0, 0.0), size=0.4), SceneObject("ball", 0, (0.5, 0.4, 0.9), size=0.4)]
    frame, light = one(renderer, *objects, camera=camera, sun=Sun((0.0, 0.6, 0.8)), floor=FLOOR)
    points, ground = floor_points(frame)
    dark = light[ground].mean(axis=-1) < 0.3 * np.median(light[ground].mean(axis=-1))
    for x in (-0.5, 0.5):
        assert (dark & (np.abs(points[:, 0] - x) < 0.2)).sum() > 20
    assert dark.mean() < 0.2
    # A sun below the horizon lights neither the floor nor what stands on it.
    _, light = one(renderer, *objects, camera=camera, sun=Sun((0.0, -0.6, -0.8)), floor=FLOOR)
    assert light.max() < 0.005


def half_shadow(renderer, diameter):
    """Light on the floor behind a standing plate, across its shadow's edge: places along y and shares of the sun."""
    # The plate is lit from the front at 45 degrees. Its upper edge, 1 above the floor, throws its shadow to y = 1.
    camera = Camera((0.0, 1.2, 2.4), (0.0, 1.1, 0.0), 60.0)
    sun = Sun((0.0, -math.sqrt(0.5), math.sqrt(0.5)), intensity=0.5, angular_diameter=diameter)
    wall = SceneObject("black plate", 0, size=math.sqrt(2.0))
    frame, light = one(renderer, wall, camera=camera, sun=sun, floor=Floor(PLASTIC, 12.0))
    points, ground = floor_points(frame)
    middle_columns = (np.abs(points[:, 0]) < 0.12) & (points[:, 1] > 0.2)
    rows = np.round(points[middle_columns, 1], 3)
    places = np.unique(rows)
    shares = np.array([light[ground].mean(axis=-1)[middle_columns][rows == place].mean() for place in places])
    return places, np.clip(shares / shares[places > 1.9].mean(), 0.0, 1.0)


def test_a_wider_sun_makes_wider_half_shadows(renderer):
    diameters, widths = (0.53, 4.0, 8.0, 16.0, 30.0), []
    for diameter in diameters:
        places, shares = half_shadow(renderer, diameter)
        widths.append(np.trapezoid(shares * (1.0 - shares), places))
    assert widths[0] < widths[1]
    assert all(wider > 1.4 * width for width, wider in itertools.pairwise(widths[1:])), widths
    # Similar triangles: the edge is sqrt(2) from the floor along the light, which meets the floor at 45 degrees. Over
    # the half-shadow of a disc, the share times its rest integrates to 0.144 of the width.
    for diameter, width in zip(diameters[2:4], widths[2:4], strict=True):
        assert width == pytest.approx(0.144 * 4.0 * math.tan(math.radians(0.5 * diameter)), rel=0.25)


@pytest.mark.parametrize("diameter", [0.53, 8.0, 20.0])
def test_the_shadow_of_a_wide_sun_lies_where_that_of_a_small_one_does(renderer, diameter):
    places, shares = half_shadow(renderer, diameter)
    assert places[0] + np.trapezoid(1.0 - shares, places) == pytest.approx(1.0, abs=0.06)


def test_small_suns_are_all_alike_and_softness_begins_without_a_jump(renderer):
    def picture(diameter):
        lit = Sun((0.3, -0.6, 0.7), intensity=0.5, angular_diameter=diameter)
        balls = SceneObject("ball", 0, size=0.8), SceneObject("ball", 0, (0.3, -0.5, 0.5), size=0.25)
        return one(renderer, *balls, camera=Camera((0.0, -2.2, 1.2)), sun=lit, floor=FLOOR)[0].rgb.astype(int)

    default = picture(Sun((0.0, 0.0, 1.0)).angular_diameter)
    for small in (0.1, 1.0, 1.37):
        assert np.array_equal(picture(small), default)
    wider = np.abs(picture(1.39) - default)
    assert wider.max() > 0
    assert wider.mean() < 2.0


def test_a_wide_sun_lights_what_is_open_as_a_small_one_does(renderer):
    for shape in ("ball", "plate"):
        sun = Sun((0.3, -0.8, 0.5), intensity=0.4)
        frame, small = one(renderer, shape, sun=sun)
        _, wide = one(renderer, shape, sun=attrs.evolve(sun, angular_diameter=25.0))
        seen = frame.instance_mask[0] == 1
        assert np.abs(wide - small)[seen].mean() < 0.012


# --- fog ---


@pytest.mark.parametrize("distance", [1.0, 2.5, 6.0])
@pytest.mark.parametrize("density", [0.05, 0.3])
def test_fog_takes_light_away_and_puts_its_own_there(renderer, distance, density):
    """Beer and Lambert: of a black plate's light exp(-density * distance) is left; the fog's own comes on top."""
    camera = Camera((0.0, -distance, 0.0))
    thing = SceneObject("black plate", 0, size=2.0)
    _, clear = one(renderer, thing, camera=camera, background="white")
    _, foggy = one(renderer, thing, camera=camera, background="white", fog=Fog(density))
    left = math.exp(-density * distance)
    assert middle(foggy) == pytest.approx(middle(clear) * left + FURNACE * (1.0 - left), abs=0.006)


def test_fog_counts_the_way_through_it_off_the_middle_too(renderer):
    """A black wall that fills a wide picture: at its edge the way is longer than the depth."""
    camera, density = Camera((0.0, -2.0, 0.0), field_of_view=70.0), 0.4
    thing = SceneObject("black plate", 0, size=8.0)
    _, clear = one(renderer, thing, camera=camera, background="white")
    frame, foggy = one(renderer, thing, camera=camera, background="white", fog=Fog(density))
    assert (frame.instance_mask == 1).all()
    left = ((foggy - FURNACE) / (clear - FURNACE)).mean(axis=-1)
    focal = MIDDLE / math.tan(math.radians(35.0))
    at = np.arange(RESOLUTION) + 0.5 - MIDDLE
    way = 2.0 * np.sqrt(1.0 + (at / focal) ** 2)
    assert left[MIDDLE] == pytest.approx(np.exp(-density * way), abs=0.03)


def test_distance_draws_colours_towards_the_fog(renderer):
    colours = []
    for distance in (1.0, 2.0, 4.0, 8.0):
        thing = SceneObject("red", 0, size=0.5 * distance)
        camera = Camera((0.0, -distance, 0.0))
        colours.append(middle(one(renderer, thing, camera=camera, background="white", fog=Fog(0.3))[1]))
    away = np.linalg.norm(np.array(colours) - FURNACE, axis=1)
    assert (np.diff(away) < -0.01).all()
    # It does so on floors as well, and only there where there is fog.
    camera = Camera((0.0, -2.4, 1.0))
    parts = {"camera": camera, "background": "white", "sun": Sun((0.0, -0.6, 0.8), intensity=0.3)}
    floor = Floor(Material("plastic", 1))
    frame, foggy = one(renderer, "ball", floor=floor, fog=Fog(0.5), **parts)
    _, clear = one(renderer, "ball", floor=floor, **parts)
    ground = (frame.instance_mask[0] == 0) & np.isfinite(frame.depth[0])
    shift = (foggy - clear)[ground] @ np.sign((FURNACE - clear)[ground].mean(axis=0))
    near, far = np.quantile(frame.depth[0][ground], (0.2, 0.8))
    depth = frame.depth[0][ground]
    assert 0.0 < shift[depth < near].mean() < shift[depth > far].mean()


def test_a_black_sky_has_black_fog(renderer):
    sun = Sun((0.0, -1.0, 0.0), intensity=0.5)
    _, clear = one(renderer, "plate", sun=sun)
    _, foggy = one(renderer, "plate", sun=sun, fog=Fog(0.5))
    assert middle(foggy) == pytest.approx(middle(clear) * math.exp(-0.5 * 2.4), rel=0.04)


def test_masks_and_depth_see_through_fog(renderer):
    clear, foggy = one(renderer, "ball", floor=FLOOR)[0], one(renderer, "ball", floor=FLOOR, fog=Fog(0.5))[0]
    for field in ("instance_mask", "category_mask", "depth", "normals"):
        assert np.array_equal(getattr(clear, field), getattr(foggy, field))


# --- motion and noise ---


@pytest.mark.parametrize("motion", [(0.25, 0.0), (0.0, 0.2), (-0.15, 0.15), (0.03, 0.01)])
def test_motion_is_a_box_filter_along_the_way(renderer, motion):
    thing = SceneObject("plate", 0, size=0.6)
    _, sharp = one(renderer, thing, sun=FACING)
    frame, moved = one(renderer, thing, sun=FACING, camera=Camera((0.0, -2.4, 0.0), motion=motion))
    # Slide the sharp picture by many small steps and average; what comes from beyond the edges is dark here.
    expected = np.zeros_like(sharp[..., 0])
    at = np.arange(RESOLUTION)
    steps = (np.arange(400) + 0.5) / 400 - 0.5
    for step in steps:
        x, y = at + step * motion[0] * RESOLUTION, at + step * motion[1] * RESOLUTION
        rows = np.array([np.interp(x, at, row) for row in sharp[..., 0]])
        expected += np.array([np.interp(y, at, column) for column in rows.T]).T / len(steps)
    assert np.abs(moved[..., 0] - expected).max() < 0.05 * sharp.max()
    assert moved.sum() == pytest.approx(sharp.sum(), rel=0.02)
    still = one(renderer, thing, sun=FACING)[0]
    for field in ("instance_mask", "depth", "normals"):
        assert np.array_equal(getattr(frame, field), getattr(still, field))


def test_only_what_moves_is_smeared(renderer):
    camera = Camera((0.0, -2.4, 0.0), motion=(0.1, 0.05))
    moving, still = scene("ball", sun=FACING, camera=camera), scene("ball", sun=FACING)
    mixed = renderer.render([still, moving, still, moving])
    alone = [renderer.render([single]).rgb[0] for single in (still, moving)]
    for k in range(4):
        assert np.array_equal(mixed.rgb[k], alone[k % 2])
    assert not np.array_equal(*alone)


def noisy(noise, seed=1, **more):
    return scene("far away", background="grey", camera=Camera((0, -2.4, 0), noise=noise, noise_seed=seed, **more))


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.08])
@pytest.mark.parametrize("motion", [(0.0, 0.0), (0.1, 0.0)])
def test_noise_is_as_strong_as_asked_in_a_mid_grey(renderer, noise, motion):
    clean = renderer.render([noisy(0.0)]).rgb[0].astype(float)
    picture = renderer.render([noisy(noise, motion=motion)]).rgb[0].astype(float)
    assert np.ptp(clean) <= 1
    assert (picture - clean).std() / 255 == pytest.approx(noise, rel=0.12 if noise < 0.05 else 0.25)
    assert abs((picture - clean).mean()) / 255 < 0.25 * noise + 0.003
    # Each pixel and each channel has its own.
    grain = picture - picture.mean(axis=(0, 1))
    flat = grain.reshape(-1, 3)
    assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.06
    for one_way, other in ((grain[:, 1:], grain[:, :-1]), (grain[1:], grain[:-1])):
        assert abs(np.corrcoef(one_way.ravel(), other.ravel())[0, 1]) < 0.05


def test_bright_pixels_have_more_noise_in_light_and_black_ones_have_some(renderer):
    def spread(background):
        camera = Camera((0, -2.4, 0), noise=0.03, noise_seed=4)
        return linear(renderer.render([scene("far away", background=background, camera=camera)]).rgb[0]).std()

    assert spread("white") > 1.2 * spread("grey")
    assert spread("black") > 0.005


def test_noise_belongs_to_its_seed_and_not_to_its_place_in_the_batch(renderer):
    alone = renderer.render([noisy(0.05, 7)]).rgb[0]
    assert np.array_equal(renderer.render([noisy(0.05, 7)]).rgb[0], alone)
    batch = renderer.render([noisy(0.05, 3), noisy(0.0), noisy(0.05, 7), noisy(0.05, 8)]).rgb
    assert np.array_equal(batch[2], alone)
    grains = [picture.astype(float) - picture.mean() for picture in (batch[0], batch[2], batch[3])]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(grains[first].ravel(), grains[second].ravel())[0, 1]) < 0.05


# --- glass ---


@pytest.mark.parametrize("glass", ["pane", "glass ball"])
def test_what_lies_behind_glass_shows_through_it(renderer, glass):
    front = SceneObject(glass, 0, (0.0, -0.8, 0.0), size=0.4)
    behind = SceneObject("red", 0, size=1.4)
    parts = {"sun": Sun((0.0, -0.8, 0.6), intensity=0.4), "background": "white"}
    _, bare = one(renderer, behind, **parts)
    frame, covered = one(renderer, behind, front, **parts)
    assert frame.instance_mask[0, MIDDLE, MIDDLE] == 2
    colour, expected = middle(covered), middle(bare)
    assert colour[0] == pytest.approx(expected[0], rel=0.35)
    assert colour[0] > 2.5 * colour[1]
    # What is in front of it does not.
    _, hidden = one(renderer, attrs.evolve(behind, position=(0.0, -1.6, 0.0), size=0.3), front, **parts)
    _, alone = one(renderer, attrs.evolve(behind, position=(0.0, -1.6, 0.0), size=0.3), **parts)
    assert middle(hidden) == pytest.approx(middle(alone), abs=0.02)


def test_clear_glass_nearly_vanishes_in_a_furnace_with_fog_and_without(renderer):
    for fog in (None, Fog(0.1), Fog(0.5)):
        frame, light = one(renderer, "pane", background="white", fog=fog)
        seen = frame.instance_mask[0] == 1
        assert seen.sum() > 300
        assert light[seen].mean() == pytest.approx(FURNACE, rel=0.06)


def test_glass_throws_no_shadow(renderer):
    sun = Sun((0.0, -0.8, 0.6), intensity=0.5)
    blocker = SceneObject("ball", 0, (0.0, -0.8, 0.6), size=0.4)
    free = middle(one(renderer, "plate", sun=sun)[1])
    assert middle(one(renderer, "plate", blocker, sun=sun)[1]).max() < 0.1 * free.min()
    through = middle(one(renderer, "plate", attrs.evolve(blocker, category="glass ball"), sun=sun)[1])
    assert through == pytest.approx(free, rel=0.1)


# --- pictures on surfaces ---


def named(colour):
    """Which of the four colours of `QUARTERS` a light is nearest to."""
    red, green, blue = colour > 0.4 * colour.max()
    return {(True, False, False): "red", (False, True, False): "green", (False, False, True): "blue"}.get(
        (bool(red), bool(green), bool(blue)), "yellow" if red and green and not blue else "none"
    )


def quarters(light, centre=(MIDDLE, MIDDLE), away=8):
    row, column = centre
    return [named(light[row + y, column + x]) for y in (-away, away) for x in (-away, away)]


def test_a_picture_lies_on_a_surface_the_right_way_up(renderer):
    """The first row lies at v = 1, which is up here; the first column at u = 0, which is left."""
    _, light = one(renderer, "quarters", sun=FACING)
    assert quarters(light) == ["red", "green", "blue", "yellow"]
    _, light = one(renderer, "quarters", sun=Sun((0.0, 1.0, 0.0), intensity=0.5), camera=Camera((0.0, 2.4, 0.0)))
    assert quarters(light) == ["green", "red", "yellow", "blue"]  # from behind, right and left change places


def test_pictures_repeat_beyond_their_edges(renderer):
    frame, light = one(renderer, SceneObject("repeated", 0, size=1.1), sun=FACING)
    columns = np.nonzero(frame.instance_mask[0, MIDDLE])[0]
    tile = len(columns) // 2
    for y in (-tile // 2, tile // 2):
        for x in (-tile // 2, tile // 2):
            assert quarters(light, (MIDDLE + y, MIDDLE + x), tile // 4) == ["red", "green", "blue", "yellow"]


def test_the_pictures_colour_is_multiplied_with_the_parts(renderer):
    MESHES["tinted"] = wearing(
        plate(), colour=(0.5, 1.0, 0.25), textures=Textures(albedo=flat_picture(188, 188, 188))
    )
    MESHES["plain"] = wearing(plate(), colour=(0.25, 0.5, 0.125))  # 188 is a half in sRGB
    own = made_renderer()
    assert middle(one(own, "tinted", sun=FACING)[1]) == pytest.approx(
        middle(one(own, "plain", sun=FACING)[1]), rel=0.03
    )
    own.close()
    del MESHES["tinted"], MESHES["plain"]


def test_other_materials_take_the_pictures_away(renderer):
    dressed = SceneObject("quarters", 0, materials=(PLASTIC,))
    plain = SceneObject("plate", 0, materials=(PLASTIC,))
    first, second = (one(renderer, item, sun=FACING)[0].rgb for item in (dressed, plain))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(8, 8), (64, 16), (1, 32), (1, 1)])
@pytest.mark.parametrize("colour", [True, False])
def test_levels_keep_the_mean(shape, colour):
    picture = np.random.default_rng(2).integers(0, 256, (*shape, 4), dtype=np.uint8)
    made = levels(picture, colour)
    assert np.array_equal(made[0], picture)
    assert len(made) == max(shape).bit_length()
    assert made[-1].shape == (1, 1, 4)
    power = np.array([2.2, 2.2, 2.2, 1.0]) if colour else 1.0

    def light(level):
        return ((level / 255.0) ** power).mean(axis=(0, 1))

    for level in made[1:]:
        assert light(level) == pytest.approx(light(picture), abs=0.006)


def test_levels_of_odd_sides_end_in_one_texel():
    made = levels(np.full((5, 12, 4), 90, dtype=np.uint8), True)
    assert [level.shape[:2] for level in made] == [(5, 12), (2, 6), (1, 3), (1, 1)]
    assert all((level == 90).all() for level in made)


@pytest.mark.parametrize(("pictured", "plain"), [("half rough", "as rough"), ("half metal", "as metal")])
def test_pictures_of_roughness_and_metalness_act_like_the_numbers_do(renderer, pictured, plain):
    parts = {"sun": Sun((0.2, -0.9, 0.3), intensity=0.4), "background": "halves"}
    camera = Camera((-0.4, -2.3, 0.2))
    first, second = (one(renderer, name, camera=camera, **parts)[0].rgb.astype(int) for name in (pictured, plain))
    assert np.abs(first - second).max() <= 1
    whole = one(renderer, "plate", camera=camera, **parts)[0].rgb.astype(int)
    assert np.abs(first - whole).max() > 3


def test_a_flat_picture_of_normals_changes_nothing(renderer):
    parts = {"sun": Sun((0.6, -0.6, 0.5), intensity=0.5), "background": "halves"}
    bumpy, smooth = (one(renderer, name, **parts)[0] for name in ("flat normals", "ball"))
    assert np.abs(bumpy.rgb.astype(int) - smooth.rgb).max() <= 2
    assert np.array_equal(bumpy.normals, smooth.normals)


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0, 1.0), (0.0, math.sqrt(0.5), 0.0, math.sqrt(0.5))])
@pytest.mark.parametrize("mirror", sorted(MIRRORS))
@pytest.mark.parametrize("lean", sorted(LEANING))
def test_a_leaning_picture_of_normals_turns_the_light(renderer, lean, mirror, turn):
    """A normal that leans by 30 degrees towards growing u or v; a sun there lights it more, by the cosine."""
    thing = SceneObject(f"leaning {lean} mirrored {mirror}", 0, rotation=turn)
    along = np.array((MIRRORS[mirror][0], 0.0, 0.0)) if lean == "u" else np.array((0.0, 0.0, MIRRORS[mirror][1]))
    if turn[1]:  # a quarter turn about y takes x to -z, and z to x
        along = np.array((along[2], 0.0, -along[0]))
    normal = 0.5 * along + math.sqrt(0.75) * np.array((0.0, -1.0, 0.0))
    for sideways in (along, -along, np.cross(along, (0.0, 1.0, 0.0))):
        towards = 0.6 * sideways + 0.8 * np.array((0.0, -1.0, 0.0))
        frame, light = one(renderer, thing, sun=Sun(tuple(towards), intensity=0.4))
        _, plain = one(renderer, "plate", sun=Sun(tuple(towards), intensity=0.4))
        assert middle(light) / middle(plain) == pytest.approx(normal @ towards / 0.8, rel=0.08)
        # The ground truth keeps the surface's own normal.
        assert frame.normals[0, MIDDLE, MIDDLE] == pytest.approx((0.0, -1.0, 0.0), abs=1e-5)


# --- everything at once ---

EVERY_PARAMETER = ParameterSpace([*TASK2SIM_PARAMETERS, *FURTHER_PARAMETERS])
ASSETS = SceneAssets(
    {"ball": 2, "quarters": 1, "flat normals": 1, "glass ball": 1},
    MATERIALS,
    ("halves", "white"),
    {name: (Sky(name, 20.0, (1.0, 0.7, 0.4), 0.6), Sky(name, 50.0)) for name in ("halves", "white")},
)


def frame_hash(frame, place):
    """Hash everything that a frame says about one picture."""
    arrays = (frame.rgb, frame.instance_mask, frame.category_mask, frame.depth, frame.normals)
    told = b"".join(np.ascontiguousarray(array[place]).tobytes() for array in arrays)
    return hashlib.sha256(told + repr(frame.scenes[place]).encode()).hexdigest()


def hashes(renderer, order, batch_size):
    """Hashes of pictures with all parameters varied, in the order of their numbers."""
    setting = EVERY_PARAMETER.everything_varied()
    found = {}
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        frame = renderer.render([randomise(setting, ASSETS, index, 11) for index in indices])
        found |= {index: frame_hash(frame, place) for place, index in enumerate(indices)}
    return [found[index] for index in sorted(found)]


def test_everything_varied_gives_the_same_pictures_in_any_batches_and_order(renderer):
    expected = hashes(renderer, list(range(12)), 12)
    assert len(set(expected)) == 12
    for batch_size, seed in ((1, 0), (5, 1), (7, 2)):
        order = np.random.default_rng(seed).permutation(12).tolist()
        assert hashes(renderer, order, batch_size) == expected
    fresh = made_renderer()
    assert hashes(fresh, list(range(11, -1, -1)), 3) == expected
    fresh.close()


def test_another_process_gives_the_same_pictures(renderer):
    code = (
        f"import runpy; made = runpy.run_path({__file__!r}); "
        "print(*made['hashes'](made['made_renderer'](), [5, 2, 9], 2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == hashes(renderer, [2, 5, 9], 3)


def test_a_scene_with_everything_in_it_has_all_its_parts(renderer):
    """The test above would hold for empty scenes as well."""
    scenes = [randomise(EVERY_PARAMETER.everything_varied(), ASSETS, index, 11) for index in range(12)]
    assert all(single.floor and single.fog and single.camera.noise for single in scenes)
    assert sum(any(single.camera.motion) for single in scenes) > 5
    assert sum(len(single.objects) for single in scenes) > 60
    frame = renderer.render(scenes)
    assert [single["index"] for single in frame.scenes] == list(range(12))
    assert (frame.instance_mask > 1).any(axis=(1, 2)).sum() > 9
