"""The surrogate policy: it finds good settings with few datasets, and comes back from its state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from itertools import islice

import numpy as np
import pytest

from task2sim import (
    TASK2SIM_PARAMETERS,
    Choice,
    Interval,
    ParameterError,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    PolicyState,
    TaskEmbedding,
    TaskError,
    TaskScore,
    Toggle,
    spawn_generator,
)
from task2sim_policies.levels import LevelGrid
from task2sim_policies.surrogate import SurrogatePolicy

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


def odd(task: str) -> int:
    return int(task.removeprefix("task")) % 2


def reward(task: str, setting: ParameterSetting) -> float:
    """All like materials and no blur; even tasks like background, odd ones dislike it; odd ones are easier."""
    signs = {name: 2 * int(value) - 1 for name, value in setting.items()}
    liked = 2 * signs["materials"] - signs["focus_blur"] + (1 - 2 * odd(task)) * 1.5 * signs["background"]
    liked += 0.5 * signs["materials"] * signs["light_colour"]
    return 50.0 + 20.0 * odd(task) + (1 + 4 * odd(task)) * liked


def noisy(deviation: float) -> Reward:
    """The rewards with noise that depends on task and setting."""

    def score(task: str, setting: ParameterSetting) -> float:
        return reward(task, setting) + deviation * float(spawn_generator(0, task, setting.key).normal())

    return score


def policy(**config: object) -> SurrogatePolicy:
    return SurrogatePolicy(SurrogatePolicy.Config(**config))


def go_on(
    searching: SurrogatePolicy, tasks: Mapping[str, TaskEmbedding], budget: int, reward: Reward, n: int = 2
) -> list[ParameterSetting]:
    tried: list[ParameterSetting] = []
    while len(tried) < budget:
        settings = searching.propose(tasks, min(n, budget - len(tried)))
        if not settings:
            break
        assert len(set(settings)) == len(settings) <= n
        assert not set(settings) & set(tried)
        tried += settings
        searching.observe([TaskScore(task, s, reward(task, s)) for s in settings for task in tasks])
    return tried


def search(
    space: ParameterSpace,
    tasks: Mapping[str, TaskEmbedding],
    budget: int,
    reward: Reward,
    seed: int = 1,
    n: int = 2,
    **config: object,
) -> tuple[SurrogatePolicy, list[ParameterSetting]]:
    searching = policy(**config)
    searching.start(space, seed)
    return searching, go_on(searching, tasks, budget, reward, n)


def saved(searching: SurrogatePolicy) -> PolicyState:
    state = searching.state()
    return PolicyState({k: v.copy() for k, v in state.arrays.items()}, json.loads(json.dumps(dict(state.data))))


def test_recovers_known_effects_and_says_what_to_expect() -> None:
    learned, _ = search(TASK2SIM_PARAMETERS, embeddings(), 20, reward)
    for task, embedding in embeddings().items():
        prediction = learned.predict(embedding)
        for name, value in {"materials": 1, "focus_blur": 0, "background": 1 - odd(task), "light_colour": 1}.items():
            assert prediction.setting[name] == value
        for name, expected in prediction.expected.items():
            settings = [TASK2SIM_PARAMETERS.setting({**prediction.setting, name: value}) for value in (0, 1)]
            assert expected == pytest.approx([reward(task, s) for s in settings], abs=2.0 * (1 + 4 * odd(task)))


def test_unseen_tasks_get_what_near_tasks_like() -> None:
    everyone = embeddings(8)
    learned, _ = search(TASK2SIM_PARAMETERS, embeddings(6), 20, noisy(0.5))
    for name in ("task6", "task7"):
        prediction = learned.predict(everyone[name])
        assert prediction.setting["background"] == 1 - odd(name)
        assert prediction.setting["materials"] == 1
        assert prediction.probabilities["background"][1 - odd(name)] > 0.6
        assert all(sum(shares) == pytest.approx(1) for shares in prediction.probabilities.values())


def test_a_task_unlike_all_gets_what_is_good_for_all() -> None:
    learned, _ = search(TASK2SIM_PARAMETERS, embeddings(6), 24, noisy(0.5))
    stranger = np.zeros(300, np.float32)
    stranger[:3] = 1.0
    prediction = learned.predict(TaskEmbedding("stranger", stranger))
    assert prediction.setting["materials"] == 1
    assert prediction.setting["focus_blur"] == 0
    near = learned.predict(embeddings(8)["task6"]).probabilities["background"]
    assert abs(prediction.probabilities["background"][1] - 0.5) < abs(near[1] - 0.5)


def test_beats_random_on_a_made_table() -> None:
    tasks = embeddings()
    generator = np.random.default_rng(5)
    table = {
        (task, s): noisy(1.0)(task, s) + 2.0 * generator.normal()
        for s in TASK2SIM_PARAMETERS.enumerate()
        for task in tasks
    }
    every = list(TASK2SIM_PARAMETERS.enumerate())

    def lookup(task: str, setting: ParameterSetting) -> float:
        return table[task, setting]

    ours, theirs = [], []
    for seed in range(3):
        learned, _ = search(TASK2SIM_PARAMETERS, tasks, 20, lookup, seed)
        ours.append(np.mean([lookup(t, learned.predict(e).setting) for t, e in tasks.items()]))
        drawn = [every[i] for i in generator.permutation(256)[:20]]
        theirs.append(np.mean([max(lookup(t, s) for s in drawn) for t in tasks]))
    assert np.mean(ours) > np.mean(theirs) + 1


def test_noise_is_not_taken_for_good_luck() -> None:
    """The setting with the best noisy score is worse than the one predicted."""
    tasks = embeddings()
    gains = []
    for seed in range(4):

        def score(task: str, setting: ParameterSetting, seed: int = seed) -> float:
            return reward(task, setting) + 6.0 * float(spawn_generator(seed, task, setting.key).normal())

        learned, tried = search(TASK2SIM_PARAMETERS, tasks, 32, score, seed, n=32, initial=32)
        for task, embedding in tasks.items():
            lucky = max(tried, key=lambda s, task=task: score(task, s))
            gains.append(reward(task, learned.predict(embedding).setting) - reward(task, lucky))
    assert np.mean(gains) > 1


def test_easy_and_hard_tasks_are_learned_alike() -> None:
    """Units and offsets of the scores change neither the model nor predictions."""
    tasks = embeddings()
    one, tried = search(TASK2SIM_PARAMETERS, tasks, 12, noisy(1.0), initial=12)
    other, again = search(TASK2SIM_PARAMETERS, tasks, 12, lambda t, s: 7 + noisy(1.0)(t, s) / 100, initial=12)
    assert tried == again
    for embedding in embeddings(8).values():
        mine, theirs = one.predict(embedding), other.predict(embedding)
        assert mine.setting == theirs.setting
        assert mine.expected["background"] == pytest.approx([100 * (v - 7) for v in theirs.expected["background"]])


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_first_settings_are_the_design_however_many_a_round(n: int) -> None:
    design = LevelGrid(TASK2SIM_PARAMETERS, 5).design(spawn_generator(7, "policy", "design"))
    _, tried = search(TASK2SIM_PARAMETERS, embeddings(), 8, reward, 7, n)
    assert tried == list(islice(design, 8))


@pytest.mark.parametrize("space", [TASK2SIM_PARAMETERS, MIXED])
def test_same_seed_same_search_and_global_generators_untouched(space: ParameterSpace) -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        return float(len(task) + int(setting.key[:4], 16) % 100)

    before = repr(np.random.get_state())  # noqa: NPY002
    runs = []
    for seed in (0, 0, 5):
        one, tried = search(space, embeddings(3), 14, score, seed)
        runs.append((tried, one.predict(embeddings()["task4"])))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]
    assert before == repr(np.random.get_state())  # noqa: NPY002


def test_choices_and_intervals_are_learned() -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        fits = float(setting["sky"] == ("noon", "dusk")[odd(task)])
        return fits - (float(setting["fog"]) - 0.5 - odd(task)) ** 2 + 0.5 * float(setting["blur"])

    tasks = embeddings(4)
    learned, _ = search(MIXED, tasks, 16, score)
    for task, embedding in tasks.items():
        prediction = learned.predict(embedding)
        assert prediction.setting == MIXED.setting(blur=1, sky=("noon", "dusk")[odd(task)], fog=0.5 + odd(task))
        assert set(prediction.probabilities) == set(prediction.expected) == {"blur", "sky"}
        assert len(prediction.expected["sky"]) == 3
        assert len(prediction.probabilities["sky"]) == 3


def test_only_settings_that_exist_are_proposed_and_predicted() -> None:
    exist = [s for s in TASK2SIM_PARAMETERS.enumerate() if sum(int(v) for v in s.values()) in (3, 4)][::3]
    space = ParameterSpace(TASK2SIM_PARAMETERS, exist)
    learned, tried = search(space, embeddings(), 1000, reward)
    assert set(tried) == set(exist)
    for task, embedding in embeddings().items():
        best = max(exist, key=lambda s, task=task: reward(task, s))
        assert reward(task, learned.predict(embedding).setting) == pytest.approx(reward(task, best), abs=0.5)
    searched, tried = search(space, embeddings(), 12, reward)
    assert set(tried) < set(exist)
    assert searched.predict(embeddings(8)["task7"]).setting in exist


@pytest.mark.parametrize("n", [1, 3])
def test_a_small_space_is_searched_through_and_the_search_ends(n: int) -> None:
    space = ParameterSpace([Toggle("a"), Choice("b", ("x", "y", "z"))])
    learned, tried = search(space, embeddings(2), 100, lambda t, s: float(s["a"]), n=n, initial=2)
    assert set(tried) == set(space.enumerate())
    assert learned.propose(embeddings(2), n) == []


def test_large_spaces_are_climbed() -> None:
    space = ParameterSpace([Toggle(f"p{i}") for i in range(18)] + [Interval("q", 0, 1)])

    def score(task: str, setting: ParameterSetting) -> float:
        return sum(float(setting[f"p{i}"]) * (-1) ** i for i in range(0, 8)) - abs(float(setting["q"]) - 0.5)

    learned, tried = search(space, embeddings(2), 40, score, n=4, initial=20)
    prediction = learned.predict(embeddings(2)["task0"])
    assert score("task0", prediction.setting) > 3.4
    assert score("task0", prediction.setting) >= max(score("task0", s) for s in tried[:20])
    assert all(space.has(s) for s in tried)


def test_the_choices_of_a_round_know_of_one_another() -> None:
    """Given what the first would score, the second need not be the setting that was second best without it."""
    one, _ = search(TASK2SIM_PARAMETERS, embeddings(), 10, noisy(1.0), initial=10)
    together = one.propose(embeddings(), 6)
    again, _ = search(TASK2SIM_PARAMETERS, embeddings(), 10, noisy(1.0), initial=10)
    assert again.propose(embeddings(), 1) == together[:1]
    # Proposed but not scored: the model is as before, and has nothing to say of the first.
    alone = [setting for _ in range(5) for setting in again.propose(embeddings(), 1)]
    assert len(set(together)) == 6
    assert len({together[0], *alone}) == 6
    assert alone != together[1:]


@pytest.mark.parametrize("winner", [0, 1])
def test_a_dataset_is_chosen_for_all_tasks_together(winner: int) -> None:
    """Where tasks disagree, the one with more to gain in the scores' unit decides."""
    tasks = embeddings(2)

    def score(task: str, setting: ParameterSetting) -> float:
        liked = sum((int(value) + odd(task)) % 2 for value in setting.values())
        return (30.0 if odd(task) == winner else 1.0) * liked

    # Neither everything nor nothing varied, which are the tasks' favourites.
    known = [s for s in TASK2SIM_PARAMETERS.enumerate() if sum(int(v) for v in s.values()) in (3, 4, 5)][::7]
    one = policy(initial=1)
    one.start(TASK2SIM_PARAMETERS, 0)
    one.propose(tasks, 1)
    one.observe([TaskScore(t, s, score(t, s)) for s in known for t in tasks])
    varied = sum(int(v) for v in one.propose(tasks, 1)[0].values())
    assert varied <= 2 if winner else varied >= 6


