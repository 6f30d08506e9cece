"""The command ``task2sim threedworld``: is everything there, and what to test with where Unity is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from task2sim import ConfigError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _threedworld() -> None:
    """Check an installation of ThreeDWorld, and test without one."""


@app.command()
def doctor(
    build: Annotated[
        Path | None, typer.Option(help="The build's executable; default: where ThreeDWorld installs it.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Default: any free one.")] = None,
    image: Annotated[Path | None, typer.Option(help="Save the image that is rendered as this file.")] = None,
) -> None:
    """Check everything that a study with ThreeDWorld needs, from Python's version to a rendered image.

    Each line is ok, or says what is wrong and how to mend it; the exit code is then 2.

    Example: task2sim threedworld doctor --build ~/tdw_build/TDW/TDW.x86_64 --image first.png
    """
    from task2sim_threedworld.doctor import Patient, examine

    patient = Patient(build, port, image)
    for finding in examine(patient):
        typer.echo(str(finding))
    if patient.wrong:
        raise typer.Exit(2)


@app.command()
def peer(
    file: Annotated[Path, typer.Argument(help="The program to write.", show_default=False)],
) -> None:
    """Write a stand-in for ThreeDWorld's build: the real protocol, and boxes instead of Unity's pictures.

    Example: task2sim threedworld peer ./peer
    """
    from task2sim_threedworld.testing import write_build

    if file.exists():
        raise ConfigError("there is something already", place=str(file), mend="name another file")
    try:
        path = write_build(file)
    except OSError as error:
        raise ConfigError(f"can't write it: {error.strerror}", place=str(file)) from None
    typer.echo(f"{path}\nsimulator: {{type: threedworld, build: {path}}}")
