"""Which plugins are installed, and loading the one that is named.

Discovery reads the metadata of installed distributions and imports nothing. A plugin is imported when it is chosen;
one that fails harms only itself.

For development, ``TASK2SIM_PLUGINS=kind:name=module:Class`` (several separated by commas) registers components
without packaging; ``kind`` is an entry-point group without its ``task2sim.`` prefix.
"""

from __future__ import annotations

import functools
import importlib
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import metadata
from typing import Any

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from task2sim.errors import ConfigError, PluginError, StoreError, Task2SimError
from task2sim.interfaces import (
    Component,
    ComponentConfig,
    Evaluator,
    Executor,
    Exporter,
    ParameterPolicy,
    RewardTable,
    Simulator,
    TaskEmbedder,
    TaskSource,
    Trainer,
)

KINDS: dict[str, type[Component]] = {
    "tasks": TaskSource,
    "embedders": TaskEmbedder,
    "policies": ParameterPolicy,
    "simulators": Simulator,
    "trainers": Trainer,
    "evaluators": Evaluator,
    "rewards": RewardTable,
    "exporters": Exporter,
    "executors": Executor,
    "observers": Component,
}
"""Plugin kinds, named as their entry-point groups without ``task2sim.``, and the interface of each."""

NOUNS = {
    "tasks": "task source",
    "embedders": "embedder",
    "policies": "policy",
    "simulators": "simulator",
    "trainers": "trainer",
    "evaluators": "evaluator",
    "rewards": "reward table",
    "exporters": "exporter",
    "executors": "executor",
    "observers": "observer",
}
"""What one plugin of each kind is called."""

CORE_DISTRIBUTION = "task2sim"
ENVIRONMENT = "TASK2SIM_PLUGINS"


def core_version() -> str:
    """The installed version of task2sim."""
    return metadata.version(CORE_DISTRIBUTION)


@attrs.frozen
class PluginEntry:
    """An installed plugin, as its metadata describe it.

    Attributes:
        kind: One of `KINDS`.
        name: The name a study file uses.
        target: ``module:Class``.
        distribution: The distribution that brings it.
        version: That distribution's version.
        problem: Why it can't be used, or empty; known without importing it.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str = ""

    @property
    def origin(self) -> str:
        """Who brings it, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def title(self) -> str:
        """Kind, name and origin, for messages."""
        return f"{NOUNS[self.kind]} {self.name!r} ({self.origin})"

    def load(self) -> type[Component]:
        """Import the component's class.

        Raises:
            PluginError: it can't be imported, is no class of its kind, or does not work with this core.
        """
        if self.problem:
            raise PluginError(f"{self.title} can't be used: {self.problem}")
        return _load(self)


@functools.cache
def _load(entry: PluginEntry) -> type[Component]:
    module, _, attribute = entry.target.partition(":")
    try:
        component: Any = importlib.import_module(module)
        for part in attribute.split("."):
            component = getattr(component, part)
    except Exception as error:
        raise PluginError(
            f"{entry.title} can't be imported from {entry.target}: {type(error).__name__}: {error}",
            mend=f"reinstall {entry.distribution}, or choose another",
        ) from error
    interface = KINDS[entry.kind]
    if not (isinstance(component, type) and issubclass(component, interface)):
        raise PluginError(
            f"{entry.title}: {entry.target} is not a subclass of task2sim.{interface.__name__}",
            mend="correct its entry point",
        )
    if not (isinstance(component.Config, type) and issubclass(component.Config, ComponentConfig)):
        raise PluginError(f"{entry.title}: its Config is not a subclass of task2sim.ComponentConfig")
    if missing := getattr(component, "__abstractmethods__", None):
        raise PluginError(f"{entry.title} does not implement {', '.join(sorted(missing))}")
    return component


@functools.cache
def installed_plugins() -> tuple[PluginEntry, ...]:
    """Every plugin on this machine, by kind, then by name; imports none of them."""
    entries = [*_from_environment()]
    seen: set[tuple[str, str, str]] = set()
    for distribution in metadata.distributions():
        for point in distribution.entry_points:
            kind = point.group.removeprefix("task2sim.")
            name = distribution.metadata["Name"] or "unknown"
            # A distribution that is both installed and on the path in development is found twice: the first counts.
            if kind == point.group or kind not in KINDS or (kind, point.name, name) in seen:
                continue
            seen.add((kind, point.name, name))
            problem = _incompatibility(distribution)
            entries.append(PluginEntry(kind, point.name, point.value, name, distribution.version, problem))
    kinds = list(KINDS)
    return tuple(sorted(entries, key=lambda e: (kinds.index(e.kind), e.name, e.distribution)))