@pytest.mark.parametrize("space", [TASK2SIM_PARAMETERS, MIXED])
def test_a_saved_state_predicts_the_same_and_goes_on_the_same(space: ParameterSpace) -> None:
    def score(task: str, setting: ParameterSetting) -> float:
        return float(int(setting.key[:4], 16) % 50)

    one, _ = search(space, embeddings(3), 9, score, interval_levels=4)
    other = policy()
    other.load_state(space, saved(one))
    for task in embeddings().values():
        assert other.predict(task) == one.predict(task)
    again = other.state()
    assert again.data == one.state().data
    assert all(np.array_equal(again.arrays[k], v) for k, v in one.state().arrays.items())
    assert go_on(other, embeddings(3), 3, score) == go_on(one, embeddings(3), 3, score)


def test_a_loaded_model_is_not_fitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from task2sim_policies.gaussian_process import Process

    one, _ = search(TASK2SIM_PARAMETERS, embeddings(3), 9, reward)
    state = saved(one)
    monkeypatch.setattr(Process, "fitted", None)
    other = policy()
    other.load_state(TASK2SIM_PARAMETERS, state)
    assert other.predict(embeddings()["task0"]) == one.predict(embeddings()["task0"])


def test_goes_on_with_more_tasks() -> None:
    everyone = embeddings(6)
    first = {name: everyone[name] for name in ("task0", "task2", "task4")}
    one, tried = search(TASK2SIM_PARAMETERS, first, 12, reward)
    other = policy()
    other.load_state(TASK2SIM_PARAMETERS, saved(one))
    proposed = other.propose(everyone, 5)
    assert proposed == tried[:5]
    other.observe([TaskScore(t, s, reward(t, s)) for s in proposed for t in everyone])
    # Scores of the new tasks are missing for seven settings, and still all scores count.
    half = other.predict(everyone["task1"])
    assert half.setting["materials"] == 1
    later = go_on(other, everyone, 15, reward)
    assert set(later[:7]) == set(tried[5:])
    assert not set(later[7:]) & set(tried)
    for task, embedding in everyone.items():
        assert other.predict(embedding).setting["background"] == 1 - odd(task)


