"""What policies promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.specimens import (
    BOUNDED_SPACE,
    LISTED_SPACE,
    OTHER_SPACE,
    SPACE,
    Bench,
    reward,
    specimen_embeddings,
)
from task2sim.conformance.subject import SEED, Subject
from task2sim.errors import ParameterError, Task2SimError, TaskError
from task2sim.interfaces import ParameterPolicy, PolicyState, Prediction, TaskEmbedding, TaskScore
from task2sim.parameters import ParameterSetting, ParameterSpace

BUDGET, ROUND = 9, 2

CHECKS = CheckList()


def exercise(component: ParameterPolicy, bench: Bench, seed: int) -> Any:
    """A search, from start to predictions."""
    component.start(SPACE, seed)
    played = _search(component, SPACE)
    return [[dict(s) for s in played.proposed], [_plain(component.predict(e)) for e in _to_predict().values()]]


def _plain(prediction: Prediction) -> Any:
    return [dict(prediction.setting), dict(prediction.probabilities), dict(prediction.expected)]


def _to_predict() -> dict[str, TaskEmbedding]:
    """Three seen tasks and an unseen one."""
    return specimen_embeddings(4)


@attrs.frozen
class _Played:
    """What a policy did in a search.

    Attributes:
        rounds: What it proposed, round by round.
        asked: How many new settings it could propose in each.
    """

    rounds: list[list[ParameterSetting]]
    asked: list[int]

    @property
    def proposed(self) -> list[ParameterSetting]:
        return [setting for settings in self.rounds for setting in settings]


def _search(
    policy: ParameterPolicy,
    space: ParameterSpace,
    tasks: Mapping[str, TaskEmbedding] | None = None,
    budget: int = BUDGET,
) -> _Played:
    """Play a study's part."""
    tasks = tasks or specimen_embeddings()
    tried: set[ParameterSetting] = set()
    rounds: list[list[ParameterSetting]] = []
    asked: list[int] = []
    for _ in range(3 * budget):
        if len(tried) >= budget:
            break
        asked.append(min(ROUND, budget - len(tried)))
        settings = list(policy.propose(tasks, asked[-1]))
        rounds.append(settings)
        if not settings:
            break
        tried.update(settings)
        policy.observe([TaskScore(task, setting, reward(task, setting)) for setting in settings for task in tasks])
    return _Played(rounds, asked)


def _played(subject: Subject) -> _Played:
    def play() -> _Played:
        with subject.component() as policy:
            policy.start(SPACE, SEED)
            return _search(policy, SPACE)

    return subject.remembered("search", play)


def _predictions(subject: Subject) -> list[Prediction]:
    def predict() -> list[Prediction]:
        with subject.component() as policy:
            policy.start(SPACE, SEED)
            _search(policy, SPACE)
            return [policy.predict(embedding) for embedding in _to_predict().values()]

    return subject.remembered("predictions", predict)


def _through_files(state: PolicyState) -> PolicyState:
    """A state as it comes back from the files it is saved in."""
    from safetensors.numpy import load, save

    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
    return PolicyState(load(save(arrays)), json.loads(json.dumps(dict(state.data))))


def _is_setting(space: ParameterSpace, setting: Any) -> str:
    """Why it is no setting of the space; empty if it is one."""
    if not isinstance(setting, ParameterSetting):
        return f"{setting!r} is a {type(setting).__name__}"
    try:
        whole = space.setting(setting)
    except ParameterError as error:
        return str(error)
    return "" if whole == setting else f"'{setting.label}' lacks a parameter"


# --- the search ---


@CHECKS.add(
    "proposes-settings",
    "it proposes settings of the space",
    why="the simulator would refuse them in the middle of a study",
    mend="make settings with space.setting(...), space.sample(...) or space.enumerate()",
)
def _proposes_settings(subject: Subject) -> None:
    proposed = _played(subject).proposed
    require(proposed, "it proposed nothing")
    wrong = [problem for setting in proposed if (problem := _is_setting(SPACE, setting))]
    require(not wrong, wrong[0] if wrong else "")


@CHECKS.add(
    "proposes-distinct",
    "no proposal holds a setting twice",
    why="a study refuses such a proposal",
    mend="list(dict.fromkeys(settings))",
)
def _distinct(subject: Subject) -> None:
    for number, settings in enumerate(_played(subject).rounds):
        require(len(set(settings)) == len(settings), f"round {number + 1} holds one twice")


@CHECKS.add(
    "keeps-to-budget",
    "a proposal holds at most n settings that were not tried before",
    why="the budget counts pre-trainings, and a study refuses to overdraw it",
    mend="remember what was proposed, and cut the rest to n",
)
def _budget(subject: Subject) -> None:
    played = _played(subject)
    tried: set[ParameterSetting] = set()
    for number, (settings, n) in enumerate(zip(played.rounds, played.asked, strict=True)):
        new = len(set(settings) - tried)
        require(new <= n, f"round {number + 1} holds {new} new ones where {n} were asked for")
        tried |= set(settings)


