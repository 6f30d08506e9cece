"""The evaluator that trains the whole network on a task."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Evaluator, PluginError, Score, Task, fingerprint_libraries
from task2sim_resnet.evaluators import check_classes


class FineTune(Evaluator):
    """Puts a new classification head on a backbone and trains all of it on the task's training images."""

    class Config(ComponentConfig):
        """How long and how it is trained."""

        epochs: Annotated[int, Field(ge=1, description="how often each image is seen")] = 20
        batch_size: Annotated[
            int, Field(ge=2, description="images a step; the remainder is spread over the batches")
        ] = 64
        learning_rate: Annotated[float, Field(gt=0, description="the highest of the schedule")] = 1e-3
        weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.05
        threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; another number, other rounding")] = 1
        device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU where there is one")] = (
            "auto"
        )

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that train."""
        return fingerprint_libraries("torch", "transformers", "kornia")

    def check(self, task: Task) -> None:
        """Say now whether there are training images of every class.

        Raises:
            TaskError: there are none of some class.
        """
        check_classes(task)

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Train a copy of the backbone, score by accuracy; see `Evaluator.score`.

        Raises:
            TaskError: there are no training images of some class.
            PluginError: the backbone is not one of trainer ``resnet``.
            ConfigError: the training diverged, or the device is missing.
        """
        from task2sim_resnet.augmentation import task_augmentation
        from task2sim_resnet.backbone import MANIFEST, load
        from task2sim_resnet.networks import with_new_head
        from task2sim_resnet.training import fit_classifier, predict
        from task2sim_training.surroundings import choose_device, reproducible

        self.check(task)
        if not (backbone.folder / MANIFEST).is_file():
            raise PluginError(
                f"evaluator 'fine-tune' can only train backbones of trainer 'resnet': {MANIFEST} is missing",
                place=str(backbone.folder),
                mend="choose that trainer, or evaluator knn or linear-probe",
            )
        config = self._config
        manifest, network = load(backbone.folder)
        with reproducible(seed, config.threads):
            network = with_new_head(network, task.classes).to(choose_device(config.device))
            fit_classifier(
                network,
                task.train.images,
                task.train.labels,
                manifest.preprocessing,
                task_augmentation(manifest.image_size),
                epochs=config.epochs,
                batch_size=config.batch_size,
                learning_rate=config.learning_rate,
                weight_decay=config.weight_decay,
                stage="fine-tune",
            )
            held_out = task.split(split)
            predicted = predict(network, held_out.images, manifest.preprocessing).argmax(axis=1)
        return Score(float(np.mean(predicted == held_out.labels)), "accuracy", len(held_out))
