"""Do synthetic questions teach a model that looks at pictures of another kind? And does memory stay flat?

    python benchmarks/vqa.py domains --out vqa-domains --meshes /usr/share/sweethome3d/furniture
    python benchmarks/vqa.py transfer vqa-domains --out vqa-transfer
    python benchmarks/vqa.py memory --images 50000

``domains`` renders two domains with the same categories. The source is the studio: procedural objects, rasterised.
The target is Mitsuba 3, a path tracer (``pip install mitsuba``), with meshes: those of Debian's package
``sweethome3d-furniture``, or, without ``--meshes``, .glb files made from mitsuba-things. Both go on where they were
stopped.

``transfer`` follows SimVQA (Cascante-Bonilla et al., CVPR 2022): of the target's questions those of one kind are left
out, and the source's questions of that kind join, with feature swapping and without. Above stands what the target's
own questions of the kind would give, below what the most frequent answer gives. Questions of two steps ("combined"),
which also count and name colours, are left out of the target's training split. The target's first images are to
train on (``--train``), the others to test on. For each seed all rows share one
encoder of regions, which has learnt from one domain's regions alone (``--regions``). A run is a JSON file: what is
there is not run again. Intervals are the middle 95 % of bootstrap samples of both seeds and test images; those of
differences take the same seeds and images for both.

``memory`` looks at the memory of all processes while ``vqa generate`` makes 50,000 tiny images.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
THINGS = ROOT / "examples" / "plugins" / "mitsuba-things" / "src"
FURNITURE = Path("/usr/share/sweethome3d/furniture")
PLUGIN = "simulators:mitsuba-meshes=mitsuba_meshes:MitsubaMeshes"
RESOLUTION = 128
COLOURS = 8
"""In which an object of the target comes: were there one, its name would tell its colour."""

TARGET_SETTING = (
    "object_count=1,clutter=1,floor=1,background=1,camera_distance=1,camera_elevation=1,light_intensity=1"
)
"""Its meshes keep the materials they came with."""

CATEGORIES = (
    "bed", "bicycle", "bookshelf", "bottle", "car", "chair", "lamp", "mug", "piano", "table", "telephone",
    "television", "tree", "umbrella",
)  # fmt: skip
"""In the studio and in the furniture libraries, and hardly any that look alike."""
THING_CATEGORIES = ("car", "chair", "dumbbell", "hammer", "lamp", "snowman", "table", "tree")
"""In the studio and in mitsuba-things."""

Results = dict[str, Any]


def add_plugin() -> None:
    """Make Mitsuba's simulator known, also to worker processes."""
    sys.path[:0] = [path for path in (str(ROOT / "benchmarks"), str(THINGS)) if path not in sys.path]
    known = [part for part in os.environ.get("TASK2SIM_PLUGINS", "").split(",") if part]
    os.environ["TASK2SIM_PLUGINS"] = ",".join(dict.fromkeys([*known, PLUGIN]))


# --- two domains ---


def domains(arguments: argparse.Namespace) -> Results:
    """Render the source and the target."""
    add_plugin()
    import mitsuba_meshes

    from task2sim.config import load_study
    from task2sim.progress import Progress, progress_listener
    from task2sim_vqa import generate as questions

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    meshes = arguments.meshes
    if meshes is None and FURNITURE.is_dir():
        meshes = FURNITURE
    categories: tuple[str, ...] = CATEGORIES
    if meshes is None:
        meshes, categories = out / "meshes", THING_CATEGORIES
        if not meshes.is_dir():
            with tempfile.TemporaryDirectory(dir=out) as part:
                mitsuba_meshes.export_things(Path(part) / "meshes")
                (Path(part) / "meshes").replace(meshes)
    chosen = f"categories=[{','.join(categories)}]"
    workers = f"executor.workers={arguments.workers}"
    source = load_study(
        "questions", [f"simulator.resolution={RESOLUTION}", f"simulator.{chosen}", "simulator.device=cpu", workers]
    )
    study = out / "target.yaml"
    simulator = {
        "type": "mitsuba-meshes",
        "meshes": str(meshes.resolve()),
        "categories": list(categories),
        "resolution": RESOLUTION,
        "samples": arguments.samples,
        "colours": COLOURS,
    }
    study.write_text(json.dumps({"name": "target", "extends": "quickstart", "simulator": simulator}))
    target = load_study(str(study), [workers])
    questions.PILOT = arguments.pilot
    started, shown = time.perf_counter(), [0.0]

    def show(progress: Progress) -> None:
        now = time.perf_counter()
        if now - shown[0] > 20.0 or progress.done == progress.total:
            shown[0] = now
            print(f"{now - started:6.0f} s  {progress.stage} {progress.done}/{progress.total}", file=sys.stderr)

    results: Results = {}
    for name, file, setting, images, seed in (
        ("source", source, None, arguments.source, 1),
        ("target", target, TARGET_SETTING, arguments.target, 2),
    ):
        print(name, file=sys.stderr)
        with progress_listener(show):
            made = questions.generate(file, setting, images, seed, False, out / name)
        results[name] = {"images": made.images, "questions": made.questions}
    return results


