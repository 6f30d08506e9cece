"""What differs between two runs or studies: keys, versions, seeds and results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from task2sim import provenance
from task2sim.choice import is_not_in_key
from task2sim.config import load_study
from task2sim.errors import StoreError, Task2SimError
from task2sim.interpolation import Interpolation
from task2sim.learned import CONFIG
from task2sim.registry import find_plugin
from task2sim.results import Results
from task2sim.run import PROVENANCE, RESULTS
from task2sim.study import chosen_plugins
from task2sim.study_file import plugin_keys
from task2sim.summary import Row, final_table
from task2sim.yaml_file import Location, read_yaml

ABSENT = "absent"
"""Stands in place of the value of a key that one side does not have."""

CHANGES = {
    "seed": "every number",
    "tasks": "the tasks",
    "embedder": "embeddings",
    "policy": "the search",
    "simulator": "datasets",
    "images": "datasets",
    "trainer": "networks",
    "evaluator": "scores",
    "rewards": "scores",
    "continues": "the search",
    "pretrainings": "the search",
    "settings_per_round": "the search",
    "comparison": "the final table",
}
"""The first thing that a key of a study changes; what follows from it changes as well. Other keys change nothing."""

NOTHING = "nothing (not in any key)"
UNKNOWN = "unknown: its plugin is not here"


@attrs.frozen
class Difference:
    """A key whose values differ.

    Attributes:
        key: Its dotted name.
        first: Its value on the first side; `ABSENT` if it has none.
        second: Its value on the second side.
        changes: What it changes in the results.
    """

    key: str
    first: Any
    second: Any
    changes: str


@attrs.frozen
class Side:
    """A run, or a study that has not run.

    Attributes:
        name: As the user wrote it.
        study: The whole study as plain data.
        made_with: What it was made with, or would be: versions, platform.
        rows: Its final table; empty if there is none yet.
        tasks: The fingerprint of each task's images, as far as it is known.
    """

    name: str
    study: Mapping[str, Any]
    made_with: Mapping[str, str]
    rows: Sequence[Row]
    tasks: Mapping[str, str]

    @classmethod
    def open(cls, name: str) -> Side:
        """Read a run folder, or a study file.

        A run is read as it was written down, so that plugins that are gone since do not matter.

        Raises:
            Task2SimError: it is neither, or can't be read.
        """
        folder = Path(name).expanduser()
        if folder.is_dir():
            return cls._of_run(name, folder)
        study = load_study(name).study
        made_with = provenance.gather(chosen.entry for chosen in chosen_plugins(study))
        return cls(name, study.model_dump(mode="json"), _versions(made_with), (), {})

    @classmethod
    def _of_run(cls, name: str, folder: Path) -> Side:
        if not (folder / CONFIG).is_file():
            raise StoreError(
                f"this is no run folder: {CONFIG} is missing",
                place=name,
                mend="name a folder in runs/, or a study file",
            )
        data, _ = read_yaml(folder / CONFIG)
        if not isinstance(data, dict):
            raise StoreError(f"{CONFIG} is broken", place=name, mend="run the study again to write it anew")
        try:
            made_with = json.loads((folder / PROVENANCE).read_text())
        except (OSError, ValueError):
            made_with = {}
        rows: Sequence[Row] = ()
        if (folder / RESULTS).is_file():
            results = Results(folder / RESULTS)
            rows = final_table(results) if results.fact("finished") else ()
            results.close()
        return cls(name, _unescaped(data), _versions(made_with), rows, made_with.get("tasks", {}))


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The keys in which two studies differ, those of one part of the study together."""
    one, other = dict(flatten(first)), dict(flatten(second))
    parts = list(dict.fromkeys([*first, *second]))
    found = []
    for location in sorted(dict.fromkeys([*one, *other]), key=lambda location: parts.index(str(location[0]))):
        values = one.get(location, ABSENT), other.get(location, ABSENT)
        if values[0] != values[1]:
            found.append(Difference(".".join(map(str, location)), *values, _changes(location, first, second)))
    return found


