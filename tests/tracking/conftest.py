"""A study of the toys of the core's tests, with observers that write it down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from task2sim import hookimpl, registry
from task2sim.config import load_study
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study

TOYS = Path(__file__).parents[1] / "core"

STUDY = """\
name: toy
seed: 3
tasks:
  sources: [toy]
  seen: [apples, birds]
  unseen: [cars]
embedder: toy
policy: toy
simulator: {type: toy, resolution: 4}
trainer: toy
evaluator: toy
executor: {type: local, workers: 1}
images: 20
pretrainings: 4
settings_per_round: 2
comparison: {seeds: 2, random: 2}
"""

StartStudy = Callable[..., tuple[Run, list[str]]]


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kinds = {"tasks": "Tasks", "embedders": "Embedder", "policies": "Policy", "simulators": "Sim"}
    kinds |= {"trainers": "Train", "evaluators": "Evaluate", "rewards": "Table"}
    monkeypatch.setenv("TASK2SIM_PLUGINS", ",".join(f"{kind}:toy=toys:{name}" for kind, name in kinds.items()))
    monkeypatch.setenv("PYTHONPATH", str(TOYS))
    monkeypatch.syspath_prepend(TOYS)
    registry.installed_plugins.cache_clear()
    yield
    registry.installed_plugins.cache_clear()
    sys.modules.pop("toys", None)


class Stop(BaseException):
    """Ends a study as a signal would: observers can't be blamed for it."""


class Killer:
    """Ends the study after some trials."""

    def __init__(self, trials: int) -> None:
        self.left = trials

    @hookimpl
    def task2sim_trial_end(self, trial: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stop


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartStudy:
    """Run the study with observers, or until some trials are done; gives the run and what they were blamed for."""
    monkeypatch.chdir(tmp_path)

    def started(observers: str, until: int | None = None) -> tuple[Run, list[str]]:
        Path("study.yaml").write_text(f"{STUDY}observers: {observers}\n")
        file = load_study("study.yaml")
        warnings: list[str] = []
        own = [] if until is None else [("the killer", Killer(until))]
        run = run_study(
            file, tmp_path / "runs", Store(tmp_path / "store"), own, lambda line, _: warnings.append(line)
        )
        return run, warnings

    return started
