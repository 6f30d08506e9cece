"""The policies that do not learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from task2sim import (
    TASK2SIM_PARAMETERS,
    Interval,
    ParameterError,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    TaskEmbedding,
    Toggle,
)
from task2sim_policies.baselines import DomainRandomisationPolicy, FixedPolicy, RandomPolicy

TASKS = {name: TaskEmbedding(name, np.ones(2, np.float32)) for name in "abcdef"}


def baselines() -> list[ParameterPolicy]:
    return [
        RandomPolicy(RandomPolicy.Config()),
        FixedPolicy(FixedPolicy.Config(setting={"background": 1})),
        DomainRandomisationPolicy(DomainRandomisationPolicy.Config()),
    ]


@pytest.mark.parametrize("policy", baselines(), ids=lambda policy: type(policy).__name__)
def test_proposes_what_it_predicts_once_within_the_budget(
    policy: ParameterPolicy, study: Callable[..., list[ParameterSetting]]
) -> None:
    policy.start(TASK2SIM_PARAMETERS, 7)
    proposed = study(policy, TASKS, lambda task, setting: 1.0, 100)
    assert len(set(proposed)) == len(proposed)
    assert set(proposed) == {policy.predict(task).setting for task in TASKS.values()}


def test_the_fixed_setting_is_the_saved_one(saved: Callable[[ParameterPolicy], PolicyState]) -> None:
    _, policy, _ = baselines()
    policy.start(TASK2SIM_PARAMETERS, 7)
    other = FixedPolicy(FixedPolicy.Config())
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    assert other.predict(TASKS["a"]).setting == TASK2SIM_PARAMETERS.setting(background=1)


def test_random_draws_differ_between_tasks_and_seeds() -> None:
    policy = RandomPolicy(RandomPolicy.Config())
    draws = []
    for seed in (0, 1):
        policy.start(ParameterSpace([Interval("fog", 0, 1)]), seed)
        draws += [policy.predict(task).setting["fog"] for task in TASKS.values()]
    assert len(set(draws)) == 12


def test_domain_randomisation_varies_everything() -> None:
    policy = DomainRandomisationPolicy(DomainRandomisationPolicy.Config())
    policy.start(TASK2SIM_PARAMETERS, 0)
    assert policy.propose(TASKS, 5) == [TASK2SIM_PARAMETERS.everything_varied()]


@pytest.mark.parametrize("policy", baselines()[1:], ids=lambda policy: type(policy).__name__)
def test_a_setting_that_does_not_exist_is_refused_at_the_start(policy: ParameterPolicy) -> None:
    with pytest.raises(ParameterError, match="no setting"):
        policy.start(ParameterSpace(TASK2SIM_PARAMETERS, [{}]), 0)


def test_fixed_refuses_an_unknown_parameter_at_the_start() -> None:
    policy = FixedPolicy(FixedPolicy.Config(setting={"backgruond": 1}))
    with pytest.raises(ParameterError, match=r"backgruond.*did you mean 'background'"):
        policy.start(ParameterSpace([*TASK2SIM_PARAMETERS, Toggle("fog")]), 0)