def test_a_namesake_of_a_seen_task_is_another_task() -> None:
    learned, _ = search(TASK2SIM_PARAMETERS, embeddings(), 16, reward)
    vector = embeddings(8)["task7"].vector
    namesake, other = (learned.predict(TaskEmbedding(name, vector)) for name in ("task0", "new"))
    assert namesake == other
    assert namesake.setting["background"] == 0


def test_a_seen_task_whose_embedding_is_made_anew_is_still_that_task() -> None:
    learned, _ = search(TASK2SIM_PARAMETERS, embeddings(), 16, reward)
    learned.predict(embeddings()["task0"])
    anew = TaskEmbedding("task0", embeddings(8)["task7"].vector)
    learned.propose({**embeddings(), "task0": anew}, 1)
    assert learned.predict(anew).setting["background"] == 1


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ([*TASK2SIM_PARAMETERS.parameters[:-1], Choice("materials", ("a", "b"))], "materials"),
        (TASK2SIM_PARAMETERS.parameters[:-1], "materials"),
        ([*TASK2SIM_PARAMETERS.parameters, Toggle("fog")], "fog"),
    ],
)
def test_a_state_of_another_space_is_refused_by_name(parameters: list[Toggle], name: str) -> None:
    one, _ = search(TASK2SIM_PARAMETERS, embeddings(3), 2, reward)
    with pytest.raises(ParameterError, match=name):
        policy().load_state(ParameterSpace(parameters), one.state())


