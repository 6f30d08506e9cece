from __future__ import annotations

import hashlib
import itertools
import math

import attrs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from task2sim import FURTHER_PARAMETERS, TASK2SIM_PARAMETERS, ParameterSpace, SceneAssets, Sky, Staging, Toggle
from task2sim.randomisation import (
    CLUTTER_SIZES,
    COLOUR_RANGE,
    ELEVATION_RANGE,
    FIELD_OF_VIEW_RANGE,
    FOG_RANGE,
    INTENSITY_RANGE,
    MOST_OBJECTS,
    MOTION_RANGE,
    NOISE_RANGE,
    OTHER_SIZES,
    SOFTNESS_RANGE,
    SPACING,
    label_of,
    randomise,
)

STAGING = Staging()
TIMES = ((5.0, (1.0, 0.5, 0.2), 0.3), (30.0, (1.0, 0.9, 0.75), 0.8), (60.0, (1.0, 1.0, 0.95), 1.0))
ASSETS = SceneAssets(
    {"cup": 3, "dog": 5, "hat": 1},
    ("wood", "stone", "cloth"),
    ("day", "dusk", "night"),
    {
        ground: tuple(
            Sky(f"{ground} at {elevation:g}", elevation, colour, light) for elevation, colour, light in TIMES
        )
        for ground in ("lawn", "sand")
    },
)
EVERY_PARAMETER = ParameterSpace([*TASK2SIM_PARAMETERS, *FURTHER_PARAMETERS])
NAMES = EVERY_PARAMETER.names

WHERE = {
    "object_rotation": {"labelled.rotation", "beside.rotation", "clutter.rotation"},
    "camera_distance": {"camera.position", "camera.focus_distance"},
    "light_intensity": {"sun.intensity"},
    "light_colour": {"sun.colour"},
    "light_direction": {"sun.direction"},
    "focus_blur": {"camera.focus_distance", "camera.aperture"},
    "background": {"background.name", "background.rotation"},
    "materials": {"labelled.materials", "beside.materials", "clutter.materials"},
    "object_count": {"beside"},
    "clutter": {"clutter"},
    "floor": {"floor"},
    "camera_elevation": {"camera.position"},
    "field_of_view": {"camera.field_of_view", "camera.position", "camera.focus_distance"},
    "shadow_softness": {"sun.angular_diameter"},
    "fog": {"fog"},
    "sensor_noise": {"camera.noise", "camera.noise_seed"},
    "motion_blur": {"camera.motion"},
    "time_of_day": {"sun.direction", "sun.colour", "sun.intensity", "background.name", "background.rotation"},
}
"""What each toggle may change in a scene."""


def varied(*names: str):
    return EVERY_PARAMETER.setting(dict.fromkeys(names, 1))


ALL = varied(*NAMES)
toggles = st.builds(
    lambda values: EVERY_PARAMETER.setting(dict(zip(NAMES, values, strict=True))),
    st.lists(st.integers(0, 1), min_size=len(NAMES), max_size=len(NAMES)),
)
seeds = st.integers(0, 2**63 - 1)
indices = st.integers(0, 2**31)


def in_groups(scene):
    """The objects of a scene: the labelled one, those beside and behind it, and the small things around it."""
    between = 0.5 * (CLUTTER_SIZES[1] + OTHER_SIZES[0])
    return {
        "labelled": scene.objects[:1],
        "beside": tuple(item for item in scene.objects[1:] if item.size > between),
        "clutter": tuple(item for item in scene.objects[1:] if item.size < between),
    }


def flat(scene) -> dict[str, object]:
    """A scene as names and values."""
    out: dict[str, object] = {"index": scene.index, "floor": scene.floor, "fog": scene.fog}
    for name, group in in_groups(scene).items():
        for field in attrs.fields_dict(type(scene.objects[0])):
            out[f"{name}.{field}"] = tuple(getattr(item, field) for item in group)
    for name in ("camera", "sun", "background"):
        part = getattr(scene, name)
        out |= {f"{name}.{field}": value for field, value in attrs.asdict(part, recurse=False).items()}
    return out


def tangent(opening: float) -> float:
    """Of half an opening angle in degrees."""
    return math.tan(math.radians(0.5 * opening))


def azimuth(direction) -> float:
    return math.atan2(direction[1], direction[0])


def matrix(rotation) -> np.ndarray:
    """The matrix that turns directions as a quaternion does."""
    x, y, z, w = rotation
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_every_parameter_is_looked_at_here() -> None:
    assert set(WHERE) == set(NAMES)
    assert all(parameter.default == 0 for parameter in EVERY_PARAMETER)


