"""The observer that writes a run's report when its study ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from task2sim import Component
from task2sim.observers import hookimpl

if TYPE_CHECKING:
    from task2sim.run import Run

REPORT = "report.html"


class Report(Component):
    """Keeps sample pictures in the run folder and writes ``report.html`` beside them."""

    @hookimpl
    def task2sim_study_end(self, run: Run) -> None:
        """Write the report of a finished run."""
        from task2sim_report.report import write_report
        from task2sim_report.samples import gather_samples

        gather_samples(run)
        write_report(run.folder, run.folder / REPORT)