def test_bad_input_is_told_in_a_line() -> None:
    one = policy()
    one.start(TASK2SIM_PARAMETERS, 0)
    with pytest.raises(PluginError, match="no score"):
        one.predict(embeddings()["task0"])
    with pytest.raises(TaskError, match="length"):
        one.propose({**embeddings(), "odd": TaskEmbedding("odd", np.ones(3, np.float32))}, 2)
    settings = one.propose(embeddings(), 1)
    with pytest.raises(TaskError, match="finite"):
        one.observe([TaskScore("task0", settings[0], float("nan"))])
    with pytest.raises(ParameterError, match="fog"):
        one.observe([TaskScore("task0", ParameterSetting({"fog": 1}), 1.0)])
    one.observe([TaskScore(task, settings[0], 1.0) for task in embeddings()])
    with pytest.raises(TaskError, match="3 numbers"):
        one.predict(TaskEmbedding("odd", np.ones(3, np.float32)))


@pytest.mark.parametrize("vector", [np.ones(10, np.float32), np.zeros(10, np.float32), -np.ones(10, np.float32)])
@pytest.mark.parametrize("count", [1, 3])
def test_few_and_equal_tasks_do_no_harm(vector: np.ndarray, count: int) -> None:
    tasks = {f"task{i}": TaskEmbedding(f"task{i}", vector) for i in range(count)}
    one, _ = search(TASK2SIM_PARAMETERS, tasks, 12, lambda t, s: float(s["background"]))
    assert one.predict(tasks["task0"]).setting["background"] == 1
    assert one.predict(TaskEmbedding("new", vector)).setting["background"] == 1


@pytest.mark.filterwarnings("error")
def test_constant_scores_do_no_harm() -> None:
    one, tried = search(TASK2SIM_PARAMETERS, embeddings(3), 14, lambda t, s: 0.1)
    assert len(tried) == 14
    prediction = one.predict(embeddings()["task0"])
    assert prediction.expected["materials"] == pytest.approx([0.1, 0.1])


def test_one_setting_is_a_space() -> None:
    space = ParameterSpace(TASK2SIM_PARAMETERS, [{"background": 1}])
    one, tried = search(space, embeddings(2), 5, reward)
    assert tried == list(space.enumerate())
    assert one.predict(embeddings()["task1"]).setting == tried[0]


def test_a_proposal_and_a_prediction_are_quick() -> None:
    tasks = embeddings(12)
    one, _ = search(TASK2SIM_PARAMETERS, tasks, 64, noisy(1.0), n=64, initial=64)
    start = time.process_time()
    one.propose(tasks, 2)
    one.predict(tasks["task0"])
    assert time.process_time() - start < 2