# --- from one to the other ---

KINDS = ("counting", "colour")
GUESS, WITHOUT, SYNTHETIC, SWAP, OWN = "majority", "without", "synthetic", "swap", "own"
ROWS = {
    GUESS: "always the most frequent answer",
    WITHOUT: "target without questions of the kind",
    SYNTHETIC: "the same + synthetic questions of the kind",
    SWAP: "the same + F-SWAP",
    OWN: "target with its own questions of the kind",
}
DIFFERENCES = ((SYNTHETIC, WITHOUT), (SWAP, SYNTHETIC), (OWN, SWAP))
SAMPLES = 4000
"""Of the bootstrap."""

Scores = dict[str, list[float]]
"""Scores of a kind's questions, by image."""


def transfer(arguments: argparse.Namespace) -> Results:
    """Train and judge what is not there yet, then put up the table."""
    import torch

    from task2sim_vqa.generate import FIRST_IMAGE
    from task2sim_vqa.metric import accuracy, people
    from task2sim_vqa.training import Config, evaluate, train
    from task2sim_vqa.vqa_v2 import read_split

    torch.set_num_threads(arguments.threads)
    given: Path = arguments.domains
    out: Path = arguments.out
    used = {
        "domains": {name: json.loads((given / name / "vqa.json").read_text()) for name in ("source", "target")},
        "train": arguments.train,
        "epochs": arguments.epochs,
        "regions": arguments.regions,
    }
    keep(out / "transfer.json", used)
    source, target, test = given / "source", out / "target-train", out / "target-test"
    first = FIRST_IMAGE + arguments.train
    if not target.is_dir():
        part_of(given / "target", target, lambda note: note["image_id"] < first and note["family"] != "combined")
    if not test.is_dir():
        part_of(given / "target", test, lambda note: note["image_id"] >= first)
    asked = read_split(test / "questions.json", test / "annotations.json")
    started = time.perf_counter()

    def run(name: str, folder: Path, encoder: Path | None, epochs: int, seed: int, **how: Any) -> Path:
        """Train a model, unless it is there."""
        model = out / "models" / name
        if not model.is_dir():
            model.parent.mkdir(exist_ok=True)
            train(folder, model, config=Config(epochs=epochs, region_encoder=encoder), seed=seed, **how)
            print(f"{time.perf_counter() - started:6.0f} s  {name} trained", file=sys.stderr, flush=True)
        return model

    def scores(name: str, kind: str, model: Path) -> Scores:
        """What a model gets for each question of the kind, by image; kept in a file."""
        file = out / f"{name}.json"
        if not file.exists():
            answers = evaluate(model, test).answers
            found: dict[str, Scores] = {kind: {} for kind in KINDS}
            for note in asked.annotations:
                if note["family"] in found:
                    right = accuracy(answers[note["question_id"]], people(note))
                    found[note["family"]].setdefault(str(note["image_id"]), []).append(right)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(found))
            part.replace(file)
            means = {kind: round(mean([found[kind]]), 3) for kind in KINDS}
            print(f"{time.perf_counter() - started:6.0f} s  {name}: {means}", file=sys.stderr, flush=True)
        known: dict[str, Scores] = json.loads(file.read_text())
        return known[kind]

    results: dict[str, dict[str, list[Scores]]] = {kind: {row: [] for row in ROWS} for kind in KINDS}
    for kind in KINDS:
        results[kind][GUESS] = [majority(target, asked, kind)]
    for seed in range(arguments.seeds):
        taught = source if arguments.regions == "source" else target
        encoder = run(f"regions-{seed}", taught, None, 1, seed)
        for kind in KINDS:
            with_source: dict[str, Any] = {"synthetic": source, "question_type": kind}
            for row, how in (
                (WITHOUT, {"without": kind}),
                (SYNTHETIC, with_source),
                (SWAP, {**with_source, "swap": True}),
                (OWN, {}),
            ):
                name = f"{row}-{seed}" if row == OWN else f"{row}-{kind}-{seed}"
                model = run(name, target, encoder, arguments.epochs, seed, **how)
                results[kind][row].append(scores(name, kind, model))
    print(shown := table(results, arguments.seeds, arguments.regions))
    if arguments.markdown:
        arguments.markdown.write_text(shown + "\n")
    return {
        kind: {row: {"seeds": [mean([one]) for one in of], "mean": mean(of)} for row, of in rows.items()}
        for kind, rows in results.items()
    }


