"""A policy that tries random settings and predicts the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from task2sim import (
    ComponentConfig,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    Prediction,
    TaskEmbedding,
    TaskError,
    TaskScore,
    spawn_generator,
)


class MyPlugin(ParameterPolicy):
    """Tries random settings, and predicts for every task the one that was best on average."""

    class Config(ComponentConfig):
        """Keys of ``policy: {type: my-plugin, ...}``."""

        # blank: further keys, each with bounds and a description.
        draws: Annotated[int, Field(ge=1, le=10_000, description="tries to find a setting that is new")] = 100

    def __init__(self, config: Config) -> None:
        self.config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Begin a search; all that is random comes from the seed."""
        self.space, self.generator = space, spawn_generator(seed, "my-plugin")
        self.totals: dict[ParameterSetting, float] = {}

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """Choose up to n settings that were not tried; none ends the search."""
        # blank: which settings are worth a pre-training? `self.space.enumerate()` lists them where they are few.
        new: dict[ParameterSetting, None] = {}
        for _ in range(self.config.draws):
            if len(new) < n and (setting := self.space.sample(self.generator)) not in self.totals:
                new[setting] = None
        return list(new)

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Learn from the scores of what was proposed, on every seen task."""
        # blank: what do the scores teach about other settings, and about tasks that are alike?
        for score in scores:
            if not math.isfinite(score.value):
                raise TaskError(f"the score of task {score.task!r} is {score.value}")
            self.totals[score.setting] = self.totals.get(score.setting, 0.0) + score.value

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """Choose the setting for a task, seen or unseen, without randomness."""
        # blank: make use of the embedding.
        return Prediction(max(self.totals, key=self.totals.__getitem__))

    def state(self) -> PolicyState:
        """What was learned, as arrays and plain data."""
        return PolicyState(data={"totals": [[setting.as_dict(), total] for setting, total in self.totals.items()]})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up what was learned; afterwards the policy predicts the same, and can go on."""
        self.start(space, 0)
        self.totals = {space.setting(values): total for values, total in state.data["totals"]}
