"""What ablation files mean; and every message of wrong_ablations/mistakes.yaml is the one printed, to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import ConfigError, Task2SimError
from task2sim.ablation.cells import MANY_CELLS, Plan, check_size, count_rows, make_plan
from task2sim.ablation.file import load_ablation, write_ablation

TABLE: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "wrong_ablations" / "mistakes.yaml").read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, table_study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a base study in it."""
    monkeypatch.chdir(tmp_path)
    table_study.rename(tmp_path / "base.yaml")
    return tmp_path


def plan(text: str, *overrides: str) -> Plan:
    Path("ablation.yaml").write_text(f"name: x\n{text}" if "study:" in text else f"name: x\nstudy: base.yaml\n{text}")
    return make_plan(load_ablation(Path("ablation.yaml"), overrides))


def rows(text: str) -> list[str]:
    return [row.name for row in plan(text).rows]


def checked(path: Path) -> Plan:
    """What the command does before anything runs."""
    file = load_ablation(path)
    check_size(file)
    return make_plan(file)


@pytest.mark.parametrize("case", TABLE, ids=[case["mistake"].replace(" ", "-") for case in TABLE])
def test_a_mistake_has_its_message(case: dict[str, Any]) -> None:
    Path("ablation.yaml").write_text(case["file"])
    with pytest.raises(Task2SimError) as caught:
        checked(Path("ablation.yaml"))
    assert str(caught.value) == case["message"].rstrip("\n")


def test_the_table_is_long_and_without_repetition() -> None:
    assert len(TABLE) >= 60
    assert len({case["mistake"] for case in TABLE}) == len(TABLE)
    assert len({case["file"] for case in TABLE}) == len(TABLE)


def test_a_grid_has_all_combinations_and_runs_seed_by_seed() -> None:
    made = plan("vary: {policy: [toy, random], pretrainings: {few: 2, many: 4}}\nseeds: [7, 1]\n")
    assert [row.name for row in made.rows] == [
        "policy=toy, pretrainings=few",
        "policy=toy, pretrainings=many",
        "policy=random, pretrainings=few",
        "policy=random, pretrainings=many",
    ]
    assert [(cell.seed, cell.row.name) for cell in made.cells] == [
        (seed, row.name) for seed in (7, 1) for row in made.rows
    ]
    for cell in made.cells:
        study = cell.file.study
        assert study.seed == cell.seed
        assert study.policy.name == cell.row.levels["policy"]
        assert study.pretrainings == {"few": 2, "many": 4}[cell.row.levels["pretrainings"]]


def test_other_modes() -> None:
    vary = "vary: {policy: [random, fixed], pretrainings: [2, 3]}\n"
    assert rows(f"mode: zip\n{vary}") == ["policy=random, pretrainings=2", "policy=fixed, pretrainings=3"]
    assert rows(f"mode: one-at-a-time\n{vary}") == [
        "base",
        "policy=random",
        "policy=fixed",
        "pretrainings=2",
        "pretrainings=3",
    ]
    alone = plan(f"mode: one-at-a-time\n{vary}").cells
    assert [(cell.file.study.policy.name, cell.file.study.pretrainings) for cell in alone] == [
        ("toy", 4),
        ("random", 4),
        ("fixed", 4),
        ("toy", 2),
        ("toy", 3),
    ]
    assert rows("seeds: [1]\n") == rows("mode: zip\n") == ["base"]


def test_rows_are_left_out_by_label_or_by_value() -> None:
    vary = "vary: {policy: [toy, {type: random}], pretrainings: {few: 2, many: 4}}\n"
    assert rows(f"{vary}exclude: [{{policy: toy}}, {{pretrainings: 2}}]\n") == ["policy=random, pretrainings=many"]
    for entry in ("{policy: {type: random}, pretrainings: few}", "{policy: random, pretrainings: 2}"):
        assert "policy=random, pretrainings=few" not in rows(f"{vary}exclude: [{entry}]\n")
        assert len(rows(f"{vary}exclude: [{entry}]\n")) == 3


