"""Redoing a part of what a bundle says, and comparing."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
import yaml

from task2sim import (
    ConfigError,
    ParameterSetting,
    PluginError,
    StoreError,
    TaskEmbedding,
    TaskError,
    TaskScore,
    spawn_generator,
)
from task2sim.components import close_components
from task2sim.config import StudyFile, load_study
from task2sim.interfaces import RewardTable
from task2sim.learned import CONFIG, Learned
from task2sim.parameters import ParameterSpace
from task2sim.progress import Listener, progress_listener, report_progress
from task2sim.provenance import gather
from task2sim.registry import plugin_call
from task2sim.results import UNTRAINED, Results
from task2sim.run import PROVENANCE, RESULTS
from task2sim.scoring import SEARCH, Request, TableScoring, trial_recipe
from task2sim.store import Store, hash_key
from task2sim.study import IDLE_ROUNDS, chosen_plugins, load_table, load_tasks, simulator_facts, start_policy
from task2sim.tasks import Task
from task2sim.trial import TrialJob, run_trial
from task2sim_bundle.bundle import local_paths, summarise
from task2sim_bundle.contents import ABLATION, STUDY, SUMMARY, BundledCell, Manifest, open_bundle, query

MARK = "verified-bundle"
"""A file in the store of an earlier, interrupted check; it says of which bundle."""

ROUNDING = 1e-12
"""By how much a mean may differ that was summed in another order."""

Verdict = Literal["same", "differs"]


@attrs.frozen
class Check:
    """One comparison.

    Attributes:
        about: ``"task"``, ``"trial"``, ``"search"`` or ``"table"``.
        what: What was compared.
        verdict: How it came out.
        expected: What the bundle says; a number for trials.
        got: What was found here.
        note: More about it, or empty.
    """

    about: str
    what: str
    verdict: Verdict
    expected: Any
    got: Any
    note: str = ""

    @property
    def line(self) -> str:
        """As text."""
        numbers = f": expected {self.expected}, got {self.got}" if self.about == "trial" else ""
        return f"{self.about:<7} {self.what}{numbers}: {self.verdict}{f' ({self.note})' if self.note else ''}"


@attrs.frozen
class Verification:
    """What came of a check.

    Attributes:
        bundle: What the bundle holds.
        warnings: Why numbers may differ although nothing is wrong: one line each.
        checks: The comparisons.
    """

    bundle: Manifest
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return all(check.verdict == "same" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "bundle": {"kind": self.bundle.kind, "name": self.bundle.name, "cells": len(self.bundle.cells)},
            "agrees": self.agrees,
            "warnings": list(self.warnings),
            "failed": self.bundle.failed,
            "checks": [attrs.asdict(check) for check in self.checks],
        }


def verify_bundle(
    path: Path,
    trials: int = 3,
    seed: int = 0,
    store: Path | None = None,
    tolerance: float = 0.0,
    data: Mapping[str, str] | None = None,
    listener: Listener | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Verification:
    """Check a bundle: its files, its tables, the search of one study, and a random sample of trials.

    Args:
        path: The bundle.
        trials: How many trials to make again; as many as there are at most.
        seed: Draws them.
        store: A new or empty folder for what is made; by default one that is removed in the end. The folder of an
            earlier check of the same bundle goes on.
        tolerance: By how much a score may differ.
        data: For paths in the studies, or folders above them, where they lie here.
        listener: Is told of progress.
        tell: Is told each warning and each comparison as soon as it is known.

    Raises:
        Task2SimError: the bundle is damaged, its data are not here, or its plugins are not.
    """
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="task2sim-verify-")))
        manifest = open_bundle(path, root / "bundle")
        place = _claim(store, manifest) if store is not None else root / "store"
        if listener is not None:
            stack.enter_context(progress_listener(listener))
        stack.callback(close_components)
        stack.enter_context(_fitting_together(path))
        work = _Verification(manifest, root, Store(place), tolerance, dict(data or {}), seed)
        stack.callback(work.close)
        warnings = []
        for warning in work.warnings():
            warnings.append(warning)
            tell(f"warning: {warning}")
        checks = []
        for check in work.checks(trials):
            checks.append(check)
            tell(check.line)
        for warning in work.afterwards(checks):
            warnings.append(warning)
            tell(f"warning: {warning}")
    return Verification(manifest, tuple(warnings), tuple(checks))


@contextmanager
def _fitting_together(path: Path) -> Iterator[None]:
    """Whoever makes a manifest can make it fit to files that no run ever wrote."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, yaml.YAMLError) as error:
        wrong = StoreError(
            f"the files in this bundle don't fit together: {type(error).__name__}: {error}",
            place=str(path),
            mend="ask whoever made it to run task2sim bundle again",
        )
        wrong.details = traceback.format_exc()
        raise wrong from error


