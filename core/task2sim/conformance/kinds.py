"""Which checks belong to which kind of component."""

from __future__ import annotations

from types import ModuleType

from task2sim.conformance import (
    embedders,
    evaluators,
    every_component,
    executors,
    exporters,
    observers,
    policies,
    reward_tables,
    simulators,
    task_sources,
    trainers,
)
from task2sim.conformance.checks import Check
from task2sim.errors import ConfigError
from task2sim.registry import KINDS, NOUNS

MODULES: dict[str, ModuleType] = {
    "tasks": task_sources,
    "embedders": embedders,
    "policies": policies,
    "simulators": simulators,
    "trainers": trainers,
    "evaluators": evaluators,
    "rewards": reward_tables,
    "exporters": exporters,
    "executors": executors,
    "observers": observers,
}
"""For each kind the module of its checks (``CHECKS``) and of what is tried of it (``exercise``)."""


def module_of(kind: str) -> ModuleType:
    """The module of a kind's checks."""
    return MODULES[kind]


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of a kind of component: first its own, then those of every component.

    Args:
        kind: As `plural` reads it.
    """
    kind = plural(kind)
    return (*module_of(kind).CHECKS, *every_component.checks_of(kind))


def plural(kind: str) -> str:
    """The key in `KINDS` of a kind that is written ``simulator``, ``simulators``, ``task source`` or ``rewards``.

    Raises:
        ConfigError: there is no such kind.
    """
    for name, noun in NOUNS.items():
        if kind in (name, noun, noun.replace(" ", "-")):
            return name
    kinds = ", ".join(
        "tasks" if name == "tasks" else "rewards" if name == "rewards" else NOUNS[name] for name in KINDS
    )
    raise ConfigError(f"there is no kind of component {kind!r}", mend=f"write one of {kinds}")
