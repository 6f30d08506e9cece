"""What is known of an ablation, read from ablation.sqlite alone."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from task2sim import StoreError

DATABASE = "ablation.sqlite"
"""The file that makes a folder an ablation's."""

POLICY = ""
"""The method that is the row's own policy; the others are references."""

ORACLE = "oracle"
"""The reference method that knows the whole reward table: no rival, but a bound."""

ROLES = ("unseen", "seen")
"""The unseen tasks come first: they are what the policy never trained on."""

FINISHED, FAILED, MISSING = "finished", "failed", "missing"


@attrs.frozen
class Level:
    """One value of a factor.

    Attributes:
        label: How it is named.
        value: What the study has there.
    """

    label: str
    value: Any


@attrs.frozen
class Factor:
    """A field of the study that varies.

    Attributes:
        name: Its dotted path.
        levels: Its values.
    """

    name: str
    levels: tuple[Level, ...]


@attrs.frozen
class AblationRow:
    """One combination of levels.

    Attributes:
        name: ``"policy=random, pretrainings=small"``; ``"base"`` if nothing varies.
        levels: The label for each factor; factors left as in the base study may be missing.
    """

    name: str
    levels: Mapping[str, str]


@attrs.frozen
class AblationTask:
    """A task and its role, ``"seen"`` or ``"unseen"``."""

    name: str
    role: str


@attrs.frozen
class AblationCell:
    """A row with a seed: one study.

    Attributes:
        row: The row's name.
        seed: The study's seed.
        state: ``"finished"``, ``"failed"`` or ``"missing"``.
        error: Why it failed or is missing; empty if it is finished.
        run: Its run folder, relative to the ablation's; it may be gone.
        versions: The version of each plugin's distribution, of task2sim, and the git state.
        pretrainings: Distinct pre-trainings that it used.
        rendered: Datasets that it had to render itself.
        pretrained: Pre-trainings that it had to make itself.
        wall_seconds: How long it took.
        work_seconds: Rendering, pre-training and scoring of all that it used, whoever did it.
    """

    row: str
    seed: int
    state: str
    error: str
    run: str
    versions: Mapping[str, str]
    pretrainings: int
    rendered: int
    pretrained: int
    wall_seconds: float
    work_seconds: float


@attrs.frozen
class AblationScore:
    """What a method reached on a task's test images in one cell.

    Attributes:
        row: The row's name.
        seed: The study's seed.
        task: The task.
        role: The task's role in this cell.
        method: `POLICY`, or the name of a reference method such as ``"untrained backbone"``.
        value: Mean over the replicates.
        deviation: Standard deviation over the replicates; nan if unknown.
        count: How many replicates.
    """

    row: str
    seed: int
    task: str
    role: str
    method: str
    value: float
    deviation: float
    count: int


@attrs.frozen
class AblationTrial:
    """A scored backbone: what a setting reached on a task.

    Attributes:
        row: The row's name.
        seed: The study's seed.
        phase: ``"probe"``, ``"search"`` or ``"comparison"``.
        setting: The setting's key.
        replicate: What names its seeds within the study.
        task: The task.
        split: ``"val"`` or ``"test"``.
        value: The score.
    """

    row: str
    seed: int
    phase: str
    setting: str
    replicate: str
    task: str
    split: str
    value: float


@attrs.frozen
class SearchStep:
    """Score of the ``number``-th distinct setting that a cell's search tried, on one seen task; counted from 1."""

    row: str
    seed: int
    number: int
    task: str
    value: float


@attrs.frozen
class Prediction:
    """The setting (its key) that the policy of a cell gives a task."""

    row: str
    seed: int
    task: str
    setting: str


@attrs.frozen
class Setting:
    """A setting of the simulator, in words and as the value of each parameter."""

    key: str
    label: str
    choices: Mapping[str, Any]


@attrs.frozen
class Flag:
    """Something a reader must know before believing a number.

    Attributes:
        text: One sentence.
        row: The row it is about; empty if it is about all.
        seed: The seed it is about, if it is about one cell.
    """

    text: str
    row: str = ""
    seed: int | None = None


Pairs = Mapping[tuple[str, int], float]
"""Scores by task and seed."""


