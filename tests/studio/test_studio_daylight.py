"""Times of day: backgrounds and the suns that belong to them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from task2sim import ConfigError
from task2sim_studio.atmosphere import daylight, luminance
from task2sim_studio.daylight import (
    BRIGHT_DAY,
    ELEVATIONS,
    NAMES,
    PLACES,
    SUN_IRRADIANCE,
    daylight_skies,
    light,
    paint_daylight,
)
from task2sim_studio.environments import ProceduralEnvironments, directions, solid_angles, texel_angle
from task2sim_studio.simulator import Studio
from task2sim_studio.skies import SKIES

SIZE = 64


def painted(name):
    return paint_daylight(name, directions(SIZE), texel_angle(SIZE))


def mean_luminance(radiance):
    return float(np.average(radiance @ [0.2126, 0.7152, 0.0722], weights=solid_angles(SIZE)))


def test_every_sky_can_be_loaded_and_is_no_ordinary_background():
    source = ProceduralEnvironments()
    backgrounds = [sky.background for skies in source.skies.values() for sky in skies]
    assert list(source.skies) == list(PLACES)
    assert len(set(backgrounds)) == len(PLACES) * len(ELEVATIONS) == len(NAMES)
    assert not set(backgrounds) & (set(source.names) | set(SKIES))
    loaded = source.load(backgrounds[0], SIZE)
    assert np.allclose(loaded.texels[SIZE + 3], painted(backgrounds[0])[0, 0], rtol=1e-3)


@pytest.mark.parametrize("name", list(NAMES))
def test_panoramas_are_finite_and_lit(name):
    radiance = painted(name)
    assert np.isfinite(radiance).all()
    assert (radiance >= 0).all()
    assert 0.01 < mean_luminance(radiance) < 1.5


def test_suns_are_colours_with_an_intensity_and_dusk_has_none():
    for sky in daylight_skies()["lawn"]:
        assert all(0.0 <= c <= 1.0 for c in sky.colour)
        assert (sky.intensity > 0.3) == (sky.elevation > 0.0)
        assert sky.intensity < 2.0
    low, high = daylight_skies()["sand"][1], daylight_skies()["sand"][-1]
    assert low.colour[2] < 0.1
    assert min(high.colour) > 0.7


def test_dusk_is_darker_than_noon_but_not_black():
    received = {}  # by a surface that may face any way, over pi
    for name, (place, elevation) in NAMES.items():
        sun = 0.25 / math.pi * SUN_IRRADIANCE * luminance(light(elevation).sun)
        received[place, elevation] = sun + mean_luminance(painted(name))
    for place in PLACES:
        assert 0.1 < received[place, -3] / received[place, BRIGHT_DAY] < 0.5


@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("elevation", [14, 44])
def test_the_glow_of_the_sky_is_where_its_sun_shines_from(place, elevation):
    (sky,) = [sky for sky in daylight_skies()[place] if sky.elevation == elevation]
    up = math.radians(sky.elevation)
    luminances = painted(sky.background) @ np.float32([0.2126, 0.7152, 0.0722])
    above = directions(SIZE)[..., 2] > 0.05
    brightest = directions(SIZE)[above][np.argmax(luminances[above])]
    assert brightest @ [0.0, math.cos(up), math.sin(up)] > math.cos(math.radians(7.0))


def test_the_suns_disc_is_not_painted_twice():
    # Within ten degrees of the sun there is far less light than the sun itself gives.
    name = next(name for name, what in NAMES.items() if what == ("sand", 44))
    near = directions(SIZE) @ np.float32([0.0, math.cos(math.radians(44)), math.sin(math.radians(44))]) > 0.985
    glow = (painted(name)[near] * solid_angles(SIZE)[near][:, None]).sum(axis=0)
    assert (glow < 0.15 * SUN_IRRADIANCE * light(44).sun).all()


def test_the_ground_is_lit_by_sun_and_sky():
    # Snow reflects about three quarters of what falls on it.
    name = next(name for name, what in NAMES.items() if what == ("snow", 44))
    below = directions(SIZE)[..., 2] < -0.8
    lit = light(44)
    irradiance = SUN_IRRADIANCE * lit.sun * math.sin(math.radians(44)) + lit.sky
    albedo = painted(name)[below].mean(axis=0) * math.pi / irradiance
    assert ((albedo > 0.6) & (albedo < 0.92)).all()


def test_the_sky_well_above_the_horizon_is_the_atmospheres():
    name = next(name for name, what in NAMES.items() if what == ("sand", 32))
    high = directions(SIZE)[..., 2] > 0.6
    expected = daylight(32.0).radiance(directions(SIZE)[high]) * light(32).gain
    assert np.allclose(painted(name)[high], expected, rtol=0.02)


def test_the_simulator_offers_times_of_day_only_with_its_own_skies(tmp_path):
    chosen = ("chair", "mug")
    assert "time_of_day" in Studio(Studio.Config(categories=chosen, further_parameters="all")).parameter_space.names
    assert len(Studio(Studio.Config(categories=chosen)).parameter_space) == 8
    (tmp_path / "sky.hdr").write_bytes(b"")
    with pytest.raises(ConfigError, match="time_of_day needs the procedural surroundings"):
        Studio(Studio.Config(categories=chosen, environments=tmp_path, further_parameters=("time_of_day",)))
    others = Studio(Studio.Config(categories=chosen, environments=tmp_path, further_parameters="all"))
    assert len(others.parameter_space) == 17
    assert "time_of_day" not in others.parameter_space.names
