"""The observer `mlflow`, read back with MLflow's own client from a database in a file."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")

from task2sim import PluginError, registry
from task2sim.run import Run
from task2sim.summary import final_table
from task2sim_tracking import mlflow as ours

StartStudy = Callable[..., tuple[Run, list[str]]]


@pytest.fixture(autouse=True, scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A database with MLflow's tables, which take it some seconds to make; each test has a copy."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    ours._client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def _copy(database: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_bytes(database.read_bytes())


def client(run: Run) -> Any:
    return ours._client(f"sqlite:///{run.folder.parent / 'mlflow.db'}")


def runs_of(run: Run, name: str = "toy") -> list[Any]:
    found = client(run)
    return list(found.search_runs([found.get_experiment_by_name(name).experiment_id]))


def history(run: Run, name: str) -> list[tuple[int, float]]:
    (one,) = runs_of(run)
    return sorted((m.step, m.value) for m in client(run).get_metric_history(one.info.run_id, name))


def test_everything_is_there(start: StartStudy) -> None:
    run, warnings = start("[mlflow, report]")  # the report is there although its observer is named later
    assert warnings == []
    (one,) = runs_of(run)
    assert one.info.status == "FINISHED"
    assert one.info.run_name == run.folder.name
    assert one.data.params["pretrainings"] == "4"
    assert one.data.params["policy.type"] == "toy"
    values = [
        row["value"]
        for row in run.results.query(
            "SELECT s.value FROM scores s JOIN trials t USING (phase, setting, replicate) WHERE s.phase = 'search'"
            " AND s.task = 'apples' ORDER BY t.position"
        )
    ]
    assert history(run, "search/score/apples") == list(enumerate(values, 1))
    assert history(run, "search/best/apples") == [(i + 1, max(values[: i + 1])) for i in range(4)]
    assert len(history(run, "comparison/seconds/render")) > 3
    assert history(run, "embedding/dimension/cars") == [(0, 4.0)]
    assert history(run, "search/rounds") == [(2, 1.0), (4, 2.0)]
    (row, *_) = final_table(run.results)
    assert history(run, f"final/{row.method}/cars") == [(0, row.tasks["cars"].mean)]
    artefacts = {item.path for item in client(run).list_artifacts(one.info.run_id)}
    assert artefacts >= {"report.html", "final_table.md", "predicted_settings.json", "config.resolved.yaml"}
    folder = Path(client(run).download_artifacts(one.info.run_id, "", str(run.folder)))
    predicted = json.loads((folder / "predicted_settings.json").read_text())
    assert list(predicted) == ["apples", "birds", "cars"]
    assert not Path("mlruns").exists()


def test_a_run_that_goes_on_writes_nothing_twice(start: StartStudy) -> None:
    with pytest.raises(BaseException, match=r"^$") as caught:
        start("[mlflow]", until=3)
    assert type(caught.value).__name__ == "Stop"
    for _ in range(2):
        run, warnings = start("[mlflow]")
        assert warnings == []
        assert [step for step, _ in history(run, "search/score/apples")] == [1, 2, 3, 4]
        assert len(history(run, "final/policy toy/apples")) == 1


def test_another_version_begins_anew(start: StartStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = start("[mlflow]")
    (old,) = runs_of(run)
    provenance = run.provenance()
    monkeypatch.setattr(Run, "provenance", lambda self: {**provenance, "task2sim": "0.0.1"})
    start("[mlflow]")
    (new,) = runs_of(run)
    assert new.info.run_id != old.info.run_id
    assert len(history(run, "search/score/apples")) == 4


def test_uri_and_experiment_can_be_named(start: StartStudy, database: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.db").write_bytes(database.read_bytes())
    run, warnings = start(f"[{{type: mlflow, uri: 'sqlite:///{tmp_path}/elsewhere.db', experiment: birds}}]")
    assert warnings == []
    other = ours._client(f"sqlite:///{tmp_path}/elsewhere.db")
    experiment = other.get_experiment_by_name("birds").experiment_id
    assert [one.info.run_name for one in other.search_runs([experiment])] == [run.folder.name]


def test_without_the_extra_the_observer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "sqlalchemy" else found(name, *more)
    )
    with pytest.raises(PluginError, match=r"needs 'sqlalchemy', .*; pip install 'task2sim\[tracking\]'"):
        registry.find_plugin("observers", "mlflow").load()(ours.MLflow.Config())  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["a+b", "..", "/x", "ä/b c", "a//b", "x:y", "."])
def test_mlflow_takes_every_name(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(ours._name(f"search/score/{name}"))


def test_different_names_stay_different() -> None:
    names = ["a+b", "a-b", "a b", "a:b", "a,b"]
    assert len({ours._name(name) for name in names}) == len(names)


def test_what_cannot_be_reached_is_warned_of_once(start: StartStudy) -> None:
    run, warnings = start("[{type: mlflow, uri: 'no-such-scheme://x'}]")
    assert final_table(run.results)
    assert len(warnings) == 1


def test_a_server_that_is_not_there_holds_nobody_up(start: StartStudy) -> None:
    begun = time.monotonic()
    run, warnings = start("[{type: mlflow, uri: 'http://127.0.0.1:9'}]")
    assert final_table(run.results)
    assert len(warnings) == 1
    assert time.monotonic() - begun < 60
