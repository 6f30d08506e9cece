"""Task2Vec against the public reference implementation: fidelity, speed, memory, and what the distances say.

One core needs about nine minutes::

    git clone https://github.com/awslabs/aws-cv-task2vec reference
    python benchmarks/task2vec.py --reference reference --probe RUN/probe --markdown task2vec.md --json task2vec.json

The probe is a backbone that a study keeps in its run folder: pre-trained on studio images with everything varied.
Both embed the same training images of the same tasks with it; all its convolutions and norms are compared. The
reference runs as it stands, with its own defaults (10,000 images drawn by class, a head fitted for ten passes, one
label for each image). Its modules that are imported here, `task2vec`, `variational`, `utils` and `task_similarity`,
need no torchvision, so nothing has to stand in for that. Two things are handed to it: the probe, behind its own
abstract class, and the images as the network wants them. One thing is changed: its loaders start no processes (six
by default), which would only cost time here. Seconds are processor seconds, of its `embed` on images that are ready
and of ours with loading the probe and scaling the images.

The reference's constructor says that it fixes the statistics of batch normalisation, and then leaves them free: it
calls `train()`. Then an image's gradients depend on the rest of its batch, and there is no Fisher information of
single images, as the paper defines it, to compare with. The probe that is handed over therefore keeps its
statistics fixed, whatever it is told; once for each task it is handed over free, too ("as it comes").

Each implementation runs in a process of its own with one thread, turn by turn.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from task2sim import Task, TaskEmbedding, TaskSource
from task2sim.choice import Chosen
from task2sim.provenance import gather

TASKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "tasks"
SEEDS = range(3)
REFERENCE_SEEDS = range(2)
RELATED = ("display_letters", "hiragana_fonts")
ESTIMATORS = ("monte-carlo", "variational")
BATCH_SIZE = 64
"""Of the reference: its default."""

Vector = NDArray[np.float64]


def load_task(folder: Path, name: str) -> Task:
    source: TaskSource = Chosen.parse("tasks", {"type": "arrays", "path": str(folder)}).build()
    return source.load(name)


def embedder(**config: Any) -> Any:
    return Chosen.parse("embedders", {"type": "task2vec", **config}).build()


# --- what the processes do ---


def ours(probe: Path, tasks: Path, name: str, seed: int, estimator: str) -> tuple[Vector, float]:
    """Our embedding and the processor seconds it took."""
    task = load_task(tasks, name)
    component = embedder(probe=str(probe), estimator=estimator)
    start = time.process_time()
    vector = component.embed(task, seed).vector
    return vector.astype(np.float64), time.process_time() - start


def reference(
    checkout: Path, probe: Path, tasks: Path, name: str, seed: int, fixed_statistics: bool
) -> tuple[Vector, float]:
    """The reference's embedding and the processor seconds it took."""
    import torch

    from task2sim_task2vec.probe import load_probe

    torch.set_num_threads(1)
    sys.path.insert(0, str(checkout))
    import task2vec

    if Path(task2vec.__file__).resolve().parent != checkout.resolve():
        raise SystemExit(f"{checkout} is no checkout of aws-cv-task2vec: there is no task2vec.py")

    def without_processes(*arguments: Any, **options: Any) -> torch.utils.data.DataLoader[Any]:
        return torch.utils.data.DataLoader(*arguments, **{**options, "num_workers": 0})

    task2vec.DataLoader = without_processes

    class Handed(task2vec.ProbeNetwork):  # type: ignore[misc]
        """The probe as the reference wants it: layers in a list, the classifier last."""

        def __init__(self, body: torch.nn.Module, width: int, classes: int) -> None:
            super().__init__()
            self.body = body
            self.fc = torch.nn.Linear(width, classes)
            self.layers: list[Any] = [lambda pixels: self.body(pixels).pooler_output.flatten(1), self.fc]

        @property
        def classifier(self) -> torch.nn.Module:
            return self.fc

        def forward(self, values: torch.Tensor, start_from: int = 0) -> torch.Tensor:
            for layer in self.layers[start_from:]:
                values = layer(values)
            return values

        def train(self, mode: bool = True) -> Any:
            return super().train(mode and not fixed_statistics)

    task = load_task(tasks, name)
    loaded = load_probe(str(probe))
    torch.manual_seed(seed)
    # Its first pass takes images as they lie, and batches of one class would be no fair start.
    order = torch.randperm(len(task.train))
    pixels, labels = loaded.pixels(task.train.images)[order], torch.from_numpy(task.train.labels)[order]
    with torch.no_grad():
        width = loaded.features(pixels[:1]).shape[1]
    network = Handed(loaded.network.requires_grad_(True), width, len(task.classes))
    start = time.process_time()
    embedding = task2vec.Task2Vec(network, loader_opts={"batch_size": BATCH_SIZE}).embed(
        torch.utils.data.TensorDataset(pixels, labels)
    )
    return np.asarray(embedding.hessian, dtype=np.float64), time.process_time() - start


