"""The command line."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from task2sim.deprecations import deprecations_in_one_line
from task2sim.errors import PluginError, Task2SimError
from task2sim.registry import COMMANDS


class _Commands(typer.core.TyperGroup):
    """The core's commands and those of plugins; a broken plugin command breaks nothing but itself."""

    # Contexts and commands are Any because Typer brought click from outside in some versions, its own in others.
    def list_commands(self, context: Any) -> list[str]:
        points = metadata.entry_points(group=COMMANDS)
        return [*super().list_commands(context), *sorted(point.name for point in points)]

    def get_command(self, context: Any, name: str) -> Any:
        if (command := super().get_command(context, name)) is not None:
            return command
        for point in metadata.entry_points(group=COMMANDS, name=name):
            try:
                return _as_command(point.load(), name)
            except Exception as error:
                text = f"this command can't be loaded from {point.value}: {type(error).__name__}: {error}"
                return _broken_command(name, text)
        return None


def _as_command(loaded: Any, name: str, help_text: str | None = None) -> Any:
    if not isinstance(loaded, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name, help=help_text)(loaded)
        loaded = alone
    command = typer.main.get_command(loaded)
    command.name = name
    return command


def _broken_command(name: str, text: str) -> Any:
    def fail() -> None:
        raise PluginError(text, mend="reinstall the plugin that brings it")

    return _as_command(fail, name, help_text=f"(can't be loaded) {text}")


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Give it a computer-vision task; it makes the synthetic images that pre-train the best model for it.",
)

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or the name of one that ships: quickstart.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as simulator.resolution=128. Repeatable."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER_OR_URL",
        help="Where datasets, backbones and scores are kept [default: ~/.cache/task2sim].",
        envvar="TASK2SIM_STORE",
        show_default=False,
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Where run folders are made.")]


def main() -> None:
    """Entry point: one clear line and exit code 2 for whatever a user can mend."""
    try:
        with deprecations_in_one_line():
            app()
    except Task2SimError as error:
        sys.stderr.write(f"error: {error}\n")
        if error.details:
            sys.stderr.write(f"the traceback is in {_keep_details(error.details)}\n")
        sys.exit(2)


def _keep_details(details: str) -> Path:
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="task2sim-", suffix=".log", delete=False) as file:
        file.write(details)
    return Path(file.name)


def open_store(root: str | Path | None) -> Any:
    """The store that ``--store`` names, or the default one."""
    from task2sim.store import Store, default_store

    return Store(root or default_store())


@app.command()
def run(
    study: StudyArgument,
    overrides: SetOption = None,
    runs: RunsOption = Path("runs"),
    store: StoreOption = None,
) -> None:
    """Run a study, or take it up where it stopped.

    Example: task2sim run quickstart --set pretrainings=20
    """
    from rich.console import Console

    from task2sim.config import load_study
    from task2sim.console import print_table, run_in_terminal

    console = Console()
    finished = run_in_terminal(load_study(study, overrides or ()), runs, open_store(store), console)
    print_table(console, finished)
    console.print(f"run folder: {finished.folder}", highlight=False, soft_wrap=True)
    if (report := finished.folder / "report.html").exists():
        console.print(f"report:     {report}", highlight=False, soft_wrap=True)


@app.command()
def ablate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ablation file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the base study. Repeatable."),
    ] = None,
    ablations: Annotated[Path, typer.Option("--ablations", help="Where folders of ablations are made.")] = Path(
        "ablations"
    ),
    store: StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be computed; computes nothing of it.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run cells again that failed before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Go on though there are more than 200 cells.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; what goes on is told on stderr.")] = False,
) -> None:
    """Run an ablation, or what is missing of it: a base study, what varies in it, and seeds.

    The exit code is 1 if a cell has failed.

    Example: task2sim ablate ablation.yaml --dry-run
    """
    from rich.console import Console

    from task2sim.ablation.cells import check_size, make_plan
    from task2sim.ablation.cost import ablation_cost
    from task2sim.ablation.file import load_ablation
    from task2sim.console import ConsoleObserver, interruptible, print_ablation, print_cost, run_ablation_in_terminal
    from task2sim.progress import progress_listener

    console = Console(stderr=as_json)
    loaded = load_ablation(file, overrides or ())
    cells = check_size(loaded, yes)
    console.print(f"{loaded.config.name}: {cells:,} cells", highlight=False, markup=False)
    opened = open_store(store)
    with interruptible(), ConsoleObserver(console) as observer, progress_listener(observer.show):
        plan = make_plan(loaded)
        cost = ablation_cost(plan, ablations, opened, retry) if dry_run else None
    if cost is not None:
        if as_json:
            typer.echo(json.dumps(cost.as_dict(), indent=1))
        else:
            print_cost(console, cost)
        return
    ablation = run_ablation_in_terminal(plan, ablations, opened, console, retry)
    failed = ablation.failed
    if as_json:
        typer.echo(json.dumps({"folder": str(ablation.folder), "rows": ablation.means(), "failed": failed}, indent=1))
    else:
        print_ablation(console, ablation)
    for name, reason in failed.items():
        sys.stderr.write(f"failed: {name}: {reason}\n")
    if failed:
        raise typer.Exit(1)


