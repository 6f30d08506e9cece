"""Light heads on frozen features of places, and what they score.

Imports torch and scikit-learn, so import it only when work is done.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import nn
from torch.nn import functional

from task2sim import Backbone, ImageSet, report_progress, spawn_generator
from task2sim_dense.centres import FURTHER, PRIOR, centre_loss, found_objects, targets_of
from task2sim_dense.objects import Objects, objects_of
from task2sim_training.loop import rate
from task2sim_training.surroundings import reproducible

CHUNK = 32
"""Images whose feature maps are in memory at once."""

COMPONENTS = 128
WIDTH = 64
BATCH = 16
PLACES = 20_000
"""Places from which means, deviations and principal components are taken."""


def _maps(backbone: Backbone, images: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Feature maps with their features last, a few images at a time."""
    for start in range(0, len(images), CHUNK):
        chunk = slice(start, min(start + CHUNK, len(images)))
        yield chunk, np.moveaxis(backbone.feature_map(images[chunk]), 1, -1)


def _sample(backbone: Backbone, images: NDArray[np.uint8], most: int, seed: int) -> tuple[Any, Any, tuple[int, int]]:
    """Features of places drawn by lot, as many of each image; their positions in each map; the size of a map."""
    features, positions = [], []
    grid = (0, 0)
    for chunk, maps in _maps(backbone, images):
        grid = (maps.shape[1], maps.shape[2])
        cells = math.prod(grid)
        each = min(cells, max(1, most // len(images)))
        for number, flat in enumerate(maps.reshape(len(maps), cells, -1), chunk.start):
            drawn = np.sort(spawn_generator(seed, "places", str(number)).choice(cells, each, replace=False))
            features.append(flat[drawn])
            positions.append(drawn)
    return np.stack(features), np.stack(positions), grid


def _shares(mask: NDArray[np.uint16], classes: int, grid: tuple[int, int]) -> NDArray[np.float32]:
    """What share of each cell's pixels each class has: float32 array of shape (cells, classes)."""
    one_hot = functional.one_hot(torch.from_numpy(mask.astype(np.int64)), classes).permute(2, 0, 1).float()
    shares: NDArray[np.float32] = functional.adaptive_avg_pool2d(one_hot, grid).flatten(1).T.numpy()
    return shares


class PixelHead:
    """A logistic regression that tells the classes of places apart.

    Args:
        inverse_regularisation: scikit-learn's C.
        iterations: Steps of L-BFGS at most.
        places: Places to fit on at most.
    """

    def __init__(self, inverse_regularisation: float, iterations: int, places: int) -> None:
        self._scaler = StandardScaler()
        self._regression = LogisticRegression(C=inverse_regularisation, max_iter=iterations)
        self._places = places
        self._classes: NDArray[np.int64] = np.zeros(0, np.int64)

    def fit(self, backbone: Backbone, images: ImageSet, classes: int, seed: int) -> None:
        """Fit on images with category masks; `classes` counts the background."""
        assert images.category_mask is not None
        features, positions, grid = _sample(backbone, images.images, self._places, seed)
        shares = np.stack(
            [_shares(mask, classes, grid)[drawn] for mask, drawn in zip(images.category_mask, positions, strict=True)]
        ).reshape(-1, classes)
        # A place that shows several classes is an example of each, weighted by its share.
        places, kinds = np.nonzero(shares)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early it is as good a yardstick
            rows = self._scaler.fit_transform(features.reshape(len(shares), -1))
            self._classes = np.unique(kinds)
            if len(self._classes) > 1:
                self._regression.fit(rows[places], kinds, sample_weight=shares[places, kinds])

    def predict(self, backbone: Backbone, images: ImageSet) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """The class of every pixel, 0 for background, some images at a time: arrays of shape (n, height, width)."""
        size = images.images.shape[1:3]
        for chunk, maps in _maps(backbone, images.images):
            if len(self._classes) == 1:
                yield chunk, np.full((len(maps), *size), self._classes[0])
                continue
            with threadpool_limits(1):
                scores = self._regression.decision_function(self._scaler.transform(maps.reshape(-1, maps.shape[-1])))
            if scores.ndim == 1:  # of two classes scikit-learn gives the second one's score alone
                scores = np.stack([np.zeros_like(scores), scores], axis=1)
            grid = torch.from_numpy(scores.astype(np.float32)).reshape(*maps.shape[:3], -1).permute(0, 3, 1, 2)
            for number in range(len(grid)):  # one at a time: they are large
                logits = functional.interpolate(grid[number : number + 1], size, mode="bilinear")
                at = chunk.start + number
                yield slice(at, at + 1), self._classes[logits.argmax(dim=1).numpy()]


def mean_iou(head: PixelHead, backbone: Backbone, images: ImageSet) -> float:
    """Mean intersection over union of a head's predictions, over classes of which there are any, in [0, 1]."""
    from torchmetrics.classification import MulticlassJaccardIndex

    assert images.category_mask is not None
    classes = int(max(images.category_mask.max(), head._classes.max())) + 1
    with reproducible(0, 1):
        metric = MulticlassJaccardIndex(max(2, classes), average="macro", validate_args=False)
        for place, predicted in head.predict(backbone, images):
            truth = images.category_mask[place].astype(np.int64)
            metric.update(torch.from_numpy(predicted), torch.from_numpy(truth))
            report_progress("score", place.stop, len(images), "images")
        return float(metric.compute())


def objects_in(images: ImageSet) -> list[Objects]:
    """The objects of each image, from its masks."""
    assert images.instance_mask is not None
    assert images.category_mask is not None
    return [objects_of(*masks) for masks in zip(images.instance_mask, images.category_mask, strict=True)]


class BoxHead:
    """Two convolutions that find objects by their centres.

    Args:
        classes: Classes of objects.
        epochs: How often each training image is seen.
        learning_rate: The highest rate of the schedule.
    """

    def __init__(self, classes: int, epochs: int, learning_rate: float) -> None:
        self._classes = classes
        self._epochs = epochs
        self._learning_rate = learning_rate
        self._scaler = StandardScaler()
        self._components = PCA(svd_solver="covariance_eigh", whiten=False)

    def fit(self, backbone: Backbone, images: ImageSet, seed: int) -> None:
        """Train on images with masks."""
        features, _, grid = _sample(backbone, images.images, PLACES, seed)
        with threadpool_limits(1), np.errstate(invalid="ignore"):  # features may be the same everywhere
            rows = self._scaler.fit_transform(features.reshape(-1, features.shape[-1]).astype(np.float64))
            self._components.set_params(n_components=min(COMPONENTS, *rows.shape)).fit(rows)
        maps = torch.cat([part for _, part in self._reduced(backbone, images)])
        objects = objects_in(images)
        with reproducible(seed, 1):
            last = nn.Conv2d(WIDTH, self._classes + FURTHER, 3, padding=1)
            nn.init.constant_(last.bias[:-FURTHER], PRIOR)  # type: ignore[index]
            self._head = nn.Sequential(nn.Conv2d(maps.shape[1], WIDTH, 1), nn.ReLU(), last)
            batches = max(1, len(maps) // BATCH)
            optimiser = torch.optim.Adam(self._head.parameters(), lr=self._learning_rate)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps=self._epochs * batches))
            for epoch in range(1, self._epochs + 1):
                for chosen in torch.randperm(len(maps)).tensor_split(batches):
                    targets = targets_of([objects[k] for k in chosen.tolist()], self._classes, grid)
                    loss = centre_loss(self._head(maps[chosen].float()), targets)
                    optimiser.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    schedule.step()
                report_progress("score", epoch, self._epochs, "epochs")

    def find(self, backbone: Backbone, images: ImageSet) -> list[tuple[Objects, NDArray[np.float32]]]:
        """Objects of each image, the surest first, with how sure the head is of each."""
        found = []
        with reproducible(0, 1), torch.inference_mode():
            for _, maps in self._reduced(backbone, images):
                found += found_objects(self._head(maps.float()))
        return found

    def _reduced(self, backbone: Backbone, images: ImageSet) -> Iterator[tuple[slice, torch.Tensor]]:
        """Feature maps (n, components, h, w), in half precision, since all of them are kept while the head trains."""
        for chunk, maps in _maps(backbone, images.images):
            with threadpool_limits(1):
                rows = self._components.transform(self._scaler.transform(maps.reshape(-1, maps.shape[-1])))
            # The first components would drown the others.
            rows = (rows / math.sqrt(float(self._components.explained_variance_.mean()) + 1e-12)).clip(-6e4, 6e4)
            reduced = torch.from_numpy(rows.astype(np.float16)).reshape(*maps.shape[:3], -1)
            yield chunk, reduced.permute(0, 3, 1, 2).contiguous()


def mean_average_precision(
    found: Sequence[tuple[Objects, NDArray[np.float32]]],
    truth: Sequence[Objects],
    image_size: tuple[int, ...],
    classes: int,
) -> float:
    """COCO's average precision of boxes, in [0, 1].

    Args:
        found: For each image the objects that were found, and how sure each is.
        truth: For each image those that are there; one or more in all of them together.
        image_size: Height and width of the images, in pixels.
        classes: Classes of objects.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def boxes(objects: Objects) -> NDArray[np.float64]:
        """Left, top, width and height in pixels."""
        sides = objects.boxes.astype(np.float64) * (image_size[1], image_size[0], image_size[1], image_size[0])
        sides[:, 2:] -= sides[:, :2]
        return sides

    annotations = [
        {"image_id": number, "category_id": int(kind), "bbox": box.tolist(), "area": float(box[2] * box[3])}
        for number, objects in enumerate(truth)
        for box, kind in zip(boxes(objects), objects.classes, strict=True)
    ]
    results = [
        {"image_id": number, "category_id": int(kind), "bbox": box.tolist(), "score": float(score)}
        for number, (objects, scores) in enumerate(found)
        for box, kind, score in zip(boxes(objects), objects.classes, scores, strict=True)
    ]
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": n, "height": image_size[0], "width": image_size[1]} for n in range(len(truth))],
            "annotations": [item | {"id": k, "iscrowd": 0} for k, item in enumerate(annotations, 1)],
            "categories": [{"id": kind, "name": str(kind)} for kind in range(classes)],
        }
        known.createIndex()
        counted = COCOeval(known, known.loadRes(results), "bbox")
        counted.evaluate()
        counted.accumulate()
        counted.summarize()
    return float(np.clip(counted.stats[0], 0.0, 1.0))
