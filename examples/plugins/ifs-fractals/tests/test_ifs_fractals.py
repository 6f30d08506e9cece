"""What the kit can't know of this plugin, and the kit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from task2sim.conformance import conformance

from ifs_fractals import Fractals
from ifs_fractals.systems import BURN_IN, FILLING, STEPS, attractor, category

SIMULATOR = Fractals(Fractals.Config(resolution=32, categories=8))


def images(count: int = 8, **values: object) -> NDArray[np.uint8]:
    setting = SIMULATOR.parameter_space.setting(values)
    return np.concatenate([batch.rgb for batch in SIMULATOR.render(setting, range(count), seed=5)])


@conformance("simulator", factory=Fractals, config={"resolution": 32, "categories": 8}, quick=True)
def test_conformance() -> None:
    """It keeps the promises of a simulator."""


@pytest.mark.parametrize("number", range(12))
def test_an_attractor_is_mapped_onto_itself(number: int) -> None:
    system = category(number)
    assert (np.linalg.norm(system.linear, ord=2, axis=(1, 2)) <= 0.95 + 1e-12).all()
    points, maps = attractor(system, np.random.default_rng(3).random((BURN_IN + STEPS, 512)))
    assert len(points) == len(maps) == 512 * STEPS
    assert set(maps.tolist()) == set(range(len(system.linear)))
    assert np.mean(np.hypot(*points.T) <= 1.0) == pytest.approx(0.98, abs=0.001)
    cells = np.histogram2d(*points.T, bins=32, range=[[-1, 1], [-1, 1]])[0]
    assert np.mean(cells > 0) >= 0.9 * FILLING


def test_categories_are_not_alike() -> None:
    first, second = images(), images(variation=0.1)
    alike = [[np.mean(a != b) for b in second] for a in first]
    assert [int(np.argmin(row)) for row in alike] == list(range(8))


def test_colour_changes_no_shape() -> None:
    assert np.array_equal(images().any(axis=-1), images(colour=1).any(axis=-1))
    assert np.ptp(images(), axis=-1).max() == 0


def test_patches_cover_the_points() -> None:
    points, patches = (images(strokes=strokes).any(axis=-1) for strokes in ("points", "patches"))
    assert patches[points].all()
    assert patches.sum() > points.sum()


def test_the_background_is_behind_the_fractal() -> None:
    black, shaded = images(), images(background=1)
    drawn = black.any(axis=-1)
    assert np.array_equal(black[drawn], shaded[drawn])
    assert shaded[~drawn].any()
