"""Components chosen in a configuration: ``simulator: studio`` or ``simulator: {type: studio, resolution: 128}``."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import attrs
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from task2sim.errors import Task2SimError
from task2sim.interfaces import Component, ComponentConfig, SceneSimulator
from task2sim.mistakes import found
from task2sim.registry import NOUNS, PluginEntry, core_version, find_plugin, installed_plugins, plugin_call
from task2sim.sources import version_of_sources


@attrs.frozen
class Chosen:
    """A plugin together with its validated configuration.

    Attributes:
        entry: The plugin.
        config: Its configuration, with defaults filled in.
    """

    entry: PluginEntry
    config: ComponentConfig

    @classmethod
    def parse(cls, kind: str, value: Any) -> Chosen:
        """Read a name, or a mapping with ``type`` and the plugin's own keys.

        Raises:
            pydantic.ValidationError: the value is neither, there is no such plugin, or its keys are wrong.
        """
        location: tuple[str, ...] = () if isinstance(value, str) else ("type",)
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
            raise _invalid(_no_name(kind, value), value)
        try:
            entry = find_plugin(kind, value["type"])
            component = entry.load()
        except Task2SimError as error:
            raise _invalid(str(error), value["type"], location) from error
        keys = {key: item for key, item in value.items() if key != "type"}
        with plugin_call(entry.title):
            try:
                config = component.Config.model_validate(keys)
            except Task2SimError as error:
                raise _invalid(str(error), value) from error
            except ValidationError as error:
                # Raised anew because pydantic keeps the places of a ValidationError that a validator raises,
                # but plugin_call is not to take it for the plugin's own failure.
                problem = error
            else:
                return cls(entry, config)
        raise problem

    @property
    def name(self) -> str:
        """The plugin's bare name."""
        return self.entry.name

    def build(self) -> Any:
        """Make the component; one that raises is named."""
        with plugin_call(self.entry.title):
            return self.entry.load()(self.config)

    def dump(self) -> dict[str, Any]:
        """Plain data that `parse` reads, with every default filled in."""
        return {"type": self._reference(), **self.config.model_dump(mode="json")}

    def key_data(self) -> dict[str, Any]:
        """What determines the component's results, as plain data."""
        fields = type(self.config).model_fields
        config = {
            name: value
            for name, value in self.config.model_dump(mode="json").items()
            if not is_not_in_key(fields[name].json_schema_extra)
        }
        return {
            # The core draws the scenes of scene simulators.
            **({"core": core_version()} if issubclass(self.entry.load(), SceneSimulator) else {}),
            "plugin": f"{self.entry.distribution}/{self.entry.name}",
            "version": version_of_sources(self.entry),
            "config": config,
            "fingerprint": _fingerprint(self.entry, json.dumps(self.dump(), sort_keys=True)),
        }

    def _reference(self) -> str:
        same = [e for e in installed_plugins() if (e.kind, e.name) == (self.entry.kind, self.entry.name)]
        alone = len(same) == 1 or find_plugin_or_none(self.entry.kind, self.entry.name) == self.entry
        return self.entry.name if alone else f"{self.entry.distribution}/{self.entry.name}"


def find_plugin_or_none(kind: str, name: str) -> PluginEntry | None:
    """The plugin of that bare name, if there is just one."""
    try:
        return find_plugin(kind, name)
    except Task2SimError:
        return None


@functools.cache
def _fingerprint(entry: PluginEntry, dumped: str) -> str:
    # Cached: a fingerprint may hash a folder of meshes, and keys are asked for often.
    component: Component = Chosen.parse(entry.kind, json.loads(dumped)).build()
    with plugin_call(entry.title):
        return component.fingerprint()


def is_not_in_key(extra: Any) -> bool:
    """Whether a field with this ``json_schema_extra`` was marked with `task2sim.not_in_key`."""
    return isinstance(extra, dict) and extra.get("task2sim_not_in_key") is True


def _invalid(message: str, value: Any, location: tuple[str, ...] = ()) -> ValidationError:
    # A plain error raised in a validator would lose its place in the file.
    custom = PydanticCustomError("plugin", "{message}", {"message": message})
    return ValidationError.from_exception_data("Plugin", [InitErrorDetails(type=custom, loc=location, input=value)])


def _no_name(kind: str, value: Any) -> str:
    """What to say of a value that does not name a plugin."""
    expected = f"expected the name of {_a(NOUNS[kind])}, or a mapping with 'type'"
    if not isinstance(value, Mapping):
        return f"{expected}, found {found(value)}"
    if "type" in value:
        return f"{expected}, found type {found(value['type'])}"
    near = [key for key in map(str, value) if get_close_matches(key, ["type", "name", "kind"], 1, 0.7)]
    mend = f"write 'type' for {near[0]!r}" if near else "add 'type: NAME'"
    return f"{expected}, found a mapping without 'type'; {mend}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A JSON schema with each reference replaced by what it refers to; plugins' definitions can't share names."""
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            named = without_references(definitions[reference.rpartition("/")[2]], definitions)
            return {**named, **{key: value for key, value in schema.items() if key != "$ref"}}
        return {key: without_references(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [without_references(item, definitions) for item in schema]
    return schema


@attrs.frozen
class Plugin:
    """Marks a field as a choice among plugins: ``simulator: Annotated[Chosen, Plugin("simulators")]``.

    Attributes:
        kind: One of `task2sim.registry.KINDS`.
    """

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """How pydantic validates and dumps the field; validation loads only the plugin that is named."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Chosen) else Chosen.parse(self.kind, value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda chosen: chosen.dump()),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The union of what is installed, for editors; a plugin that can't be loaded is left out."""
        names: list[tuple[str, str]] = []
        mappings: list[JsonSchemaValue] = []
        with_distribution: list[str] = []
        for entry in installed_plugins():
            if entry.kind != self.kind:
                continue
            try:
                component = entry.load()
                config = component.Config.model_json_schema(ref_template="#/$defs/{model}")
            except Exception:
                continue
            config = without_references(config, config.pop("$defs", {}))
            described = _first_line(component) or entry.title
            reference = f"{entry.distribution}/{entry.name}"
            if not config.get("required"):
                names.append((entry.name, described))
                with_distribution.append(re.escape(reference))
            mappings.append(
                {
                    "title": f"{entry.name} ({entry.origin})",
                    "description": described,
                    "type": "object",
                    "properties": {
                        "type": {
                            "anyOf": [{"const": entry.name}, {"pattern": f"^{re.escape(reference)}$"}],
                            "description": described,
                        },
                        **config.get("properties", {}),
                    },
                    "required": ["type", *config.get("required", [])],
                    "additionalProperties": False,
                }
            )
        short = [
            {"type": "string", "enum": [n for n, _ in names], "enumDescriptions": [text for _, text in names]},
            {"type": "string", "pattern": f"^({'|'.join(with_distribution)})$"},
        ]
        return {"anyOf": [*(short if names else []), *mappings]}


def _first_line(component: type[Component]) -> str:
    """What a plugin does, as its class says in a line."""
    return (component.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")
