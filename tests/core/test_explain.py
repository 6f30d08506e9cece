from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from task2sim.config import load_study
from task2sim.explain import Amount, Explanation, explain_study, part_changes
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study


def explain(study: Path, *overrides: str) -> Explanation:
    return explain_study(load_study(str(study), overrides), Store(study.parent / "store"))


def go(study: Path, *overrides: str) -> Run:
    return run_study(load_study(str(study), overrides), study.parent / "runs", Store(study.parent / "store"))


def counts(run: Run) -> dict[str, int]:
    """What a run took of each kind, by its own record."""
    (row,) = run.results.query(
        "SELECT COUNT(DISTINCT dataset) AS renders, COUNT(DISTINCT backbone) AS pretrainings FROM trials"
        " WHERE dataset != ''"
    )
    (scores,) = run.results.query("SELECT COUNT(*) AS n FROM scores")
    return {"renders": row["renders"], "pre-trainings": row["pretrainings"], "scores": scores["n"]}


def test_an_empty_store(study: Path) -> None:
    found = explain(study)
    # The toy policy proposes whatever it is told, and predicts what was best.
    assert found.stages["search"] == "policy toy: at most 4 settings; all are known"
    assert found.amounts["embeddings"] == Amount(known=3, stored=0, further=0)
    # 1 probe + 4 searched + 2 everything varied + 2 random, of which none is the same; then 3 predicted and the best.
    assert found.amounts["pre-trainings"] == Amount(known=9, stored=0, further=8)
    assert found.amounts["renders"] == found.amounts["pre-trainings"]
    assert found.reasons["renders"] == ["the store has no datasets yet"]


