"""The studio's light: energy, colour, and what odd geometry does to it."""

from __future__ import annotations

import itertools
import math

import attrs
import numpy as np
import pytest

from task2sim import Background, Camera, Material, Scene, SceneObject, Sun
from task2sim_studio.environments import Environment, directions, prefilter
from task2sim_studio.mesh import MATERIALS, Mesh, Part, Textures

RESOLUTION = 64
MIDDLE = RESOLUTION // 2
FURNACE = 0.4
DARK = Sun((0.0, 0.0, 1.0), intensity=0.0)
PLASTIC = Material("plastic", 1)


def part(colour=(1.0, 1.0, 1.0), roughness=1.0, metalness=0.0, textures=None):
    return Part("all", PLASTIC, colour, roughness, metalness, textures=textures)


def mesh(vertices, triangles, normals, uvs=None, parts=None):
    uvs = np.zeros((len(vertices), 2)) if uvs is None else uvs
    return Mesh(vertices, normals, uvs, triangles, np.zeros(len(triangles)), parts or (part(),))


def ball(rings=32):
    polar, around = np.meshgrid(np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, 2 * rings + 1))
    normals = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    normals = normals.reshape(-1, 3)
    corner = (np.arange(2 * rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    quads = np.stack([corner, corner + 1, corner + rings + 2, corner + rings + 1], -1)
    uvs = np.stack([around, polar], -1).reshape(-1, 2) / math.pi
    return mesh(0.5 * normals, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), normals, uvs)


def plate(cells=1):
    """A square in the plane y = 0 that faces -y, with a diagonal of 1, cut into cells."""
    at = np.linspace(-0.5, 0.5, cells + 1) * math.sqrt(0.5)
    x, z = (a.ravel() for a in np.meshgrid(at, at))
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    quads = np.stack([corner, corner + 1, corner + cells + 2, corner + cells + 1], -1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    vertices = np.stack([x, np.zeros_like(x), z], -1)
    return mesh(vertices, triangles, np.tile((0.0, -1.0, 0.0), (len(x), 1)), np.stack([x, z], -1) + 0.5)


def wearing(shape, *args, **kwargs):
    return attrs.evolve(shape, parts=(part(*args, **kwargs),))


def ledge():
    """A wall in the plane y = 0 and a shelf that juts out of it by 0.05, 0.2 above its middle."""
    wall = plate()
    shelf = [(-0.3, 0.0, 0.2), (0.3, 0.0, 0.2), (0.3, -0.05, 0.2), (-0.3, -0.05, 0.2)]
    return mesh(
        np.concatenate([wall.vertices, shelf]),
        np.concatenate([wall.triangles, [(4, 5, 6), (4, 6, 7)]]),
        np.concatenate([wall.normals, [(0.0, 0.0, 1.0)] * 4]),
        parts=(part((0.8, 0.8, 0.8)),),
    )


def spoiled(kind):
    """A ball with something wrong that must not show."""
    whole = ball()
    count = len(whole.vertices)
    some = np.arange(0, count, 7)
    if kind == "normals that are not numbers":
        whole.normals[some] = np.nan
    elif kind == "normals of length zero":
        whole.normals[some] = 0.0
    elif kind == "uvs that are not numbers":
        whole.uvs[some] = np.nan
    elif kind == "uvs without area":
        whole.uvs[:] = 0.25
    elif kind == "endless uvs":
        whole.uvs[some] = (np.inf, -1e30)
    elif kind == "triangles without area":
        extra = np.stack([np.arange(count - 1)] * 2 + [np.arange(1, count)], -1)
        whole = mesh(whole.vertices, np.concatenate([whole.triangles, extra]), whole.normals, whole.uvs)
    elif kind == "every triangle twice":
        twice = np.concatenate([whole.triangles, whole.triangles])
        whole = mesh(whole.vertices, twice, whole.normals, whole.uvs)
    elif kind == "every other triangle inside out":
        whole.triangles[::2] = whole.triangles[::2, ::-1]
    elif kind == "a wall inside, edges with three faces":
        inner = whole.triangles[:200] * 0 + np.stack([np.arange(200), np.arange(33, 233), np.full(200, 900)], -1)
        whole = mesh(whole.vertices, np.concatenate([whole.triangles, inner]), whole.normals, whole.uvs)
    elif kind == "stray specks":
        speck = whole.vertices[:1] + 1e-6 * np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0)])
        whole = mesh(
            np.concatenate([whole.vertices, speck]),
            np.concatenate([whole.triangles, [(count, count + 1, count + 2)]]),
            np.concatenate([whole.normals, [(0, 0, 1)] * 3]),
            np.concatenate([whole.uvs, np.zeros((3, 2))]),
        )
    return whole


