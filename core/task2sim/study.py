"""The study: embed the tasks, search, predict, compare."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
from filelock import FileLock, Timeout

from task2sim import provenance
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.config import StudyFile, placed
from task2sim.errors import PluginError, StoreError, Task2SimError, TaskError
from task2sim.interfaces import Executor, ParameterPolicy, Prediction, TaskEmbedding, TaskScore, TaskSource
from task2sim.observers import Observers
from task2sim.parameters import ParameterSetting, ParameterSpace
from task2sim.progress import Progress, progress_listener, report_progress
from task2sim.registry import plugin_call
from task2sim.results import UNTRAINED, Results
from task2sim.run import RESULTS, Run
from task2sim.seeds import spawn_generator, spawn_seed
from task2sim.store import Store, hash_key, writing
from task2sim.study_file import StudyConfig
from task2sim.tasks import Task
from task2sim.trial import EmbedJob, Recipe, Trial, TrialJob, known_trial, run_embedding, run_trial

SEARCH = "search"
"""Names the seeds of the search; the comparison uses others."""

IDLE_ROUNDS = 10_000
"""Rounds without a new setting after which a policy is taken to have finished."""

Warn = Callable[[str, str], None]


def run_folder(file: StudyFile, runs: Path) -> Path:
    """Where the run of a study lies: the same for the same study and plugin versions, so that it can go on."""
    study = file.study
    versions = {entry.title for entry in (chosen.entry for chosen in _chosen(study))}
    key = hash_key({"study": study.model_dump(mode="json"), "plugins": sorted(versions)})
    return runs / f"{study.name}-{key[:8]}"


def run_study(
    file: StudyFile,
    runs: Path,
    store: Store,
    observers: Sequence[tuple[str, object]] = (),
    warn: Warn | None = None,
    until: Literal["embed", "end"] = "end",
) -> Run:
    """Run a study, or take it up where it stopped.

    Args:
        file: The study.
        runs: The folder that holds run folders.
        store: Where datasets, backbones and scores are kept.
        observers: (title, observer) pairs beside those the study names.
        warn: Is told of observers that failed: a line, and a traceback.
        until: ``"embed"`` stops once the tasks are embedded.

    Returns:
        The finished run.

    Raises:
        Task2SimError: the study can't go on; what it finished is kept.
    """
    return _Study(file, runs, store, observers, warn or (lambda line, details: None)).run(until)


def load_tasks(file: StudyFile) -> dict[str, Task]:
    """Load a study's tasks and check that its evaluator can use them.

    Returns:
        The seen tasks, then the unseen ones, by name.

    Raises:
        Task2SimError: a task is unknown, can't be read, or is too small; with its place in the study file.
    """
    study = file.study
    sources: dict[str, tuple[Chosen, TaskSource]] = {}
    for position, chosen in enumerate(study.tasks.sources):
        place = file.place("tasks", "sources", position)
        with at(place):
            source: TaskSource = chosen.build()
            with plugin_call(chosen.entry.title):
                names = source.names()
        for name in names:
            if name in sources:
                raise TaskError(
                    f"two sources have a task {name!r}", place=place, mend="give one of them another name"
                )
            sources[name] = (chosen, source)
    evaluator = study.evaluator.build()
    tasks: dict[str, Task] = {}
    images_of: dict[str, str] = {}
    wanted = [*(("seen", i, n) for i, n in enumerate(study.tasks.seen))]
    wanted += [*(("unseen", i, n) for i, n in enumerate(study.tasks.unseen))]
    for number, (key, position, name) in enumerate(wanted):
        place = file.place("tasks", key, position)
        if name not in sources:
            raise TaskError(f"there is no task {name!r}", place=place, mend=f"tasks are {', '.join(sorted(sources))}")
        chosen, source = sources[name]
        with at(place):
            with plugin_call(chosen.entry.title):
                task = source.load(name)
            with plugin_call(study.evaluator.entry.title):
                evaluator.check(task)
        if (same := images_of.setdefault(task.fingerprint, name)) != name:
            raise TaskError(
                f"task {name!r} has the same images as {same!r}", place=place, mend="leave one of them out"
            )
        tasks[name] = task
        report_progress("load", number + 1, len(wanted), "tasks")
    return tasks


def simulator_facts(file: StudyFile) -> tuple[ParameterSpace, tuple[str, ...]]:
    """The parameter space and the categories of a study's simulator.

    Raises:
        Task2SimError: the simulator can't be made, or has too little to offer.
    """
    study = file.study
    with at(file.place("simulator")), plugin_call(study.simulator.entry.title), study.simulator.build() as simulator:
        space, categories = simulator.parameter_space, tuple(simulator.categories)
        if len(categories) < 2:
            raise PluginError(f"{study.simulator.entry.title} has {len(categories)} categories, two are needed")
        return space, categories


def start_policy(file: StudyFile, space: ParameterSpace) -> ParameterPolicy:
    """The study's policy, ready to search."""
    study = file.study
    policy: ParameterPolicy = study.policy.build()
    with at(file.place("policy")), plugin_call(study.policy.entry.title):
        policy.start(space, spawn_seed(study.seed, "policy"))
    return policy


