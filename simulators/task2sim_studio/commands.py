"""The command ``task2sim studio``: what the embedded simulator can draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from task2sim import ConfigError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _studio() -> None:
    """Look at what the embedded simulator draws."""  # With a callback, one command is still a command with a name.


@app.command()
def gallery(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is missing.", show_default=False)],
    meshes: Annotated[Path | None, typer.Option(help="Meshes of your own, as the studio's key of this name.")] = None,
    environments: Annotated[
        Path | None, typer.Option(help="Panoramas of your own, as the studio's key of this name.")
    ] = None,
    categories: Annotated[str | None, typer.Option(help="Two or more, with commas between; default all.")] = None,
    resolution: Annotated[int, typer.Option(min=16, max=1024, help="Height and width of a picture in pixels.")] = 96,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the scenes.")] = 0,
) -> None:
    """Draw everything the studio offers on contact sheets: categories, materials, surroundings, skies, parameters.

    Example: task2sim studio gallery my-gallery --categories mug,teapot,vase
    """
    chosen = None if categories is None else tuple(name.strip() for name in categories.split(","))
    if chosen is not None and len(chosen) < 2:
        raise ConfigError(
            "one category is not enough", place="--categories", mend="name two or more: --categories a,b"
        )

    from rich.console import Console

    from task2sim.console import ConsoleObserver
    from task2sim.progress import progress_listener
    from task2sim_studio.gallery import INSTANCES, write_gallery
    from task2sim_studio.simulator import Studio

    config = Studio.Config(
        resolution=resolution,
        categories=chosen,
        instances=INSTANCES,
        meshes=meshes,
        environments=environments,
        further_parameters="all",
    )
    with Studio(config) as studio, ConsoleObserver(Console()) as observer, progress_listener(observer.show):
        for path in write_gallery(studio, folder, seed):
            typer.echo(path)
