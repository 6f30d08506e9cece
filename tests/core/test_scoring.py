"""Studies on a table of known scores, studies that continue others, and scoring a run once more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from task2sim import ConfigError, PluginError, StoreError, Task2SimError, TaskError
from task2sim.config import load_study
from task2sim.learned import Learned
from task2sim.run import Run
from task2sim.scoring import score_run
from task2sim.store import Store
from task2sim.study import check_study, run_folder, run_study
from task2sim.summary import final_table


def go(study: Path, *overrides: str) -> Run:
    return run_study(load_study(str(study), overrides), study.parent / "runs", Store(study.parent / "store"))


def test_a_table_takes_the_place_of_rendering(table_study: Path) -> None:
    run = go(table_study)
    rows = {row.method: row for row in final_table(run.results)}
    methods = ["policy toy", "best single setting", "everything varied", "random settings", "oracle"]
    assert list(rows) == methods
    assert {task: cell.mean for task, cell in rows["oracle"].tasks.items()} == {"apples": 1, "birds": 1, "cars": 1}
    assert rows["everything varied"].tasks["apples"].mean == pytest.approx(0.4)
    assert rows["everything varied"].tasks["apples"].count == 1
    trials = run.results.query("SELECT phase, split, dataset, backbone, images FROM trials")
    assert [t["split"] for t in trials if t["phase"] == "search"] == ["val"] * 4
    assert {(t["dataset"], t["backbone"], t["images"]) for t in trials} == {("", "", 0)}
    assert run.results.fact("rewards") == "toy"
    assert run.results.fact("simulator") == ""
    assert not (run.folder / "backbones").exists()


def test_a_table_study_runs_again_from_its_resolved_config(table_study: Path) -> None:
    first = go(table_study)
    text = (first.folder / "config.resolved.yaml").read_text()
    assert not {"embedder", "simulator", "trainer", "evaluator", "images"} & set(yaml.safe_load(text))
    table_study.write_text(text)
    second = go(table_study)
    assert second.folder == first.folder
    assert str(final_table(second.results)) == str(final_table(first.results))  # NaN differs from itself


def test_settings_a_table_lacks_are_not_tried(table_study: Path) -> None:
    table_study.write_text(table_study.read_text().replace("rewards: toy", "rewards: {type: toy, size: 7}"))
    run = go(table_study)
    methods = [row.method for row in final_table(run.results)]
    assert "everything varied" not in methods  # it is not among the first seven
    assert Learned.open(run.folder).space.size == 7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[cars]", "[cats]", r"table.yaml:5:12: the reward table has no task 'cats'; did you mean 'cars'\?"),
        ("rewards: toy", "rewards: {type: toy, fault: cars}", "embeddings.npz: task 'cars' has no embedding"),
        ("seen: [a", "sources: [toy]\n  seen: [a", "tasks.sources: the tasks come from the reward table"),
        ("policy: toy", "policy: toy\ncomparison: {seeds: 2}", "comparison.seeds: a reward table has one score"),
        ("policy: toy", "policy: toy\nimages: 20", "images: the reward table takes the place of this key"),
        ("rewards: toy", "rewards: {type: toy, fault: nan}", "gave Score.*nan.* as the score of task 'apples'"),
    ],
)
def test_what_does_not_fit_a_table(table_study: Path, old: str, new: str, message: str) -> None:
    table_study.write_text(table_study.read_text().replace(old, new))
    with pytest.raises(Task2SimError, match=message):
        go(table_study)


def test_a_table_study_can_be_validated(table_study: Path, task2sim: Callable[..., object]) -> None:
    done = task2sim("validate", table_study)
    assert "2 seen and 1 unseen tasks; 256 settings; parameters: object_rotation" in done.stdout  # type: ignore[attr-defined]


def test_another_table_is_another_run(table_study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import toys

    from task2sim import choice

    first = run_folder(load_study(str(table_study)), tmp_path)
    monkeypatch.setattr(toys.Table, "fingerprint", lambda self: "other numbers")
    choice._fingerprint.cache_clear()
    assert run_folder(load_study(str(table_study)), tmp_path) != first
    choice._fingerprint.cache_clear()


# --- continuing ---


def test_a_study_goes_on_where_another_ended(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = go(study)
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    second = go(study, f"continues={first.folder}", "tasks.seen=[apples, birds, cars]", "tasks.unseen=[]")
    assert second.folder != first.folder
    assert second.results.fact("continues") == str(first.folder)
    # The embeddings are comparable: the probe is the first run's.
    assert Store.key(second.folder / "probe") == Store.key(first.folder / "probe")
    known = [setting for setting, _ in Learned.open(first.folder).state.data["scores"]]
    assert [setting for setting, _ in Learned.open(second.folder).state.data["scores"]][:4] == known


def test_without_a_search_a_learned_policy_is_applied(study: Path) -> None:
    first = go(study)
    applied = go(
        study,
        f"continues={first.folder}",
        "pretrainings=0",
        "tasks.seen=[]",
        "tasks.unseen=[cars]",
        "comparison.random=0",
    )
    rows = final_table(applied.results)
    assert [row.method for row in rows] == ["policy toy", "everything varied", "untrained backbone"]
    assert set(rows[0].groups) == {"unseen"}
    setting = "SELECT setting FROM predictions WHERE task = 'cars'"
    assert applied.results.query(setting) == first.results.query(setting)


def test_only_what_fits_is_continued(study: Path, table_study: Path, tmp_path: Path) -> None:
    first = go(study)

    def wrong(*overrides: str, source: Path = study) -> str:
        with pytest.raises(Task2SimError) as caught:
            check_study(load_study(str(source), [f"continues={first.folder}", *overrides]))
        return str(caught.value)

    assert "this is no run folder" in wrong(f"continues={tmp_path}")
    assert "--set policy=random: the run to continue has policy 'toy', not 'random'; write policy: toy" in wrong(
        "policy=random"
    )
    assert "embeds tasks in another way; write embedder: {'type': 'toy', 'probe': True, 'length': 4}" in wrong(
        "embedder.length=5"
    )
    shutil.rmtree(first.folder / "probe")
    assert "the probe network is missing" in wrong()


# --- scoring once more ---


def test_a_run_is_scored_on_all_its_tasks(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = go(study)
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    trials = list(score_run(run, "val"))
    assert [set(trial.scores) for trial in trials] == [{"apples", "birds", "cars"}] * 4
    # Nothing is rendered or trained, and the scores of the search are the search's.
    assert {line.split()[0] for line in log.read_text().splitlines()} == {"score"}
    known = run.results.query("SELECT setting, task, value FROM scores WHERE phase = 'search'")
    again = {(t.setting.key, task): s.value for t in trials if t.setting for task, s in t.scores.items()}
    assert all(again[row["setting"], row["task"]] == row["value"] for row in known)
    with pytest.raises(StoreError, match="the store has no images of task"):
        list(score_run(Run.open(run.folder, Store(tmp_path / "other")), "val"))


def test_a_table_study_is_scored_from_its_table(table_study: Path) -> None:
    trials = list(score_run(go(table_study), "test"))
    assert [set(trial.scores) for trial in trials] == [{"apples", "birds", "cars"}] * 4


def test_errors_are_of_their_kinds(table_study: Path) -> None:
    table_study.write_text(table_study.read_text().replace("[cars]", "[cats]"))
    with pytest.raises(TaskError):
        go(table_study)
    table_study.write_text(table_study.read_text().replace("[cats]", "[]") + "images: 3\n")
    with pytest.raises(ConfigError):
        go(table_study)
    table_study.write_text(
        table_study.read_text().replace("images: 3\n", "").replace("rewards: toy", "rewards: {type: toy, fault: nan}")
    )
    with pytest.raises(PluginError):
        go(table_study)
