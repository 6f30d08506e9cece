"""The answer of a study: its final table, computed from results.sqlite alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import attrs

from task2sim.results import Results


@attrs.frozen
class Cell:
    """One number of the final table.

    Attributes:
        mean: Mean score.
        deviation: Standard deviation over the pre-trainings (n - 1 in the denominator); NaN with fewer than two.
        count: How many pre-trainings stand behind it.
    """

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Cell:
        """Summarise some scores, one or more."""
        mean = math.fsum(values) / len(values)
        if len(values) < 2:
            return cls(mean, math.nan, len(values))
        return cls(mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)), len(values))

    def percent(self) -> str:
        """As text: ``"81.3 ± 0.4"``."""
        spread = "" if math.isnan(self.deviation) else f" ± {100 * self.deviation:.1f}"
        return f"{100 * self.mean:.1f}{spread}"


@attrs.frozen
class Row:
    """What one method reached.

    Attributes:
        method: Its name.
        tasks: For each task, the score on its test images.
        groups: For ``"seen"`` and ``"unseen"``, the mean over their tasks; the deviation is that of this mean.
    """

    method: str
    tasks: dict[str, Cell]
    groups: dict[str, Cell]


def final_table(results: Results) -> list[Row]:
    """The final table, one row a method, in the order of the comparison."""
    roles = {row["name"]: row["role"] for row in results.query("SELECT name, role FROM tasks ORDER BY position")}
    found = results.query(
        "SELECT c.method, c.task, c.setting, c.replicate, s.value FROM comparison c JOIN scores s"
        " ON s.phase = 'comparison' AND s.setting = c.setting AND s.replicate = c.replicate AND s.task = c.task"
        " ORDER BY c.position, c.rowid"
    )
    by_task: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        by_task[row["method"]][row["task"]].append(row["value"])
    rows = []
    for method, tasks in by_task.items():
        groups = {}
        for role in ("seen", "unseen"):
            members = [tasks[task] for task in roles if roles[task] == role and task in tasks]
            if members:
                # The k-th pre-trainings of all tasks belong together: they share their seeds.
                groups[role] = Cell.of([math.fsum(values) / len(values) for values in zip(*members, strict=True)])
        rows.append(Row(method, {task: Cell.of(tasks[task]) for task in roles if task in tasks}, groups))
    return rows
