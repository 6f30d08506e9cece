"""The clear sky: laws of light that hold at any time of day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim_studio import atmosphere
from task2sim_studio.atmosphere import daylight, luminance

UP = np.array([0.0, 0.0, 1.0], np.float32)


def towards(elevation, azimuth=0.0):
    """A direction by degrees above the horizon and to the right of the sun."""
    up, side = math.radians(elevation), math.radians(azimuth)
    return np.array([math.cos(up) * math.sin(side), math.cos(up) * math.cos(side), math.sin(up)], np.float32)


def test_the_zenith_sun_is_dimmed_as_its_optical_depth_says():
    # Exponential layers have the depth of their scale height, the tent of ozone half its width; the eye is 0.2 km up.
    depth = (
        np.array([5.802e-3, 13.558e-3, 33.1e-3]) * 8.0 * math.exp(-0.2 / 8.0)
        + 1.11 * 40e-3 * 1.2 * math.exp(-0.2 / 1.2)
        + np.array([0.650e-3, 1.881e-3, 0.085e-3]) * 15.0
    )
    assert np.allclose(daylight(90.0).sun, np.exp(-depth), rtol=0.01)


@given(st.floats(-6, 90))
def test_light_is_finite_and_no_more_than_the_sun_gives(elevation):
    day = daylight.__wrapped__(elevation)
    level = day.sun * max(math.sin(math.radians(elevation)), 0.0) + day.sky
    assert np.isfinite(day.even).all()
    assert np.isfinite(day.haze).all()
    assert (day.even >= 0).all()
    assert (day.haze >= 0).all()
    assert (level <= max(math.sin(math.radians(elevation)), 0.0) + 0.03).all()


def test_the_higher_the_sun_the_more_light_and_the_less_red():
    days = [daylight(float(elevation)) for elevation in (-4, -1, 1, 4, 10, 25, 50, 80)]
    brightness = [luminance(day.sun) + luminance(day.sky) for day in days]
    assert brightness == sorted(brightness)
    redness = [day.sun[0] / day.sun[2] for day in days[2:]]
    assert redness == sorted(redness, reverse=True)
    assert redness[0] > 20.0
    assert redness[-1] < 1.4


def test_the_sun_sets():
    assert (daylight(-1.5).sun == 0).all()
    assert (daylight(-4.0).radiance(towards(5)) > 0).all()


def test_noon_is_blue_above_and_pale_at_the_horizon():
    day = daylight(50.0)
    zenith, horizon = day.radiance(UP), day.radiance(towards(1, 90))
    assert zenith[2] > 2.0 * zenith[0]
    assert luminance(horizon) > 2.0 * luminance(zenith)
    assert horizon[2] / horizon[0] < 0.75 * zenith[2] / zenith[0]


def test_a_low_sun_has_a_red_glow_before_it_and_a_dark_sky_behind():
    day = daylight(1.0)
    before, behind = day.radiance(towards(1)), day.radiance(towards(1, 180))
    assert before[0] > 3.0 * before[2]
    assert luminance(before) > 5.0 * luminance(behind)


@pytest.mark.parametrize("elevation", [30.0, 50.0, 70.0])
def test_the_aureole_stands_where_the_sun_does(elevation):
    heights = np.arange(1.0, 90.0, 0.5)
    along = [luminance(daylight(elevation).radiance(towards(height))) for height in heights]
    assert heights[int(np.argmax(along))] == pytest.approx(elevation, abs=2.0)


def test_left_and_right_of_the_sun_are_alike():
    day = daylight(20.0)
    assert np.allclose(day.radiance(towards(30, 70)), day.radiance(towards(30, -70)))


def test_the_tables_are_fine_enough(monkeypatch):
    coarse = {angle: daylight(angle).radiance(towards(25, 40)) for angle in (1.0, 15.0, 60.0)}
    monkeypatch.setattr(atmosphere, "_ROWS", 80)
    monkeypatch.setattr(atmosphere, "_COLUMNS", 40)
    monkeypatch.setattr(atmosphere, "_STEPS", 80)
    for angle, found in coarse.items():
        assert np.allclose(daylight.__wrapped__(angle).radiance(towards(25, 40)), found, rtol=0.05)


def test_irradiance_is_the_integral_of_radiance():
    day = daylight(40.0)
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(40000, 3)).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    rays[:, 2] = np.abs(rays[:, 2])
    found = 2.0 * math.pi * (day.radiance(rays) * rays[:, 2:]).mean(axis=0)
    assert np.allclose(found, day.sky, rtol=0.03)


@pytest.mark.parametrize(("elevation", "low", "high"), [(58.0, 0.06, 0.2), (14.0, 0.15, 0.6)])
def test_the_skys_share_of_the_light_on_the_ground_is_that_of_clear_days(elevation, low, high):
    day = daylight(elevation)
    sun = luminance(day.sun) * math.sin(math.radians(elevation))
    assert low < luminance(day.sky) / (luminance(day.sky) + sun) < high
