"""How good are the policies on the table that Task2Sim's authors published?

The table (20 tasks x 256 settings, 5-NN accuracy) and the tasks' embeddings are not part of the project; name your
own copy. The first line is for tuning and leaves each seen task out in turn; the second looks at the unseen tasks::

    python benchmarks/published_table.py ../shared/data/task2sim-cvpr22
    python benchmarks/published_table.py ../shared/data/task2sim-cvpr22 --unseen

Each line is a policy with a budget of distinct datasets; each number a mean over tasks of the table's accuracy at
the predicted setting, in percent, with its standard deviation over the seeds (n - 1). Every study is an ordinary
one, on a reward table. Without ``--unseen`` the unseen tasks' scores are never read: "left out" is the mean over the
twelve seen tasks of what the policy predicts for each of them, having learned on the eleven others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import attrs
import numpy as np

SEEN = (
    "CropDisease",
    "EuroSAT",
    "SVHN",
    "ChestX",
    "Sketch",
    "DTD",
    "Flowers102",
    "DeepWeeds",
    "Resisc45",
    "Omniglot",
    "ISIC",
    "Kaokore",
)
UNSEEN = ("CUB", "PacsC", "PacsS", "AID", "USPS", "FMD", "CactusAerial", "ChestXPneumonia")

EVERY = 256
CONTENDERS: tuple[tuple[str, int, int], ...] = (
    ("random", EVERY, EVERY),
    ("domain-randomisation", EVERY, EVERY),
    ("best-fixed", 16, 1),
    ("best-fixed", EVERY, EVERY),
    ("nearest-task", 16, 1),
    ("nearest-task", EVERY, EVERY),
    ("optuna", 64, 1),
    ("task2sim", 16, 1),
    ("task2sim", 64, 1),
    ("task2sim", EVERY, EVERY),
    ("surrogate", 16, 1),
    ("surrogate", 32, 1),
    ("surrogate", 64, 1),
    ("surrogate", EVERY, EVERY),
    ("exhaustive", EVERY, EVERY),
)
"""Policy, how many distinct datasets it may look at, and how many of them before it learns from their scores."""


@attrs.frozen
class Job:
    """One study.

    Attributes:
        policy: Name and keys of the policy, as a study file has them.
        budget: Distinct datasets.
        at_once: Datasets tried before the policy learns from their scores.
        seed: The study's seed.
        seen: Tasks to learn on.
        unseen: Tasks to predict for.
        table: The folder of the published table.
    """

    policy: Mapping[str, Any]
    budget: int
    at_once: int
    seed: int
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    table: str


@attrs.frozen
class Outcome:
    """What a study reached.

    Attributes:
        seen: Mean accuracy of the seen tasks at the predicted settings, in percent.
        unseen: That of the unseen tasks; NaN if there are none.
        datasets: Distinct datasets looked at.
        settings: Distinct settings predicted.
        seconds: How long search and predictions took.
    """

    seen: float
    unseen: float
    datasets: int
    settings: int
    seconds: float


def run(job: Job) -> Outcome:
    """Run one study."""
    from task2sim.config import StudyFile
    from task2sim.store import Store
    from task2sim.study import run_study
    from task2sim.study_file import StudyConfig
    from task2sim.summary import final_table

    study = StudyConfig.model_validate(
        {
            "name": "published",
            "seed": job.seed,
            "tasks": {"seen": job.seen, "unseen": job.unseen},
            "rewards": {"type": "table", "path": job.table},
            "policy": job.policy,
            "pretrainings": job.budget,
            "settings_per_round": job.at_once,
            "comparison": {"random": 0},
            "observers": [],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        finished = run_study(StudyFile(study, "published", {}), Path(folder) / "runs", Store(Path(folder) / "store"))
        seconds = time.perf_counter() - start
        results = finished.results
        (row, *_) = final_table(results)
        (datasets,) = results.query("SELECT COUNT(*) AS n FROM trials WHERE phase = 'search'")
        (settings,) = results.query("SELECT COUNT(DISTINCT setting) AS n FROM predictions")
        search = results.query("SELECT seconds FROM stages WHERE name = 'search'")
        return Outcome(
            100 * row.groups["seen"].mean,
            100 * row.groups["unseen"].mean if job.unseen else float("nan"),
            datasets["n"],
            settings["n"],
            search[0]["seconds"] if search else seconds,
        )


def studies(
    table: str, policy: Mapping[str, Any], size: tuple[int, int], seeds: int, unseen: bool
) -> list[list[Job]]:
    """The studies behind one line: for each seed, one on all seen tasks, then those that leave one out."""
    lines = []
    for seed in range(seeds):
        jobs = [Job(policy, *size, seed, SEEN, UNSEEN if unseen else (), table)]
        if not unseen:
            jobs += [Job(policy, *size, seed, tuple(s for s in SEEN if s != t), (t,), table) for t in SEEN]
        lines.append(jobs)
    return lines


def spread(values: Iterable[float]) -> str:
    """Mean and standard deviation, as text."""
    numbers = np.array(list(values))
    return f"{numbers.mean():.2f} ± {numbers.std(ddof=1):.2f}" if len(numbers) > 1 else f"{numbers.mean():.2f}"


def line(title: str, outcomes: Sequence[Sequence[Outcome]], unseen: bool) -> list[str]:
    """One line of the table."""
    whole = [outcome[0] for outcome in outcomes]
    other = (
        [o.unseen for o in whole] if unseen else [float(np.mean([o.unseen for o in rest])) for _, *rest in outcomes]
    )
    return [
        title,
        f"{np.mean([o.datasets for o in whole]):.0f}",
        spread(o.seen for o in whole),
        spread(other),
        f"{np.mean([o.settings for o in whole]):.1f}",
        f"{np.median([o.seconds for o in whole]):.1f}",
    ]


def main() -> None:
    """Measure the policies that were asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder with reward_db.json and task_embeddings.npz")
    parser.add_argument("--unseen", action="store_true", help="predict for the eight unseen tasks instead")
    parser.add_argument("--only", nargs="+", help="policies, such as surrogate or surrogate:16")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--keys", type=json.loads, default={}, help="keys of the policies, such as '{\"initial\": 4}'"
    )
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    columns = ["policy", "datasets", "seen", "unseen" if options.unseen else "left out", "settings", "seconds"]
    rows = [columns, ["---"] * len(columns)]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for name, budget, at_once in CONTENDERS:
            if options.only and not {name, f"{name}:{budget}"} & set(options.only):
                continue
            policy = {"type": name, **options.keys}
            groups = studies(str(options.table), policy, (budget, at_once), options.seeds, options.unseen)
            flat = list(pool.map(run, [job for jobs in groups for job in jobs]))
            size = len(groups[0])
            rows.append(line(name, [flat[i : i + size] for i in range(0, len(flat), size)], options.unseen))
            print(f"{name} {budget}: {rows[-1]}", flush=True)
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
