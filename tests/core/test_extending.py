from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from task2sim import ConfigError
from task2sim.config import StudyFile, load_study
from task2sim.study import check_study

BASE = """\
name: base
seed: 5
tasks:
  sources: [toy]
  seen: [apples, birds]
  unseen: [cars]
embedder: toy
policy: toy
simulator:
  type: toy
  resolution: 8
  sleep: 0.5
trainer: toy
evaluator: toy
observers: []
images: 30
comparison: {seeds: 3, random: 1}
"""


def extend(folder: Path, text: str, *overrides: str, **files: str) -> StudyFile:
    """Load a study.yaml with that text beside a base.yaml and other files."""
    for name, content in {"base": BASE, "study": text, **files}.items():
        (folder / f"{name}.yaml").write_text(content)
    return load_study(str(folder / "study.yaml"), overrides)


def test_a_file_alone_is_what_it_extends(tmp_path: Path) -> None:
    file = extend(tmp_path, "extends: base.yaml\n")
    assert file.study == load_study(str(tmp_path / "base.yaml")).study
    assert check_study(file).tasks.keys() == {"apples", "birds", "cars"}


def test_mappings_are_merged_and_lists_replaced(tmp_path: Path) -> None:
    text = (
        "extends: base.yaml\ntasks: {seen: [cars], unseen: []}\nsimulator: {resolution: 16}\ncomparison: {seeds: 1}\n"
    )
    study = extend(tmp_path, text).study
    assert study.tasks.seen == ("cars",)
    assert len(study.tasks.sources) == 1
    assert (study.simulator.config.resolution, study.simulator.config.sleep) == (16, 0.5)
    assert (study.comparison.seeds, study.comparison.random) == (1, 1)
    assert study.seed == 5


def test_another_type_drops_the_old_plugins_keys(tmp_path: Path) -> None:
    study = extend(tmp_path, "extends: base.yaml\nsimulator: {type: studio, resolution: 32}\n").study
    assert (study.simulator.name, study.simulator.config.resolution) == ("studio", 32)
    study = extend(tmp_path, "extends: base.yaml\nsimulator: studio\n").study
    assert (study.simulator.name, study.simulator.config.resolution) == ("studio", 64)


def test_the_same_type_keeps_them_and_a_bare_name_does_not(tmp_path: Path) -> None:
    for reference in ("toy", "TASK2SIM_PLUGINS/toy"):
        study = extend(tmp_path, f"extends: base.yaml\nsimulator: {{type: {reference}, sleep: 0}}\n").study
        assert (study.simulator.config.resolution, study.simulator.config.sleep) == (8, 0)
    assert extend(tmp_path, "extends: base.yaml\nsimulator: toy\n").study.simulator.config.resolution == 4


def test_keys_may_be_added_to_a_bare_name(tmp_path: Path) -> None:
    file = extend(tmp_path, "extends: base.yaml\nembedder: {length: 7}\n")
    assert (file.study.embedder.name, file.study.embedder.config.length) == ("toy", 7)
    assert file.place("embedder", "length") == f"{tmp_path / 'study.yaml'}:2:12"
    assert file.place("embedder", "type") == f"{tmp_path / 'base.yaml'}:7:1"


def test_null_takes_an_inherited_key_away(tmp_path: Path) -> None:
    text = "extends: base.yaml\nimages: null\ncomparison: {seeds: null}\nobservers: null\n"
    study = extend(tmp_path, text).study
    assert (study.images, study.comparison.seeds, study.comparison.random) == (2000, 2, 1)
    assert [chosen.name for chosen in study.observers] == ["report"]
    keys = ("embedder", "simulator", "trainer", "evaluator", "images")
    text = "extends: base.yaml\nrewards: toy\ntasks: {sources: null}\ncomparison: {seeds: null}\n"
    study = extend(tmp_path, text + "".join(f"{key}: null\n" for key in keys)).study
    assert study.rewards is not None
    assert study.comparison.random == 1