@CHECKS.add(
    "listed-settings",
    "in a space that lists its settings it proposes and predicts only those",
    why="a reward table may know 16 of 256 combinations",
    mend="use space.has(setting), space.enumerate() and space.sample(generator)",
)
def _listed(subject: Subject) -> None:
    with subject.component() as policy:
        try:
            policy.start(LISTED_SPACE, SEED)
            played = _search(policy, LISTED_SPACE, budget=5)
            predicted = [policy.predict(embedding).setting for embedding in _to_predict().values()]
        except ParameterError as error:
            raise NotApplicable(f"it refuses such a space: {error}") from None
    chosen = [setting for setting in [*played.proposed, *predicted] if not _is_setting(SPACE, setting)]
    unlisted = [setting.label for setting in chosen if not LISTED_SPACE.has(setting)]
    require(not unlisted, f"'{', '.join(unlisted[:1])}' is not listed")


@CHECKS.add(
    "bounded-parameters",
    "it copes with a parameter between two bounds, or refuses it with a task2sim error",
    why="simulators of others have such parameters",
    mend="try a few values of an Interval, or raise a ParameterError in start",
)
def _bounded(subject: Subject) -> None:
    with subject.component() as policy:
        try:
            policy.start(BOUNDED_SPACE, SEED)
            played = _search(policy, BOUNDED_SPACE)
            predicted = [policy.predict(embedding).setting for embedding in _to_predict().values()]
        except Task2SimError as error:
            raise NotApplicable(f"it refuses them: {error}") from None
    for setting in [*played.proposed, *predicted]:
        try:
            BOUNDED_SPACE["sun"].check(setting.get("sun"))
        except ParameterError as error:
            raise Breach(str(error)) from None


@CHECKS.add(
    "all-tried",
    "when every setting was tried it ends, or proposes known ones",
    why="with a large budget and few settings a study would never end, or crash",
    mend="return an empty list where nothing new is left",
)
def _all_tried(subject: Subject) -> None:
    space = ParameterSpace(OTHER_SPACE.parameters[:1])
    with subject.component() as policy:
        try:
            policy.start(space, SEED)
        except ParameterError as error:
            raise NotApplicable(f"it refuses a space of two settings: {error}") from None
        for _ in range(6):
            settings = list(policy.propose(specimen_embeddings(), ROUND))
            if not settings:
                break
            names = specimen_embeddings()
            policy.observe(
                [TaskScore(name, setting, reward(name, setting)) for setting in settings for name in names]
            )
        policy.predict(specimen_embeddings()["task a"])


@CHECKS.add(
    "refuses-bad-scores",
    "a score that is not finite is refused with a TaskError",
    why="one NaN would spoil all that is learned, silently",
    mend="if not numpy.isfinite(score.value): raise TaskError(...)",
)
def _bad_scores(subject: Subject) -> None:
    for value in (float("nan"), float("inf")):
        with subject.component() as policy:
            policy.start(SPACE, SEED)
            tasks = specimen_embeddings()
            settings = policy.propose(tasks, ROUND)
            try:
                policy.observe([TaskScore(task, setting, value) for setting in settings for task in tasks])
            except TaskError:
                continue
            except Exception as error:
                raise Breach(f"for the score {value} it raised {type(error).__name__}: {error}") from error
            raise Breach(f"it took the score {value}")


@CHECKS.add(
    "embeddings-that-differ-in-length",
    "embeddings of different lengths are refused with a TaskError, or do not matter",
    why="a crash of a library says nothing of the embedder's mistake",
    mend="compare the shapes in propose",
)
def _lengths(subject: Subject) -> None:
    tasks = specimen_embeddings()
    tasks["task b"] = attrs.evolve(tasks["task b"], vector=tasks["task b"].vector[:3])
    with subject.component() as policy:
        policy.start(SPACE, SEED)
        try:
            _search(policy, SPACE, tasks)
            for embedding in tasks.values():
                policy.predict(embedding)
        except TaskError:
            pass
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error


# --- predictions ---


@CHECKS.add(
    "predicts-settings",
    "it predicts a setting of the space, for seen and unseen tasks",
    why="the final comparison renders it",
    mend="return Prediction(space.setting(...))",
)
def _predicts(subject: Subject) -> None:
    for prediction in _predictions(subject):
        require(isinstance(prediction, Prediction), f"it gave {prediction!r}")
        problem = _is_setting(SPACE, prediction.setting)
        require(not problem, problem)


