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

MISTAKES = [
    ("simulatr: toy\n", "study.yaml:7:1: simulatr: unknown key; did you mean 'simulator'?"),
    ("zebra: 1\n", "study.yaml:7:1: zebra: unknown key; known keys are name, seed, tasks"),
    ("images: many\n", "study.yaml:7:1: images: input should be a valid integer"),
    ("images: 0\n", "study.yaml:7:1: images: input should be greater than or equal to 2"),
    ("seed: -1\n", "study.yaml:7:1: seed: input should be greater than or equal to 0"),
    ("pretrainings: -1\n", "study.yaml:7:1: pretrainings: input should be greater than or equal to 0"),
    ("pretrainings: 0\n", "study.yaml:7:1: pretrainings: without a search a study must continue another"),
    ("rewards: {type: toy, sizes: 1}\n", "study.yaml:7:22: rewards.sizes: unknown key; did you mean 'size'?"),
    ("rewards: toi\n", "study.yaml:7:1: rewards: there is no reward table 'toi'; did you mean 'toy'?"),
    ("rewards: toy\n", "study.yaml:3:1: embedder: the reward table takes the place of this key; leave it out"),
    ("comparison: {sedes: 1}\n", "study.yaml:7:14: comparison.sedes: unknown key; did you mean 'seeds'?"),
    ("comparison: {seeds: 0}\n", "study.yaml:7:14: comparison.seeds: input should be greater than or equal to 1"),
    ("comparison: 3\n", "study.yaml:7:1: comparison: input should be a valid dictionary"),
    (
        "executor: {type: locl}\n",
        "study.yaml:7:1: executor: there is no executor 'locl'; did you mean 'local'?",
    ),
    ("executor: {type: local, workers: -2}\n", "study.yaml:7:25: executor.workers"),
    (
        "executor: {type: local, wrokers: 2}\n",
        "study.yaml:7:25: executor.wrokers: unknown key; did you mean 'workers'?",
    ),
    ("executor: 7\n", "study.yaml:7:1: executor: write the name of a plugin, or a mapping with 'type'"),
    ("executor: {workers: 7}\n", "study.yaml:7:1: executor: write the name of a plugin, or a mapping with 'type'"),
    ("name: y\n", "study.yaml:7:1: key 'name' stands here for the second time; remove one"),
    ("5: y\n", "study.yaml:7:1: key 5 is not a text; put it in quotes"),
    ("images: [1\n", "study.yaml:8:10: this is not YAML"),
    ("\tx: 1\n", "study.yaml:7:1: this is not YAML"),
    (
        "images: !!python/object:os.system x\n",
        "study.yaml:7:9: can't read this value: could not determine a constructor",
    ),
    ("images: &a [*a]\n", "study.yaml: this is nested too deeply, or contains itself"),
    ("images: 2020-99-99\n", "study.yaml:7:9: can't read this value: month must be in 1..12; put it in quotes"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line.strip() for line, _ in MISTAKES])
def test_a_mistake_is_shown_where_it_stands(tmp_path: Path, line: str, message: str) -> None:
    assert wrong(tmp_path / "study.yaml", BASE + line + REST).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a b\ntasks: {sources: [toy], seen: [x]}\n", "study.yaml:1:1: name: use letters"),
        ("tasks: {sources: [toy], seen: [x]}\n", "study.yaml: name: this key is missing"),
        ("name: x\ntasks: {sources: [toy]}\n", "study.yaml:2:1: tasks.seen: name one task or more to learn on"),
        ("name: x\ntasks: {sources: [], seen: [x]}\n", "study.yaml:2:9: tasks.sources: name one source or more"),
        (
            "name: x\ntasks:\n  sources: [{type: toy, task: 1}]\n  seen: [x]\n",
            "study.yaml:3:25: tasks.sources.0.task: unknown key; did you mean 'tasks'?",
        ),
        (
            "name: x\ntasks: {sources: [toy], seen: [a, b], unseen: [b]}\n",
            "study.yaml:2:48: tasks.unseen.0: task 'b' is named twice",
        ),
        (
            "name: x\ntasks: {sources: [toy], seen: []}\n",
            "study.yaml:2:25: tasks.seen: name one task or more to learn",
        ),
        ("", "study.yaml: a study file is a mapping of keys to values"),
        ("- 1\n", "study.yaml: a study file is a mapping of keys to values"),
    ],
)
def test_mistakes_in_the_frame(tmp_path: Path, text: str, message: str) -> None:
    rest = "embedder: toy\npolicy: toy\nsimulator: toy\ntrainer: toy\nevaluator: toy\nobservers: []\n"
    assert wrong(tmp_path / "study.yaml", text + rest if text.startswith(("name", "tasks")) else text).startswith(
        message
    )


def test_all_mistakes_are_listed(tmp_path: Path) -> None:
    lines = wrong(tmp_path / "study.yaml", BASE + REST + "imges: 3\ncomparison: {seeds: x, random: y}\n")
    assert lines.count("\n") == 0  # unknown keys come first: what they were meant to set may be missing
    lines = wrong(tmp_path / "study.yaml", BASE + REST + "images: x\ncomparison: {seeds: x, random: y}\n")
    assert lines.count("\n") == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("simulator", "--set simulator: an override is written key.key=value"),
        ("=3", "--set =3: an override is written key.key=value"),
        ("simulator.resolution=9999", "--set simulator.resolution=9999: simulator.resolution: input should be less"),
        ("simulator.resolutoin=9", "--set simulator.resolutoin=9: simulator.resolutoin: unknown key; did you mean"),
        ("images.x=9", "--set images.x=9: images has no keys"),
        ("tasks.sources.4=toy", "--set tasks.sources.4=toy: '4' is no position in a list of 1"),
        ("images=[1", "--set images=[1: the value is not YAML"),
    ],
)
def test_mistakes_in_overrides(study: Path, override: str, message: str) -> None:
    assert wrong(study, study.read_text(), override).startswith(message)


def test_a_missing_study_is_named() -> None:
    with pytest.raises(ConfigError, match="quickstrat: there is no such study file; did you mean 'quickstart'"):
        load_study("quickstrat")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="this is not YAML"):
        load_study(str(path))
