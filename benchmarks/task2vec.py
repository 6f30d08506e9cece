"""Task2Vec beside its public reference implementation: fidelity, speed, memory; and what embeddings say of tasks.

Give it a checkout of https://github.com/awslabs/aws-cv-task2vec. Some 12 minutes on one core::

    git clone https://github.com/awslabs/aws-cv-task2vec /tmp/reference
    python benchmarks/task2vec.py --reference /tmp/reference --markdown task2vec.md

Probe and tasks are the same for both. The reference shuffles the training images, fits a head by early-stopped Adam,
and draws labels batch by batch, so that two of its seeds differ. Ours is held to be faithful where it is as near to
the reference as the reference's two seeds are to one another; vectors are compared on all filters of the probe by
their cosine. Normalisation layers are kept in evaluation mode, as the reference says it does. Every measurement is a
process of its own, on one thread; its peak memory is that process's, with the libraries (some 450 MB) it needs.
Imports count for neither's time.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
TASKS = HERE.parents[1] / "shared" / "data" / "tasks"
PROBE = HERE.parent / "plugins" / "task2sim_tailor" / "learned" / "probe"

Vector = NDArray[np.float64]


def cosine(a: Vector, b: Vector) -> float:
    """Of the angle between two vectors."""
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def measure(options: argparse.Namespace) -> None:
    """Embed one task once, in this process, and write vector, seconds and peak memory."""
    import torch

    from task2sim_tasks.arrays import ArrayTasks

    torch.set_num_threads(1)
    task = ArrayTasks(ArrayTasks.Config(path=options.tasks)).load(options.task)
    embed = reference if options.measure == "reference" else ours
    vector, seconds = embed(task, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.savez(options.out, vector=vector, seconds=seconds, megabytes=peak)


def ours(task: Any, options: argparse.Namespace) -> tuple[Vector, float]:
    """Our embedding."""
    from task2sim_task2vec.embedder import Task2Vec
    from task2sim_task2vec.probe import load_probe

    load_probe(str(options.probe))  # imports count for neither
    embedder = Task2Vec(Task2Vec.Config(probe=str(options.probe), estimator=options.estimator))
    start = time.perf_counter()
    vector = embedder.embed(task, options.seed).vector
    return vector.astype(np.float64), time.perf_counter() - start


def reference(task: Any, options: argparse.Namespace) -> tuple[Vector, float]:
    """The reference's embedding, with its own defaults and a batch size of 64."""
    import torch

    sys.path.insert(0, str(options.reference))
    import task2vec as published  # type: ignore[import-not-found]

    from task2sim_task2vec.probe import load_probe

    torch.manual_seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002 - the reference draws from it
    probe = load_probe(str(options.probe))
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(options.seed))
    images = torch.utils.data.TensorDataset(
        probe.pixels(task.train.images)[order], torch.from_numpy(task.train.labels)[order]
    )

    class Network(published.ProbeNetwork):  # type: ignore[misc]
        """The probe in the form that the reference wants: a body, and a linear layer for the head."""

        def __init__(self) -> None:
            super().__init__()
            self.body = probe.network.requires_grad_(True)
            with torch.no_grad():
                width = probe.features(images[:1][0]).shape[1]
            self.fc = torch.nn.Linear(width, len(task.classes))
            self.layers = [lambda x: self.body(x).pooler_output.flatten(1), self.fc]

        @property
        def classifier(self) -> Any:
            return self.fc

        def train(self, mode: bool = True) -> Any:
            # The reference says that it keeps normalisation layers as they are, and then lets them take the batches'
            # statistics; its embeddings on this probe would be another quantity (cosine to ours 0.3).
            return super().train(False)

        def forward(self, x: Any, start_from: int = 0) -> Any:
            for layer in self.layers[start_from:]:
                x = layer(x)
            return x

    start = time.perf_counter()
    embedding = published.Task2Vec(
        Network(), loader_opts={"batch_size": 64, "num_workers": 0, "num_samples": 10000}
    ).embed(images)
    return np.asarray(embedding.hessian, dtype=np.float64), time.perf_counter() - start


