"""report.html: one self-contained file, made from a run folder alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from task2sim import StoreError
from task2sim.learned import CONFIG
from task2sim.run import PROVENANCE
from task2sim.summary import Cell
from task2sim_report import figures
from task2sim_report.answer import answer
from task2sim_report.content import ORACLE, Content, TaskFacts, listed, read_content
from task2sim_report.content import Cell as Shown
from task2sim_report.samples import Samples, Strip, read_samples

TEMPLATE = Path(__file__).parent / "report.html.j2"
STYLE = Path(__file__).parent / "report.css"


def write_report(run_folder: Path, target: Path) -> None:
    """Write the report of a finished run; the same folder gives the same bytes.

    Args:
        run_folder: Holds ``results.sqlite``, ``config.resolved.yaml``, ``provenance.json`` and maybe ``samples/``.
        target: The file to write, whole or not at all.

    Raises:
        StoreError: it is no run folder, the run is not finished, or the file can't be written.
    """
    write_whole(target, render_report(run_folder).encode())


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreError: it can't be written.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise StoreError(
            f"can't write the report: {error.strerror or error}", place=str(target), mend="choose another with --out"
        ) from error


def render_report(run_folder: Path) -> str:
    """The report of a finished run, as HTML.

    Raises:
        StoreError: it is no run folder, or the run is not finished.
    """
    from jinja2 import Environment, StrictUndefined

    content = read_content(run_folder)
    samples = read_samples(run_folder)
    config = _read(run_folder / CONFIG)
    provenance = flat(json.loads(_read(run_folder / PROVENANCE)))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(duration=duration, count=lambda number: f"{number:,}", listed=listed)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        content=content,
        facts=content.facts,
        style=STYLE.read_text(encoding="utf-8"),
        study=yaml.safe_load(config),
        answer=answer(content),
        columns=_columns(content),
        table=_table(content),
        choices=_choices(content),
        samples=samples,
        pictures=_pictures(content, samples),
        task_bars=_task_bars(content),
        learned=_heat_map(content, content.learned if content.has_probabilities or not content.effects else {}),
        effects=_heat_map(content, content.effects),
        curve=figures.search_curve(content.search, None) if content.search else "",
        task_curves=_task_curves(content),
        distance_map=_distance_map(content),
        config=config,
        provenance=provenance,
        study_file=Path(content.facts["source"]).name,
        run_name=run_folder.resolve().name,
        finite=math.isfinite(content.settings_in_all),
    )


def duration(seconds: float) -> str:
    """Seconds for people: ``"4 min 12 s"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@attrs.frozen
class Column:
    """A column of the answer's table: a method, and what stands behind its numbers."""

    method: str
    note: str


@attrs.frozen
class TableRow:
    """A row of the answer's table: for each method its text, and whether it is the best; the oracle is no rival."""

    title: str
    note: str
    is_unseen: bool
    is_mean: bool
    cells: list[tuple[str, bool]]


@attrs.frozen
class Choice:
    """What the policy chose for a task, and what a reward table holds for it; scores are in percent."""

    task: TaskFacts
    setting: str
    score: str
    best_setting: str
    best_score: str


@attrs.frozen
class Pictures:
    """A row of pictures; no strip if the store had lost them."""

    title: str
    is_predicted: bool
    words: str
    strip: Strip | None


def _columns(content: Content) -> list[Column]:
    columns = []
    for row in content.table:
        counts = sorted({cell.count for cell in row.tasks.values()})
        count = "–".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
        if content.is_looked_up:
            columns.append(Column(row.method, "" if count == "1" else f"{count} settings"))
        else:
            columns.append(Column(row.method, f"n = {count}"))
    return columns


def _table(content: Content) -> list[TableRow]:
    rows = []
    for task in content.tasks:
        note = "" if task.test is None else f"{task.test:,} images"
        scores = [row.tasks.get(task.name) for row in content.table]
        rows.append(TableRow(task.name, note, task.role == "unseen", False, _cells(content, scores)))
    for role in content.table[0].groups:
        number = len(content.of_role(role))
        if number > 1:
            scores = [row.groups.get(role) for row in content.table]
            cells = _cells(content, scores)
            rows.append(TableRow(f"mean of {role}", f"{number} tasks", role == "unseen", True, cells))
    return rows


def _cells(content: Content, scores: list[Cell | None]) -> list[tuple[str, bool]]:
    rivals = [row.method != ORACLE for row in content.table]
    best = max(score.mean for score, rival in zip(scores, rivals, strict=True) if score and rival)
    return [
        (score.percent(), rival and score.mean == best) if score else ("", False)
        for score, rival in zip(scores, rivals, strict=True)
    ]


def _choices(content: Content) -> list[Choice]:
    """What was chosen beside what would have been best; empty unless a reward table tells."""
    methods = {row.method: row for row in content.table}
    if ORACLE not in methods:
        return []
    return [
        Choice(
            task,
            content.words[content.predictions[task.name]],
            content.table[0].tasks[task.name].percent(),
            content.words[content.oracle[task.name]],
            methods[ORACLE].tasks[task.name].percent(),
        )
        for task in content.tasks
    ]


def _pictures(content: Content, samples: Samples) -> list[Pictures]:
    rows: dict[str, Pictures] = {}
    for shown in content.pictured:
        if shown.tasks:
            title = f"predicted for {listed(list(shown.tasks))}"
        else:
            number = content.settings_of[shown.method]
            title = shown.method if number == 1 else f"{shown.method}: one of {number}"
        if earlier := rows.get(shown.key):
            rows[shown.key] = attrs.evolve(earlier, title=f"{earlier.title}; also {title}")
        else:
            strip = samples.settings.get(shown.key)
            rows[shown.key] = Pictures(title, bool(shown.tasks), content.words[shown.key], strip)
    return list(rows.values())


def _task_bars(content: Content) -> dict[str, str]:
    cells = [cell for row in content.table for cell in row.tasks.values()]
    limit = max(cell.mean + (0.0 if math.isnan(cell.deviation) else cell.deviation) for cell in cells) or 1.0
    return {
        task.name: figures.task_bars(
            [(row.method, row.tasks[task.name]) for row in content.table if task.name in row.tasks], limit
        )
        for task in content.tasks
    }


def _task_curves(content: Content) -> dict[str, str]:
    seen = content.of_role("seen") if content.search else []
    return {task.name: figures.search_curve(content.search, task.name) for task in seen}


def _heat_map(content: Content, cells: Mapping[str, Sequence[Shown]]) -> str:
    if not cells:
        return ""
    tasks = [task.name for task in content.tasks]
    return figures.heat_map(tasks, content.parameters, [cells[task] for task in tasks], _unseen(content))


def _distance_map(content: Content) -> str:
    if len(content.tasks) < 2 or not content.distances:
        return ""
    return figures.distance_map([task.name for task in content.tasks], content.distances, _unseen(content))


def _unseen(content: Content) -> set[str]:
    return {task.name for task in content.of_role("unseen")}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"can't read the run folder: {error.strerror or error}", place=str(path), mend="run the study again"
        ) from error


def flat(data: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested plain data as (name, text) pairs."""
    if isinstance(data, dict):
        return [pair for key, value in data.items() for pair in flat(value, f"{name} {key}".strip())]
    return [(name, "" if data is None else str(data))]