def test_labels() -> None:
    file = plan(
        "vary:\n"
        "  policy: [toy, fixed, {type: fixed, setting: {materials: 1}}]\n"
        "  comparison.random: [0, 1]\n"
        "  rewards.fault: ['', none]\n"
        "exclude: [{rewards.fault: none}]\n".replace("['', none]", "{nothing: '', none: none}")
    ).file
    labels = {factor.name: [level.label for level in factor.levels] for factor in file.config.factors}
    assert labels == {
        "policy": ["toy", "fixed", 'fixed setting={"materials": 1}'],
        "comparison.random": ["0", "1"],
        "rewards.fault": ["nothing", "none"],
    }


def test_another_plugin_drops_the_keys_of_the_old_one_as_set_does() -> None:
    base = "study: {extends: base.yaml, policy: {type: fixed, setting: {materials: 1}}}\n"
    dumps = [cell.file.study.policy.dump() for cell in plan(f"{base}vary: {{policy: [toy, random]}}\n").cells]
    assert dumps == [{"type": "toy"}, {"type": "random"}]
    dumps = [cell.file.study.policy.dump() for cell in plan(f"{base}vary: {{policy.type: [toy, random]}}\n").cells]
    assert dumps == [{"type": "toy"}, {"type": "random"}]
    varied = plan(f"{base}vary:\n  policy.setting: [{{fog: 0}}, {{}}]\n".replace("fog: 0", "background: 1"))
    assert [cell.file.study.policy.dump()["setting"] for cell in varied.cells] == [{"background": 1}, {}]


def test_later_factors_are_written_over_earlier_ones() -> None:
    made = plan("vary: {policy: [fixed], policy.setting: {a: {background: 1}, b: {materials: 1}}}\n")
    assert [cell.file.study.policy.dump()["setting"] for cell in made.cells] == [{"background": 1}, {"materials": 1}]


def test_the_seed_is_filled_in_for_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK2SIM_FEW", "2")
    text = (
        "study: {extends: base.yaml, comparison: {random: '${seed}'}}\n"
        "vary: {pretrainings: ['${env:TASK2SIM_FEW}', 3]}\nseeds: [5, 6]\n"
    )
    made = plan(text)
    assert [cell.file.study.comparison.random for cell in made.cells] == [5, 5, 6, 6]
    assert [cell.file.study.pretrainings for cell in made.cells] == [2, 3, 2, 3]
    resolved = yaml.safe_load(write_ablation(made.file, made.base.study))
    assert resolved["study"]["comparison"]["random"] == "${seed}"
    assert resolved["vary"] == {"pretrainings": {"${env:TASK2SIM_FEW}": "2", "3": 3}}


def test_what_is_set_belongs_to_the_base() -> None:
    made = plan("vary: {policy: [toy, random]}\n", "pretrainings=3", "comparison.random=0")
    assert {cell.file.study.pretrainings for cell in made.cells} == {3}
    with pytest.raises(
        ConfigError, match=r"^--set pretrainings=many: pretrainings: expected an integer, found 'many'$"
    ):
        plan("vary: {policy: [toy, random]}\n", "pretrainings=many")


def test_seeds_are_those_of_the_file_or_that_of_the_base() -> None:
    assert "seed: 3" in Path("base.yaml").read_text()
    assert [cell.seed for cell in plan("vary: {pretrainings: [2]}\n").cells] == [3]
    assert [cell.seed for cell in plan("vary: {pretrainings: [2]}\nseeds: [0]\n").cells] == [0]
    with pytest.raises(ConfigError, match="--set seed=4: an ablation's seeds are its own; change 'seeds'"):
        plan("vary: {pretrainings: [2]}\n", "seed=4")


def test_a_date_can_be_a_level() -> None:
    assert rows("vary: {policy: {2020-01-01: toy, b: random}}\n") == ["policy=2020-01-01", "policy=b"]