def check_study(file: StudyFile) -> tuple[dict[str, Task], ParameterSpace, tuple[str, ...]]:
    """Everything that can go wrong before anything is rendered.

    Returns:
        The tasks, the parameter space and the simulator's categories.

    Raises:
        Task2SimError: something would go wrong; with its place in the study file.
    """
    study = file.study
    tasks = load_tasks(file)
    space, categories = simulator_facts(file)
    start_policy(file, space)
    for key in ("embedder", "trainer", "executor"):
        with at(file.place(key)):
            getattr(study, key).build()
    for position, observer in enumerate(study.observers):
        with at(file.place("observers", position)):
            observer.build()
    return tasks, space, categories


@contextmanager
def at(place: str) -> Iterator[None]:
    """Give errors raised inside the block a place, if they have none."""
    try:
        yield
    except Task2SimError as error:
        raise placed(error, place) from error


def _chosen(study: StudyConfig) -> list[Chosen]:
    parts = [study.embedder, study.policy, study.simulator, study.trainer, study.evaluator, study.executor]
    return [*study.tasks.sources, *parts, *study.observers]


@attrs.frozen
class _Method:
    """One row of the final table: for each task, the settings it would render (None: an untrained backbone)."""

    name: str
    settings: Mapping[str, tuple[ParameterSetting | None, ...]]


