"""The command ``task2sim report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of a finished run, or of an ablation.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it here [default: FOLDER/report.html].", show_default=False),
    ] = None,
) -> None:
    """Write the report of a finished run or an ablation again, from what its folder holds.

    Of an ablation, its tables/ and figures/ are made again too.

    Example: task2sim report runs/quickstart-1a2b3c4d
    """
    from task2sim_report.ablation.content import is_ablation
    from task2sim_report.observer import REPORT

    target = out or folder / REPORT
    if target.is_dir():
        target = target / REPORT
    if is_ablation(folder):
        from task2sim_report.ablation.writing import write_ablation_report

        for note in write_ablation_report(folder, target):
            typer.echo(f"note: {note}")
    else:
        from task2sim_report.report import write_report

        write_report(folder, target)
    typer.echo(f"report: {target}")
