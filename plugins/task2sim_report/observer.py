"""The observer that writes a run's report when its study ends, and an ablation's when that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from task2sim import Component
from task2sim.observers import hookimpl

if TYPE_CHECKING:
    from task2sim.ablation import Ablation
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

    @hookimpl
    def task2sim_ablation_end(self, ablation: Ablation) -> None:
        """Write tables, figures and the page of an ablation."""
        from task2sim_report.ablation.writing import write_ablation_report

        write_ablation_report(ablation.folder)