@attrs.frozen
class AblationContent:
    """All of it. Rows that are no longer planned are left out.

    Attributes:
        facts: Facts such as ``"name"``, ``"mode"``, ``"base"``.
        metric: What scores measure, such as ``"accuracy"``.
        factors: What varies.
        rows: Combinations of levels, in the file's order.
        seeds: The seeds, ascending.
        tasks: All tasks of any row, unseen ones first.
        cells: Each row with each seed, rows first.
        scores: Scores of finished cells.
        search: What the searches tried.
        settings: The settings by key.
        trials: All scored trials of finished cells.
        predictions: What the policies predict.
        baseline_levels: The labels that pick the baseline; None for the first row.
        flags: What a reader must know, in order.
    """

    facts: Mapping[str, str]
    metric: str
    factors: tuple[Factor, ...]
    rows: tuple[AblationRow, ...]
    seeds: tuple[int, ...]
    tasks: tuple[AblationTask, ...]
    cells: tuple[AblationCell, ...]
    scores: tuple[AblationScore, ...]
    search: tuple[SearchStep, ...]
    settings: Mapping[str, Setting]
    trials: tuple[AblationTrial, ...]
    predictions: tuple[Prediction, ...]
    baseline_levels: Mapping[str, str] | None
    flags: tuple[Flag, ...] = ()
    _pairs: Mapping[tuple[str, str, str], Pairs] = attrs.field(init=False, repr=False, eq=False)

    @_pairs.default
    def _sorted_pairs(self) -> Mapping[tuple[str, str, str], Pairs]:
        found: dict[tuple[str, str, str], dict[tuple[str, int], float]] = {}
        for score in sorted(self.scores, key=lambda score: (score.task, score.seed)):
            found.setdefault((score.row, score.role, score.method), {})[score.task, score.seed] = score.value
        return found

    @property
    def name(self) -> str:
        """The ablation's name."""
        return self.facts.get("name", "ablation")

    @property
    def is_finished(self) -> bool:
        """Whether every planned cell is finished or failed."""
        return bool(self.facts.get("finished"))

    @property
    def warnings(self) -> list[str]:
        """The flags' texts, each once. Every output shows them."""
        return list(dict.fromkeys(flag.text for flag in self.flags))

    @property
    def roles(self) -> tuple[str, ...]:
        """Those of `ROLES` that have scores."""
        found = {score.role for score in self.scores}
        return tuple(role for role in ROLES if role in found)

    @property
    def methods(self) -> tuple[str, ...]:
        """The reference methods, in the order of their first score."""
        return tuple(dict.fromkeys(score.method for score in self.scores if score.method != POLICY))

    @property
    def has_oracle(self) -> bool:
        """Whether the best that could be reached is known."""
        return ORACLE in self.methods

    def pairs(self, row: str, role: str, method: str = POLICY) -> dict[tuple[str, int], float]:
        """Scores of a row by (task, seed), sorted, for the tasks of one role. Missing cells have none."""
        return dict(self._pairs.get((row, role, method), {}))

    def every_pair(self, role: str) -> set[tuple[str, int]]:
        """All (task, seed) pairs of one role that any row's policy has a score for."""
        return {pair for row in self.rows for pair in self._pairs.get((row.name, role, POLICY), {})}

    def row(self, name: str) -> AblationRow:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)

    def baseline_of(self, row: AblationRow) -> AblationRow | None:
        """The row that a row is compared with: the one that differs from it in the baseline's factors alone.

        Where rows vary one factor at a time or together, it is the only row with the baseline's labels. Without a
        baseline it is the first row.

        Returns:
            The row; None if there is no such row, or it is the row itself.
        """
        if not self.rows:
            return None
        if not self.baseline_levels:
            found: AblationRow | None = self.rows[0]
        else:
            wanted = {**row.levels, **self.baseline_levels}
            found = next((other for other in self.rows if dict(other.levels) == wanted), None)
            if found is None and self.facts.get("mode", "grid") != "grid":
                wanted = dict(self.baseline_levels)
                matching = [other for other in self.rows if wanted.items() <= dict(other.levels).items()]
                found = matching[0] if len(matching) == 1 else None
        return None if found is None or found.name == row.name else found

    def is_baseline(self, row: AblationRow) -> bool:
        """Whether other rows are compared with it and it with none."""
        if not self.baseline_levels:
            return bool(self.rows) and row.name == self.rows[0].name
        return dict(self.baseline_levels).items() <= dict(row.levels).items()

    def flags_of(self, row: str, seed: int | None = None) -> list[str]:
        """Texts of the flags that are about a row (and a seed), or about all."""
        return [
            flag.text
            for flag in self.flags
            if flag.row in ("", row) and (seed is None or flag.seed is None or flag.seed == seed)
        ]