def flatten(data: Any, location: Location = ()) -> Iterator[tuple[Location, Any]]:
    """Every value in plain data with its location; a list without mappings is one value."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from flatten(value, (*location, key))
    elif isinstance(data, list) and any(isinstance(item, Mapping) for item in data):
        for number, item in enumerate(data):
            yield from flatten(item, (*location, number))
    else:
        yield location, data


def shown(value: Any) -> str:
    """A value on one line, as a study file may have it."""
    if isinstance(value, str):
        return value or "''"
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.strip().removesuffix("...").strip()


def _changes(location: Location, *studies: Mapping[str, Any]) -> str:
    """What a key changes in the results."""
    top = str(location[0])
    if top not in CHANGES:
        return NOTHING
    kinds: dict[Location, str] = {(key,): kind for key, kind in plugin_keys().items()}
    if location[:2] == ("tasks", "sources"):
        kinds[location[:3]] = "tasks"
    for where, kind in kinds.items():
        if location[: len(where)] == where and len(location) > len(where) and location[len(where)] != "type":
            fates = {_in_key(_at(study, (*where, "type")), kind, str(location[len(where)])) for study in studies}
            if fates == {False}:
                return NOTHING
            if None in fates and True not in fates:
                return UNKNOWN
    return CHANGES[top]


def _in_key(name: Any, kind: str, key: str) -> bool | None:
    """Whether a key of a plugin is part of what determines its results; None if the plugin is not here."""
    try:
        fields = find_plugin(kind, name).load().Config.model_fields
    except (Task2SimError, AttributeError, TypeError):
        return None
    return key in fields and not is_not_in_key(fields[key].json_schema_extra)


def _at(data: Any, location: Location) -> Any:
    for step in location:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _versions(made_with: Mapping[str, Any]) -> dict[str, str]:
    """What a run was made with, flat."""
    flat = {
        name: made_with[name] for name in ("task2sim", "python", "platform", "processor", "cpus") if name in made_with
    }
    for group in ("plugins", "libraries"):
        flat.update(made_with.get(group) or {})
    if git := made_with.get("git"):
        flat["source"] = git["commit"][:12] + (" with changes" if git["changed"] else "")
    return {name: str(value) for name, value in flat.items()}


def _unescaped(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _unescaped(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_unescaped(value) for value in data]
    return Interpolation(None).text(data, CONFIG) if isinstance(data, str) else data


def compare(first: Side, second: Side) -> dict[str, Any]:
    """Everything in which two runs or studies differ, as plain data.

    Returns:
        ``keys``: a list of `Difference` as mappings; ``versions`` and ``tasks``: for each name that differs, both
        values; ``seeds``: both; ``results``: if both are finished, for each method and task of either the mean score
        of both and how many pre-trainings stand behind it.
    """
    versions = _differing(first.made_with, second.made_with)
    both_known = first.tasks and second.tasks
    shared = [name for name in first.tasks if name in second.tasks]
    return {
        "keys": [attrs.asdict(difference) for difference in differences(first.study, second.study)],
        "versions": versions,
        "tasks": _differing(*({name: side.tasks[name] for name in shared} for side in (first, second)))
        if both_known
        else {},
        "seeds": [first.study.get("seed"), second.study.get("seed")],
        "results": _results(first, second),
    }


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, list[str]]:
    names = dict.fromkeys([*first, *second]) if first and second else {}
    pairs = {name: [first.get(name, ABSENT), second.get(name, ABSENT)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _results(first: Side, second: Side) -> list[dict[str, Any]]:
    """The numbers of both final tables; the rows of the two policies stand side by side."""
    if not first.rows or not second.rows:
        return []
    tables = [{_method(row.method): row for row in side.rows} for side in (first, second)]
    rows = []
    for method in dict.fromkeys([*tables[0], *tables[1]]):
        found = [table.get(method) for table in tables]
        columns = [
            {} if row is None else {**row.tasks, **{f"mean {k}": v for k, v in row.groups.items()}} for row in found
        ]
        for task in dict.fromkeys([*columns[0], *columns[1]]):
            cells = [column.get(task) for column in columns]
            rows.append(
                {
                    "method": method,
                    "task": task,
                    "scores": [None if cell is None else cell.mean for cell in cells],
                    "pretrainings": [0 if cell is None else cell.count for cell in cells],
                }
            )
    return rows


def _method(name: str) -> str:
    return "policy" if name.startswith("policy ") else name
