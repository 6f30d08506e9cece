"""Choosing a few images of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import attrs
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import ImageSet, Task, TaskError

ImageLimit = Annotated[
    int | None, Field(ge=2, description="At most so many images in each split, evenly from its classes; null: all.")
]
"""The ``images`` key of task sources."""


def balanced_positions(labels: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Choose images so that no class has two more than another, unless the other has no more to give.

    Args:
        labels: int64 array of shape (N,).
        limit: How many to choose at most, >= 0.

    Returns:
        Sorted int64 array of ``min(N, limit)`` positions; the same every time. A greater limit keeps those of
        a smaller one.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    chosen = np.lexsort((labels, rank))[:limit]
    return np.sort(chosen).astype(np.int64)


def check_limit(task: str, classes: Sequence[str], limit: int) -> None:
    """Refuse a limit that leaves some class of a task without images.

    Raises:
        TaskError: the limit is less than one image of each class.
    """
    if limit < len(classes):
        raise TaskError(
            f"task {task!r} has {len(classes)} classes but 'images' is {limit}",
            mend=f"set 'images' to {len(classes)} or more",
        )


def limit_images(task: Task, limit: int | None) -> Task:
    """Keep at most `limit` images in each split of a task, chosen by `balanced_positions`.

    Raises:
        TaskError: the limit is less than one image of each class.
    """
    if limit is None:
        return task
    check_limit(task.name, task.classes, limit)

    def few(part: ImageSet) -> ImageSet:
        return part.take(balanced_positions(part.labels, limit))

    return attrs.evolve(task, train=few(task.train), val=few(task.val), test=few(task.test))