def test_names_that_no_file_can_have_are_no_files() -> None:
    with pytest.raises(ConfigError, match="there is no such ablation file"):
        load_ablation(Path("x" * 5000))
    with pytest.raises(ConfigError, match="there is no study file"):
        plan(f"study: {'x' * 5000}\n")
    Path("empty.yaml").touch()
    with pytest.raises(ConfigError, match=r"empty.yaml: (?!there is no)"):
        plan("study: empty.yaml\n")
    Path("folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"there is no such ablation file(?!.*did you mean)"):
        load_ablation(Path("folder.yaml"))


def test_aliases_do_not_explode() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join(['*' + old] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    Path("ablation.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="this holds more than 200,000 values"):
        load_ablation(Path("ablation.yaml"))


def test_the_resolved_file_makes_the_same_cells() -> None:
    text = (
        "vary: {policy: [toy, {type: fixed, setting: {materials: 1}}], pretrainings: [2, 3]}\nseeds: [1, 2]\n"
        "exclude: [{policy: fixed, pretrainings: 3}]\nbaseline: {policy: toy}\n"
    )
    made = plan(text)
    Path("resolved.yaml").write_text(write_ablation(made.file, made.base.study))
    again = make_plan(load_ablation(Path("resolved.yaml")))
    assert [cell.name for cell in again.cells] == [cell.name for cell in made.cells]
    assert [cell.file.study for cell in again.cells] == [cell.file.study for cell in made.cells]
    assert again.file.config.baseline == {"policy": "toy"}
    assert write_ablation(again.file, again.base.study) == Path("resolved.yaml").read_text()


def test_a_shipped_study_and_one_in_another_folder_can_be_the_base(tmp_path: Path) -> None:
    Path("below").mkdir()
    Path("below/ablation.yaml").write_text("name: x\nstudy: ../base.yaml\nvary: {pretrainings: [1, 2]}\n")
    assert len(make_plan(load_ablation(Path("below/ablation.yaml"))).cells) == 2
    Path("below/ablation.yaml").write_text("name: x\nstudy: {extends: ../base.yaml}\nvary: {pretrainings: [1, 2]}\n")
    assert len(make_plan(load_ablation(Path("below/ablation.yaml"))).cells) == 2
    Path("ablation.yaml").write_text("name: x\nstudy: quickstart\nvary: {pretrainings: [1, 2]}\n")
    assert load_ablation(Path("ablation.yaml")).base["name"] == "quickstart"


def test_a_base_may_lack_what_varies() -> None:
    base = "study: {name: y, tasks: {seen: [apples]}, policy: toy}\n"
    made = plan(f"{base}vary: {{rewards: [toy, {{type: toy, size: 16}}]}}\n")
    assert [row.name for row in made.rows] == ["rewards=toy", "rewards=toy size=16"]


def test_a_missing_file_is_told() -> None:
    plan("seeds: [0]\n")
    with pytest.raises(ConfigError, match=r"^ablatoin.yaml: there is no such ablation file; did you mean 'ablation"):
        load_ablation(Path("ablatoin.yaml"))


def test_cells_are_counted_before_they_are_made() -> None:
    many = f"  comparison.random: {list(range(100))}\n"
    Path("ablation.yaml").write_text(f"name: x\nstudy: base.yaml\nvary:\n{many}seeds: [0, 1, 2]\n")
    file = load_ablation(Path("ablation.yaml"))
    assert count_rows(file.config) == 100
    with pytest.raises(ConfigError, match=rf"this makes 300 cells .*, more than {MANY_CELLS}; .*--yes"):
        check_size(file)
    assert check_size(file, yes=True) == 300
    # Those that are left out do not count.
    left_out = "exclude: [" + ", ".join(f"{{comparison.random: {n}}}" for n in range(40)) + "]\n"
    Path("ablation.yaml").write_text(f"name: x\nstudy: base.yaml\nvary:\n{many}seeds: [0, 1, 2]\n{left_out}")
    assert check_size(load_ablation(Path("ablation.yaml"))) == 180
