"""What the kit can't know of this plugin, and the kit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from task2sim import Background, Camera, FrameBatch, Material, Scene, SceneObject, Sun
from task2sim.conformance import conformance

from mitsuba_things import Mitsuba
from mitsuba_things.simulator import ASSETS
from mitsuba_things.surroundings import MATERIALS, panorama, surface
from mitsuba_things.things import BUILDERS, Ball, thing

pytest.importorskip("mitsuba", reason="the engine is not installed: pip install mitsuba")

SIMULATOR = Mitsuba(Mitsuba.Config(resolution=32, samples=4))
FRONT = Camera((0.0, -2.0, 0.0), focus_distance=2.0)
ABOVE = Sun((0.0, 0.0, 1.0))


def snowman(
    index: int = 0, camera: Camera = FRONT, sun: Sun = ABOVE, sky: str = "night", **changed: Any
) -> FrameBatch:
    scene = Scene(index, (SceneObject("snowman", 0, **changed),), camera, sun, Background(sky))
    return SIMULATOR.render_scenes([scene])


def brightness(batch: FrameBatch) -> np.ndarray:
    """Mean over the object of the upper and the lower, the left and the right half."""
    grey, seen = batch.rgb[0].mean(axis=-1), batch.instance_mask[0] > 0  # type: ignore[index]
    halves = [(slice(0, 16), slice(None)), (slice(16, 32), slice(None)), (slice(None), slice(0, 16))]
    return np.array([grey[half][seen[half]].mean() for half in [*halves, (slice(None), slice(16, 32))]])


@conformance("simulator", factory=Mitsuba, config={"resolution": 24, "samples": 1}, quick=True)
def test_conformance() -> None:
    """It keeps the promises of a simulator."""


@pytest.mark.parametrize("category", BUILDERS)
def test_things_differ_and_fit_into_their_sphere(category: str) -> None:
    first, second = thing(category, 0), thing(category, 1)
    assert first.parts != second.parts
    assert first.parts == thing.__wrapped__(category, 0).parts  # built anew
    for ball in (part for part in first.parts if isinstance(part, Ball)):
        assert math.dist(ball.centre, first.centre) + ball.radius <= first.radius + 1e-9


def test_depth_is_along_the_viewing_direction() -> None:
    (depth,) = snowman().depth  # type: ignore[misc]
    near = depth[np.isfinite(depth)]
    assert 1.5 <= near.min() < near.max() <= 2.5
    farther = snowman(camera=Camera((0.0, -4.0, 0.0))).depth[0]  # type: ignore[index]
    assert farther[16, 16] == pytest.approx(depth[16, 16] + 2.0, abs=0.05)


def test_it_stands_upright_and_turns() -> None:
    (upright,), (head_down,) = snowman().instance_mask, snowman(rotation=(1.0, 0.0, 0.0, 0.0)).instance_mask  # type: ignore[misc]
    width = upright.sum(axis=1)[upright.any(axis=1)]
    assert width[-len(width) // 3 :].mean() > width[: len(width) // 3].mean()  # the large ball is below
    width = head_down.sum(axis=1)[head_down.any(axis=1)]
    assert width[-len(width) // 3 :].mean() < width[: len(width) // 3].mean()


def test_the_sun_shines_from_its_direction() -> None:
    def lit(*direction: float) -> np.ndarray:
        return brightness(snowman(sun=Sun(direction), materials=(Material("chalk", 1),)))  # type: ignore[arg-type]

    _, _, left, right = lit(0.7, -0.7, 0.0)
    assert right > 1.2 * left
    _, _, left, right = lit(-0.7, -0.7, 0.0)
    assert left > 1.2 * right
    from_above, from_below = lit(0.0, -0.3, 0.95), lit(0.0, -0.3, -0.95)
    assert from_above[0] / from_above[1] > 1.2 * from_below[0] / from_below[1]


def test_normals_face_the_camera_and_are_the_worlds() -> None:
    (normals,) = snowman().normals  # type: ignore[misc]
    lengths = np.linalg.norm(normals, axis=-1)
    assert normals[lengths > 0][:, 1].mean() < -0.5
    left, right = (normals[:, half][lengths[:, half] > 0][:, 0].mean() for half in (slice(0, 14), slice(18, 32)))
    assert left < -0.2 < 0.2 < right


def test_a_lens_that_misses_blurs() -> None:
    sharp, blurred = snowman(), snowman(camera=Camera((0.0, -2.0, 0.0), focus_distance=1.0, aperture=0.16))
    steps = [np.abs(np.diff(batch.rgb[0].astype(float), axis=0)).max() for batch in (sharp, blurred)]
    assert steps[1] < 0.8 * steps[0]
    assert np.array_equal(sharp.instance_mask, blurred.instance_mask)  # type: ignore[arg-type]


def test_the_sky_is_above() -> None:
    for name in ASSETS.backgrounds:
        assert panorama(name).shape == (64, 128, 3)
    (image,) = snowman(sky="meadow").rgb.astype(int)
    assert image[0, :, 2].mean() > image[0, :, 1].mean() + 10  # blue
    assert image[-1, :, 1].mean() > image[-1, :, 2].mean() + 10  # green


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_differ_by_their_seed(name: str) -> None:
    assert surface(Material(name, 1)) == surface(Material(name, 1)) != surface(Material(name, 2))
