"""The rows of an ablation, and its cells: a row with a seed, which is one study."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from task2sim.ablation.file import AblationConfig, AblationFile
from task2sim.components import close_components
from task2sim.config import StudyFile, parse_study, set_key
from task2sim.errors import ConfigError, Task2SimError
from task2sim.interpolation import interpolate
from task2sim.progress import report_progress
from task2sim.store import hash_key
from task2sim.study import check_study

MANY_CELLS = 200
"""An ablation with more cells is taken for a mistake unless someone says otherwise."""

MOST_CELLS = 100_000
"""More are never spread out."""

BASE = "base"
"""Names the row in which nothing varies."""


@attrs.frozen
class Row:
    """One combination of levels.

    Attributes:
        levels: The label of each factor that is set; the others are as in the base.
    """

    levels: Mapping[str, str]

    @property
    def name(self) -> str:
        """How it is called: ``"policy=task2sim, pretrainings=small"``."""
        return ", ".join(f"{factor}={label}" for factor, label in self.levels.items()) or BASE


@attrs.frozen
class Cell:
    """One study of an ablation.

    Attributes:
        row: The combination of levels.
        seed: The study's seed.
        file: The study.
    """

    row: Row
    seed: int
    file: StudyFile

    @property
    def name(self) -> str:
        """How it is called: that of its row, with the seed."""
        return f"{self.row.name}, seed={self.seed}"


@attrs.frozen
class Plan:
    """What an ablation asks for.

    Attributes:
        file: The ablation.
        base: The base study as it is, with the first seed.
        rows: In the order of the file.
        cells: In the order they run: every row with the first seed, then with the second.
    """

    file: AblationFile
    base: StudyFile
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]


def count_rows(config: AblationConfig) -> int:
    """How many rows there are before any are left out; counts without making them."""
    lengths = [len(factor.levels) for factor in config.factors]
    if config.mode == "one-at-a-time":
        return 1 + sum(lengths)
    if config.mode == "zip":
        return lengths[0] if lengths else 1
    return math.prod(lengths)


def check_size(file: AblationFile, yes: bool = False) -> int:
    """Refuse an ablation that is larger than somebody may have meant.

    Args:
        file: The ablation.
        yes: Whether somebody meant it.

    Returns:
        How many cells there are, with those that are left out unless there are too many to tell.

    Raises:
        ConfigError: there are too many.
    """
    seeds = len(file.config.seeds)
    rows = count_rows(file.config)
    if rows * seeds <= MOST_CELLS:
        rows = len(plan_rows(file))
    cells = rows * seeds
    shown = f"this makes {cells:,} cells ({rows:,} rows x {seeds:,} {'seed' if seeds == 1 else 'seeds'})"
    if cells > MOST_CELLS:
        raise ConfigError(f"{shown}, more than {MOST_CELLS:,}", place=file.place("vary"), mend="vary less at a time")
    if cells > MANY_CELLS and not yes:
        raise ConfigError(
            f"{shown}, more than {MANY_CELLS}", place=file.place("vary"), mend="vary less, or give --yes to run them"
        )
    return cells


def plan_rows(file: AblationFile) -> tuple[Row, ...]:
    """The rows of an ablation.

    Raises:
        ConfigError: something is left out that is not there, or nothing is left, or the baseline is not there.
    """
    config = file.config
    every = [Row(levels) for levels in _combinations(config)]
    problems = []
    out: set[str] = set()
    for number, entry in enumerate(config.exclude):
        labels = config.labels(entry)
        matched = {row.name for row in every if _matches(row, labels)}
        if not matched:
            problems.append(f"{file.place('exclude', number)}: exclude.{number}: no row has {_shown(labels)}")
        out |= matched
    rows = tuple(row for row in every if row.name not in out)
    names = [row.name for row in rows]
    if (same := next((name for number, name in enumerate(names) if name in names[:number]), None)) is not None:
        problems.append(f"{file.place('vary')}: vary: two rows are called '{same}'; give levels other labels")
    if not rows:
        problems.append(f"{file.place('exclude')}: exclude: no row is left")
    elif config.baseline is not None:
        labels = config.labels(config.baseline)
        if not any(_matches(row, labels) for row in rows):
            problems.append(f"{file.place('baseline')}: baseline: no row has {_shown(labels)}")
    if problems:
        raise ConfigError("\n".join(problems))
    return rows


def _combinations(config: AblationConfig) -> Iterator[dict[str, str]]:
    names = [factor.name for factor in config.factors]
    labels = [[level.label for level in factor.levels] for factor in config.factors]
    if config.mode == "one-at-a-time":
        yield {}
        for name, of_one in zip(names, labels, strict=True):
            yield from ({name: label} for label in of_one)
        return
    combine: Callable[..., Any] = itertools.product if config.mode == "grid" or not names else zip
    for combination in combine(*labels):
        yield dict(zip(names, combination, strict=True))


def _matches(row: Row, labels: Mapping[str, str]) -> bool:
    return labels.items() <= row.levels.items()


def _shown(labels: Mapping[str, str]) -> str:
    return Row(labels).name


def make_plan(file: AblationFile, check: bool = True) -> Plan:
    """The cells of an ablation, each study validated, and each row checked as `task2sim validate` does.

    Args:
        file: The ablation.
        check: Whether tasks and plugins are loaded; without, mistakes in them show when a cell runs.

    Raises:
        ConfigError: something is wrong; the mistakes of all rows are listed.
    """
    rows = plan_rows(file)
    seeds = file.config.seeds
    problems = _Problems()
    first = {}
    for row in rows:
        with problems:
            first[row.name] = study_of(file, row, seeds[0])
    problems.raise_them()
    _check_different(file, first)
    base = first[BASE] if BASE in first else _base_of(file, rows[0], first[rows[0].name])
    if check:
        try:
            for number, row in enumerate(rows):
                with problems:
                    check_study(first[row.name])
                report_progress("check", number + 1, len(rows), "rows")
        finally:
            close_components()
        problems.raise_them()
    cells = tuple(
        Cell(row, seed, first[row.name] if seed == seeds[0] else study_of(file, row, seed))
        for seed in seeds
        for row in rows
    )
    return Plan(file, base, rows, cells)


def study_of(file: AblationFile, row: Row, seed: int) -> StudyFile:
    """The study of a row and a seed: the base with the row's levels, as ``--set`` would write them.

    Raises:
        ConfigError: the study is wrong.
    """
    data, places = copy.deepcopy(file.base), dict(file.base_places)
    for factor in file.config.factors:
        if factor.name in row.levels:
            level = factor.level(row.levels[factor.name])
            below = file.places_below("vary", factor.name, level.step)
            set_key(data, places, factor.keys, copy.deepcopy(level.value), below)
    number = file.config.seeds.index(seed)
    set_key(data, places, ["seed"], seed, file.places_below("seeds", number))
    source = places[()].rsplit(":", 2)[0] if isinstance(file.config.study, dict) else places[()]
    return parse_study(interpolate(data, places, source, seed), places, source)


def _base_of(file: AblationFile, row: Row, study: StudyFile) -> StudyFile:
    """The base study; where it is none by itself, since it lacks something that varies, that of the first row."""
    try:
        return study_of(file, Row({}), file.config.seeds[0])
    except ConfigError:
        return study


def _check_different(file: AblationFile, studies: Mapping[str, StudyFile]) -> None:
    """Refuse two rows that are the same study."""
    earlier: dict[str, str] = {}
    for name, study in studies.items():
        data = study.study.model_dump(mode="json", exclude={"name", "observers"})
        if (same := earlier.setdefault(hash_key(data), name)) != name:
            raise ConfigError(
                f"rows '{same}' and '{name}' are the same study",
                place=file.place("vary"),
                mend="leave one of them out",
            )


class _Problems:
    """Gathers what is wrong, to say all of it at once; what is wrong with a field is told once."""

    def __init__(self) -> None:
        self.errors: list[Task2SimError] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Task2SimError):
            self.errors.append(error)
            return True
        return False

    def raise_them(self) -> None:
        """Raise what was gathered, if anything was."""
        if not self.errors:
            return
        if len({str(error) for error in self.errors}) == 1:
            raise self.errors[0]
        lines: dict[str, str] = {}
        for line in itertools.chain.from_iterable(str(error).splitlines() for error in self.errors):
            lines.setdefault(line.partition(": ")[2] or line, line)
        problem = ConfigError("\n".join(lines.values()))
        problem.details = "\n".join(dict.fromkeys(error.details for error in self.errors if error.details))
        raise problem
