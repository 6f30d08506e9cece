"""Running an ablation: cell after cell, each a study of its own, its numbers copied as soon as it is finished."""

from __future__ import annotations

import datetime
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from task2sim import provenance
from task2sim.ablation.cells import Cell, Plan
from task2sim.ablation.database import (
    DATABASE,
    FAILED,
    FINISHED,
    PLANNED,
    POLICY_METHOD,
    Ablation,
    AblationDatabase,
)
from task2sim.ablation.file import write_ablation
from task2sim.difference import flatten, shown
from task2sim.errors import ConfigError, StoreError, Task2SimError
from task2sim.observers import Observers
from task2sim.registry import NOUNS, core_version
from task2sim.results import UNTRAINED, Results
from task2sim.run import PROVENANCE, RESULTS, write_whole
from task2sim.scoring import SEARCH
from task2sim.store import META, Store, writing
from task2sim.study import chosen_plugins, run_folder, run_study
from task2sim.study_file import StudyConfig
from task2sim.summary import final_table

RESOLVED = "ablation.resolved.yaml"
RUNS = "runs"

BEGUN = ".begun"
"""Lies in the folder of a cell's run since it first began: what the store got later, the cell has made."""

CLOCK_TICK = 0.02
"""Seconds after which files have other times; the clock of file systems moves in steps."""

Tell = Callable[[str], None]


def ablation_folder(plan: Plan, ablations: Path) -> Path:
    """Where an ablation lies."""
    return ablations / plan.file.config.name


def run_ablation(
    plan: Plan,
    ablations: Path,
    store: Store,
    observers: Sequence[tuple[str, object]] = (),
    warn: Callable[[str, str], None] | None = None,
    tell: Tell | None = None,
    retry: bool = False,
) -> Ablation:
    """Run the cells of an ablation that are missing.

    Args:
        plan: What the ablation asks for.
        ablations: The folder that holds the folders of ablations.
        store: What all cells share.
        observers: (title, observer) pairs that are told of each cell's study and of the ablation, beside those that
            the files name.
        warn: Is told of observers that failed: a line, and a traceback.
        tell: Is told of each cell, in a line.
        retry: Whether cells that failed before run again.

    Returns:
        The ablation; cells that failed are kept as such.

    Raises:
        Task2SimError: the folder can't be used. What is finished is kept.
    """
    return _Running(plan, ablations, store, observers, warn, tell, retry).run()


def is_finished(run: Path) -> bool:
    """Whether a run folder holds a finished run."""
    if not (run / RESULTS).is_file():
        return False
    results = Results(run / RESULTS)
    try:
        return bool(results.fact("finished"))
    finally:
        results.close()


