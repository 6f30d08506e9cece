"""What trackers are told of a study, whichever tracker it is."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from task2sim import PluginError

if TYPE_CHECKING:
    from task2sim.run import Run
    from task2sim.trial import Trial


def require_extra(tracker: str, *modules: str) -> None:
    """Refuse to begin without the tracker's own libraries; none is imported.

    Raises:
        PluginError: one is missing.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise PluginError(
                f"observer {tracker!r} needs {module!r}, which is not installed",
                mend="pip install 'task2sim[tracking]'",
            )


class Curves:
    """The numbers of a study as curves over the count of pre-trainings.

    The search is counted on its own, so that its curves don't depend on whether a probe was made.
    """

    def __init__(self) -> None:
        self._search = 0
        self._compared = 0
        self._best: dict[str, float] = {}

    @property
    def tried(self) -> int:
        """How many settings the search has tried."""
        return self._search

    def points(self, trial: Trial) -> tuple[int, dict[str, float]]:
        """The step that a trial is, and its numbers by name."""
        scores = {task: score.value for task, score in trial.scores.items()}
        if trial.phase == "search":
            self._search += 1
            step = self._search
        elif trial.phase == "comparison":
            self._compared += 1
            step = self._compared
        else:
            step = 1
        numbers: dict[str, float] = {}
        for task, value in scores.items():
            numbers[f"{trial.phase}/score/{task}"] = value
            if trial.phase == "search":
                self._best[task] = max(value, self._best.get(task, -math.inf))
                numbers[f"search/best/{task}"] = self._best[task]
        if scores:
            numbers[f"{trial.phase}/score of all"] = math.fsum(scores.values()) / len(scores)
        if trial.phase == "search":
            numbers["search/best of all"] = math.fsum(self._best.values()) / len(self._best)
        for stage, seconds in trial.seconds.items():
            numbers[f"{trial.phase}/seconds/{stage}"] = seconds
        return step, numbers


def final_numbers(run: Run) -> dict[str, float]:
    """The final table by name: the mean score of each method on each task and group of tasks."""
    from task2sim.summary import final_table

    return {
        f"final/{row.method}/{name}": cell.mean
        for row in final_table(run.results)
        for name, cell in [*row.tasks.items(), *((f"{role} tasks", cell) for role, cell in row.groups.items())]
    }


def final_markdown(run: Run) -> str:
    """The final table in percent."""
    from task2sim.summary import final_table

    rows = final_table(run.results)
    tasks = list(rows[0].tasks) if rows else []
    lines = [f"| | {' | '.join(tasks)} |", f"|---|{'---|' * len(tasks)}"]
    for row in rows:
        cells = [row.tasks[task].percent() if task in row.tasks else "" for task in tasks]
        lines.append(f"| {row.method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def predicted_settings(run: Run) -> dict[str, dict[str, Any]]:
    """The setting that the policy predicts for each task."""
    rows = run.results.query(
        "SELECT task, choices FROM predictions JOIN settings ON predictions.setting = settings.key"
    )
    return {row["task"]: json.loads(row["choices"]) for row in rows}


def predicted_markdown(run: Run) -> str:
    """The predicted settings as a table."""
    settings = predicted_settings(run)
    names = list(next(iter(settings.values()), {}))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {task} | {' | '.join(str(s[name]) for name in names)} |" for task, s in settings.items()]
    return "\n".join(lines) + "\n"


def study_parameters(run: Run) -> dict[str, str | int | float | bool]:
    """The whole study as flat names and plain values."""
    return dict(_flat(run.study.model_dump(mode="json"), ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str | int | float | bool]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _flat(below, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (str, int, float)):
        yield name, value
    else:
        yield name, json.dumps(value)
