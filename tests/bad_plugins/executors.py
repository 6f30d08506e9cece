"""A good executor, which works in this process, and bad ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bad_plugins.common import Collection, Twist

from task2sim import Executor
from task2sim.progress import Listener, progress_listener

BAD = Collection()


class Good(Twist, Executor):
    @property
    def workers(self) -> int:
        return 1

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], listener: Listener | None = None
    ) -> Iterator[Any]:
        # A twist of 2 is what the kit's second seed of the global generators makes.
        for item in reversed(list(items)) if self.twist() == 2 else items:
            yield self.call(function, item, listener)

    def call(self, function: Callable[[Any], Any], item: Any, listener: Listener | None) -> Any:
        if listener is None:
            return function(item)
        with progress_listener(listener):
            return function(item)


@BAD.breaks("workers")
class Nobody(Good):
    @property
    def workers(self) -> int:
        return 0


@BAD.breaks("results-in-order")
class Shuffled(Good):
    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], listener: Listener | None = None
    ) -> Iterator[Any]:
        self.twist()
        done = []
        for item in items:
            try:
                done.append(self.call(function, item, listener))
            except Exception:
                yield from done
                raise
        yield from reversed(done)


@BAD.breaks("errors-arrive")
class Wrapping(Good):
    def call(self, function: Callable[[Any], Any], item: Any, listener: Listener | None) -> Any:
        try:
            return super().call(function, item, listener)
        except Exception as error:
            raise RuntimeError("a worker failed") from error


@BAD.breaks("goes-on-after-an-error")
class Offended(Good):
    offended = False

    def call(self, function: Callable[[Any], Any], item: Any, listener: Listener | None) -> Any:
        if self.offended:
            raise RuntimeError("the pool is broken")
        self.offended = True
        result = super().call(function, item, listener)
        self.offended = False
        return result


@BAD.breaks("progress-arrives")
class Deaf(Good):
    def call(self, function: Callable[[Any], Any], item: Any, listener: Listener | None) -> Any:
        return function(item)


@BAD.breaks("without-listener")
class Talkative(Good):
    def call(self, function: Callable[[Any], Any], item: Any, listener: Any) -> Any:
        with progress_listener(lambda progress: listener(progress)):
            return function(item)


@BAD.breaks("abandoned-map")
class Busy(Good):
    busy = False

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], listener: Listener | None = None
    ) -> Iterator[Any]:
        if self.busy:
            raise RuntimeError("the pool is busy")
        self.busy = True
        try:
            yield from super().map(function, items, listener)
        except Exception:
            self.busy = False
            raise
        self.busy = False


BAD.add_common("executors", Good, globals())
