"""An embedder: a task as the means and spreads of its training images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Task, TaskEmbedder, TaskEmbedding, fingerprint_libraries


class MyPlugin(TaskEmbedder):
    """Describes a task by how bright its images are, and where."""

    class Config(ComponentConfig):
        """Keys of ``embedder: {type: my-plugin, ...}``."""

        # blank: further keys, each with bounds and a description.
        cells: Annotated[int, Field(ge=1, le=16, description="images are described in cells x cells pieces")] = 4

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Vectors may change with NumPy's version."""
        return fingerprint_libraries("numpy")

    # blank: return True from `needs_probe` to be handed a network that was pre-trained with everything varied.

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task, looking at its training images only."""
        # blank: your vector: float32, finite, of the same length for every task; all that is random in it comes from
        # spawn_generator(seed, ...). Tasks that want the same images should lie near each other.
        cells = self.config.cells
        images = task.train.images
        rows = np.array_split(np.arange(images.shape[1]), cells)
        columns = np.array_split(np.arange(images.shape[2]), cells)
        # An image may have fewer pixels than there are cells.
        pieces = [images[:, row[:, None], column] for row in rows for column in columns if len(row) and len(column)]
        described = np.zeros((cells * cells, 2, 3))
        for number, piece in enumerate(pieces):
            each = piece.mean(axis=(1, 2)) / 255
            described[number] = each.mean(axis=0), each.std(axis=0)
        return TaskEmbedding(task.name, described.ravel().astype(np.float32), {"cells": cells})
