from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, SceneAssets
from task2sim.randomisation import DEFAULT_CAMERA_DISTANCE, label_of, randomise

ASSETS = SceneAssets({"cup": 3, "dog": 5, "hat": 1}, ("wood", "stone", "cloth"), ("day", "dusk", "night"))

WHERE = {
    "object_rotation": {"objects.rotation"},
    "camera_distance": {"camera.position", "camera.focus_distance"},
    "light_intensity": {"sun.intensity"},
    "light_colour": {"sun.colour"},
    "light_direction": {"sun.direction"},
    "focus_blur": {"camera.focus_distance", "camera.aperture"},
    "background": {"background.name", "background.rotation"},
    "materials": {"objects.materials"},
}
"""What each toggle may change in a scene."""

toggles = st.builds(
    lambda values: TASK2SIM_PARAMETERS.setting(dict(zip(TASK2SIM_PARAMETERS.names, values, strict=True))),
    st.lists(st.integers(0, 1), min_size=8, max_size=8),
)
seeds = st.integers(0, 2**63 - 1)
indices = st.integers(0, 2**31)


def flat(scene) -> dict[str, object]:
    data = attrs.asdict(scene, recurse=False)
    (thing,) = data.pop("objects")
    fields = {"objects": thing, "camera": scene.camera, "sun": scene.sun, "background": scene.background}
    return {f"{part}.{name}": value for part, x in fields.items() for name, value in attrs.asdict(x).items()}


@given(toggles, seeds, indices, st.sampled_from(sorted(WHERE)))
def test_a_toggle_changes_its_aspect_and_nothing_else(setting, seed: int, index: int, name: str) -> None:
    other = TASK2SIM_PARAMETERS.setting({**setting, name: 1 - setting[name]})
    first, second = (flat(randomise(s, ASSETS, index, seed)) for s in (setting, other))
    assert {key for key in first if first[key] != second[key]} <= WHERE[name]


@pytest.mark.parametrize("name", sorted(WHERE))
def test_each_toggle_does_change_something(name: str) -> None:
    fixed, varied = TASK2SIM_PARAMETERS.default(), TASK2SIM_PARAMETERS.setting({name: 1})
    changed = [randomise(fixed, ASSETS, i, 0) != randomise(varied, ASSETS, i, 0) for i in range(50)]
    assert sum(changed) > 25


@given(toggles, seeds, indices)
def test_scenes_are_sound_and_repeatable(setting, seed: int, index: int) -> None:
    scene = randomise(setting, ASSETS, index, seed)
    assert scene == randomise(setting, ASSETS, index, seed)
    (thing,) = scene.objects
    assert thing.category == ASSETS.categories[label_of(index, 3)]
    assert 0 <= thing.instance < ASSETS.instances[thing.category]
    for rotation in (thing.rotation, scene.background.rotation):
        assert math.isclose(np.linalg.norm(rotation), 1.0, abs_tol=1e-9)
    assert math.isclose(np.linalg.norm(scene.sun.direction), 1.0, abs_tol=1e-9)
    assert 0.7 * DEFAULT_CAMERA_DISTANCE < np.linalg.norm(scene.camera.position) < 2.1 * DEFAULT_CAMERA_DISTANCE
    assert scene.camera.focus_distance > 0
    assert all(0 <= material.seed < 2**31 for material in thing.materials)
    if not setting["focus_blur"]:
        assert scene.camera.aperture == 0


def test_images_and_seeds_differ() -> None:
    setting = TASK2SIM_PARAMETERS.everything_varied()
    rotations = {randomise(setting, ASSETS, i, seed).objects[0].rotation for i in range(20) for seed in range(5)}
    assert len(rotations) == 100


def test_the_view_of_the_background_keeps_the_horizon_level_and_covers_the_sphere() -> None:
    setting = TASK2SIM_PARAMETERS.setting(background=1)
    heights = []
    for i in range(500):
        scene = randomise(setting, ASSETS, i, 1)
        x, y, z, w = scene.background.rotation
        # Rows of the rotation matrix turn world directions into the background's.
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        forward = -np.array(scene.camera.position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        assert abs((rotation.T @ right)[2]) < 1e-9  # a level line stays level
        heights.append((rotation.T @ np.array([*(forward[:2] / np.linalg.norm(forward[:2])), 0.0]))[2])
    assert np.std(heights) == pytest.approx(1 / math.sqrt(3), rel=0.1)  # uniform on the sphere


def test_an_absent_parameter_stays_fixed() -> None:
    from task2sim import ParameterSpace, Toggle

    setting = ParameterSpace([Toggle("background")]).everything_varied()
    scene = randomise(setting, ASSETS, 5, 0)
    assert scene.objects[0].materials == ()
    assert scene.sun.intensity == 1.0
