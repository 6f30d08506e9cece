"""What a reward table holds, read from the authors' published file or from task2sim's own format."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import attrs
import pydantic

from task2sim import TASK2SIM_PARAMETERS, Choice, ParameterError, ParameterSetting, ParameterSpace, TaskError
from task2sim.parameters import Parameter, parse_parameter
from task2sim_tables.strict_json import parse_json

FORMAT = "task2sim table"
VERSION = 1

TABLE = "table.json"
EMBEDDINGS = "embeddings.npz"
PUBLISHED_TABLE = "reward_db.json"
PUBLISHED_EMBEDDINGS = "task_embeddings.npz"

_PUBLISHED_ORDER = (
    "background",
    "focus_blur",
    "light_colour",
    "light_direction",
    "light_intensity",
    "materials",
    "camera_angle",
    "object_rotation",
    "camera_distance",
)
"""What the nine integers of a published setting stand for."""

_PUBLISHED_VALUES = {"camera_angle": {"0": 0}, "materials": {"1": 0, "3": 1}}
"""How the published integers read as toggles, where it is not as they stand."""


@attrs.frozen(eq=False)
class Contents:
    """Known scores, complete and checked.

    Attributes:
        space: The parameters; restricted to the table's settings unless these are all combinations.
        metric: What the scores measure. Accuracies are fractions in [0, 1].
        rows: For each setting, its place in the rows of scores.
        scores: For each split, ``"val"`` and perhaps ``"test"``, and each task, one finite number a setting.
        embeddings: Name of the file beside the table that holds the embeddings.
    """

    space: ParameterSpace
    metric: str
    rows: Mapping[ParameterSetting, int]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]
    embeddings: str

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks' names."""
        return tuple(self.scores["val"])


def parse_table(text: bytes, file: Path) -> Contents:
    """Read a table in either format.

    Args:
        text: The file's bytes.
        file: Its name, for messages.

    Raises:
        TaskError: the text is no table, or the table is not complete.
    """
    data = parse_json(text, file)
    if isinstance(data, dict) and data.get("format") == FORMAT:
        return _own(data, file)
    if isinstance(data, dict) and all(isinstance(row, dict) for row in data.values()):
        return _published(data, file)
    raise TaskError(
        "this is no reward table",
        place=str(file),
        mend=f"name the published {PUBLISHED_TABLE}, or a folder that 'task2sim table export' wrote",
    )


# --- the published format ---


def _published(data: Mapping[str, Mapping[str, Any]], file: Path) -> Contents:
    """{task: {"0_0_1_0_0_3_0_1_0": accuracy in percent}}."""
    settings: dict[str, ParameterSetting] = {}
    for task, row in data.items():
        for key in row.keys() - settings.keys():
            settings[key] = _published_setting(key, task, file)
    if not settings:
        _refuse(file, "the table is empty", "name a file with scores")
    keys = sorted(settings)
    scores = {task: _cells([row.get(key) for key in keys], task, keys, 100.0, file) for task, row in data.items()}
    if all(value <= 1 for row in scores.values() for value in row):
        _refuse(file, "no score is above 1, so these seem to be fractions", "write percent in this format")
    fractions = {task: tuple(value / 100 for value in row) for task, row in scores.items()}
    space, rows = _space_of(TASK2SIM_PARAMETERS, [settings[key] for key in keys])
    return Contents(space, "accuracy", rows, {"val": fractions}, PUBLISHED_EMBEDDINGS)


def _published_setting(key: str, task: str, file: Path) -> ParameterSetting:
    values: dict[str, int] = {}
    numbers = key.split("_")
    for name, number in zip(_PUBLISHED_ORDER, numbers, strict=False):
        known = _PUBLISHED_VALUES.get(name, {"0": 0, "1": 1})
        if number in known:
            values[name] = known[number]
    if not len(values) == len(numbers) == len(_PUBLISHED_ORDER):
        _refuse(
            file,
            f"task {task!r} has a score of the unknown setting {key!r}",
            "write nine integers joined by '_': the sixth (materials) 1 or 3, the seventh 0, the others 0 or 1",
        )
    del values["camera_angle"]
    return TASK2SIM_PARAMETERS.setting(values)


# --- task2sim's own format ---


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


_Name = Annotated[str, pydantic.Field(min_length=1)]


class _Scores(_Strict):
    val: dict[str, list[Any]]
    test: dict[str, list[Any]] | None = None


class _File(_Strict):
    """The outline of ``table.json``; what is in it is checked where its place can be named."""

    format: Literal["task2sim table"]
    version: Literal[1]
    metric: _Name
    source: dict[str, Any]
    parameters: list[dict[str, Any]]
    settings: list[dict[str, int | float | str]]
    tasks: list[_Name]
    scores: _Scores


