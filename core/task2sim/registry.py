"""Which plugins are installed, and loading the one that is named.

Discovery reads the metadata of installed distributions and imports nothing. A plugin is imported when it is chosen;
one that fails harms only itself.

For development, ``TASK2SIM_PLUGINS=kind:name=module:Class`` (several separated by commas) registers components
without packaging; ``kind`` is an entry-point group without its ``task2sim.`` prefix.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from importlib import metadata
from typing import Any

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from task2sim.api_version import API_GROUP, disagreement
from task2sim.catalogue import CATALOGUE, known_plugin
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

COMMANDS = "task2sim.commands"
"""Entry-point group of commands that plugins add: Typer apps or functions, loaded when they are called."""

SLOW_IMPORT = 1.0
"""Seconds that importing a plugin may take; `task2sim plugins --load` names those that take longer."""

_TARGET = re.compile(r"(?P<target>\w+(\.\w+)*:\w+(\.\w+)*)(\s*\[.*\])?")


@functools.cache
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
        mend: What to do about the problem, or empty.
        place: Where it is registered, if that is ``TASK2SIM_PLUGINS``; else empty.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str = ""
    mend: str = ""
    place: str = ""

    @property
    def origin(self) -> str:
        """Who brings it, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def title(self) -> str:
        """Kind, name and origin, for messages."""
        return f"{NOUNS[self.kind]} {self.name!r} ({self.origin})"

    @property
    def is_in_development(self) -> bool:
        """Whether ``TASK2SIM_PLUGINS`` brings it."""
        return self.distribution == ENVIRONMENT

    def load(self) -> type[Component]:
        """Import the component's class; what it prints meanwhile goes to standard error.

        Raises:
            PluginError: it can't be imported, is no class of its kind, or does not work with this core.
        """
        if self.problem:
            raise PluginError(f"{self.title} can't be used: {self.problem}", place=self.place, mend=self.mend)
        return _load(self)


@attrs.frozen
class Loading:
    """How importing a plugin went.

    Attributes:
        seconds: How long it took; next to nothing if it had been imported before.
        printed: What it printed.
    """

    seconds: float
    printed: str


def load_and_watch(entry: PluginEntry) -> Loading:
    """Import a plugin as `PluginEntry.load` does, and watch what that takes.

    Raises:
        PluginError: as `PluginEntry.load`.
    """
    if entry.problem:
        entry.load()
    start = time.perf_counter()
    with redirect_stdout(io.StringIO()) as printed:
        _import(entry)
    return Loading(time.perf_counter() - start, printed.getvalue())


@functools.cache
def _load(entry: PluginEntry) -> type[Component]:
    # Standard output is for results: `task2sim schema` imports every plugin.
    with redirect_stdout(sys.stderr):
        return _import(entry)


def _import(entry: PluginEntry) -> type[Component]:
    module, _, attribute = entry.target.partition(":")
    registration = f"correct {ENVIRONMENT}" if entry.is_in_development else "correct its entry point"
    try:
        component: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failure(entry, module, error) from error
    for part in attribute.split("."):
        if not hasattr(component, part):
            near = get_close_matches(
                part, [name for name, what in vars(component).items() if isinstance(what, type)], 1
            )
            raise PluginError(
                f"{entry.title} can't be used: module {module!r} has no {attribute!r}",
                place=entry.place,
                mend=f"{registration}: did you mean {near[0]!r}?" if near else registration,
            )
        component = getattr(component, part)
    interface = KINDS[entry.kind]
    if not (isinstance(component, type) and issubclass(component, interface)):
        problem = f"{entry.target} is not a subclass of task2sim.{interface.__name__}"
        mend = f"derive it from there, or {registration}"
    elif not (isinstance(component.Config, type) and issubclass(component.Config, ComponentConfig)):
        problem, mend = "its Config is not a subclass of task2sim.ComponentConfig", "derive it from there"
    elif missing := getattr(component, "__abstractmethods__", None):
        problem, mend = f"it does not implement {', '.join(sorted(missing))}", "write what is missing"
    else:
        return component
    raise PluginError(f"{entry.title} can't be used: {problem}", place=entry.place, mend=mend)


def _import_failure(entry: PluginEntry, module: str, error: BaseException) -> PluginError:
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, SyntaxError):
        text, line = error.msg, f"{error.filename}:{error.lineno}"
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
        # The first is in this file.
        line = f"{frames[-1].filename}:{frames[-1].lineno}" if len(frames) > 2 else ""
    mend = "correct it" if entry.is_in_development else "report it to its author, or choose another"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if f"{module}.".startswith(f"{error.name}."):
            mend = f"reinstall {entry.distribution}, or choose another"
            if entry.is_in_development:
                mend = "correct the module's name, or put its folder on PYTHONPATH"
        else:
            mend = f"install what brings {error.name!r}"
    where = f" ({line})" if line else ""
    failure = PluginError(
        f"{entry.title} can't be imported from {entry.target}: {type(error).__name__}: {text}{where}",
        place=entry.place,
        mend=mend,
    )
    failure.details = "".join(traceback.format_exception(error))
    return failure


@attrs.frozen
class Misregistration:
    """Something that was meant for task2sim and does not reach it.

    Attributes:
        distribution: The distribution that brings it.
        version: That distribution's version.
        problem: What is wrong.
        mend: What to do about it.
    """

    distribution: str
    version: str
    problem: str
    mend: str


