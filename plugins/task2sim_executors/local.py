"""The ``local`` executor: worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import Field

from task2sim import ComponentConfig, Executor, PluginError, not_in_key
from task2sim.interrupts import ignore_interrupts, interrupts_held
from task2sim.progress import Listener, Progress, progress_listener

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    Messages: TypeAlias = Queue[tuple[int, Progress]]

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 8
"""With ``workers: auto``; each worker holds a trainer of its own, some hundred megabytes."""


class LocalExecutor(Executor):
    """Runs work in spawned processes, which end when this one does, however it ends."""

    class Config(ComponentConfig):
        """Keys of ``executor: {type: local, ...}``."""

        workers: Annotated[
            Annotated[int, Field(ge=1, le=1024)] | Literal["auto"],
            not_in_key(description="processes; 1 works in this process, auto takes one a processor, at most 8"),
        ] = "auto"

    def __init__(self, config: Config) -> None:
        self._workers = (
            min(
                len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
                MOST_WORKERS,
            )
            if config.workers == "auto"
            else config.workers
        )
        self._pool: ProcessPoolExecutor | None = None
        self._futures: list[Future[Any]] = []
        self._maps = 0
        self._lifeline: Connection
        self._messages: Messages

    @property
    def workers(self) -> int:
        """How many pieces of work run at the same time."""
        return self._workers

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], listener: Listener | None = None
    ) -> Iterator[Result]:
        """Apply a function to each item; see `task2sim.Executor.map`."""
        if self._workers == 1:
            for item in items:
                if listener is None:
                    yield function(item)
                else:
                    with progress_listener(listener):
                        result = function(item)
                    yield result
            return
        pool, messages = self._start()
        self._maps += 1
        number = self._maps
        with interrupts_held():  # until the workers, which inherit this, ignore interrupts by themselves
            futures: list[Future[Result]] = [pool.submit(_work, number, function, item) for item in items]
        self._futures = [*(future for future in self._futures if not future.done()), *futures]
        try:
            for future in futures:
                # Listeners are called here, in the thread that asked, so that they need no locks.
                while not future.done():
                    _pass_on(messages, number, listener, timeout=0.05)
                yield future.result()
        except BrokenProcessPool:
            self.close()
            raise PluginError(
                "a worker process died",
                mend="if memory ran out, use fewer with --set executor.workers=1; finished work is kept",
            ) from None
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def close(self) -> None:
        """End the workers, at once if they are at work; may be called twice."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        if any(not future.done() for future in self._futures):
            self._lifeline.close()  # workers see the end of their pipe and exit
        pool.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()
        self._messages.close()
        self._messages.cancel_join_thread()
        self._futures = []

    def _start(self) -> tuple[ProcessPoolExecutor, Messages]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # torch and warp do not survive a fork
            theirs, self._lifeline = context.Pipe(duplex=False)
            self._messages = context.Queue()
            self._pool = ProcessPoolExecutor(
                self._workers, context, initializer=_begin_worker, initargs=(theirs, self._messages)
            )
        return self._pool, self._messages


def _pass_on(messages: Messages, number: int, listener: Listener | None, timeout: float) -> None:
    """Tell the listener of a message from this call of `map`; those that an earlier call left unread are old."""
    try:
        told, progress = messages.get(timeout=timeout)
    except queue.Empty:
        return
    if listener is not None and told == number:
        listener(progress)


_worker_messages: Messages


def _begin_worker(lifeline: Connection, messages: Messages) -> None:
    global _worker_messages
    _worker_messages = messages
    # The end of a worker must not wait for someone to read its progress.
    messages.cancel_join_thread()
    ignore_interrupts()
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()


def _end_with_parent(lifeline: Connection) -> None:
    """Exit when the other end of the pipe closes: the study ended, was interrupted or was killed."""
    try:
        lifeline.recv()
    except (EOFError, OSError):
        # Libraries' locks that are not removed now would be reported as leaked, below the study's last line.
        multiprocessing.util._run_finalizers()  # type: ignore[attr-defined]
        os._exit(0)


def _work(number: int, function: Callable[[Item], Result], item: Item) -> Result:
    with progress_listener(lambda progress: _worker_messages.put((number, progress))):
        return function(item)
