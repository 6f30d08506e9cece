"""What ablations cost: ``python benchmarks/ablation.py sharing``, and so on.

Subcommands:
    sharing: wall time of an ablation of five policies over that of one of them, in fresh stores. All five try the
        same eight settings for one task, so that they need nearly the same datasets, and are compared on its test
        images.
    overhead: what a trial takes beyond its own work (rendering, pre-training, scoring), at quickstart's size.
    table: 10,000 trials in a made-up reward table of 256 settings: 200 cells of 50 settings each.
    one-hot: writes embeddings that tell tasks apart and nothing else, beside those of a published table; for
        ``benchmarks/ablations/published-table.yaml``.
    ray: throughput of the executor ``ray`` with two workers on this machine over that of ``local`` with two. The same
        trials of quickstart's size run with each in turn, in the same run, in fresh stores and with warm workers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from task2sim import TASK2SIM_PARAMETERS, Executor, spawn_generator
from task2sim.ablation.cells import make_plan
from task2sim.ablation.file import load_ablation
from task2sim.ablation.running import run_ablation
from task2sim.config import load_study
from task2sim.scoring import trial_recipe
from task2sim.store import Store
from task2sim.study import check_study
from task2sim.trial import Trial, TrialJob, run_trial

# --- ray ---


def quickstart_jobs(store: Store, count: int, replicate: str, images: int) -> list[TrialJob]:
    """Trials as those of quickstart's search: distinct settings, scored on all its tasks."""
    file = load_study("quickstart", [f"images={images}"])
    study, checked = file.study, check_study(file)
    fingerprints = {name: store.put_task(task) for name, task in checked.tasks.items()}
    recipe = trial_recipe(study, store, fingerprints, study.tasks.names)
    generator = spawn_generator(0, "benchmark")
    settings = list(dict.fromkeys(checked.space.sample(generator) for _ in range(10 * count)))[:count]
    return [TrialJob(recipe, "search", replicate, setting, "val") for setting in settings]


def throughput(executor: Executor, folder: Path, count: int, images: int) -> tuple[float, list[dict[str, float]]]:
    """Trials a second of an executor whose workers are warm, and what the trials scored."""
    store = Store(folder)
    jobs = quickstart_jobs(store, count, "search", images)
    start = time.perf_counter()
    trials: list[Trial] = list(executor.map(run_trial, jobs))
    seconds = time.perf_counter() - start
    return count / seconds, [{name: score.value for name, score in trial.scores.items()} for trial in trials]


def compare_ray(arguments: argparse.Namespace) -> dict[str, Any]:
    from task2sim_executors.local import LocalExecutor
    from task2sim_executors.ray import RayExecutor

    with tempfile.TemporaryDirectory() as name, LocalExecutor(LocalExecutor.Config(workers=2)) as local:
        folder = Path(name)
        with RayExecutor(RayExecutor.Config(address=arguments.address)) as ray:
            if ray.workers != 2:
                raise SystemExit(f"the cluster has room for {ray.workers} workers, not 2")
            executors: dict[str, Executor] = {"local": local, "ray": ray}
            startup, rates = {}, {name: list[float]() for name in executors}
            for name, executor in executors.items():
                start = time.perf_counter()
                throughput(executor, folder / f"{name}-warm", 4, 64)
                startup[name] = time.perf_counter() - start
            for turn in range(arguments.repeat):
                scores = {}
                # Each goes first as often as the other.
                for name in sorted(executors, reverse=bool(turn % 2)):
                    store = folder / f"{name}-{turn}"
                    rate, scores[name] = throughput(executors[name], store, arguments.trials, arguments.images)
                    rates[name].append(rate)
                if scores["ray"] != scores["local"]:
                    raise SystemExit("the executors disagree about scores")
    ratios = [there / here for there, here in zip(rates["ray"], rates["local"], strict=True)]
    return {
        "trials": arguments.trials,
        "images": arguments.images,
        "trials a minute": {name: [round(60 * rate, 2) for rate in found] for name, found in rates.items()},
        "seconds to the first four small trials": {name: round(seconds, 1) for name, seconds in startup.items()},
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ray / local": round(statistics.median(ratios), 3),
        "target": 0.9,
        "scores": "identical",
    }


# --- ablations ---

POLICIES = ["best-fixed", "nearest-task", "{type: surrogate, initial: 8}", "task2sim", "{type: task2sim, replay: 1}"]


def timed_ablation(folder: Path, text: str, store: Path) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of an ablation, and the rows of its table ``cells``."""
    file = folder / "ablation.yaml"
    file.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    ablation = run_ablation(make_plan(load_ablation(file)), folder / "ablations", Store(store))
    seconds = time.perf_counter() - start
    if ablation.failed:
        raise SystemExit(str(ablation.failed))
    return seconds, ablation.database.query("SELECT * FROM cells ORDER BY position")


SHARED = """
name: {name}
study:
  extends: quickstart
  tasks: {{seen: [letters], unseen: []}}
  embedder: pixel-statistics
  observers: []
  images: {images}
  pretrainings: 8
  settings_per_round: 8
  comparison: {{seeds: 1, random: 0}}
vary:
  policy: [{policies}]
