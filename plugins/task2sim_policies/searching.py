"""What policies have in common: they remember what they tried, and go on from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from task2sim import (
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    PolicyState,
    Prediction,
    TaskEmbedding,
    TaskScore,
)
from task2sim_policies.records import Records, centred, mean_over_tasks
from task2sim_policies.states import check_policy, check_space, described


class SearchingPolicy(ParameterPolicy):
    """A policy that remembers tasks, settings and scores, in its state as well.

    A subclass says what to try next and what to predict. What it computes from the records it computes anew in
    `prepare`, or adds to the state.

    Attributes:
        name: The name it is registered by; states of other policies are refused.
        space: The parameter space.
        seed: Seed of everything random it does.
        records: What it remembers.
        proposed: The settings proposed since it was started or took up a state.
    """

    name: ClassVar[str]
    space: ParameterSpace
    seed: int
    records: Records
    proposed: set[ParameterSetting]

    def prepare(self) -> None:
        """Get ready to search with `space`, `seed` and `records`: afresh, or after a state was taken up."""

    def met(self) -> None:
        """Take in that the records have a task that is new, or another embedding of one."""

    @abstractmethod
    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """Settings to try next on these tasks, at most `n`, none of them `proposed`; empty to end the search."""

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Forget everything and begin a search."""
        self._begin(space, seed, Records())

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """Known settings that new tasks lack scores of; if there are none, what the policy suggests."""
        if self.records.meet(tasks):
            self.met()
        lacking = [setting for setting in self.records.lacking(tasks) if setting not in self.proposed]
        settings = lacking[:n] or self.suggest(tuple(tasks), n)
        self.proposed.update(settings)
        return settings

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores.

        Raises:
            TaskError: a score is not finite, or of an unknown task.
            ParameterError: a setting is not one of the space.
        """
        for score in scores:
            self.space.setting(score.setting)
        self.records.add(scores)

    def state(self) -> PolicyState:
        """What it remembers, and where that belongs."""
        records = self.records.state()
        own = {"policy": self.name, "space": described(self.space), "seed": self.seed}
        return PolicyState(records.arrays, {**own, **records.data})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up a saved state.

        Raises:
            PluginError: another policy saved it.
            ParameterError: it belongs to another parameter space.
        """
        check_policy(self.name, state)
        check_space(space, state)
        self._begin(space, state.data["seed"], Records.of_state(space, state))

    def _begin(self, space: ParameterSpace, seed: int, records: Records) -> None:
        self.space = space
        self.seed = seed
        self.records = records
        self.proposed = set()
        self.prepare()


class TriedPolicy(SearchingPolicy):
    """A policy that predicts one of the settings it tried: the best on average over some of the seen tasks."""

    @abstractmethod
    def relevant(self, embedding: TaskEmbedding, seen: Sequence[str]) -> Sequence[str]:
        """Those of the seen tasks, one or more, whose scores decide the setting for the embedded task."""

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The setting with the best mean score on the relevant tasks.

        Expected scores are means over the same tasks, for parameters of which each value was tried beside the
        setting's other values.

        Raises:
            PluginError: there are no scores.
            TaskError: the embedding's length differs from that of the tasks met.
        """
        self.records.check(embedding)
        seen = self.records.scored(self.records.vectors)
        if not seen:
            raise PluginError(f"policy {self.name!r} has seen no score yet", mend="let a study run first")
        scores = self.records.table(self.relevant(embedding, seen))
        advantages = mean_over_tasks(centred(scores))
        best = self.records.settings[int(np.nanargmax(advantages))]
        expected = dict(zip(self.records.settings, (advantages + np.nanmean(scores)).tolist(), strict=True))
        return Prediction(best, expected=self._beside(best, expected))

    def _beside(
        self, setting: ParameterSetting, scores: Mapping[ParameterSetting, float]
    ) -> dict[str, tuple[float, ...]]:
        """For each parameter, the scores with each of its values, if all of them are known."""
        rows = {}
        for parameter in self.space:
            others = [ParameterSetting({**setting, parameter.name: value}) for value in parameter.values]
            row = tuple(scores.get(other, np.nan) for other in others)
            if row and not np.isnan(row).any():
                rows[parameter.name] = row
        return rows
