"""Task2Vec: a task as the Fisher information of a probe network's filters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    Backbone,
    ComponentConfig,
    Task,
    TaskEmbedder,
    TaskEmbedding,
    TaskError,
    fingerprint_folder,
    fingerprint_libraries,
    report_progress,
    spawn_generator,
)

if TYPE_CHECKING:
    from task2sim.tasks import Labels

BATCH_SIZE = 32
"""Images in memory at once."""


class Task2Vec(TaskEmbedder):
    """Embeds a task as the diagonal Fisher information of a probe network, averaged over each filter.

    Source: Achille et al., "Task2Vec: task embedding for meta-learning", ICCV 2019, sections 2 and 3, with their
    Monte Carlo estimator. A head is fitted on the probe's features; labels are drawn from that model; the squared
    gradients of their log-probabilities say how much each filter matters for the task.
    """

    class Config(ComponentConfig):
        """Which probe, and how closely it looks."""

        probe: Annotated[
            str | None,
            Field(
                description="a folder or hub name of a transformers image backbone; by default the study makes one"
            ),
        ] = None
        images: Annotated[
            int, Field(ge=4, description="training images looked at, as many of each class; at least two a class")
        ] = 400
        label_draws: Annotated[int, Field(ge=1, description="labels drawn from the model for each image")] = 4
        threads: Annotated[int, Field(ge=1, description="CPU threads")] = 1

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """The weights of a probe in a folder, and the versions of the libraries that compute."""
        folder = Path(self._config.probe or "")
        weights = fingerprint_folder(folder) if self._config.probe and folder.is_dir() else "-"
        return f"{weights} {fingerprint_libraries('torch', 'transformers')}"

    @property
    def needs_probe(self) -> bool:
        """Whether the study has to make a probe: no other was named."""
        return self._config.probe is None

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task; float32 vector, one number >= 0 for each filter of the probe."""
        positions = balanced_sample(task, self._config.images, spawn_generator(seed, "task2vec", "images"))
        import torch

        from task2sim_task2vec.fisher import Head, filter_fisher
        from task2sim_task2vec.probe import load_probe

        if self._config.probe is None and probe is None:
            raise TaskError("task2vec was given no probe network", mend="name one: probe: FOLDER")
        source = self._config.probe if self._config.probe is not None else str(probe.folder)  # type: ignore[union-attr]
        images, labels = task.train.images[positions], torch.from_numpy(task.train.labels[positions])
        with _threads(self._config.threads), torch.no_grad():
            network = load_probe(source)
            starts = range(0, len(images), BATCH_SIZE)
            # Twice over the images: for the head, and then for the gradients.
            total = 2 * len(images)

            def batches(before: int) -> Iterator[torch.Tensor]:
                for start in starts:
                    report_progress("embed", before + start, total, "images")
                    yield network.pixels(images[start : start + BATCH_SIZE])

            features = torch.cat([network.features(pixels) for pixels in batches(0)])
            head = Head.fit(features, labels, len(task.classes))
            vector = filter_fisher(
                network,
                head,
                batches(len(images)),
                self._config.label_draws,
                spawn_generator(seed, "task2vec", "labels"),
            )
            report_progress("embed", total, total, "images")
        if not np.isfinite(vector).all() or not vector.any():
            raise TaskError(
                f"the probe network sees nothing in task {task.name!r}: its Fisher information is zero or not finite",
                mend="choose another probe",
            )
        return TaskEmbedding(
            task.name,
            vector,
            method={
                "embedder": "task2vec",
                "estimator": "monte-carlo",
                "probe": network.fingerprint,
                "images": self._config.images,
                "label_draws": self._config.label_draws,
            },
        )

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """The symmetric normalised cosine distance, in [0, 1] (Achille et al., ICCV 2019, section 3.3).

        Each filter's pair of values is divided by its sum, so that the few filters with large values do not drown
        the others.
        """
        total = first.vector.astype(np.float64) + second.vector
        counts = total > 0
        a, b = first.vector[counts] / total[counts], second.vector[counts] / total[counts]
        norms = float(np.linalg.norm(a) * np.linalg.norm(b))
        return max(0.0, 1.0 - float(a @ b) / norms) if norms else 1.0


def balanced_sample(task: Task, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose training images so that classes are as even as they can be.

    Args:
        task: The task.
        count: How many images, unless there are fewer; two a class are taken if that is more.
        generator: Source of randomness.

    Returns:
        Sorted positions among the training images.

    Raises:
        TaskError: a class has no training images, or there are fewer than two images a class.
    """
    labels: Labels = task.train.labels
    sizes = np.bincount(labels, minlength=len(task.classes))
    if not sizes.all():
        raise TaskError(
            f"class {task.classes[int(sizes.argmin())]!r} of task {task.name!r} has no training images",
            mend="add some or leave the class out",
        )
    if len(labels) < 2 * len(sizes):
        raise TaskError(
            f"task {task.name!r} has {len(labels)} training images for {len(sizes)} classes, too few to fit a head",
            mend="give it at least two a class",
        )
    order = generator.permutation(len(labels))
    # The k-th image of each class comes before every class's (k+1)-th.
    turn = np.empty(len(labels), dtype=np.int64)
    for label in range(len(sizes)):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    chosen: NDArray[np.int64] = np.sort(order[np.argsort(turn[order], kind="stable")][: max(count, 2 * len(sizes))])
    return chosen


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Pin torch's threads inside the block: their number changes the last bits of sums."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
