"""A finished run as a reward table."""

from __future__ import annotations

from pathlib import Path

from task2sim import StoreError
from task2sim.learned import Learned
from task2sim.progress import Listener
from task2sim.run import Run
from task2sim.scoring import score_run
from task2sim_tables.writing import write_table


def export_run(run: Run, folder: Path, listener: Listener | None = None) -> tuple[int, int]:
    """Write the scores of all settings that a run's search tried on all its tasks, and the tasks' embeddings.

    Args:
        run: A finished run.
        folder: A new or empty folder, or one with a table, which is replaced.
        listener: Is told of progress, should scores be missing in the store.

    Returns:
        How many settings and how many tasks the table has.

    Raises:
        StoreError: the run is not finished, or the folder can't be written.
        TaskError: the scores make no table.
    """
    if not run.results.fact("finished"):
        raise StoreError("this run is not finished", place=str(run.folder), mend="let task2sim run finish it")
    trials = {split: list(score_run(run, split, listener)) for split in ("val", "test")}
    settings = [trial.setting for trial in trials["val"] if trial.setting is not None]
    scores = {
        split: {task: [trial.scores[task].value for trial in scored] for task in scored[0].scores}
        for split, scored in trials.items()
    }
    metrics = {score.metric for scored in trials.values() for trial in scored for score in trial.scores.values()}
    if len(metrics) > 1:
        raise StoreError(
            f"a table has one metric, this run has {', '.join(sorted(metrics))}",
            place=str(run.folder),
            mend="score all tasks by the same",
        )
    write_table(
        folder,
        Learned.open(run.folder).space,
        settings,
        scores,
        run.embeddings(),
        {
            "run": run.folder.name,
            "study": run.study.model_dump(mode="json"),
            "provenance": run.provenance(),
        },
        metrics.pop(),
    )
    return len(settings), len(scores["val"])
