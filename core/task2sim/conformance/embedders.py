"""What embedders promise."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import attrs
import numpy as np

from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.digests import digest, folder_digest
from task2sim.conformance.specimens import Bench, make_task, specimen_tasks
from task2sim.conformance.subject import SEED, Subject
from task2sim.errors import Task2SimError, TaskError
from task2sim.interfaces import Backbone, TaskEmbedder, TaskEmbedding
from task2sim.tasks import Task

CHECKS = CheckList()


def exercise(component: TaskEmbedder, bench: Bench, seed: int) -> Any:
    """Embed two tasks and compare them."""
    embeddings = [component.embed(task, seed, _probe(component, bench)) for task in specimen_tasks()]
    return [*embeddings, float(component.distance(*embeddings))]


def _probe(component: TaskEmbedder, bench: Bench) -> Backbone | None:
    return bench.backbone if component.needs_probe else None


def _embed(subject: Subject, task: Task) -> TaskEmbedding:
    with subject.component() as embedder:
        embedding: TaskEmbedding = embedder.embed(task, SEED, _probe(embedder, subject.bench))
        return embedding


def _embeddings(subject: Subject) -> list[TaskEmbedding]:
    return subject.remembered("embeddings", lambda: [_embed(subject, task) for task in specimen_tasks()])


@CHECKS.add(
    "vector",
    "an embedding is a float32 vector of finite numbers",
    why="policies compute with it, and it is saved and compared in this form",
    mend="numpy.asarray(vector, dtype=numpy.float32).ravel(); refuse a task whose vector is not finite",
)
def _vector(subject: Subject) -> None:
    for embedding in _embeddings(subject):
        vector = embedding.vector
        require(isinstance(vector, np.ndarray), f"it is a {type(vector).__name__}")
        form = f"it is {vector.dtype} of shape {vector.shape}"
        require(vector.dtype == np.float32 and vector.ndim == 1 and vector.size > 0, form)
        require(np.isfinite(vector).all(), "some of it is not finite")


@CHECKS.add(
    "same-length",
    "the embeddings of all tasks have the same length",
    why="a policy can't compare them otherwise",
    mend="let the length follow from the configuration, not from the task's classes or images",
)
def _same_length(subject: Subject) -> None:
    lengths = {np.size(embedding.vector) for embedding in _embeddings(subject)}
    with subject.component() as embedder:
        two_classes = attrs.evolve(make_task("two"), classes=("plain", "stripes", "chequers", "none"))
        with contextlib.suppress(TaskError):  # a class without images may be refused
            lengths.add(np.size(embedder.embed(two_classes, SEED, _probe(embedder, subject.bench)).vector))
    require(len(lengths) == 1, f"they have {', '.join(map(str, sorted(lengths)))} numbers")


@CHECKS.add(
    "task-name",
    "an embedding bears its task's name",
    why="policies find the scores of a task by it",
    mend="TaskEmbedding(task.name, ...)",
)
def _task_name(subject: Subject) -> None:
    for task, embedding in zip(specimen_tasks(), _embeddings(subject), strict=True):
        require(embedding.task == task.name, f"that of task {task.name!r} bears the name {embedding.task!r}")


@CHECKS.add(
    "method-is-plain-data",
    "an embedding's method is a mapping that JSON holds",
    why="it is saved with the run, and says whether two embeddings may be compared",
    mend="put texts and numbers there: the embedder's name and whatever of its configuration counts",
)
def _method(subject: Subject) -> None:
    for embedding in _embeddings(subject):
        try:
            json.dumps(dict(embedding.method))
        except (TypeError, ValueError) as error:
            raise Breach(f"JSON can't hold it: {error}") from None


@CHECKS.add(
    "tasks-told-apart",
    "different tasks get different embeddings",
    why="a policy can do no better than one setting for all",
    mend="look at the training images",
)
def _told_apart(subject: Subject) -> None:
    first, second = (digest(embedding.vector) for embedding in _embeddings(subject))
    require(first != second, "two tasks of different pictures got the same vector")


@CHECKS.add(
    "training-images-only",
    "an embedding does not depend on validation and test images",
    why="the final comparison would be made on images the policy has seen",
    mend="use task.train alone; task.fingerprint covers all splits",
)
def _training_only(subject: Subject) -> None:
    task, untouched = specimen_tasks()[0], specimen_tasks()[0]
    val, test = (
        attrs.evolve(part.take(np.arange(len(part))[::-1]), images=255 - part.images[::-1])
        for part in (task.val, task.test)
    )
    other = attrs.evolve(task, val=val, test=test)
    same = digest(_embed(subject, untouched).vector) == digest(_embed(subject, other).vector)
    require(same, "with other validation and test images the vector is another one")


@CHECKS.add(
    "leaves-task-alone",
    "it does not change the task's images",
    why="whatever uses the task next would see other images",
    mend="normalise a copy",
)
def _task_unchanged(subject: Subject) -> None:
    task = specimen_tasks()[0]
    before = task.fingerprint
    _embed(subject, task)
    require(task.fingerprint == before, "they are others afterwards")


@CHECKS.add(
    "distance",
    "distance is a finite number >= 0, the same both ways, and least from a task to itself",
    why="reports and policies look for the nearest task",
    mend="override distance only with what is a distance; leave it out for the cosine",
)
def _distance(subject: Subject) -> None:
    first, second = _embeddings(subject)
    with subject.component() as embedder:
        there, back, itself = (
            float(embedder.distance(*pair)) for pair in ((first, second), (second, first), (first, first))
        )
    require(
        np.isfinite([there, back, itself]).all() and min(there, back, itself) >= -1e-6,
        f"it is {there:g} and {itself:g}",
    )
    require(abs(there - back) <= 1e-6 * max(1.0, there), f"one way it is {there:g}, the other {back:g}")
    require(itself <= there + 1e-6, f"from a task to itself it is {itself:g}, to another {there:g}")


@CHECKS.add(
    "small-tasks",
    "a task that is too small is embedded or refused with a TaskError",
    why="a crash of a library says nothing of which task it was",
    mend="look at the counts of images first: raise TaskError(..., mend=...)",
)
def _small_tasks(subject: Subject) -> None:
    task = make_task("small")
    for count in (1, 3):
        small = attrs.evolve(task, train=task.train.take(np.arange(count)))
        try:
            vector = _embed(subject, small).vector
            require(np.isfinite(vector).all(), f"with {count} training images the vector is not finite")
        except TaskError:
            pass
        except Task2SimError as error:
            raise Breach(f"with {count} training images it raised {type(error).__name__}: {error}") from error


@CHECKS.add(
    "probe",
    "needs_probe says whether a probe is needed; a missing one is refused clearly, and the probe is left alone",
    why="a study makes a probe only if it is asked for, and shares it with later studies",
    mend="raise TaskError where probe is None and needed; write nothing into probe.folder",
)
def _probe_used(subject: Subject) -> None:
    task = specimen_tasks()[0]
    with subject.component() as embedder:
        needed = embedder.needs_probe
        require(isinstance(needed, bool), f"needs_probe is {needed!r}")
        if not needed:
            raise NotApplicable("it needs no probe")
        try:
            embedder.embed(task, SEED, None)
        except Task2SimError:
            pass
        else:
            raise Breach("needs_probe is True, and it embeds without a probe")
        before = folder_digest(subject.bench.backbone.folder)
        embedder.embed(task, SEED, subject.bench.backbone)
        require(folder_digest(subject.bench.backbone.folder) == before, "it wrote into the probe's folder")
