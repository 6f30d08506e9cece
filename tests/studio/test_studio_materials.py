"""The looks of materials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim_studio.materials import PALETTES, linear_from_hsv, noise_lattice, surfaces, uniforms
from task2sim_studio.mesh import MATERIALS

LAYOUT = np.dtype(
    [(name, "f4", (3,)) for name in ("base", "second", "third", "coarse", "fine", "offset")]
    + [(name, "f4") for name in ("scale", "choice", "contrast", "roughness", "metalness", "opacity")]
    + [(name, "i4") for name in ("kind", "albedo_image", "finish_image", "normal_image")]
)


def look(name, seeds, colour=None):
    kinds = np.full(len(seeds), MATERIALS.index(name))
    colours = np.full((len(seeds), 3), np.nan if colour is None else colour, dtype=np.float32)
    return surfaces(kinds, np.asarray(seeds), colours, LAYOUT)


def test_every_material_has_a_palette():
    assert tuple(PALETTES) == MATERIALS


@pytest.mark.parametrize("name", MATERIALS)
def test_seeds_vary_colours_and_patterns_within_range(name):
    looks = look(name, np.arange(50) * 40_000_000)
    assert len(np.unique(looks["base"], axis=0)) > 5
    assert len(np.unique(looks["offset"], axis=0)) == 50
    for field in ("base", "second", "third"):
        assert (looks[field] >= 0).all()
        assert (looks[field] <= 1).all()
    assert ((looks["roughness"] >= 0) & (looks["roughness"] <= 1)).all()


def test_a_look_depends_on_its_name_and_seed_alone():
    assert look("wood", [1, 2, 3])[2] == look("wood", [3])[0]
    assert not np.allclose(look("checker", [3])["base"], look("dots", [3])["base"])


def test_a_colour_replaces_the_base_colour_and_those_derived_from_it():
    plain, painted = look("wood", [5]), look("wood", [5], (0.1, 0.9, 0.1))
    assert np.allclose(painted["base"], (0.1, 0.9, 0.1))
    assert painted["second"][0, 1] > painted["second"][0, 0]
    assert painted["scale"] == plain["scale"]


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=20))
def test_uniform_numbers_are_in_range_for_any_seed(seeds):
    u = uniforms(np.zeros(len(seeds), dtype=np.int64), np.array(seeds), 16)
    assert ((u >= 0) & (u < 1)).all()


def test_uniform_numbers_are_uniform():
    u = uniforms(np.zeros(4000, dtype=np.int64), np.arange(4000), 8)
    assert np.abs(u.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(u.T) - np.eye(8)).max() < 0.08


@pytest.mark.parametrize(("hue", "rgb"), [(0.0, (1, 0, 0)), (1 / 3, (0, 1, 0)), (2 / 3, (0, 0, 1))])
def test_hues_are_where_they_should_be(hue, rgb):
    one = np.ones(1, dtype=np.float32)
    assert np.allclose(linear_from_hsv(one * np.float32(hue), one, one), [rgb], atol=1e-5)


def test_the_noise_lattice_is_centred_and_the_same_every_time():
    lattice = noise_lattice(16)
    assert lattice.shape == (16**3,)
    assert abs(lattice.mean()) < 0.02
    assert np.array_equal(lattice, noise_lattice(16))


def test_clouds_over_a_given_colour_are_shades_of_it():
    colour = np.array([0.6, 0.1, 0.05])
    for seed in range(20):
        shade = look("clouds", [seed], colour)["second"][0] / colour
        assert np.ptp(shade) < 1e-5
        assert 0.39 < shade[0] < 0.81