def keep(path: Path, used: Mapping[str, Any]) -> None:
    """Note what a folder of runs is made from; refuse one that was made from something else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and json.loads(path.read_text()) != used:
        raise SystemExit(f"{path.parent} holds runs of other domains or other settings: choose another folder")
    path.write_text(json.dumps(used))


def part_of(folder: Path, out: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
    """The same folder of questions with some of them; pictures, masks and scenes are links."""
    from task2sim_vqa.vqa_v2 import read_split, write_annotations, write_questions

    split = read_split(folder / "questions.json", folder / "annotations.json")
    kept = [pair for pair in zip(split.questions, split.annotations, strict=True) if wanted(pair[1])]
    part = out.with_suffix(".part")
    part.mkdir(exist_ok=True)
    write_questions(part / "questions.json", (question for question, _ in kept))
    write_annotations(part / "annotations.json", (note for _, note in kept))
    for name in ("images", "masks", "scenes"):
        if not (part / name).is_symlink():
            (part / name).symlink_to((folder / name).resolve())
    part.replace(out)


def majority(target: Path, asked: Any, kind: str) -> Scores:
    """The scores of the answer that the target's own questions of the kind have most often."""
    from task2sim_vqa.metric import accuracy, people
    from task2sim_vqa.vqa_v2 import read_split

    split = read_split(target / "questions.json", target / "annotations.json")
    counts = Counter(note["multiple_choice_answer"] for note in split.annotations if note["family"] == kind)
    guess = counts.most_common(1)[0][0]
    found: Scores = {}
    for note in asked.annotations:
        if note["family"] == kind:
            found.setdefault(str(note["image_id"]), []).append(accuracy(guess, people(note)))
    return found


def mean(seeds: Sequence[Scores]) -> float:
    return float(np.mean([score for one in seeds for scores in one.values() for score in scores]))


def bootstrap(rows: Mapping[str, list[Scores]], seeds: int) -> dict[str, NDArray[np.float64]]:
    """Accuracies of each row in samples of seeds and images; sample k is of the same ones in each row."""
    generator = np.random.default_rng(0)
    images = sorted(rows[GUESS][0])
    numbers = np.array([len(rows[GUESS][0][image]) for image in images])
    chosen = generator.integers(len(images), size=(SAMPLES, len(images)))
    weights = np.stack([np.bincount(one, minlength=len(images)) for one in chosen])
    which = generator.integers(seeds, size=(SAMPLES, seeds))
    found = {}
    for row, of in rows.items():
        sums = np.array([[sum(one[image]) for image in images] for one in of])
        by_seed = weights @ sums.T / (weights @ numbers)[:, None]
        found[row] = np.take_along_axis(by_seed, which % len(of), axis=1).mean(axis=1)
    return found


