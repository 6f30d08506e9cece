"""The commands ``task2sim bundle`` and ``task2sim verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bundle(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a finished run or ablation.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The zip file to write.")] = Path("bundle.zip"),
) -> None:
    """Pack what somebody needs to redo the numbers of a run or an ablation; no rendered images, no networks.

    Example: task2sim bundle ablations/policies --out policies.zip
    """
    from task2sim_bundle.bundle import write_bundle

    manifest, remarks = write_bundle(folder, out)
    for remark in remarks:
        typer.echo(f"note: {remark}", err=True)
    cells = len(manifest.cells)
    size = out.stat().st_size
    typer.echo(
        f"{out}: {manifest.kind} {manifest.name}, {cells} {'study' if cells == 1 else 'studies'}, "
        f"{len(manifest.files)} files, {f'{size / 1e6:.1f} MB' if size > 1e6 else f'{size // 1000 + 1} kB'}"
    )


def verify(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What task2sim bundle has written.")],
    trials: Annotated[int, typer.Option(min=0, help="How many trials, drawn at random, are made again.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Draws them.")] = 0,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new folder to work in [default: one that is removed again]."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0.0, help="By how much a score may differ.")] = 0.0,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where a path that the studies name lies here. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a bundle, and redo a sample of its trials; exit code 1 if something differs.

    Example: task2sim verify policies.zip --trials 5 --data /home/ann/photos=photos
    """
    import json

    from rich.console import Console

    from task2sim.console import ConsoleObserver, interruptible
    from task2sim_bundle.verify import verify_bundle

    console = Console(stderr=as_json)

    def tell(line: str) -> None:
        if not as_json:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    paths = dict(_pair(text) for text in data or ())
    with interruptible(), ConsoleObserver(console) as observer:
        done = verify_bundle(path, trials, seed, store, tolerance, paths, observer.show, tell)
    if as_json:
        typer.echo(json.dumps(done.as_dict(), indent=1))
    else:
        wrong = sum(check.verdict == "differs" for check in done.checks)
        typer.echo("all agree" if done.agrees else f"{wrong} of {len(done.checks)} differ")
    if not done.agrees:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    from task2sim import ConfigError

    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ConfigError("paths are mapped as OLD=NEW", place=f"--data {text}", mend="write --data /there=here")
    path = Path(new).expanduser().absolute()
    if not path.exists():
        raise ConfigError("there is no such file or folder", place=f"--data {text}", mend="correct what follows '='")
    return old, str(path)