def reference_distance(checkout: Path, first: Vector, second: Vector) -> float:
    """By the reference's own function, on values large enough for what it adds to denominators."""
    sys.path.insert(0, str(checkout))
    import task2vec
    import task_similarity

    pair = (task2vec.Embedding(1e9 * vector, np.ones_like(vector)) for vector in (first, second))
    return float(task_similarity.cosine(*pair))


def peak_memory() -> float:
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def import_all() -> float:
    """Import what both need; returns the memory that it takes, in MB."""
    for module in ("torch", "torch.utils.data", "transformers.models.resnet.modeling_resnet"):
        importlib.import_module(module)
    return peak_memory()


# --- figures ---


def cosine(first: Vector, second: Vector) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def distances(vectors: Sequence[Vector], others: Sequence[Vector]) -> NDArray[np.float64]:
    component = embedder(probe="-")
    rows = [[TaskEmbedding("-", vector.astype(np.float32)) for vector in some] for some in (vectors, others)]
    return np.array([[component.distance(a, b) for b in rows[1]] for a in rows[0]])


class Map:
    """Embeddings of all tasks with several seeds, and what their distances say."""

    def __init__(self, names: Sequence[str], vectors: Mapping[tuple[str, int], Vector], seeds: Sequence[int]) -> None:
        self.names = list(names)
        by_seed = [[vectors[name, seed] for name in names] for seed in seeds]
        self.within = [distances(some, some) for some in by_seed]
        self.pairs = list(itertools.combinations(range(len(seeds)), 2))
        self.across = [distances(by_seed[a], by_seed[b]) for a, b in self.pairs]

    def matrix(self) -> NDArray[np.float64]:
        """Mean distances; on the diagonal between two seeds of the same task."""
        mean: NDArray[np.float64] = np.mean(self.within, axis=0)
        np.fill_diagonal(mean, np.mean([np.diag(matrix) for matrix in self.across], axis=0))
        return mean

    def facts(self) -> dict[str, Any]:
        """Figures of the map."""
        upper = np.triu_indices(len(self.names), 1)
        mean = np.mean(self.within, axis=0)
        one, other = (self.names.index(name) for name in RELATED)
        rest = [m for m in range(len(self.names)) if m not in (one, other)]
        unrelated = np.concatenate([mean[one, rest], mean[other, rest]])
        nearest = [np.argmin(m + np.diag(np.full(len(m), np.inf)), axis=1) for m in self.within]
        return {
            "related": float(mean[one, other]),
            "unrelated, nearest": float(unrelated.min()),
            "unrelated, median": float(np.median(unrelated)),
            "rank of the related pair among all pairs": int((mean[upper] < mean[one, other]).sum()) + 1,
            "pairs": len(upper[0]),
            "same nearest neighbour with two seeds": float(
                np.mean([nearest[a] == nearest[b] for a, b in self.pairs])
            ),
            "rank correlation of distances with two seeds": float(
                np.mean([stats.spearmanr(self.within[a][upper], self.within[b][upper])[0] for a, b in self.pairs])
            ),
            "least rank correlation of neighbours": float(
                min(
                    stats.spearmanr(np.delete(self.within[a][k], k), np.delete(self.within[b][k], k))[0]
                    for a, b in self.pairs
                    for k in range(len(self.names))
                )
            ),
            "own other seed is nearest": float(
                np.mean([m.argmin(axis=axis) == np.arange(len(m)) for m in self.across for axis in (0, 1)])
            ),
            "nearest": {name: self.names[k] for name, k in zip(self.names, nearest[0], strict=True)},
        }


