"""What a study would do: how much there is to compute, what the store has of it, and why it lacks the rest."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from task2sim.comparison import best_setting, comparison_methods, comparison_requests
from task2sim.config import StudyFile
from task2sim.difference import ABSENT, flatten, shown
from task2sim.errors import Task2SimError
from task2sim.interfaces import ParameterPolicy, TaskEmbedding, TaskScore
from task2sim.parameters import ParameterSetting
from task2sim.registry import plugin_call
from task2sim.scoring import SEARCH, Request, embed_jobs, trial_recipe
from task2sim.seeds import spawn_generator
from task2sim.store import Store, hash_key
from task2sim.study import IDLE_ROUNDS, Checked, check_study, start_policy
from task2sim.study_file import StudyConfig
from task2sim.trial import EmbedJob, TrialJob

MADE_UP_LENGTH = 32
"""Numbers in an embedding that stands in for one that is not known yet."""

OWN = {
    "datasets": ("simulator", "images"),
    "backbones": ("trainer",),
    "embeddings": ("embedder",),
    "scores": ("evaluator",),
}
"""The parts of each key that follow from the study alone, not from settings, seeds, tasks or what comes before."""

NOUNS = {"datasets": "renders", "backbones": "pre-trainings", "embeddings": "embeddings", "scores": "scores"}


@attrs.frozen
class Amount:
    """How much there is of one kind of work.

    Attributes:
        known: How many are known in advance.
        stored: How many of these the store has, or does not need.
        further: How many more there may be at most, which depend on scores to come.
    """

    known: int
    stored: int
    further: int

    @property
    def to_do(self) -> int:
        """How many are known and missing."""
        return self.known - self.stored


@attrs.frozen
class Explanation:
    """What a study would do.

    Attributes:
        study: Its name.
        stages: For each stage, what happens in it.
        amounts: By kind: ``"renders"``, ``"pre-trainings"``, ``"embeddings"``, ``"scores"``.
        reasons: By kind, why the store lacks what is to be done.
    """

    study: str
    stages: Mapping[str, str]
    amounts: Mapping[str, Amount] = attrs.field(factory=dict)
    reasons: Mapping[str, Sequence[str]] = attrs.field(factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "study": self.study,
            "stages": dict(self.stages),
            "amounts": {name: {**attrs.asdict(a), "to_do": a.to_do} for name, a in self.amounts.items()},
            "reasons": {name: list(lines) for name, lines in self.reasons.items()},
        }


def explain_study(file: StudyFile, store: Store) -> Explanation:
    """Say what a run of a study would do; renders, trains and embeds nothing.

    The policy is asked for its settings with the scores that the store has. Where it has none, it is asked twice with
    made-up scores that contradict each other: what it proposes both times does not depend on them and is known.

    Args:
        file: The study.
        store: Where results may be.

    Raises:
        Task2SimError: the study could not run.
    """
    study = file.study
    checked = check_study(file)
    if study.rewards is not None:
        return Explanation(study.name, _stages_of_table(study))
    foreseen = foresee(file, checked, store)
    amounts = foreseen.work.amounts(foreseen.further_pretrainings, foreseen.further_scores)
    return Explanation(study.name, foreseen.stages, amounts, foreseen.work.reasons())


@attrs.frozen
class Foreseen:
    """What is known in advance of a study that renders.

    Attributes:
        stages: For each stage, what happens in it.
        work: What is to be computed, by key.
        further_pretrainings: How many more pre-trainings there may be at most, which depend on scores to come.
        further_scores: How many more scores.
    """

    stages: Mapping[str, str]
    work: Work
    further_pretrainings: int
    further_scores: int


def foresee(file: StudyFile, checked: Checked, store: Store) -> Foreseen:
    """Say what a run of a study that renders would compute.

    Args:
        file: The study.
        checked: What it is made of; its policy is played with.
        store: Where results may be.

    Raises:
        Task2SimError: the study could not run.
    """
    study = file.study
    fingerprints = {name: task.fingerprint for name, task in checked.tasks.items()}
    work = Work(study, store, fingerprints)
    stages = {"tasks": _tasks_stage(study)}

    probe_key, stages["embed"] = _probe(study, checked, work)
    work.embeddings = embed_jobs(study, store, fingerprints, None, probe_key)

    search = _foresee_search(file, checked, work)
    for setting in search.settings:
        work.add(Request(SEARCH, SEARCH, setting, "val", study.tasks.seen))
    unproposed = 0 if search.complete else study.pretrainings - len(search.settings)
    stages["search"] = _search_stage(study, search, unproposed)

    methods = comparison_methods(study, checked.space, search.predicted, search.best)
    for request in comparison_requests(study, methods)[0]:
        work.add(request)
    unpredicted = len(study.tasks.names) - len(search.predicted)
    unknown = unpredicted + (study.pretrainings > 0 and search.best is None)
    stages["compare"] = _compare_stage(study, [method.name for method in methods], unpredicted)

    pretrainings = unproposed + unknown * study.comparison.seeds
    scores = unproposed * len(study.tasks.seen) + unknown * study.comparison.seeds * len(study.tasks.names)
    return Foreseen(stages, work, pretrainings, scores)


# --- stages, in words ---


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _tasks_stage(study: StudyConfig) -> str:
    return f"{len(study.tasks.seen)} seen ({', '.join(study.tasks.seen) or 'none'}), " + (
        f"{len(study.tasks.unseen)} unseen ({', '.join(study.tasks.unseen) or 'none'})"
    )


def _stages_of_table(study: StudyConfig) -> dict[str, str]:
    assert study.rewards is not None
    return {
        "tasks": _tasks_stage(study),
        "search": f"policy {study.policy.name}: at most {_count(study.pretrainings, 'setting')} looked up in"
        f" {study.rewards.name}",
        "compare": "looked up as well; nothing is rendered, trained or kept in the store",
    }


def _probe(study: StudyConfig, checked: Checked, work: Work) -> tuple[str, str]:
    """The key of the probe, or nothing, and what to say of the stage."""
    tasks = f"{_count(len(study.tasks.names), 'task')} by {study.embedder.name}"
    if not study.embedder.build().needs_probe:
        return "", tasks
    if checked.learned is not None:
        return work.store.key(checked.learned.probe()), f"{tasks}, with the probe of the run that is continued"
    job = work.add(Request("probe", SEARCH, checked.space.everything_varied(), "", ()))
    return hash_key(job.backbone_data), f"{tasks}, with a probe that is pre-trained with everything varied"


def _search_stage(study: StudyConfig, search: _Search, unproposed: int) -> str:
    if study.pretrainings == 0:
        return "none: the policy goes by what it learned"
    known = len(search.settings)
    text = f"policy {study.policy.name}: at most {_count(study.pretrainings, 'setting')}"
    if search.complete:
        return f"{text}; {'all' if known == study.pretrainings else f'it takes {known}, and these'} are known"
    if known == 0:
        return f"{text}; which ones depends on embeddings and scores to come"
    return f"{text}; the first {known} {'is' if known == 1 else 'are'} known, {unproposed} depend on scores to come"


def _compare_stage(study: StudyConfig, known: Sequence[str], unpredicted: int) -> str:
    text = f"known: {', '.join(name for name in known if not name.startswith('policy '))}"
    if unpredicted:
        return f"{text}; predictions for {_count(unpredicted, 'task')} are not"
    return f"{text}, and all predictions"


# --- what the policy will propose ---


@attrs.frozen
class _Search:
    """What is known of a search in advance: its first settings, whether these are all, and what follows from them."""

    settings: tuple[ParameterSetting, ...]
    complete: bool
    predicted: Mapping[str, ParameterSetting]
    best: ParameterSetting | None


class _Player:
    """A policy that plays a study; where something is not known it is made up, contrarily by two players."""

    def __init__(self, policy: ParameterPolicy, embeddings: Mapping[str, TaskEmbedding], seen: Sequence[str]) -> None:
        self.policy, self.embeddings = policy, embeddings
        self.seen = {name: embeddings[name] for name in seen}


def _foresee_search(file: StudyFile, checked: Checked, work: Work) -> _Search:
    study, space, title = file.study, checked.space, file.study.policy.entry.title
    known = work.known_embeddings()
    guessed = len(known) < len(study.tasks.names)
    made_up = spawn_generator(study.seed, "explain")

    def player(policy: ParameterPolicy) -> _Player:
        vectors = {
            name: TaskEmbedding(name, made_up.standard_normal(MADE_UP_LENGTH).astype(np.float32))
            for name in study.tasks.names
        }
        return _Player(policy, known if len(known) == len(vectors) else vectors, study.tasks.seen)

    players = [player(checked.policy), player(start_policy(file, space, checked.learned))]
    tried: dict[ParameterSetting, list[float] | None] = {}
    told: dict[ParameterSetting, list[list[float]]] = {}
    idle, complete = 0, study.pretrainings == 0
    try:
        while not complete:
            if len(tried) >= study.pretrainings or idle >= IDLE_ROUNDS:
                complete = True
                break
            n = min(study.settings_per_round, study.pretrainings - len(tried))
            with plugin_call(title):
                proposals = [[space.setting(s) for s in p.policy.propose(p.seen, n)] for p in players]
            if any(proposed != proposals[0] for proposed in proposals):
                break
            if not proposals[0]:
                complete = True
                break
            new = [setting for setting in proposals[0] if setting not in tried]
            for setting in new:
                tried[setting] = work.known_scores(setting)
                guess = made_up.random(len(study.tasks.seen))
                guessed = guessed or tried[setting] is None
                told[setting] = [tried[setting] or list(row) for row in (guess, 1 - guess)]
            for number, one in enumerate(players):
                scores = [
                    TaskScore(task, setting, float(value))
                    for setting in proposals[0]
                    for task, value in zip(study.tasks.seen, told[setting][number], strict=True)
                ]
                with plugin_call(title):
                    one.policy.observe(scores)
            idle = 0 if new else idle + 1
        predicted = _foresee_predictions(checked, players, title) if complete else {}
    except Task2SimError:
        if not guessed:
            raise
        complete, predicted = False, {}  # the policy took offence at what was made up
    best = None if guessed or not complete else best_setting({s: v for s, v in tried.items() if v is not None})
    return _Search(tuple(tried), complete, predicted, best)


def _foresee_predictions(checked: Checked, players: Sequence[_Player], title: str) -> dict[str, ParameterSetting]:
    """The predictions that all players agree on."""
    predicted = {}
    for name in players[0].embeddings:
        with plugin_call(title):
            settings = [checked.space.setting(p.policy.predict(p.embeddings[name]).setting) for p in players]
        if all(setting == settings[0] for setting in settings):
            predicted[name] = settings[0]
    return predicted


# --- what the store has ---


class Work:
    """What is to be computed, by key."""

    def __init__(self, study: StudyConfig, store: Store, fingerprints: Mapping[str, str]) -> None:
        self.study, self.store, self.fingerprints = study, store, fingerprints
        self.embeddings: list[EmbedJob] = []
        self.datasets: dict[str, dict[str, Any]] = {}
        self.backbones: dict[str, dict[str, Any]] = {}
        self.scores: dict[str, dict[str, Any]] = {}

    def job(self, request: Request) -> TrialJob:
        """The trial of a request."""
        recipe = trial_recipe(self.study, self.store, self.fingerprints, request.tasks)
        return TrialJob(recipe, request.phase, request.replicate, request.setting, request.split)

    def add(self, request: Request) -> TrialJob:
        """Count what a trial takes."""
        job = self.job(request)
        if job.setting is not None:  # untrained networks cost next to nothing
            data = job.recipe.dataset_data(job.setting, job.replicate)
            self.datasets[hash_key(data)] = data
            self.backbones[hash_key(job.backbone_data)] = job.backbone_data
        self.scores.update((hash_key(data), data) for data in job.score_datas().values())
        return job

    def known_embeddings(self) -> dict[str, TaskEmbedding]:
        """The embeddings that the store has."""

        def never() -> TaskEmbedding:
            raise AssertionError("the store has it")

        there = [job for job in self.embeddings if self.store.has("embeddings", hash_key(job.data))]
        return {job.task[0]: self.store.embedding(job.data, never) for job in there}

    def known_scores(self, setting: ParameterSetting) -> list[float] | None:
        """What a setting scored in a search on each seen task, if the store has all of it."""
        datas = self.job(Request(SEARCH, SEARCH, setting, "val", self.study.tasks.seen)).score_datas()
        keys = [hash_key(datas[name]) for name in self.study.tasks.seen]
        found = self.store.scores(keys)
        return [found[key].value for key in keys] if len(found) == len(set(keys)) else None

    def missing(self) -> dict[str, list[dict[str, Any]]]:
        """By kind, what determines each thing that is to be made."""
        backbones = {key: data for key, data in self.backbones.items() if not self.store.has("backbones", key)}
        wanted = {data["dataset"] for data in backbones.values()}
        scores = self.store.scores(list(self.scores))
        return {
            "datasets": [
                data for key, data in self.datasets.items() if key in wanted and not self.store.has("datasets", key)
            ],
            "backbones": list(backbones.values()),
            "embeddings": [
                job.data for job in self.embeddings if not self.store.has("embeddings", hash_key(job.data))
            ],
            "scores": [data for key, data in self.scores.items() if key not in scores],
        }

    def amounts(self, pretrainings: int, scores: int) -> dict[str, Amount]:
        """How much there is of each kind; `pretrainings` and `scores` may come on top."""
        known = {"datasets": self.datasets, "backbones": self.backbones, "embeddings": self.embeddings}
        counts = {kind: len(items) for kind, items in {**known, "scores": self.scores}.items()}
        further = {"datasets": pretrainings, "backbones": pretrainings, "embeddings": 0, "scores": scores}
        missing = self.missing()
        return {NOUNS[kind]: Amount(counts[kind], counts[kind] - len(missing[kind]), further[kind]) for kind in OWN}

    def reasons(self) -> dict[str, list[str]]:
        """By kind, why the store lacks what is to be made."""
        missing = self.missing()
        new = {"datasets": {hash_key(data) for data in missing["datasets"]}}
        behind = {data["backbone"] for data in missing["scores"]}
        new["backbones"] = {key for key in behind if not self.store.has("backbones", key)}
        return {
            NOUNS[kind]: _reasons(kind, datas, list(self.store.determined(kind)), new, self._task_names())
            for kind, datas in missing.items()
            if datas
        }

    def _task_names(self) -> dict[str, str]:
        """The name of each task by its fingerprint, of those that the store had as well."""
        stored = {data["fingerprint"]: data["name"] for data in self.store.determined("tasks")}
        return {**stored, **{fingerprint: name for name, fingerprint in self.fingerprints.items()}}


def _reasons(
    kind: str,
    missing: Sequence[Mapping[str, Any]],
    stored: Sequence[Mapping[str, Any]],
    new: Mapping[str, set[str]],
    tasks: Mapping[str, str],
) -> list[str]:
    """Why the store has none of these."""
    if not stored:
        return [f"the store has no {NOUNS[kind]} yet" if kind != "datasets" else "the store has no datasets yet"]
    parts = {json.dumps(_own(kind, data), sort_keys=True): _own(kind, data) for data in stored}
    own = _own(kind, missing[0])
    changed = min((part_changes(part, own) for part in parts.values()), key=_distance)
    # What is determined by the rest of the key is compared with what was made in the same way, or nearly so.
    alike = [data for data in stored if part_changes(_own(kind, data), own) == changed]
    return [*changed, *_upstream(kind, missing, alike, new, tasks)] or ["not finished yet"]


def _own(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in OWN[kind]}


def _distance(changed: Sequence[str]) -> int:
    """How far apart two keys are: another plugin is further than any other key."""
    return len(changed) + 100 * sum(re.match(r"\w+: \S+/\S+ -> ", line) is not None for line in changed)


def _upstream(
    kind: str,
    missing: Sequence[Mapping[str, Any]],
    alike: Sequence[Mapping[str, Any]],
    new: Mapping[str, set[str]],
    tasks: Mapping[str, str],
) -> list[str]:
    """What differs of settings, seeds, tasks and what was made before."""
    lines: dict[str, int] = {}

    def because(line: str) -> None:
        lines[line] = lines.get(line, 0) + 1

    seeds = {data["seed"] for data in alike}
    fingerprints = {data.get("task") for data in alike}
    probes = {data.get("probe") for data in alike}
    settings = {json.dumps(data["setting"], sort_keys=True) for data in alike if kind == "datasets"}
    for data in missing:
        if kind == "backbones" and data["dataset"] in new["datasets"]:
            because("of datasets that are new")
        elif kind == "scores" and data["backbone"] in new["backbones"]:
            because("of networks that are new")
        elif kind == "embeddings" and data["probe"] not in probes:
            because("by a probe that is new")
        elif data.get("task") not in fingerprints and "task" in data:
            because(f"of {_task(data['task'], tasks, fingerprints)}")
        elif data["seed"] not in seeds:
            because("with seeds that were not used before")
        elif kind == "datasets" and json.dumps(data["setting"], sort_keys=True) not in settings:
            because("with settings that were not tried before")
    return [f"{count} {line}" for line, count in lines.items()]


def _task(fingerprint: str, tasks: Mapping[str, str], stored: Iterable[Any]) -> str:
    name = tasks.get(fingerprint, "a task")
    if name in {tasks.get(str(other)) for other in stored}:
        return f"task {name}, whose images are others now"
    return f"task {name}, which is new"


# --- which part of a key changed ---


def part_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two parts of keys, a line each, such as ``simulator.resolution: 64 -> 96``."""
    lines: dict[str, None] = {}
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if not isinstance(before, Mapping) or not isinstance(after, Mapping) or "plugin" not in after:
            if before != after:
                lines[f"{name}: {shown(before)} -> {shown(after)}"] = None
        elif before["plugin"] != after["plugin"]:
            lines[f"{name}: {before['plugin']} -> {after['plugin']}"] = None
        else:
            lines.update(dict.fromkeys(_plugin_changes(name, before, after)))
    return list(lines)


