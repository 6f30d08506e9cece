"""Probabilities over the settings of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from task2sim_policies.levels import LevelGrid, Levels


class Distribution:
    """For each of some tasks, a distribution over settings: its parameters independent, but none that is missing.

    Where the space lists its settings, it is the product of the parameters' distributions, restricted to those and
    renormalised.

    Args:
        grid: The settings.
        logs: float64 array of shape (N, P, levels): for each task, the log-probability of each parameter's levels;
            very small for levels that do not exist.
    """

    def __init__(self, grid: LevelGrid, logs: NDArray[np.float64]) -> None:
        self._grid = grid
        self._logs = logs
        self._joint: NDArray[np.float64] | None = None
        if grid.listed is not None:
            joint = logs[:, np.arange(logs.shape[1]), grid.listed].sum(axis=2)
            shares = np.exp(joint - joint.max(axis=1, keepdims=True))
            self._joint = shares / shares.sum(axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self._logs)

    def probabilities(self) -> NDArray[np.float64]:
        """The probability of each parameter's levels: shape (N, P, levels)."""
        if self._grid.listed is None or self._joint is None:
            return np.exp(self._logs)
        has_level = self._grid.listed[:, :, None] == np.arange(self._logs.shape[2])
        probabilities: NDArray[np.float64] = np.tensordot(self._joint, has_level.astype(np.float64), axes=1)
        return probabilities

    def most_probable(self) -> Levels:
        """Each task's most probable setting: shape (N, P)."""
        if self._grid.listed is None or self._joint is None:
            levels: Levels = self._logs.argmax(axis=2)
        else:
            levels = self._grid.listed[self._joint.argmax(axis=1)]
        return levels

    def draw(self, noise: float, generator: np.random.Generator) -> Levels:
        """Draw a setting for each task, a share of `noise` of them uniformly: shape (N, P)."""
        if self._grid.listed is None or self._joint is None:
            exists = np.arange(self._logs.shape[2]) < self._grid.counts[:, None]
            return _drawn((1 - noise) * np.exp(self._logs) + noise * exists / self._grid.counts[:, None], generator)
        return self._grid.listed[_drawn((1 - noise) * self._joint + noise / len(self._grid.listed), generator)]


def _drawn(probabilities: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions along the last axis, drawn in proportion to the probabilities there."""
    cumulative = probabilities.cumsum(axis=-1)
    uniforms = generator.random((*probabilities.shape[:-1], 1)) * cumulative[..., -1:]
    # A level that does not exist has no share, and a uniform number is below the sum of those that do.
    positions: NDArray[np.int64] = (cumulative <= uniforms).sum(axis=-1)
    return positions
