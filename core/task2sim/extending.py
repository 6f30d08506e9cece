"""Studies that extend others: finding their files, and merging what they say."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from task2sim.errors import ConfigError
from task2sim.interpolation import Interpolation
from task2sim.study_file import EXTENDS, plugin_keys
from task2sim.yaml_file import Location, is_file, nearest_place, read_yaml

STUDIES = Path(__file__).parent / "studies"
"""Study files that ship with task2sim; a study is named by its stem."""


def shipped_studies() -> tuple[str, ...]:
    """Names of the studies that ship with task2sim."""
    return tuple(sorted(path.stem for path in STUDIES.glob("*.yaml")))


def find_study(name: str, beside: Path | None = None) -> Path:
    """The file of a study: a path, or the name of one that ships with task2sim.

    Args:
        name: What a person wrote.
        beside: The folder that a relative path starts from; the current one by default.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name).expanduser()
    if beside is not None:
        path = beside / path
    if is_file(path):
        return path
    if name in shipped_studies():
        return STUDIES / f"{name}.yaml"
    folder = path.parent
    around = [other.name for other in folder.glob("*.y*ml")] if folder.is_dir() else []
    near = difflib.get_close_matches(name, shipped_studies(), 1, 0.5)
    near += [str(Path(name).parent / other) for other in difflib.get_close_matches(path.name, around, 1, 0.7)]
    mend = f"did you mean {near[0]!r}?" if near else f"give a .yaml file or one of {', '.join(shipped_studies())}"
    raise ConfigError("there is no such study file", place=name, mend=mend)


def read_study(path: Path) -> tuple[dict[str, Any], dict[Location, str]]:
    """Read a study file together with those it extends.

    Returns:
        The data without ``extends``, and for each location in it ``file:line:column`` in the file that says it.

    Raises:
        ConfigError: a file can't be read or is missing, or files extend each other.
    """
    return _read(path, ())


def extend_study(
    data: dict[str, Any], places: dict[Location, str], path: Path
) -> tuple[dict[str, Any], dict[Location, str]]:
    """The same for a study that was read already, perhaps as a part of another file.

    Args:
        data: The study; ``extends`` is taken out of it.
        places: Where each location in it stands.
        path: The file it stands in; what it extends lies beside that.

    Raises:
        ConfigError: as for `read_study`.
    """
    return _extend(data, places, path, ())


def _read(path: Path, chain: tuple[Path, ...]) -> tuple[dict[str, Any], dict[Location, str]]:
    data, places = read_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError("a study file is a mapping of keys to values", place=str(path), mend="see docs/studies.md")
    return _extend(data, places, path, chain)


def _extend(
    data: dict[str, Any], places: dict[Location, str], path: Path, chain: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[Location, str]]:
    named = data.pop(EXTENDS, [])
    merged: dict[str, Any] = {}
    merged_places: dict[Location, str] = {}
    for position, name in enumerate(named if isinstance(named, list) else [named]):
        location: Location = (EXTENDS, position) if isinstance(named, list) else (EXTENDS,)
        base = _extended(name, nearest_place(places, location, str(path)), (*chain, path))
        _merge(merged, merged_places, *_read(base, (*chain, path)))
    for location in [location for location in places if location[:1] == (EXTENDS,)]:
        del places[location]
    _merge(merged, merged_places, data, places)
    merged_places[()] = places[()]
    return merged, merged_places


def _extended(name: Any, place: str, chain: tuple[Path, ...]) -> Path:
    """The file that a file extends."""
    if not isinstance(name, str) or not name:
        raise ConfigError(
            f"{EXTENDS}: expected the name of a file, found {'nothing' if name is None else repr(name)}",
            place=place,
            mend="write a path, the name of a shipped study, or a list of them",
        )
    try:
        name = Interpolation(None).text(name, place)
    except ConfigError as error:
        error.message = f"{EXTENDS}: {error.message}"
        raise
    try:
        path = find_study(name, chain[-1].parent)
    except ConfigError as error:
        shown = " > ".join(map(str, chain)) + f" > {name}"
        through = f" (through {shown})" if len(chain) > 1 else ""
        raise ConfigError(
            f"{EXTENDS}: there is no study file {name!r}{through}", place=place, mend=error.mend
        ) from None
    known = [earlier.resolve() for earlier in chain]
    if path.resolve() in known:
        circle = [*chain[known.index(path.resolve()) :], path]
        raise ConfigError(
            f"{EXTENDS}: these files extend each other in a circle: {' > '.join(file.name for file in circle)}",
            place=place,
            mend="take one of them out",
        )
    return path


def _merge(
    data: dict[str, Any], places: dict[Location, str], new: dict[str, Any], new_places: Mapping[Location, str]
) -> None:
    """Write a study over another, in place: mappings are merged, everything else is replaced."""
    plugins = plugin_keys()

    def merge(here: dict[str, Any], over: dict[str, Any], location: Location) -> None:
        for key, value in over.items():
            below = (*location, key)
            if value is None and key in here and (len(below) == 1 or below[0] not in plugins):
                # The study's own keys need no null: an inherited one is taken away, and has its default again.
                forget(below)
                del here[key]
                continue
            old = here.get(key)
            if len(below) == 1 and key in plugins and isinstance(old, str) and isinstance(value, dict):
                old = here[key] = {"type": old}
                places[(*below, "type")] = places[below]
            if isinstance(old, dict) and isinstance(value, dict) and _same_plugin(old, value):
                places[below] = new_places[below]
                merge(old, value, below)
                continue
            forget(below)
            here[key] = value
            places.update({known: place for known, place in new_places.items() if known[: len(below)] == below})

    def forget(location: Location) -> None:
        for known in [known for known in places if known[: len(location)] == location]:
            del places[known]

    merge(data, new, ())


def _same_plugin(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a mapping goes on with the plugin of another: its type is not mentioned, or the same."""
    before, after = old.get("type"), new.get("type")
    if after is None or before is None:
        return True
    return same_reference(before, after)


def same_reference(first: object, second: object) -> bool:
    """Whether two references name the same plugin, perhaps one with its distribution and one without."""
    if not isinstance(first, str) or not isinstance(second, str):
        return first == second
    one, other = first.rpartition("/"), second.rpartition("/")
    return one[2] == other[2] and (not one[0] or not other[0] or one[0] == other[0])
