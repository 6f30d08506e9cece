"""A parameter space as a grid of levels, so that a policy can put a probability on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task2sim import Interval, ParameterSetting, ParameterSpace

Levels = NDArray[np.int64]
"""int64 array of shape (number of parameters,): for each parameter the position of its value among its levels."""

_POOL = 512
"""Random candidates among which the design looks for each next setting."""


class LevelGrid:
    """The settings of a space that a policy chooses from.

    A `Toggle` has two levels, a `Choice` one for each choice, an `Interval` a few evenly spaced ones, the bounds
    among them. In a space whose settings are listed an `Interval` has the values that occur there, and the grid's
    settings are those of the list.

    Args:
        space: The parameter space.
        interval_levels: How many levels an interval has, >= 2.

    Attributes:
        space: The parameter space.
        interval_levels: How many levels an interval has.
        values: For each parameter its levels' values.
        counts: int64 array of shape (P,): the number of levels of each parameter.
        listed: int64 array of shape (size, P): the only settings there are; None if all combinations are.
    """

    def __init__(self, space: ParameterSpace, interval_levels: int) -> None:
        self.space = space
        self.interval_levels = interval_levels
        self.values = [
            self._interval_values(parameter) if isinstance(parameter, Interval) else list(parameter.values)
            for parameter in space
        ]
        self.counts: Levels = np.array([len(values) for values in self.values], dtype=np.int64)
        self.listed: Levels | None = None
        if space.settings is not None:
            self.listed = np.array([self.levels(setting) for setting in space.settings])

    def _interval_values(self, parameter: Interval) -> list[Any]:
        if self.space.settings is not None:
            return sorted({setting[parameter.name] for setting in self.space.settings})
        return list(np.linspace(parameter.low, parameter.high, self.interval_levels).tolist())

    @property
    def size(self) -> float:
        """How many settings the grid has; a float because it can be beyond any integer type."""
        if self.listed is not None:
            return float(len(self.listed))
        return float(np.prod(self.counts.astype(np.float64)))

    def setting(self, levels: Levels) -> ParameterSetting:
        """The setting at these levels."""
        values = (values[level] for values, level in zip(self.values, levels.tolist(), strict=True))
        return self.space.setting(dict(zip(self.space.names, values, strict=True)))

    def levels(self, setting: ParameterSetting) -> Levels:
        """The levels of a setting; a value between two levels of an interval goes to the nearest."""
        return np.array(
            [
                int(np.argmin(np.abs(np.array(values) - setting[parameter.name])))
                if isinstance(parameter, Interval)
                else values.index(setting[parameter.name])
                for parameter, values in zip(self.space, self.values, strict=True)
            ],
            dtype=np.int64,
        )

    def draw(self, count: int, generator: np.random.Generator) -> Levels:
        """Draw settings uniformly; int64 array of shape (count, P)."""
        if self.listed is not None:
            return self.listed[generator.integers(len(self.listed), size=count)]
        return generator.integers(self.counts, size=(count, len(self.counts)))

    def all(self) -> Levels:
        """Every setting of the grid; int64 array of shape (size, P).

        In the order of the space's list, or else the last parameter changing fastest.
        """
        if self.listed is not None:
            return self.listed
        return np.stack(np.unravel_index(np.arange(int(self.size)), tuple(self.counts)), axis=1).astype(np.int64)

    def candidates(self, generator: np.random.Generator) -> Levels:
        """Every setting in random order if they are few, random ones otherwise; int64 array of shape (N, P)."""
        return generator.permutation(self.all()) if self.size <= _POOL else self.draw(_POOL, generator)

    def design(self, generator: np.random.Generator) -> Iterator[ParameterSetting]:
        """Settings that fill the space, for the time when nothing is known.

        The first varies everything, or as much as there is: it is the baseline every study compares with. Each next
        one is as far as possible from those before it (maximin design: Johnson, Moore and Ylvisaker, "Minimax and
        maximin distance designs", 1990) and, among equals, where their levels are rarest, so that each parameter's
        effect can be told from few settings. With toggles the second is the opposite of the first, and so on, in
        pairs.

        Yields:
            Distinct settings, until the candidates are used up.
        """
        pool = self.candidates(generator)
        if self.listed is None:
            first = self.levels(self.space.everything_varied())
        else:
            varied = self.levels(ParameterSetting({p.name: p.varied for p in self.space}))
            first = pool[int(np.argmin(self.distance(pool, varied)))]
        yield self.setting(first)
        nearest = total = self.distance(pool, first)
        chosen = 1
        while nearest.max() > 0.0:
            # The mean distance breaks ties: it is greatest for the levels that were used least.
            best = int(np.argmax(nearest + 1e-3 * total / chosen))
            yield self.setting(pool[best])
            distance = self.distance(pool, pool[best])
            nearest, total, chosen = np.minimum(nearest, distance), total + distance, chosen + 1

    def distance(self, settings: Levels, other: Levels) -> NDArray[np.float64]:
        """Sum over parameters of how far settings (N, P) are from another (P,), each in [0, 1]; shape (N,)."""
        steps = np.abs(settings - other)
        ordered = np.array([isinstance(parameter, Interval) for parameter in self.space])
        distance: NDArray[np.float64] = np.where(ordered, steps / np.maximum(self.counts - 1, 1), steps > 0).sum(
            axis=1
        )
        return distance


def level_key(levels: Iterable[int]) -> tuple[int, ...]:
    """Levels as a dictionary key."""
    return tuple(int(level) for level in levels)