class _Running:
    """One start of an ablation."""

    def __init__(
        self,
        plan: Plan,
        ablations: Path,
        store: Store,
        observers: Sequence[tuple[str, object]],
        warn: Callable[[str, str], None] | None,
        tell: Tell | None,
        retry: bool,
    ) -> None:
        self.plan, self.store, self.retry = plan, store, retry
        self.folder = ablation_folder(plan, ablations)
        self.extra_observers = observers
        self.warn = warn or (lambda line, details: None)
        self.tell = tell or (lambda line: None)

    def run(self) -> Ablation:
        config = self.plan.file.config
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._lock(stack)
            self.database = AblationDatabase(self.folder / DATABASE)
            stack.callback(self.database.close)
            own = [(chosen.entry.title, chosen.build()) for chosen in config.observers]
            hooks = Observers([*self.extra_observers, *own], self.warn)
            check_same_base(self.plan, self.database, self.folder)
            write_whole(self.folder / RESOLVED, write_ablation(self.plan.file, self.plan.base.study))
            self._begin()
            self._write_provenance()
            for number, cell in enumerate(self.plan.cells):
                self._cell(cell, f"cell {number + 1} of {len(self.plan.cells)}: {cell.name}")
            if not self.database.fact("finished"):
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                self.database.put_facts({"finished": now})
            self._write_provenance()
            ablation = Ablation(self.folder, self.database)
            hooks.call("task2sim_ablation_end", ablation=ablation)
        return ablation

    def _lock(self, stack: ExitStack) -> None:
        try:
            stack.enter_context(FileLock(self.folder / ".lock", timeout=0))
        except Timeout:
            raise StoreError(
                "this ablation is running already",
                place=str(self.folder),
                mend="wait for it, or change its name or --ablations",
            ) from None

    # --- the plan in the database ---

    def _begin(self) -> None:
        config, study, database = self.plan.file.config, self.plan.base.study, self.database
        self.runs = {cell.name: run_folder(cell.file, self.folder / RUNS) for cell in self.plan.cells}
        known = {row["cell"]: row for row in database.query("SELECT * FROM cells")}
        remade: dict[str, None] = {}
        with database.transaction():
            database.put_facts(
                {
                    "name": config.name,
                    "mode": config.mode,
                    "source": self.plan.file.source,
                    "base": study.name,
                    "baseline": json.dumps(config.baseline and config.labels(config.baseline)),
                    "task2sim": core_version(),
                    "study": json.dumps(study.model_dump(mode="json")),
                }
            )
            self._put_factors()
            database.clear("tasks")
            database.put(
                "tasks",
                [
                    {"name": name, "position": n, "role": "seen" if name in study.tasks.seen else "unseen"}
                    for n, name in enumerate(study.tasks.names)
                ],
            )
            complete = True
            for position, cell in enumerate(self.plan.cells):
                run, old = self._run_name(cell), known.get(cell.name)
                if old is None or old["run"] != run:
                    if old is not None and old["state"] != PLANNED:
                        remade[_why_again(old, cell)] = None
                    database.forget_numbers(cell.name)
                    old = {"state": PLANNED, "error": None, "versions": None}
                row = {"cell": cell.name, "row": cell.row.name, "seed": cell.seed, "position": position, "run": run}
                database.put("cells", [{**old, **row}])
                complete = complete and (old["state"] == FINISHED or (old["state"] == FAILED and not self.retry))
            self._forget_other_seeds(known)
            if not complete:
                database.execute("DELETE FROM facts WHERE name = 'finished'")
        for line in remade:
            self.tell(line)

    def _put_factors(self) -> None:
        config, database = self.plan.file.config, self.database
        database.clear("factors", "levels")
        database.put("factors", [{"name": f.name, "position": n} for n, f in enumerate(config.factors)])
        database.put(
            "levels",
            [
                {"factor": f.name, "label": level.label, "position": n, "value": json.dumps(level.value)}
                for f in config.factors
                for n, level in enumerate(f.levels)
            ],
        )
        database.execute("UPDATE rows SET planned = 0")
        database.put(
            "rows",
            [
                {"row": row.name, "position": n, "levels": row.levels, "planned": 1}
                for n, row in enumerate(self.plan.rows)
            ],
        )

    def _forget_other_seeds(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        """Leave out seeds that the file no longer has; their runs stay, and are read should the seeds return."""
        rows = {row.name for row in self.plan.rows}
        for name, old in known.items():
            if old["row"] in rows and name not in self.runs:
                self.database.forget_numbers(name)
                self.database.execute("DELETE FROM cells WHERE cell = ?", (name,))

    def _run_name(self, cell: Cell) -> str:
        return self.runs[cell.name].relative_to(self.folder).as_posix()

    # --- cells ---

    def _cell(self, cell: Cell, title: str) -> None:
        (row,) = self.database.query("SELECT state, error FROM cells WHERE cell = ?", (cell.name,))
        if row["state"] == FINISHED:
            self.tell(f"{title}: finished already")
            return
        if row["state"] == FAILED and not self.retry:
            self.tell(f"{title}: failed before; --retry runs it again")
            return
        folder = self.runs[cell.name]
        try:
            if is_finished(folder):
                self.tell(f"{title}: its run is finished, its numbers are read")
            else:
                self.tell(title)
                self._note_beginning(folder)
                run_study(cell.file, self.folder / RUNS, self.store, self.extra_observers, self.warn)
            self._copy(cell, folder)
        except Exception as error:
            # Whatever one cell does must not harm the others.
            reason = " ".join(_reason(error).split())
            values = {"cell": cell.name, "row": cell.row.name, "seed": cell.seed, "run": self._run_name(cell)}
            position = self.plan.cells.index(cell)
            with self.database.transaction():
                self.database.forget_numbers(cell.name)
                self.database.put("cells", [{**values, "position": position, "state": FAILED, "error": reason}])
            self.tell(f"{title}: failed: {reason}")

    def _note_beginning(self, folder: Path) -> None:
        if not (folder / BEGUN).exists():
            time.sleep(CLOCK_TICK)
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / BEGUN).touch()

    def _copy(self, cell: Cell, folder: Path) -> None:
        """Copy a finished cell's numbers."""
        results = Results(folder / RESULTS)
        try:
            with self.database.transaction():
                self.database.forget_numbers(cell.name)
                for table, rows in self._numbers(cell, results).items():
                    self.database.put(table, rows)
                if not self.database.fact("metric"):
                    self.database.put_facts(
                        {"metric": results.query("SELECT metric FROM scores LIMIT 1")[0]["metric"]}
                    )
        finally:
            results.close()

    def _numbers(self, cell: Cell, results: Results) -> dict[str, list[dict[str, Any]]]:
        """What the run of a cell has measured, as rows of the ablation's tables."""
        study, name = cell.file.study, {"cell": cell.name}
        table = final_table(results)
        own = f"policy {study.policy.name}"
        if own not in {row.method for row in table}:
            raise StoreError("its run has no final table", place=str(results.path), mend="remove the run's folder")
        scores = [
            {
                **name,
                "method": POLICY_METHOD if row.method == own else row.method,
                "task": task,
                "role": "seen" if task in study.tasks.seen else "unseen",
                "value": one.mean,
                "deviation": None if one.count < 2 else one.deviation,
                "count": one.count,
            }
            for row in table
            for task, one in row.tasks.items()
        ]
        trials = results.query(
            "SELECT t.position, s.phase, s.setting, s.replicate, s.task, s.split, s.value FROM trials t JOIN scores s"
            " ON s.phase = t.phase AND s.setting = t.setting AND s.replicate = t.replicate"
            " ORDER BY t.position, s.rowid"
        )
        searched = list(dict.fromkeys(row["setting"] for row in trials if row["phase"] == SEARCH))
        numbers = {setting: number for number, setting in enumerate(searched, 1)}
        made = {**name, "row": cell.row.name, "seed": cell.seed, "position": self.plan.cells.index(cell)}
        return {
            "scores": scores,
            "trials": [{**name, **{k: v for k, v in row.items() if k != "position"}} for row in trials],
            "search": [
                {**name, "number": numbers[row["setting"]], "task": row["task"], "value": row["value"]}
                for row in trials
                if row["phase"] == SEARCH
            ],
            "settings": results.query("SELECT key AS setting, label, choices FROM settings"),
            "predictions": [{**name, **row} for row in results.query("SELECT task, setting FROM predictions")],
            "cells": [
                {
                    **made,
                    "state": FINISHED,
                    "error": None,
                    "run": self._run_name(cell),
                    "versions": versions_of(study, json.loads((results.path.parent / PROVENANCE).read_text())),
                    **self._cost(results),
                }
            ],
        }

    def _cost(self, results: Results) -> dict[str, Any]:
        """What a cell took, and how much of it was its own work."""
        rows = results.query("SELECT * FROM trials")
        datasets = {row["dataset"]: row["render_seconds"] for row in rows if row["dataset"]}
        backbones = {row["backbone"]: row["pretrain_seconds"] for row in rows if row["setting"] != UNTRAINED}
        on_table = not any(backbones)
        seconds = results.query("SELECT TOTAL(seconds) AS wall FROM stages")[0]["wall"]
        work = sum(datasets.values()) + sum(backbones.values()) + sum(row["score_seconds"] for row in rows)
        begun = results.path.parent / BEGUN
        since = begun.stat().st_mtime_ns if begun.exists() else None
        return {
            # A table is asked, nothing is pre-trained: what counts is what the search has looked up.
            "pretrainings": sum(row["phase"] == SEARCH for row in rows) if on_table else len(backbones),
            "rendered": self._made("datasets", datasets, since),
            "pretrained": 0 if on_table else self._made("backbones", backbones, since),
            "wall_seconds": seconds,
            "work_seconds": work,
        }

    def _made(self, kind: str, keys: Mapping[str, float], since: int | None) -> int | None:
        """How many of these the store got since then; None where that can't be known."""
        if self.store.is_remote or since is None:
            return None
        metas = [self.store.path(kind, key) / META for key in keys]
        return sum(meta.exists() and meta.stat().st_mtime_ns >= since for meta in metas)

    def _write_provenance(self) -> None:
        plugins = {
            (chosen.entry.kind, chosen.entry.title): chosen.entry
            for cell in self.plan.cells
            for chosen in chosen_plugins(cell.file.study)
        }
        made_with = provenance.gather(plugins.values())
        made_with["seeds"] = list(self.plan.file.config.seeds)
        rows = self.database.query("SELECT cell, run, versions FROM cells ORDER BY position")
        made_with["tasks"] = {}
        for row in rows:
            path = self.folder / row["run"] / PROVENANCE
            if path.is_file() and not made_with["tasks"]:
                made_with["tasks"] = json.loads(path.read_text())["tasks"]
        made_with["cells"] = {row["cell"]: json.loads(row["versions"] or "null") for row in rows}
        write_whole(self.folder / PROVENANCE, json.dumps(made_with, indent=2))


