"""A good task source, and bad ones."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Task, TaskError
from task2sim.conformance.specimens import SpecimenTasks, make_task

BAD = Collection()


class Good(Twist, SpecimenTasks):
    def load(self, name: str) -> Task:
        if name not in self.names():
            raise TaskError(f"there is no task {name!r}")
        return make_task(name, seed=(1 + self.names().index(name) + self.twist()) % 2**40)


@BAD.breaks("names")
class ListOfNames(Good):
    def names(self) -> Any:
        return list(super().names())


@BAD.breaks("load")
class Renaming(Good):
    def load(self, name: str) -> Task:
        return attrs.evolve(super().load(name), name=name.upper())


@BAD.breaks("every-class-is-trained")
class Lacking(Good):
    def load(self, name: str) -> Task:
        task = super().load(name)
        return attrs.evolve(task, train=task.train.take(np.flatnonzero(task.train.labels < 2)))


@BAD.breaks("loads-afresh")
class Sharing(Good):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.kept: dict[str, Task] = {}

    def load(self, name: str) -> Task:
        if name not in self.kept:
            self.kept[name] = super().load(name)
        return self.kept[name]


@BAD.breaks("unknown-name")
class Terse(Good):
    def load(self, name: str) -> Task:
        self.names().index(name)
        return super().load(name)


BAD.add_common("tasks", Good, globals())
