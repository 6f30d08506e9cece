"""report.html of an ablation: one self-contained file in which a reader filters, sorts and compares."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from task2sim_report.ablation.content import FAILED, FINISHED, MISSING, POLICY, AblationContent, AblationRow, Flag
from task2sim_report.ablation.illustrations import Illustration, row_labels
from task2sim_report.ablation.statistics import Comparison, Interval, Statistics, Summary
from task2sim_report.ablation.tables import main_sheet
from task2sim_report.report import STYLE, duration, flat

HERE = Path(__file__).parent
RESOLVED, PROVENANCE = "ablation.resolved.yaml", "provenance.json"


def render_page(folder: Path, content: AblationContent, statistics: Statistics, shown: Sequence[Illustration]) -> str:
    """The page as HTML; the same input gives the same text.

    Args:
        folder: The ablation's; its resolved file and its provenance are shown if they are there.
        content: What is known.
        statistics: What it says.
        shown: The figures.
    """
    from jinja2 import Environment, StrictUndefined

    script = (HERE / "page.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(duration=duration, count=lambda number: f"{number:,}")
    states = Counter(cell.state for cell in content.cells)
    return environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8")).render(
        content=content,
        facts=content.facts,
        answers=[answer(content, statistics, role) for role in content.roles],
        labels=row_labels(content),
        # The warnings, and what the statistics add to them.
        notes=main_sheet(content, statistics).notes,
        states=[(state, states[state]) for state in (FINISHED, FAILED, MISSING) if states[state]],
        failed=[cell for cell in content.cells if cell.state != FINISHED],
        finished=[cell for cell in content.cells if cell.state == FINISHED],
        versions=_versions(content),
        figures=shown,
        data=as_script(page_data(content, statistics)),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=STYLE.read_text(encoding="utf-8") + (HERE / "page.css").read_text(encoding="utf-8"),
        folder_name=folder.resolve().name,
        resolved=_read(folder / RESOLVED),
        provenance=flat(json.loads(_read(folder / PROVENANCE) or "{}")),
    )


def answer(content: AblationContent, statistics: Statistics, role: str) -> str:
    """Which row did best on the tasks of a role, in a sentence or two that claim nothing beyond the statistics."""
    labels = row_labels(content)
    every = [one for one in statistics.summaries if one.role == role and one.pairs]
    ranked = sorted((one for one in every if one.is_complete), key=lambda one: -one.mean)
    tasks = len({task for row in content.rows for task, _ in content.pairs(row.name, role)})
    where = f"On {tasks} {role} task{'s' * (tasks != 1)}"
    if not ranked:
        return f"{where} no row has a result for every task and seed, so none is called the best."
    best = ranked[0]
    number = f"{_percent(best.mean)} {content.metric} (n = {best.pairs})"
    if len(every) == 1:
        return f"{where}, {labels[best.row]} reached {number}."
    text = f"{where}, {labels[best.row]} reached the most: {number}"
    if len(ranked) < len(every):
        text += f", of the {len(ranked)} rows that have all results"
    comparison = statistics.comparison(best.row, role)
    if comparison is None or not comparison.pairs:
        is_baseline = content.is_baseline(content.row(best.row))
        return f"{text}. {'No row did better than this baseline' if is_baseline else 'It has no baseline'}."
    gap = f"{100 * comparison.difference:+.1f} points".replace("-", "−")
    if comparison.interval.is_known:
        gap += f" [{_points(comparison.interval.low)}, {_points(comparison.interval.high)}]"
    if comparison.p_holm is None:
        judged = comparison.why
    else:
        verdict = "significant at 5 %" if comparison.is_significant else "not significant: it may be chance"
        judged = f"p {_p(comparison.p_holm)} after Holm's correction, {verdict}"
    return f"{text}. That is {gap} against {labels[comparison.baseline]}; {judged}."


def page_data(content: AblationContent, statistics: Statistics) -> dict[str, Any]:
    """What the page's script works on, as plain data."""
    labels = row_labels(content)
    methods = (POLICY, *content.methods)
    row_number = {row.name: number for number, row in enumerate(content.rows)}
    cell_number = {(cell.row, cell.seed): number for number, cell in enumerate(content.cells)}
    task_number = {task.name: number for number, task in enumerate(content.tasks)}
    method_number = {method: number for number, method in enumerate(methods)}

    def of_row(row: AblationRow) -> dict[str, Any]:
        baseline = None if content.is_baseline(row) else content.baseline_of(row)
        return {
            "name": row.name,
            "label": labels[row.name],
            "levels": [row.levels.get(factor.name) for factor in content.factors],
            "baseline": None if baseline is None else row_number[baseline.name],
            "isBaseline": content.is_baseline(row),
            "notes": _notes(content, [flag for flag in content.flags if flag.row == row.name]),
            "statistics": {role: _of_role(statistics, row.name, role) for role in content.roles},
        }

    return {
        "metric": content.metric,
        "roles": list(content.roles),
        "factors": [
            {"name": factor.name, "levels": [level.label for level in factor.levels]} for factor in content.factors
        ],
        "seeds": list(content.seeds),
        "tasks": [task.name for task in content.tasks],
        "methods": list(methods),
        "rows": [of_row(row) for row in content.rows],
        "cells": [
            {
                "row": row_number[cell.row],
                "seed": cell.seed,
                "state": cell.state,
                "run": cell.run,
                "pretrainings": cell.pretrainings,
                "made": cell.pretrained,
                "seconds": cell.wall_seconds,
                "notes": _notes(
                    content, [flag for flag in content.flags if (flag.row, flag.seed) == (cell.row, cell.seed)]
                ),
            }
            for cell in content.cells
        ],
        "scores": [
            [
                cell_number[score.row, score.seed],
                task_number[score.task],
                method_number[score.method],
                content.roles.index(score.role),
                score.value,
            ]
            for score in content.scores
        ],
    }


