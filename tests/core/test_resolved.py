"""config.resolved.yaml is complete, and runs again to the same trials without computing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim.choice import Chosen
from task2sim.config import load_study
from task2sim.interpolation import interpolate
from task2sim.learned import CONFIG
from task2sim.registry import installed_plugins
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study
from task2sim.study_file import StudyConfig

KEYS = "SELECT phase, setting, replicate, dataset, backbone FROM trials ORDER BY position"


def go(path: Path, root: Path, *overrides: str, runs: str = "runs") -> Run:
    return run_study(load_study(str(path), overrides), root / runs, Store(root / "store"))


def test_it_runs_again_to_the_same_trial_keys(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    monkeypatch.setenv("ALSO", "birds")
    top = tmp_path / "top.yaml"
    top.write_text(
        "extends: study.yaml\nname: again-${seed}\nsimulator: {fault: '$${x}'}\n"
        "tasks: {sources: [{type: toy, tasks: [apples, '${env:ALSO}', cars]}]}\n"
    )
    first = go(top, tmp_path, "embedder.length=5", "seed=4")
    resolved = first.folder / CONFIG
    assert "extends" not in resolved.read_text()
    monkeypatch.delenv("ALSO")
    top.unlink()
    study.unlink()
    log.write_text("")
    again = go(resolved, tmp_path, runs="elsewhere")
    assert log.read_text() == ""
    assert again.folder.name == first.folder.name
    assert again.results.query(KEYS) == first.results.query(KEYS)
    assert (again.folder / CONFIG).read_bytes() == resolved.read_bytes()
    assert again.study.simulator.config.fault == "${x}"


def test_it_has_every_key_of_the_study_and_of_its_plugins(study: Path, tmp_path: Path) -> None:
    run = go(study, tmp_path, "pretrainings=1", "comparison.random=0", "comparison.seeds=1")
    data: dict[str, Any] = yaml.safe_load((run.folder / CONFIG).read_text())
    assert set(data) == set(StudyConfig.model_fields) - {"rewards", "continues"}
    assert data["comparison"] == {"seeds": 1, "random": 0}
    for key in ("embedder", "policy", "simulator", "trainer", "evaluator", "executor"):
        assert set(data[key]) == {"type", *type(getattr(run.study, key).config).model_fields}
    assert set(data["tasks"]["sources"][0]) == {"type", "tasks", "images"}


def test_a_study_on_a_table_runs_again_too(table_study: Path, tmp_path: Path) -> None:
    first = go(table_study, tmp_path)
    again = go(first.folder / CONFIG, tmp_path, runs="elsewhere")
    assert again.folder.name == first.folder.name
    assert again.results.query(KEYS) == first.results.query(KEYS)


def test_every_plugin_with_its_defaults_comes_back_with_the_same_key() -> None:
    tried = 0
    for entry in installed_plugins():
        if any(field.is_required() for field in entry.load().Config.model_fields.values()):
            continue
        chosen = Chosen.parse(entry.kind, entry.name)
        written = yaml.safe_load(yaml.safe_dump(chosen.dump()))
        again = Chosen.parse(entry.kind, interpolate(written, {}, "", 0))
        assert again == chosen
        assert set(written) == {"type", *type(chosen.config).model_fields}
        tried += 1
    assert tried > 15
