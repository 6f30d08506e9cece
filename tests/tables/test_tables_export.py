from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
from typer.testing import CliRunner

from task2sim import Score, StoreError, TaskError, registry
from task2sim.config import load_study
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study
from task2sim_tables import export
from task2sim_tables.commands import app
from task2sim_tables.export import export_run
from task2sim_tables.table import Table

TOYS = Path(__file__).parents[1] / "core"

PLUGINS = ",".join(
    [
        "tasks:toy=toys:Tasks",
        "embedders:toy=toys:Embedder",
        "policies:toy=toys:Policy",
        "simulators:toy=toys:Sim",
        "trainers:toy=toys:Train",
        "evaluators:toy=toys:Evaluate",
        "rewards:tables=task2sim_tables.table:Table",
    ]
)

STUDY = """\
name: toy
tasks: {sources: [toy], seen: [apples, birds], unseen: [cars]}
embedder: toy
policy: toy
simulator: toy
trainer: toy
evaluator: toy
executor: {type: local, workers: 1}
observers: []
images: 20
pretrainings: 3
comparison: {seeds: 1, random: 0}
"""

ON_TABLE = """\
name: on-table
tasks: {seen: [apples], unseen: [cars]}
rewards: {type: tables, path: TABLE}
policy: toy
observers: []
pretrainings: 2
comparison: {random: 0}
"""


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASK2SIM_PLUGINS", PLUGINS)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", "")]))
        registry.installed_plugins.cache_clear()
        yield
    registry.installed_plugins.cache_clear()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


def go(root: Path, study: str, *, store: str = "store", until: str = "end") -> Run:
    (root / "study.yaml").write_text(study)
    file = load_study(str(root / "study.yaml"), ())
    return run_study(file, root / "runs", Store(root / store), until=until)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    return go(root, STUDY)


@pytest.fixture(scope="module")
def exported(root: Path, run: Run) -> Path:
    assert export_run(run, root / "table") == (3, 3)
    return root / "table"


def test_has_what_the_search_tried(run: Run, exported: Path) -> None:
    table = Table(Table.Config(path=exported))
    assert table.names() == ("apples", "birds", "cars")
    rows = run.results.query(
        "SELECT choices, task, value, metric FROM scores JOIN settings ON settings.key = scores.setting"
        " WHERE phase = 'search'"
    )
    assert len(rows) == 6
    for row in rows:
        score = table.score(row["task"], table.parameter_space.setting(json.loads(row["choices"])), "val")
        assert (score.value, score.metric) == (row["value"], row["metric"])
    assert table.parameter_space.size == 3
    for name, vector in run.embeddings().items():
        assert np.array_equal(table.embedding(name).vector, vector)


def test_has_unseen_tasks_and_test_scores(exported: Path) -> None:
    table = Table(Table.Config(path=exported))
    settings = list(table.parameter_space.enumerate())
    for task in table.names():
        val, test = ([table.score(task, setting, split).value for setting in settings] for split in ("val", "test"))
        assert len({*val, *test}) == 6


def test_says_where_it_comes_from(run: Run, exported: Path) -> None:
    source = json.loads((exported / "table.json").read_text())["source"]
    assert source["run"] == run.folder.name
    assert source["study"]["images"] == 20
    assert source["provenance"] == run.provenance()


def test_a_run_on_a_table_is_exported_too(root: Path, exported: Path) -> None:
    run = go(root, ON_TABLE.replace("TABLE", json.dumps(str(exported))))
    assert export_run(run, root / "second") == (2, 2)
    first, second = (Table(Table.Config(path=folder)) for folder in (exported, root / "second"))
    assert second.names() == ("apples", "cars")
    for setting in second.parameter_space.enumerate():
        for task in second.names():
            for split in ("val", "test"):
                assert second.score(task, setting, split) == first.score(task, setting, split)


def test_unfinished_runs_are_refused(root: Path) -> None:
    run = go(root, STUDY.replace("name: toy", "name: begun"), until="embed")
    with pytest.raises(StoreError, match="this run is not finished; let task2sim run finish it"):
        export_run(run, root / "begun")
    assert not (root / "begun").exists()


def test_command(root: Path, run: Run, exported: Path) -> None:
    arguments = ["export", str(run.folder), "--store", str(root / "store"), "--out"]
    done = CliRunner().invoke(app, [*arguments, str(root / "commanded")])
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith("commanded: 3 settings on 3 tasks")
    for name in ("table.json", "embeddings.npz"):
        assert (root / "commanded" / name).read_bytes() == (exported / name).read_bytes()
    done = CliRunner().invoke(app, [*arguments, str(root)])
    assert isinstance(done.exception, StoreError)
    assert "holds something besides a table" in str(done.exception)
    done = CliRunner().invoke(app, ["export", str(root), "--out", str(root / "no")])
    assert isinstance(done.exception, StoreError)
    assert "this is no run folder" in str(done.exception)


def test_the_target_is_checked_before_the_work(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    done = CliRunner().invoke(app, ["export", str(root / "no run"), "--out", str(tmp_path)])
    assert "holds something besides a table" in str(done.exception)


def test_a_store_without_the_tasks_is_refused(root: Path, run: Run, tmp_path: Path) -> None:
    elsewhere = Run.open(run.folder, Store(tmp_path / "other"))
    with pytest.raises((StoreError, TaskError), match="the store has no images of task 'apples'"):
        export_run(elsewhere, tmp_path / "table")


def test_scores_of_different_metrics_make_no_table(
    root: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = list(export.score_run(run, "val"))
    scores = {**scored[0].scores, "cars": Score(0.5, "loss", 6)}
    monkeypatch.setattr(export, "score_run", lambda *_: iter([attrs.evolve(scored[0], scores=scores), *scored[1:]]))
    with pytest.raises(StoreError, match="a table has one metric, this run has loss, toy accuracy"):
        export_run(run, tmp_path / "table")
    assert not (tmp_path / "table").exists()