@given(toggles, seeds, indices, st.sampled_from(sorted(WHERE)))
@example(varied("materials", "clutter"), 0, 0, "object_count")
@example(ALL, 0, 0, "object_count")
@example(ALL, 0, 0, "background")
@example(ALL, 0, 0, "light_direction")
def test_a_toggle_changes_its_aspect_and_nothing_else(setting, seed: int, index: int, name: str) -> None:
    other = EVERY_PARAMETER.setting({**setting, name: 1 - setting[name]})
    first, second = (flat(randomise(s, ASSETS, index, seed)) for s in (setting, other))
    allowed = set(WHERE[name])
    if name == "light_direction" and setting["time_of_day"]:
        allowed.add("background.rotation")  # the sky turns with its sun
    if name == "background" and setting["time_of_day"]:
        allowed = {"background.name"}  # another ground, at the same time of day
    changed = {key for key in first if first[key] != second[key]}
    assert {key for key in changed if key not in allowed and key.split(".")[0] not in allowed} == set()


@pytest.mark.parametrize("name", sorted(WHERE))
def test_each_toggle_does_change_something(name: str) -> None:
    fixed = EVERY_PARAMETER.default()
    changed = [randomise(fixed, ASSETS, i, 0) != randomise(varied(name), ASSETS, i, 0) for i in range(50)]
    assert sum(changed) > 25


@given(toggles, seeds, indices)
def test_scenes_are_sound_and_repeatable(setting, seed: int, index: int) -> None:
    scene = randomise(setting, ASSETS, index, seed)
    assert scene == randomise(setting, ASSETS, index, seed)
    thing = scene.objects[0]
    assert thing.category == ASSETS.categories[label_of(index, 3)]
    assert (thing.position, thing.size) == ((0.0, 0.0, 0.0), 1.0)
    for item in scene.objects:
        assert 0 <= item.instance < ASSETS.instances[item.category]
        assert math.isclose(np.linalg.norm(item.rotation), 1.0, abs_tol=1e-9)
        assert all(0 <= material.seed < 2**31 for material in item.materials)
        assert len(item.materials) == (8 if setting["materials"] else 0)
    assert math.isclose(np.linalg.norm(scene.background.rotation), 1.0, abs_tol=1e-9)
    assert math.isclose(np.linalg.norm(scene.sun.direction), 1.0, abs_tol=1e-9)
    # The labelled object looks as large through any lens.
    lens = tangent(scene.camera.field_of_view) / tangent(STAGING.field_of_view)
    apparent = np.linalg.norm(scene.camera.position) * lens / STAGING.camera_distance
    assert (0.74 < apparent < 1.76) if setting["camera_distance"] else math.isclose(apparent, 1.0)
    assert scene.camera.focus_distance > 0
    assert 0 <= scene.camera.noise_seed < 2**31
    assert 0 < scene.sun.angular_diameter <= 90
    if not setting["focus_blur"]:
        assert scene.camera.aperture == 0
    if scene.floor is not None:
        assert scene.floor.material.name in ASSETS.materials


def test_images_and_seeds_differ() -> None:
    scenes = [randomise(ALL, ASSETS, i, seed) for i in range(20) for seed in range(5)]
    for differing in (
        lambda scene: scene.objects[0].rotation,
        lambda scene: scene.camera.noise_seed,
        lambda scene: scene.camera.position,
        lambda scene: scene.floor,
        lambda scene: scene.fog,
    ):
        assert len({differing(scene) for scene in scenes}) == 100