def versions_of(study: StudyConfig, made_with: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers of a cell were made with: plugins that take part in them, the core, and its commit.

    Args:
        study: The cell's study.
        made_with: The provenance of its run.
    """
    observers = {observer.entry for observer in study.observers}
    entries = [chosen.entry for chosen in chosen_plugins(study) if chosen.entry not in observers]
    versions = {f"{NOUNS[entry.kind]} {entry.name}": entry.origin for entry in entries}
    versions["task2sim"] = made_with["task2sim"]
    if git := made_with["git"]:
        versions["git"] = f"{git['commit']}{' with changes' if git['changed'] else ''}"
    return versions


def _why_again(old: Mapping[str, Any], cell: Cell) -> str:
    """Why a cell that was finished is to run again."""
    before = json.loads(old["versions"] or "{}")
    now = versions_of(cell.file.study, {"task2sim": core_version(), "git": None})
    changed = [
        f"{name}: {before[name]} -> {now[name]}" for name in before if name in now and before[name] != now[name]
    ]
    if changed:
        return f"cells were made with other versions and run again ({', '.join(changed)})"
    return f"row {cell.row.name} is another study now and runs again"


def check_same_base(plan: Plan, database: AblationDatabase, folder: Path) -> None:
    """Refuse to write an ablation of one study into the folder of another's.

    Raises:
        ConfigError: the folder's cells have another base.
    """
    text = database.fact("study")
    if not text:
        return
    varied = {factor.name for factor in plan.file.config.factors}
    varied |= {row["name"] for row in database.query("SELECT name FROM factors")}
    old, new = json.loads(text), plan.base.study.model_dump(mode="json")
    for key in ("seed", "observers"):
        old.pop(key, None), new.pop(key, None)
    differences = [
        f"{name} was {shown(before)}, is {shown(after)}"
        for name, before, after in _differences(old, new)
        if not any(
            name == factor or name.startswith(f"{factor}.") or factor.startswith(f"{name}.") for factor in varied
        )
    ]
    if differences:
        raise ConfigError(
            f"this folder has an ablation of another base study: {'; '.join(differences[:3])}",
            place=str(folder),
            mend=f"give {plan.file.source} another name, or another folder with --ablations",
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What two complete studies say differently. A plugin's key that only one has came or went with a version."""
    before = {".".join(map(str, location)): value for location, value in flatten(old)}
    after = {".".join(map(str, location)): value for location, value in flatten(new)}
    found = [(name, before[name], after[name]) for name in before if name in after and before[name] != after[name]]
    found += [
        (key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new]) if (key in old) != (key in new)
    ]
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, Task2SimError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
