"""A task as the features that a probe network finds in its images."""

from __future__ import annotations

from typing import Annotated

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
)
from task2sim.tasks import Images
from task2sim_baselines.moments import frechet_distance, task_moments


class FeatureStatistics(TaskEmbedder):
    """Embeds a task as the mean and the standard deviation of a probe network's features over training images.

    The means are the "domain embedding" that Task2Vec is compared with (Achille et al., "Task2Vec: task embedding for
    meta-learning", ICCV 2019, figure 1). Labels do no more than balance the classes: two tasks on the same pictures
    have nearly the same embedding.
    """

    class Config(ComponentConfig):
        """How closely it looks."""

        images: Annotated[int, Field(ge=2, description="training images looked at, as many of each class")] = 400

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def needs_probe(self) -> bool:
        """Always: the study makes one."""
        return True

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task; float32 vector with the mean of each feature, then the standard deviation of each.

        Raises:
            TaskError: there is no probe, or its features are not finite.
        """
        if probe is None:
            raise TaskError("feature-statistics was given no probe network", mend="choose a trainer that makes one")
        network = probe

        def describe(images: Images) -> NDArray[np.float32]:
            features = network.features(images)
            if not np.isfinite(features).all():
                raise TaskError(
                    f"the probe network's features of task {task.name!r} are not finite",
                    mend="pre-train the probe with a smaller learning rate",
                )
            return features

        vector = task_moments(task, self._config.images, seed, describe)
        weights = [fingerprint_folder(path)[:16] for path in sorted(probe.folder.glob("*.safetensors"))]
        method = {"embedder": "feature-statistics", "probe": " ".join(weights), "images": self._config.images}
        return TaskEmbedding(task.name, vector, method)

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """The Fréchet distance of the features, taken as independent normal variables; >= 0."""
        return frechet_distance(first, second)
