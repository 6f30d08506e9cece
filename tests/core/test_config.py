from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from task2sim import ConfigError
from task2sim.config import load_study


def wrong(path: Path, text: str, *overrides: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_study(str(path), overrides)
    return str(caught.value).replace(str(path), "study.yaml")


def test_a_study_is_complete_and_says_where_its_keys_stand(study: Path) -> None:
    file = load_study(str(study))
    assert file.study.simulator.name == "toy"
    assert file.study.simulator.config.sleep == 0.0
    assert file.place("tasks", "seen", 1) == f"{study}:5:18"
    assert file.place("simulator", "sleep") == f"{study}:9:1"
    assert file.place("nowhere") == str(study)


def test_the_resolved_study_is_the_same_study(study: Path, tmp_path: Path) -> None:
    first = load_study(str(study)).study
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(first.model_dump(mode="json")))
    assert load_study(str(again)).study == first


def test_an_override_reaches_a_plugin_that_the_study_does_not_mention(study: Path) -> None:
    study.write_text("".join(line for line in study.open() if not line.startswith("executor")))
    assert load_study(str(study), ["executor.workers=3"]).study.executor.config.workers == 3


def test_overrides_reach_every_key(study: Path) -> None:
    file = load_study(
        str(study),
        [
            "simulator.resolution=8",
            "trainer.sleep=0.5",
            "tasks.seen=[birds]",
            "tasks.sources.0.tasks=[birds, cars]",
            "comparison.random=0",
            "name=other",
        ],
    )
    assert file.study.simulator.config.resolution == 8
    assert file.study.trainer.config.sleep == 0.5
    assert file.study.tasks.seen == ("birds",)
    assert file.study.tasks.sources[0].config.tasks == ("birds", "cars")
    assert file.study.comparison.seeds == 2
    assert file.place("simulator", "resolution") == "--set simulator.resolution=8"


BASE = "name: x\ntasks: {sources: [toy], seen: [apples]}\nembedder: toy\npolicy: toy\nsimulator: toy\ntrainer: toy\n"
REST = "evaluator: toy\nobservers: []\n"


def test_all_mistakes_are_listed(tmp_path: Path) -> None:
    lines = wrong(tmp_path / "study.yaml", BASE + REST + "imges: 3\ncomparison: {seeds: x, random: y}\n")
    assert lines.count("\n") == 0  # unknown keys come first: what they were meant to set may be missing
    lines = wrong(tmp_path / "study.yaml", BASE + REST + "images: x\ncomparison: {seeds: x, random: y}\n")
    assert lines.count("\n") == 2


def test_a_missing_study_is_named() -> None:
    with pytest.raises(ConfigError, match="quickstrat: there is no such study file; did you mean 'quickstart'"):
        load_study("quickstrat")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="this is not YAML"):
        load_study(str(path))
