"""An evaluator: an image gets the class whose mean feature vector is nearest."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Evaluator, Score, Task, TaskError, fingerprint_libraries


class MyPlugin(Evaluator):
    """Scores backbones by the nearest class mean."""

    class Config(ComponentConfig):
        """Keys of ``evaluator: {type: my-plugin, ...}``."""

        # blank: further keys, each with bounds and a description.
        normalised: Annotated[bool, Field(description="whether feature vectors are scaled to length one")] = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Scores may change with NumPy's version."""
        return fingerprint_libraries("numpy")

    def check(self, task: Task) -> None:
        """Say now, before anything is rendered, what would fail later."""
        # blank: what your score needs.
        missing = set(range(len(task.classes))) - set(task.train.labels.tolist())
        if missing:
            raise TaskError(
                f"task {task.name!r} has no training images of class {task.classes[min(missing)]!r}",
                mend="add some, or leave the class out",
            )

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Fit on the training images, score on those of the split; higher is better."""
        # blank: your score. All that is random in it comes from spawn_generator(seed, ...).
        self.check(task)
        held_out = task.split(split)
        train, test = self._features(backbone, task.train.images), self._features(backbone, held_out.images)
        means = np.stack([train[task.train.labels == label].mean(axis=0) for label in range(len(task.classes))])
        nearest = np.stack([np.linalg.norm(row - means, axis=1).argmin() for row in test])
        return Score(float(np.mean(nearest == held_out.labels)), "accuracy", len(held_out))

    def _features(self, backbone: Backbone, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = backbone.features(images)
        if self.config.normalised:
            features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return features