def _own(data: Mapping[str, Any], file: Path) -> Contents:
    if data.get("version") != VERSION:
        _refuse(
            file,
            f"this table has version {_short(data.get('version'))}, this task2sim reads version {VERSION}",
            "update task2sim, or export the table anew",
        )
    try:
        outline = _File.model_validate(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ": ".join(str(part) for part in first["loc"])
        _refuse(file, f"{where}: {first['msg']}", "export the table anew")
    if not (outline.tasks and outline.settings and outline.parameters):
        _refuse(file, "the table is empty", "it needs parameters, settings and tasks")
    for number, task in enumerate(outline.tasks):
        if task in outline.tasks[:number]:
            _refuse(file, f"task {task!r} is listed twice", "leave one out")
    full = _full_space([_parameter(item, number, file) for number, item in enumerate(outline.parameters)], file)
    settings = [_setting(values, number, full, file) for number, values in enumerate(outline.settings)]
    space, rows = _space_of(full, settings)
    if len(rows) < len(settings):
        twice = next(setting for number, setting in enumerate(settings) if setting in settings[:number])
        _refuse(file, f"setting '{twice.label}' is listed twice", "leave one out, with its scores")
    scores = {"val": _split("val", outline.scores.val, outline, settings, file)}
    if outline.scores.test is not None:
        scores["test"] = _split("test", outline.scores.test, outline, settings, file)
    return Contents(space, outline.metric, rows, scores, EMBEDDINGS)


def _parameter(item: dict[str, Any], number: int, file: Path) -> Parameter:
    try:
        parameter = parse_parameter(item)
        parameter.check(parameter.default)
        texts = [parameter.name, *(parameter.choices if isinstance(parameter, Choice) else ())]
        if not all(isinstance(text, str) and text for text in texts) or isinstance(item.get("choices"), str):
            raise TypeError("names and choices are texts")
    except (KeyError, TypeError, ValueError, ParameterError) as error:
        reason = f"unknown {error}" if isinstance(error, KeyError) else str(error)
        _refuse(file, f"parameter {number + 1} can't be read: {reason}", "export the table anew")
    return parameter


def _full_space(parameters: list[Parameter], file: Path) -> ParameterSpace:
    try:
        return ParameterSpace(parameters)
    except ParameterError as error:
        _refuse(file, error.message, error.mend or "give each parameter a name of its own")


def _setting(values: Mapping[str, Any], number: int, space: ParameterSpace, file: Path) -> ParameterSetting:
    for name in space.names:
        if name not in values:
            _refuse(file, f"setting {number + 1} has no value of parameter {name!r}", "give each setting all of them")
    try:
        return space.setting(values)
    except ParameterError as error:
        _refuse(file, f"setting {number + 1}: {error.message}", error.mend)


def _split(
    split: str, given: Mapping[str, list[Any]], outline: _File, settings: list[ParameterSetting], file: Path
) -> dict[str, tuple[float, ...]]:
    """The scores of a split, in the order of the tasks."""
    for task in given:
        if task not in outline.tasks:
            _refuse(file, f"{split} scores of {task!r}, which is not among the tasks", "list it, or leave it out")
    labels = [setting.label for setting in settings]
    highest = 1.0 if outline.metric == "accuracy" else math.inf
    scores = {}
    for task in outline.tasks:
        row = given.get(task)
        if row is None:
            _refuse(file, f"task {task!r} has no {split} scores", "add them, or leave the task out")
        if len(row) != len(settings):
            _refuse(
                file, f"task {task!r} has {len(row)} {split} scores of {len(settings)} settings", "give one a setting"
            )
        scores[task] = _cells(row, task, labels, highest, file)
    return scores


# --- both ---


def _space_of(
    full: ParameterSpace, settings: list[ParameterSetting]
) -> tuple[ParameterSpace, dict[ParameterSetting, int]]:
    """The space of these settings, and the first place of each."""
    rows: dict[ParameterSetting, int] = {}
    for setting in settings:
        rows.setdefault(setting, len(rows))
    return (full if len(rows) == full.size else ParameterSpace(full, settings)), rows


def _cells(row: list[Any], task: str, settings: list[str], highest: float, file: Path) -> tuple[float, ...]:
    """A task's scores, if each is a finite number; accuracies, whose `highest` is finite, are not negative."""
    cells = []
    for value, setting in zip(row, settings, strict=True):
        where = f"task {task!r}, setting '{setting}'"
        if value is None:
            _refuse(file, f"{where}: there is no score", "add it, or leave the task or the setting out")
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            _refuse(file, f"{where}: the score is no number", "correct it")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            _refuse(file, f"{where}: the score is not finite", "correct it, or leave the task or the setting out")
        if math.isfinite(highest) and not 0 <= number <= highest:
            percent = "accuracies are percent here" if highest == 100 else "accuracies are fractions here, no percent"
            _refuse(file, f"{where}: {number:g} is not from 0 to {highest:g}", percent)
        cells.append(number)
    return tuple(cells)


def _short(value: Any) -> str:
    return str(value) if isinstance(value, (int, float)) else json.dumps(value)[:20]


def _refuse(file: Path, message: str, mend: str) -> NoReturn:
    raise TaskError(message, place=str(file), mend=mend)