@app.command()
def validate(study: StudyArgument, overrides: SetOption = None) -> None:
    """Check a study file, its plugins and its tasks; renders and trains nothing.

    Example: task2sim validate my-study.yaml
    """
    from task2sim.config import load_study
    from task2sim.study import check_study

    file = load_study(study, overrides or ())
    checked = check_study(file)
    for name, task in checked.tasks.items():
        role = "seen" if name in file.study.tasks.seen else "unseen"
        typer.echo(
            f"{role:<7} {name}: {len(task.classes)} classes, {len(task.train)} train, {len(task.val)} validation and "
            f"{len(task.test)} test images"
        )
    parameters = f"parameters: {', '.join(checked.space.names)}"
    if file.study.rewards is not None:
        seen, unseen = len(file.study.tasks.seen), len(file.study.tasks.unseen)
        typer.echo(f"{seen} seen and {unseen} unseen tasks; {checked.space.size} settings; {parameters}")
    else:
        typer.echo(f"{file.study.simulator.name}: {len(checked.categories)} categories; {parameters}")
    typer.echo(f"{file.source} is fine")


@app.command()
def explain(
    study: StudyArgument,
    overrides: SetOption = None,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a study would do, what the store has of it, and why it lacks the rest; computes nothing of it.

    Example: task2sim explain quickstart --set simulator.resolution=64
    """
    from rich.console import Console

    from task2sim.config import load_study
    from task2sim.console import print_explanation
    from task2sim.explain import explain_study

    explanation = explain_study(load_study(study, overrides or ()), open_store(store))
    if as_json:
        typer.echo(json.dumps(explanation.as_dict(), indent=1))
    else:
        print_explanation(Console(), explanation)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or a study file.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="Another one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what differs between two runs or studies: keys, seeds, versions, results.

    Example: task2sim diff runs/quickstart-1a2b3c4d my-study.yaml
    """
    from rich.console import Console

    from task2sim.console import print_differences
    from task2sim.difference import Side, compare

    sides = Side.open(first), Side.open(second)
    found = compare(*sides)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_differences(Console(), *sides, found)


@app.command()
def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    load: Annotated[bool, typer.Option("--load", help="Import each plugin and say whether it works.")] = False,
) -> None:
    """List the plugins, what is wrong with them, and which are known and not installed.

    Example: task2sim plugins --load
    """
    from rich.console import Console

    from task2sim.listing import list_plugins, print_plugins

    rows = list_plugins(load)
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
    else:
        print_plugins(Console(), rows, load)


@app.command()
def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="simulator, scene-simulator, embedder, policy, trainer, evaluator or task-source.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name in study files, such as my-sim.")],
    folder: Annotated[Path, typer.Option(help="Where the package's folder is made.")] = Path(),
) -> None:
    """Write a package for a plugin of your own: it works at once, with the blanks marked.

    Example: task2sim new simulator my-sim
    """
    from task2sim.scaffold import OFFERS, write_package

    written = write_package(kind, name, folder)
    noun = "simulator" if kind == "scene-simulator" else kind
    typer.echo(f"{written}: {kind} {name!r}, which {OFFERS[kind].help}")
    place = str(written) if written.is_absolute() else f"./{written}"
    typer.echo(f"install it: pip install -e {shlex.quote(f'{place}[test]')}")
    typer.echo(f"check it:   task2sim check {noun}:{name} --quick")
    typer.echo(f"test it:    pytest {shlex.quote(str(written))}")


