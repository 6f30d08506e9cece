from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from task2sim import PluginError, StoreError, Task2SimError
from task2sim.config import load_study
from task2sim.learned import Learned
from task2sim.results import Results
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_folder, run_study
from task2sim.summary import Cell, final_table

TIMES = {"stages", "facts"}
NUMBERS = (
    "tasks",
    "parameters",
    "settings",
    "scores",
    "embeddings",
    "distances",
    "predictions",
    "probabilities",
    "comparison",
)


def go(study: Path, *overrides: str, store: str = "store", runs: str = "runs") -> Run:
    root = study.parent
    return run_study(load_study(str(study), overrides), root / runs, Store(root / store))


def numbers(results: Results) -> dict[str, object]:
    """Every number of a run but times and dates."""
    tables = {name: sorted(results.query(f"SELECT * FROM {name}"), key=repr) for name in NUMBERS}
    tables["trials"] = results.query(
        "SELECT phase, setting, replicate, round, position, split, dataset, backbone, images"
        " FROM trials ORDER BY position"
    )
    return tables


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOY_LOG", str(path))
    return path


def test_a_study_leaves_everything_it_should(study: Path, log: Path) -> None:
    run = go(study)
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.resolved.yaml", "provenance.json", "results.sqlite", "policy", "probe", "backbones"} <= names
    assert {path.name for path in (run.folder / "backbones").iterdir()} == {"apples", "birds", "cars"}
    trials = run.results.query("SELECT phase, COUNT(*) AS n FROM trials GROUP BY phase ORDER BY phase")
    counts = {row["phase"]: row["n"] for row in trials}
    assert counts["search"] == 4
    assert counts["probe"] == 1
    rows = final_table(run.results)
    assert [row.method for row in rows] == [
        "policy toy",
        "best single setting",
        "everything varied",
        "random settings",
        "untrained backbone",
    ]
    assert all(set(row.tasks) == {"apples", "birds", "cars"} for row in rows)
    assert all(set(row.groups) == {"seen", "unseen"} for row in rows)
    assert rows[0].tasks["cars"].count == 2
    provenance = run.provenance()
    assert provenance["plugins"]["simulators/toy"] == "TASK2SIM_PLUGINS development"
    assert set(provenance["tasks"]) == {"apples", "birds", "cars"}
    assert "torch" in provenance["libraries"]
    # The policy never sees test images, nor the unseen task; the comparison sees no validation images.
    splits = run.results.query("SELECT DISTINCT phase, split, task FROM scores ORDER BY 1, 2, 3")
    assert [tuple(row.values()) for row in splits] == [
        *[("comparison", "test", task) for task in ("apples", "birds", "cars")],
        *[("search", "val", task) for task in ("apples", "birds")],
    ]


def test_nothing_is_done_twice(study: Path, log: Path) -> None:
    go(study)
    marks = Counter(log.read_text().splitlines())
    assert marks
    assert set(marks.values()) == {1}
    pretrainings = [mark for mark in marks if mark.startswith("pretrain")]
    renders = [mark for mark in marks if mark.startswith("render")]
    assert len(pretrainings) == len(renders)
    log.write_text("")
    go(study)  # the same again
    go(study, runs="elsewhere")  # in another run folder
    go(study, "comparison.random=0")  # another study that shares the store
    assert log.read_text() == ""
    go(study, "evaluator.type=toy", "name=other", "embedder.length=5")
    assert {mark.split()[0] for mark in log.read_text().splitlines()} == {"embed"}


