"""Everyday things built from code: no two instances of a category are the same."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from task2sim import ConfigError, spawn_generator
from task2sim_studio.catalogue import (
    animals,
    buildings,
    clothing,
    electronics,
    food,
    furniture,
    household,
    instruments,
    plants,
    sports,
    tools,
    vehicles,
    vessels,
)
from task2sim_studio.catalogue.drawing import MAKERS, Draw, assemble
from task2sim_studio.mesh import Mesh

THEMES = (
    animals,
    buildings,
    clothing,
    electronics,
    food,
    furniture,
    household,
    instruments,
    plants,
    sports,
    tools,
    vehicles,
    vessels,
)
"""The modules that register makers when they are imported."""


class ProceduralCatalogue:
    """Objects built from code; each depends on its category and number alone.

    Args:
        categories: Which categories, in the order of their labels; None for all, in alphabetical order.
        instances: How many different objects each has, >= 1.

    Raises:
        ConfigError: a category is unknown or named twice, or there are none, or no instances.
    """

    def __init__(self, categories: Sequence[str] | None, instances: int) -> None:
        names = sorted(MAKERS) if categories is None else list(categories)
        if not names:
            raise ConfigError("no categories", mend=f"name some of {', '.join(sorted(MAKERS))}")
        if instances < 1:
            raise ConfigError(f"a category needs at least one instance, got {instances}")
        for name in names:
            if name not in MAKERS:
                raise ConfigError(f"unknown category {name!r}", mend=_suggestion(name))
            if names.count(name) > 1:
                raise ConfigError(f"category {name!r} is named twice", mend="name it once")
        self._instances = MappingProxyType(dict.fromkeys(names, instances))

    @property
    def instances(self) -> Mapping[str, int]:
        """For each category how many different objects it has."""
        return self._instances

    def mesh(self, category: str, instance: int) -> Mesh:
        """Build an object, or take it from those that were built last.

        Raises:
            KeyError: the catalogue has no such category.
            IndexError: the category has no such instance.
        """
        if not 0 <= instance < self._instances[category]:
            raise IndexError(f"{category} has instances 0 to {self._instances[category] - 1}, not {instance}")
        return _build(category, instance)


@lru_cache(maxsize=512)
def _build(category: str, instance: int) -> Mesh:
    return assemble(MAKERS[category](Draw(spawn_generator(0, "catalogue", f"{category}/{instance}"))))


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, MAKERS, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(other) for other in near)}?"
    return f"choose from {', '.join(sorted(MAKERS))}"
