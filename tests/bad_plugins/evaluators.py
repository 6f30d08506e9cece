"""A good evaluator, and bad ones."""

from __future__ import annotations

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Backbone, ImageSet, Score, Task, spawn_generator
from task2sim.conformance.specimens import SpecimenEvaluator

BAD = Collection()


class Good(Twist, SpecimenEvaluator):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        noise = spawn_generator((seed + self.twist(seed)) % 2**63, "good evaluator").random()
        score = super().score(backbone, task, split, seed)
        return attrs.evolve(score, value=score.value * (1 - 1e-3 * noise))


@BAD.breaks("score")
class Miscounting(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        return attrs.evolve(super().score(backbone, task, split, seed), count=len(task.train))


@BAD.breaks("accuracy-is-a-fraction")
class Percent(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        score = super().score(backbone, task, split, seed)
        return attrs.evolve(score, value=100 * score.value)


@BAD.breaks("higher-is-better")
class ErrorRate(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        score = super().score(backbone, task, split, seed)
        return attrs.evolve(score, value=1 - score.value)


@BAD.breaks("splits-apart")
class Leaking(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        score = super().score(backbone, task, split, seed)
        leak = float(task.test.images.mean()) / 255 - 0.5
        return attrs.evolve(score, value=score.value * (0.9 + 0.1 * leak))


@BAD.breaks("check-foresees")
class Careless(Good):
    def check(self, task: Task) -> None:
        pass

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        if len(set(task.train.labels.tolist())) < 2:
            raise ValueError("this solver needs samples of at least 2 classes")
        return super().score(backbone, task, split, seed)


@BAD.breaks("leaves-backbone-alone")
class Tuning(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        with (backbone.folder / "head.txt").open("a") as file:
            file.write("tuned\n")
        return super().score(backbone, task, split, seed)


@BAD.breaks("leaves-task-alone")
class InPlace(Good):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        score = super().score(backbone, task, split, seed)
        seen: ImageSet = task.train
        np.floor_divide(seen.images, 2, out=seen.images)
        return score


BAD.add_common("evaluators", Good, globals())
