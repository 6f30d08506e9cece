"""The policies that do not learn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from task2sim import (
    TASK2SIM_PARAMETERS,
    Interval,
    ParameterError,
    ParameterPolicy,
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
def test_proposes_what_it_predicts_once_within_the_budget(policy: ParameterPolicy) -> None:
    policy.start(TASK2SIM_PARAMETERS, 7)
    proposed = []
    while settings := policy.propose(TASKS, 2):
        assert len(settings) <= 2
        proposed += settings
        policy.observe([])
    assert len(set(proposed)) == len(proposed)
    assert set(proposed) == {policy.predict(task).setting for task in TASKS.values()}


@pytest.mark.parametrize("policy", baselines(), ids=lambda policy: type(policy).__name__)
def test_a_saved_state_predicts_the_same(policy: ParameterPolicy) -> None:
    policy.start(TASK2SIM_PARAMETERS, 7)
    saved = PolicyState(data=json.loads(json.dumps(dict(policy.state().data))))
    other = type(policy)(type(policy).Config())
    other.load_state(TASK2SIM_PARAMETERS, saved)
    assert [other.predict(t) for t in TASKS.values()] == [policy.predict(t) for t in TASKS.values()]
    with pytest.raises(ParameterError, match="fog"):
        other.load_state(ParameterSpace([Toggle("fog")]), PolicyState(data={**saved.data, "space": []}))


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


def test_fixed_refuses_an_unknown_parameter_at_the_start() -> None:
    policy = FixedPolicy(FixedPolicy.Config(setting={"backgruond": 1}))
    with pytest.raises(ParameterError, match=r"backgruond.*did you mean 'background'"):
        policy.start(TASK2SIM_PARAMETERS, 0)
