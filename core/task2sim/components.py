"""Chosen components on their way to other processes, and the ones that this process has built."""

from __future__ import annotations

import functools
import json
import multiprocessing.util
from typing import Any

import attrs

from task2sim.choice import Chosen
from task2sim.interfaces import Simulator
from task2sim.registry import plugin_call


@attrs.frozen
class ComponentSpec:
    """A chosen component as plain data, for a journey to another process."""

    kind: str
    text: str

    @classmethod
    def of(cls, chosen: Chosen) -> ComponentSpec:
        """Describe a chosen component."""
        return cls(chosen.entry.kind, json.dumps(chosen.dump(), sort_keys=True))

    @property
    def chosen(self) -> Chosen:
        """The chosen component again."""
        return _parse(self)

    @property
    def title(self) -> str:
        """Its name and version, for messages."""
        return self.chosen.entry.title

    def component(self) -> Any:
        """The component itself; one for each process, so that what it has warmed up stays warm."""
        return _build(self)


@functools.cache
def _parse(spec: ComponentSpec) -> Chosen:
    return Chosen.parse(spec.kind, json.loads(spec.text))


_built: dict[ComponentSpec, Any] = {}


def _build(spec: ComponentSpec) -> Any:
    if spec not in _built:
        if not _built:
            # Worker processes do not run what atexit was given.
            multiprocessing.util.Finalize(None, close_components, exitpriority=100)
        _built[spec] = spec.chosen.build()
    return _built[spec]


def close_components() -> None:
    """Close the simulators that were used in this process; whoever works later builds its own."""
    while _built:
        spec, component = _built.popitem()
        if isinstance(component, Simulator):
            with plugin_call(spec.title):
                component.close()
