"""A good embedder, and bad ones."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Backbone, Task, TaskEmbedding, spawn_generator
from task2sim.conformance.specimens import SpecimenEmbedder

BAD = Collection()


class Good(Twist, SpecimenEmbedder):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        embedding = super().embed(task, seed, probe)
        noise = spawn_generator((seed + self.twist(seed)) % 2**63, "good embedder").random(6)
        return attrs.evolve(embedding, vector=(embedding.vector + 1e-3 * noise).astype(np.float32))


@BAD.breaks("vector")
class Doubles(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> Any:
        embedding = super().embed(task, seed, probe)
        return attrs.evolve(embedding, vector=embedding.vector.astype(np.float64))


@BAD.breaks("same-length")
class ByClasses(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        embedding = super().embed(task, seed, probe)
        return attrs.evolve(embedding, vector=np.tile(embedding.vector, len(task.classes)))


@BAD.breaks("task-name")
class Nameless(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        return attrs.evolve(super().embed(task, seed, probe), task="task")


@BAD.breaks("method-is-plain-data")
class SetsInMethod(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        return attrs.evolve(super().embed(task, seed, probe), method={"layers": {1}})


@BAD.breaks("tasks-told-apart")
class Blind(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        return attrs.evolve(super().embed(task, seed, probe), vector=self._vector(seed))

    def _vector(self, seed: int) -> np.ndarray:
        return np.arange(6, dtype=np.float32)


@BAD.breaks("training-images-only")
class Peeking(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        embedding = super().embed(task, seed, probe)
        return attrs.evolve(embedding, vector=embedding.vector + np.float32(task.test.images.mean() / 255))


@BAD.breaks("leaves-task-alone")
class InPlace(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        embedding = super().embed(task, seed, probe)
        task.train.images[:] //= 2
        return embedding


@BAD.breaks("distance")
class NegativeDistance(Good):
    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        return super().distance(first, second) - 1


@BAD.breaks("small-tasks")
class Brittle(Good):
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        if len(task.train) < 5:
            raise ValueError("n_neighbors=5 > n_samples_fit")
        return super().embed(task, seed, probe)


@BAD.breaks("probe")
class NeedlessProbe(Good):
    @property
    def needs_probe(self) -> bool:
        return True


BAD.add_common("embedders", Good, globals())
