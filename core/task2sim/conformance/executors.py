"""What executors promise."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from task2sim.conformance.checks import Breach, CheckList, require
from task2sim.conformance.specimens import Bench
from task2sim.conformance.subject import Subject
from task2sim.errors import TaskError
from task2sim.interfaces import Executor
from task2sim.progress import Progress, report_progress

CHECKS = CheckList()

ITEMS = (5, 1, 4, 0, 3)


def exercise(component: Executor, bench: Bench, seed: int) -> Any:
    """Map a function over a few numbers."""
    return list(component.map(square, ITEMS))


def square(number: int) -> int:
    """The square of a number; small numbers take longer."""
    time.sleep(0.005 * max(0, 3 - number))
    return number * number


def reporting(number: int) -> int:
    """Reports progress."""
    report_progress("check", 1, 2, "steps")
    report_progress("check", 2, 2, "steps")
    return number


def failing(number: int) -> int:
    """Fails at zero."""
    if number == 0:
        raise TaskError("zero is no number for this", place="items", mend="take another")
    return number


@CHECKS.add(
    "workers",
    "workers is a whole number >= 1",
    why="datasets are divided by it",
    mend="return how many pieces of work run at the same time",
)
def _workers(subject: Subject) -> None:
    with subject.component() as executor:
        workers = executor.workers
    require(type(workers) is int and workers >= 1, f"it is {workers!r}")


@CHECKS.add(
    "results-in-order",
    "map gives one result for each item, in the items' order; none for none",
    why="results are matched with items by their position",
    mend="wait for the first item's result before yielding the second's",
)
def _in_order(subject: Subject) -> None:
    with subject.component() as executor:
        for items in (ITEMS, (), (2,)):
            got = list(executor.map(square, iter(items)))
            require(got == [number * number for number in items], f"for the squares of {list(items)} it gave {got}")


@CHECKS.add(
    "errors-arrive",
    "what the function raises is raised, whole, after the results before it",
    why="an error's place and mend are what a user needs to go on",
    mend="re-raise the worker's exception itself, when its turn has come",
)
def _errors(subject: Subject) -> None:
    got = []
    with subject.component() as executor:
        try:
            for result in executor.map(failing, ITEMS):
                got.append(result)
        except TaskError as error:
            require((error.place, error.mend) == ("items", "take another"), f"it lost place or mend: {error}")
        except Exception as error:
            raise Breach(f"a TaskError arrived as {type(error).__name__}: {error}") from error
        else:
            raise Breach(f"no error arrived, but {got}")
    require(got == [5, 1, 4], f"before the error it gave {got}, not [5, 1, 4]")


@CHECKS.add(
    "goes-on-after-an-error",
    "after an error it works on",
    why="a study may go on with other work, and closes the executor in peace",
    mend="cancel what was queued; keep the workers",
)
def _goes_on(subject: Subject) -> None:
    with subject.component() as executor:
        with contextlib.suppress(Exception):
            list(executor.map(failing, ITEMS))
        got = list(executor.map(square, ITEMS))
    require(sorted(got) == sorted(number * number for number in ITEMS), f"it gave {got}")


@CHECKS.add(
    "progress-arrives",
    "the listener is told in this process of what the function reports",
    why="progress bars would stand still",
    mend="send reports to the caller's process, and call the listener there (task2sim.progress.progress_listener)",
)
def _progress(subject: Subject) -> None:
    told: list[tuple[int, Progress]] = []
    with subject.component() as executor:
        list(executor.map(reporting, range(4), lambda progress: told.append((os.getpid(), progress))))
    require(told, "it was told nothing")
    stages = {progress.stage for _, progress in told}
    require(stages == {"check"}, f"it was told of {', '.join(sorted(stages))}")


@CHECKS.add(
    "without-listener",
    "without a listener it works as well",
    why="the listener may be left out",
    mend="def map(self, function, items, listener=None)",
)
def _without(subject: Subject) -> None:
    with subject.component() as executor:
        require(sorted(executor.map(reporting, range(3))) == [0, 1, 2], "it gave something else")


@CHECKS.add(
    "abandoned-map",
    "after a map that was not read to its end it works on",
    why="an observer may stop a study in the middle of a round",
    mend="cancel what was queued when the iterator is closed",
)
def _abandoned(subject: Subject) -> None:
    with subject.component() as executor:
        iterator = iter(executor.map(square, ITEMS))
        next(iterator)
        if hasattr(iterator, "close"):
            iterator.close()
        got = list(executor.map(square, ITEMS))
    require(sorted(got) == sorted(number * number for number in ITEMS), f"it gave {got}")
