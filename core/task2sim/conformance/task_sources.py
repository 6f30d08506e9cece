"""What task sources promise."""

from __future__ import annotations

from typing import Any

from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.specimens import Bench
from task2sim.conformance.subject import Subject
from task2sim.errors import TaskError
from task2sim.interfaces import TaskSource
from task2sim.tasks import Task

MOST = 3
"""So many of a source's tasks are loaded."""

CHECKS = CheckList()


def exercise(component: TaskSource, bench: Bench, seed: int) -> Any:
    """Load a task or three."""
    names = component.names()
    return [list(names), [component.load(name) for name in names[:MOST]]]


def _names(subject: Subject) -> tuple[str, ...]:
    def names() -> tuple[str, ...]:
        with subject.component() as source:
            return tuple(source.names())

    return subject.remembered("names", names)


def _tasks(subject: Subject) -> dict[str, Task]:
    def load() -> dict[str, Task]:
        with subject.component() as source:
            return {name: source.load(name) for name in _names(subject)[:MOST]}

    return subject.remembered("tasks", load)


@CHECKS.add(
    "names",
    "names is a tuple of one or more different texts",
    why="a study names its tasks by them",
    mend="return a sorted tuple; raise a TaskError where there is none",
)
def _names_form(subject: Subject) -> None:
    with subject.component() as source:
        names = source.names()
    require(isinstance(names, tuple) and names, f"it is {names!r}")
    require(all(isinstance(name, str) and name for name in names), f"it is {names!r}")
    require(len(set(names)) == len(names), "a name occurs twice")


@CHECKS.add(
    "load",
    "load gives a Task of the name it was asked for",
    why="scores are filed under the task's name",
    mend="Task(name=name, ...)",
)
def _load(subject: Subject) -> None:
    for name, task in _tasks(subject).items():
        require(isinstance(task, Task), f"for {name!r} it gave a {type(task).__name__}")
        require(task.name == name, f"for {name!r} it gave {task.name!r}")


@CHECKS.add(
    "every-class-is-trained",
    "every class of a task has training images",
    why="no evaluator can learn a class it never sees",
    mend="leave such a class out, or divide the images class by class (task2sim.stratified_split)",
)
def _every_class(subject: Subject) -> None:
    for name, task in _tasks(subject).items():
        missing = set(range(len(task.classes))) - set(task.train.labels.tolist())
        lacking = ", ".join(task.classes[label] for label in sorted(missing)[:3])
        require(not missing, f"task {name!r} has none of {lacking}")


@CHECKS.add(
    "loads-afresh",
    "a task is the same when it is loaded again, whatever was done to the images of the first",
    why="one user's arrays would change under another's hands",
    mend="return copies of what you keep, or keep nothing",
)
def _afresh(subject: Subject) -> None:
    name = _names(subject)[0]
    with subject.component() as source:
        first = source.load(name)
        before = first.fingerprint
        for part in (first.train, first.val, first.test):
            if not part.images.flags.writeable:
                raise NotApplicable("its arrays can't be written to")
            part.images[:] = 0
        again = source.load(name).fingerprint
        if again != before:
            with subject.component() as other:
                if other.load(name).fingerprint != other.load(name).fingerprint:
                    raise NotApplicable("it loads something else every time: see same-again")
            raise Breach("it gave the arrays that had been written to")


@CHECKS.add(
    "unknown-name",
    "an unknown name is refused with a TaskError",
    why="a misspelt task should be told as such",
    mend="raise TaskError(f'there is no task {name!r}', mend='choose one of ...')",
)
def _unknown(subject: Subject) -> None:
    with subject.component() as source:
        try:
            source.load("no such task of the kit")
        except TaskError:
            return
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error
    raise Breach("it loaded a task that does not exist")
