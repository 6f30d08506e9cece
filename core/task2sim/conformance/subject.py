"""The component that is checked, and where its errors come from."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from task2sim.conformance.digests import digest
from task2sim.conformance.isolation import global_generators
from task2sim.conformance.specimens import Bench
from task2sim.interfaces import Component, ComponentConfig, Trainer

Value = TypeVar("Value")

SEED = 20220614
"""The seed that components are tried with, where one of them is enough."""


class Subject:
    """A component under examination.

    Args:
        kind: One of `task2sim.registry.KINDS`.
        build: Makes the component.
        config: Its configuration, if it is known.
        trainer: Makes the trainer of the backbones that embedders and evaluators are tried with.
        quick: Whether long checks take a quarter of the images.

    Attributes:
        printed: What was printed in the checks so far.
        touched: The global random generators that `result` was seen to change.
        loaded: The global random generators that were watched at least once.
        measures: What was measured on the way, as texts.
    """

    def __init__(
        self,
        kind: str,
        build: Callable[[], Any],
        config: ComponentConfig | None,
        trainer: Callable[[], Trainer],
        quick: bool,
    ) -> None:
        self.kind = kind
        self.build = build
        self.config = config
        self.quick = quick
        self.bench = Bench(trainer)
        self.printed = ""
        self.touched: set[str] = set()
        self.loaded: set[str] = set()
        self.measures: dict[str, str] = {}
        self._remembered: dict[str, Any] = {}

    @cached_property
    def component_class(self) -> type[Component]:
        """The component's class."""
        with self.component() as component:
            return type(component)

    @contextmanager
    def component(self) -> Iterator[Any]:
        """A new component, closed at the end of the block."""
        component = self.build()
        try:
            yield component
        finally:
            if hasattr(component, "close"):
                component.close()

    def remembered(self, name: str, make: Callable[[], Value]) -> Value:
        """What `make` gives, made once; for what several checks look at."""
        if name not in self._remembered:
            self._remembered[name] = make()
        value: Value = self._remembered[name]
        return value

    def result(self, component: Any, seed: int = SEED) -> str:
        """A digest of what the component does, from its first method to its last."""
        before = global_generators()
        found = exercise(self.kind, component, self.bench, seed)
        after = global_generators()
        self.touched |= {name for name, state in before.items() if after[name] != state}
        self.loaded |= before.keys()
        return found

    @property
    def folder(self) -> Path | None:
        """Where the component's code lies; None if that is not known."""
        try:
            file = inspect.getsourcefile(self.component_class)
        except (Exception, SystemExit):
            return None
        return Path(file).parent if file else None

    @property
    def place(self) -> str:
        """``file:line`` of the component's class; empty if it has none."""
        try:
            lines = inspect.getsourcelines(self.component_class)[1]
            return f"{inspect.getsourcefile(self.component_class)}:{lines}"
        except (Exception, SystemExit):
            return ""


def exercise(kind: str, component: Any, bench: Bench, seed: int) -> str:
    """A digest of what a component of this kind does."""
    from task2sim.conformance.kinds import module_of

    return digest(module_of(kind).exercise(component, bench, seed))


def line_of_error(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def place_of_error(error: BaseException, folder: Path | None = None) -> str:
    """``file:line`` where an error was raised: the last in a folder, else the last outside the kit; empty if none.

    Args:
        error: What was raised.
        folder: Where the component's own code lies, whose author can mend it.
    """
    here = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != here]
    if folder is not None:
        frames = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)] or frames
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