SPOILED = (
    "normals that are not numbers",
    "normals of length zero",
    "uvs that are not numbers",
    "uvs without area",
    "endless uvs",
    "triangles without area",
    "every triangle twice",
    "every other triangle inside out",
    "a wall inside, edges with three faces",
    "stray specks",
)
NOISE = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
MESHES = {
    "ball": ball(),
    "plate": wearing(plate(), (0.5, 0.25, 0.125)),
    "red": wearing(plate(), (0.8, 0.0, 0.0)),
    "green": wearing(plate(), (0.0, 0.8, 0.0)),
    "fine": wearing(plate(150), (0.5, 0.5, 0.5)),
    "pictured": wearing(plate(), textures=Textures(albedo=NOISE)),
    "ledge": ledge(),
    **{f"metal {r}": wearing(ball(), roughness=r, metalness=1.0) for r in (0.1, 0.4, 0.7, 1.0)},
    **{kind: spoiled(kind) for kind in SPOILED},
}


def environment(name: str, size: int) -> Environment:
    towards = directions(size)
    radiance = np.full((size, size, 3), {"white": FURNACE}.get(name, 0.0), dtype=np.float32)
    if name == "horizon":
        radiance = np.repeat(np.where(towards[..., 2:] > 0.0, 0.6, 0.05), 3, axis=-1).astype(np.float32)
    return prefilter(radiance)


def made_renderer(resolution):
    from task2sim_studio.renderer import Renderer

    return Renderer(resolution, lambda category, _: MESHES[category], environment, tuple(MESHES), "cpu")


@pytest.fixture(scope="module")
def renderer():
    made = made_renderer(RESOLUTION)
    yield made
    made.close()


def scene(*objects, camera=None, sun=DARK, background="black", index=0):
    objects = tuple(SceneObject(item, 0) if isinstance(item, str) else item for item in objects)
    return Scene(index, objects, camera or Camera((0.0, -2.4, 0.0)), sun, Background(background))


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


def inner(mask):
    """A mask without its rim."""
    out = mask.copy()
    out[1:-1, 1:-1] &= mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
    out[[0, -1]] = out[:, [0, -1]] = False
    return out


def ggx(n_l, n_v, l_h, n_h, roughness):
    """Specular part of the reflectance of a white mirror's microfacets, and Schlick's power."""
    a2 = roughness**4
    spread = a2 / (math.pi * (n_h * n_h * (a2 - 1.0) + 1.0) ** 2)
    masking = 0.5 / (n_l * np.sqrt(n_v * n_v * (1 - a2) + a2) + n_v * np.sqrt(n_l * n_l * (1 - a2) + a2))
    return spread * masking, (1.0 - l_h) ** 5


def directional_albedo(n_v, roughness):
    """What a white metal reflects of a uniform surrounding: microfacets without light that bounces among them."""
    polar, around = np.meshgrid((np.arange(400) + 0.5) / 400, (np.arange(200) + 0.5) / 200 * 2 * math.pi)
    cosine = 1.0 - polar**2  # dense towards the normal, where the lobe of a smooth metal is narrow
    sine = np.sqrt(1.0 - cosine**2)
    weight = 2.0 * polar / 400 * (2 * math.pi / 200)
    half = np.stack([sine * np.cos(around), sine * np.sin(around), cosine], -1)
    view = np.array((math.sqrt(1.0 - n_v**2), 0.0, n_v))
    v_h = half @ view
    n_l = 2.0 * v_h * cosine - n_v
    seen = (v_h > 0.0) & (n_l > 1e-6)
    reflectance, _ = ggx(np.where(seen, n_l, 1.0), n_v, v_h, cosine, roughness)
    return float((np.where(seen, reflectance * n_l * 4.0 * v_h, 0.0) * weight).sum())


