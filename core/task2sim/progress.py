"""Progress of long work, from wherever it happens to whoever watches.

Plugins call `report_progress`; they need not know whether anyone listens, or in which process they run. An executor
installs a listener around each piece of work with `progress_listener`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs


@attrs.frozen
class Progress:
    """How far a piece of work is.

    Attributes:
        stage: What is being done, such as ``"render"`` or ``"pretrain"``.
        done: Steps finished, in [0, total].
        total: Steps in all, > 0.
        unit: What a step is, in the plural: ``"images"``, ``"epochs"``.
        job: Which piece of work of several; filled in by whoever started it.
    """

    stage: str
    done: int
    total: int
    unit: str
    job: str = ""


Listener = Callable[[Progress], None]

_listener: ContextVar[Listener | None] = ContextVar("task2sim_progress_listener", default=None)


def report_progress(stage: str, done: int, total: int, unit: str) -> None:
    """Tell whoever listens how far the work is; does nothing when nobody does."""
    listener = _listener.get()
    if listener is not None:
        listener(Progress(stage, done, total, unit))


@contextmanager
def progress_listener(listener: Listener) -> Iterator[None]:
    """Send the progress that is reported inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def progress_of(job: str) -> Iterator[None]:
    """Mark the progress that is reported inside the block as belonging to one job."""
    outer = _listener.get()
    if outer is None:
        yield
    else:
        with progress_listener(lambda progress: outer(attrs.evolve(progress, job=job))):
            yield


class ProgressSum:
    """A listener that adds up one stage of several jobs, and tells whoever listens where it is made.

    Args:
        stage: Which stage; progress of others is passed on as it is.
        done: Steps that were finished before.
        total: Steps in all.
        unit: What a step is.
    """

    def __init__(self, stage: str, done: int, total: int, unit: str) -> None:
        self._tell = _listener.get()
        self._sum = Progress(stage, done, total, unit)
        self._jobs: dict[str, int] = {}

    def __call__(self, progress: Progress) -> None:
        """Take in what a job reports."""
        if progress.stage == self._sum.stage:
            self.reached(progress.job, progress.done)
        elif self._tell is not None:
            self._tell(attrs.evolve(progress, job=""))

    def reached(self, job: str, done: int) -> None:
        """Note how far a job is; what it told late changes nothing."""
        steps = done - self._jobs.get(job, 0)
        if steps > 0:
            self._jobs[job] = done
            self._sum = attrs.evolve(self._sum, done=self._sum.done + steps)
            if self._tell is not None:
                self._tell(self._sum)
