from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim.config import load_study
from task2sim.interpolation import escape, interpolate


def fill(data: Any) -> Any:
    return interpolate(data, {}, "study.yaml", 0)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/data")
    monkeypatch.setenv("COUNT", "30")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("NESTED", "${seed}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${seed}", 7),
        ("run-${seed}", "run-7"),
        ("${seed}${seed}", "77"),
        ("${env:WHERE}/birds-${seed}", "/data/birds-7"),
        ("${env:COUNT}", "30"),
        ("${env:EMPTY}", ""),
        ("$${seed}", "${seed}"),
        ("$$${seed}", "$${seed}"),
        ("$${", "${"),
        ("cost: 5$", "cost: 5$"),
        ("$seed {seed} $(seed)", "$seed {seed} $(seed)"),
        ("${env:NESTED}", "${seed}"),  # what is filled in is not looked at again
    ],
)
def test_what_texts_become(text: str, value: object) -> None:
    filled = fill({"seed": 7, "x": [{"y": text}]})
    assert filled == {"seed": 7, "x": [{"y": value}]}
    assert type(filled["x"][0]["y"]) is type(value)


def test_the_default_seed_counts_and_keys_stay() -> None:
    assert fill({"x": "${seed}", "${seed}": 1}) == {"x": 0, "${seed}": 1}


def test_the_seed_itself_may_come_from_the_environment() -> None:
    assert fill({"x": "${seed}", "seed": "${env:COUNT}"}) == {"x": 30, "seed": 30}


@pytest.mark.parametrize(
    "text", ["${}", "${ seed }", "${SEED}", "${env:}", "${env:A B}", "${env:GONE}", "${a", "${${seed}}"]
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^study.yaml: x: "):
        fill({"x": text})


@given(st.lists(st.text(alphabet="${}seda:$", max_size=12), max_size=3))
def test_what_is_escaped_comes_back(texts: list[str]) -> None:
    data = {"x": texts, "y": {"z": texts}}
    assert fill(escape(data)) == data


def test_a_study_with_references(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = study.read_text().replace("name: toy", "name: toy-${seed}").replace("images: 20", "images: ${env:COUNT}")
    study.write_text(text.replace("resolution: 4", "resolution: '${seed}', fault: '$${x}'"))
    file = load_study(str(study), ["seed=9"])
    assert (file.study.name, file.study.images) == ("toy-9", 30)
    assert (file.study.simulator.config.resolution, file.study.simulator.config.fault) == (9, "${x}")


def test_references_on_the_command_line(study: Path) -> None:
    assert load_study(str(study), ["name=other-${seed}", "images=${env:COUNT}"]).study.name == "other-3"
    assert yaml.safe_load("images: ${env:COUNT}") == {"images": "${env:COUNT}"}  # YAML itself sees a text