def test_a_matt_white_ball_in_a_furnace_returns_what_it_gets(renderer):
    frame, light = one(renderer, "ball", background="white")
    seen = inner(frame.instance_mask[0] == 1)
    assert light[seen].mean() == pytest.approx(FURNACE, rel=0.05)
    assert light[seen].min() > 0.96 * FURNACE
    assert light[seen].max() < 1.12 * FURNACE
    assert np.ptp(light[seen], axis=-1).max() < 0.01  # white stays white


@pytest.mark.parametrize("roughness", [0.1, 0.4, 0.7, 1.0])
def test_a_white_metal_ball_in_a_furnace_loses_only_what_bounces_among_its_facets(renderer, roughness):
    frame, light = one(renderer, f"metal {roughness}", background="white")
    seen = inner(frame.instance_mask[0] == 1)
    assert light[seen].max() < 1.03 * FURNACE
    focal = MIDDLE / math.tan(math.radians(20.0))
    row, column = np.nonzero(seen)
    # Over a ball's picture the cosine is nearly sqrt(1 - radius^2).
    away = np.hypot(row + 0.5 - MIDDLE, column + 0.5 - MIDDLE) / (focal * 0.5 / math.sqrt(2.4**2 - 0.25))
    expected = [directional_albedo(math.sqrt(1 - min(r, 0.99) ** 2), roughness) for r in np.linspace(0.05, 0.95, 10)]
    least = np.interp(away, np.linspace(0.05, 0.95, 10), expected)
    assert light[seen].mean() > (least.mean() - 0.04) * FURNACE


@pytest.mark.parametrize("degrees", [0, 45, 75])
def test_a_known_sun_on_a_known_plane(renderer, degrees):
    from task2sim_studio.packing import SUN_IRRADIANCE

    towards = math.radians(degrees)
    colour = np.array((1.0, 0.8, 0.6))
    sun = Sun((0.0, -math.cos(towards), math.sin(towards)), tuple(colour), 0.7)
    _frame, light = one(renderer, "plate", sun=sun)
    n_l, half = math.cos(towards), towards / 2.0
    gloss, power = ggx(n_l, 1.0, math.cos(half), math.cos(half), 1.0)
    reflectance = np.array((0.5, 0.25, 0.125)) / math.pi + (0.04 + 0.96 * power) * gloss
    expected = reflectance * SUN_IRRADIANCE * 0.7 * colour * n_l
    got = light[MIDDLE - 2 : MIDDLE + 2, MIDDLE - 2 : MIDDLE + 2].mean(axis=(0, 1))
    assert got == pytest.approx(expected, rel=0.03, abs=0.002)


def test_sun_and_surroundings_add_up(renderer):
    sun = Sun((0.6, -0.64, 0.48), intensity=0.3)
    camera = Camera((0.9, -2.1, 0.5))
    lights = {
        name: one(renderer, "ball", camera=camera, **lit)[1]
        for name, lit in {
            "sun": {"sun": sun},
            "sky": {"background": "white"},
            "both": {"sun": sun, "background": "white"},
        }.items()
    }
    frame, _ = one(renderer, "ball", camera=camera)
    seen = inner(frame.instance_mask[0] == 1)
    difference = lights["both"] - lights["sun"] - lights["sky"]
    assert np.abs(difference[seen]).max() < 0.03


def test_a_shelf_throws_its_shadow_as_far_as_it_should(renderer):
    """A sun nearly along the wall: light must not leak past what juts out only a little."""
    grazing = math.radians(15.0)
    sun = Sun((0.0, -math.sin(grazing), math.cos(grazing)))
    frame, light = one(renderer, "ledge", sun=sun)
    focal = MIDDLE / math.tan(math.radians(20.0))
    column = light[:, MIDDLE].mean(axis=-1)
    bright = column.max()
    below = int(MIDDLE - 0.2 * focal / 2.4) + 2  # just below the shelf
    wall = frame.instance_mask[0, below:, MIDDLE] == 1
    shaded = (wall & (column[below:] < 0.5 * bright)).sum() + 1
    expected = 0.05 / math.tan(grazing) * focal / 2.4
    assert wall.sum() > 1.5 * expected
    assert shaded == pytest.approx(expected, abs=1.6)


