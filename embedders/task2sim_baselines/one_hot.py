"""A control: tasks can be told apart, and nothing else is known of them."""

from __future__ import annotations

import hashlib
from typing import Annotated

import numpy as np
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Task, TaskEmbedder, TaskEmbedding, TaskError


class OneHot(TaskEmbedder):
    """Embeds a task as zeros with a single 1, whose place follows from its training images.

    Any two tasks are equally far apart, so whatever a policy gains with another embedding comes from what that one
    knows of tasks. Of an unseen task a policy learns nothing here: at best it predicts what suits tasks in general.

    An embedder sees one task at a time, so places are drawn by a hash and two tasks may draw the same one. Among n
    tasks this happens with a chance of about n (n - 1) / (2 length): with 4096 places 1.6 % for 12 tasks and 4.5 %
    for 20. It is not left unnoticed: a study asks for all distances, and `distance` then says that another length is
    needed.
    """

    class Config(ComponentConfig):
        """How many places there are."""

        length: Annotated[int, Field(ge=2, le=2**20, description="length of the vector")] = 4096

    def __init__(self, config: Config) -> None:
        self._config = config

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task; float32 vector of shape (length,), the same whatever the seed."""
        vector = np.zeros(self._config.length, dtype=np.float32)
        digest = hashlib.sha256("\x1f".join(task.classes).encode())
        digest.update(repr(task.train.images.shape).encode())
        digest.update(task.train.images.data)
        digest.update(task.train.labels.data)
        vector[int(digest.hexdigest(), 16) % self._config.length] = 1
        return TaskEmbedding(task.name, vector, method={"embedder": "one-hot", "length": self._config.length})

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """The cosine distance: 1 between different tasks, 0 from a task to itself.

        Raises:
            TaskError: two tasks have drawn the same place.
        """
        far = super().distance(first, second)
        if far < 0.5 and first.task != second.task:
            raise TaskError(
                f"tasks {first.task!r} and {second.task!r} have the same place in the one-hot vector",
                mend=f"give the embedder another length than {self._config.length}",
            )
        return far
