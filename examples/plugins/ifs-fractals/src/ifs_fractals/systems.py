"""Iterated function systems: a few affine maps of the plane whose attractor is a fractal (Barnsley, 1988).

Categories are found by random search, as in Kataoka et al., "Pre-training without natural images" (IJCV 2022): a
system is kept if its attractor fills enough of the picture.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from task2sim import spawn_generator

Floats = NDArray[np.float64]

STEPS = 32
"""Points of the attractor that each walker leaves behind."""
BURN_IN = 12
"""Steps after which a walker is as good as on the attractor: 0.95 ** 12 of its error is left, mostly far less."""
STRONGEST = 0.95
"""All maps shrink lengths at least to this share, so that every system has an attractor."""
MOST_MAPS = 6
FILLING = 0.2
"""Least share of a grid's cells that the attractor of a category must reach."""


class System(NamedTuple):
    """Maps x -> linear[k] @ x + offset[k]; arrays of shape (maps, 2, 2) and (maps, 2)."""

    linear: Floats
    offset: Floats

    def varied(self, factors: Floats) -> System:
        """The system with its coefficients times factors of shape (MOST_MAPS, 6); spare ones are left over."""
        factors = factors[: len(self.linear)]
        return contracted(System(self.linear * factors[:, :4].reshape(-1, 2, 2), self.offset * factors[:, 4:]))


def contracted(system: System) -> System:
    """The system with maps shrunk that would not shrink lengths to `STRONGEST`."""
    norms = np.linalg.norm(system.linear, ord=2, axis=(1, 2))
    return System(system.linear * np.minimum(1.0, STRONGEST / norms)[:, None, None], system.offset)


def attractor(system: System, uniforms: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Play the chaos game.

    Args:
        system: The maps; one is chosen with a probability in proportion to the area of its image.
        uniforms: Random numbers in [0, 1) of shape (BURN_IN + STEPS, walkers).

    Returns:
        Points of shape (STEPS * walkers, 2), about their mean and with nearly all within one unit of it, and the
        map by which each was reached.
    """
    areas = np.abs(np.linalg.det(system.linear)) + 0.01
    chosen = np.minimum(np.searchsorted(np.cumsum(areas / areas.sum()), uniforms), len(areas) - 1)
    points = np.zeros((*uniforms.shape, 2))
    point = np.zeros((uniforms.shape[1], 2))
    for step, k in enumerate(chosen):
        point = (system.linear[k] @ point[:, :, None])[:, :, 0] + system.offset[k]
        points[step] = point
    flat = points[BURN_IN:].reshape(-1, 2)
    flat = flat - flat.mean(axis=0)
    radius = np.quantile(np.hypot(flat[:, 0], flat[:, 1]), 0.98)
    return flat / max(float(radius), 1e-9), chosen[BURN_IN:].ravel()


@functools.cache
def category(number: int) -> System:
    """The system of a category: the first of its random systems that fills enough of the picture."""
    generator = spawn_generator(0, "ifs-fractals", f"category {number}")
    while True:
        maps = int(generator.integers(2, MOST_MAPS + 1))
        system = contracted(
            System(generator.uniform(-1.0, 1.0, (maps, 2, 2)), generator.uniform(-1.0, 1.0, (maps, 2)))
        )
        points, _ = attractor(system, generator.random((BURN_IN + STEPS, 128)))
        cells = np.histogram2d(points[:, 0], points[:, 1], bins=32, range=[[-1.0, 1.0], [-1.0, 1.0]])[0]
        if np.mean(cells > 0) >= FILLING:
            return system