def test_rough_reflections_look_the_same_at_every_resolution(renderer):
    """Larger pictures have larger maps of the surroundings, which must be as blurred."""
    larger = made_renderer(2 * RESOLUTION)
    for name in ("metal 0.4", "metal 0.7"):
        frame, small = one(renderer, name, background="horizon")
        _, large = one(larger, name, background="horizon")
        seen = inner(frame.instance_mask[0] == 1)
        halved = large.reshape(RESOLUTION, 2, RESOLUTION, 2, 3).mean(axis=(1, 3))
        assert np.abs(halved - small)[seen].max() < 0.03
    larger.close()


@pytest.mark.parametrize("aperture", [0.1, 0.3])
def test_surroundings_blur_as_wide_as_the_lens_makes_them(renderer, aperture):
    """A bright sky over dark ground, far behind a near focus: the edge becomes as wide as the disc of confusion."""
    camera = Camera((0.0, -2.4, 0.0), focus_distance=1.5, aperture=aperture)
    far = SceneObject("ball", 0, (0.0, -5.0, 0.0))  # behind the camera
    _, light = one(renderer, far, camera=camera, background="horizon")
    column = (light[:, MIDDLE, 1] - 0.05) / 0.55
    step = -np.diff(column)
    middle = np.arange(1, RESOLUTION) - MIDDLE
    spread = math.sqrt((step * middle**2).sum() / step.sum())
    focal = MIDDLE / math.tan(math.radians(20.0))
    # A step blurred by a disc of diameter d has a standard deviation of d / 4.
    assert spread == pytest.approx(aperture / 1.5 * focal / 4.0, rel=0.4)


@pytest.mark.parametrize("material", MATERIALS)
def test_patterns_keep_their_brightness_at_every_distance(renderer, material):
    """Detail fades to its average where pixels grow coarser than it, without a jump."""
    for seed in (3, 11):
        worn = SceneObject("plate", 0, materials=(Material(material, seed),))
        scenes = [
            scene(worn, camera=Camera((0.0, -1.1 * 2.0**k, 0.0)), background="white", index=k) for k in range(4)
        ]
        frame = renderer.render(scenes)
        light = linear(frame.rgb)
        means = [light[k][inner(frame.instance_mask[k] == 1)].mean(axis=0) for k in range(4)]
        for near, far in itertools.pairwise(means):
            assert far == pytest.approx(near, rel=0.15, abs=0.02)


def test_pictures_keep_their_brightness_at_every_distance(renderer):
    scenes = [
        scene("pictured", camera=Camera((0.0, -1.1 * 2.0**k, 0.0)), background="white", index=k) for k in range(4)
    ]
    frame = renderer.render(scenes)
    light = linear(frame.rgb)
    shown = np.where(NOISE <= 10, NOISE / 3294.6, ((NOISE / 255.0 + 0.055) / 1.055) ** 2.4)
    expected = shown.mean(axis=(0, 1)) * FURNACE
    spreads = []
    for k in range(4):
        seen = inner(frame.instance_mask[k] == 1)
        assert light[k][seen].mean(axis=0) == pytest.approx(expected, rel=0.1)
        spreads.append(light[k][seen].std())
    assert spreads[0] > 2.0 * spreads[3]


def test_surfaces_that_coincide_show_one_of_them_always_the_same(renderer):
    turn = (0.0, 0.0, math.sin(0.2), math.cos(0.2))
    both = [SceneObject(name, 0, rotation=turn) for name in ("red", "green")]
    scenes = [scene(*both, camera=Camera((0.1 * k, -2.4, 0.3)), background="white", index=k) for k in range(5)]
    together = renderer.render(scenes)
    for k in range(5):
        seen = inner(together.instance_mask[k] > 0)
        assert len(np.unique(together.instance_mask[k][seen])) == 1
        red, green = together.rgb[k][seen][:, 0].astype(int), together.rgb[k][seen][:, 1].astype(int)
        assert len(np.unique(red > green)) == 1
        alone = renderer.render([scenes[k]])
        assert np.array_equal(alone.rgb[0], together.rgb[k])
        assert np.array_equal(alone.instance_mask[0], together.instance_mask[k])