@app.command()
def check(
    plugin: Annotated[str, typer.Argument(metavar="KIND:NAME", help="A plugin, such as simulator:studio.")],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", metavar="KEY=VALUE", help="Set a key of the plugin, as in a study file. Repeatable."
        ),
    ] = None,
    trainer: Annotated[
        str, typer.Option(help="Makes the untrained backbone that embedders and evaluators are tried with.")
    ] = "resnet",
    quick: Annotated[bool, typer.Option("--quick", help="Render 500 images in place of 2,000.")] = False,
) -> None:
    """Hold a plugin to the promises of its kind; the exit code is 1 if it breaks one.

    Example: task2sim check simulator:studio --config resolution=32
    """
    from task2sim.conformance.command import check_plugin

    if not check_plugin(plugin, config or (), trainer, quick):
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, with the plugins that are installed.

    Example: task2sim schema > study.schema.json
    """
    from task2sim.study_schema import study_schema

    typer.echo(json.dumps(study_schema(), indent=1))


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder, or one to go on with.")],
    setting: Annotated[
        str,
        typer.Option(
            help="default, everything-varied, random, or parameters such as background=1,materials=1.",
            metavar="SETTING",
        ),
    ] = "everything-varied",
    images: Annotated[int, typer.Option(min=1, help="How many images.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Image i depends on the setting, this seed and i alone.")
    ] = 0,
    exporter: Annotated[
        str, typer.Option(help="An exporter's name, or '{type: NAME, key: value}'.")
    ] = "image-folder",
    study: Annotated[str, typer.Option(help="The study whose simulator is used.")] = "quickstart",
    overrides: SetOption = None,
    store: StoreOption = None,
) -> None:
    """Render a dataset with one setting and write it to a folder.

    Example: task2sim generate my-images --setting background=1,materials=1 --set simulator.resolution=128
    """
    from rich.console import Console

    from task2sim.config import load_study
    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.generate import generate_dataset, parse_exporter
    from task2sim.progress import progress_listener

    file = load_study(study, overrides or ())
    chosen = parse_exporter(exporter)
    with interruptible(), ConsoleObserver(Console()) as observer, progress_listener(observer.show):
        dataset = generate_dataset(file, setting, images, seed, chosen, out, open_store(store))
    typer.echo(f"{len(dataset)} images of {len(dataset.categories)} categories ({dataset.setting.label}) in {out}")


@app.command()
def embed(
    study: StudyArgument,
    overrides: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the vectors to this .npz file, one array a task.")] = None,
    runs: RunsOption = Path("runs"),
    store: StoreOption = None,
) -> None:
    """Embed a study's tasks and print their distances; a later run of the study goes on from there.

    Example: task2sim embed quickstart --out embeddings.npz
    """
    import zipfile

    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from task2sim.config import load_study
    from task2sim.console import run_in_terminal
    from task2sim.store import writing

    console = Console()
    file = load_study(study, overrides or ())
    if out is not None and out.suffix != ".npz":
        raise Task2SimError("vectors are written as .npz", place=str(out), mend="name a file that ends in .npz")
    embedded = run_in_terminal(file, runs, open_store(store), console, until="embed")
    names = file.study.tasks.names
    rows = embedded.results.query("SELECT first, second, distance FROM distances")
    distances = {(row["first"], row["second"]): row["distance"] for row in rows}
    table = Table("", *names, title="distances between tasks")
    for first in names:
        table.add_row(first, *(f"{distances[first, second]:.3f}" for second in names))
    console.print(table)
    if out is not None:
        # Not numpy.savez: it takes names as keywords, and a task may be called "file".
        with writing(out), zipfile.ZipFile(out, "w") as archive:
            for name, vector in embedded.embeddings().items():
                with archive.open(f"{name}.npy", "w") as entry:
                    np.lib.format.write_array(entry, vector, allow_pickle=False)
        console.print(f"vectors: {out}", highlight=False, soft_wrap=True)


@app.command()
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="Labelled images: class/image, or train/class/image.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    store: StoreOption = None,
) -> None:
    """Predict the setting for a new task, from its images and a finished run.

    Example: task2sim predict runs/quickstart-1a2b3c4d my-photos
    """
    from task2sim.predict import predict_setting

    prediction = predict_setting(run_folder, photos, open_store(store))
    if as_json:
        typer.echo(json.dumps(prediction, indent=1))
        return
    for name, value in prediction["setting"].items():
        row = prediction["probabilities"].get(name)
        sure = f"   (probability {row[str(value)]:.2f})" if row else ""
        if not row and (expected := prediction["expected"].get(name)):
            others = [score for choice, score in expected.items() if choice != str(value)]
            sure = f"   (expected gain {100 * (expected[str(value)] - max(others)):+.1f} points)"
        typer.echo(f"{name:<18} {value}{sure}")
    nearest = ", ".join(f"{name} ({distance:.3f})" for name, distance in prediction["nearest"].items())
    typer.echo(f"nearest tasks of the run: {nearest}")
    text = ",".join(f"{name}={value}" for name, value in prediction["setting"].items())
    config = shlex.quote(str(run_folder / "config.resolved.yaml"))
    typer.echo(f"render it: task2sim generate OUT --study {config} --setting {text}")
