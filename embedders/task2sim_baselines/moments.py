"""The mean and the standard deviation of what images show, every class counting alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from task2sim import Task, TaskEmbedding, report_progress, spawn_generator

if TYPE_CHECKING:
    from task2sim.tasks import Images, Labels

BATCH_SIZE = 16
"""Images in memory at once."""


def task_moments(
    task: Task, count: int, seed: int, describe: Callable[[Images], NDArray[np.floating]]
) -> NDArray[np.float32]:
    """Mean and standard deviation over a task's training images.

    Args:
        task: The task.
        count: How many images are looked at, unless there are fewer.
        seed: Chooses them where there are more.
        describe: Gives uint8 images of shape (N, height, width, 3) N rows of D numbers.

    Returns:
        float32 array of shape (2 D,): the means, then the standard deviations.
    """
    positions = balanced_sample(task.train.labels, count, spawn_generator(seed, "embed", "images"))
    rows = []
    for start in range(0, len(positions), BATCH_SIZE):
        report_progress("embed", start, len(positions), "images")
        rows.append(describe(task.train.images[positions[start : start + BATCH_SIZE]]))
    report_progress("embed", len(positions), len(positions), "images")
    return mean_and_deviation(np.concatenate(rows), task.train.labels[positions])


def mean_and_deviation(rows: NDArray[np.floating], labels: Labels) -> NDArray[np.float32]:
    """Mean and standard deviation of rows; each class has the same weight, each row the same in its class.

    Args:
        rows: Array of shape (N, D).
        labels: int64 array of shape (N,).

    Returns:
        float32 array of shape (2 D,).
    """
    weights = 1.0 / np.bincount(labels)[labels]
    weights /= weights.sum()
    wide = rows.astype(np.float64)
    mean = weights @ wide
    deviation = np.sqrt(weights @ (wide - mean) ** 2)
    return np.concatenate([mean, deviation]).astype(np.float32)


def balanced_sample(labels: Labels, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose positions so that classes are as even as they can be.

    Args:
        labels: int64 array of shape (N,).
        count: How many are wanted.
        generator: Source of randomness.

    Returns:
        Sorted int64 array of shape (min(count, N),).
    """
    order = generator.permutation(len(labels))
    # The k-th image of each class comes before every class's (k+1)-th.
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    chosen: NDArray[np.int64] = np.sort(order[np.argsort(turn[order], kind="stable")][:count])
    return chosen


def frechet_distance(first: TaskEmbedding, second: TaskEmbedding) -> float:
    """The Fréchet distance of two normal distributions with these means and independent dimensions, >= 0.

    With diagonal covariances it is the Euclidean distance of means and standard deviations (Dowson and Landau, "The
    Fréchet distance between multivariate normal distributions", Journal of Multivariate Analysis, 1982); between
    features of images it is known from FID (Heusel et al., NeurIPS 2017).
    """
    return float(np.linalg.norm(first.vector.astype(np.float64) - second.vector))