observers: []
"""


def compare_sharing(arguments: argparse.Namespace) -> dict[str, Any]:
    ratios, counts = [], []
    for turn in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            runs = {}
            names = {"one": POLICIES[2:3], "five": POLICIES}
            # Each goes first as often as the other.
            for kind in sorted(names, reverse=bool(turn % 2)):
                (folder / kind).mkdir()
                text = SHARED.format(name=kind, images=arguments.images, policies=", ".join(names[kind]))
                runs[kind] = timed_ablation(folder / kind, text, folder / f"{kind}-store")
            ratios.append(runs["five"][0] / runs["one"][0])
            counts.append({kind: sum(cell["pretrained"] for cell in cells) for kind, (_, cells) in runs.items()})
            used = sum(cell["pretrainings"] for cell in runs["five"][1])
    return {
        "images": arguments.images,
        "pre-trainings made": counts,
        "pre-trainings used by the five": used,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "five policies / one": round(statistics.median(ratios), 2),
        "target": "below 1.5",
    }


def measure_overhead(arguments: argparse.Namespace) -> dict[str, Any]:
    """One process does everything, so that wall time minus work is what the framework takes."""
    from task2sim_executors.local import LocalExecutor

    with tempfile.TemporaryDirectory() as name, LocalExecutor(LocalExecutor.Config(workers=1)) as local:
        store = Store(Path(name))
        jobs = quickstart_jobs(store, arguments.trials + 1, "search", arguments.images)
        ends, works = [], []
        for trial in local.map(run_trial, jobs):
            ends.append(time.perf_counter())
            works.append(sum(trial.seconds.values()))
    shares = [(end - start - work) / work for start, end, work in zip(ends, ends[1:], works[1:], strict=False)]
    return {
        "trials": arguments.trials,
        "images": arguments.images,
        "work of a trial (s)": round(statistics.median(works[1:]), 2),
        "beyond its work (%)": [round(100 * share, 2) for share in shares],
        "overhead (%)": round(100 * statistics.median(shares), 2),
        "target": "below 1",
    }


TABLE = """
name: table
study:
  name: table
  rewards: {type: table, path: TABLE}
  tasks: {seen: [TASKS]}
  observers: []
  pretrainings: 50
  comparison: {random: 0}
vary:
  policy: [best-fixed, nearest-task]
  settings_per_round: [1, 2, 5, 10, 50]
seeds: [SEEDS]
observers: []
"""


def measure_table(arguments: argparse.Namespace) -> dict[str, Any]:
    generator = spawn_generator(0, "benchmark table")
    tasks = [f"task {number}" for number in range(12)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "table", tasks, generator)
        text = TABLE.replace("TABLE", str(folder / "table")).replace("TASKS", ", ".join(tasks))
        text = text.replace("SEEDS", ", ".join(map(str, range(20))))
        seconds, cells = timed_ablation(folder, text, folder / "store")
    trials = sum(cell["pretrainings"] for cell in cells)
    return {"cells": len(cells), "trials": trials, "seconds": round(seconds, 1), "target": "below 60"}


def write_table(folder: Path, tasks: list[str], generator: np.random.Generator) -> None:
    """A reward table of 256 settings, in the form that ``task2sim table export`` writes."""
    folder.mkdir()
    settings = [dict(zip(TASK2SIM_PARAMETERS.names, values, strict=True)) for values in product((0, 1), repeat=8)]
    scores = {task: generator.uniform(0.2, 0.9, len(settings)).round(4).tolist() for task in tasks}
    table = {
        "format": "task2sim table",
        "version": 1,
        "metric": "accuracy",
        "source": {"made": "up"},
        "parameters": TASK2SIM_PARAMETERS.describe(),
        "settings": settings,
        "tasks": tasks,
        "scores": {"val": scores},
    }
    (folder / "table.json").write_text(json.dumps(table), encoding="utf-8")
    np.savez(folder / "embeddings.npz", **{task: generator.normal(size=16).astype(np.float32) for task in tasks})


def write_one_hot(arguments: argparse.Namespace) -> dict[str, Any]:
    with np.load(arguments.table / "task_embeddings.npz", allow_pickle=False) as vectors:
        names = sorted(vectors)
    rows = np.eye(len(names), dtype=np.float32)
    np.savez(arguments.out, **dict(zip(names, rows, strict=True)))
    return {"tasks": len(names), "written": str(arguments.out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    ray = commands.add_parser("ray", help="executor ray with two workers over local with two")
    ray.add_argument("--trials", type=int, default=8, help="trials a turn")
    ray.add_argument("--images", type=int, default=1000, help="images in a dataset; quickstart has 1000")
    ray.add_argument("--repeat", type=int, default=3, help="turns")
    ray.add_argument("--address", default="local", help="of a cluster with room for two")
    ray.set_defaults(measure=compare_ray)
    sharing = commands.add_parser("sharing", help="five policies over one")
    sharing.add_argument("--images", type=int, default=1000, help="images in a dataset; quickstart has 1000")
    sharing.add_argument("--repeat", type=int, default=3, help="turns")
    sharing.set_defaults(measure=compare_sharing)
    overhead = commands.add_parser("overhead", help="what a trial takes beyond its work")
    overhead.add_argument("--trials", type=int, default=8)
    overhead.add_argument("--images", type=int, default=1000, help="images in a dataset; quickstart has 1000")
    overhead.set_defaults(measure=measure_overhead)
    table = commands.add_parser("table", help="10,000 trials in a reward table")
    table.set_defaults(measure=measure_table)
    one_hot = commands.add_parser("one-hot", help="embeddings that know nothing of likeness")
    one_hot.add_argument("table", type=Path, help="the folder of the published table")
    one_hot.add_argument("out", type=Path, help="the .npz file to write")
    one_hot.set_defaults(measure=write_one_hot)
    arguments = parser.parse_args()
    print(json.dumps(arguments.measure(arguments), indent=2))


if __name__ == "__main__":
    main()
