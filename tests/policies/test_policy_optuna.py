"""Optuna's samplers as policies."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import numpy as np
import pytest

from task2sim import (
    TASK2SIM_PARAMETERS,
    Choice,
    Interval,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    TaskEmbedding,
    Toggle,
)
from task2sim_policies.optuna_samplers import OptunaPolicy

Study = Callable[..., list[ParameterSetting]]
SAMPLERS = ["tpe", "gp", "random"]
MIXED = ParameterSpace([Toggle("blur"), Choice("sky", ("dawn", "noon", "dusk")), Interval("fog", 0.0, 2.0)])
TASKS = {f"task{i}": TaskEmbedding(f"task{i}", np.eye(3, dtype=np.float32)[i]) for i in range(2)}


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PluginError, match=r"needs Optuna; pip install \"task2sim\[optuna\]\""):
        OptunaPolicy(OptunaPolicy.Config()).start(TASK2SIM_PARAMETERS, 0)


@pytest.fixture
def optuna() -> object:
    return pytest.importorskip("optuna", reason="Optuna is an optional library")


def score(task: str, setting: ParameterSetting) -> float:
    odd = int(task[-1])
    return float(setting["sky"] == ("noon", "dusk")[odd]) - abs(float(setting["fog"]) - odd) + float(setting["blur"])


def policy(sampler: str) -> OptunaPolicy:
    return OptunaPolicy(OptunaPolicy.Config(sampler=sampler))


@pytest.mark.usefixtures("optuna")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_finds_what_suits_each_task_better_than_chance(sampler: str, study: Study) -> None:
    one = policy(sampler)
    one.start(MIXED, 1)
    tried = study(one, TASKS, score, 40)
    for task in TASKS:
        best = max(score(task, setting) for setting in tried)
        assert score(task, one.predict(TASKS[task]).setting) == best
        assert best > (1.9 if sampler != "random" else 1.4)


@pytest.mark.usefixtures("optuna")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_same_search_and_global_generators_untouched(
    sampler: str, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    before = torch.random.get_rng_state().clone(), repr(np.random.get_state())  # noqa: NPY002
    runs = []
    with caplog.at_level(logging.INFO):
        for seed in (0, 0, 5):
            one = policy(sampler)
            one.start(MIXED, seed)
            runs.append(study(one, TASKS, score, 16))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == repr(np.random.get_state())  # noqa: NPY002
    assert not caplog.records


@pytest.mark.usefixtures("optuna")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_was_tried_gives_way_until_all_was_tried(sampler: str, study: Study) -> None:
    space = ParameterSpace([Toggle(f"a{i}") for i in range(4)])
    one = policy(sampler)
    one.start(space, 0)
    tried = study(one, TASKS, lambda task, setting: float(setting["a0"]), 100, n=3)
    assert set(tried) == set(space.enumerate())


@pytest.mark.usefixtures("optuna")
def test_every_study_is_told_every_score_once(study: Study) -> None:
    one = policy("random")
    one.start(TASK2SIM_PARAMETERS, 0)
    tried = study(one, TASKS, lambda task, setting: float(setting["materials"]) + int(task[-1]), 30)
    for task in TASKS:
        told = one._studies[task].get_trials(states=[__import__("optuna").trial.TrialState.COMPLETE])
        assert len(told) == 30
        found = {ParameterSetting({n: t.params[n] for n in TASK2SIM_PARAMETERS.names}): t.value for t in told}
        assert found == {setting: float(setting["materials"]) + int(task[-1]) for setting in tried}


@pytest.mark.usefixtures("optuna")
def test_an_unseen_task_gets_what_is_best_on_average(study: Study) -> None:
    one = policy("tpe")
    one.start(MIXED, 0)
    tried = study(one, TASKS, score, 15)
    unseen = TaskEmbedding("unseen", np.ones(3, np.float32))
    best = max(tried, key=lambda setting: sum(score(task, setting) for task in TASKS))
    assert one.predict(unseen).setting == best
