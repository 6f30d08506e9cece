"""The command ``task2sim report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it here [default: RUN/report.html].", show_default=False),
    ] = None,
) -> None:
    """Write the report of a finished run again, from what its folder holds.

    Example: task2sim report runs/quickstart-1a2b3c4d
    """
    from task2sim_report.observer import REPORT
    from task2sim_report.report import write_report

    target = out or run_folder / REPORT
    if target.is_dir():
        target = target / REPORT
    write_report(run_folder, target)
    typer.echo(f"report: {target}")