@functools.cache
def installed_plugins() -> tuple[PluginEntry, ...]:
    """Every plugin on this machine, by kind, then by name; imports none of them."""
    entries = [*_from_environment()]
    seen: set[tuple[str, str, str]] = set()
    for distribution in metadata.distributions():
        points = distribution.entry_points
        for point in points:
            kind = point.group.removeprefix("task2sim.")
            if kind == point.group or kind not in KINDS:
                continue
            name, version = _identity(distribution)
            # A distribution that is both installed and on the path in development is found twice: the first counts.
            if (kind, point.name, canonicalize_name(name)) in seen:
                continue
            seen.add((kind, point.name, canonicalize_name(name)))
            problem, mend = _incompatibility(distribution, points)
            target = point.value.strip()
            if match := _TARGET.fullmatch(target):
                target = match["target"]
            elif not problem:
                problem, mend = f"its entry point {target!r} is not module:Class", "correct its entry point"
            entries.append(PluginEntry(kind, point.name, target, name, version, problem, mend))
    kinds = list(KINDS)
    return tuple(sorted(entries, key=lambda e: (kinds.index(e.kind), e.name, e.distribution)))


def misregistrations() -> tuple[Misregistration, ...]:
    """What was meant for task2sim, as far as its metadata show, and is no plugin of it."""
    groups = {*(f"task2sim.{kind}" for kind in KINDS), COMMANDS, API_GROUP}
    found: dict[Misregistration, None] = {}
    for distribution in metadata.distributions():
        for group in dict.fromkeys(point.group for point in distribution.entry_points):
            if group in groups or not re.match(r"task2sim([^a-z0-9]|$)", group):
                continue
            # Without the prefix, which makes all of them alike.
            near = get_close_matches(group[9:], sorted(known[9:] for known in groups), 1, 0.6)
            mend = f"did you mean 'task2sim.{near[0]}'?" if near else f"the groups are {', '.join(sorted(groups))}"
            problem = f"there is no entry-point group {group!r}"
            found[Misregistration(*_identity(distribution), problem, mend)] = None
    return tuple(found)


def _identity(distribution: metadata.Distribution) -> tuple[str, str]:
    """Name and version; a distribution whose metadata are damaged has neither."""
    try:
        return distribution.metadata["Name"] or "unknown", distribution.metadata["Version"] or "unknown"
    except Exception:
        return "unknown", "unknown"


def _from_environment() -> Iterator[PluginEntry]:
    first: dict[tuple[str, str], int] = {}
    position = 1
    for number, part in enumerate(os.environ.get(ENVIRONMENT, "").split(","), 1):
        text = part.strip()
        place = f"{ENVIRONMENT}, entry {number} at character {position + len(part) - len(part.lstrip())}"
        position += len(part) + 1
        if not text:
            continue
        kind, colon, rest = text.partition(":")
        name, equals, target = (piece.strip() for piece in rest.partition("="))
        kind = kind.strip()
        form = "write kind:name=module:Class, such as simulators:fog=my_fog:Fog"
        if not (colon and equals and kind and name):
            raise ConfigError(f"can't read {text!r}", place=place, mend=form)
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, 1, 0.6)
            mend = f"did you mean {near[0]!r}?" if near else f"the kinds are {', '.join(KINDS)}"
            raise ConfigError(f"there is no kind {kind!r} in {text!r}", place=place, mend=mend)
        if not _TARGET.fullmatch(target) or target.partition(":")[0].endswith(".py"):
            raise ConfigError(f"{target!r} in {text!r} is not module:Class", place=place, mend=form)
        if (other := first.setdefault((kind, name), number)) != number:
            raise ConfigError(f"entry {other} is {kind}:{name} as well", place=place, mend="remove one of them")
        yield PluginEntry(kind, name, target, ENVIRONMENT, "development", place=place)


def _incompatibility(distribution: metadata.Distribution, points: metadata.EntryPoints) -> tuple[str, str]:
    """Why a distribution does not work with this core, and the mend; from what it states and requires, or empty."""
    name, _ = _identity(distribution)
    problem, mend = disagreement([point.name for point in points if point.group == API_GROUP], name, core_version())
    if problem or name == "unknown":
        return problem, mend
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
            problem = f"it requires {requirement}, and task2sim {core_version()} is installed"
            return problem, f"pip install --upgrade {name} task2sim"
    return "", ""


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
    raise PluginError(f"there is no {NOUNS[kind]} {name!r}", mend=_instead(kind, bare, entries))


def _instead(kind: str, bare: str, entries: list[PluginEntry]) -> str:
    """What to do about a name that is not there."""
    if same := [entry for entry in entries if entry.name == bare]:
        # It was asked for with a distribution that does not have it.
        alone = len(same) == 1 or any(entry.distribution == CORE_DISTRIBUTION for entry in same)
        ways = [bare] if alone else [f"{entry.distribution}/{bare}" for entry in same]
        return f"did you mean {' or '.join(map(repr, ways))}?"
    if known := known_plugin(kind, bare):
        return f"install it: {known.instruction}"
    names = sorted({entry.name for entry in entries})
    others = sorted(known.name for known in CATALOGUE if known.kind == kind and known.name not in names)
    if near := get_close_matches(bare, [*names, *others], 1, 0.5):
        known = None if near[0] in names else known_plugin(kind, near[0])
        return f"did you mean {near[0]!r}?" + (f" It is not installed: {known.instruction}" if known else "")
    not_installed = f"; known and not installed are {', '.join(others)}" if others else ""
    return f"installed are {', '.join(names) or 'none'}{not_installed}"


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
