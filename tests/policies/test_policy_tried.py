"""Policies that predict a setting they tried."""

from __future__ import annotations

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
    TaskEmbedding,
    TaskScore,
    Toggle,
    spawn_generator,
)
from task2sim_policies.levels import LevelGrid
from task2sim_policies.tried import BestFixedPolicy, ExhaustivePolicy, NearestTaskPolicy

Study = Callable[..., list[ParameterSetting]]
SMALL = ParameterSpace([Toggle("a"), Choice("b", ("x", "y", "z"))])
TASKS = {
    "red": TaskEmbedding("red", np.array([1, 0, 0], np.float32)),
    "green": TaskEmbedding("green", np.array([0, 5, 0], np.float32)),
    "blue": TaskEmbedding("blue", np.array([0, 0, 2], np.float32)),
}
REDDISH = TaskEmbedding("reddish", np.array([9, 2, 0], np.float32))
SCORES = {
    "red": {(0, "x"): 90.0, (0, "y"): 80.0, (0, "z"): 50.0, (1, "x"): 50.0, (1, "y"): 55.0, (1, "z"): 60.0},
    "green": {(0, "x"): 1.0, (0, "y"): 3.0, (0, "z"): 2.0, (1, "x"): 1.0, (1, "y"): 2.0, (1, "z"): 9.0},
    "blue": {(0, "x"): 1.0, (0, "y"): 13.0, (0, "z"): 2.0, (1, "x"): 1.0, (1, "y"): 2.0, (1, "z"): 9.0},
}


def score(task: str, setting: ParameterSetting) -> float:
    return SCORES[task][int(setting["a"]), str(setting["b"])]


def searched(kind: type[ParameterPolicy], study: Study) -> ParameterPolicy:
    policy = kind(kind.Config())
    policy.start(SMALL, 0)
    assert len(study(policy, TASKS, score, 100)) == 6
    return policy


def test_best_fixed_is_best_on_the_mean_of_the_scores(study: Study) -> None:
    policy = searched(BestFixedPolicy, study)
    prediction = policy.predict(REDDISH)
    assert prediction.setting == SMALL.setting(a=0, b="y")
    assert prediction.expected["a"] == pytest.approx((96 / 3, 59 / 3))
    assert prediction.expected["b"] == pytest.approx((92 / 3, 96 / 3, 54 / 3))
    assert policy.predict(TASKS["green"]) == prediction


def test_nearest_task_takes_the_best_of_the_nearest(study: Study) -> None:
    policy = searched(NearestTaskPolicy, study)
    prediction = policy.predict(REDDISH)
    assert prediction.setting == SMALL.setting(a=0, b="x")
    assert prediction.expected["b"] == (90, 80, 50)
    assert policy.predict(TASKS["green"]).setting == SMALL.setting(a=1, b="z")
    greenish = TaskEmbedding("red", np.array([0, 1, 0.1], np.float32))
    assert policy.predict(greenish).setting == SMALL.setting(a=1, b="z")


def test_of_tasks_that_embed_alike_the_one_of_that_name_is_nearest(study: Study) -> None:
    alike = {name: TaskEmbedding(name, np.array([0.1, 0.7, 0.2], np.float32)) for name in TASKS}
    policy = NearestTaskPolicy(NearestTaskPolicy.Config())
    policy.start(SMALL, 0)
    study(policy, alike, score, 6)
    for name, task in alike.items():
        assert policy.predict(task).expected["a"][1] == SCORES[name][1, str(policy.predict(task).setting["b"])]


def test_exhaustive_knows_the_best_of_each_seen_task(study: Study) -> None:
    policy = searched(ExhaustivePolicy, study)
    for name, task in TASKS.items():
        assert score(name, policy.predict(task).setting) == max(SCORES[name].values())
    assert policy.predict(REDDISH).setting == SMALL.setting(a=0, b="y")
    # Another task of the same name is another task.
    assert policy.predict(TaskEmbedding("red", REDDISH.vector)).setting == SMALL.setting(a=0, b="y")


def test_exhaustive_tries_everything_in_order(study: Study) -> None:
    policy = ExhaustivePolicy(ExhaustivePolicy.Config())
    for space in (
        TASK2SIM_PARAMETERS,
        ParameterSpace(TASK2SIM_PARAMETERS, [{"materials": 1}, {}, {"background": 1}]),
    ):
        policy.start(space, 0)
        assert study(policy, TASKS, lambda task, setting: 1.0, 300, n=7) == list(space.enumerate())


def test_exhaustive_refuses_a_space_that_has_no_end() -> None:
    policy = ExhaustivePolicy(ExhaustivePolicy.Config())
    with pytest.raises(ParameterError, match="'fog' is an interval; choose"):
        policy.start(ParameterSpace([Toggle("a"), Interval("fog", 0, 1)]), 0)
    with pytest.raises(ParameterError, match="there are 1048576; choose"):
        policy.start(ParameterSpace([Toggle(f"a{i}") for i in range(20)]), 0)
    policy.start(ParameterSpace([Interval("fog", 0, 1)], [{"fog": 0.5}]), 0)


@pytest.mark.parametrize("kind", [BestFixedPolicy, NearestTaskPolicy])
def test_the_others_try_the_design(kind: type[ParameterPolicy], study: Study) -> None:
    policy = kind(kind.Config(interval_levels=3))
    space = ParameterSpace([*SMALL, Interval("fog", 0, 1)])
    policy.start(space, 5)
    tried = study(policy, TASKS, score, 300)
    assert tried == list(LevelGrid(space, 3).design(spawn_generator(5, "policy", "design")))
    assert len(tried) == 18


def test_a_setting_is_not_best_for_being_scored_on_easy_tasks_only(study: Study) -> None:
    policy = BestFixedPolicy(BestFixedPolicy.Config())
    policy.start(SMALL, 0)
    easy, hard = {"red": TASKS["red"]}, {"green": TASKS["green"], "blue": TASKS["blue"]}
    settings = policy.propose(TASKS, 6)
    policy.observe([TaskScore(t, s, score(t, s)) for s in settings for t in hard])
    policy.observe([TaskScore(t, s, score(t, s)) for s in settings[:2] for t in easy])
    best = policy.predict(REDDISH)
    hard_mean = {s: np.mean([score(t, s) for t in hard]) for s in settings}
    assert best.setting == max(hard_mean, key=lambda s: hard_mean[s]) or best.setting in settings[:2]
    assert np.isfinite([value for row in best.expected.values() for value in row]).all()


def test_expected_scores_are_given_where_all_values_were_tried(study: Study) -> None:
    policy = BestFixedPolicy(BestFixedPolicy.Config())
    part = ParameterSpace(SMALL, [{"a": 0, "b": "y"}, {"a": 1, "b": "y"}, {"a": 1, "b": "x"}])
    policy.start(part, 0)
    study(policy, TASKS, score, 3)
    assert policy.predict(REDDISH).expected.keys() == {"a"}
