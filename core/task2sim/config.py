"""Reading study files: what they extend, overrides, references, and errors that point into the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import yaml
from pydantic import ValidationError

from task2sim.errors import ConfigError, Task2SimError
from task2sim.extending import find_study, read_study, same_reference
from task2sim.interpolation import interpolate
from task2sim.mistakes import describe_errors
from task2sim.study_file import EXTENDS, StudyConfig
from task2sim.yaml_file import Location, nearest_place

OVERRIDE = "--set "
"""Begins the place of a key that was set on the command line."""


@attrs.frozen
class StudyFile:
    """A validated study and where each of its keys came from.

    Attributes:
        study: The study, complete.
        source: The file's name as the user wrote it.
        places: For each location in the data, such as ``("simulator", "resolution")``, ``file:line:column`` or the
            override that set it. The file is the one that says it, perhaps one that is extended.
    """

    study: StudyConfig
    source: str
    places: Mapping[Location, str]

    def place(self, *location: str | int) -> str:
        """Where that key stands, or the nearest key around it."""
        return nearest_place(self.places, location, self.source)


def load_study(name: str, overrides: Sequence[str] = ()) -> StudyFile:
    """Read and validate a study.

    Args:
        name: A path to a YAML file, or the name of a study that ships with task2sim.
        overrides: Texts such as ``"simulator.resolution=128"``; the value is YAML.

    Raises:
        ConfigError: a file can't be read or is wrong; all mistakes are listed, each with its place and mend.
    """
    path = find_study(name)
    data, places = read_study(path)
    for override in overrides:
        apply_override(data, places, override)
    data = interpolate(data, places, str(path), StudyConfig.model_fields["seed"].default)
    return parse_study(data, places, str(path))


def parse_study(
    data: dict[str, Any], places: dict[Location, str], source: str, overrides: Sequence[str] = ()
) -> StudyFile:
    """Validate a study's data as they are; references such as ``${seed}`` are not filled in.

    Args:
        data: The study; overrides are written into it.
        places: Where each location stands.
        source: What mistakes without a place are put down to.
        overrides: As for `load_study`.

    Raises:
        ConfigError: something is wrong; all mistakes are listed.
    """
    for override in overrides:
        apply_override(data, places, override)
    try:
        study = StudyConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(describe_errors(error, data, places, source)) from None
    return StudyFile(study, source, places)


def apply_override(data: dict[str, Any], places: dict[Location, str], override: str) -> None:
    """Set one key of a study's data in place, such as ``"simulator.resolution=128"``.

    A plugin that is given by its bare name becomes a mapping when one of its keys is set. Another ``type`` drops the
    old plugin's keys, but for those that were set on the command line as well.

    Raises:
        ConfigError: the text is no assignment, or a step of the path does not exist.
    """
    shown = OVERRIDE + override
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError("an override is written key.key=value", place=shown)
    if keys[0] == EXTENDS:
        raise ConfigError(f"{EXTENDS} can't be set", place=shown, mend="write it into a study file")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError("the value is not YAML", place=shown, mend="put it in quotes") from None
    set_key(data, places, keys, value, {(): shown})


def set_key(
    data: dict[str, Any],
    places: dict[Location, str],
    keys: Sequence[str],
    value: Any,
    value_places: Mapping[Location, str],
) -> None:
    """Set one key of a study's data in place, with the rules of `apply_override`.

    Args:
        data: The study.
        places: Where each location in it stands.
        keys: The steps that lead to the key, such as ``["simulator", "resolution"]``.
        value: Its new value.
        value_places: Where each location in the value stands; ``()`` is the value itself.

    Raises:
        ConfigError: a step of the path does not exist.
    """
    shown = value_places[()]
    here: Any = data
    location: Location = ()
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(here, list):
            if not key.isdecimal() or not key.isascii() or int(key) >= len(here):
                raise ConfigError(f"{key!r} is no position in a list of {len(here)}", place=shown)
            step: str | int = int(key)
        elif isinstance(here, dict):
            step = key
        else:
            raise ConfigError(f"{'.'.join(map(str, location))} has no keys", place=shown)
        if last and step == "type" and isinstance(here, dict) and not same_reference(here.get("type", value), value):
            for old in [old for old in here if not places.get((*location, old), "").startswith(OVERRIDE)]:
                _forget(places, (*location, old))
                del here[old]
        location = (*location, step)
        if last:
            _forget(places, location)
            here[step] = value
            places.update({(*location, *below): place for below, place in value_places.items()})
            return
        below = here.get(step) if isinstance(here, dict) else here[int(step)]
        if below is None and not location[1:]:
            below = _default_plugin(key)
        if below is None or isinstance(below, str):
            below = {} if below is None else {"type": below}
            here[step] = below
        here = below


def _forget(places: dict[Location, str], location: Location) -> None:
    for known in [known for known in places if known[: len(location)] == location]:
        del places[known]


def _default_plugin(key: str) -> str | None:
    """The plugin that a study uses where it does not mention one."""
    field = StudyConfig.model_fields.get(key)
    return field.default if field is not None and isinstance(field.default, str) else None


def placed(error: Task2SimError, place: str) -> Task2SimError:
    """The same error with a place, if it had none."""
    if not error.place:
        error.place = place
    return error
