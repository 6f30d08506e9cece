"""The command ``task2sim vqa``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from task2sim.cli import SetOption, StudyArgument

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

QuestionsArgument = Annotated[Path, typer.Argument(metavar="QUESTIONS", help="A VQA v2 file of questions.")]
AnnotationsArgument = Annotated[Path, typer.Argument(metavar="ANNOTATIONS", help="The annotations to them.")]


@app.callback()
def _vqa() -> None:
    """Make pictures with questions and answers, handle VQA v2 files, and train models that answer."""


@app.command()
def generate(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new or empty folder, or one to go on with.")],
    images: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many images, without their twins.")] = 100,
    point: Annotated[
        str | None,
        typer.Option(
            "--setting",
            metavar="SETTING",
            help="default, everything-varied, random, or parameters such as object_count=1,floor=1 "
            "[default: several upright objects on a floor, in varied surroundings].",
            show_default=False,
        ),
    ] = None,
    twins: Annotated[bool, typer.Option("--twins", help="Make an edited twin of each image.")] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Image i depends on the setting, this seed and i alone.")
    ] = 0,
    overrides: SetOption = None,
) -> None:
    """Render pictures with questions and answers, as VQA v2 files.

    Example: task2sim vqa generate questions --out my-questions --images 1000 --twins
    """
    from rich.console import Console
    from rich.table import Table

    from task2sim.config import load_study
    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.progress import progress_listener
    from task2sim_vqa.generate import generate as generate_questions

    file = load_study(study, overrides or ())
    console = Console()
    with interruptible(), ConsoleObserver(console) as observer, progress_listener(observer.show):
        made = generate_questions(file, point, images, seed, twins, out)
    table = Table("family", "questions", "chance", "question alone")
    for guess in made.guesses:
        table.add_row(guess.family, str(guess.questions), f"{guess.chance:.1%}", f"{guess.accuracy:.1%}")
    if made.guesses:
        console.print(table)
    if made.refused:
        names = ", ".join(map(repr, made.refused))
        typer.echo(f"no plural is known of {names}: no question names them")
    twin_text = f" and {made.twins} twins" if twins else ""
    typer.echo(f"{made.questions} questions on {made.images} images{twin_text} in {out}; see {out / 'sample.html'}")


@app.command()
def check(
    questions: QuestionsArgument,
    annotations: AnnotationsArgument,
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Check that each image is there.")] = None,
) -> None:
    """Check that a file of questions and one of annotations are VQA v2 and belong together.

    Example: task2sim vqa check my-questions/questions.json my-questions/annotations.json
    """
    from task2sim_vqa.vqa_v2 import counts_by_type, read_split

    split = read_split(questions, annotations, images)
    counts = ", ".join(f"{count} {kind}" for kind, count in counts_by_type(split.annotations).items())
    pictures = len({entry["image_id"] for entry in split.questions})
    typer.echo(f"{len(split)} questions on {pictures} images: {counts}")


@app.command()
def mix(
    real: Annotated[tuple[Path, Path], typer.Option(metavar="QUESTIONS ANNOTATIONS", help="The real split.")],
    synthetic: Annotated[
        tuple[Path, Path], typer.Option(metavar="QUESTIONS ANNOTATIONS", help="The synthetic split.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new or empty folder.")],
    question_type: Annotated[
        str, typer.Option(help="Real questions that begin so are replaced by synthetic ones.")
    ] = "how many",
) -> None:
    """Replace the real questions of one type by synthetic ones, counting questions unless told otherwise.

    Example: task2sim vqa mix --real q.json a.json --synthetic s/questions.json s/annotations.json --out mixed
    """
    from task2sim import StoreError
    from task2sim_vqa.vqa_v2 import mix as mix_splits
    from task2sim_vqa.vqa_v2 import read_split, write_annotations, write_questions

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError("this is not an empty folder", place=str(out), mend="choose a new or empty folder")
    mixed = mix_splits(read_split(*real), read_split(*synthetic), question_type, question_type)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't make this folder: {error.strerror or error}", place=str(out)) from error
    write_annotations(out / "annotations.json", mixed.annotations)
    count = write_questions(out / "questions.json", mixed.questions)
    typer.echo(f"{count} questions in {out}")


@app.command()
def train(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder of pictures with questions.")],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="A new or empty folder.")],
    synthetic: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Its questions of one type take the place of those of REAL."),
    ] = None,
    question_type: Annotated[
        str, typer.Option(help="That type: how questions begin, or a family's name, such as colour.")
    ] = "how many",
    without: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Leave out the questions of a type.", show_default=False)
    ] = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Swap features of regions between the two folders (F-SWAP).")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="How often each question is seen [default: 12].", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same bits.")] = 0,
    text_encoder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A text encoder of transformers to start from; else one from scratch."),
    ] = None,
    region_encoder: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Take over this model's region encoder; else one is trained."),
    ] = None,
) -> None:
    """Train a model that answers questions.

    Example: task2sim vqa train my-questions --out my-model
    """
    from rich.console import Console

    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.progress import progress_listener
    from task2sim_vqa.training import Config
    from task2sim_vqa.training import train as train_answerer

    config = Config(text_encoder=text_encoder, region_encoder=region_encoder)
    if epochs is not None:
        config = config.model_copy(update={"epochs": epochs})
    with interruptible("starts anew"), ConsoleObserver(Console()) as observer, progress_listener(observer.show):
        model = train_answerer(
            real,
            out,
            synthetic=synthetic,
            question_type=question_type,
            without=without,
            swap=swap,
            config=config,
            seed=seed,
        ).manifest
    both = " + ".join(map(str, model.questions if synthetic is not None else model.questions[:1]))
    typer.echo(f"trained on {both} questions with {len(model.answers)} answers; the model is in {out}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that train wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of pictures with questions.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the answers in the format of VQA's results.", show_default=False),
    ] = None,
) -> None:
    """Let a model answer questions, and judge its answers by the metric of VQA.

    Example: task2sim vqa evaluate my-model other-questions --out results.json
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from task2sim import StoreError
    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.progress import progress_listener
    from task2sim_vqa.training import evaluate as evaluate_answerer
    from task2sim_vqa.vqa_v2 import whole_file

    if out is not None and out.exists():
        raise StoreError("this exists", place=str(out), mend="choose another file")
    if out is not None and not out.absolute().parent.is_dir():
        raise StoreError("there is no such folder", place=str(out.parent), mend="make it, or choose another file")
    console = Console()
    with interruptible("starts anew"), ConsoleObserver(console) as observer, progress_listener(observer.show):
        result = evaluate_answerer(model, folder)
    table = Table("questions of", "questions", "accuracy")
    groups = [result.by_answer_type, result.by_family]
    for group in filter(None, groups):
        for name, (share, count) in group.items():
            table.add_row(name, str(count), f"{share:.1%}")
        table.add_section()
    table.add_row("all", str(len(result.answers)), f"{result.accuracy:.1%}")
    console.print(table)
    if out is not None:
        with whole_file(out) as file:
            json.dump([{"question_id": number, "answer": answer} for number, answer in result.answers.items()], file)


@app.command()
def detect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with pictures in images/.")],
    detector: Annotated[
        Path, typer.Option(metavar="FOLDER", help="A detector of transformers with its image processor.")
    ],
) -> None:
    """Find the regions of real pictures with a detector, and write regions.jsonl.

    Example: task2sim vqa detect my-photos --detector my-detector
    """
    from rich.console import Console

    from task2sim.console import ConsoleObserver, interruptible
    from task2sim.progress import progress_listener
    from task2sim_vqa.detecting import detect as detect_regions

    with interruptible("starts anew"), ConsoleObserver(Console()) as observer, progress_listener(observer.show):
        count = detect_regions(folder, detector)
    typer.echo(f"regions of {count} pictures in {folder / 'regions.jsonl'}")