def test_null_below_a_plugin_is_a_value(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"study.yaml:2:13: simulator.resolution: expected an integer, found nothing"
    ):
        extend(tmp_path, "extends: base.yaml\nsimulator: {resolution: null}\n")


def test_later_files_win_and_the_file_itself_last(tmp_path: Path) -> None:
    file = extend(
        tmp_path,
        "extends: [base.yaml, small.yaml, seeded.yaml]\nname: mine\n",
        small="images: 10\nseed: 6\nsimulator: {resolution: 2}\n",
        seeded="seed: 7\nname: seeded\n",
    )
    assert (file.study.images, file.study.seed, file.study.name) == (10, 7, "mine")
    assert file.study.simulator.config.resolution == 2
    places = {key: file.place(key).removeprefix(f"{tmp_path}/") for key in ("images", "seed", "name", "trainer")}
    assert places == {
        "images": "small.yaml:1:1",
        "seed": "seeded.yaml:1:1",
        "name": "study.yaml:2:1",
        "trainer": "base.yaml:13:1",
    }


def test_files_may_share_what_they_extend(tmp_path: Path) -> None:
    file = extend(
        tmp_path,
        "extends: [one.yaml, two.yaml]\n",
        one="extends: base.yaml\nimages: 10\n",
        two="extends: base.yaml\nseed: 9\n",
    )
    # What both have from the same file comes with the later of them.
    assert (file.study.images, file.study.seed) == (30, 9)


def test_paths_are_those_of_the_file_that_says_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text("extends: more/common.yaml\nseed: 8\n")
    (tmp_path / "shared" / "more").mkdir()
    (tmp_path / "shared" / "more" / "common.yaml").write_text(BASE)
    monkeypatch.setenv("SHARED", "shared")
    monkeypatch.chdir("/")
    assert extend(tmp_path, "extends: shared/base.yaml\n").study.seed == 8
    assert extend(tmp_path, "extends: ${env:SHARED}/base.yaml\n").study.seed == 8
    assert extend(tmp_path, f"extends: {tmp_path}/shared/base.yaml\n").study.seed == 8


def test_a_shipped_study_is_extended_by_its_name(tmp_path: Path) -> None:
    study = extend(
        tmp_path, "extends: quickstart\nname: mine\npolicy: surrogate\nsimulator: {resolution: 64}\n"
    ).study
    shipped = load_study("quickstart").study
    assert (study.policy.name, study.simulator.config.resolution) == ("surrogate", 64)
    assert study.simulator.config.categories == shipped.simulator.config.categories
    assert study.tasks == shipped.tasks


def test_overrides_come_after_what_is_extended(tmp_path: Path) -> None:
    file = extend(tmp_path, "extends: base.yaml\n", "simulator.resolution=3", "seed=1")
    assert (file.study.simulator.config.resolution, file.study.seed) == (3, 1)
    assert file.study.simulator.config.sleep == 0.5


def test_another_type_on_the_command_line_keeps_what_was_set_there(tmp_path: Path) -> None:
    for overrides in (
        ["simulator.type=studio", "simulator.resolution=32"],
        ["simulator.resolution=32", "simulator.type=studio"],
    ):
        study = extend(tmp_path, "extends: base.yaml\n", *overrides).study
        assert (study.simulator.name, study.simulator.config.resolution) == ("studio", 32)
    study = extend(tmp_path, "extends: base.yaml\n", "simulator.type=toy", "simulator.resolution=3").study
    assert study.simulator.config.sleep == 0.5


def test_what_is_merged_is_a_study_without_extends(tmp_path: Path) -> None:
    study = extend(tmp_path, "extends: base.yaml\nseed: 4\n").study
    assert "extends" not in study.model_dump(mode="json")
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    assert load_study(str(tmp_path / "again.yaml")).study == study