def table(results: Mapping[str, Mapping[str, list[Scores]]], seeds: int, regions: str) -> str:
    """Accuracies in percent with intervals, and differences below."""

    def cell(value: float, samples: NDArray[np.float64], sign: str = "") -> str:
        low, high = np.percentile(100 * samples, (2.5, 97.5))
        return f"{100 * value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"

    samples = {kind: bootstrap(rows, seeds) for kind, rows in results.items()}
    counts = {kind: sum(map(len, rows[GUESS][0].values())) for kind, rows in results.items()}
    lines = [
        "| trained on | " + " | ".join(f"{kind} ({counts[kind]} questions)" for kind in results) + " |",
        "|---|" + "---:|" * len(results),
    ]
    for row, name in ROWS.items():
        cells = [cell(mean(results[kind][row]), samples[kind][row]) for kind in results]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for first, second in DIFFERENCES:
        cells = [
            cell(
                mean(results[kind][first]) - mean(results[kind][second]),
                samples[kind][first] - samples[kind][second],
                "+",
            )
            for kind in results
        ]
        lines.append(f"| *{first} − {second}* | " + " | ".join(cells) + " |")
    return (
        "\n".join(lines)
        + f"\n\nVQA accuracy on the target's test split in percent, {seeds} seeds, regions learnt from "
        f"the {regions}; in brackets the middle 95 % of {SAMPLES} bootstrap samples of seeds and test images."
    )


# --- how much memory ---


def memory(arguments: argparse.Namespace) -> Results:
    """Peak memory in each tenth of making tiny pictures with questions, and of joining the shards."""
    from scenes import Watch

    from task2sim.config import load_study
    from task2sim.progress import Progress
    from task2sim_vqa.generate import generate

    class Asking(Watch):
        """Looks at the stage that asks; what comes after it is the last peak."""

        def __init__(self) -> None:
            super().__init__()
            self.peaks = [0] * 11

        def __call__(self, progress: Progress) -> None:
            if progress.stage == "ask":
                self._tenth = 10 * progress.done // progress.total

    keys = {
        "resolution": 32,
        "categories": "[mug,bottle,chair,ball]",
        "instances": 4,
        "device": "cpu",
    }
    sets = [f"simulator.{key}={value}" for key, value in keys.items()]
    file = load_study("questions", [*sets, f"executor.workers={arguments.workers}"])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        made, peaks = Asking().of(lambda: generate(file, None, arguments.images, 1, False, Path(folder) / "vqa"))
    return {
        "unit": "MB, for each tenth of the images, and for joining",
        "images": made.images,
        "questions": made.questions,
        "seconds": round(time.perf_counter() - start, 1),
        "peaks": peaks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("domains", help="render the domains")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--meshes", type=Path, help="furniture libraries, or a folder of meshes by class")
    one.add_argument("--source", type=int, default=1000, help="images of the source")
    one.add_argument("--target", type=int, default=700, help="images of the target")
    one.add_argument("--samples", type=int, default=8, help="paths a pixel of the target")
    one.add_argument("--pilot", type=int, default=192, help="images that answers are balanced by")
    one.add_argument("--workers", type=int, default=2)
    one.set_defaults(run=domains)
    one = commands.add_parser("transfer", help="train on the one, judge on the other")
    one.add_argument("domains", type=Path, help="what the command domains has made")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--train", type=int, default=400, help="images of the target to train on")
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--epochs", type=int, default=20)
    one.add_argument(
        "--regions", choices=["source", "target"], default="source", help="what region features learn from"
    )
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--markdown", type=Path, help="write the table to this file")
    one.set_defaults(run=transfer)
    one = commands.add_parser("memory", help="peak memory over many tiny images")
    one.add_argument("--images", type=int, default=50_000)
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("--scratch", type=Path, help="where the images lie meanwhile")
    one.set_defaults(run=memory)
    for command in commands.choices.values():
        command.add_argument("--json", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    results = arguments.run(arguments)
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
