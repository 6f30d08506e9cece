from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from task2sim import Task2SimError
from task2sim.config import load_study
from task2sim.difference import ABSENT, NOTHING, UNKNOWN, Side, compare, differences, shown
from task2sim.learned import CONFIG
from task2sim.run import PROVENANCE, Run
from task2sim.store import Store
from task2sim.study import run_study

BASE = {
    "name": "x",
    "seed": 1,
    "tasks": {"sources": [{"type": "toy", "tasks": ["a"], "images": None}], "seen": ["a"]},
    "simulator": {"type": "studio", "resolution": 64, "meshes": None},
    "executor": {"type": "local", "workers": 1},
    "images": 20,
}


def changed(**over: object) -> dict[str, tuple[object, object, str]]:
    return {d.key: (d.first, d.second, d.changes) for d in differences(BASE, {**BASE, **over})}


def test_the_same_has_no_differences() -> None:
    assert differences(BASE, yaml.safe_load(yaml.safe_dump(BASE))) == []


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"name": "y"}, {"name": ("x", "y", NOTHING)}),
        ({"seed": 2}, {"seed": (1, 2, "every number")}),
        ({"images": 30}, {"images": (20, 30, "datasets")}),
        ({"executor": {"type": "local", "workers": 2}}, {"executor.workers": (1, 2, NOTHING)}),
        (
            {"simulator": {"type": "studio", "resolution": 64, "meshes": "m"}},
            {"simulator.meshes": (None, "m", NOTHING)},
        ),
        (
            {"simulator": {"type": "studio", "resolution": 96, "meshes": None}},
            {"simulator.resolution": (64, 96, "datasets")},
        ),
        (
            {"simulator": {"type": "threedworld", "resolution": 64, "timeout": 60}},
            {
                "simulator.type": ("studio", "threedworld", "datasets"),
                "simulator.meshes": (None, ABSENT, NOTHING),
                "simulator.timeout": (ABSENT, 60, NOTHING),
            },
        ),
        (
            {"simulator": {"type": "gone", "resolution": 64, "meshes": None, "fog": 1}},
            {"simulator.type": ("studio", "gone", "datasets"), "simulator.fog": (ABSENT, 1, UNKNOWN)},
        ),
        (
            {
                "tasks": {
                    "sources": [{"type": "toy", "tasks": ["a", "b"], "images": "f"}, {"type": "toy"}],
                    "seen": ["a"],
                }
            },
            {
                "tasks.sources.0.tasks": (["a"], ["a", "b"], "the tasks"),
                "tasks.sources.0.images": (None, "f", NOTHING),
                "tasks.sources.1.type": (ABSENT, "toy", "the tasks"),
            },
        ),
        ({"continues": "runs/x"}, {"continues": (ABSENT, "runs/x", "the search")}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_differs_and_what_it_changes(over: dict[str, object], expected: dict[str, object]) -> None:
    assert changed(**over) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        ("", "''"),
        ("a b", "a b"),
        (["a", 1], "[a, 1]"),
        ({}, "{}"),
    ],
)
def test_values_are_shown_as_a_file_has_them(value: object, text: str) -> None:
    assert shown(value) == text


def go(study: Path, *overrides: str) -> Run:
    return run_study(load_study(str(study), overrides), study.parent / "runs", Store(study.parent / "store"))


def test_two_runs(study: Path) -> None:
    first = go(study)
    second = go(study, "simulator.fault=$${x}", "seed=5", "policy=random")
    found = compare(Side.open(str(first.folder)), Side.open(str(second.folder)))
    assert {row["key"]: row["second"] for row in found["keys"]} == {
        "seed": 5,
        "policy.type": "random",
        "simulator.fault": "${x}",
    }
    assert found["seeds"] == [3, 5]
    assert set(found["versions"]) == {"policies/toy", "policies/random"}
    assert found["tasks"] == {}
    rows = {(row["method"], row["task"]): row for row in found["results"]}
    assert set(rows) >= {("policy", "apples"), ("policy", "mean unseen"), ("untrained backbone", "cars")}
    assert rows["policy", "apples"]["pretrainings"] == [2, 2]
    assert rows["policy", "apples"]["scores"][0] != rows["policy", "apples"]["scores"][1]


def test_a_run_and_the_study_it_was_made_from(study: Path) -> None:
    run = go(study)
    found = compare(Side.open(str(run.folder)), Side.open(str(study)))
    assert (found["keys"], found["versions"], found["results"]) == ([], {}, [])


def test_other_images_and_other_versions_are_seen(study: Path, tmp_path: Path) -> None:
    first = go(study)
    (tmp_path / "salt").write_text("salt")
    second = go(study, f"tasks.sources=[{{type: toy, images: {tmp_path / 'salt'}}}]")
    provenance = (second.folder / PROVENANCE).read_text()
    (second.folder / PROVENANCE).write_text(
        provenance.replace(f'"task2sim": "{first.provenance()["task2sim"]}"', '"task2sim": "9"')
    )
    found = compare(Side.open(str(first.folder)), Side.open(str(second.folder)))
    assert set(found["tasks"]) == {"birds", "cars"} | set(found["tasks"])
    assert [row["changes"] for row in found["keys"]] == [NOTHING]
    assert found["versions"]["task2sim"][1] == "9"


def test_a_run_whose_plugin_is_gone_can_still_be_compared(study: Path, tmp_path: Path) -> None:
    run = go(study)
    old = tmp_path / "old"
    shutil.copytree(run.folder, old)
    (old / CONFIG).write_text(
        (old / CONFIG).read_text().replace("evaluator:\n  type: toy", "evaluator:\n  type: gone")
    )
    found = compare(Side.open(str(old)), Side.open(str(run.folder)))
    assert [(row["key"], row["changes"]) for row in found["keys"]] == [("evaluator.type", "scores")]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Task2SimError, match=r"this is no run folder: config.resolved.yaml is missing; name a folder"):
        Side.open(str(tmp_path))
    with pytest.raises(Task2SimError, match="there is no such study file"):
        Side.open(str(tmp_path / "nowhere"))
    (tmp_path / CONFIG).write_text("[]")
    with pytest.raises(Task2SimError, match=r"config.resolved.yaml is broken"):
        Side.open(str(tmp_path))
