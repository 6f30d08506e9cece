"""What observers promise. They are shown a whole study in miniature, with a few small images."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from task2sim import registry
from task2sim.conformance.checks import CheckList, NotApplicable, require
from task2sim.conformance.digests import digest
from task2sim.conformance.specimens import Bench, SpecimenTrainer
from task2sim.conformance.subject import SEED, Subject
from task2sim.errors import PluginError
from task2sim.interfaces import Component
from task2sim.observers import Observers

CHECKS = CheckList()

_SPECIMENS = {
    "tasks": "SpecimenTasks",
    "embedders": "SpecimenEmbedder",
    "policies": "SpecimenPolicy",
    "simulators": "SpecimenSimulator",
    "trainers": "SpecimenTrainer",
    "evaluators": "SpecimenEvaluator",
}

STUDY = """\
name: specimen
tasks: {sources: [kit-specimen], seen: [dim], unseen: [textures]}
embedder: kit-specimen
policy: kit-specimen
simulator: kit-specimen
trainer: kit-specimen
evaluator: kit-specimen
executor: {type: local, workers: 1}
observers: []
images: 6
pretrainings: 3
comparison: {seeds: 1, random: 1}
"""


@attrs.frozen
class Watched:
    """What came of a study.

    Attributes:
        warnings: What the study told of its observer.
        trials: A digest of its trials and scores.
        answers: Whether the observer would have stopped it at its end.
    """

    warnings: tuple[str, ...]
    trials: str
    answers: tuple[Any, ...]


def exercise(component: Component, bench: Bench, seed: int) -> Any:
    """Show it a study, if one begins with it."""
    return watch(component, bench, seed).trials if not _refusal(component) else ""


def _refusal(observer: Component) -> str:
    """Why a study would refuse the observer; empty if it takes it."""
    try:
        Observers([("the observer", observer)], lambda line, details: None)
    except PluginError as error:
        return str(error)
    return ""


def watch(observer: Component | None, bench: Bench, seed: int) -> Watched:
    """Run the study in miniature before an observer's eyes, or unwatched."""
    from task2sim.config import load_study
    from task2sim.store import Store
    from task2sim.study import run_study

    folder = bench.folder()
    (folder / "study.yaml").write_text(STUDY + f"seed: {seed}\n")
    warnings: list[str] = []
    watching = [] if observer is None else [("the observer", observer)]
    with _registered():
        study = load_study(str(folder / "study.yaml"))
        run = run_study(
            study, folder / "runs", Store(folder / "store"), watching, lambda line, _: warnings.append(line)
        )
        rows = [
            run.results.query("SELECT phase, replicate, setting FROM trials ORDER BY position"),
            run.results.query("SELECT phase, replicate, setting, task, split, value FROM scores ORDER BY 1, 2, 3, 4"),
        ]
        answers = Observers(watching, lambda line, details: None).call("task2sim_should_stop", run=run)
    return Watched(tuple(warnings), digest([[[*row] for row in part] for part in rows]), tuple(answers))


@contextmanager
def _registered() -> Iterator[None]:
    """Make the kit's specimens known as plugins, for as long as their study runs."""
    before = os.environ.get(registry.ENVIRONMENT)
    own = [f"{kind}:kit-specimen=task2sim.conformance.specimens:{name}" for kind, name in _SPECIMENS.items()]
    os.environ[registry.ENVIRONMENT] = ",".join([*own, *([before] if before else [])])
    registry.installed_plugins.cache_clear()
    try:
        yield
    finally:
        if before is None:
            del os.environ[registry.ENVIRONMENT]
        else:
            os.environ[registry.ENVIRONMENT] = before
        registry.installed_plugins.cache_clear()


def _watched(subject: Subject) -> Watched:
    def show() -> Watched:
        with subject.component() as observer:
            if _refusal(observer):
                raise NotApplicable("no study begins with it: see hooks")
            return watch(observer, subject.bench, SEED)

    return subject.remembered("watched", show)


@functools.cache
def _unwatched() -> str:
    """What comes of the study without any observer."""
    return watch(None, Bench(lambda: SpecimenTrainer(SpecimenTrainer.Config())), SEED).trials


@CHECKS.add(
    "hooks",
    "its hooks exist, take arguments that they are given, and are no wrappers",
    why="a misspelt hook is never called; a study refuses to begin with one",
    mend="compare with the table of hooks in docs/plugins.md",
)
def _hooks_exist(subject: Subject) -> None:
    with subject.component() as observer:
        refusal = _refusal(observer)
    require(not refusal, refusal)


@CHECKS.add(
    "watches",
    "it implements a hook",
    why="an observer without a hook does nothing",
    mend="mark methods with task2sim.hookimpl",
)
def _watches(subject: Subject) -> None:
    with subject.component() as observer:
        marked = [name for name in dir(type(observer)) if hasattr(getattr(type(observer), name), "task2sim_impl")]
    require(marked, "none of its methods is marked with hookimpl")


@CHECKS.add(
    "raises-nothing",
    "it watches a study to the end without raising",
    why="the study goes on, and the observer's work is lost",
    mend="try it with an untrained backbone (trial.setting is None), and with a study that finds all in the store",
)
def _raises_nothing(subject: Subject) -> None:
    warnings = _watched(subject).warnings
    require(not warnings, warnings[0] if warnings else "")


@CHECKS.add(
    "changes-nothing",
    "a study has the same trials and scores with it as without",
    why="watching must not change what is watched",
    mend="change nothing that you are given; draw no numbers; stop a study only if the configuration says so",
)
def _changes_nothing(subject: Subject) -> None:
    require(_watched(subject).trials == _unwatched(), "they are others, or fewer")


@CHECKS.add(
    "should-stop",
    "task2sim_should_stop answers True, False or None",
    why="anything else is taken for no, however it was meant",
    mend="return bool(...)",
)
def _should_stop(subject: Subject) -> None:
    with subject.component() as observer:
        if not hasattr(observer, "task2sim_should_stop"):
            raise NotApplicable("it does not implement task2sim_should_stop")
    for answer in _watched(subject).answers:
        require(isinstance(answer, bool), f"it answered {answer!r}")
