"""The kit is held to its own promise: each check finds its bad component, and nothing wrong with the other ones."""

from __future__ import annotations

from typing import Any

import pytest
from bad_plugins import (
    common,
    embedders,
    evaluators,
    executors,
    exporters,
    heavy,
    observers,
    policies,
    reward_tables,
    simulators,
    task_sources,
    trainers,
)

from task2sim.conformance import Report, check_component, checks_of, every_component
from task2sim.conformance.specimens import SpecimenTrainer
from task2sim.registry import KINDS

MODULES: dict[str, Any] = {
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

BAD = {(kind, check): bad for kind in KINDS for check, bad in MODULES[kind].BAD.items()}
BAD["simulators", "light-import"] = heavy.Heavy


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What some bad components rely on, and a spawned process lacks."""
    monkeypatch.setattr(common, "prepared", True)


def specimen_trainer() -> SpecimenTrainer:
    return SpecimenTrainer(SpecimenTrainer.Config())


def report(kind: str, component: type) -> Report:
    return check_component(kind, component, trainer=specimen_trainer, quick=True)


def test_every_check_has_its_bad_component() -> None:
    shared = {check.name for check in every_component.CONFIGURATION}  # the same for all kinds
    for kind in KINDS:
        names = {check.name for check in checks_of(kind)}
        assert {check for k, check in BAD if k == kind} == (names if kind == "simulators" else names - shared)


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_ones_pass(kind: str) -> None:
    done = report(kind, MODULES[kind].Good)
    assert [(outcome.check.name, outcome.reason) for outcome in done.failures] == []
    assert [o.check.name for o in done.outcomes if o.verdict != "pass"] == ["probe"] * (kind == "embedders")


@pytest.mark.parametrize(("kind", "check"), BAD)
def test_a_bad_one_fails_its_check_and_no_other(kind: str, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if check == "constructor-cheap":  # so that it need not be very slow
        monkeypatch.setattr(every_component, "CHEAP_SECONDS", common.SLOW_SECONDS)
    done = report(kind, BAD[kind, check])
    assert {outcome.check.name: outcome.reason for outcome in done.failures}.keys() == {check}, done.failures