def _from_environment() -> Iterator[PluginEntry]:
    for text in filter(None, (part.strip() for part in os.environ.get(ENVIRONMENT, "").split(","))):
        kind, colon, rest = text.partition(":")
        name, equals, target = rest.partition("=")
        if not (colon and equals and ":" in target and kind in KINDS and name):
            raise ConfigError(
                f"can't read {text!r}",
                place=ENVIRONMENT,
                mend=f"write kind:name=module:Class, where kind is one of {', '.join(KINDS)}",
            )
        yield PluginEntry(kind, name, target, ENVIRONMENT, "development")


def _incompatibility(distribution: metadata.Distribution) -> str:
    """Why a distribution does not work with this core, from what it requires; empty if it does."""
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != CORE_DISTRIBUTION:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(core_version(), prereleases=True):
            return f"it requires {requirement}, and task2sim {core_version()} is installed"
    return ""


def find_plugin(kind: str, name: str) -> PluginEntry:
    """Find the plugin that a study names.

    Args:
        kind: One of `KINDS`.
        name: A bare name, or ``distribution/name`` where several distributions use the same.

    Raises:
        PluginError: there is none, or there are several; the message says what to write instead.
    """
    entries = [entry for entry in installed_plugins() if entry.kind == kind]
    distribution, slash, bare = name.rpartition("/")
    matches = [
        entry
        for entry in entries
        if entry.name == bare
        and (not slash or canonicalize_name(entry.distribution) == canonicalize_name(distribution))
    ]
    # The names of the default plugins can't be taken over.
    matches = [entry for entry in matches if entry.distribution == CORE_DISTRIBUTION] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        ways = " or ".join(f"{entry.distribution}/{entry.name}" for entry in matches)
        raise PluginError(f"{name!r} names {len(matches)} {kind}", mend=f"write {ways}")
    names = sorted({entry.name for entry in entries})
    near = get_close_matches(name, names, 1, 0.5)
    mend = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(names) or 'none'}"
    raise PluginError(f"there is no {NOUNS[kind]} {name!r}", mend=mend)


@contextmanager
def plugin_call(title: str) -> Iterator[None]:
    """Turn whatever a plugin raises inside the block into one clear line.

    Args:
        title: Which plugin is at work, for the message.

    Raises:
        PluginError: the plugin raised; ``details`` holds the traceback.
        StoreError: the disk is full.
        Task2SimError: the plugin raised one itself; passed on as it is.
    """
    try:
        yield
    except Task2SimError:
        raise
    except (Exception, SystemExit) as error:
        if (disk := disk_error(error)) is not None:
            raise disk from error
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split()) or "no message"
        failure = PluginError(
            f"{title} raised {type(error).__name__}: {text}",
            place=f"{frame.filename}:{frame.lineno}",
            mend="report it to the plugin's author, or choose another",
        )
        failure.details = traceback.format_exc()
        raise failure from error


def disk_error(error: BaseException, place: str = "") -> StoreError | None:
    """The one-line error for a disk that is full or can't be written; None for any other error.

    Args:
        error: What was raised.
        place: Where it was, if the error does not say.
    """
    mends = {
        "ENOSPC": ("no space left on the disk", "free some room and run the same command again"),
        "EDQUOT": ("the disk quota is used up", "free some room and run the same command again"),
        "EROFS": ("the disk can't be written to", "choose another folder"),
    }
    if isinstance(error, OSError) and error.errno is None and " requested and " in str(error):
        # So numpy tells of a write that fell short.
        return StoreError(mends["ENOSPC"][0], place=place, mend=mends["ENOSPC"][1])
    if isinstance(error, OSError) and error.errno is not None:
        import errno

        if (known := mends.get(errno.errorcode.get(error.errno, ""))) is not None:
            return StoreError(known[0], place=str(error.filename or place), mend=known[1])
    return None
