"""The answer of a study in sentences, computed from its final table."""

from __future__ import annotations

import math

from task2sim.summary import Cell, Row
from task2sim_report.content import ORACLE, Content, listed

ENOUGH = 5
"""Pre-trainings from which a spread says something. Of two equal methods with two pre-trainings each, one is ahead of
the other by more than the larger deviation a third of the time."""


def answer(content: Content) -> list[str]:
    """One paragraph for the unseen tasks and one for the seen ones, the more important first.

    Nothing is claimed that the table does not show: a difference no larger than the larger of the two standard
    deviations is called one within the spread.
    """
    return [
        " ".join(filter(None, (_numbers(content, role), _verdict(content, role), _bound(content, role))))
        for role in ("unseen", "seen")
        if role in content.table[0].groups
    ]


def _rows(content: Content, role: str) -> tuple[Row, list[Row]]:
    """The policy's row and those of its rivals."""
    first, *others = (row for row in content.table if role in row.groups and row.method != ORACLE)
    return first, others


def _numbers(content: Content, role: str) -> str:
    tasks = content.of_role(role)
    first, others = _rows(content, role)
    own = first.groups[role]
    where = f"the {role} task {tasks[0].name}" if len(tasks) == 1 else f"the {len(tasks)} {role} tasks (mean)"
    predicted = "the predicted setting" if len(tasks) == 1 else "the settings predicted for them"
    text = f"On {where}, {predicted} reached {_percent(own)} {content.metric}"
    text += "" if content.is_looked_up else f" ({_pretrainings(own.count)})"
    unit = " settings" if content.is_looked_up else ""
    rest = [
        f"{row.method} {_percent(row.groups[role])}"
        + ("" if row.groups[role].count == own.count else f" ({row.groups[role].count}{unit})")
        for row in others
    ]
    return f"{text}; {listed(rest)}." if rest else f"{text}."


def _verdict(content: Content, role: str) -> str:
    first, others = _rows(content, role)
    if not others:
        return ""
    rival = max(others, key=lambda row: row.groups[role].mean)
    own, best = first.groups[role], rival.groups[role]
    if own.mean == best.mean:
        return f"That equals {rival.method}, the best of the others."
    gap = abs(own.mean - best.mean)
    points = f"{100 * gap:.1f} points"
    spreads = [cell.deviation for cell in (own, best) if not math.isnan(cell.deviation)]
    if content.is_looked_up:
        judged = "a table with one score a setting tells nothing of the spread between pre-trainings"
    elif not spreads:
        judged = "with one pre-training each there is no spread to judge this difference by"
    elif gap <= max(spreads):
        judged = "the difference is within the spread, so this run does not tell the two apart"
    elif min(own.count, best.count) < ENOUGH:
        judged = f"with {min(own.count, best.count)} pre-trainings it may still be chance"
    else:
        judged = f"the difference is larger than the spread of pre-trainings ({100 * max(spreads):.1f} points)"
    if own.mean > best.mean:
        return f"That is the best of all, {points} above {rival.method}; {judged}."
    return f"It did not win: {rival.method} reached {points} more; {judged}."


def _bound(content: Content, role: str) -> str:
    for row in content.table:
        if row.method == ORACLE and role in row.groups:
            return f"The best settings in the table would reach {_percent(row.groups[role])}."
    return ""


def _percent(cell: Cell) -> str:
    return f"{cell.percent()} %".replace(" ", "\N{NO-BREAK SPACE}")


def _pretrainings(count: int) -> str:
    return f"{count} pre-training{'' if count == 1 else 's'}"
