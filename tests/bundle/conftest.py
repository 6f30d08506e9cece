"""Finished runs of the toys of the core's tests, and ablations of them."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import registry
from task2sim.config import load_study
from task2sim.results import Results
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study
from task2sim.summary import final_table
from task2sim_bundle.bundle import write_bundle
from task2sim_bundle.contents import MANIFEST, describe

TOYS = Path(__file__).parents[1] / "core"

STUDY = """\
name: toy
seed: 3
tasks:
  sources: [{type: toy, images: words.txt}]
  seen: [apples, birds]
  unseen: [cars]
embedder: toy
policy: toy
simulator: {type: toy, resolution: 4}
trainer: toy
evaluator: toy
executor: {type: local, workers: 1}
observers: []
images: 20
pretrainings: 4
settings_per_round: 2
comparison: {seeds: 2, random: 2}
"""

TABLE_STUDY = """\
name: looked-up
tasks: {seen: [apples, birds], unseen: [cars]}
policy: toy
rewards: {type: table, path: scores}
observers: []
pretrainings: 4
"""


def register(patch: pytest.MonkeyPatch) -> None:
    kinds = {"tasks": "Tasks", "embedders": "Embedder", "policies": "Policy", "simulators": "Sim"}
    kinds |= {"trainers": "Train", "evaluators": "Evaluate", "rewards": "Table"}
    patch.setenv("TASK2SIM_PLUGINS", ",".join(f"{kind}:toy=toys:{name}" for kind, name in kinds.items()))
    patch.setenv("PYTHONPATH", str(TOYS))
    patch.syspath_prepend(TOYS)
    registry.installed_plugins.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the study was made: a run, and a run on a table."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        patch.chdir(folder)
        Path("words.txt").write_text("one")
        Path("study.yaml").write_text(STUDY)
        run_study(load_study("study.yaml"), folder / "runs", Store(folder / "store"))
        write_table(folder / "scores")
        Path("table.yaml").write_text(TABLE_STUDY)
        run_study(load_study("table.yaml"), folder / "runs", Store(folder / "store"))
    # Made once for the session, whose other tests have a place and plugins of their own.
    registry.installed_plugins.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def _at_home(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        patch.chdir(home)
        yield
    registry.installed_plugins.cache_clear()


def write_table(folder: Path, offset: float = 0.0) -> None:
    from task2sim import TASK2SIM_PARAMETERS

    settings = list(TASK2SIM_PARAMETERS.enumerate())
    tasks = ["apples", "birds", "cars"]
    scores = {t: [offset + (i * (k + 3)) % 97 / 100 for i in range(len(settings))] for k, t in enumerate(tasks)}
    table = {
        "format": "task2sim table",
        "version": 1,
        "metric": "accuracy",
        "source": {"run": "home"},
        "parameters": TASK2SIM_PARAMETERS.describe(),
        "settings": [setting.as_dict() for setting in settings],
        "tasks": tasks,
        "scores": {"val": scores},
    }
    folder.mkdir(exist_ok=True)
    (folder / "table.json").write_text(json.dumps(table))
    np.savez(folder / "embeddings.npz", **{t: np.eye(3, dtype=np.float32)[k] for k, t in enumerate(tasks)})


@pytest.fixture
def run(home: Path) -> Path:
    (folder,) = (home / "runs").glob("toy-*")
    return folder


@pytest.fixture
def table_run(home: Path) -> Path:
    (folder,) = (home / "runs").glob("looked-up-*")
    return folder


@pytest.fixture
def bundle(run: Path, tmp_path: Path) -> Path:
    write_bundle(run, tmp_path / "bundle.zip")
    return tmp_path / "bundle.zip"


SCHEMA = """
CREATE TABLE facts (name PRIMARY KEY, value);
CREATE TABLE rows (row PRIMARY KEY, position, levels, planned INTEGER);
CREATE TABLE cells (cell PRIMARY KEY, row, seed INTEGER, position, state, error, run, versions);
CREATE TABLE scores (cell, method, task, role, value REAL, deviation REAL, count INTEGER,
    PRIMARY KEY (cell, method, task));
"""


@pytest.fixture
def ablation(home: Path, run: Path, tmp_path: Path) -> Path:
    """An ablation with two cells that finished and one that failed, as the core writes it down."""
    folder = tmp_path / "ablations" / "policies"
    cells = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for seed in (3, 4):
            file = load_study("study.yaml", [f"seed={seed}"])
            made: Run = run_study(file, folder / "runs", Store(home / "store"))
            cells.append((f"base, seed {seed}", seed, made.folder))
    (folder / "ablation.resolved.yaml").write_text("name: policies\n")
    (folder / "provenance.json").write_text("{}")
    with sqlite3.connect(folder / "ablation.sqlite") as database:
        database.executescript(SCHEMA)
        database.execute("INSERT INTO facts VALUES ('name', 'policies')")
        database.execute("INSERT INTO rows VALUES ('base', 0, '{}', 1), ('old', 1, '{}', 0)")
        for position, (cell, seed, made_in) in enumerate(cells):
            place = made_in.relative_to(folder).as_posix()
            database.execute(
                "INSERT INTO cells VALUES (?, 'base', ?, ?, 'finished', NULL, ?, '{}')", (cell, seed, position, place)
            )
            results = Results(made_in / "results.sqlite")
            for row in final_table(results):
                method = "" if row.method.startswith("policy ") else row.method
                for task, value in row.tasks.items():
                    deviation = None if math.isnan(value.deviation) else value.deviation
                    numbers = (cell, method, task, "seen", value.mean, deviation, value.count)
                    database.execute("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)", numbers)
            results.close()
        database.execute(
            "INSERT INTO cells VALUES ('base, seed 5', 'base', 5, 2, 'failed', 'the lens is broken', NULL, '{}'),"
            " ('old, seed 3', 'old', 3, 3, 'planned', NULL, NULL, '{}')"
        )
    database.close()
    return folder


Change = Callable[[dict[str, bytes]], Any]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle with other files; its manifest is made to fit unless told otherwise."""

    def write(bundle: Path, change: Change, fitting: bool = True) -> Path:
        with zipfile.ZipFile(bundle) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        change(files)
        if fitting:
            manifest = json.loads(files.pop(MANIFEST))
            manifest["files"] = {name: describe(data).model_dump() for name, data in files.items()}
            files[MANIFEST] = json.dumps(manifest).encode()
        target = tmp_path / "changed.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return target

    return write


@pytest.fixture
def in_database(tmp_path: Path) -> Callable[[bytes, str], bytes]:
    """Carries out a statement on a database that is given as bytes."""

    def execute(data: bytes, statement: str) -> bytes:
        path = tmp_path / "changed.sqlite"
        path.write_bytes(data)
        with sqlite3.connect(path) as database:
            assert database.execute(statement).rowcount > 0
        database.close()
        return path.read_bytes()

    return execute


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine: another current folder, without what lay at home."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a folder, to be spoilt."""

    def copied(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy" / folder.name))

    return copied
