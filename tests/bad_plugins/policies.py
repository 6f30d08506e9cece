"""A good policy, and bad ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Interval, ParameterSetting, ParameterSpace, PolicyState, Prediction, TaskEmbedding, TaskScore
from task2sim.conformance.specimens import SpecimenPolicy

BAD = Collection()


class Good(Twist, SpecimenPolicy):
    def start(self, space: ParameterSpace, seed: int) -> None:
        super().start(space, (seed + self.twist(seed)) % 2**63)


@BAD.breaks("proposes-settings")
class Inventive(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        return [ParameterSetting({**setting, "snow": 1}) for setting in super().propose(tasks, n)]

    def observe(self, scores: Sequence[TaskScore]) -> None:
        known = [{name: score.setting[name] for name in self.space.names} for score in scores]
        settings = map(ParameterSetting, known)
        super().observe([attrs.evolve(score, setting=s) for score, s in zip(scores, settings, strict=True)])


@BAD.breaks("proposes-distinct")
class Stuttering(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        settings = super().propose(tasks, n)
        return settings + settings[:1]


@BAD.breaks("keeps-to-budget")
class Greedy(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        return super().propose(tasks, n + 1)


@BAD.breaks("listed-settings")
class Unlisted(Good):
    def start(self, space: ParameterSpace, seed: int) -> None:
        super().start(ParameterSpace(space.parameters), seed)


@BAD.breaks("bounded-parameters")
class Unbounded(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        bounded = {parameter.name: -5.0 for parameter in self.space if isinstance(parameter, Interval)}
        return [ParameterSetting({**setting, **bounded}) for setting in super().propose(tasks, n)]


@BAD.breaks("all-tried")
class Insatiable(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        if not (settings := super().propose(tasks, n)):
            raise RuntimeError("no setting left")
        return settings


@BAD.breaks("refuses-bad-scores")
class Gullible(Good):
    def observe(self, scores: Sequence[TaskScore]) -> None:
        for score in scores:
            self.scores[score.setting] = self.scores.get(score.setting, 0.0) + score.value


@BAD.breaks("embeddings-that-differ-in-length")
class Stacking(Good):
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        np.stack([embedding.vector for embedding in tasks.values()])
        return super().propose(tasks, n)


@BAD.breaks("predicts-settings")
class Prophet(Good):
    def predict(self, embedding: TaskEmbedding) -> Prediction:
        prediction = super().predict(embedding)
        return attrs.evolve(prediction, setting=ParameterSetting({**prediction.setting, "snow": 1}))


@BAD.breaks("predicts-without-randomness")
class Fickle(Good):
    def start(self, space: ParameterSpace, seed: int) -> None:
        super().start(space, seed)
        self.asked = 0

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        self.asked += 1
        best = sorted(self.scores, key=lambda setting: setting.key)
        return attrs.evolve(super().predict(embedding), setting=best[self.asked % 3])


@BAD.breaks("probabilities")
class Sure(Good):
    def predict(self, embedding: TaskEmbedding) -> Prediction:
        prediction = super().predict(embedding)
        ones = {name: tuple(1.0 for _ in row) for name, row in prediction.probabilities.items()}
        return attrs.evolve(prediction, probabilities=ones)


@BAD.breaks("expected-scores")
class Unsure(Good):
    def predict(self, embedding: TaskEmbedding) -> Prediction:
        prediction = super().predict(embedding)
        unknown = {name: tuple(math.nan for _ in row) for name, row in prediction.expected.items()}
        return attrs.evolve(prediction, expected=unknown)


@BAD.breaks("state-is-plain")
class SetState(Good):
    def state(self) -> PolicyState:
        state = super().state()
        return PolicyState(state.arrays, {**state.data, "range": {0, 1}})


@BAD.breaks("state-predicts-the-same")
class Forgetful(Good):
    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        super().load_state(space, state)
        self.scores = {setting: -score for setting, score in self.scores.items()}


@BAD.breaks("state-goes-on")
class Retired(Good):
    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        super().load_state(space, state)
        del self.generator


@BAD.breaks("state-of-another-space")
class Traveller(Good):
    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        described: list[dict[str, Any]] = state.data["space"]
        if [parameter["name"] for parameter in described] == list(space.names):
            super().load_state(space, state)
        else:
            self.start(space, 0)


BAD.add_common("policies", Good, globals())
