"""The task2sim policy: it learns, keeps to its budget, and comes back from its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import pytest
import torch

from task2sim import (
    TASK2SIM_PARAMETERS,
    Choice,
    Interval,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    TaskEmbedding,
    TaskScore,
    Toggle,
    spawn_generator,
)
from task2sim_policies.levels import LevelGrid
from task2sim_policies.reinforce import Task2SimPolicy

Reward = Callable[[str, ParameterSetting], float]
MIXED = ParameterSpace(
    [Toggle("blur"), Choice("sky", ("dawn", "noon", "dusk")), Interval("fog", 0.0, 2.0, description="per metre")]
)


def embeddings(count: int = 6, length: int = 300) -> dict[str, TaskEmbedding]:
    """Tasks of two kinds, even and odd, alike within a kind."""
    generator = np.random.default_rng(0)
    kinds = generator.random((2, length))
    return {
        f"task{i}": TaskEmbedding(
            f"task{i}", (1 + i) * (kinds[i % 2] + 0.1 * generator.random(length)).astype(np.float32)
        )
        for i in range(count)
    }


def reward(task: str, setting: ParameterSetting) -> float:
    """Even tasks like the first four toggles off and the others on, odd ones the opposite; odd ones are easier."""
    odd = int(task.removeprefix("task")) % 2
    values = [int(v) for v in setting.values()]
    liked = sum(v != odd for v in values[4:]) + sum(v == odd for v in values[:4])
    return 50.0 * odd + (1 + 9 * odd) * liked


def search(
    policy: Task2SimPolicy,
    space: ParameterSpace,
    tasks: dict[str, TaskEmbedding],
    budget: int,
    reward: Reward,
    seed=1,
) -> list[list[ParameterSetting]]:
    policy.start(space, seed)
    tried: set[ParameterSetting] = set()
    rounds: list[list[ParameterSetting]] = []
    while len(tried) < budget:
        settings = policy.propose(tasks, budget - len(tried))
        if not settings:
            break
        assert len(set(settings)) == len(settings)
        assert len(set(settings) - tried) <= budget - len(tried)
        tried |= set(settings)
        rounds.append(settings)
        policy.observe([TaskScore(task, s, reward(task, s)) for s in settings for task in tasks])
    return rounds


def policy(**config: object) -> Task2SimPolicy:
    return Task2SimPolicy(Task2SimPolicy.Config(**config))


def mean_reward(learned: Task2SimPolicy, tasks: Sequence[TaskEmbedding]) -> float:
    return float(np.mean([reward(t.task, learned.predict(t).setting) for t in tasks]))


def test_learns_what_suits_each_task_seen_and_unseen() -> None:
    everyone = embeddings(8)
    seen = {name: everyone[name] for name in list(everyone)[:6]}
    learned = policy()
    rounds = search(learned, TASK2SIM_PARAMETERS, seen, 30, reward)
    tried = {s for settings in rounds for s in settings}
    best_single = max(np.mean([reward(t, s) for t in seen]) for s in tried)
    seen_reward = mean_reward(learned, list(seen.values()))
    unseen = [everyone["task6"], everyone["task7"]]
    assert seen_reward > best_single + 1
    assert mean_reward(learned, unseen) > best_single


def test_the_papers_learner_without_replay_learns_from_its_own_draws() -> None:
    tasks = embeddings(4)
    learned = policy(initial=0, replay=0, imitation=0.0, epochs=200, learning_rate=1e-2)
    search(learned, TASK2SIM_PARAMETERS, tasks, 10**6, reward)
    best_single = max(np.mean([reward(t, s) for t in tasks]) for s in TASK2SIM_PARAMETERS.enumerate())
    assert mean_reward(learned, list(tasks.values())) > best_single + 3


def test_each_advantage_weighs_its_own_task_alone() -> None:
    from task2sim_policies.network import Learner, PolicyNetwork

    network = PolicyNetwork(2, 8, np.array([2, 2]), seed=0)
    learner = Learner(network, np.eye(2), None, 1e-3, imitation=0.0, generator=np.random.default_rng(0))
    # Both tasks drew setting 0; it is better than greedy for the first task and equal to it for the second.
    learner.remember(np.array([[0, 0], [1, 1]]), np.array([[1.0, 0.0], [5.0, 5.0]]))
    taken: list[torch.Tensor] = []
    learner._step = taken.append  # type: ignore[method-assign]
    learner.reinforce(np.array([0, 0]), np.array([1, 1]))
    assert taken[0][0] > 0
    assert not taken[0][1:].any()
    learner.reinforce(np.array([-1, 0]), np.array([1, -1]))
    assert not taken[1].any()


def test_a_task_unlike_all_gets_what_is_good_on_average() -> None:
    from task2sim_policies.network import Learner, PolicyNetwork

    network = PolicyNetwork(2, 16, np.array([2, 2]), seed=0)
    learner = Learner(network, np.eye(2), None, 1e-2, imitation=0.05, generator=np.random.default_rng(0))
    settings = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    # Each task has a favourite, and both like the second setting nearly as much.
    learner.remember(settings, np.array([[1.0, 0.7, -1.0, -1.0], [-1.0, 0.7, -1.0, 1.0]]))
    learner.replay(300)
    chosen = network.log_probabilities(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.4, 0.4]])).argmax(axis=2)
    assert chosen.tolist() == [[0, 0], [1, 1], [0, 1], [0, 1]]


def test_log_probabilities_are_those_among_the_settings_that_exist() -> None:
    from task2sim_policies.network import Learner, PolicyNetwork

    listed = np.array([[0, 0], [1, 1], [0, 2]])
    network = PolicyNetwork(2, 8, np.array([2, 3]), seed=0)
    learner = Learner(network, np.eye(2), listed, 1e-2, imitation=0.0, generator=np.random.default_rng(0))
    learner.remember(listed[:2], np.zeros((2, 2)))
    heads = np.exp(network.log_probabilities(np.eye(2)))
    products = heads[:, np.arange(2), listed].prod(axis=2)
    expected = products[:, :2] / products.sum(axis=1, keepdims=True)
    assert np.exp(learner._log_probabilities()[:2].detach().numpy()) == pytest.approx(expected, rel=1e-4)


def test_first_settings_fill_the_space() -> None:
    first = search(policy(initial=8), TASK2SIM_PARAMETERS, embeddings(), 8, reward)[0]
    table = np.array([[int(v) for v in s.values()] for s in first])
    assert first[0] == TASK2SIM_PARAMETERS.everything_varied()
    assert (table.sum(axis=0) == 4).all()
    distances = (table[:, None] != table).sum(axis=2)
    assert distances[~np.eye(8, dtype=bool)].min() >= 3


@pytest.mark.parametrize("space", [TASK2SIM_PARAMETERS, MIXED])
def test_same_seed_same_search_and_global_generators_untouched(space: ParameterSpace) -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        return float(len(task) + int(setting.key[:4], 16) % 100)

    torch.manual_seed(3)
    before = torch.random.get_rng_state().clone(), repr(np.random.get_state())  # noqa: NPY002
    runs = []
    for seed in (0, 0, 5):
        one = policy(replay=20)
        rounds = search(one, space, embeddings(3), 14, score, seed)
        runs.append((rounds, one.predict(embeddings()["task4"])))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == repr(np.random.get_state())  # noqa: NPY002


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_first_settings_are_the_design_however_many_a_round(n: int) -> None:
    grid = LevelGrid(TASK2SIM_PARAMETERS, 5)
    design = list(islice(grid.design(spawn_generator(7, "policy", "design")), 8))
    one = policy(replay=1)
    one.start(TASK2SIM_PARAMETERS, 7)
    tasks = embeddings()
    tried: list[ParameterSetting] = []
    while len(tried) < 8:
        settings = one.propose(tasks, n)
        tried += [setting for setting in settings if setting not in tried]
        one.observe([TaskScore(t, s, reward(t, s)) for s in settings for t in tasks])
    assert tried[:8] == design


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_space_smaller_than_the_design_is_searched_through(n: int) -> None:
    space = ParameterSpace([Toggle("a"), Toggle("b")])
    one = policy(replay=1)
    one.start(space, 0)
    tried: set[ParameterSetting] = set()
    for _ in range(20):
        settings = one.propose(embeddings(2), n)
        tried |= set(settings)
        one.observe([TaskScore(t, s, float(s["a"])) for s in settings for t in embeddings(2)])
    assert len(tried) == 4


def test_never_more_new_settings_than_can_be_afforded() -> None:
    one = policy(initial=5, replay=5)
    one.start(TASK2SIM_PARAMETERS, 0)
    tasks = embeddings()
    tried: set[ParameterSetting] = set()
    for n in [1, 2, 7, 1, 3, 100, 1]:
        settings = one.propose(tasks, n)
        new = set(settings) - tried
        assert 1 <= len(new) <= n
        tried |= new
        one.observe([TaskScore(t, s, reward(t, s)) for s in settings for t in tasks])


@pytest.mark.parametrize("replay", [5, 0])
def test_a_small_space_is_searched_through_and_the_search_ends(replay: int) -> None:
    space = ParameterSpace([Toggle("a"), Choice("b", ("x", "y", "z"))])
    one = policy(epochs=40, replay=replay)
    rounds = search(one, space, embeddings(2), 100, lambda t, s: float(s["a"]))
    assert {s for settings in rounds for s in settings} == set(space.enumerate())
    # Without replay the draws are what it learns from, also when nothing is left to try.
    assert one._epoch == 40 if replay == 0 else one._epoch < 10


def test_choices_and_intervals_are_learned() -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        odd = int(task.removeprefix("task")) % 2
        return (
            float(setting["sky"] == ("noon", "dusk")[odd]) - abs(float(setting["fog"]) - odd) + float(setting["blur"])
        )

    tasks = embeddings(4)
    learned = policy()
    search(learned, MIXED, tasks, 25, score)
    for number, task in enumerate(tasks.values()):
        prediction = learned.predict(task)
        assert prediction.setting == MIXED.setting(blur=1, sky=("noon", "dusk")[number % 2], fog=float(number % 2))
        assert set(prediction.probabilities) == {"blur", "sky"}
        assert len(prediction.probabilities["sky"]) == 3
        assert all(sum(p) == pytest.approx(1, abs=1e-5) for p in prediction.probabilities.values())


def test_a_saved_state_brings_its_network_and_its_values(saved: Callable[[Task2SimPolicy], PolicyState]) -> None:
    one = policy(hidden=16, interval_levels=4, replay=20)
    search(one, MIXED, embeddings(3), 9, lambda t, s: float(int(s.key[:4], 16) % 50))
    other = policy()
    other.load_state(MIXED, saved(one))
    for task in embeddings().values():
        assert other.predict(task) == one.predict(task)
    assert other.state().data == one.state().data
    other.propose(embeddings(3), 1)
    assert other.state().arrays["weights.1"].shape == (16, 16)


def test_with_other_values_the_network_learns_anew(saved: Callable[[Task2SimPolicy], PolicyState]) -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        return float(setting["fog"]) + float(setting["blur"])

    few = ParameterSpace(MIXED, [{"fog": fog, "blur": blur} for fog in (0.2, 1.0) for blur in (0, 1)])
    more = ParameterSpace(MIXED, [*few.enumerate(), {"fog": 0.3}, {"fog": 0.3, "blur": 1}])
    one, other = policy(), policy()
    search(one, few, embeddings(3), 4, score)
    other.load_state(more, saved(one))
    for task in embeddings().values():
        assert other.predict(task).setting == more.setting(fog=1.0, blur=1)


def test_a_search_that_goes_on_with_a_new_task_learns_what_suits_it(
    study: Callable[..., list[ParameterSetting]], saved: Callable[[Task2SimPolicy], PolicyState]
) -> None:
    tasks = embeddings(5)
    one, other = policy(), policy()
    # Three tasks that like the same; the new one likes the opposite.
    old = {name: tasks[name] for name in ("task0", "task2", "task4")}
    search(one, TASK2SIM_PARAMETERS, old, 20, reward)
    other.load_state(TASK2SIM_PARAMETERS, saved(one))
    study(other, {**old, "task1": tasks["task1"]}, reward, 26)
    for name in (*old, "task1"):
        task = tasks[name]
        assert reward(name, other.predict(task).setting) >= reward(name, one.predict(task).setting)
    assert reward("task1", other.predict(tasks["task1"]).setting) >= 50 + 10 * 6


def test_a_task_without_scores_is_taken_for_an_average_one(saved: Callable[[Task2SimPolicy], PolicyState]) -> None:
    tasks = embeddings(5)
    one, other = policy(), policy()
    old = {name: tasks[name] for name in ("task0", "task2")}
    search(one, TASK2SIM_PARAMETERS, old, 20, reward)
    other.load_state(TASK2SIM_PARAMETERS, saved(one))
    other.propose({**old, "task1": tasks["task1"]}, 1)
    assert reward("task0", other.predict(tasks["task1"]).setting) >= 7


def test_in_a_space_that_lists_its_settings_probabilities_are_those_of_the_listed_ones() -> None:
    space = ParameterSpace(
        [Toggle("a"), Toggle("b"), Toggle("c")], [{"a": 1}, {"b": 1}, {"c": 1}, {"a": 1, "b": 1, "c": 1}]
    )

    def score(task: str, setting: ParameterSetting) -> float:
        return 4.0 - sum(map(int, setting.values())) + 0.5 * int(setting["b"])

    one = policy()
    search(one, space, embeddings(3), 4, score)
    prediction = one.predict(embeddings()["task0"])
    assert prediction.setting == space.setting(b=1)
    # No more than one of three is varied in all settings but one.
    total = sum(prediction.probabilities[name][1] for name in "abc")
    logs = one._taught.network.log_probabilities(one._nearness(embeddings()["task0"].vector[None]))
    joint = {s: np.exp(sum(logs[0, i, int(v)] for i, v in enumerate(s.values()))) for s in space.enumerate()}
    shares = {s: value / sum(joint.values()) for s, value in joint.items()}
    assert total == pytest.approx(1 + 2 * shares[space.setting(a=1, b=1, c=1)])
    for i, name in enumerate("abc"):
        varied = sum(share for s, share in shares.items() if list(s.values())[i])
        assert prediction.probabilities[name] == pytest.approx((1 - varied, varied))


def test_one_task_and_equal_tasks_do_no_harm() -> None:
    vector = np.ones(10, np.float32)
    for count in (1, 2):
        tasks = {f"task{i}": TaskEmbedding(f"task{i}", vector) for i in range(count)}
        one = policy(replay=50)
        search(one, TASK2SIM_PARAMETERS, tasks, 12, lambda t, s: float(s["background"]))
        assert one.predict(tasks["task0"]).setting["background"] == 1


def test_easy_and_hard_tasks_count_alike() -> None:
    """Another scale for one task's scores changes neither the search nor what is learned."""

    def rescaled(task: str, setting: ParameterSetting) -> float:
        return (64.0 if task == "task0" else 1.0) * reward(task, setting)

    tasks = embeddings(2)
    one, other = policy(replay=30), policy(replay=30)
    assert search(one, TASK2SIM_PARAMETERS, tasks, 14, reward) == search(
        other, TASK2SIM_PARAMETERS, tasks, 14, rescaled
    )
    for task in tasks.values():
        mine, theirs = one.predict(task), other.predict(task)
        assert mine.setting == theirs.setting
        for name, values in mine.probabilities.items():
            assert values == pytest.approx(theirs.probabilities[name], abs=1e-3)