def as_script(data: Any) -> str:
    """JSON that may stand in a script element, whatever names it holds: no ``<``, so no ``</script>``."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _of_role(statistics: Statistics, row: str, role: str) -> dict[str, Any]:
    own: Summary = statistics.summary(row, role)
    found: dict[str, Any] = {
        "n": own.pairs,
        "complete": own.is_complete,
        "mean": _number(own.mean),
        "iqm": _number(own.iqm),
        "interval": _ends(own.interval),
    }
    if regret := statistics.regret(row, role):
        found["regret"] = _number(regret.mean)
    comparison: Comparison | None = statistics.comparison(row, role)
    if comparison is not None:
        found["comparison"] = {
            "n": comparison.pairs,
            "units": comparison.units,
            "unit": comparison.unit,
            "difference": _number(comparison.difference),
            "interval": _ends(comparison.interval),
            "improvement": _number(comparison.improvement),
            "effect": _number(comparison.effect),
            "p": _number(comparison.p_value),
            "holm": _number(comparison.p_holm),
            "wilcoxon": _number(comparison.p_wilcoxon),
            "significant": comparison.is_significant,
            "why": comparison.why,
        }
    return found


def _notes(content: AblationContent, flags: Sequence[Flag]) -> list[int]:
    """Numbers of the warnings that say the same; they are the first notes of the page."""
    return sorted({content.warnings.index(flag.text) + 1 for flag in flags})


def _versions(content: AblationContent) -> list[tuple[str, list[tuple[str, int]]]]:
    """For each thing that has a version, the versions with which cells were made, and how many."""
    found: dict[str, Counter[str]] = {}
    for cell in content.cells:
        for name, version in cell.versions.items():
            found.setdefault(name, Counter())[version] += 1
    return [(name, sorted(found[name].items(), key=lambda item: (-item[1], item[0]))) for name in sorted(found)]


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _ends(interval: Interval) -> list[float | None] | None:
    return [_number(interval.low), _number(interval.high)] if interval.is_known else None


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %".replace(" ", "\N{NO-BREAK SPACE}")


def _points(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
