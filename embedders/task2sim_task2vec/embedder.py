"""Task2Vec: a task as the Fisher information of a probe network's filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    import torch

    from task2sim.tasks import Labels

BATCH_SIZE = 32
BATCH_PIXELS = BATCH_SIZE * 64**2
"""At most so many images and pixels at once. More would take more memory and no less time."""


class Task2Vec(TaskEmbedder):
    """Embeds a task as the diagonal Fisher information of a probe network, averaged over each filter.

    Source: Achille et al., "Task2Vec: task embedding for meta-learning", ICCV 2019, sections 2 and 3. A head is
    fitted on the probe's features; labels are drawn from that model; the squared gradients of their
    log-probabilities say how much each filter matters for the task. Every class counts the same, however many
    images it has.
    """

    class Config(ComponentConfig):
        """Which probe, and how closely it looks."""

        probe: Annotated[
            str | None,
            Field(
                description="a folder or hub name of a transformers image backbone, or efficientnet-lite0; "
                "by default the study makes one"
            ),
        ] = None
        estimator: Annotated[
            Literal["monte-carlo", "variational"],
            Field(description="how the Fisher information is found: in the probe as it is, or by the noise it bears"),
        ] = "monte-carlo"
        images: Annotated[
            int, Field(ge=4, description="training images looked at, as many of each class; at least two a class")
        ] = 1000
        label_draws: Annotated[
            int,
            Field(
                ge=1, description="labels drawn for each image; the variational estimator draws noise anew for each"
            ),
        ] = 1
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
        config = self._config
        positions = balanced_sample(task, config.images, spawn_generator(seed, "task2vec", "images"))
        import torch

        from task2sim_task2vec.fisher import Batch, filter_fisher
        from task2sim_task2vec.head import Head
        from task2sim_task2vec.probe import load_probe
        from task2sim_task2vec.variational import variational_fisher
        from task2sim_training.surroundings import pinned_threads

        if config.probe is None and probe is None:
            raise TaskError("task2vec was given no probe network", mend="name one: probe: FOLDER")
        source = config.probe if config.probe is not None else str(probe.folder)  # type: ignore[union-attr]
        images, labels = task.train.images[positions], task.train.labels[positions]
        weights = torch.from_numpy(balancing_weights(labels))
        count, draws = len(images), config.label_draws
        with pinned_threads(config.threads), torch.no_grad():
            network = load_probe(source)
            size = max(1, min(BATCH_SIZE, BATCH_PIXELS // network.image_size**2))

            def batches(orders: Sequence[NDArray[np.int64]], before: int, total: int) -> Iterator[Batch]:
                for turn, order in enumerate(orders):
                    for start in range(0, count, size):
                        report_progress("embed", before + turn * count + start, total, "images")
                        some = order[start : start + size]
                        yield network.pixels(images[some]), weights[some]

            as_they_come = [np.arange(count)]
            passes = 1 + (draws if config.estimator == "variational" else 1)
            features = torch.cat([network.features(pixels) for pixels, _ in batches(as_they_come, 0, passes * count)])
            if not _differ(features):
                raise TaskError(
                    f"the probe network sees nothing in task {task.name!r}: its features are the same for all images "
                    "or not finite",
                    mend="choose another probe, or look at the images",
                )
            head = Head.fit(features, torch.from_numpy(labels), weights, spawn_generator(seed, "task2vec", "head"))
            generator = spawn_generator(seed, "task2vec", "labels")
            if config.estimator == "variational":
                shuffled = [generator.permutation(count) for _ in range(draws)]
                vector = variational_fisher(network, head, batches(shuffled, count, passes * count), generator)
            else:
                again = batches(as_they_come, count, passes * count)
                vector = filter_fisher(network, head, again, draws, generator)
            report_progress("embed", passes * count, passes * count, "images")
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
                "estimator": config.estimator,
                "probe": network.fingerprint,
                "images": config.images,
                "label_draws": draws,
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
            mend="give it at least two a class, or choose another embedder, such as one-hot",
        )
    order = generator.permutation(len(labels))
    # The k-th image of each class comes before every class's (k+1)-th.
    turn = np.empty(len(labels), dtype=np.int64)
    for label in range(len(sizes)):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    chosen: NDArray[np.int64] = np.sort(order[np.argsort(turn[order], kind="stable")][: max(count, 2 * len(sizes))])
    return chosen


def balancing_weights(labels: Labels) -> NDArray[np.float32]:
    """Weights of images that give every class that occurs the same sum: float32, 1 on average."""
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(sizes) * sizes[numbers])).astype(np.float32)


def _differ(features: torch.Tensor) -> bool:
    """Whether features of images, of shape (N, D), are finite and differ by more than rounding."""
    return bool(features.std(dim=0).max() > 1e-5 * features.square().mean().sqrt())
