"""The JSON schema of study files, with which an editor completes and checks them."""

from __future__ import annotations

from typing import Any

from task2sim.choice import without_references
from task2sim.extending import shipped_studies
from task2sim.study_file import EXTENDS, StudyConfig, plugin_keys

REFERENCE = r"\$\{(seed|env:\w+)\}"
"""What may stand in place of a number; an editor can't know its value."""

WORDS = {"integer": "an integer", "number": "a number", "boolean": "true or false"}


def study_schema() -> dict[str, Any]:
    """The schema, of draft 7, which language servers know best; it names the plugins that are installed."""
    drawn = StudyConfig.model_json_schema()
    drawn = without_references(drawn, drawn.pop("$defs", {}))
    properties: dict[str, Any] = drawn["properties"]
    for key in plugin_keys():
        # Without a type it is not clear whose keys these are; only a file that is extended may say so.
        properties[key]["anyOf"].append(_without_type(properties[key]["anyOf"]))
    for part in (properties, properties["tasks"]["properties"], properties["comparison"]["properties"]):
        for key in part:
            _allow_null(part[key])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "task2sim study",
        "description": drawn["description"],
        "type": "object",
        "properties": {EXTENDS: _extends(), **_finished(properties)},
        "additionalProperties": False,
        # What an extended file says need not be said again, and null takes it away.
        "if": {"required": [EXTENDS]},
        "then": {},
        "else": {
            "required": drawn["required"],
            "patternProperties": {f"^({'|'.join(plugin_keys())})$": {"required": ["type"]}},
        },
    }


def _extends() -> dict[str, Any]:
    name = {"type": "string", "minLength": 1, "examples": list(shipped_studies())}
    return {
        "description": "a study file, or a list of them, whose keys are taken where this file has none; paths start"
        " from this file's folder; a shipped study is named without .yaml",
        "anyOf": [name, {"type": "array", "items": name}],
    }


def _without_type(ways: list[dict[str, Any]]) -> dict[str, Any]:
    """The keys of a plugin that is named elsewhere: those of every plugin, with any value."""
    mappings = [way for way in ways if "properties" in way]
    names = [way["properties"]["type"]["anyOf"][0]["const"] for way in mappings]
    known = {
        key: {"description": value.get("description", "")}
        for way in mappings
        for key, value in way["properties"].items()
    }
    known["type"] = {
        "description": "the plugin's name",
        "enum": names,
        "enumDescriptions": [way["description"] for way in mappings],
    }
    return {"type": "object", "not": {"required": ["type"]}, "properties": known}


def _allow_null(schema: dict[str, Any]) -> None:
    if "anyOf" in schema:
        if {"type": "null"} not in schema["anyOf"]:
            schema["anyOf"].append({"type": "null"})
    elif isinstance(schema["type"], str):
        schema["type"] = [schema["type"], "null"]


def _finished(schema: Any) -> Any:
    """The same schema as a person needs it.

    Titles that only repeat a key go, a text with a reference may stand for a number, and a key that does not change
    results says so.
    """
    if isinstance(schema, list):
        return [_finished(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    done = {}
    for key, value in schema.items():
        is_schema = key not in ("default", "examples", "const", "enum")
        done[key] = _finished(value) if is_schema else value
    kinds = [done["type"]] if isinstance(done.get("type"), str) else done.get("type", [])
    if isinstance(kinds, list) and (word := next((WORDS[kind] for kind in kinds if kind in WORDS), "")):
        done["type"] = [*kinds, "string"]
        done["pattern"] = REFERENCE
        done["patternErrorMessage"] = f"Expected {word}."
    if done.pop("task2sim_not_in_key", False):
        done["description"] = f"{done.get('description', '')} (does not change results)".strip()
    if isinstance(done.get("title"), str) and "type" not in done.get("properties", {}):
        del done["title"]
    return done
