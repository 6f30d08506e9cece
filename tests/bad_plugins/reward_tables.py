"""A good reward table, and bad ones."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import ParameterSetting, ParameterSpace, RewardTable, Score, TaskEmbedding, TaskError
from task2sim.conformance.specimens import SPACE, reward, specimen_embeddings

BAD = Collection()


class Good(Twist, RewardTable):
    @property
    def parameter_space(self) -> ParameterSpace:
        return SPACE

    def names(self) -> tuple[str, ...]:
        return tuple(specimen_embeddings())

    def embedding(self, name: str) -> TaskEmbedding:
        if name not in self.names():
            raise TaskError(f"there is no task {name!r}")
        return specimen_embeddings()[name]

    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        setting = SPACE.setting(setting)
        return Score(reward(name, setting) + 1e-6 * self.twist(), "accuracy", 10)


@BAD.breaks("parameter-space")
class Empty(Good):
    @property
    def parameter_space(self) -> Any:
        return UnequalSpace(SPACE.parameters)


class UnequalSpace(ParameterSpace):
    """Never the same twice."""

    __hash__ = ParameterSpace.__hash__

    def __eq__(self, other: object) -> bool:
        return False


@BAD.breaks("names")
class Twice(Good):
    def names(self) -> tuple[str, ...]:
        return (*super().names(), "task a")


@BAD.breaks("embeddings")
class Doubles(Good):
    def embedding(self, name: str) -> Any:
        embedding = super().embedding(name)
        return attrs.evolve(embedding, vector=embedding.vector.astype(np.float64))


@BAD.breaks("distance")
class Similarity(Good):
    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        return 1 - super().distance(first, second)


@BAD.breaks("scores")
class Gaps(Good):
    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        score = super().score(name, setting, split)
        return attrs.evolve(score, value=float("nan")) if split == "test" and setting["fog"] == 0 else score


@BAD.breaks("unknown-task")
class TerseTask(Good):
    def embedding(self, name: str) -> TaskEmbedding:
        return specimen_embeddings()[name]


@BAD.breaks("unknown-setting")
class TerseSetting(Good):
    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        if setting.keys() - set(SPACE.names):
            raise KeyError(setting)
        return super().score(name, setting, split)


BAD.add_common("rewards", Good, globals())
