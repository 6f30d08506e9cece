"""Where a study's embeddings and scores come from: rendering and training, or a table of scores that are known."""

from __future__ import annotations

import json
import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs

from task2sim.components import ComponentSpec, close_components
from task2sim.errors import PluginError, StoreError
from task2sim.interfaces import Executor, RewardTable, Score, TaskEmbedder, TaskEmbedding
from task2sim.layers import ordered_layers
from task2sim.parameters import ParameterSetting
from task2sim.progress import Listener
from task2sim.registry import plugin_call
from task2sim.run import Run
from task2sim.store import META, Store, hash_key
from task2sim.study_file import StudyConfig
from task2sim.trial import EmbedJob, Recipe, Trial, TrialJob, known_trial, run_embedding, run_trial

SEARCH = "search"
"""Names the seeds of the search; the comparison uses others."""


@attrs.frozen
class Request:
    """A setting whose scores are wanted.

    Attributes:
        phase: ``"probe"``, ``"search"`` or ``"comparison"``.
        replicate: Names the seeds: ``"search"``, or ``"comparison 0"`` and so on.
        setting: What to render; None for an untrained backbone.
        split: The images to score on: ``"val"`` or ``"test"``; empty to make the backbone only.
        tasks: The tasks to score on.
    """

    phase: str
    replicate: str
    setting: ParameterSetting | None
    split: str
    tasks: tuple[str, ...]


class Scoring(ABC):
    """Answers a study's two questions: how do these tasks embed, and what do these settings score?"""

    @abstractmethod
    def embed(self, probe: Path | None) -> dict[str, TaskEmbedding]:
        """The embedding of each of the study's tasks.

        Args:
            probe: The folder of the probe network, if one is needed.
        """

    @abstractmethod
    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """How far apart two tasks are."""

    @abstractmethod
    def trials(self, requests: Sequence[Request]) -> Iterator[Trial]:
        """The trials, in the order of the requests, each as soon as it and those before it are there."""


def embed_jobs(
    study: StudyConfig, store: Store, fingerprints: Mapping[str, str], probe: Path | None, probe_key: str
) -> list[EmbedJob]:
    """How each task is embedded; `probe_key` says of which probe, even where there is no folder of it yet."""
    embedder, trainer = ComponentSpec.of(study.embedder), ComponentSpec.of(study.trainer)
    return [
        EmbedJob(store.address, embedder, trainer, probe, probe_key, task, study.seed)
        for task in fingerprints.items()
    ]


def trial_recipe(study: StudyConfig, store: Store, fingerprints: Mapping[str, str], tasks: Iterable[str]) -> Recipe:
    """How trials that are scored on these tasks are made."""
    with plugin_call(study.trainer.entry.title):
        layers = ordered_layers(study.trainer.build().layers)
    return Recipe(
        store.address,
        ComponentSpec.of(study.simulator),
        ComponentSpec.of(study.trainer),
        ComponentSpec.of(study.evaluator),
        study.images,
        layers,
        tuple((name, fingerprints[name]) for name in tasks),
        study.seed,
    )


