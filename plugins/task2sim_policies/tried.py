"""Policies that try settings in an order fixed beforehand and predict one that did well."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, ClassVar

from pydantic import Field

from task2sim import (
    ComponentConfig,
    ParameterError,
    ParameterSetting,
    TaskEmbedding,
    spawn_generator,
)
from task2sim.interfaces import cosine_distance
from task2sim_policies.levels import LevelGrid
from task2sim_policies.searching import TriedPolicy

MOST_SETTINGS = 10_000
"""So many settings `exhaustive` tries at most: a table of scores may hold them, nobody pre-trains so often."""


class _OrderedPolicy(TriedPolicy):
    """A policy that tries settings in an order fixed beforehand, until the study's budget is spent."""

    @abstractmethod
    def order(self) -> Iterator[ParameterSetting]:
        """The settings to try, distinct."""

    def prepare(self) -> None:
        """Begin at the first setting."""
        self._order = self.order()

    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """The next settings that were not tried; empty once all were."""
        known = {*self.records.settings, *self.proposed}
        return list(islice((setting for setting in self._order if setting not in known), n))


class _DesignPolicy(_OrderedPolicy):
    """A policy that tries settings that fill the space."""

    class Config(ComponentConfig):
        """Which settings it tries."""

        interval_levels: Annotated[int, Field(ge=2, description="values tried of a parameter with bounds")] = 5

    def __init__(self, config: Config) -> None:
        self._config = config

    def order(self) -> Iterator[ParameterSetting]:
        """The design that all policies begin with."""
        grid = LevelGrid(self.space, self._config.interval_levels)
        return grid.design(spawn_generator(self.seed, "policy", "design"))


class BestFixedPolicy(_DesignPolicy):
    """For every task the setting with the best mean score over the seen tasks.

    Scores are not standardised: the mean is the one a comparison reports. On the published table, left-out seen
    tasks do equally well either way.
    """

    name: ClassVar[str] = "best-fixed"

    def relevant(self, embedding: TaskEmbedding, seen: Sequence[str]) -> Sequence[str]:
        """All."""
        return seen


class NearestTaskPolicy(_DesignPolicy):
    """For each task the best setting tried on the seen task nearest to it.

    Near by the cosine of the embeddings: on the published table, left-out seen tasks did better with it than with
    the symmetric normalised cosine of Task2Vec.
    """

    name: ClassVar[str] = "nearest-task"

    def relevant(self, embedding: TaskEmbedding, seen: Sequence[str]) -> Sequence[str]:
        """The nearest; of several, the one of that name."""

        def distance(name: str) -> tuple[float, bool]:
            known = TaskEmbedding(name, self.records.vectors[name])
            # Rounded, since a task's distance from itself is not quite zero.
            return round(cosine_distance(embedding, known), 6), name != embedding.task

        return [min(seen, key=distance)]


class ExhaustivePolicy(_OrderedPolicy):
    """Tries every setting there is, in the space's order, and predicts each seen task's best one: an oracle.

    It can't know what is best for an unseen task, and predicts what is best on average over the seen ones.
    """

    name: ClassVar[str] = "exhaustive"

    def order(self) -> Iterator[ParameterSetting]:
        """Every setting.

        Raises:
            ParameterError: there are too many.
        """
        if self.space.size > MOST_SETTINGS:
            interval = next((parameter.name for parameter in self.space if not parameter.values), None)
            why = f"parameter {interval!r} is an interval" if interval else f"there are {self.space.size:.0f}"
            raise ParameterError(
                f"policy 'exhaustive' can't try every setting: {why}", mend="choose a policy that searches"
            )
        return self.space.enumerate()

    def relevant(self, embedding: TaskEmbedding, seen: Sequence[str]) -> Sequence[str]:
        """A seen task itself; for an unseen one all."""
        return [embedding.task] if embedding.task in seen and self.records.knows(embedding) else seen
