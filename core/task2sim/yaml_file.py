"""Reading YAML with the place of every key, so that a mistake can be shown where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from task2sim.errors import ConfigError

Location: TypeAlias = tuple[str | int, ...]
"""Keys and positions that lead to a value, such as ``("tasks", "seen", 0)``."""


MOST_VALUES = 200_000


def nearest_place(places: Mapping[Location, str], location: Location, source: str) -> str:
    """The place of a location, or of the nearest one around it that the file has."""
    while location and location not in places:
        location = location[:-1]
    return places.get(location, source)


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
    if len(places) > MOST_VALUES:  # a few aliases of aliases can stand for any number
        raise ConfigError(f"this holds more than {MOST_VALUES:,} values", place=str(path), mend="write less into it")
    if isinstance(node, yaml.MappingNode):
        data: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        for key_node, value_node in node.value:
            place = f"{path}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError("'<<' is not read in study files", place=place, mend="use extends")
            key = _construct(key_node, path, (), {})
            if not isinstance(key, str):
                shown = "a list or mapping" if isinstance(key, list | dict) else f"key {key_node.value!r}"
                raise ConfigError(f"{shown} is not a text", place=place, mend="put it in quotes")
            if key in data:
                raise ConfigError(
                    f"key {key!r} stands here for the second time", place=place, mend=f"line {lines[key]} has it"
                )
            lines[key] = key_node.start_mark.line + 1
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
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # No key takes a date; what looks like one is a text.
        value = loader.construct_object(node, deep=True)
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"{node.tag.rpartition(':')[2]} is no type of these files")
        return value
    except (yaml.YAMLError, ValueError) as error:
        place = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        problem = getattr(error, "problem", None) or error
        raise ConfigError(f"can't read this value: {problem}", place=place, mend="put it in quotes") from None
    finally:
        loader.dispose()
