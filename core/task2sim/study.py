"""The study: embed the tasks, search, predict, compare."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import attrs
from filelock import FileLock, Timeout

from task2sim import provenance
from task2sim.choice import Chosen
from task2sim.comparison import Method, best_setting, comparison_methods, comparison_requests, setting_key
from task2sim.components import close_components
from task2sim.config import StudyFile, placed
from task2sim.errors import ConfigError, PluginError, StoreError, Task2SimError, TaskError
from task2sim.fingerprints import fingerprint_folder
from task2sim.interfaces import Exporter, ParameterPolicy, Prediction, RewardTable, TaskScore, TaskSource, Trainer
from task2sim.layers import LAYERS, ordered_layers
from task2sim.learned import POLICY, PROBE, Learned
from task2sim.observers import Observers
from task2sim.parameters import ParameterSetting, ParameterSpace
from task2sim.progress import Progress, progress_listener, report_progress
from task2sim.registry import plugin_call
from task2sim.results import Results
from task2sim.run import RESULTS, Run
from task2sim.scoring import SEARCH, RenderedScoring, Request, Scoring, TableScoring
from task2sim.seeds import spawn_seed
from task2sim.store import Store, hash_key, writing
from task2sim.study_file import StudyConfig
from task2sim.tasks import Task
from task2sim.trial import Trial

IDLE_ROUNDS = 10_000
"""Rounds without a new setting after which a policy is taken to have finished."""

Warn = Callable[[str, str], None]


def run_folder(file: StudyFile, runs: Path) -> Path:
    """Where the run of a study lies: the same for the same study and plugin versions, so that it can go on."""
    study = file.study
    versions = {entry.title for entry in (chosen.entry for chosen in chosen_plugins(study))}
    determined_by: dict[str, Any] = {"study": study.model_dump(mode="json"), "plugins": sorted(versions)}
    if study.rewards is not None:
        with at(file.place("rewards")):
            determined_by["rewards"] = study.rewards.key_data()
    if study.continues is not None:
        determined_by["continues"] = fingerprint_folder(study.continues.expanduser() / POLICY)
    key = hash_key(determined_by)
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
            raise TaskError(f"there is no task {name!r}", place=place, mend=_known_tasks(name, sources))
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


def _known_tasks(name: str, known: Iterable[str]) -> str:
    """What to say to someone who named a task that is not there."""
    near = get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"tasks are {', '.join(sorted(known)) or 'none'}"


@attrs.frozen
class SimulatorFacts:
    """What a study must know of its simulator before it renders.

    Attributes:
        space: The parameter space.
        categories: The categories.
        capabilities: What its frames can hold.
    """

    space: ParameterSpace
    categories: tuple[str, ...]
    capabilities: frozenset[str]


def simulator_facts(file: StudyFile) -> SimulatorFacts:
    """What a study's simulator offers.

    Raises:
        Task2SimError: the simulator can't be made, or has too little to offer.
    """
    study = file.study
    with at(file.place("simulator")), plugin_call(study.simulator.entry.title), study.simulator.build() as simulator:
        categories = tuple(simulator.categories)
        if len(categories) < 2:
            raise PluginError(f"{study.simulator.entry.title} has {len(categories)} categories, two are needed")
        return SimulatorFacts(simulator.parameter_space, categories, frozenset(simulator.capabilities))


def readable_layers(
    reader: Chosen, component: Exporter | Trainer, simulator: Chosen, capabilities: frozenset[str]
) -> tuple[str, ...]:
    """The layers that a trainer or an exporter reads, all of which the simulator has.

    Raises:
        ConfigError: the simulator lacks one.
    """
    with plugin_call(reader.entry.title):
        layers = ordered_layers(component.layers)
    missing = [name for name in layers if name not in capabilities]
    if missing:
        held = [name for name in LAYERS if name in capabilities]
        raise ConfigError(
            f"{reader.name!r} reads {' and '.join(missing)}, which simulator {simulator.name!r} does not give",
            mend=f"choose a simulator that does; this one gives {', '.join(held) or 'images and labels alone'}",
        )
    return layers


def load_table(file: StudyFile) -> tuple[RewardTable, ParameterSpace]:
    """The reward table of a study, and its parameter space.

    Raises:
        Task2SimError: the table can't be used, or lacks a task; with its place in the study file.
    """
    study = file.study
    chosen = study.rewards
    assert chosen is not None
    with at(file.place("rewards")):
        table: RewardTable = chosen.build()
        with plugin_call(chosen.entry.title):
            space, names = table.parameter_space, table.names()
    for role in ("seen", "unseen"):
        for position, name in enumerate(getattr(study.tasks, role)):
            place = file.place("tasks", role, position)
            if name not in names:
                raise TaskError(f"the reward table has no task {name!r}", place=place, mend=_known_tasks(name, names))
            with at(place), plugin_call(chosen.entry.title):
                table.embedding(name)
    return table, space


def learned_before(file: StudyFile) -> Learned | None:
    """What the run has learned that the study continues, if it continues one.

    Raises:
        Task2SimError: the run can't be continued, or not by this study; with its place in the study file.
    """
    study = file.study
    if study.continues is None:
        return None
    with at(file.place("continues")):
        learned = Learned.open(study.continues.expanduser())
    earlier = learned.study
    if earlier.policy.entry.name != study.policy.entry.name:
        raise ConfigError(
            f"the run to continue has policy {earlier.policy.name!r}, not {study.policy.name!r}",
            place=file.place("policy"),
            mend=f"write policy: {earlier.policy.name}",
        )
    if study.rewards is None and earlier.rewards is None:
        if earlier.embedder.key_data() != study.embedder.key_data():
            raise ConfigError(
                "the run to continue embeds tasks in another way",
                place=file.place("embedder"),
                mend=f"write embedder: {earlier.embedder.dump()}",
            )
        with at(file.place("continues")):
            if study.embedder.build().needs_probe:
                learned.probe()
    return learned


def start_policy(file: StudyFile, space: ParameterSpace, learned: Learned | None) -> ParameterPolicy:
    """The study's policy, ready to search."""
    study = file.study
    if learned is not None:
        with at(file.place("continues")):
            return learned.policy(study.policy, space)
    policy: ParameterPolicy = study.policy.build()
    with at(file.place("policy")), plugin_call(study.policy.entry.title):
        policy.start(space, spawn_seed(study.seed, "policy"))
    return policy


