"""The command ``task2sim tailor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from task2sim.cli import SetOption, StoreOption


def tailor(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="Labelled images: class/image, or train/class/image.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the backbone and its report go; a new folder.")
    ] = Path("backbone"),
    overrides: SetOption = None,
    store: StoreOption = None,
) -> None:
    """Make a backbone for your own pictures: choose what to render for them, render it, pre-train, compare.

    Example: task2sim tailor my-photos --out my-backbone
    """
    from rich.console import Console

    from task2sim.cli import open_store
    from task2sim.console import print_table, run_in_terminal
    from task2sim_tailor.tailor import REPORT, RUN, chosen_setting, hand_over, prepare_folder, tailor_study

    console = Console()
    file = tailor_study(photos, overrides or ())
    prepare_folder(out)
    run = run_in_terminal(file, out / RUN, open_store(store), console)
    hand_over(run, out)
    console.print("\nchosen for these pictures:")
    for name, value in chosen_setting(run).items():
        console.print(f"  {name:<18} {value}", highlight=False)
    print_table(console, run)
    for name, path in {"backbone": out, "report": out / REPORT}.items():
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)