class RenderedScoring(Scoring):
    """Renders, pre-trains and scores, taking from the store what is there.

    Args:
        study: The study.
        store: Holds the tasks' images, and what was made before.
        fingerprints: The fingerprint of each task.
        executor: Does the work.
        listener: Is told of progress.
    """

    def __init__(
        self,
        study: StudyConfig,
        store: Store,
        fingerprints: Mapping[str, str],
        executor: Executor,
        listener: Listener | None,
    ) -> None:
        self._study = study
        self._store = store
        self._fingerprints = fingerprints
        self._executor = executor
        self._listener = listener
        self._embedder: TaskEmbedder = study.embedder.build()

    def embed(self, probe: Path | None) -> dict[str, TaskEmbedding]:
        """Embed the tasks that the store has no embedding of."""
        key = "" if probe is None else self._store.key(probe)
        if probe is not None and self._store.is_remote:  # one of an earlier run may not be there yet
            data = json.loads((probe / META).read_text())
            self._store.artefact("backbones", data, partial(shutil.copytree, probe, dirs_exist_ok=True))
        jobs = embed_jobs(self._study, self._store, self._fingerprints, probe, key)
        known = {job.task[0]: run_embedding(job) for job in jobs if self._store.has("embeddings", hash_key(job.data))}
        missing = [job for job in jobs if job.task[0] not in known]
        made = (
            zip(missing, self._executor.map(run_embedding, missing, self._listener), strict=True) if missing else ()
        )
        known.update((job.task[0], embedding) for job, embedding in made)
        return {name: known[name] for name in self._fingerprints}

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """As the embedder sees it."""
        with plugin_call(self._study.embedder.entry.title):
            return float(self._embedder.distance(first, second))

    def trials(self, requests: Sequence[Request]) -> Iterator[Trial]:
        """Trials that the store has are not given to a worker."""
        jobs = [
            TrialJob(self.recipe(request.tasks), request.phase, request.replicate, request.setting, request.split)
            for request in requests
        ]
        known = {job: known_trial(job, self._store) for job in jobs}
        missing = [job for job in jobs if known[job] is None]
        running = self._executor.map(run_trial, missing, self._listener) if missing else iter(())
        for job in jobs:
            yield known[job] or next(running)

    def recipe(self, tasks: Iterable[str]) -> Recipe:
        """How trials that are scored on these tasks are made."""
        return trial_recipe(self._study, self._store, self._fingerprints, tasks)


class TableScoring(Scoring):
    """Looks scores up.

    Args:
        title: The table's plugin, for messages.
        table: The table.
        tasks: The study's tasks.
    """

    def __init__(self, title: str, table: RewardTable, tasks: Sequence[str]) -> None:
        self._title = title
        self._table = table
        self._tasks = tasks

    def embed(self, probe: Path | None) -> dict[str, TaskEmbedding]:
        """The table's embeddings."""
        with plugin_call(self._title):
            return {name: self._table.embedding(name) for name in self._tasks}

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """As the table sees it."""
        with plugin_call(self._title):
            return float(self._table.distance(first, second))

    def trials(self, requests: Sequence[Request]) -> Iterator[Trial]:
        """Look every score up."""
        for request in requests:
            assert request.setting is not None
            scores: dict[str, Score] = {}
            with plugin_call(self._title):
                for task in request.tasks:
                    scores[task] = self._table.score(task, request.setting, request.split)
            for task, score in scores.items():
                if not math.isfinite(score.value):
                    raise PluginError(f"{self._title} gave {score!r} as the score of task {task!r}")
            nothing = {"render": 0.0, "pretrain": 0.0, "score": 0.0}
            yield Trial(request.phase, request.replicate, request.setting, request.split, scores, "", "", nothing)


def score_run(run: Run, split: str, listener: Listener | None = None) -> Iterator[Trial]:
    """Score every setting that a run's search tried on all its tasks, seen and unseen.

    Scores and backbones come out of the store where it has them; what is missing is made again.

    Args:
        run: A run whose search has ended.
        split: ``"val"`` or ``"test"``.
        listener: Is told of progress.

    Yields:
        Trials, in the order of the search.

    Raises:
        StoreError: the run has tried nothing, or the store has lost a task's images.
    """
    study = run.study
    fingerprints = {row["name"]: row["fingerprint"] for row in run.results.query("SELECT * FROM tasks")}
    rows = run.results.query(
        "SELECT choices FROM settings JOIN trials ON settings.key = trials.setting WHERE phase = ?"
        " ORDER BY trials.position",
        (SEARCH,),
    )
    if not rows:
        raise StoreError(
            "this run's search has tried nothing", place=str(run.folder), mend="let task2sim run finish it"
        )
    requests = [
        Request(SEARCH, SEARCH, ParameterSetting(json.loads(row["choices"])), split, tuple(fingerprints))
        for row in rows
    ]
    if study.rewards is not None:
        yield from TableScoring(study.rewards.entry.title, study.rewards.build(), ()).trials(requests)
        return
    for name, fingerprint in fingerprints.items():
        if not run.store.has_task(name, fingerprint):
            raise StoreError(
                f"the store has no images of task {name!r}",
                place=str(run.store.root),
                mend="name the store the run was made with, or run the study again",
            )
    try:
        with study.executor.build() as executor:
            yield from RenderedScoring(study, run.store, fingerprints, executor, listener).trials(requests)
    finally:
        close_components()
