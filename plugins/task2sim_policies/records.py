"""What a policy remembers: the tasks it met, the settings it tried, and the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from task2sim import ParameterSetting, ParameterSpace, PolicyState, TaskEmbedding, TaskError, TaskScore

Scores = NDArray[np.float64]
"""float64 array of shape (tasks, settings); NaN where a setting was not scored on a task."""


class Records:
    """Tasks met, settings tried and their scores, in the order in which they came.

    Attributes:
        vectors: The embedding of each task met: float32 arrays of shape (D,) by name.
        settings: The settings that have scores.
    """

    def __init__(self) -> None:
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self.settings: list[ParameterSetting] = []
        self._scores: dict[tuple[str, ParameterSetting], float] = {}

    def meet(self, tasks: Mapping[str, TaskEmbedding]) -> bool:
        """Take in a study's tasks; a task that is known gets the embedding it has now.

        Returns:
            Whether anything is new.

        Raises:
            TaskError: there is none, an embedding is not finite, or they differ in length.
        """
        if not tasks:
            raise TaskError("a policy needs one task or more")
        for name, embedding in tasks.items():
            if not np.isfinite(embedding.vector).all():
                raise TaskError(f"the embedding of task {name!r} is not finite", mend="choose another embedder")
        for embedding in tasks.values():
            self.check(embedding)
            if embedding.vector.shape != next(iter(tasks.values())).vector.shape:
                raise TaskError("the tasks' embeddings differ in length", mend="embed all of them in the same way")
        before = dict(self.vectors)
        self.vectors.update({name: embedding.vector for name, embedding in tasks.items()})
        return before.keys() != self.vectors.keys() or any(
            not np.array_equal(before[name], self.vectors[name]) for name in tasks
        )

    def check(self, embedding: TaskEmbedding) -> None:
        """Refuse an embedding that can't be compared with those of the tasks met.

        Raises:
            TaskError: it has another length.
        """
        for vector in self.vectors.values():
            if vector.shape != embedding.vector.shape:
                raise TaskError(
                    f"the embedding of task {embedding.task!r} has {embedding.vector.size} numbers, the policy "
                    f"expects {vector.size}",
                    mend="embed it as the tasks the policy learned from",
                )

    def knows(self, embedding: TaskEmbedding) -> bool:
        """Whether this is one of the tasks met, and not another of the same name."""
        return np.array_equal(self.vectors.get(embedding.task, np.empty(0)), embedding.vector)

    def add(self, scores: Sequence[TaskScore]) -> None:
        """Take in scores; a later one replaces an earlier one of the same task and setting.

        Raises:
            TaskError: a score is not finite, or of a task that was not met.
        """
        for score in scores:
            if score.task not in self.vectors:
                raise TaskError(f"task {score.task!r} has a score but no embedding", mend="embed it first")
            if not np.isfinite(score.value):
                raise TaskError(f"the score of task {score.task!r} is {score.value}", mend="scores must be finite")
        for score in scores:
            self._scores[score.task, score.setting] = float(score.value)
        self.settings = list(dict.fromkeys([*self.settings, *(score.setting for score in scores)]))

    def score(self, task: str, setting: ParameterSetting) -> float:
        """A score; NaN if there is none."""
        return self._scores.get((task, setting), np.nan)

    def lacking(self, tasks: Iterable[str]) -> list[ParameterSetting]:
        """The settings that lack a score on one of these tasks."""
        tasks = tuple(tasks)
        return [setting for setting in self.settings if any((task, setting) not in self._scores for task in tasks)]

    def scored(self, tasks: Iterable[str]) -> list[str]:
        """Those of these tasks that have a score."""
        known = {task for task, _ in self._scores}
        return [task for task in tasks if task in known]

    def table(self, tasks: Iterable[str]) -> Scores:
        """The scores of these tasks."""
        return np.array([[self.score(task, setting) for setting in self.settings] for task in tasks])

    def state(self) -> PolicyState:
        """Everything as arrays and plain data."""
        return PolicyState(
            arrays={"embeddings": np.array(list(self.vectors.values())), "scores": self.table(self.vectors)},
            data={"tasks": list(self.vectors), "settings": [setting.as_dict() for setting in self.settings]},
        )

    @classmethod
    def of_state(cls, space: ParameterSpace, state: PolicyState) -> Records:
        """Take up what `state` gave.

        Raises:
            ParameterError: a setting is not one of the space.
        """
        records = cls()
        # A copy, since arrays that were read from a file may be gone with it.
        records.vectors = dict(zip(state.data["tasks"], np.array(state.arrays["embeddings"]), strict=True))
        settings = [space.setting(setting) for setting in state.data["settings"]]
        records.add(
            [
                TaskScore(task, setting, value)
                for task, row in zip(records.vectors, state.arrays["scores"].tolist(), strict=True)
                for setting, value in zip(settings, row, strict=True)
                if not np.isnan(value)
            ]
        )
        # In the order in which they were tried, not in which tasks have scores of them.
        records.settings = settings
        return records


def centred(scores: Scores) -> Scores:
    """Scores less their task's mean, so that a setting does not look good for being scored on easy tasks only."""
    known = ~np.isnan(scores)
    sums = np.where(known, scores, 0.0).sum(axis=1, keepdims=True)
    difference: Scores = scores - sums / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return difference


def mean_over_tasks(scores: Scores) -> NDArray[np.float64]:
    """The mean score of each setting over the tasks that have one: shape (settings,); NaN where none has."""
    known = ~np.isnan(scores)
    means: NDArray[np.float64] = np.where(known, scores, 0.0).sum(axis=0) / np.where(
        known.any(axis=0), known.sum(axis=0), np.nan
    )
    return means