def measure(checkout: Path, probe: Path, tasks: Path) -> dict[str, Any]:
    """All that is measured."""
    source: TaskSource = Chosen.parse("tasks", {"type": "arrays", "path": str(tasks)}).build()
    names = source.names()
    context = multiprocessing.get_context("spawn")
    vectors: dict[str, dict[tuple[str, int], Vector]] = {}
    seconds: dict[str, dict[str, list[float]]] = {}

    def record(what: str, name: str, seed: int, answer: tuple[Vector, float]) -> None:
        vector, took = answer
        vectors.setdefault(what, {})[name, seed] = vector
        seconds.setdefault(what, {}).setdefault(name, []).append(took)
        print(f"{name} {what} {seed}: {took:.1f} s", flush=True)

    with (
        ProcessPoolExecutor(1, context) as here,
        ProcessPoolExecutor(1, context) as there,
        ProcessPoolExecutor(1, context) as further,
    ):
        empty = [pool.submit(import_all).result() for pool in (here, there)]
        for name in names:
            for seed in SEEDS:
                if seed in REFERENCE_SEEDS:
                    job = (checkout, probe, tasks, name, seed, True)
                    record("reference", name, seed, there.submit(reference, *job).result())
                record("monte-carlo", name, seed, here.submit(ours, probe, tasks, name, seed, "monte-carlo").result())
        memory = {
            "imports": max(empty),
            "reference": there.submit(peak_memory).result(),
            "monte-carlo": here.submit(peak_memory).result(),
        }
        for name in names:
            record("as it comes", name, 0, there.submit(reference, checkout, probe, tasks, name, 0, False).result())
            for seed in SEEDS:
                answer = further.submit(ours, probe, tasks, name, seed, "variational").result()
                record("variational", name, seed, answer)
        memory["variational"] = further.submit(peak_memory).result()
        one, other = (vectors["monte-carlo"][name, 0] for name in RELATED)
        theirs = there.submit(reference_distance, checkout, one, other).result()
    maps = {what: Map(names, vectors[what], SEEDS) for what in ESTIMATORS}
    maps["reference"] = Map(names, vectors["reference"], REFERENCE_SEEDS)
    return {
        "provenance": gather([]),
        "filters": len(one),
        "tasks": {name: fidelity(vectors, name) for name in names},
        "seconds": seconds,
        "memory": memory,
        "difference of distance functions": abs(float(distances([one], [other])[0, 0]) - theirs),
        "maps": {what: {"matrix": m.matrix().tolist(), **m.facts()} for what, m in maps.items()},
    }


def fidelity(vectors: Mapping[str, Mapping[tuple[str, int], Vector]], name: str) -> dict[str, float]:
    """Mean cosine similarities of embeddings of one task."""

    def between(what: str, other: str) -> float:
        first, second = ({key: v for key, v in vectors[w].items() if key[0] == name} for w in (what, other))
        return float(
            np.mean([cosine(a, b) for i, a in first.items() for j, b in second.items() if what != other or i < j])
        )

    return {
        "reference, two seeds": between("reference", "reference"),
        "monte-carlo and reference": between("monte-carlo", "reference"),
        "monte-carlo, two seeds": between("monte-carlo", "monte-carlo"),
        "variational and monte-carlo": between("variational", "monte-carlo"),
        "variational, two seeds": between("variational", "variational"),
        "monte-carlo and reference as it comes": between("monte-carlo", "as it comes"),
        "reference and reference as it comes": between("reference", "as it comes"),
    }