@attrs.frozen
class Checked:
    """What a study that can run is made of.

    Attributes:
        space: The parameter space.
        policy: The policy, ready to search.
        learned: What it continues from, if anything.
        tasks: The tasks with their images; none if a table knows the scores.
        categories: The simulator's categories; none if a table knows the scores.
        table: The table that knows the scores, if there is one.
    """

    space: ParameterSpace
    policy: ParameterPolicy
    learned: Learned | None
    tasks: dict[str, Task] = attrs.field(factory=dict)
    categories: tuple[str, ...] = ()
    table: RewardTable | None = None


def check_study(file: StudyFile) -> Checked:
    """Everything that can go wrong before anything is rendered.

    Raises:
        Task2SimError: something would go wrong; with its place in the study file.
    """
    study = file.study
    for position, observer in enumerate(study.observers):
        with at(file.place("observers", position)):
            observer.build()
    learned = learned_before(file)
    if study.rewards is not None:
        table, space = load_table(file)
        return Checked(space, start_policy(file, space, learned), learned, table=table)
    tasks = load_tasks(file)
    facts = simulator_facts(file)
    policy = start_policy(file, facts.space, learned)
    for key in ("embedder", "executor"):
        with at(file.place(key)):
            getattr(study, key).build()
    with at(file.place("trainer")):
        readable_layers(study.trainer, study.trainer.build(), study.simulator, facts.capabilities)
    return Checked(facts.space, policy, learned, tasks, facts.categories)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Give errors raised inside the block a place, if they have none."""
    try:
        yield
    except Task2SimError as error:
        raise placed(error, place) from error


def chosen_plugins(study: StudyConfig) -> list[Chosen]:
    """The plugins that take part."""
    if study.rewards is not None:
        return [study.rewards, study.policy, *study.observers]
    parts = [study.embedder, study.policy, study.simulator, study.trainer, study.evaluator, study.executor]
    return [*study.tasks.sources, *parts, *study.observers]


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
                self.checked = check_study(self.file)
                self.space, self.policy = self.checked.space, self.checked.policy
                self._begin()
            self.observers.call("task2sim_study_start", run=self.current)
            self.scoring = self._scoring(stack)
            with self._stage("embed tasks"):
                self._embed()
            if until == "embed":
                return self.current
            with self._stage("search"):
                self._search()
            with self._stage("compare"):
                self._compare()
            self.results.put_facts({"finished": _now()})
            self.observers.call("task2sim_study_end", run=self.current)
        return self.current

    # --- stages ---

    def _begin(self) -> None:
        study, checked = self.study, self.checked
        for task in checked.tasks.values():
            self.store.put_task(task)
        self.fingerprints = {name: task.fingerprint for name, task in checked.tasks.items()}
        # Numbers of an earlier start, perhaps on other images, must not stand among the new ones.
        self.results.clear()
        self.current.write_config()
        self.trial_count = 0
        made_with = provenance.gather(chosen.entry for chosen in chosen_plugins(study))
        made_with["seed"] = study.seed
        made_with["tasks"] = self.fingerprints
        self.current.write_provenance(made_with)
        facts: dict[str, Any] = {
            "study": study.name,
            "source": self.file.source,
            "seed": study.seed,
            "budget": study.pretrainings,
            "policy": study.policy.name,
            "task2sim": made_with["task2sim"],
        }
        if study.rewards is not None:
            facts["rewards"] = study.rewards.name
        else:
            facts["simulator"] = study.simulator.name
            facts["categories"] = len(checked.categories)
            facts["images"] = study.images
        if study.continues is not None:
            facts["continues"] = study.continues
        self.results.put_facts(facts)
        self.results.put("tasks", [self._task_row(position, name) for position, name in enumerate(study.tasks.names)])
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

    def _task_row(self, position: int, name: str) -> dict[str, Any]:
        row = {"name": name, "position": position, "role": "seen" if name in self.study.tasks.seen else "unseen"}
        task = self.checked.tasks.get(name)
        if task is None:
            return row
        return {
            **row,
            "domain": task.domain,
            "classes": len(task.classes),
            "train": len(task.train),
            "val": len(task.val),
            "test": len(task.test),
            "fingerprint": self.fingerprints[name],
        }

    def _scoring(self, stack: ExitStack) -> Scoring:
        study, table = self.study, self.checked.table
        if table is not None:
            assert study.rewards is not None
            return TableScoring(study.rewards.entry.title, table, study.tasks.names)
        executor = stack.enter_context(study.executor.build())
        return RenderedScoring(study, self.store, self.fingerprints, executor, self._progress)

    def _embed(self) -> None:
        self.embeddings = self.scoring.embed(self._probe())
        lengths = {name: len(embedding.vector) for name, embedding in self.embeddings.items()}
        if len(set(lengths.values())) > 1:
            raise PluginError(f"the tasks' embeddings have different lengths: {lengths}")
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
        self.results.put(
            "distances",
            [
                {"first": a, "second": b, "distance": 0.0 if a == b else self.scoring.distance(first, second)}
                for a, first in self.embeddings.items()
                for b, second in self.embeddings.items()
            ],
        )

    def _probe(self) -> Path | None:
        """The probe network, if the embedder asks for one: that of the run continued, or one made now."""
        if self.checked.table is not None or not self.study.embedder.build().needs_probe:
            return None
        if self.checked.learned is not None:
            probe = self.checked.learned.probe()
        else:
            request = Request("probe", SEARCH, self.space.everything_varied(), "", ())
            (trial,) = self._trials([request])
            probe = self.store.path("backbones", trial.backbone_key)
        self.current.keep_backbone(probe, PROBE)
        return probe

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
            requests = [Request(SEARCH, SEARCH, setting, "val", study.tasks.seen) for setting in new]
            for trial in self._trials(requests, rounds):
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
        if not self.tried and study.pretrainings and self.checked.learned is None:
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
                probabilities = self._of_values(name, prediction.probabilities, "probability")
                expected = self._of_values(name, prediction.expected, "score")
            self.predictions[name] = attrs.evolve(prediction, setting=setting)
            with self.results.transaction():
                self._put_setting(setting)
                self.results.put("predictions", [{"task": name, "setting": setting.key}])
                self.results.put("probabilities", probabilities)
                self.results.put("expectations", expected)

    def _of_values(self, task: str, rows: Mapping[str, Sequence[float]], column: str) -> list[dict[str, Any]]:
        """One number for each value of each parameter, as rows of a table."""
        return [
            {"task": task, "parameter": parameter, "choice": str(choice), column: float(number)}
            for parameter, row in rows.items()
            for choice, number in zip(self.space[parameter].values, row, strict=True)
        ]

    def _compare(self) -> None:
        study, scoring = self.study, self.scoring
        every = study.tasks.names
        requests, rows = comparison_requests(study, self._methods())
        for done, _ in enumerate(self._trials(requests)):
            report_progress("compare", done + 1, len(requests), "pre-trainings")
        self.results.put("comparison", rows)
        if isinstance(scoring, RenderedScoring):
            for task in every:
                data = scoring.recipe(every).backbone_data(self.predictions[task].setting, "comparison 0")
                self.current.keep_backbone(self.store.path("backbones", hash_key(data)), f"backbones/{task}")

    def _methods(self) -> list[Method]:
        """The rows of the final table."""
        predicted = {task: prediction.setting for task, prediction in self.predictions.items()}
        scores = {setting: [s.value for s in trial.scores.values()] for setting, trial in self.tried.items()}
        methods = comparison_methods(self.study, self.space, predicted, best_setting(scores))
        if self.study.rewards is not None:
            methods.append(Method("oracle", self._oracle(self.study.tasks.names)))
        return methods

    def _oracle(self, every: tuple[str, ...]) -> dict[str, tuple[ParameterSetting | None, ...]]:
        """For each task the best setting of the table, by what the final table shows."""
        requests = [Request("comparison", "", setting, "test", every) for setting in self.space.enumerate()]
        trials = list(self.scoring.trials(requests))
        return {t: (max(trials, key=lambda trial: trial.scores[t].value).setting,) for t in every}

    # --- helpers ---

    def _trials(self, requests: Sequence[Request], round_number: int | None = None) -> Iterator[Trial]:
        """Run trials in their order, and write each down as it ends."""
        for trial in self.scoring.trials(requests):
            self._put_trial(trial, round_number)
            if trial.dataset_key and self.store.has("datasets", trial.dataset_key):
                self.observers.call("task2sim_dataset_ready", run=self.current, trial=trial)
            self.observers.call("task2sim_trial_end", run=self.current, trial=trial)
            yield trial

    def _put_trial(self, trial: Trial, round_number: int | None) -> None:
        key = setting_key(trial.setting)
        identity = {"phase": trial.phase, "setting": key, "replicate": trial.replicate}
        with self.results.transaction():
            if trial.setting is not None:
                self._put_setting(trial.setting)
            self.results.put(
                "trials",
                [
                    {
                        **identity,
                        "round": round_number,
                        "position": self.trial_count,
                        "split": trial.split,
                        "dataset": trial.dataset_key,
                        "backbone": trial.backbone_key,
                        "images": self.study.images if trial.dataset_key else 0,
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
        self.trial_count += 1

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


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
