"""The command ``task2sim table``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from task2sim.cli import StoreOption, open_store

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _table() -> None:
    """Make reward tables."""  # With a callback, one command is still a command with a name.


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new or empty folder, or an older table.")],
    store: StoreOption = None,
) -> None:
    """Turn a finished run into a reward table: all settings its search tried, on all its tasks.

    Scores that the run did not need, such as those of unseen tasks, are made now.

    Example: task2sim table export runs/quickstart-1a2b3c4d --out my-table
    """
    from rich.console import Console

    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.run import Run
    from task2sim_tables.export import export_run
    from task2sim_tables.writing import check_target

    check_target(out)
    run = Run.open(run_folder, open_store(store))
    with interruptible(), ConsoleObserver(Console()) as observer:
        settings, tasks = export_run(run, out, observer.show)
    typer.echo(f"{out}: {settings} settings on {tasks} tasks")
