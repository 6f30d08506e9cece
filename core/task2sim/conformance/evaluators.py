"""What evaluators promise."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.digests import digest, folder_digest
from task2sim.conformance.specimens import Bench, make_task, specimen_tasks
from task2sim.conformance.subject import SEED, Subject
from task2sim.errors import TaskError
from task2sim.interfaces import Evaluator, Score
from task2sim.tasks import MASKS, ImageSet, Task

CHECKS = CheckList()


def exercise(component: Evaluator, bench: Bench, seed: int) -> Any:
    """Score a backbone on both splits of a task."""
    task = specimen_tasks()[0]
    component.check(task)
    return [component.score(bench.backbone, task, split, seed) for split in ("val", "test")]


def _score(subject: Subject, task: Task, split: str = "val") -> Score:
    with subject.component() as evaluator:
        score: Score = evaluator.score(subject.bench.backbone, task, split, SEED)
        return score


def _scores(subject: Subject) -> dict[tuple[str, str], Score]:
    """Scores of the specimens, by task and split."""

    def score() -> dict[tuple[str, str], Score]:
        return {(t.name, split): _score(subject, t, split) for t in specimen_tasks() for split in ("val", "test")}

    return subject.remembered("scores", score)


@CHECKS.add(
    "score",
    "a score has a finite value, the metric's name and the number of images it was measured on",
    why="tables and error bars are made of them",
    mend="Score(float(value), 'accuracy', len(task.split(split)))",
)
def _form(subject: Subject) -> None:
    for task in specimen_tasks():
        for split in ("val", "test"):
            score = _scores(subject)[task.name, split]
            require(isinstance(score, Score), f"it is {score!r}")
            require(isinstance(score.value, float) and np.isfinite(score.value), f"its value is {score.value!r}")
            require(isinstance(score.metric, str) and score.metric, f"its metric is {score.metric!r}")
            due = len(task.split(split))
            require(score.count == due, f"its count is {score.count!r}, and {split} has {due} images")


@CHECKS.add(
    "accuracy-is-a-fraction",
    "an accuracy is a fraction in [0, 1]",
    why="tables show it in percent: 85 would become 8500 %",
    mend="do not multiply by 100",
)
def _fraction(subject: Subject) -> None:
    scores = list(_scores(subject).values())
    if not any("accuracy" in str(score.metric) for score in scores):
        raise NotApplicable(f"its metric is {scores[0].metric!r}")
    for score in scores:
        require(0 <= score.value <= 1, f"it is {score.value:g}")


@CHECKS.add(
    "higher-is-better",
    "what is easy to tell apart scores higher than labels drawn by lot",
    why="a policy maximises the score",
    mend="return an accuracy or a negated loss",
)
def _higher(subject: Subject) -> None:
    easy = make_task("easy")
    generator = np.random.default_rng(0)

    def lots(part: ImageSet) -> ImageSet:
        order = generator.permutation(len(part))
        return attrs.evolve(part.take(order), images=part.images)

    hard = attrs.evolve(easy, train=lots(easy.train), val=lots(easy.val))
    scores = _score(subject, easy).value, _score(subject, hard).value
    if scores[1] - 0.1 <= scores[0] <= scores[1]:
        raise NotApplicable("it learned nothing from 24 images: try it with more epochs")
    require(
        scores[0] > scores[1], f"an easy task scores {scores[0]:.3g}, one with labels drawn by lot {scores[1]:.3g}"
    )


@CHECKS.add(
    "splits-apart",
    "a score on the validation images does not depend on the test images",
    why="the search would learn from the images of the final comparison",
    mend="look at task.train and task.split(split) alone",
)
def _splits_apart(subject: Subject) -> None:
    task, untouched = make_task("apart"), make_task("apart")
    test = attrs.evolve(task.test.take(np.roll(np.arange(len(task.test)), 1)), images=255 - task.test.images)
    first, second = _score(subject, untouched), _score(subject, attrs.evolve(task, test=test))
    require(first.value == second.value, f"it is {first.value:g}, with other test images {second.value:g}")


@CHECKS.add(
    "check-foresees",
    "a task that check lets pass can be scored",
    why="check is asked before hours of rendering, score after them",
    mend="raise in check whatever TaskError score would raise",
)
def _foresees(subject: Subject) -> None:
    task = make_task("awkward")
    awkward = {
        "one training image": task.train.take(np.arange(1)),
        "three training images": task.train.take(np.arange(3)),
        "training images of one class only": task.train.take(np.flatnonzero(task.train.labels == 0)),
        "no training images of the last class": task.train.take(np.flatnonzero(task.train.labels < 2)),
        "empty masks": attrs.evolve(task.train, **{name: np.zeros_like(getattr(task.train, name)) for name in MASKS}),
    }
    tasks = {what: attrs.evolve(task, train=train) for what, train in awkward.items()}
    bare = [attrs.evolve(part, **dict.fromkeys(MASKS)) for part in (task.train, task.val, task.test)]
    tasks["images without masks"] = attrs.evolve(task, train=bare[0], val=bare[1], test=bare[2])
    with subject.component() as evaluator:
        for what, shown in tasks.items():
            try:
                evaluator.check(shown)
            except TaskError:
                continue
            except Exception as error:
                raise Breach(f"for a task with {what} check raised {type(error).__name__}: {error}") from error
            try:
                evaluator.score(subject.bench.backbone, shown, "val", SEED)
            except Exception as error:
                raise Breach(
                    f"check passed a task with {what}, and score raised {type(error).__name__}: {error}"
                ) from error


@CHECKS.add(
    "leaves-backbone-alone",
    "the backbone is not changed",
    why="it is scored on one task after another",
    mend="train a copy; write nothing into backbone.folder",
)
def _backbone_alone(subject: Subject) -> None:
    images = make_task("look").val.images

    def look() -> tuple[str, str]:
        backbone = subject.bench.backbone
        return digest(backbone.features(images)), digest(folder_digest(backbone.folder))

    before = look()
    _score(subject, specimen_tasks()[0])
    after = look()
    require(before[0] == after[0], "its features are others afterwards")
    require(before[1] == after[1], "its folder holds something else afterwards")


@CHECKS.add(
    "leaves-task-alone",
    "it does not change the task's images",
    why="whatever uses the task next would see other images",
    mend="normalise a copy",
)
def _task_alone(subject: Subject) -> None:
    task = specimen_tasks()[0]
    before = task.fingerprint
    _score(subject, task)
    require(task.fingerprint == before, "they are others afterwards")