# --- the report ---


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def report(facts: Mapping[str, Any]) -> str:
    """The figures as markdown."""
    names = list(facts["tasks"])
    seconds = facts["seconds"]

    def took(what: str, name: str) -> float:
        return float(np.median(seconds[what][name]))

    def mean(key: str) -> float:
        return float(np.mean([facts["tasks"][name][key] for name in names]))

    keys = list(facts["tasks"][names[0]])
    columns = {
        "two seeds of the reference": keys[0],
        "`monte-carlo` and the reference": keys[1],
        "two seeds of `monte-carlo`": keys[2],
        "`variational` and `monte-carlo`": keys[3],
        "two seeds of `variational`": keys[4],
        "`monte-carlo` and the reference as it comes": keys[5],
    }
    cosines = [[name, *(f"{facts['tasks'][name][key]:.3f}" for key in columns.values())] for name in names]
    cosines.append(["mean", *(f"{mean(key):.4f}" for key in columns.values())])
    ratios = {what: [took("reference", name) / took(what, name) for name in names] for what in ESTIMATORS}
    speeds = [
        [
            what,
            f"{np.median([took(what, name) for name in names]):.1f}",
            ""
            if what == "reference"
            else f"{np.median(ratios[what]):.1f} x ({min(ratios[what]):.1f} to {max(ratios[what]):.1f})",
            f"{facts['memory'][what]:.0f}",
        ]
        for what in ("reference", *ESTIMATORS)
    ]
    maps = facts["maps"]
    said: dict[str, Callable[[Any], str]] = {
        "distance of the two letter tasks": lambda m: f"{m['related']:.3f}",
        "of them to the nearest other task, and to the median one": lambda m: (
            f"{m['unrelated, nearest']:.3f}, {m['unrelated, median']:.3f}"
        ),
        f"their rank among the {maps['reference']['pairs']} pairs": lambda m: (
            f"{m['rank of the related pair among all pairs']}"
        ),
        "tasks with the same nearest neighbour for two seeds": lambda m: (
            f"{100 * m['same nearest neighbour with two seeds']:.0f} %"
        ),
        "rank correlation of all distances for two seeds": lambda m: (
            f"{m['rank correlation of distances with two seeds']:.3f}"
        ),
        "the same of one task's distances, worst task": lambda m: f"{m['least rank correlation of neighbours']:.2f}",
        "tasks nearest to themselves with another seed": lambda m: f"{100 * m['own other seed is nearest']:.0f} %",
    }
    chosen = (*ESTIMATORS, "reference")
    neighbours = [[text, *(tell(maps[what]) for what in chosen)] for text, tell in said.items()]
    matrix = [
        [name, *(f"{value:.2f}" for value in row)]
        for name, row in zip(names, maps["monte-carlo"]["matrix"], strict=True)
    ]
    met = sum(facts["tasks"][name][keys[1]] >= facts["tasks"][name][keys[0]] for name in names)
    return (
        "\n\n".join(
            [
                f"Cosine similarity of embeddings ({facts['filters']} filters); `monte-carlo` is at least as near to "
                f"the reference as another seed of the reference is on {met} of {len(names)} tasks, on average by "
                f"{mean(keys[1]) - mean(keys[0]):+.4f}:",
                table(["task", *columns], cosines),
                "One thread; processor seconds, medians; memory is the peak of a process, of which "
                f"{facts['memory']['imports']:.0f} MB are imports:",
                table(["", "seconds for a task", "faster than the reference", "peak memory, MB"], speeds),
                "What the distances say:",
                table(["", *chosen], neighbours),
                "Distances of `monte-carlo`, means over seeds; on the diagonal between two seeds of the same task:",
                table(["", *names], matrix),
                "The distance function differs from the reference's by "
                f"{facts['difference of distance functions']:.0e}.",
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a checkout of awslabs/aws-cv-task2vec")
    parser.add_argument("--probe", type=Path, required=True, help="a folder with a backbone, such as RUN/probe")
    parser.add_argument("--tasks", type=Path, default=TASKS, help="a folder of .npz files")
    parser.add_argument("--markdown", type=Path, help="where to write the tables; they are printed in any case")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    arguments = parser.parse_args()
    if not (arguments.reference / "task2vec.py").is_file():
        raise SystemExit(f"{arguments.reference} is no checkout of aws-cv-task2vec: it has no task2vec.py")
    # Threads of libraries below torch are counted when they start.
    os.environ["OMP_NUM_THREADS"] = "1"
    # The reference's progress bars.
    os.environ["TQDM_DISABLE"] = "1"
    start = time.monotonic()
    facts = measure(arguments.reference.resolve(), arguments.probe.resolve(), arguments.tasks.resolve())
    text = report(facts)
    print(f"\n{text}\n{(time.monotonic() - start) / 60:.0f} minutes")
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