def test_the_view_of_the_background_keeps_the_horizon_level_and_covers_the_sphere() -> None:
    setting = TASK2SIM_PARAMETERS.setting(background=1)
    heights = []
    for i in range(500):
        scene = randomise(setting, ASSETS, i, 1)
        rotation = matrix(scene.background.rotation)
        forward = -np.array(scene.camera.position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        assert abs((rotation.T @ right)[2]) < 1e-9  # a level line stays level
        heights.append((rotation.T @ np.array([*(forward[:2] / np.linalg.norm(forward[:2])), 0.0]))[2])
    assert np.std(heights) == pytest.approx(1 / math.sqrt(3), rel=0.1)  # uniform on the sphere


def test_an_absent_parameter_stays_fixed() -> None:
    setting = ParameterSpace([Toggle("background")]).everything_varied()
    scene = randomise(setting, ASSETS, 5, 0)
    assert scene.objects[0].materials == ()
    assert scene.sun.intensity == 1.0
    assert (scene.floor, scene.fog, len(scene.objects)) == (None, None, 1)


@given(toggles, seeds, indices)
def test_parameters_that_are_absent_are_as_if_they_were_0(setting, seed: int, index: int) -> None:
    """A study of the paper's eight sees the same scenes as one of all that leaves the others alone."""
    eight = {name: setting[name] for name in TASK2SIM_PARAMETERS.names}
    without, with_others = TASK2SIM_PARAMETERS.setting(eight), EVERY_PARAMETER.setting(eight)
    assert randomise(without, ASSETS, index, seed) == randomise(with_others, ASSETS, index, seed)


def test_the_papers_eight_give_the_scenes_they_always_gave() -> None:
    """New parameters take new random numbers, so that rendered datasets stay valid."""
    described = []
    for number, setting in enumerate(TASK2SIM_PARAMETERS.enumerate()):
        scene = randomise(setting, ASSETS, 7 * number, number % 5)
        (thing,) = scene.objects
        numbers = (
            *scene.camera.position,
            scene.camera.focus_distance,
            scene.camera.aperture,
            *scene.sun.direction,
            *scene.sun.colour,
            scene.sun.intensity,
            *scene.background.rotation,
            *thing.rotation,
        )
        worn = [(material.name, material.seed) for material in thing.materials]
        # In thousandths, halves kept apart: another machine's sine may differ in its last bit.
        described.append(([math.floor(1000.0 * x + 0.4142) for x in numbers], scene.background.name, thing.category))
        described.append((worn, thing.instance))
    assert hashlib.sha256(repr(described).encode()).hexdigest()[:16] == "c285d5a76cf9f005"


@given(toggles, seeds, indices)
def test_another_staging_moves_the_camera_and_nothing_else(setting, seed: int, index: int) -> None:
    """Simulators with other ranges draw the same random numbers: image i has the same object in the same light."""
    staging = Staging((-1.0, -1.8, 0.5), 2.119, 60.0, (0.4, 1.5), (0.017, 0.042))
    theirs = attrs.evolve(ASSETS, staging=staging)
    first, second = (randomise(setting, assets, index, seed) for assets in (ASSETS, theirs))
    assert first.objects[0] == second.objects[0]
    assert (first.sun, first.floor, first.fog) == (second.sun, second.floor, second.fog)
    distance = math.hypot(*second.camera.position)
    if not setting["field_of_view"]:
        assert second.camera.field_of_view == 60.0
        factor = distance / 2.119
        assert 0.399 < factor < 1.501 if setting["camera_distance"] else math.isclose(factor, 1.0)
    if not setting["camera_elevation"]:
        assert second.camera.position == pytest.approx(
            distance * np.array((-1.0, -1.8, 0.5)) / math.hypot(1, 1.8, 0.5)
        )
    assert second.camera.aperture == 0.0 or 0.017 <= second.camera.aperture <= 0.042
    assert (first.camera.aperture == 0.0) == (second.camera.aperture == 0.0)


def test_no_objects_meet_whatever_they_stand_on_and_the_camera_is_outside() -> None:
    for index in range(1500):
        scene = randomise(ALL, ASSETS, index, 3)
        centres = np.array([item.position for item in scene.objects])
        radii = 0.5 * np.array([item.size for item in scene.objects])
        # A floor lifts and lowers objects, so what counts is that they stay apart over the ground.
        apart = np.linalg.norm(centres[:, None, :2] - centres[None, :, :2], axis=-1) - radii[:, None] - radii
        np.fill_diagonal(apart, 1.0)
        assert apart.min() > -1e-9, index
        assert (np.linalg.norm(centres - scene.camera.position, axis=1) - radii).min() > 0.05, index
        # Nor may one that the floor has moved reach it.
        reach = np.linalg.norm(centres[:, :2] - scene.camera.position[:2], axis=1) - radii
        assert np.minimum(reach[1:], 1.0).min(initial=1.0) > 0.05 or scene.camera.position[2] > 0.5, index


def test_other_objects_are_smaller_and_stand_beside_or_behind_the_labelled_one() -> None:
    towards = np.array(STAGING.camera_direction[:2]) / np.linalg.norm(STAGING.camera_direction[:2])
    for index in range(300):
        groups = in_groups(randomise(varied("object_count", "clutter"), ASSETS, index, 0))
        for item in groups["beside"]:
            assert item.size < 0.75
            assert np.dot(item.position[:2], towards) < 0.06 or abs(np.cross(towards, item.position[:2])) > 1.7
            # Without a floor they stand as low as a labelled ball would.
            assert item.position[2] - 0.5 * item.size == pytest.approx(-0.5)
        for item in groups["clutter"]:
            nearness = np.dot(item.position[:2], towards) / np.linalg.norm(item.position[:2])
            assert nearness < math.cos(math.radians(30.0))  # none stands right before the camera


def test_there_are_1_to_12_objects_and_1_to_5_small_things() -> None:
    counts = [len(randomise(varied("object_count"), ASSETS, i, 0).objects) for i in range(1800)]
    found, times = np.unique(counts, return_counts=True)
    assert found.tolist() == list(range(1, MOST_OBJECTS + 1)) == list(range(1, 13))
    assert times == pytest.approx(150, abs=45)
    clutter = [len(randomise(varied("clutter"), ASSETS, i, 0).objects) for i in range(500)]
    assert np.unique(clutter).tolist() == [2, 3, 4, 5, 6]
    assert {len(randomise(EVERY_PARAMETER.default(), ASSETS, i, 0).objects) for i in range(50)} == {1}


def test_other_objects_are_of_any_category_and_place() -> None:
    others = [item for i in range(300) for item in randomise(varied("object_count"), ASSETS, i, 0).objects[1:]]
    kinds = [(item.category, item.instance) for item in others]
    assert set(kinds) == {(name, k) for name, count in ASSETS.instances.items() for k in range(count)}
    shares = np.array([kinds.count(kind) for kind in set(kinds) if kind[0] == "dog"]) / len(kinds)
    assert shares == pytest.approx(1 / 15, abs=0.025)


def test_a_lone_other_object_stands_at_any_of_the_places() -> None:
    setting = varied("object_count")
    pairs = [scene for i in range(2000) if len((scene := randomise(setting, ASSETS, i, 0)).objects) == 2]
    towards = np.array(STAGING.camera_direction[:2]) / np.linalg.norm(STAGING.camera_direction[:2])
    places = np.array([scene.objects[1].position[:2] for scene in pairs])
    back, across = -places @ towards, places @ (-towards[1], towards[0])
    rows, columns = np.round(back / SPACING), np.round(across / SPACING)
    assert np.abs(back - SPACING * rows).max() < 0.051
    assert np.abs(across - SPACING * columns).max() < 0.051
    found, times = np.unique(np.stack([rows, columns]), axis=1, return_counts=True)
    assert found.shape[1] == 17
    assert times.min() > 1


@given(seeds, indices, st.booleans())
def test_objects_stand_upright_unless_they_are_turned(seed: int, index: int, turned: bool) -> None:
    setting = varied("object_count", "clutter", *(["object_rotation"] if turned else []))
    for item in randomise(setting, ASSETS, index, seed).objects:
        upright = math.isclose(matrix(item.rotation)[2, 2], 1.0)
        assert upright or turned


@given(seeds, indices, st.booleans(), st.booleans())
def test_the_sun_stands_where_its_sky_says(seed: int, index: int, turned: bool, other_ground: bool) -> None:
    more = [name for name, given in (("light_direction", turned), ("background", other_ground)) if given]
    scene = randomise(varied("time_of_day", *more), ASSETS, index, seed)
    (sky,) = [sky for sky in itertools.chain(*ASSETS.skies.values()) if sky.background == scene.background.name]
    assert math.degrees(math.asin(scene.sun.direction[2])) == pytest.approx(sky.elevation)
    assert (scene.sun.colour, scene.sun.intensity) == (sky.colour, sky.intensity)
    # The background's own +y lies under the sun, and its up stays up.
    below = matrix(scene.background.rotation) @ (0.0, 1.0, 0.0)
    level = np.array((*scene.sun.direction[:2], 0.0))
    assert below == pytest.approx(level / np.linalg.norm(level))
    assert matrix(scene.background.rotation)[2, 2] == pytest.approx(1.0)
    if not other_ground:
        assert sky.background.startswith("lawn")
    # The azimuth is that of the light without a time of day.
    without = randomise(varied(*more), ASSETS, index, seed)
    assert math.cos(azimuth(scene.sun.direction) - azimuth(without.sun.direction)) == pytest.approx(1.0)


def test_every_sky_comes_and_goes() -> None:
    names = [randomise(varied("time_of_day", "background"), ASSETS, i, 0).background.name for i in range(1200)]
    found, times = np.unique(names, return_counts=True)
    assert len(found) == 6
    assert times == pytest.approx(200, abs=60)


def test_the_lights_own_parameters_filter_the_sun_of_the_sky() -> None:
    both = varied("time_of_day", "light_colour", "light_intensity")
    for index in range(20):
        sky, lamp, scene = (
            randomise(setting, ASSETS, index, 0).sun
            for setting in (varied("time_of_day"), varied("light_colour", "light_intensity"), both)
        )
        assert scene.colour == pytest.approx(np.multiply(sky.colour, lamp.colour))
        assert scene.intensity == pytest.approx(sky.intensity * lamp.intensity)
        assert scene.direction == sky.direction


def logarithm(bounds, value):
    return math.log(value / bounds[0]) / math.log(bounds[1] / bounds[0])


def share(bounds, value):
    return (value - bounds[0]) / (bounds[1] - bounds[0])


DRAWN = {
    "camera_distance": lambda s: share(
        STAGING.distance_factors, np.linalg.norm(s.camera.position) / STAGING.camera_distance
    ),
    "light_intensity": lambda s: share(INTENSITY_RANGE, s.sun.intensity),
    "light_colour": lambda s: share(COLOUR_RANGE, s.sun.colour[1]),
    "light_direction": lambda s: share((-1.0, 1.0), s.sun.direction[2]),
    "focus_blur": lambda s: share(STAGING.aperture_range, s.camera.aperture) if s.camera.aperture else None,
    "camera_elevation": lambda s: share(
        ELEVATION_RANGE, math.degrees(math.asin(s.camera.position[2] / np.linalg.norm(s.camera.position)))
    ),
    "field_of_view": lambda s: share(FIELD_OF_VIEW_RANGE, s.camera.field_of_view),
    "shadow_softness": lambda s: logarithm(SOFTNESS_RANGE, s.sun.angular_diameter),
    "fog": lambda s: logarithm(FOG_RANGE, s.fog.density),
    "sensor_noise": lambda s: share(NOISE_RANGE, s.camera.noise),
    "motion_blur": lambda s: share(MOTION_RANGE, math.hypot(*s.camera.motion)) if any(s.camera.motion) else None,
}
"""Where in its range each drawn number lies, in [0, 1]."""


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_ranges_are_covered_evenly(name: str) -> None:
    drawn = [DRAWN[name](randomise(varied(name), ASSETS, i, 0)) for i in range(1000)]
    values = np.sort([value for value in drawn if value is not None])
    assert len(values) == (pytest.approx(750, abs=45) if name in ("focus_blur", "motion_blur") else 1000)
    assert values[0] > -1e-9
    assert values[-1] < 1 + 1e-9
    # The largest distance from the uniform distribution (Kolmogorov): 1.95 / sqrt(n) in one of a thousand.
    assert np.abs(values - (np.arange(len(values)) + 0.5) / len(values)).max() < 1.95 / math.sqrt(len(values))


def test_what_is_drawn_for_one_parameter_tells_nothing_about_another() -> None:
    scenes = [randomise(ALL, ASSETS, i, 0) for i in range(1000)]
    drawn = {
        name: DRAWN[name] for name in ("camera_elevation", "field_of_view", "shadow_softness", "fog", "sensor_noise")
    }
    drawn |= {
        "camera distance": lambda s: (
            np.linalg.norm(s.camera.position) * math.tan(math.radians(0.5 * s.camera.field_of_view))
        ),
        "count": lambda s: len(s.objects),
        "size": lambda s: s.objects[-1].size,
        "instance": lambda s: s.objects[1].instance,
        "turn": lambda s: s.objects[0].rotation[0],
        "noise seed": lambda s: s.camera.noise_seed,
        "floor": lambda s: s.floor.material.seed,
        "motion": lambda s: math.hypot(*s.camera.motion),
        "aperture": lambda s: s.camera.aperture,
        "azimuth": lambda s: azimuth(s.sun.direction),
        "time of day": lambda s: s.sun.direction[2],
        "ground": lambda s: float(s.background.name.startswith("lawn")),
    }
    values = np.array([[measure(scene) for scene in scenes] for measure in drawn.values()])
    assert np.abs(np.corrcoef(values) - np.eye(len(values))).max() < 0.14


def test_pictures_slide_in_all_directions() -> None:
    motions = [randomise(varied("motion_blur"), ASSETS, i, 0).camera.motion for i in range(2000)]
    angles = [math.atan2(down, right) % math.pi for right, down in motions if right or down]
    assert np.histogram(angles, 6, (0.0, math.pi))[0] == pytest.approx(len(angles) / 6, rel=0.2)


def test_the_camera_keeps_its_side_at_every_elevation() -> None:
    for index in range(50):
        position = np.array(randomise(varied("camera_elevation"), ASSETS, index, 0).camera.position)
        assert np.linalg.norm(position) == pytest.approx(STAGING.camera_distance)
        assert azimuth(position) == pytest.approx(azimuth(STAGING.camera_direction))