def _plugin_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    distribution = str(new["plugin"]).rpartition("/")[0]
    for key, title in (("core", "task2sim"), ("version", distribution)):
        if old.get(key) != new.get(key):
            yield f"{title} {old.get(key)} -> {new.get(key)}"
    before, after = dict(flatten(old["config"])), dict(flatten(new["config"]))
    for location in dict.fromkeys([*before, *after]):
        values = before.get(location, ABSENT), after.get(location, ABSENT)
        if values[0] != values[1] and location:
            yield f"{name}.{'.'.join(map(str, location))}: {shown(values[0])} -> {shown(values[1])}"
    if old["fingerprint"] != new["fingerprint"]:
        yield from _fingerprint_changes(name, str(old["fingerprint"]).split(), str(new["fingerprint"]).split())


def _fingerprint_changes(name: str, old: Sequence[str], new: Sequence[str]) -> Iterable[str]:
    """What a fingerprint says in words: libraries with their versions. The rest are hashes of files."""
    libraries = [dict(itertools.pairwise(words)) for words in (old, new)]
    named = [
        f"{word} {version} -> {libraries[1][word]}"
        for word, version in libraries[0].items()
        if re.fullmatch(r"[A-Za-z][\w.-]*", word)
        and version[:1].isdigit()
        and libraries[1].get(word, version) != version
    ]
    return named or [f"{name}: other files or libraries (its fingerprint changed)"]
