"""What holds for every policy: it keeps to the space, and goes on from what it has learned."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from task2sim import (
    TASK2SIM_PARAMETERS,
    Choice,
    Interval,
    ParameterError,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    PolicyState,
    TaskEmbedding,
    TaskError,
    TaskScore,
    Toggle,
)
from task2sim_policies.baselines import DomainRandomisationPolicy, FixedPolicy, RandomPolicy
from task2sim_policies.optuna_samplers import OptunaPolicy
from task2sim_policies.reinforce import Task2SimPolicy
from task2sim_policies.tried import BestFixedPolicy, ExhaustivePolicy, NearestTaskPolicy

MIXED = [Toggle("blur"), Choice("sky", ("dawn", "noon", "dusk")), Interval("fog", 0.0, 2.0)]
EVERYTHING = TASK2SIM_PARAMETERS.everything_varied()
PART = ParameterSpace(TASK2SIM_PARAMETERS, [*list(TASK2SIM_PARAMETERS.enumerate())[::13], EVERYTHING])
LISTED = ParameterSpace(
    MIXED,
    [{"blur": 1, "sky": "dusk", "fog": 2.0}, {}]
    + [{"blur": b, "sky": s, "fog": f} for b, s, f in [(0, "noon", 0.3), (1, "dawn", 0.3), (1, "noon", 1.7)]],
)
LEARNERS = [NearestTaskPolicy, BestFixedPolicy, ExhaustivePolicy, OptunaPolicy, Task2SimPolicy]
UNLEARNED = [RandomPolicy, FixedPolicy, DomainRandomisationPolicy]
Study = Callable[..., list[ParameterSetting]]
Saved = Callable[[ParameterPolicy], PolicyState]


def make(kind: type[ParameterPolicy]) -> ParameterPolicy:
    if kind is OptunaPolicy:
        pytest.importorskip("optuna", reason="Optuna is an optional library")
    return kind(kind.Config(**({"replay": 30} if kind is Task2SimPolicy else {})))


def embeddings(count: int, length: int = 40) -> dict[str, TaskEmbedding]:
    generator = np.random.default_rng(0)
    return {f"task{i}": TaskEmbedding(f"task{i}", generator.random(length).astype(np.float32)) for i in range(count)}


def reward(task: str, setting: ParameterSetting) -> float:
    return len(task) + int(setting.key[:4], 16) % 97 + 3.0 * int(task[-1])


@pytest.mark.parametrize("kind", LEARNERS + UNLEARNED)
@pytest.mark.parametrize("space", [PART, LISTED], ids=["part", "listed"])
def test_only_settings_that_exist_are_proposed_and_predicted(
    kind: type[ParameterPolicy], space: ParameterSpace, study: Study
) -> None:
    policy = make(kind)
    policy.start(space, 3)
    tried = study(policy, embeddings(3), reward, 100, n=3)
    assert all(space.has(setting) for setting in tried)
    assert all(space.has(policy.predict(task).setting) for task in embeddings(6).values())
    if kind in LEARNERS:
        assert len(tried) == space.size


@pytest.mark.parametrize("kind", LEARNERS + UNLEARNED)
def test_a_saved_state_predicts_the_same(kind: type[ParameterPolicy], study: Study, saved: Saved) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    study(policy, embeddings(3), reward, 13)
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    assert [other.predict(t) for t in embeddings(5).values()] == [policy.predict(t) for t in embeddings(5).values()]
    again, state = other.state(), policy.state()
    assert again.data == state.data
    assert again.arrays.keys() == state.arrays.keys()
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_search_goes_on_with_the_same_tasks(kind: type[ParameterPolicy], study: Study, saved: Saved) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    before = study(policy, embeddings(3), reward, 9)
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    after = study(other, embeddings(3), reward, 6)
    assert len(before) == 9
    assert len(after) == 6
    assert not set(before) & set(after)
    scores = other.state().arrays["scores"]
    assert scores.shape == (3, 15)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("n", [1, 4])
def test_known_settings_are_proposed_again_for_a_new_task(
    kind: type[ParameterPolicy], n: int, study: Study, saved: Saved
) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    before = study(policy, embeddings(2), reward, 6)
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    after = study(other, embeddings(3), reward, 9, n)
    assert after[:6] == before
    assert len(set(after)) == 9
    state = other.state()
    assert state.data["tasks"] == ["task0", "task1", "task2"]
    expected = [[reward(t, s) for s in [*before, *after[6:]]] for t in embeddings(3)]
    np.testing.assert_array_equal(state.arrays["scores"], expected)
    assert TASK2SIM_PARAMETERS.has(other.predict(embeddings(3)["task2"]).setting)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_score_that_never_comes_is_not_waited_for(kind: type[ParameterPolicy], study: Study, saved: Saved) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    before = study(policy, embeddings(2), reward, 2)
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    proposed = []
    for _ in range(3):
        proposed += (settings := other.propose(embeddings(3), 1))
        other.observe([TaskScore("task0", setting, 1.0) for setting in settings])
    assert proposed[:2] == before
    assert len(set(proposed)) == 3


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_new_task_can_be_predicted_before_all_its_scores_are_there(
    kind: type[ParameterPolicy], study: Study, saved: Saved
) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    study(policy, embeddings(2), reward, 6)
    for budget in (0, 2):
        other.load_state(TASK2SIM_PARAMETERS, saved(policy))
        other.propose(embeddings(3), 1)
        study(other, embeddings(3), reward, budget)
        for task in embeddings(4).values():
            prediction = other.predict(task)
            assert TASK2SIM_PARAMETERS.has(prediction.setting)
            assert np.isfinite(list(prediction.expected.values())).all()


@pytest.mark.parametrize("kind", UNLEARNED)
def test_a_policy_that_does_not_learn_tries_its_settings_in_every_study(
    kind: type[ParameterPolicy], study: Study, saved: Saved
) -> None:
    policy, other = make(kind), make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    before = study(policy, embeddings(2), reward, 6)
    other.load_state(TASK2SIM_PARAMETERS, saved(policy))
    assert set(study(other, embeddings(2), reward, 6)) == set(before)


@pytest.mark.parametrize("kind", LEARNERS + UNLEARNED)
def test_a_state_of_another_policy_is_refused_by_name(
    kind: type[ParameterPolicy], study: Study, saved: Saved
) -> None:
    policy = make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    study(policy, embeddings(2), reward, 3)
    state = saved(policy)
    with pytest.raises(PluginError, match=r"can't take up what policy 'surrogate' has learned"):
        policy.load_state(TASK2SIM_PARAMETERS, PolicyState(state.arrays, {**state.data, "policy": "surrogate"}))
    with pytest.raises(PluginError, match="an earlier version or another policy"):
        policy.load_state(TASK2SIM_PARAMETERS, PolicyState())


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ([*TASK2SIM_PARAMETERS.parameters[:-1], Choice("materials", ("a", "b"))], "materials"),
        (TASK2SIM_PARAMETERS.parameters[:-1], "materials"),
        ([*TASK2SIM_PARAMETERS.parameters, Toggle("fog")], "fog"),
        (TASK2SIM_PARAMETERS.parameters[::-1], "materials"),
    ],
)
@pytest.mark.parametrize("kind", [BestFixedPolicy, DomainRandomisationPolicy, Task2SimPolicy])
def test_a_state_of_another_space_is_refused_by_name(
    kind: type[ParameterPolicy], parameters: list[Toggle], name: str, study: Study, saved: Saved
) -> None:
    policy = make(kind)
    policy.start(TASK2SIM_PARAMETERS, 7)
    study(policy, embeddings(2), reward, 3)
    with pytest.raises(ParameterError, match=name):
        make(kind).load_state(ParameterSpace(parameters), saved(policy))


def test_a_state_with_a_setting_that_is_gone_is_refused(study: Study, saved: Saved) -> None:
    policy = make(BestFixedPolicy)
    policy.start(TASK2SIM_PARAMETERS, 7)
    study(policy, embeddings(2), reward, 3)
    with pytest.raises(ParameterError, match="there is no setting"):
        make(BestFixedPolicy).load_state(ParameterSpace(TASK2SIM_PARAMETERS, [{}]), saved(policy))


@pytest.mark.parametrize("kind", LEARNERS + UNLEARNED)
def test_bad_input_is_told_in_a_line(kind: type[ParameterPolicy]) -> None:
    policy = make(kind)
    policy.start(TASK2SIM_PARAMETERS, 0)
    tasks = embeddings(3)
    with pytest.raises(TaskError, match="differ in length"):
        policy.propose({**tasks, "odd": TaskEmbedding("odd", np.ones(3, np.float32))}, 2)
    with pytest.raises(TaskError, match="not finite"):
        policy.propose({"odd": TaskEmbedding("odd", np.full(40, np.nan, np.float32))}, 2)
    with pytest.raises(TaskError, match="one task"):
        policy.propose({}, 2)
    (setting,) = policy.propose(tasks, 1)
    for bad in (math.nan, math.inf):
        with pytest.raises(TaskError, match=r"score of task 'task0' is (nan|inf)"):
            policy.observe([TaskScore("task1", setting, 1.0), TaskScore("task0", setting, bad)])
    with pytest.raises(TaskError, match="'nobody'"):
        policy.observe([TaskScore("nobody", setting, 1.0)])
    with pytest.raises(ParameterError, match="fog"):
        policy.observe([TaskScore("task0", ParameterSetting({"fog": 1}), 1.0)])
    assert policy.state().data["settings"] == []
    policy.observe([TaskScore(task, setting, 1.0) for task in tasks])
    with pytest.raises(TaskError, match="3 numbers"):
        policy.propose({"odd": TaskEmbedding("odd", np.ones(3, np.float32))}, 2)
    if kind in LEARNERS:
        with pytest.raises(TaskError, match="3 numbers"):
            policy.predict(TaskEmbedding("odd", np.ones(3, np.float32)))


@pytest.mark.parametrize("kind", LEARNERS)
def test_nothing_is_predicted_before_anything_is_known(kind: type[ParameterPolicy]) -> None:
    policy = make(kind)
    policy.start(TASK2SIM_PARAMETERS, 0)
    with pytest.raises(PluginError, match="let a study run first"):
        policy.predict(embeddings(1)["task0"])
