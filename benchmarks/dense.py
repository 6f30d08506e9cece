"""Does pre-training by segmentation or detection transfer better than classification, at equal images?

Two cores need about ten minutes, and a killed run goes on where it stopped::

    python benchmarks/dense.py --store /tmp/dense --markdown dense.md --json dense.json

The studio renders a dataset for each seed, everything varied, one object an image, of every sixth of its categories.
The same images, initial weights of the encoder, augmentation and schedule go to three trainers: ``resnet`` sees
labels, ``segmentation`` category masks, ``detection`` instance and category masks. Decoders are thrown away. What
remains, and the untrained encoder, is frozen and scored:

- by a linear probe on the classification tasks in ``../shared/data/tasks``;
- by ``mean-iou`` and ``mean-average-precision`` on a dense task of another renderer with other objects: Mitsuba 3, by
  ``examples/plugins/mitsuba-things``, with its masks (``pip install mitsuba``). With ``--meshes`` the studio renders
  that task with a folder of meshes.

Differences to ``resnet`` are taken within a seed; with them stands half the width of their 95 % interval (Student's
t, over the seeds).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from task2sim import ImageSet, RenderedDataset, Task, TaskSource, spawn_seed
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec
from task2sim.provenance import gather
from task2sim.store import Store, hash_key
from task2sim.trial import dataset_data, make_dataset

ROOT = Path(__file__).resolve().parents[1]
TASKS = ROOT.parent / "shared" / "data" / "tasks"
THINGS = ROOT / "examples" / "plugins" / "mitsuba-things" / "src"
LAYERS = ("instance-mask", "category-mask")
TRAINERS = ("resnet", "segmentation", "detection")
PROBE = {"type": "linear-probe", "inverse_regularisation": 0.1}
DENSE_EVALUATORS = ("mean-iou", "mean-average-precision")
EVERY = 6
"""Of the studio's categories so many are skipped for one that is rendered: some dozen images are left for each."""

SEED = 2022


def spec(kind: str, value: Any) -> ComponentSpec:
    return ComponentSpec.of(Chosen.parse(kind, value))


def render(simulator: ComponentSpec, images: int, seed: int, store: Store, varied: bool) -> RenderedDataset:
    space = simulator.component().parameter_space
    setting = space.everything_varied() if varied else space.default()
    data = dataset_data(simulator, setting, images, seed, LAYERS)
    return make_dataset(simulator, setting, images, data, store)


def classification_tasks(folder: Path) -> list[Task]:
    if not folder.is_dir():  # then the dense task alone is scored
        return []
    source: TaskSource = Chosen.parse("tasks", {"type": "arrays", "path": str(folder)}).build()
    return [source.load(name) for name in source.names()]


def dense_task(images: int, meshes: Path | None, store: Store) -> Task:
    """Half of the images to train, a quarter each for val and test."""
    if meshes is None and find_spec("mitsuba") is not None:
        sys.path.insert(0, str(THINGS))
        os.environ["TASK2SIM_PLUGINS"] = "simulators:mitsuba=mitsuba_things.simulator:Mitsuba"
        simulator = spec("simulators", {"type": "mitsuba", "resolution": 64})
    elif meshes is not None:
        simulator = spec("simulators", {"type": "studio", "meshes": str(meshes)})
    else:
        raise SystemExit("Mitsuba is not installed: pip install mitsuba, or give --meshes")
    dataset = render(simulator, images, spawn_seed(SEED, "dense task"), store, varied=True)
    parts = np.split(np.arange(images), (images // 2, images * 3 // 4))
    train, val, test = (
        ImageSet(dataset.images[p], dataset.labels[p], dataset.category_mask[p], dataset.instance_mask[p])
        for p in parts
    )
    return Task("dense", dataset.categories, train, val, test)


def backbone(trainer: ComponentSpec, dataset: RenderedDataset | None, seed: int, store: Store) -> Path:
    data = {
        "stage": "benchmark dense",
        "trainer": trainer.chosen.key_data(),
        "dataset": None if dataset is None else Store.key(dataset.folder),
        "seed": seed,
    }

    def make(folder: Path) -> None:
        start = time.perf_counter()
        if dataset is None:
            trainer.component().untrained(seed, folder)
        else:
            trainer.component().pretrain(dataset, seed, folder)
        store.put_seconds(hash_key(data), time.perf_counter() - start)

    return store.artefact("backbones", data, make)


def score(
    evaluator: ComponentSpec, trainer: ComponentSpec, folder: Path, task: Task, seed: int, store: Store
) -> float:
    data = {
        "stage": "benchmark dense",
        "evaluator": evaluator.chosen.key_data(),
        "backbone": folder.name,
        "task": task.fingerprint,
        "seed": seed,
    }
    if not (known := store.scores([hash_key(data)])):
        value = evaluator.component().score(trainer.component().load(folder), task, "test", seed)
        store.put_score(data, value)
        known = {"": value}
    return next(iter(known.values())).value


def interval(differences: NDArray[np.float64]) -> float:
    if len(differences) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences)))