def _claim(folder: Path, manifest: Manifest) -> Path:
    """A store that holds nothing but what checks of this bundle made."""
    own = hash_key(manifest.model_dump(mode="json"))
    mark = folder / MARK
    if folder.is_dir() and any(folder.iterdir()) and not (mark.is_file() and mark.read_text() == own):
        raise StoreError(
            "this folder is not empty: what lies there would be compared with itself",
            place=str(folder),
            mend="name a new folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(own)
    except OSError as error:
        raise StoreError(
            f"can't write here: {error.strerror}", place=str(folder), mend="name another folder"
        ) from error
    return folder


class _Cell:
    """One study of an unpacked bundle, opened as far as it is asked for."""

    def __init__(self, cell: BundledCell, root: Path, paths: Mapping[str, str]) -> None:
        self.name = cell.name
        self.folder = root / cell.folder
        self.place = f"{cell.folder}/{CONFIG} in the bundle"
        self._paths = paths

    @cached_property
    def config(self) -> Any:
        """The study as it was bundled, as plain data."""
        return yaml.safe_load((self.folder / CONFIG).read_text(encoding="utf-8"))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What it was made with."""
        data: dict[str, Any] = json.loads((self.folder / PROVENANCE).read_text(encoding="utf-8"))
        return data

    @cached_property
    def results(self) -> Results:
        """Its scores."""
        return Results(self.folder / RESULTS)

    @cached_property
    def file(self) -> StudyFile:
        """The study, with paths as they are here."""
        mapped = self.folder / "config.mapped.yaml"
        mapped.write_text(yaml.safe_dump(_mapped(self.config, self._paths), sort_keys=False), encoding="utf-8")
        try:
            return load_study(str(mapped))
        except ConfigError as error:
            error.message = error.message.replace(str(mapped), self.place)
            raise

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters it searched."""
        return simulator_facts(self.file).space if self.table is None else self.table[1]

    @cached_property
    def table(self) -> tuple[RewardTable, ParameterSpace] | None:
        """The table that knows its scores, if there is one."""
        return None if self.file.study.rewards is None else load_table(self.file)

    @cached_property
    def choices(self) -> dict[str, ParameterSetting]:
        """The settings by their keys."""
        rows = self.results.query("SELECT key, choices FROM settings")
        return {row["key"]: ParameterSetting(json.loads(row["choices"])) for row in rows}

    def scores(self, phase: str, setting: str, replicate: str) -> dict[str, dict[str, Any]]:
        """The scores of a trial by task."""
        rows = self.results.query(
            "SELECT * FROM scores WHERE phase = ? AND setting = ? AND replicate = ? ORDER BY rowid",
            (phase, setting, replicate),
        )
        return {row["task"]: row for row in rows}


class _Verification:
    def __init__(
        self, manifest: Manifest, root: Path, store: Store, tolerance: float, data: dict[str, str], seed: int
    ) -> None:
        self.manifest, self.root, self.store, self.tolerance, self.seed = manifest, root, store, tolerance, seed
        self.bundle = root / "bundle"
        paths = {text: str(self.bundle / place) for text, place in manifest.packed.items()}
        self.cells = [_Cell(cell, self.bundle, paths | data) for cell in manifest.cells]
        self._tasks: dict[str, tuple[dict[str, Task], list[Check]]] = {}
        self._differ = False
        self._check_data(data)

    def close(self) -> None:
        for cell in self.cells:
            cell.results.close()

    def _check_data(self, data: Mapping[str, str]) -> None:
        """Refuse mappings that map nothing."""
        known = sorted({*self.manifest.needed, *(text for cell in self.cells for text in local_paths(cell.config))})
        for old in data:
            if not any(_moved(text, {old: ""}) is not None for text in known):
                raise ConfigError(
                    f"no study in this bundle reads {old!r}",
                    place="--data",
                    mend=f"they read {', '.join(known) or 'no files'}",
                )

    # --- versions ---

    def warnings(self) -> Iterator[str]:
        """What is not as it was: versions and platform, not of every study but of all together."""
        try:
            here = gather({c.entry for cell in self.cells for c in chosen_plugins(cell.file.study)})
        except (ConfigError, PluginError) as error:
            error.mend = f"{error.mend}; the bundle's requirements.txt says which versions it was made with"
            raise
        found: dict[str, None] = {}
        for cell in self.cells:
            for name, then in _versions(cell.provenance).items():
                now = _versions(here).get(name, "not installed")
                if now != then:
                    found[f"{name}: {now} here, {then} in the bundle"] = None
            for name in ("platform", "processor"):
                if here[name] != cell.provenance[name]:
                    found[f"{name}: {here[name]} here, {cell.provenance[name]} in the bundle"] = None
            if (git := cell.provenance["git"]) and git["changed"]:
                found[f"task2sim ran from a checkout whose files differed from commit {git['commit']}"] = None
        self._differ = any(not line.startswith("task2sim ran") for line in found)
        yield from found

    def afterwards(self, checks: Sequence[Check]) -> Iterator[str]:
        """What tolerance is sensible, if scores differ where they may."""
        errors = [
            math.sqrt(max(value * (1 - value), 0.25 / check_count) / check_count)
            for value, check_count in self._counts
            if check_count and 0 <= value <= 1
        ]
        if self._differ and errors and any(c.about == "trial" and c.verdict == "differs" for c in checks):
            yield (
                "bitwise agreement is promised for the same versions on the same kind of machine only; the scores "
                f"compared have standard errors up to {max(errors):.3f} by their number of images, so "
                f"--tolerance {2 * max(errors):.3f} is sensible here"
            )

    # --- comparisons ---

    def checks(self, trials: int) -> Iterator[Check]:
        self._counts: list[tuple[float, int]] = []
        yield from self._tables()
        yield from self._reports()
        generator = spawn_generator(self.seed, "verify", "search")
        yield self._search(self.cells[int(generator.integers(len(self.cells)))])
        picked = self._pick(trials)
        named: set[str] = set()
        for done, (cell, row) in enumerate(picked):
            for check in self._trial(cell, row):
                if check.about != "task" or check.what not in named:
                    named.add(check.what)
                    yield check
            report_progress("verify", done + 1, len(picked), "trials")

    def _tables(self) -> Iterator[Check]:
        """The summary, and an ablation's scores, against what the raw scores give."""
        expected = json.loads((self.bundle / SUMMARY).read_text(encoding="utf-8"))
        got = summarise({cell.name: cell.folder for cell in self.cells})
        for cell in self.cells:
            wrong = _unequal(expected.get(cell.name, []), got[cell.name])
            yield Check(
                "table",
                f"final table of {cell.name}",
                "differs" if wrong else "same",
                expected.get(cell.name),
                got[cell.name],
                wrong or f"{len(got[cell.name])} numbers",
            )
        if self.manifest.kind != "ablation":
            return
        rows = query(self.bundle / STUDY / ABLATION, "SELECT cell, method, task, value, deviation, count FROM scores")
        for cell in self.cells:
            kept = [
                {**row, "mean": row.pop("value")} for row in [dict(row) for row in rows if row["cell"] == cell.name]
            ]
            for row in kept:
                deviation = row["deviation"]
                row["deviation"] = None if deviation is None or math.isnan(deviation) else deviation
            computed = [
                {**row, "method": "" if row["method"].startswith("policy ") else row["method"]}
                for row in got[cell.name]
            ]
            wrong = _unequal(kept, computed)
            note = wrong or f"{len(kept)} numbers"
            yield Check("table", f"{ABLATION} of {cell.name}", "differs" if wrong else "same", kept, computed, note)

    def _reports(self) -> Iterator[Check]:
        """The tables for a paper, made anew by the command that made them."""
        folder = self.bundle / STUDY
        tables = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder / "tables")}
        if not tables:
            return
        copy = self.root / "report"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("tables", "figures", "report.html", "runs"))
        told = _report_on(copy)
        made = {path.relative_to(copy).as_posix(): path.read_bytes() for path in _files(copy / "tables")}
        for name in sorted(tables):
            same = made.get(name) == tables[name]
            note = "" if same else "its bytes are others" if name in made else told or "it is not made here"
            yield Check("table", name, "same" if same else "differs", name, name if name in made else None, note)

    def _search(self, cell: _Cell) -> Check:
        """Lead the policy of a study through its search again, with the scores it was told then."""
        what = f"policy {cell.config['policy']['type']} of {cell.name}"
        recorded = [
            row["setting"]
            for row in cell.results.query("SELECT setting FROM trials WHERE phase = ? ORDER BY position", (SEARCH,))
        ]
        predictions = {
            row["task"]: row["setting"] for row in cell.results.query("SELECT task, setting FROM predictions")
        }
        tried, predicted = _replay(cell, recorded)
        note = ""
        if tried != recorded:
            number = next((i for i, (a, b) in enumerate(zip(tried, recorded, strict=False)) if a != b), len(tried))
            note = f"it tried another setting as number {number + 1} of {len(recorded)}"
        elif wrong := [task for task, setting in predictions.items() if predicted.get(task) != setting]:
            note = f"it predicts another setting for {', '.join(wrong)}"
        verdict: Verdict = "differs" if note else "same"
        note = note or f"{len(recorded)} settings tried, {len(predictions)} predicted"
        expected = {"tried": recorded, "predicted": predictions}
        return Check("search", what, verdict, expected, {"tried": tried, "predicted": predicted}, note)

    def _pick(self, count: int) -> list[tuple[_Cell, dict[str, Any]]]:
        """Trials by lot, each pre-training at most once a split."""
        different: dict[str, tuple[_Cell, dict[str, Any]]] = {}
        for cell in self.cells:
            for row in cell.results.query("SELECT * FROM trials WHERE split != '' ORDER BY position"):
                scores = row["backbone"] or [cell.config["rewards"], row["setting"]]
                different.setdefault(hash_key([scores, row["split"]]), (cell, row))
        listed = list(different.values())
        generator = spawn_generator(self.seed, "verify", "trials")
        picked = generator.permutation(len(listed))[: max(count, 0)]
        return [listed[i] for i in sorted(int(number) for number in picked)]

    def _trial(self, cell: _Cell, row: Mapping[str, Any]) -> Iterator[Check]:
        phase, key, replicate, split = row["phase"], row["setting"], row["replicate"], row["split"]
        expected = cell.scores(phase, key, replicate)
        setting = None if key == UNTRAINED else cell.choices[key]
        if cell.table is not None:
            rewards = cell.file.study.rewards
            assert rewards is not None
            scoring = TableScoring(rewards.entry.title, cell.table[0], tuple(expected))
            (trial,) = scoring.trials([Request(phase, replicate, setting, split, tuple(expected))])
        else:
            tasks, checks = self._tasks_of(cell)
            yield from checks
            usable = {name: tasks[name].fingerprint for name in expected if name in tasks}
            if not usable:
                return
            recipe = trial_recipe(cell.file.study, self.store, usable, usable)
            trial = run_trial(TrialJob(recipe, phase, replicate, setting, split))
        label = UNTRAINED if setting is None else setting.label
        for task, score in trial.scores.items():
            then = expected[task]["value"]
            self._counts.append((then, expected[task]["count"]))
            same = score.value == then or abs(score.value - then) <= self.tolerance
            off = "" if score.value == then else f"by {abs(score.value - then):.2g}"
            what = f"{cell.name}, {replicate}, {label}, {task} ({split})"
            yield Check("trial", what, "same" if same else "differs", then, score.value, off)

    def _tasks_of(self, cell: _Cell) -> tuple[dict[str, Task], list[Check]]:
        """The tasks of a study whose images are those of the bundle, and how all of them compare."""
        study = cell.file.study
        recorded = cell.provenance["tasks"]
        sources = [chosen.dump() for chosen in study.tasks.sources]
        key = hash_key([sources, study.tasks.names, study.evaluator.dump(), recorded])
        if key not in self._tasks:
            try:
                tasks = load_tasks(cell.file)
            except TaskError as error:
                error.place = cell.place if str(self.root) in error.place else error.place
                error.mend = f"{error.mend}; if the data lie elsewhere here, say --data OLD=NEW".removeprefix("; ")
                raise
            checks = []
            for name, task in tasks.items():
                same = task.fingerprint == recorded[name]
                note = (
                    "" if same else f"other images: {task.fingerprint[:12]} here, {recorded[name][:12]} in the bundle"
                )
                checks.append(
                    Check("task", name, "same" if same else "differs", recorded[name], task.fingerprint, note)
                )
                if same:
                    self.store.put_task(task)
            matching = {name: task for name, task in tasks.items() if task.fingerprint == recorded[name]}
            self._tasks[key] = matching, checks
        return self._tasks[key]


