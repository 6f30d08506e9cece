"""Scenes keep their geometry when they are laid into Unity's world."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, SceneAssets
from task2sim.randomisation import randomise
from task2sim_threedworld.axes import (
    CAMERA_POSITION,
    TO_UNITY,
    Rig,
    matrix_of,
    quaternion_of,
    sun_rotation,
    sun_turns,
)
from task2sim_threedworld.scene_commands import STAGING

ASSETS = SceneAssets({"cup": 3, "dog": 5}, ("wood",), ("day", "night"), staging=STAGING)
settings = st.sampled_from(list(TASK2SIM_PARAMETERS.enumerate()))
scenes = st.builds(randomise, settings, st.just(ASSETS), st.integers(0, 10**6), st.integers(0, 2**40))
quaternions = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda q: math.hypot(*q) > 0.1)
    .map(lambda q: tuple(x / math.hypot(*q) for x in q))
)
directions = (
    st.tuples(*[st.floats(-1, 1)] * 3)
    .filter(lambda v: math.hypot(*v) > 0.1)
    .map(lambda v: np.array(v) / math.hypot(*v))
)


@given(quaternions)
def test_quaternions_and_matrices_are_the_same_turns(rotation) -> None:
    matrix = matrix_of(rotation)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    again = quaternion_of(matrix)
    assert again[3] >= 0.0
    assert matrix_of(again) == pytest.approx(matrix, abs=1e-9)


def test_with_nothing_varied_everything_stands_as_in_the_paper() -> None:
    rig = Rig(randomise(TASK2SIM_PARAMETERS.default(), ASSETS, 0, 0))
    assert rig.position((0.0, 0.0, 0.0)) == pytest.approx((0.0, 1.0, 0.0))
    assert rig.rotation((0.0, 0.0, 0.0, 1.0)) == pytest.approx((0.0, 0.0, 0.0, 1.0))
    forward = matrix_of(rig.camera_rotation()) @ (0.0, 0.0, 1.0)
    expected = np.array((0.0, 1.0, 0.0)) - CAMERA_POSITION
    assert forward == pytest.approx(expected / np.linalg.norm(expected))
    assert (matrix_of(rig.camera_rotation()) @ (0.0, 1.0, 0.0))[1] > 0.9


def test_a_quarter_turn_to_the_left_turns_the_front_of_unitys_model_too() -> None:
    """Seen from above, +90 degrees about z takes a front towards -y to +x, in either world."""
    scene = randomise(TASK2SIM_PARAMETERS.default(), ASSETS, 0, 0)
    rotation = Rig(scene).rotation((0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)))
    assert matrix_of(rotation) @ (0.0, 0.0, 1.0) == pytest.approx(TO_UNITY @ (1.0, 0.0, 0.0))


@given(scenes, quaternions)
def test_the_camera_stays_and_sees_the_object_as_the_scene_says(scene, rotation) -> None:
    scene = attrs.evolve(scene, objects=(attrs.evolve(scene.objects[0], rotation=rotation),))
    rig, camera = Rig(scene), scene.camera
    assert rig.position(camera.position) == pytest.approx(CAMERA_POSITION)
    view = matrix_of(rig.camera_rotation())
    right, down, forward = rig.camera_axes()
    for point in ((0.0, 0.0, 0.0), (0.3, -0.2, 0.1)):
        seen = view.T @ (rig.position(point) - CAMERA_POSITION)  # right, up, forward
        offset = np.array(point) - camera.position
        assert seen == pytest.approx((right @ offset, -down @ offset, forward @ offset))
    # A mark on the object's own +x, -y and +z is seen where it would be in the core's axes.
    for mark in np.eye(3):
        theirs = view.T @ matrix_of(rig.rotation(rotation)) @ TO_UNITY @ mark
        ours = matrix_of(rotation) @ mark
        assert theirs == pytest.approx((right @ ours, -down @ ours, forward @ ours), abs=1e-9)
    assert rig.position_back(rig.position((0.3, -0.2, 0.1))) == pytest.approx((0.3, -0.2, 0.1))
    assert matrix_of(rig.rotation_back(rig.rotation(rotation))) == pytest.approx(matrix_of(rotation), abs=1e-9)


@given(scenes)
def test_the_sky_is_seen_in_the_direction_that_the_scene_says(scene) -> None:
    rig = Rig(scene)
    forward = rig.camera_axes()[2]
    in_the_sky = matrix_of(scene.background.rotation).T @ forward
    assert matrix_of(rig.camera_rotation()) @ (0.0, 0.0, 1.0) == pytest.approx(TO_UNITY @ in_the_sky, abs=1e-9)


@given(directions, st.floats(0, 360), st.floats(0, 360))
def test_the_turned_sun_shines_as_wanted(travel, elevation: float, angle: float) -> None:
    yaw, pitch = sun_turns(travel, elevation, angle)
    assert 0 <= yaw <= 360
    assert 0 <= pitch <= 360
    turned = sun_rotation(elevation, angle) @ sun_rotation(0.0, yaw) @ sun_rotation(pitch, 0.0)
    assert turned @ (0.0, 0.0, 1.0) == pytest.approx(travel, abs=1e-9)


def test_unitys_euler_angles() -> None:
    """A positive pitch looks down, a positive yaw turns +z towards +x."""
    assert sun_rotation(90.0, 0.0) @ (0.0, 0.0, 1.0) == pytest.approx((0.0, -1.0, 0.0))
    assert sun_rotation(0.0, 90.0) @ (0.0, 0.0, 1.0) == pytest.approx((1.0, 0.0, 0.0))
    assert sun_rotation(30.0, 90.0) @ (0.0, 0.0, 1.0) == pytest.approx((math.sqrt(0.75), -0.5, 0.0))