@CHECKS.add(
    "predicts-without-randomness",
    "asked for the same task again, it predicts the same",
    why="a prediction could not be repeated",
    mend="draw nothing in predict; take the most probable value",
)
def _no_randomness(subject: Subject) -> None:
    with subject.component() as policy:
        policy.start(SPACE, SEED)
        _search(policy, SPACE)
        for embedding in _to_predict().values():
            first, *others = (_plain(policy.predict(embedding)) for _ in range(4))
            require(
                all(other == first for other in others),
                f"for {embedding.task!r} it predicted {first[0]}, then others",
            )


def _rows(subject: Subject, field: str) -> list[tuple[str, tuple[float, ...]]]:
    rows = [item for prediction in _predictions(subject) for item in getattr(prediction, field).items()]
    if not rows:
        raise NotApplicable(f"its predictions have no {field}")
    for name, row in rows:
        require(name in SPACE.names, f"{name!r} is no parameter")
        values = SPACE[name].values
        require(len(row) == len(values), f"{name} has {len(values)} values and {len(row)} numbers")
    return rows


@CHECKS.add(
    "probabilities",
    "probabilities are one for each value of a parameter, and sum to one",
    why="reports and task2sim predict show them as they are",
    mend="normalise them, in the order of parameter.values",
)
def _probabilities(subject: Subject) -> None:
    for name, row in _rows(subject, "probabilities"):
        require(min(row) >= 0 and abs(sum(row) - 1) < 1e-4, f"those of {name} are {row}")


@CHECKS.add(
    "expected-scores",
    "expected scores are one finite number for each value of a parameter",
    why="reports and task2sim predict show them as they are",
    mend="leave a parameter out if you do not expect anything of one of its values",
)
def _expected(subject: Subject) -> None:
    for name, row in _rows(subject, "expected"):
        require(np.isfinite(row).all(), f"those of {name} are {row}")


# --- the state ---


def _searched_state(policy: ParameterPolicy) -> PolicyState:
    policy.start(SPACE, SEED)
    _search(policy, SPACE)
    return policy.state()


@CHECKS.add(
    "state-is-plain",
    "its state is numeric arrays by name, and data that JSON holds",
    why="states are saved as safetensors and JSON: nobody has to trust a pickle",
    mend="turn objects into lists and numbers; setting.as_dict() for settings",
)
def _state_plain(subject: Subject) -> None:
    with subject.component() as policy:
        state = _searched_state(policy)
    for name, array in state.arrays.items():
        require(
            isinstance(array, np.ndarray) and array.dtype.kind in "biuf", f"array {name!r} is {type(array).__name__}"
        )
    try:
        json.dumps(dict(state.data), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Breach(f"JSON can't hold its data: {error}") from None


@CHECKS.add(
    "state-predicts-the-same",
    "a policy that took up the state predicts what the one that saved it predicts",
    why="task2sim predict, tailor and later studies work from the saved state alone",
    mend="save whatever predict looks at; nothing must remain in attributes that load_state does not set",
)
def _state_predicts(subject: Subject) -> None:
    with subject.component() as policy, subject.component() as other:
        state = _searched_state(policy)
        try:
            saved = _through_files(state)
        except Exception:
            raise NotApplicable("its state can't be saved: see state-is-plain") from None
        other.load_state(SPACE, saved)
        for embedding in _to_predict().values():
            before, after = (dict(p.predict(embedding).setting) for p in (policy, other))
            require(before == after, f"for {embedding.task!r} it predicted {before}, and from its state {after}")


@CHECKS.add(
    "state-goes-on",
    "a policy that took up the state can go on searching, with a further task",
    why="a study may continue another one",
    mend="let load_state set all that propose and observe need; a new task has no scores yet",
)
def _state_goes_on(subject: Subject) -> None:
    with subject.component() as policy, subject.component() as other:
        try:
            saved = _through_files(_searched_state(policy))
        except Exception:
            raise NotApplicable("its state can't be saved: see state-is-plain") from None
        other.load_state(SPACE, saved)
        _search(other, SPACE, _to_predict(), budget=4)
        other.predict(_to_predict()["task d"])


@CHECKS.add(
    "state-of-another-space",
    "a state that belongs to another parameter space is refused with a ParameterError",
    why="a policy would predict values of parameters that mean something else",
    mend="save the settings or space.describe(), and compare in load_state",
)
def _other_space(subject: Subject) -> None:
    with subject.component() as policy, subject.component() as other:
        try:
            saved = _through_files(_searched_state(policy))
        except Exception:
            raise NotApplicable("its state can't be saved: see state-is-plain") from None
        try:
            other.load_state(OTHER_SPACE, saved)
        except ParameterError:
            return
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error
    raise Breach("it took up the state")