def test_a_huge_triangle_through_the_camera_plane(renderer):
    """A ground 1000 m wide, 1 m below the camera: it ends at the horizon and is as far as it must be."""
    eighth = (-math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))
    ground = SceneObject("plate", 0, (0.0, 0.0, -1.0), eighth, size=1000.0 * math.sqrt(2.0))
    camera = Camera((0.0, -2.4, 0.0), (0.0, 0.0, 0.0), field_of_view=60.0)
    sun = Sun((0.0, 0.0, 1.0), intensity=0.7)
    frame, light = one(renderer, ground, camera=camera, sun=sun)
    mask = frame.instance_mask[0] == 1
    focal = MIDDLE / math.tan(math.radians(30.0))
    rows = np.arange(RESOLUTION) + 0.5 - MIDDLE
    assert not mask[: MIDDLE - 1].any()
    assert mask[MIDDLE + 1 :].all()
    expected = focal / rows[MIDDLE + 1 :]
    assert frame.depth[0][MIDDLE + 1 :] == pytest.approx(np.repeat(expected[:, None], RESOLUTION, 1), rel=2e-3)
    assert np.isfinite(light).all()
    lit = light[MIDDLE + 4 :, :, 0]
    assert lit.min() > 0.5 * lit.max()  # one even light, no streaks


def test_triangles_finer_than_the_samples_leave_no_holes(renderer):
    coarse, _ = one(renderer, "plate", background="white")
    frame, light = one(renderer, SceneObject("fine", 0), background="white", sun=Sun((0.0, -0.8, 0.6), intensity=0.3))
    assert np.array_equal(frame.instance_mask, coarse.instance_mask)
    seen = inner(frame.instance_mask[0] == 1)
    assert np.ptp(light[seen][:, 0]) < 0.01
    far, _ = one(renderer, SceneObject("fine", 0, size=0.1), background="white")
    assert 1 <= (far.instance_mask == 1).sum() <= 16


def test_tiny_objects_are_harmless(renderer):
    for size, at in ((1e-6, -2.4 + 0.02), (1e-6, 0.0), (1e-9, -1.0)):
        frame, light = one(renderer, SceneObject("ball", 0, (0.0, at, 0.0), size=size), background="white")
        assert np.isfinite(light).all()
        assert np.abs(light - FURNACE).max() < 0.05
        assert (frame.instance_mask == 0).mean() > 0.99
    # A camera that comes as close as its near plane sees it as any other ball.
    close = Camera((0.0, -0.048, 0.0), focus_distance=0.05)
    small, _ = one(renderer, SceneObject("ball", 0, size=0.02), camera=close, background="white")
    usual, _ = one(renderer, "ball", background="white")
    assert (small.instance_mask != usual.instance_mask).mean() < 0.005


@pytest.mark.parametrize("material", [None, "brick", "fabric"])
@pytest.mark.parametrize("kind", SPOILED)
def test_flaws_of_a_mesh_do_not_show(renderer, kind, material):
    worn = () if material is None else (Material(material, 4),)
    sun = Sun((0.6, -0.64, 0.48), intensity=0.5)
    frames = [
        one(renderer, SceneObject(name, 0, materials=worn), sun=sun, background="white") for name in ("ball", kind)
    ]
    (good, expected), (flawed, light) = frames
    assert (flawed.instance_mask != good.instance_mask).mean() < 0.002
    assert np.isfinite(light).all()
    both = inner((flawed.instance_mask[0] == 1) & (good.instance_mask[0] == 1))
    assert np.abs(flawed.depth[0][both] - good.depth[0][both]).max() < 0.01
    if flawed.normals is not None:
        assert np.isfinite(flawed.normals).all()
        assert (flawed.normals[0] * good.normals[0]).sum(axis=-1)[both].min() > 0.97
    if material is None or "uvs" not in kind:  # patterns may lie otherwise, but the light is the same
        difference = np.abs(light - expected)[both]
        assert difference.mean() < 0.01
        assert np.quantile(difference, 0.99) < 0.1
