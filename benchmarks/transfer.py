"""Does pre-training on studio images help on real tasks, and which of the eight parameters matter for which task?

Two cores need about 35 minutes, and a killed run goes on where it stopped::

    python benchmarks/transfer.py --store /tmp/transfer --markdown transfer.md --json transfer.json

The store knows versions, not code: choose a new one after the renderer or the trainer has changed.

The design is a 2^(8-4) fractional factorial of resolution IV (Box, Hunter & Hunter, "Statistics for experimenters",
chapter 12): sixteen settings in which every parameter is on in eight, so that a main effect is the mean of eight
settings minus the mean of the other eight, and no interaction of two parameters passes for a main effect. "Nothing
varied" and "everything varied" are among the sixteen. Each setting is pre-trained with three seeds; a seed decides
images, initial weights and order, and is the same for all settings and for the untrained backbone, whose weights are
the ones that pre-training begins with. Differences are therefore taken within a seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from task2sim import (
    TASK2SIM_PARAMETERS,
    Executor,
    ParameterSetting,
    Simulator,
    Task2SimError,
    TaskSource,
    spawn_generator,
)
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec
from task2sim.provenance import gather
from task2sim.store import Store
from task2sim.trial import Recipe, Trial, TrialJob, known_trial, run_trial

TASKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "tasks"
SEEDS = range(3)
WORKERS = 2
IMAGES = 1536
RESOLUTION = 64
EPOCHS = 15

PROBE = {"type": "linear-probe", "inverse_regularisation": 0.1}
"""Of C = 0.01, 0.1 and 1, the one that suits the untrained backbone's validation images best."""

NEIGHBOURS = {"type": "knn"}
FINE_TUNE = {"type": "fine-tune", "epochs": 10}

BASE, GENERATORS = 4, ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2))
"""The first four parameters take all combinations; each other is the product of three of them, in signs."""

Accuracies = NDArray[np.float64]
"""Percent; float64 array whose last two axes are seeds and tasks, the last of all tasks being their mean."""


# --- the design, and what follows from it ---


def factorial() -> NDArray[np.int64]:
    """The signs of each run's parameters: int64 array of shape (16, 8), -1 for off and 1 for on."""
    runs = np.array(list(itertools.product((-1, 1), repeat=BASE)))
    return np.column_stack([runs, *(runs[:, factors].prod(axis=1) for factors in GENERATORS)])


def main_effects(scores: Accuracies) -> tuple[Accuracies, Accuracies, Accuracies]:
    """Main effects, in points, on minus off.

    The error is what remains of the scores once each setting's mean over the seeds and each seed's mean over the
    settings are taken off; all parameters of a task share it.

    Args:
        scores: Shape (16, seeds, tasks).

    Returns:
        Effects of shape (8, tasks), half-widths of their 95 % intervals of shape (tasks,), and p-values of shape
        (8, tasks).
    """
    runs, seeds, _ = scores.shape
    effects = np.einsum("rp,rst->pt", factorial(), scores) / (runs / 2 * seeds)
    residuals = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean((0, 1))
    freedom = (runs - 1) * (seeds - 1)
    errors = 2 * np.sqrt((residuals**2).sum((0, 1)) / freedom / (runs * seeds))
    return effects, stats.t.ppf(0.975, freedom) * errors, 2 * stats.t.sf(np.abs(effects / errors), freedom)