class _Study:
    """One run of a study, stage by stage."""

    def __init__(
        self, file: StudyFile, runs: Path, store: Store, observers: Sequence[tuple[str, object]], warn: Warn
    ) -> None:
        self.file, self.study, self.store = file, file.study, store
        self.folder = run_folder(file, runs)
        self.warn = warn
        self.extra_observers = list(observers)
        self.stage_count = 0

    def run(self, until: str) -> Run:
        study = self.study
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._lock(stack)
            self.results = Results(self.folder / RESULTS)
            stack.callback(self.results.close)
            self.current = Run(self.folder, study, self.results, self.store)
            own = [(chosen.entry.title, chosen.build()) for chosen in study.observers]
            self.observers = Observers([*self.extra_observers, *own], self._warn)
            stack.enter_context(progress_listener(self._progress))
            stack.callback(close_components)
            with self._stage("load tasks"):
                self.tasks, self.space, categories = check_study(self.file)
                self.policy = start_policy(self.file, self.space)
                self._begin(categories)
            self.observers.call("task2sim_study_start", run=self.current)
            executor: Executor = stack.enter_context(study.executor.build())
            self.executor = executor
            with self._stage("embed tasks"):
                self._embed()
            if until == "embed":
                return self.current
            with self._stage("search"):
                self._search()
            with self._stage("compare"):
                self._compare()
            self.results.put("facts", [{"name": "finished", "value": _now()}])
            self.observers.call("task2sim_study_end", run=self.current)
        return self.current

    # --- stages ---

    def _begin(self, categories: tuple[str, ...]) -> None:
        study, tasks = self.study, self.tasks
        for task in tasks.values():
            self.store.put_task(task)
        self.fingerprints = {name: task.fingerprint for name, task in tasks.items()}
        self.recipe = self._recipe(study.tasks.seen)
        # Numbers of an earlier start, perhaps on other images, must not stand among the new ones.
        self.results.clear()
        self.current.write_config()
        facts = provenance.gather(chosen.entry for chosen in _chosen(study))
        facts["seed"] = study.seed
        facts["tasks"] = self.fingerprints
        self.current.write_provenance(facts)
        self.results.put(
            "facts",
            [
                {"name": name, "value": str(value)}
                for name, value in {
                    "study": study.name,
                    "source": self.file.source,
                    "seed": study.seed,
                    "images": study.images,
                    "categories": len(categories),
                    "budget": study.pretrainings,
                    "policy": study.policy.name,
                    "simulator": study.simulator.name,
                    "task2sim": facts["task2sim"],
                }.items()
            ],
        )
        self.results.put(
            "tasks",
            [
                {
                    "name": name,
                    "position": position,
                    "role": "seen" if name in study.tasks.seen else "unseen",
                    "domain": task.domain,
                    "classes": len(task.classes),
                    "train": len(task.train),
                    "val": len(task.val),
                    "test": len(task.test),
                    "fingerprint": self.fingerprints[name],
                }
                for position, (name, task) in enumerate(tasks.items())
            ],
        )
        self.results.put(
            "parameters",
            [
                {
                    "name": parameter.name,
                    "position": position,
                    "type": type(parameter).__name__.lower(),
                    "choices": list(parameter.values),
                    "low": getattr(parameter, "low", None),
                    "high": getattr(parameter, "high", None),
                    "description": parameter.description,
                }
                for position, parameter in enumerate(self.space)
            ],
        )

    def _embed(self) -> None:
        study = self.study
        embedder = study.embedder.build()
        probe, probe_key = None, ""
        if embedder.needs_probe:
            job = TrialJob(self.recipe, "probe", SEARCH, self.space.everything_varied(), "")
            (trial,) = self._trials([job])
            probe_key = trial.backbone_key
            self.current.keep_backbone(probe_key, "probe")
            probe = self.store.path("backbones", probe_key)
        jobs = [
            EmbedJob(
                self.store.root,
                ComponentSpec.of(study.embedder),
                ComponentSpec.of(study.trainer),
                probe,
                probe_key,
                (name, fingerprint),
                study.seed,
            )
            for name, fingerprint in self.fingerprints.items()
        ]
        known = {job.task[0]: run_embedding(job) for job in jobs if self.store.has("embeddings", hash_key(job.data))}
        missing = [job for job in jobs if job.task[0] not in known]
        made = zip(missing, self.executor.map(run_embedding, missing, self._progress), strict=True) if missing else ()
        known.update((job.task[0], embedding) for job, embedding in made)
        self.embeddings: dict[str, TaskEmbedding] = {name: known[name] for name in self.tasks}
        lengths = {name: len(embedding.vector) for name, embedding in self.embeddings.items()}
        if len(set(lengths.values())) > 1:
            raise PluginError(f"{study.embedder.entry.title} gave vectors of different lengths: {lengths}")
        for name, embedding in self.embeddings.items():
            self.results.put(
                "embeddings",
                [
                    {
                        "task": name,
                        "dimension": len(embedding.vector),
                        "vector": embedding.vector.tobytes(),
                        "method": embedding.method,
                    }
                ],
            )
            self.observers.call("task2sim_task_embedded", run=self.current, embedding=embedding)
        with plugin_call(study.embedder.entry.title):
            self.results.put(
                "distances",
                [
                    {"first": a, "second": b, "distance": 0.0 if a == b else float(embedder.distance(first, second))}
                    for a, first in self.embeddings.items()
                    for b, second in self.embeddings.items()
                ],
            )

    def _search(self) -> None:
        study, policy, title = self.study, self.policy, self.study.policy.entry.title
        seen = {name: self.embeddings[name] for name in study.tasks.seen}
        self.tried: dict[ParameterSetting, Trial] = {}
        rounds = idle = 0
        stopped = False
        while len(self.tried) < study.pretrainings and idle < IDLE_ROUNDS:
            stopped = True in self.observers.call("task2sim_should_stop", run=self.current)
            if stopped:
                break
            n = min(study.settings_per_round, study.pretrainings - len(self.tried))
            with plugin_call(title):
                proposed = [self.space.setting(setting) for setting in policy.propose(seen, n)]
            new = [setting for setting in proposed if setting not in self.tried]
            if not proposed:
                break
            if len(new) > n or len(set(proposed)) < len(proposed):
                raise PluginError(f"{title} proposed {len(new)} new settings, or one twice, where {n} were asked for")
            jobs = [TrialJob(self.recipe, SEARCH, SEARCH, setting, "val") for setting in new]
            for trial in self._trials(jobs, rounds):
                assert trial.setting is not None
                self.tried[trial.setting] = trial
                report_progress("search", len(self.tried), study.pretrainings, "pre-trainings")
            scores = [
                TaskScore(task, setting, score.value)
                for setting in proposed
                for task, score in self.tried[setting].scores.items()
            ]
            with plugin_call(title):
                policy.observe(scores)
            rounds += 1
            idle = 0 if new else idle + 1
            if new:
                self.observers.call("task2sim_policy_updated", run=self.current, round_number=rounds)
        if stopped and not self.tried:
            raise Task2SimError("an observer stopped the search before its first trial")
        if not self.tried:
            raise PluginError(f"{title} proposed no setting to try")
        with plugin_call(title):
            state = policy.state()
        self.current.save_policy(state, self.space)
        self._predict()

    def _predict(self) -> None:
        title = self.study.policy.entry.title
        self.predictions: dict[str, Prediction] = {}
        for name, embedding in self.embeddings.items():
            with plugin_call(title):
                prediction = self.policy.predict(embedding)
                setting = self.space.setting(prediction.setting)
                probabilities = [
                    {"task": name, "parameter": parameter, "choice": str(choice), "probability": float(probability)}
                    for parameter, row in prediction.probabilities.items()
                    for choice, probability in zip(self.space[parameter].values, row, strict=True)
                ]
            self.predictions[name] = attrs.evolve(prediction, setting=setting)
            self._put_setting(setting)
            self.results.put("predictions", [{"task": name, "setting": setting.key}])
            self.results.put("probabilities", probabilities)

    def _compare(self) -> None:
        study = self.study
        every = tuple(self.tasks)
        best = max(self.tried, key=lambda setting: _mean(s.value for s in self.tried[setting].scores.values()))
        generator = spawn_generator(study.seed, "comparison", "random settings")
        drawn = _distinct(self.space, study.comparison.random, generator)

        def same(*settings: ParameterSetting | None) -> dict[str, tuple[ParameterSetting | None, ...]]:
            return dict.fromkeys(every, settings)

        methods = [
            _Method(f"policy {study.policy.name}", {t: (self.predictions[t].setting,) for t in every}),
            _Method("best single setting", same(best)),
            _Method("everything varied", same(self.space.everything_varied())),
            _Method("random settings", same(*drawn)),
            _Method("untrained backbone", same(None)),
        ]
        jobs: dict[tuple[ParameterSetting | None, str], TrialJob] = {}
        rows: list[dict[str, Any]] = []
        recipe = self._recipe(every)
        for position, method in enumerate(methods):
            for task, settings in method.settings.items():
                for number, setting in enumerate(settings):
                    # Several settings already show their spread: one pre-training each, with seeds in turn.
                    turns = range(study.comparison.seeds) if len(settings) == 1 else [number % study.comparison.seeds]
                    for turn in turns:
                        replicate = f"comparison {turn}"
                        jobs.setdefault(
                            (setting, replicate), TrialJob(recipe, "comparison", replicate, setting, "test")
                        )
                        rows.append(
                            {
                                "method": method.name,
                                "position": position,
                                "task": task,
                                "setting": _setting_key(setting),
                                "replicate": replicate,
                            }
                        )
        for done, _ in enumerate(self._trials(list(jobs.values()))):
            report_progress("compare", done + 1, len(jobs), "pre-trainings")
        self.results.put("comparison", rows)
        for task in every:
            setting = self.predictions[task].setting
            key = hash_key(recipe.backbone_data(setting, "comparison 0"))
            self.current.keep_backbone(key, f"backbones/{task}")

    # --- helpers ---

    def _recipe(self, tasks: Iterable[str]) -> Recipe:
        study = self.study
        return Recipe(
            self.store.root,
            ComponentSpec.of(study.simulator),
            ComponentSpec.of(study.trainer),
            ComponentSpec.of(study.evaluator),
            study.images,
            tuple((name, self.fingerprints[name]) for name in tasks),
            study.seed,
        )

    def _trials(self, jobs: Sequence[TrialJob], round_number: int | None = None) -> Iterator[Trial]:
        """Run trials in their order, those the store has without a worker, and write each down as it ends."""
        known = {job: known_trial(job, self.store) for job in jobs}
        missing = [job for job in jobs if known[job] is None]
        running = self.executor.map(run_trial, missing, self._progress) if missing else iter(())
        for job in jobs:
            trial = known[job] or next(running)
            self._put_trial(trial, job, round_number)
            if self.store.has("datasets", trial.dataset_key):
                self.observers.call("task2sim_dataset_ready", run=self.current, trial=trial)
            self.observers.call("task2sim_trial_end", run=self.current, trial=trial)
            yield trial

    def _put_trial(self, trial: Trial, job: TrialJob, round_number: int | None) -> None:
        if trial.setting is not None:
            self._put_setting(trial.setting)
        key = _setting_key(trial.setting)
        identity = {"phase": trial.phase, "setting": key, "replicate": trial.replicate}
        position = len(self.results.query("SELECT 1 FROM trials"))
        self.results.put(
            "trials",
            [
                {
                    **identity,
                    "round": round_number,
                    "position": position,
                    "split": trial.split,
                    "dataset": trial.dataset_key,
                    "backbone": trial.backbone_key,
                    "images": job.recipe.images if trial.setting is not None else 0,
                    **{f"{stage}_seconds": seconds for stage, seconds in trial.seconds.items()},
                }
            ],
        )
        self.results.put(
            "scores",
            [
                {
                    **identity,
                    "task": task,
                    "split": trial.split,
                    "value": score.value,
                    "metric": score.metric,
                    "count": score.count,
                }
                for task, score in trial.scores.items()
            ],
        )

    def _put_setting(self, setting: ParameterSetting) -> None:
        self.results.put("settings", [{"key": setting.key, "label": setting.label, "choices": setting.as_dict()}])

    def _progress(self, progress: Progress) -> None:
        self.observers.call("task2sim_progress", run=self.current, progress=progress)

    def _warn(self, line: str, details: str) -> None:
        # Telling of an observer's failure must not stop the study either.
        with suppress(OSError), (self.folder / "warnings.log").open("a", encoding="utf-8") as log:
            log.write(f"{_now()} {line}\n{details}\n")
        self.warn(line, details)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.stage_count += 1
        seconds = time.perf_counter() - start
        self.results.put("stages", [{"name": name, "position": self.stage_count, "seconds": seconds}])

    def _lock(self, stack: ExitStack) -> None:
        try:
            stack.enter_context(FileLock(self.folder / ".lock", timeout=0))
        except Timeout:
            raise StoreError(
                "this study is running already",
                place=str(self.folder),
                mend="wait for it, or change its name or seed",
            ) from None


def _distinct(space: ParameterSpace, count: int, generator: np.random.Generator) -> tuple[ParameterSetting, ...]:
    """Draw different settings, as many as are wanted or as there are."""
    drawn: dict[ParameterSetting, None] = {}
    while len(drawn) < min(count, space.size):
        drawn[space.sample(generator)] = None
    return tuple(drawn)


def _setting_key(setting: ParameterSetting | None) -> str:
    return UNTRAINED if setting is None else setting.key


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
