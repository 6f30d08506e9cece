"""Probabilities over the settings of a grid."""

from __future__ import annotations

import numpy as np
import pytest

from task2sim import Choice, ParameterSpace, Toggle
from task2sim_policies.distributions import Distribution
from task2sim_policies.levels import LevelGrid

PARAMETERS = [Toggle("a"), Choice("b", ("x", "y", "z"))]
ALL = ParameterSpace(PARAMETERS)
LISTED = ParameterSpace(PARAMETERS, [{"a": 1}, {"b": "z"}, {"b": "y", "a": 1}])
HEADS = np.array([[0.3, 0.7, 0.0], [0.2, 0.3, 0.5]])


def distribution(space: ParameterSpace, times: int = 1) -> Distribution:
    return Distribution(LevelGrid(space, 5), np.log(np.repeat(HEADS[None], times, axis=0) + 1e-300))


def test_the_most_probable_setting_exists() -> None:
    assert distribution(ALL).most_probable().tolist() == [[1, 2]]
    # 0.7 * 0.2, 0.3 * 0.5 and 0.7 * 0.3
    assert distribution(LISTED).most_probable().tolist() == [[1, 1]]


def test_probabilities_are_those_of_the_settings_that_exist() -> None:
    assert distribution(ALL).probabilities()[0] == pytest.approx(HEADS)
    listed = np.array([[0.15, 0.35, 0], [0.14, 0.21, 0.15]]) / 0.5
    assert distribution(LISTED).probabilities()[0] == pytest.approx(listed)


@pytest.mark.parametrize("space", [ALL, LISTED], ids=["all", "listed"])
@pytest.mark.parametrize("noise", [0.0, 0.4, 1.0])
def test_draws_follow_the_probabilities(space: ParameterSpace, noise: float) -> None:
    levels = LevelGrid(space, 5).all()
    drawn = distribution(space, 20000).draw(noise, np.random.default_rng(0))
    share = np.array([(drawn == row).all(axis=1).mean() for row in levels])
    if space is LISTED:
        expected = (1 - noise) * np.array([0.14, 0.15, 0.21]) / 0.5 + noise / 3
    else:
        heads = (1 - noise) * HEADS + noise * np.array([[1 / 2, 1 / 2, 0], [1 / 3] * 3])
        expected = heads[np.arange(2), levels].prod(axis=1)
    assert share == pytest.approx(expected, abs=0.015)
    assert share.sum() == pytest.approx(1)


def test_very_unlikely_settings_do_no_harm() -> None:
    logs = np.array([[[-900.0, -1000.0, -1e9], [-900.0, -1000.0, -1100.0]]])
    one = Distribution(LevelGrid(LISTED, 5), logs)
    assert np.isfinite(one.probabilities()).all()
    assert one.draw(0.0, np.random.default_rng(0)).shape == (1, 2)