def holm(p_values: Accuracies) -> NDArray[np.bool_]:
    """Which of many tests stand at 5 % for all together (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    flat = p_values.ravel()
    order = np.argsort(flat)
    passed = np.logical_and.accumulate(flat[order] <= 0.05 / np.arange(len(flat), 0, -1))
    stands = np.zeros(len(flat), dtype=bool)
    stands[order] = passed
    return stands.reshape(p_values.shape)


def paired(differences: Accuracies) -> tuple[Accuracies, Accuracies]:
    """Means over the seeds, shape (tasks,), and half-widths of their 95 % t-intervals."""
    seeds = len(differences)
    return differences.mean(0), stats.t.ppf(0.975, seeds - 1) * differences.std(0, ddof=1) / np.sqrt(seeds)


def chosen_on_validation(validation: Accuracies, test: Accuracies) -> Accuracies:
    """Test accuracies of the setting that suits a task best, chosen without the backbone that is scored.

    For each seed and task the setting is the one with the best validation accuracy over the *other* seeds, so a
    lucky pre-training gains nothing.

    Args:
        validation: Shape (16, seeds, tasks), without the column of means.
        test: The same shape.

    Returns:
        Shape (seeds, tasks).
    """
    _, seeds, tasks = validation.shape
    rows = [np.delete(validation, seed, axis=1).mean(1).argmax(0) for seed in range(seeds)]
    return np.array([test[rows[seed], seed, np.arange(tasks)] for seed in range(seeds)])


def with_mean(scores: Accuracies) -> Accuracies:
    """The scores with their mean over the tasks as a further task."""
    return np.concatenate([scores, scores.mean(-1, keepdims=True)], axis=-1)


# --- trials ---


def spec(kind: str, value: Mapping[str, Any]) -> ComponentSpec:
    return ComponentSpec.of(Chosen.parse(kind, value))


@attrs.frozen
class Catalogue:
    """A simulator, as a study file names it, and its categories."""

    simulator: Mapping[str, Any]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, **config: Any) -> Catalogue:
        """The studio with these keys."""
        value = {"type": "studio", "resolution": RESOLUTION, **config}
        simulator: Simulator
        with Chosen.parse("simulators", value).build() as simulator:
            return cls(value, tuple(simulator.categories))

    def some(self, count: int, seed: int) -> Catalogue:
        """Some of the categories, others for each seed, so that a comparison does not hang on a lucky choice."""
        drawn = sorted(spawn_generator(seed, "transfer", "categories").permutation(len(self.categories))[:count])
        return Catalogue.of(categories=[self.categories[number] for number in drawn])


class Laboratory:
    """Runs trials and remembers them.

    Args:
        store: Where everything is kept.
        executor: Runs them.
        folder: The folder of tasks.
    """

    def __init__(self, store: Store, executor: Executor, folder: Path) -> None:
        self.store, self.executor = store, executor
        source: TaskSource = Chosen.parse("tasks", {"type": "arrays", "path": str(folder)}).build()
        tasks = [source.load(name) for name in source.names()]
        self.tasks = tuple((task.name, store.put_task(task)) for task in tasks)
        self.sizes = {
            task.name: {
                "classes": len(task.classes),
                **{part: len(task.split(part)) for part in ("train", "val", "test")},
            }
            for task in tasks
        }
        self.trials: dict[TrialJob, Trial] = {}

    def job(
        self,
        catalogue: Catalogue,
        setting: ParameterSetting | None,
        seed: int,
        split: str,
        evaluator: Mapping[str, Any] = PROBE,
    ) -> TrialJob:
        """A pre-training, or an untrained backbone if there is no setting, scored on all tasks."""
        recipe = Recipe(
            store=self.store.root,
            simulator=spec("simulators", catalogue.simulator),
            trainer=spec("trainers", {"type": "resnet", "image_size": RESOLUTION, "epochs": EPOCHS}),
            evaluator=spec("evaluators", evaluator),
            images=IMAGES,
            tasks=self.tasks,
            seed=0,
        )
        return TrialJob(recipe, "comparison", f"seed {seed}", setting, split)

    def run(self, title: str, jobs: Sequence[Sequence[TrialJob]]) -> Accuracies:
        """Run rows of jobs, one job a seed; returns percent, shape (rows, seeds, tasks)."""
        every = [job for row in jobs for job in row]
        missing = [job for job in every if known_trial(job, self.store) is None]
        print(f"{title}: {len(every)} trials, {len(missing)} of them to run", flush=True)
        start = time.monotonic()
        running = self.executor.map(run_trial, missing) if missing else ()
        for done, job in enumerate((job for job, _ in zip(missing, running, strict=True)), 1):
            left = (time.monotonic() - start) / done * (len(missing) - done) / 60
            print(f"  {done}/{len(missing)}: {job.label}, {job.replicate}; {left:.0f} min left", flush=True)
        for job in every:
            trial = known_trial(job, self.store)
            assert trial is not None
            self.trials[job] = trial
        return 100 * np.array([[[s.value for s in self.trials[job].scores.values()] for job in row] for row in jobs])

    def scores(self) -> list[dict[str, Any]]:
        """Every score, as plain data."""
        return [
            {
                "simulator": job.recipe.simulator.chosen.dump(),
                "evaluator": job.recipe.evaluator.chosen.dump(),
                "setting": None if trial.setting is None else trial.setting.as_dict(),
                "seed": trial.replicate,
                "split": trial.split,
                "accuracies": {task: score.value for task, score in trial.scores.items()},
            }
            for job, trial in self.trials.items()
        ]

    def seconds(self) -> dict[str, int]:
        """Seconds that workers spent on each stage, whenever that was."""
        made = {
            **{("render", trial.dataset_key): trial.seconds["render"] for trial in self.trials.values()},
            **{("pretrain", trial.backbone_key): trial.seconds["pretrain"] for trial in self.trials.values()},
            **{("score", str(job)): trial.seconds["score"] for job, trial in self.trials.items()},
        }
        stages = ("render", "pretrain", "score")
        return {stage: round(sum(value for (name, _), value in made.items() if name == stage)) for stage in stages}

    def facts(self) -> dict[str, Any]:
        """Versions, platform and source state."""
        recipes = [job.recipe for job in self.trials]
        parts = [part for recipe in recipes for part in (recipe.simulator, recipe.trainer, recipe.evaluator)]
        return gather(part.chosen.entry for part in dict.fromkeys(parts))


# --- tables ---


def table(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [["", *columns], ["---"] * (len(columns) + 1), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bold(text: str, wanted: bool) -> str:
    return f"**{text}**" if wanted else text


def means(scores: Accuracies) -> list[str]:
    return [f"{value:.1f}" for value in scores.mean(0)]


def gains(differences: Accuracies) -> list[str]:
    return [
        bold(f"{mean:+z.1f} ± {half:.1f}", abs(mean) > half) for mean, half in zip(*paired(differences), strict=True)
    ]


def verdict(name: str, differences: Accuracies) -> str:
    mean, half = (values[:-1] for values in paired(differences))
    return (
        f"- {name}: better than untrained on {np.sum(mean > 0)} of {len(mean)} tasks; the interval is above zero on "
        f"{np.sum(mean > half)}, below zero on {np.sum(mean < -half)}"
    )


def effects_table(columns: Sequence[str], scores: Accuracies) -> str:
    """The table of main effects and how to read it.

    Args:
        columns: Tasks, then their mean.
        scores: Shape (16, seeds, tasks), without the mean.
    """
    names = TASK2SIM_PARAMETERS.names
    effects, halves, p_values = main_effects(with_mean(scores))
    stands = np.column_stack([holm(p_values[:, :-1]), holm(p_values[:, -1])])
    rows = {
        name.replace("_", " "): [
            bold(f"{effect:+z.1f}", bool(sure)) for effect, sure in zip(effects[row], stands[row], strict=True)
        ]
        for row, name in enumerate(names)
    }
    rows["95 % interval"] = [f"± {half:.1f}" for half in halves]
    count = p_values[:, :-1].size
    fraction = "; ".join(
        f"{names[BASE + number]} = {' x '.join(names[factor] for factor in factors)}"
        for number, factors in enumerate(GENERATORS)
    )
    freedom = (len(scores) - 1) * (scores.shape[1] - 1)
    note = (
        f"The last row holds for its column ({freedom} degrees of freedom). Of {count} effects that are nothing, "
        f"{0.05 * count:.0f} would lie outside it by chance; those in bold stand Holm's correction for all {count} "
        f"(the means: for their {len(names)}). In signs, {fraction}: interactions of three parameters can pass for "
        "main effects, interactions of two can't."
    )
    return f"{table(columns, rows)}\n\n{note}"


# --- the whole ---


def measure(laboratory: Laboratory, meshes: Path | None) -> str:
    """Run all trials and write what they say as Markdown."""
    space = TASK2SIM_PARAMETERS
    settings = [space.setting(dict(zip(space.names, ((run + 1) // 2).tolist(), strict=True))) for run in factorial()]
    nothing, everything = settings[0], settings[-1]
    procedural = Catalogue.of()
    real = None if meshes is None else Catalogue.of(meshes=str(meshes.resolve()))

    def run(
        title: str, choices: Sequence[ParameterSetting | None], split: str, evaluator: Mapping[str, Any] = PROBE
    ) -> Accuracies:
        jobs = [[laboratory.job(procedural, choice, seed, split, evaluator) for seed in SEEDS] for choice in choices]
        return laboratory.run(title, jobs)

    # First one split, then the other: two workers at one backbone would wait for each other.
    validation = run("linear probe, validation images", settings, "val")
    scores = run("linear probe, test images", [*settings, None], "test")
    test, untrained = scores[:-1], with_mean(scores[-1])
    methods = {
        "nothing varied": with_mean(test[0]),
        "everything varied": with_mean(test[-1]),
        "mean of the 16 settings": with_mean(test.mean(0)),
        "setting chosen for the task": with_mean(chosen_on_validation(validation, test)),
    }
    gained = {name: values - untrained for name, values in methods.items()}
    if real is None:
        note = "Real meshes: left out, `--meshes` was not given."
    else:
        count = len(real.categories)
        meant = f"real meshes, {count} categories"
        jobs = [laboratory.job(real, everything, seed, "test") for seed in SEEDS]
        methods[meant] = with_mean(laboratory.run("real meshes, test images", [jobs])[0])
        gained[meant] = methods[meant] - untrained
        note = "With real meshes everything was varied."
        if count < len(procedural.categories):
            other = f"procedural, {count} categories"
            jobs = [laboratory.job(procedural.some(count, seed), everything, seed, "test") for seed in SEEDS]
            methods[other] = with_mean(laboratory.run("as many procedural categories, test images", [jobs])[0])
            gained[other] = methods[other] - untrained
            gained[f"real minus procedural, {count} categories"] = methods[meant] - methods[other]
            note += f" So it was with {count} of the procedural categories, others for each seed."
    near = with_mean(run("nearest neighbours, test images", [None, nothing, everything], "test", NEIGHBOURS))
    tuned = with_mean(run("fine-tuning, test images", [None, everything], "test", FINE_TUNE))

    columns = [*(name.replace("_", " ") for name in laboratory.sizes), "mean"]
    paragraphs = [
        f"Pre-training: {IMAGES:,} images of {RESOLUTION} px in {len(procedural.categories)} procedural categories, "
        f"{EPOCHS} epochs, the default network, {len(SEEDS)} seeds. Scores: accuracy in percent on the test images, "
        f"linear probe (C = {PROBE['inverse_regularisation']}), means over the seeds.",
        table(
            columns,
            {
                "test images": [*(str(size["test"]) for size in laboratory.sizes.values()), ""],
                "untrained backbone": means(untrained),
                **{name: means(values) for name, values in methods.items()},
            },
        ),
        '"Setting chosen for the task": for each seed, the one of the 16 that had the best validation accuracy with '
        f"the other seeds. {note}",
        f"Points gained over the untrained backbone of the same seed, with 95 % t-intervals over {len(SEEDS)} seeds "
        f"({len(SEEDS) - 1} degrees of freedom). Bold: the interval leaves out zero, not corrected for the number of "
        "cells. The intervals cover another pre-training, not other test images.",
        table(columns, {name: gains(values) for name, values in gained.items()}),
        "\n".join(verdict(name, values) for name, values in gained.items() if " minus " not in name),
        "Main effects in points, on minus off, with the linear probe. Each rests on "
        f"{len(test) // 2 * len(SEEDS)} pre-trainings with the parameter on and as many with it off.",
        effects_table(columns, test),
        "Other ways to score the same backbones:",
        table(
            columns,
            {
                "5 nearest neighbours, untrained": means(near[0]),
                "5 nearest neighbours, nothing varied": means(near[1]),
                "5 nearest neighbours, everything varied": means(near[2]),
                "gain, nothing varied": gains(near[1] - near[0]),
                "gain, everything varied": gains(near[2] - near[0]),
                f"fine-tuned for {FINE_TUNE['epochs']} epochs, untrained": means(tuned[0]),
                f"fine-tuned for {FINE_TUNE['epochs']} epochs, everything varied": means(tuned[1]),
                "gain, everything varied and fine-tuned": gains(tuned[1] - tuned[0]),
            },
        ),
    ]
    return "\n\n".join(paragraphs) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="where all is kept; a killed run goes on from it")
    parser.add_argument("--tasks", type=Path, default=TASKS, help="a folder of .npz files")
    parser.add_argument("--meshes", type=Path, help="a folder of meshes or a .sh3f file, to compare with")
    parser.add_argument("--markdown", type=Path, help="where to write the tables; they are printed in any case")
    parser.add_argument("--json", type=Path, help="where to write every score")
    arguments = parser.parse_args()
    start = time.monotonic()
    executor: Executor
    try:
        with Chosen.parse("executors", {"type": "local", "workers": WORKERS}).build() as executor:
            laboratory = Laboratory(Store(arguments.store), executor, arguments.tasks)
            text = measure(laboratory, arguments.meshes)
    except Task2SimError as error:
        raise SystemExit(str(error)) from None
    minutes = (time.monotonic() - start) / 60
    print(f"\n{text}\n{minutes:.0f} minutes now; worker seconds in all:", laboratory.seconds())
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    if arguments.json:
        facts = {
            **laboratory.facts(),
            "images": IMAGES,
            "resolution": RESOLUTION,
            "epochs": EPOCHS,
            "parameters": TASK2SIM_PARAMETERS.names,
            "factorial": factorial().tolist(),
            "tasks": laboratory.sizes,
            "worker seconds": laboratory.seconds(),
            "scores": laboratory.scores(),
        }
        arguments.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