def test_the_simulators_that_rendered_are_closed(study: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_LIFE_LOG", str(log))
    monkeypatch.delenv("TOY_LOG")
    for workers in (1, 2):
        log.write_text("")
        go(study, f"executor.workers={workers}", store=f"store {workers}")
        marks = log.read_text().splitlines()
        opened = {mark.split(maxsplit=1)[1] for mark in marks if mark.startswith("open")}
        assert opened
        assert opened <= {mark.split(maxsplit=1)[1] for mark in marks if mark.startswith("close")}


def test_numbers_of_other_images_do_not_stay(study: Path, tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    salt.write_text("a")
    override = f"tasks.sources=[{{type: toy, images: {salt}}}]"
    run = go(study, override)
    first = numbers(run.results)
    # Other images may lead a policy to other settings; rows of the old ones would then be under keys of their own.
    (stale, *_) = run.results.query("SELECT * FROM scores WHERE phase = 'search'")
    run.results.put("scores", [{**stale, "setting": "stale"}])
    run.results.close()
    salt.write_text("b")
    second = numbers(go(study, override).results)
    assert second["scores"] != first["scores"]
    for table in ("trials", "scores", "comparison"):
        assert len(second[table]) == len(first[table])  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(study: Path) -> None:
    first, second = go(study), go(study, store="store 2", runs="runs 2")
    assert numbers(first.results) == numbers(second.results)
    other = go(study, "seed=4")
    assert numbers(other.results)["scores"] != numbers(first.results)["scores"]


def test_workers_change_nothing(study: Path) -> None:
    alone, together = go(study), go(study, "executor.workers=2", store="store 2")
    assert numbers(alone.results) == numbers(together.results)


def test_the_resolved_config_runs_to_the_same_trials(study: Path, log: Path) -> None:
    run = go(study)
    log.write_text("")
    again = go(run.folder / "config.resolved.yaml", store="../../store", runs="runs")
    assert log.read_text() == ""
    assert numbers(again.results) == numbers(run.results)
    assert again.folder.name == run.folder.name


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_at_any_moment_and_go_on(study: Path, tmp_path: Path, log: Path, workers: int) -> None:
    text = (
        study.read_text()
        .replace("images: 20", "images: 40")
        .replace("trainer: toy", "trainer: {type: toy, sleep: 0.03}")
    )
    study.write_text(text.replace("resolution: 4", "resolution: 4, sleep: 0.02"))
    whole = go(study, f"executor.workers={workers}", store="undisturbed", runs="undisturbed runs")
    log.write_text("")
    command = [sys.executable, "-m", "task2sim", "run", str(study), "--set", f"executor.workers={workers}"]
    command += ["--store", str(tmp_path / "store"), "--runs", str(tmp_path / "runs")]
    moments = random.Random(workers)
    kills = 0
    workers_alive: set[int] = set()
    for _ in range(60):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        marks = len(log.read_text().splitlines()) + moments.randint(2, 8)
        while process.poll() is None and len(log.read_text().splitlines()) < marks:
            time.sleep(0.005)
        time.sleep(moments.random() * 0.05)
        if process.poll() is None:
            workers_alive |= _children(process.pid)
            os.kill(process.pid, signal.SIGKILL)  # the study alone: its workers must notice by themselves
            kills += 1
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, errors
            break
    else:
        pytest.fail("the study never ended")
    assert kills >= 3
    (folder,) = (tmp_path / "runs").iterdir()
    assert numbers(Results(folder / "results.sqlite")) == numbers(whole.results)
    # A pre-training that had ended was not begun again. One that was cut off was: at most one a worker and kill.
    begun = Counter(mark for mark in log.read_text().splitlines() if mark.startswith("pretrain"))
    assert sum(begun.values()) - len(begun) <= kills * workers
    assert workers == 1 or workers_alive
    deadline = time.monotonic() + 10
    while any(map(_alive, workers_alive)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers_alive))


def _children(pid: int) -> set[int]:
    """Processes that this process started: spawned workers and whatever watches them."""
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_studies_share_a_store_at_the_same_time(study: Path, tmp_path: Path, log: Path) -> None:
    study.write_text(study.read_text().replace("trainer: toy", "trainer: {type: toy, sleep: 0.05}"))
    base = [sys.executable, "-m", "task2sim", "run", str(study), "--store", str(tmp_path / "store")]
    started = [
        subprocess.Popen([*base, "--runs", str(tmp_path / runs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for runs in ("first", "second")
    ]
    for process in started:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    first, second = (
        numbers(Results(next((tmp_path / runs).iterdir()) / "results.sqlite")) for runs in ("first", "second")
    )
    assert first == second
    begun = Counter(mark for mark in log.read_text().splitlines() if mark.startswith(("pretrain", "render")))
    assert set(begun.values()) == {1}


def test_the_same_study_twice_at_once_is_refused(study: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    folder = run_folder(load_study(str(study)), tmp_path / "runs")
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(StoreError, match="this study is running already"):
        go(study)


def test_an_observer_that_raises_stops_nothing(study: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    file = load_study(str(study), ["observers=[raising]"])
    run = run_study(file, tmp_path / "runs", Store(tmp_path / "store"), warn=lambda line, details: lines.append(line))
    assert len(final_table(run.results)) == 5
    assert len(lines) == 1
    assert "the observer fell over" in (run.folder / "warnings.log").read_text()


def test_an_observer_can_stop_the_search(study: Path) -> None:
    run = go(study, "observers=[stopper]")
    assert len(run.results.query("SELECT 1 FROM trials WHERE phase = 'search'")) == 2
    assert len(final_table(run.results)) == 5


def test_embedding_alone(study: Path, tmp_path: Path) -> None:
    run = run_study(load_study(str(study)), tmp_path / "runs", Store(tmp_path / "store"), until="embed")
    assert set(run.embeddings()) == {"apples", "birds", "cars"}
    assert len(run.results.query("SELECT 1 FROM distances")) == 9
    assert final_table(run.results) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tasks.seen=[aples]"], "--set tasks.seen=[aples]: there is no task 'aples'; did you mean 'apples'?"),
        (["tasks.sources=[toy, toy]"], "two sources have a task 'apples'"),
        (
            ["tasks.sources.0.tasks=[apples, copy]", "tasks.seen=[apples]", "tasks.unseen=[copy]"],
            "task 'copy' has the same images as 'apples'",
        ),
        (["tasks.sources.0.tasks=[tiny, birds]", "tasks.seen=[tiny]", "tasks.unseen=[]"], "fewer than 5 neighbours"),
        (["simulator.fault=raise"], "simulator 'toy' (TASK2SIM_PLUGINS development) raised RuntimeError"),
        (["simulator.fault=full"], "no space left on the disk"),
        (["observers=[misspelt]"], "task2sim_trial_ended"),
    ],
)
def test_what_goes_wrong_is_one_clear_line(study: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(Task2SimError) as caught:
        go(study, *overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_in_a_worker_is_the_same_error(study: Path) -> None:
    with pytest.raises(PluginError, match="the lens is broken") as caught:
        go(study, "simulator.fault=raise", "executor.workers=2")
    assert "toys.py:" in caught.value.place
    assert "RuntimeError" in caught.value.details


def test_a_policy_that_proposes_too_much_is_stopped(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toys

    original = toys.Policy.propose
    monkeypatch.setattr(toys.Policy, "propose", lambda self, tasks, n: original(self, tasks, n + 1))
    with pytest.raises(PluginError, match="proposed 3 new settings"):
        go(study)


def test_the_policy_comes_back(study: Path) -> None:
    run = go(study)
    learned = Learned.open(run.folder)
    policy, space = learned.policy(), learned.space
    assert len(space) == 8
    predicted = run.results.query("SELECT DISTINCT s.choices FROM predictions p JOIN settings s ON s.key = p.setting")
    assert len(predicted) == 1
    assert policy.predict(None).setting.as_dict() == yaml.safe_load(predicted[0]["choices"])  # type: ignore[arg-type]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="this is no run folder"):
        Run.open(tmp_path, Store(tmp_path / "store"))


def test_cells() -> None:
    assert Cell.of([0.5, 0.7]).percent() == "60.0 ± 14.1"
    assert Cell.of([0.5]).percent() == "50.0"


def test_results_close_while_somebody_reads_them(tmp_path: Path) -> None:
    import sqlite3

    from task2sim.results import Results

    results = Results(tmp_path / "results.sqlite")
    results.put("facts", [{"name": "study", "value": "one"}])
    reader = sqlite3.connect(tmp_path / "results.sqlite")
    rows = reader.execute("SELECT value FROM facts")
    results.close()
    assert rows.fetchone() == ("one",)
    reader.close()
    assert Results(tmp_path / "results.sqlite").fact("study") == "one"
