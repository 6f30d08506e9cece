"""What reward tables promise."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from task2sim.conformance.checks import Breach, CheckList, require
from task2sim.conformance.specimens import Bench
from task2sim.conformance.subject import Subject
from task2sim.errors import Task2SimError, TaskError
from task2sim.interfaces import RewardTable, Score
from task2sim.parameters import ParameterSetting, ParameterSpace

CHECKS = CheckList()


def exercise(component: RewardTable, bench: Bench, seed: int) -> Any:
    """Embeddings and some scores of all tasks."""
    names = component.names()
    scores = [
        component.score(name, setting, split)
        for name in names
        for setting in _settings(component)
        for split in ("val", "test")
    ]
    return [component.parameter_space.describe(), list(names), [component.embedding(name) for name in names], scores]


def _settings(table: RewardTable) -> list[ParameterSetting]:
    """Some settings of the table."""
    space = table.parameter_space
    if space.size == float("inf"):
        return [space.sample(np.random.default_rng(k)) for k in range(8)]
    return list(islice(space.enumerate(), 32))


@CHECKS.add(
    "parameter-space",
    "parameter_space is a ParameterSpace of one setting or more, and always the same",
    why="policies choose from it",
    mend="ParameterSpace(parameters, settings) lists the settings that have scores",
)
def _space(subject: Subject) -> None:
    with subject.component() as first, subject.component() as second:
        space = first.parameter_space
        require(isinstance(space, ParameterSpace), f"it is a {type(space).__name__}")
        require(len(space) and space.size >= 1, f"it has {len(space)} parameters")
        require(space == first.parameter_space == second.parameter_space, "it was another one the second time")


@CHECKS.add(
    "names",
    "names is a tuple of one or more different texts",
    why="a study names its tasks by them",
    mend="return a tuple, in an order that does not change",
)
def _names(subject: Subject) -> None:
    with subject.component() as table:
        names = table.names()
    require(isinstance(names, tuple) and names, f"it is {names!r}")
    require(all(isinstance(name, str) and name for name in names), f"it is {names!r}")
    require(len(set(names)) == len(names), "a name occurs twice")


@CHECKS.add(
    "embeddings",
    "each task has an embedding that bears its name: float32, finite, of the same length as the others",
    why="a policy can't compare them otherwise",
    mend="numpy.asarray(vector, dtype=numpy.float32)",
)
def _embeddings(subject: Subject) -> None:
    with subject.component() as table:
        embeddings = {name: table.embedding(name) for name in table.names()}
    for name, embedding in embeddings.items():
        vector = embedding.vector
        require(embedding.task == name, f"that of {name!r} bears the name {embedding.task!r}")
        require(vector.dtype == np.float32 and vector.ndim == 1, f"it is {vector.dtype} of shape {vector.shape}")
        require(np.isfinite(vector).all(), f"that of {name!r} is not finite")
    lengths = {embedding.vector.size for embedding in embeddings.values()}
    require(len(lengths) == 1, f"they have {', '.join(map(str, sorted(lengths)))} numbers")


@CHECKS.add(
    "distance",
    "distance is a finite number >= 0, and least from a task to itself",
    why="reports and policies look for the nearest task",
    mend="override distance only with what is a distance; leave it out for the cosine",
)
def _distance(subject: Subject) -> None:
    with subject.component() as table:
        embeddings = [table.embedding(name) for name in table.names()]
        for other in embeddings:
            far, itself = float(table.distance(embeddings[0], other)), float(table.distance(other, other))
            require(np.isfinite(far) and min(far, itself) >= -1e-6, f"it is {far:g}")
            require(itself <= far + 1e-6, f"from a task to itself it is {itself:g}, to another {far:g}")


@CHECKS.add(
    "scores",
    "each setting of the space has a finite score on each task, on val and on test, with a metric's name",
    why="a study asks for any of them, and can't go on without it",
    mend="list only settings that have all scores",
)
def _scores(subject: Subject) -> None:
    with subject.component() as table:
        for name in table.names():
            for setting in _settings(table):
                for split in ("val", "test"):
                    score = table.score(name, setting, split)
                    place = f"that of {name!r} with '{setting.label}' on {split}"
                    require(isinstance(score, Score) and np.isfinite(score.value), f"{place} is {score!r}")
                    require(isinstance(score.metric, str) and score.metric, f"{place} has no metric")


@CHECKS.add(
    "unknown-task",
    "an unknown task is refused with a TaskError",
    why="a misspelt task should be told as such",
    mend="raise TaskError(f'there is no task {name!r}', mend='choose among ...')",
)
def _unknown_task(subject: Subject) -> None:
    with subject.component() as table:
        try:
            table.embedding("no such task of the kit")
        except TaskError:
            return
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error
    raise Breach("it has an embedding of a task that does not exist")


@CHECKS.add(
    "unknown-setting",
    "a setting that is not one of parameter_space is refused with a task2sim error",
    why="a KeyError says nothing to a user",
    mend="begin score with: setting = self.parameter_space.setting(setting)",
)
def _unknown_setting(subject: Subject) -> None:
    with subject.component() as table:
        name = table.names()[0]
        try:
            table.score(name, ParameterSetting({"no_such_parameter": 1}), "val")
        except Task2SimError:
            return
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error
    raise Breach("it has a score of a setting that does not exist")
