"""The observer ``tensorboard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from task2sim import Component, ComponentConfig, hookimpl
from task2sim.store import writing
from task2sim_tracking.telling import (
    Curves,
    final_markdown,
    final_numbers,
    predicted_markdown,
    require_extra,
    study_parameters,
)

if TYPE_CHECKING:
    from pathlib import Path

    from task2sim.interfaces import TaskEmbedding
    from task2sim.run import Run
    from task2sim.trial import Trial

FOLDER = "tensorboard"


class TensorBoard(Component):
    """Writes scores, durations, keys of the study and its final table into the run folder, for TensorBoard.

    A run that goes on is shown its earlier trials again, so its events are written anew each time it starts.

    Raises:
        PluginError: TensorBoard is not installed.
    """

    def __init__(self, config: ComponentConfig) -> None:
        require_extra("tensorboard", "tensorboard")
        self._writer: Any = None
        self._curves = Curves()

    @hookimpl
    def task2sim_study_start(self, run: Run) -> None:
        """Begin with an empty folder."""
        from torch.utils.tensorboard import SummaryWriter

        self._close()
        folder = run.folder / FOLDER
        with writing(folder):
            _remove_events(folder)
            self._writer = SummaryWriter(str(folder))
        self._curves = Curves()
        lines = [f"- `{name}`: {value}" for name, value in study_parameters(run).items()]
        self._writer.add_text("study", "\n".join(lines))
        self._writer.flush()

    @hookimpl
    def task2sim_task_embedded(self, run: Run, embedding: TaskEmbedding) -> None:
        """Show a task's embedding."""
        self._writer.add_histogram(f"embedding/{embedding.task}", embedding.vector)
        self._writer.flush()

    @hookimpl
    def task2sim_trial_end(self, run: Run, trial: Trial) -> None:
        """Write the trial's scores and durations."""
        step, numbers = self._curves.points(trial)
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    @hookimpl
    def task2sim_policy_updated(self, run: Run, round_number: int) -> None:
        """Mark when the policy has learned."""
        self._writer.add_scalar("search/rounds", round_number, self._curves.tried)

    @hookimpl
    def task2sim_study_end(self, run: Run) -> None:
        """Write predictions and the final table, and close the file."""
        self._writer.add_text("final table", final_markdown(run))
        self._writer.add_text("predicted settings", predicted_markdown(run))
        # A point with keys and results, which the tab "HParams" compares between runs.
        self._writer.add_hparams(study_parameters(run), final_numbers(run), run_name=".", global_step=0)
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _remove_events(folder: Path) -> None:
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()
