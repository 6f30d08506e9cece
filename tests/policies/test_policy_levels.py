"""A parameter space as a grid of levels."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from task2sim import TASK2SIM_PARAMETERS, Choice, Interval, ParameterSpace, Toggle
from task2sim_policies.levels import LevelGrid, level_key

MIXED = [Toggle("blur"), Choice("sky", ("dawn", "noon", "dusk")), Interval("fog", 0.0, 2.0)]
LISTED = ParameterSpace(MIXED, [{"fog": 0.3}, {"fog": 1.7, "blur": 1}, {"sky": "noon", "fog": 0.3}])


@pytest.mark.parametrize("space", [TASK2SIM_PARAMETERS, ParameterSpace(MIXED), LISTED])
def test_levels_and_settings_are_two_names_of_one_thing(space: ParameterSpace) -> None:
    grid = LevelGrid(space, 5)
    every = grid.all()
    assert len(every) == grid.size
    settings = [grid.setting(levels) for levels in every]
    assert len(set(settings)) == len(settings)
    for levels, setting in zip(every, settings, strict=True):
        assert space.has(setting)
        np.testing.assert_array_equal(grid.levels(setting), levels)
    drawn = {level_key(levels) for levels in grid.draw(2000, np.random.default_rng(0))}
    assert drawn == {level_key(levels) for levels in every}


def test_an_interval_has_evenly_spaced_levels_or_those_that_occur() -> None:
    assert LevelGrid(ParameterSpace(MIXED), 5).values[2] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert LevelGrid(LISTED, 5).values[2] == [0.3, 1.7]
    grid = LevelGrid(ParameterSpace(MIXED), 5)
    assert grid.levels(grid.space.setting(fog=1.2)).tolist() == [0, 0, 2]


@pytest.mark.parametrize("space", [TASK2SIM_PARAMETERS, ParameterSpace(MIXED), LISTED])
def test_the_design_goes_through_the_grid_each_setting_as_far_away_as_can_be(space: ParameterSpace) -> None:
    grid = LevelGrid(space, 3)
    design = list(grid.design(np.random.default_rng(0)))
    assert len(set(design)) == len(design) == grid.size
    levels = [grid.levels(setting) for setting in design]
    for position in range(1, len(levels), 1 + len(levels) // 20):
        gaps = [grid.distance(np.array(levels[:position]), later).min() for later in levels[position:]]
        assert gaps[0] == pytest.approx(max(gaps))


def test_the_design_begins_with_as_much_varied_as_there_is() -> None:
    generator = np.random.default_rng(0)
    grid = LevelGrid(TASK2SIM_PARAMETERS, 5)
    assert next(grid.design(generator)) == TASK2SIM_PARAMETERS.everything_varied()
    part = ParameterSpace(TASK2SIM_PARAMETERS, [{}, {"background": 1}, {"background": 1, "materials": 1}])
    assert next(LevelGrid(part, 5).design(generator)) == part.setting(background=1, materials=1)


def test_the_design_of_a_large_space_is_there_at_once() -> None:
    space = ParameterSpace([Toggle(f"toggle{i}") for i in range(30)])
    design = list(islice(LevelGrid(space, 5).design(np.random.default_rng(0)), 40))
    table = np.array([[int(value) for value in setting.values()] for setting in design])
    assert len(set(design)) == 40
    assert np.abs(table.mean(axis=0) - 0.5).max() < 0.2