def table(rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64]) -> str:
    """`values` in percent, of shape (rows, columns, seeds); the second row is what others are compared with."""
    lines = ["| pre-trained by | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for number, row in enumerate(rows):
        cells = []
        for column in range(len(columns)):
            text = f"{values[number, column].mean():.1f}"
            if number != 1:
                apart = values[number, column] - values[1, column]
                text += f" ({apart.mean():+.1f} ± {interval(apart):.1f})"
            cells.append(text)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("dense-store"), help="where results are kept")
    parser.add_argument("--tasks", type=Path, default=TASKS, help="folder of classification tasks as .npz")
    parser.add_argument(
        "--meshes", type=Path, help="folder of meshes for the dense task, in place of Mitsuba's things"
    )
    parser.add_argument("--images", type=int, default=768, help="rendered images of each pre-training")
    parser.add_argument("--dense-images", type=int, default=480, help="images of the dense task")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    store = Store(options.store)
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    dense = dense_task(options.dense_images, options.meshes, store)
    tasks = classification_tasks(options.tasks)
    say(
        f"{len(tasks)} classification tasks, {options.dense_images} images of {len(dense.classes)} classes with masks"
    )
    every = spec("simulators", "studio").component().categories
    studio = spec("simulators", {"type": "studio", "resolution": 64, "categories": every[::EVERY]})
    probe = spec("evaluators", PROBE)
    further = [spec("evaluators", name) for name in DENSE_EVALUATORS]
    rows = ["nothing (untrained)", *TRAINERS]
    columns = [*(task.name for task in tasks), *(["mean of them"] if tasks else []), "mIoU", "mAP"]
    values = np.zeros((len(rows), len(columns), options.seeds))
    seconds = np.zeros((len(rows), options.seeds))
    for number in range(options.seeds):
        seed = spawn_seed(SEED, "replicate", str(number))
        dataset = render(studio, options.images, seed, store, varied=True)
        say(f"seed {number}: rendered")
        for row, name in enumerate(["resnet", *TRAINERS]):
            trainer = spec("trainers", {"type": name, "epochs": options.epochs, "image_size": 64})
            make = partial(backbone, trainer, None if row == 0 else dataset, seed, store)
            folder = make()
            seconds[row, number] = store.seconds([folder.name])
            accuracies = [score(probe, trainer, folder, task, seed, store) for task in tasks]
            mean = [float(np.mean(accuracies))] if tasks else []
            of_masks = [score(evaluator, trainer, folder, dense, seed, store) for evaluator in further]
            values[row, :, number] = 100 * np.array([*accuracies, *mean, *of_masks])
            shown = ", ".join(f"{c} {v:.1f}" for c, v in zip(columns[-3:], values[row, -3:, number], strict=False))
            say(f"seed {number}: {rows[row]}: {shown} ({seconds[row, number]:.0f} s of training)")
    shown = table(rows, columns, values)
    took = ", ".join(f"{row} {mean:.0f} s" for row, mean in zip(rows[1:], seconds[1:].mean(axis=1), strict=True))
    shown += (
        f"\n\nTest scores in percent, means of {options.seeds} seeds; in brackets the difference to resnet within a"
        f" seed and half its 95 % interval. {options.images} images of the studio, {options.epochs} epochs."
        f" Training took {took}."
    )
    print(shown)
    if options.markdown:
        options.markdown.write_text(shown + "\n")
    if options.json:
        found = {"rows": rows, "columns": columns, "percent": values.tolist(), "seconds": seconds.tolist()}
        used = gather(part.chosen.entry for part in (studio, probe, *further))
        found |= {"options": vars(options), "provenance": used}
        options.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