def _report_on(folder: Path) -> str:
    """Make the tables of an ablation's folder; returns what went wrong, or nothing."""
    # Another plugin's work, and so by its command.
    command = [sys.executable, "-m", "task2sim", "report", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines and done.returncode else ""


def _replay(cell: _Cell, recorded: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The settings a policy tries when it is told recorded scores, up to the first that was not recorded, and what it
    predicts in the end; see `task2sim.study`, whose search this is."""
    study, space = cell.file.study, cell.space
    learned = Learned.open(study.continues.expanduser()) if study.continues is not None else None
    policy, title = start_policy(cell.file, space, learned), study.policy.entry.title
    embeddings = {
        row["task"]: TaskEmbedding(
            row["task"], np.frombuffer(row["vector"], dtype=np.float32), json.loads(row["method"])
        )
        for row in cell.results.query("SELECT * FROM embeddings ORDER BY rowid")
    }
    seen = {name: embeddings[name] for name in study.tasks.seen}
    tried: list[str] = []
    idle = 0
    with plugin_call(title):
        # An observer may have ended the search before its budget was spent.
        while len(tried) < len(recorded) and idle < IDLE_ROUNDS:
            n = min(study.settings_per_round, study.pretrainings - len(tried))
            proposed = [space.setting(setting) for setting in policy.propose(seen, n)]
            new = [setting.key for setting in proposed if setting.key not in tried]
            if not proposed:
                break
            tried += new
            if tried != list(recorded[: len(tried)]):
                return tried, {}
            policy.observe(
                [
                    TaskScore(task, setting, row["value"])
                    for setting in proposed
                    for task, row in cell.scores(SEARCH, setting.key, SEARCH).items()
                ]
            )
            idle = 0 if new else idle + 1
        predicted = {name: space.setting(policy.predict(e).setting).key for name, e in embeddings.items()}
    return tried, predicted


def _versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    plugins = {f"plugin {name}": origin for name, origin in provenance["plugins"].items()}
    return {
        "task2sim": provenance["task2sim"],
        "Python": provenance["python"],
        **plugins,
        **provenance["libraries"],
    }


def _unequal(expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]]) -> str:
    """The first number that differs, as text; empty if there is none."""
    first = {(row["method"], row["task"]): row for row in expected}
    second = {(row["method"], row["task"]): row for row in got}
    for key in [*first, *(key for key in second if key not in first)]:
        where = f"{key[0] or 'policy'}, {key[1]}"
        if key not in first or key not in second:
            return f"{where}: only {'in the table' if key in first else 'in the raw scores'}"
        for column in ("mean", "deviation", "count"):
            a, b = first[key][column], second[key][column]
            if a != b and (a is None or b is None or abs(a - b) > ROUNDING):
                return f"{where}: {column} {a} in the table, {b} from the raw scores"
    return ""


def _mapped(data: Any, paths: Mapping[str, str]) -> Any:
    """Plain data with the paths in it as they are here."""
    if isinstance(data, str):
        moved = _moved(data, paths)
        return data if moved is None else moved
    if isinstance(data, dict):
        return {key: value if key in ("name", "type") else _mapped(value, paths) for key, value in data.items()}
    if isinstance(data, list):
        return [_mapped(value, paths) for value in data]
    return data


def _moved(text: str, paths: Mapping[str, str]) -> str | None:
    """A path as it is here, by the longest entry that is it or a folder above it."""
    for old in sorted(paths, key=len, reverse=True):
        stem = old.rstrip("/")
        if text.rstrip("/") == stem or text.startswith(f"{stem}/"):
            return paths[old] + text[len(stem) :].rstrip("/")
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
