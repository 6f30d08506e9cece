"""Reading study files: YAML with places, overrides, and errors that point into the file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import yaml
from pydantic import ValidationError

from task2sim.errors import ConfigError, Task2SimError
from task2sim.study_file import StudyConfig

STUDIES = Path(__file__).parent / "studies"
"""Study files that ship with task2sim; a study is named by its stem."""

Location: TypeAlias = tuple[str | int, ...]


@attrs.frozen
class StudyFile:
    """A validated study and where each of its keys came from.

    Attributes:
        study: The study, complete.
        source: The file's name as the user wrote it.
        places: For each location in the data, such as ``("simulator", "resolution")``, ``file:line:column`` or the
            override that set it.
    """

    study: StudyConfig
    source: str
    places: Mapping[Location, str]

    def place(self, *location: str | int) -> str:
        """Where that key stands, or the nearest key around it."""
        return nearest_place(self.places, location, self.source)


def nearest_place(places: Mapping[Location, str], location: Location, source: str) -> str:
    """The place of a location, or of the nearest one around it that the file has."""
    while location and location not in places:
        location = location[:-1]
    return places.get(location, source)


def shipped_studies() -> tuple[str, ...]:
    """Names of the studies that ship with task2sim."""
    return tuple(sorted(path.stem for path in STUDIES.glob("*.yaml")))


def find_study(name: str) -> Path:
    """The file of a study: a path, or the name of one that ships with task2sim.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    if name in shipped_studies():
        return STUDIES / f"{name}.yaml"
    near = difflib.get_close_matches(name, shipped_studies(), 1, 0.5)
    mend = f"did you mean {near[0]!r}?" if near else f"give a .yaml file or one of {', '.join(shipped_studies())}"
    raise ConfigError("there is no such study file", place=name, mend=mend)


def load_study(name: str, overrides: Sequence[str] = ()) -> StudyFile:
    """Read and validate a study.

    Args:
        name: A path to a YAML file, or the name of a study that ships with task2sim.
        overrides: Texts such as ``"simulator.resolution=128"``; the value is YAML.

    Raises:
        ConfigError: the file can't be read or is wrong; all mistakes are listed, each with its place and mend.
    """
    path = find_study(name)
    data, places = read_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError("a study file is a mapping of keys to values", place=str(path), mend="see docs/studies.md")
    return parse_study(data, places, str(path), overrides)


def parse_study(
    data: dict[str, Any], places: dict[Location, str], source: str, overrides: Sequence[str] = ()
) -> StudyFile:
    """Validate a study's data, as `read_yaml` gives them.

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
        raise ConfigError(describe_errors(error, places, source)) from None
    return StudyFile(study, source, places)


def read_yaml(path: Path) -> tuple[Any, dict[Location, str]]:
    """Read a YAML file.

    Returns:
        The data, and for each location in it ``file:line:column``.

    Raises:
        ConfigError: the file can't be read, is no YAML, or has a key twice.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        places: dict[Location, str] = {(): str(path)}
        return (None if node is None else _construct(node, path, (), places)), places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(
            f"this is not YAML: {error.problem}", place=place, mend="check quotes and indents"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"this is not YAML: {' '.join(str(error).split())}", place=str(path)) from None
    except RecursionError:
        raise ConfigError("this is nested too deeply, or contains itself", place=str(path)) from None
    except OSError as error:
        raise ConfigError(f"can't read the file: {error.strerror}", place=str(path)) from None


def _construct(node: yaml.Node, path: Path, location: Location, places: dict[Location, str]) -> Any:
    if isinstance(node, yaml.MappingNode):
        data: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _construct(key_node, path, (), {})
            place = f"{path}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
            if not isinstance(key, str):
                raise ConfigError(f"key {key!r} is not a text", place=place, mend="put it in quotes")
            if key in data:
                raise ConfigError(f"key {key!r} stands here for the second time", place=place, mend="remove one")
            places[(*location, key)] = place
            data[key] = _construct(value_node, path, (*location, key), places)
        return data
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, item in enumerate(node.value):
            places[(*location, number)] = f"{path}:{item.start_mark.line + 1}:{item.start_mark.column + 1}"
            items.append(_construct(item, path, (*location, number), places))
        return items
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        place = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        problem = getattr(error, "problem", None) or error
        raise ConfigError(f"can't read this value: {problem}", place=place, mend="put it in quotes") from None
    finally:
        loader.dispose()


def apply_override(data: dict[str, Any], places: dict[Location, str], override: str) -> None:
    """Set one key of a study's data in place, such as ``"simulator.resolution=128"``.

    A plugin that is given by its bare name becomes a mapping when one of its keys is set.

    Raises:
        ConfigError: the text is no assignment, or a step of the path does not exist.
    """
    shown = f"--set {override}"
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError("an override is written key.key=value", place=shown)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError("the value is not YAML", place=shown, mend="put it in quotes") from None
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
        location = (*location, step)
        if last:
            for known in [known for known in places if known[: len(location)] == location]:
                del places[known]
            here[step] = value
            places[location] = shown
            return
        below = here.get(step) if isinstance(here, dict) else here[int(step)]
        if below is None and not location[1:]:
            below = _default_plugin(key)
        if below is None or isinstance(below, str):
            below = {} if below is None else {"type": below}
            here[step] = below
        here = below


def _default_plugin(key: str) -> str | None:
    """The plugin that a study uses where it does not mention one."""
    field = StudyConfig.model_fields.get(key)
    return field.default if field is not None and isinstance(field.default, str) else None


def describe_errors(error: ValidationError, places: Mapping[Location, str], source: str) -> str:
    """One line for each mistake: place, key, what is wrong and how to mend it."""
    lines = []
    for detail in error.errors(include_url=False):
        location: Location = detail["loc"]
        key = ".".join(str(part) for part in location)
        place = nearest_place(places, location, source)
        message = detail["msg"]
        if detail["type"] == "missing":
            message = "this key is missing"
        message = message.removeprefix("Value error, ").replace("Tuple", "List")
        message = message[0].lower() + message[1:]
        lines.append(f"{place}: {key}: {message}" if key else f"{place}: {message}")
    return "\n".join(lines)


def placed(error: Task2SimError, place: str) -> Task2SimError:
    """The same error with a place, if it had none."""
    if not error.place:
        error.place = place
    return error