def test_it_computes_nothing(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv("TOY_LOG", str(log))
    explain(study)
    assert log.read_text() == ""


def test_what_is_known_and_further_is_no_less_than_the_run_takes(study: Path) -> None:
    before = explain(study)
    run = go(study)
    for name, count in counts(run).items():
        assert before.amounts[name].known <= count <= before.amounts[name].known + before.amounts[name].further


def test_a_finished_study_has_nothing_to_do(study: Path) -> None:
    run = go(study)
    found = explain(study)
    assert {name: amount.to_do for name, amount in found.amounts.items()} == dict.fromkeys(found.amounts, 0)
    assert {name: amount.further for name, amount in found.amounts.items()} == dict.fromkeys(found.amounts, 0)
    assert {name: found.amounts[name].known for name in counts(run)} == counts(run)
    assert found.reasons == {}
    assert found.stages["compare"].endswith(", and all predictions")


def test_a_dataset_is_not_needed_where_its_network_is(study: Path, tmp_path: Path) -> None:
    go(study)
    shutil.rmtree(tmp_path / "store" / "datasets")
    assert explain(study).amounts["renders"].to_do == 0
    shutil.rmtree(tmp_path / "store" / "backbones")
    found = explain(study, "evaluator=knn")
    assert found.amounts["renders"].to_do == found.amounts["renders"].known > 0
    assert found.reasons["renders"] == ["the store has no datasets yet"]


@pytest.mark.parametrize(
    ("overrides", "to_do", "reasons"),
    [
        (
            ["simulator.resolution=5"],
            {"renders": 9, "pre-trainings": 9, "embeddings": 3, "scores": 20},
            {
                "renders": ["simulator.resolution: 4 -> 5"],
                "pre-trainings": ["9 of datasets that are new"],
                "embeddings": ["3 by a probe that is new"],
                "scores": ["20 of networks that are new"],
            },
        ),
        (
            ["images=21", "simulator.resolution=5"],
            {"renders": 9, "pre-trainings": 9, "embeddings": 3, "scores": 20},
            {"renders": ["simulator.resolution: 4 -> 5", "images: 20 -> 21"]},
        ),
        (
            ["trainer.sleep=0.001"],
            {"renders": 0, "pre-trainings": 9, "embeddings": 3, "scores": 26},
            {"pre-trainings": ["trainer.sleep: 0.0 -> 0.001"], "scores": ["26 of networks that are new"]},
        ),
        (
            ["embedder.length=5"],
            {"renders": 0, "pre-trainings": 0, "embeddings": 3, "scores": 0},
            {"embeddings": ["embedder.length: 4 -> 5"]},
        ),
        (
            ["evaluator=knn"],
            {"renders": 0, "pre-trainings": 0, "embeddings": 0, "scores": 26},
            {"scores": ["evaluator: TASK2SIM_PLUGINS/toy -> task2sim/knn"]},
        ),
        (
            ["seed=4"],
            {"renders": 9, "pre-trainings": 9, "embeddings": 3, "scores": 26},
            {"renders": ["9 with seeds that were not used before"]},
        ),
        (
            ["pretrainings=6"],
            {"renders": 2, "pre-trainings": 2, "embeddings": 0, "scores": 4},
            {
                "renders": ["2 with settings that were not tried before"],
                "pre-trainings": ["2 of datasets that are new"],
                "scores": ["4 of networks that are new"],
            },
        ),
        (["executor.workers=2", "name=other"], {"renders": 0, "pre-trainings": 0, "embeddings": 0, "scores": 0}, {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_which_part_of_a_key_changed(
    study: Path, overrides: list[str], to_do: dict[str, int], reasons: dict[str, list[str]]
) -> None:
    go(study)
    found = explain(study, *overrides)
    assert {name: amount.to_do for name, amount in found.amounts.items()} == to_do
    assert {name: found.reasons[name] for name in reasons} == reasons
    assert set(found.reasons) == {name for name, count in to_do.items() if count}


def test_other_images_of_a_task(study: Path, tmp_path: Path) -> None:
    go(study)
    (tmp_path / "salt").write_text("salt")
    found = explain(study, f"tasks.sources=[{{type: toy, images: {tmp_path / 'salt'}}}]")
    assert set(found.reasons) == {"embeddings", "scores"}
    assert "1 of task birds, whose images are others now" in found.reasons["embeddings"]


def test_a_policy_that_learns_is_known_as_far_as_it_does_not(study: Path) -> None:
    found = explain(study, "policy={type: task2sim, initial: 3, replay: 1}", "pretrainings=8")
    assert found.stages["search"] in {
        f"policy task2sim: at most 8 settings; the first {n} are known, {8 - n} depend on scores to come"
        for n in (2, 3)
    }
    assert found.amounts["scores"].further > 0


def test_a_policy_that_does_not_learn_is_known_to_the_end(study: Path) -> None:
    found = explain(study, "policy=random", "comparison.random=0")
    assert found.stages["search"] == "policy random: at most 4 settings; it takes 2, and these are known"
    assert found.stages["compare"].endswith(", and all predictions")
    assert found.amounts["pre-trainings"].further == 2  # the best single setting, twice


def test_a_study_on_a_table_renders_nothing(table_study: Path) -> None:
    found = explain(table_study)
    assert found.amounts == {}
    assert found.stages["search"] == "policy toy: at most 4 settings looked up in toy"


def test_a_study_that_continues(study: Path) -> None:
    run = go(study)
    found = explain(study, "pretrainings=0", f"continues={run.folder}", "name=later")
    assert found.stages["search"] == "none: the policy goes by what it learned"
    assert found.amounts["embeddings"].to_do == 0
    assert found.amounts["pre-trainings"].further == 0


def key(**over: object) -> dict[str, object]:
    plugin = {"plugin": "mine/fog", "version": "0.2.0", "config": {"a": {"b": 1}}, "fingerprint": "- torch 2.4 x 1.0"}
    return {"simulator": {"core": "0.2.0", **plugin, **over}, "images": 20}


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        (key(), []),
        (key(version="0.3.0"), ["mine 0.2.0 -> 0.3.0"]),
        (key(core="0.3.0"), ["task2sim 0.2.0 -> 0.3.0"]),
        (key(config={"a": {"b": 2}}), ["simulator.a.b: 1 -> 2"]),
        (key(config={"a": {"b": 1}, "c": None}), ["simulator.c: absent -> null"]),
        (key(fingerprint="- torch 2.5 x 1.0"), ["torch 2.4 -> 2.5"]),
        (key(fingerprint="abc torch 2.4 x 1.0"), ["simulator: other files or libraries (its fingerprint changed)"]),
        (key(plugin="mine/rain", config={}), ["simulator: mine/fog -> mine/rain"]),
        ({**key(), "images": 30}, ["images: 20 -> 30"]),
    ],
)
def test_what_changed_in_words(new: dict[str, object], lines: list[str]) -> None:
    assert part_changes(key(), new) == lines