def is_ablation(folder: Path) -> bool:
    """Whether a folder is an ablation's."""
    return (folder / DATABASE).is_file()


def read_ablation(folder: Path) -> AblationContent:
    """Read an ablation's folder; the runs themselves may be gone.

    Raises:
        StoreError: it is no ablation's folder, its database can't be read, or no cell has results.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise StoreError(
            f"this is no ablation: {DATABASE} is missing", place=str(folder), mend="name a folder in ablations/"
        )
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            content = _read(database)
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"can't read the ablation: {error}", place=str(path), mend="run task2sim ablate again"
        ) from error
    if not content.scores:
        raise StoreError(
            "no cell of this ablation has results, so there is nothing to report",
            place=str(folder),
            mend="let task2sim ablate finish a cell",
        )
    return attrs.evolve(content, flags=tuple(_flags(content)))


def _read(database: sqlite3.Connection) -> AblationContent:
    def query(sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in database.execute(sql)]

    facts = {row["name"]: str(row["value"]) for row in query("SELECT name, value FROM facts ORDER BY name")}
    rows = tuple(
        AblationRow(row["row"], {str(name): str(label) for name, label in json.loads(row["levels"]).items()})
        for row in query("SELECT row, levels FROM rows WHERE planned = 1 ORDER BY position, row")
    )
    levels: dict[str, list[Level]] = {}
    for row in query("SELECT factor, label, value FROM levels ORDER BY position, label"):
        levels.setdefault(row["factor"], []).append(Level(row["label"], json.loads(row["value"])))
    planned = {row.name for row in rows}
    stored = {
        row["cell"]: row for row in query("SELECT * FROM cells ORDER BY position, cell") if row["row"] in planned
    }
    scored = query("SELECT * FROM scores ORDER BY rowid")
    has_own = {row["cell"] for row in scored if row["method"] == POLICY}
    seeds = tuple(sorted({int(row["seed"]) for row in stored.values()}))
    cells = tuple(_cells(rows, seeds, stored, has_own))
    usable = {
        name: (row["row"], int(row["seed"]))
        for name, row in stored.items()
        if row["state"] == FINISHED and name in has_own
    }
    known = query("SELECT name, role FROM tasks ORDER BY position, name")
    position = {row["name"]: number for number, row in enumerate(known)}
    row_number = {row.name: number for number, row in enumerate(rows)}

    def of_usable(table: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
        for row in query(f"SELECT * FROM {table} ORDER BY rowid"):
            if row["cell"] in usable:
                yield *usable[row["cell"]], row

    scores = [
        AblationScore(
            name,
            seed,
            row["task"],
            row["role"],
            row["method"],
            float(row["value"]),
            float("nan") if row["deviation"] is None else float(row["deviation"]),
            int(row["count"]),
        )
        for name, seed, row in of_usable("scores")
    ]
    in_use = {(score.task, score.role) for score in scores}
    listed = [(row["name"], row["role"]) for row in known]
    # A row may have tasks that the base study lacks, or another role for one.
    listed = [*(one for one in listed if one in in_use), *sorted(in_use - set(listed))]
    tasks = [AblationTask(*one) for one in listed]
    return AblationContent(
        facts=facts,
        metric=facts.get("metric", "accuracy"),
        factors=tuple(
            Factor(row["name"], tuple(levels.get(row["name"], ())))
            for row in query("SELECT name FROM factors ORDER BY position, name")
        ),
        rows=rows,
        seeds=seeds,
        tasks=tuple(sorted(tasks, key=lambda task: ROLES.index(task.role))),
        cells=cells,
        scores=tuple(
            sorted(scores, key=lambda one: (row_number[one.row], one.seed, position.get(one.task, len(position))))
        ),
        search=tuple(
            SearchStep(name, seed, int(row["number"]), row["task"], float(row["value"]))
            for name, seed, row in of_usable("search")
        ),
        settings={
            row["setting"]: Setting(row["setting"], row["label"], json.loads(row["choices"]))
            for row in query("SELECT setting, label, choices FROM settings ORDER BY setting")
        },
        trials=tuple(
            AblationTrial(
                name,
                seed,
                row["phase"],
                row["setting"],
                str(row["replicate"]),
                row["task"],
                row["split"],
                float(row["value"]),
            )
            for name, seed, row in of_usable("trials")
        ),
        predictions=tuple(
            Prediction(name, seed, row["task"], row["setting"]) for name, seed, row in of_usable("predictions")
        ),
        baseline_levels=_baseline(facts.get("baseline", ""), rows),
    )


def _baseline(text: str, rows: tuple[AblationRow, ...]) -> Mapping[str, str] | None:
    value = json.loads(text) if text else None
    if isinstance(value, str):
        value = next((row.levels for row in rows if row.name == value), None)
    return {str(factor): str(label) for factor, label in value.items()} if value else None


def _cells(
    rows: tuple[AblationRow, ...], seeds: tuple[int, ...], stored: Mapping[str, dict[str, Any]], has_own: set[str]
) -> Iterator[AblationCell]:
    found = {(row["row"], int(row["seed"])): row for row in stored.values()}
    for row in rows:
        for seed in seeds:
            one = found.get((row.name, seed))
            if one is None:
                yield AblationCell(row.name, seed, MISSING, "not planned", "", {}, 0, 0, 0, 0.0, 0.0)
                continue
            state, error = MISSING, "not run yet"
            if one["state"] == FAILED:
                state, error = FAILED, one["error"] or "failed without a reason"
            elif one["state"] == FINISHED:
                state, error = (FINISHED, "") if one["cell"] in has_own else (MISSING, "finished without results")
            yield AblationCell(
                row.name,
                seed,
                state,
                error,
                one["run"] or "",
                {str(key): str(value) for key, value in json.loads(one["versions"] or "{}").items()},
                int(one["pretrainings"] or 0),
                int(one["rendered"] or 0),
                int(one["pretrained"] or 0),
                float(one["wall_seconds"] or 0.0),
                float(one["work_seconds"] or 0.0),
            )


def _flags(content: AblationContent) -> Iterator[Flag]:
    if not content.is_finished:
        yield Flag("The ablation is not finished: these are the results so far.")
    for state, verb in ((FAILED, "failed"), (MISSING, "has no results")):
        for cell in content.cells:
            if cell.state == state:
                reason = cell.error.strip().splitlines()[0] if cell.error.strip() else ""
                yield Flag(f"{cell.row}, seed {cell.seed} {verb}: {reason}.", cell.row, cell.seed)
    yield from _version_flags(content)
    for role in content.roles:
        sets = {row.name: set(content.pairs(row.name, role)) for row in content.rows}
        every = content.every_pair(role)
        for name, own in sets.items():
            if own and len(own) < len(every):
                yield Flag(
                    f"{name} has {len(own)} of the {len(every)} task-seed pairs on {role} tasks;"
                    " it is compared only on those that it shares.",
                    name,
                )
    for row in content.rows:
        if content.baseline_of(row) is None and not content.is_baseline(row):
            yield Flag(f"{row.name} has no baseline row to be compared with.", row.name)


def _version_flags(content: AblationContent) -> Iterator[Flag]:
    """Cells that were made with another version of something than most cells that used it."""
    finished = [cell for cell in content.cells if cell.state == FINISHED]
    usual: dict[str, str] = {}
    for key in dict.fromkeys(key for cell in finished for key in cell.versions):
        counts = Counter(cell.versions[key] for cell in finished if key in cell.versions)
        # Of equally frequent ones, the one that is met first.
        usual[key] = max(counts, key=lambda version: counts[version])
    for cell in finished:
        others = [
            f"{key} {version} (elsewhere {usual[key]})"
            for key, version in cell.versions.items()
            if version != usual[key]
        ]
        if others:
            yield Flag(
                f"{cell.row}, seed {cell.seed} was made with other versions: {', '.join(others)}.",
                cell.row,
                cell.seed,
            )
