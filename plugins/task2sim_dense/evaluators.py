"""Evaluators that fit a light head on frozen features of places: which class does a pixel show, where are objects?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    Backbone,
    ComponentConfig,
    Evaluator,
    ImageSet,
    Score,
    Task,
    TaskError,
    fingerprint_libraries,
    spawn_seed,
)

_SPLITS = ("train", "val", "test")


class MeanIoU(Evaluator):
    """Scores segmentation: the mean over classes of intersection over union, background included.

    A logistic regression on standardised features tells the classes apart, fitted on places drawn from the training
    images, each with the shares that classes have of its pixels. Its outputs are enlarged to the masks' size
    bilinearly. As in PASCAL VOC (Everingham et al., IJCV 2010) pixels of all images are counted together; classes
    that neither truth nor prediction has do not count.
    """

    class Config(ComponentConfig):
        """How the head is fitted."""

        inverse_regularisation: Annotated[
            float, Field(gt=0, description="scikit-learn's C: the greater, the closer the fit")
        ] = 0.1
        iterations: Annotated[int, Field(ge=1, description="steps of L-BFGS at most")] = 100
        places: Annotated[
            int, Field(ge=100, le=10_000_000, description="cells of the feature maps it is fitted on, at most")
        ] = 20_000

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that compute features and scores."""
        return fingerprint_libraries("torch", "scikit-learn", "torchmetrics")

    def check(self, task: Task) -> None:
        """Say now whether there are masks, and two classes or more in the training images.

        Raises:
            TaskError: there aren't.
        """
        _need(task, "category_mask", "mean-iou")
        masks = task.train.category_mask
        if masks is None or masks.min() == masks.max():
            raise TaskError(
                f"task {task.name!r} has a single class in its training masks",
                mend="background and a class, or two classes, are the least",
            )

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Score by mean intersection over union, in [0, 1]; see `Evaluator.score`."""
        from task2sim_dense.heads import PixelHead, mean_iou

        self.check(task)
        config = self._config
        head = PixelHead(config.inverse_regularisation, config.iterations, config.places)
        head.fit(backbone, task.train, len(task.classes) + 1, spawn_seed(seed, "mean-iou"))
        held_out = task.split(split)
        return Score(mean_iou(head, backbone, held_out), "mean IoU", len(held_out))


class MeanAveragePrecision(Evaluator):
    """Scores detection: COCO's average precision of boxes, the mean over classes and overlaps from 0.5 to 0.95.

    A convolutional head of two layers is trained on features that were standardised and brought down to their 128
    principal components; it finds objects by their centres (Zhou et al., "Objects as points", 2019). pycocotools
    counts.
    """

    class Config(ComponentConfig):
        """How the head is trained."""

        epochs: Annotated[int, Field(ge=1, description="how often each training image is seen")] = 40
        learning_rate: Annotated[float, Field(gt=0, description="the highest of the cosine schedule")] = 5e-3

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that compute features and scores."""
        return fingerprint_libraries("torch", "scikit-learn", "scipy", "pycocotools")

    def check(self, task: Task) -> None:
        """Say now whether there are masks, and objects in every split.

        Raises:
            TaskError: there aren't.
        """
        from task2sim_dense.heads import objects_in

        for mask in ("instance_mask", "category_mask"):
            _need(task, mask, "mean-average-precision")
        for split in _SPLITS:
            if not any(len(found) for found in objects_in(task.split(split))):
                raise TaskError(
                    f"task {task.name!r} has no objects in its {split} images",
                    mend="an object is a number of the instance mask with a class in the category mask",
                )

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Score by mean average precision, in [0, 1]; see `Evaluator.score`."""
        from task2sim_dense.heads import BoxHead, mean_average_precision, objects_in

        self.check(task)
        held_out = task.split(split)
        head = BoxHead(len(task.classes), self._config.epochs, self._config.learning_rate)
        head.fit(backbone, task.train, spawn_seed(seed, "mean-average-precision"))
        value = mean_average_precision(
            head.find(backbone, held_out), objects_in(held_out), held_out.images.shape[1:3], len(task.classes)
        )
        return Score(value, "mAP", len(held_out))


def _need(task: Task, mask: str, evaluator: str) -> None:
    parts: list[ImageSet] = [task.split(split) for split in _SPLITS]
    masks: list[NDArray[np.uint16] | None] = [getattr(part, mask) for part in parts]
    if any(values is None for values in masks):
        raise TaskError(
            f"task {task.name!r} has no {mask.replace('_', ' ')}s, which evaluator {evaluator!r} needs",
            mend="take a dense task, such as one of task source 'dense-folder', or another evaluator",
        )
