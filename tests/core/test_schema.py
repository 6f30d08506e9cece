"""The JSON schema says of a study file what validation says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import ConfigError
from task2sim.config import load_study
from task2sim.registry import installed_plugins
from task2sim.study_file import StudyConfig, plugin_keys
from task2sim.study_schema import study_schema

jsonschema = pytest.importorskip("jsonschema", reason="the schema is tried with jsonschema")

FRAME = "name: x\ntasks: {sources: [toy], seen: [apples]}\n"


@pytest.fixture
def schema() -> dict[str, Any]:
    return study_schema()


def wrong(schema: dict[str, Any], text: str) -> bool:
    jsonschema.Draft7Validator.check_schema(schema)
    return bool(list(jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(text))))


RIGHT = [
    "",
    "simulator: toy\n",
    "simulator: {type: toy, resolution: 8}\n",
    "simulator: {type: TASK2SIM_PLUGINS/toy, resolution: 8}\n",
    "evaluator: task2sim/linear-probe\n",
    "executor: {type: local, workers: auto}\n",
    "executor: {type: local, workers: 3}\n",
    "observers: []\n",
    "observers: [report, {type: stopper}]\n",
    "policy: {type: fixed, setting: {background: 1}}\n",
    "comparison: {seeds: 1}\n",
]

WRONG = [
    "imges: 3\n",
    "images: many\n",
    "images: 1\n",
    "images: [3]\n",
    "simulator: toi\n",
    "simulator: else/toy\n",
    "simulator: {type: toi}\n",
    "simulator: {type: toy, resolutoin: 8}\n",
    "simulator: {type: toy, resolution: 65}\n",
    "simulator: {resolution: 8}\n",
    "simulator: 3\n",
    "executor: {type: local, workers: many}\n",
    "observers: report\n",
    "observers: [reprt]\n",
    "rewards: table\n",
    "rewards: {type: table}\n",
    "trainer: {type: resnet, layer_type: bottle}\n",
    "comparison: {seeds: 0}\n",
    "comparison: 3\n",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_right_for_both(schema: dict[str, Any], tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text(FRAME + text)
    load_study(str(tmp_path / "study.yaml"))
    assert not wrong(schema, FRAME + text)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_wrong_for_both(schema: dict[str, Any], tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text(FRAME + text)
    with pytest.raises(ConfigError):
        load_study(str(tmp_path / "study.yaml"))
    assert wrong(schema, FRAME + text)


def test_the_name_and_the_tasks_are_wanted_unless_they_may_be_inherited(schema: dict[str, Any]) -> None:
    assert wrong(schema, "name: x\n")
    assert wrong(schema, "images: 30\n")
    for text in (
        "extends: base.yaml\n",
        "extends: [quickstart, base.yaml]\nsimulator: {resolution: 8}\n",
        "extends: base.yaml\nimages: null\nsimulator: null\n",
        "extends: []\nimages: 30\n",
    ):
        assert not wrong(schema, text)
    assert wrong(schema, "extends: 3\n")
    assert wrong(schema, "extends: base.yaml\nimages: many\n")
    assert wrong(schema, "extends: base.yaml\nsimulator: {type: toy, size: 8}\n")


def test_a_reference_may_stand_for_a_number(schema: dict[str, Any]) -> None:
    assert not wrong(schema, FRAME + "seed: ${env:SEED}\nimages: ${env:IMAGES}\n")
    assert wrong(schema, FRAME + "seed: ${sed}\n")


def test_every_plugin_has_its_mapping_and_every_key_its_description(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    assert list(properties) == ["extends", *StudyConfig.model_fields]
    for key, kind in plugin_keys().items():
        names = {entry.name for entry in installed_plugins() if entry.kind == kind}
        named = [way["properties"]["type"]["anyOf"][0]["const"] for way in properties[key]["anyOf"] if "title" in way]
        assert set(named) == names
    toys = {"tasks", "images", "probe", "length", "resolution", "sleep", "fault", "size", "layers"}
    assert set(_undescribed(schema)) <= toys


def _undescribed(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            if isinstance(value, dict) and not value.get("description"):
                yield key
        for value in schema.values():
            yield from _undescribed(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _undescribed(value)


def test_defaults_bounds_and_what_changes_nothing_are_said(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    assert properties["trainer"]["default"] == "resnet"
    assert (properties["images"]["default"], properties["images"]["minimum"]) == (2000, 2)
    (local,) = [way for way in properties["executor"]["anyOf"] if way.get("title", "").startswith("local ")]
    workers = local["properties"]["workers"]
    assert workers["default"] == "auto"
    assert workers["description"].endswith("(does not change results)")
    assert "task2sim_not_in_key" not in str(schema)
    assert "$ref" not in str(schema)