def child(
    options: argparse.Namespace, what: str, task: str, seed: int, estimator: str = "monte-carlo"
) -> dict[str, Any]:
    """One measurement in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.npz"
        places = ["--tasks", str(options.tasks), "--probe", str(options.probe), "--reference", str(options.reference)]
        which = ["--measure", what, "--task", task, "--seed", str(seed), "--estimator", estimator, "--out", str(out)]
        subprocess.run([sys.executable, __file__, *places, *which], check=True, capture_output=True)
        with np.load(out) as found:
            result = {name: found[name] for name in found.files}
    print(
        what,
        task,
        seed,
        estimator,
        f"{float(result['seconds']):.1f} s {float(result['megabytes']):.0f} MB",
        flush=True,
    )
    return result


def fidelity(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """The table of ours beside the reference."""
    lines = [
        "| task | reference, two seeds | ours and the reference | ours, two seeds | seconds, reference "
        "| seconds, ours | faster | MB, reference | MB, ours |",
        "|---" * 9 + "|",
    ]
    rows = []
    for name in names:
        theirs = [child(options, "reference", name, seed) for seed in (0, 1)]
        own = [child(options, "ours", name, seed) for seed in (0, 1)]
        across = [cosine(a["vector"], b["vector"]) for a in own for b in theirs]
        row = [
            cosine(theirs[0]["vector"], theirs[1]["vector"]),
            float(np.mean(across)),
            cosine(own[0]["vector"], own[1]["vector"]),
            *(float(np.median([r["seconds"] for r in rs])) for rs in (theirs, own)),
            *(float(np.median([r["megabytes"] for r in rs])) for rs in (theirs, own)),
        ]
        rows.append(row)
        lines.append(_fidelity_line(name, row))
    lines.append(_fidelity_line("median", list(np.median(rows, axis=0))))
    return lines


def _fidelity_line(name: str, row: Sequence[float]) -> str:
    between, across, within, slow, fast, much, little = row
    return (
        f"| {name} | {between:.4f} | {across:.4f} | {within:.4f} | {slow:.1f} | {fast:.1f} | {slow / fast:.1f} x "
        f"| {much:.0f} | {little:.0f} |"
    )


def stability(options: argparse.Namespace, names: Sequence[str], estimator: str) -> list[str]:
    """Distances between the tasks, and how the order of neighbours changes with the seed."""
    from scipy import stats

    from task2sim import TaskEmbedding
    from task2sim_task2vec.embedder import Task2Vec

    embedder = Task2Vec(Task2Vec.Config(probe=str(options.probe)))
    tables = []
    for seed in range(options.seeds):
        vectors = {n: child(options, "ours", n, seed, estimator)["vector"].astype(np.float32) for n in names}
        tables.append(
            np.array(
                [
                    [embedder.distance(TaskEmbedding(a, vectors[a]), TaskEmbedding(b, vectors[b])) for b in names]
                    for a in names
                ]
            )
        )
    mean = np.mean(tables, axis=0)
    lines = ["| " + " | ".join(["", *names]) + " |", "|---" * (len(names) + 1) + "|"]
    lines += ["| " + " | ".join([n, *(f"{d:.3f}" for d in row)]) + " |" for n, row in zip(names, mean, strict=True)]
    others = ~np.eye(len(names), dtype=bool)
    pairs = list(itertools.combinations(tables, 2))
    agree = np.mean([(_nearest(a) == _nearest(b)).mean() for a, b in pairs])
    rank = np.mean(
        [stats.kendalltau(a[i][others[i]], b[i][others[i]])[0] for a, b in pairs for i in range(len(names))]
    )
    spread = float(np.std(tables, axis=0)[others].mean())
    nearest = ", ".join(f"{n}: {names[i]}" for n, i in zip(names, _nearest(mean), strict=True))
    lines += [
        "",
        f"Nearest: {nearest}. Over {options.seeds} seeds {100 * agree:.0f} % of the nearest neighbours agree, and "
        f"the order of all neighbours with Kendall's tau {rank:.2f}; a distance varies by {spread:.3f}.",
    ]
    return lines


def _nearest(table: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argmin(table + 9 * np.eye(len(table)), axis=1)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--reference", type=Path, help="a checkout of aws-cv-task2vec; without it ours alone is measured"
    )
    parser.add_argument("--tasks", type=Path, default=TASKS, help="a folder of .npz tasks")
    parser.add_argument("--probe", type=Path, default=PROBE, help="the probe [default: the one that ships]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--measure", choices=["reference", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--estimator", default="monte-carlo", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options)
        return
    names = sorted(path.stem for path in options.tasks.glob("*.npz"))
    lines: list[str] = []
    if options.reference:
        lines += ["Beside the reference:", "", *fidelity(options, names), ""]
    for estimator in ("monte-carlo", "variational"):
        lines += [f"Distances, {estimator}:", "", *stability(options, names, estimator), ""]
    text = "\n".join(lines)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
