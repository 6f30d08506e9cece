from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

from task2sim import Backbone, ImageSet, PluginError, Task, TaskError
from task2sim_dense.evaluators import MeanAveragePrecision, MeanIoU
from task2sim_dense.heads import PixelHead, mean_iou
from task2sim_resnet.trainer import ResNetTrainer


class Pixels(Backbone):
    """Features of a place are its colour, coarse or fine."""

    folder = Path()

    def __init__(self, cell: int = 4) -> None:
        self.cell = cell

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.mean(axis=(1, 2)).astype(np.float32)

    def feature_map(self, images: np.ndarray) -> np.ndarray:
        count, height, width, _ = images.shape
        cells = images.reshape(count, height // self.cell, self.cell, width // self.cell, self.cell, 3) / 255
        both = np.concatenate([cells.mean(axis=(2, 4)), cells.std(axis=(2, 4))], axis=-1)
        return np.moveaxis(both, -1, 1).astype(np.float32)


class Blind(Pixels):
    def feature_map(self, images: np.ndarray) -> np.ndarray:
        return np.zeros_like(super().feature_map(images))


def evaluators() -> list[MeanIoU | MeanAveragePrecision]:
    return [MeanIoU(MeanIoU.Config()), MeanAveragePrecision(MeanAveragePrecision.Config(epochs=30))]


@pytest.fixture(params=[0, 1], ids=["mean-iou", "mean-average-precision"])
def evaluator(request: pytest.FixtureRequest) -> MeanIoU | MeanAveragePrecision:
    return evaluators()[request.param]


def without(task: Task, **masks: None) -> Task:
    parts = {split: attrs.evolve(task.split(split), **masks) for split in ("train", "val", "test")}
    return attrs.evolve(task, **parts)


def test_features_that_tell_score_higher_than_those_that_do_not(evaluator, task, capfd):
    good, blind = (evaluator.score(backbone, task, "val", 1) for backbone in (Pixels(), Blind()))
    assert 0 <= blind.value < 0.4
    assert blind.value + 0.2 < good.value <= 1
    assert good.count == len(task.val)
    assert evaluator.score(Pixels(), task, "test", 1).count == len(task.test)
    assert capfd.readouterr() == ("", "")


def test_scores_are_the_same_again_and_global_generators_are_left_alone(evaluator, task):
    before = torch.get_rng_state().tolist()
    assert evaluator.score(Pixels(), task, "test", 7) == evaluator.score(Pixels(), task, "test", 7)
    assert torch.get_rng_state().tolist() == before


def test_backbones_of_another_trainer_are_scored(evaluator, task, tmp_path):
    config = ResNetTrainer.Config(depths=(1, 1), widths=(8, 16), stem_width=8, image_size=32, device="cpu")
    backbone = ResNetTrainer(config).untrained(1, tmp_path)
    assert backbone.feature_map(task.val.images).shape == (16, 24, 8, 8)
    assert 0 < evaluator.score(backbone, task, "val", 1).value <= 1


def test_a_backbone_without_feature_maps_is_told(evaluator, task):
    class Whole(Pixels):
        feature_map = Backbone.feature_map

    with pytest.raises(PluginError, match=r"Whole has features of whole images only.*choose a trainer whose"):
        evaluator.score(Whole(), task, "val", 1)


def test_tasks_without_masks_are_refused(evaluator, task):
    with pytest.raises(TaskError, match=r"task 'boxes' has no \w+ masks, which evaluator 'mean-.*'dense-folder'"):
        evaluator.check(without(task, category_mask=None, instance_mask=None))
    with pytest.raises(TaskError, match=r"a single class in its training masks|no objects in its train images"):
        evaluator.check(
            attrs.evolve(task, train=attrs.evolve(task.train, category_mask=0 * task.train.category_mask))
        )


def test_only_boxes_need_instances(task):
    semantic = without(task, instance_mask=None)
    for_pixels, for_boxes = evaluators()
    for_pixels.check(semantic)
    with pytest.raises(TaskError, match="has no instance masks"):
        for_boxes.check(semantic)


def test_the_test_split_needs_objects_too(task):
    empty = attrs.evolve(task.test, instance_mask=0 * task.test.instance_mask)
    with pytest.raises(TaskError, match="no objects in its test images"):
        evaluators()[1].check(attrs.evolve(task, test=empty))


def test_mean_iou_of_a_case_worked_by_hand() -> None:
    class Fixed(PixelHead):
        def predict(self, backbone, images):
            yield slice(0, 1), np.array([[[0, 0, 1, 1]]])
            yield slice(1, 2), np.array([[[0, 0, 0, 2]]])

    head = Fixed(1.0, 1, 100)
    head._classes = np.arange(3)
    truth = np.array([[[0, 0, 0, 1]], [[0, 0, 1, 2]]], np.uint16)
    images = ImageSet(np.zeros((2, 1, 4, 3), np.uint8), [0, 1], truth)
    # Of all pixels: background 4 of 6, class one 1 of 3, class two 1 of 1. A fourth class is nowhere.
    assert mean_iou(head, Pixels(), images) == pytest.approx((4 / 6 + 1 / 3 + 1) / 3, abs=1e-6)


def test_cells_with_several_classes_count_for_each() -> None:
    # The border runs through the cells: two thirds of each are background.
    images = np.zeros((6, 6, 12, 3), np.uint8)
    masks = np.zeros((6, 6, 12), np.uint16)
    images[3:, 2:4], masks[3:, 2:4] = 200, 1
    everything = ImageSet(images, np.zeros(6), masks)
    head = PixelHead(1e4, 200, 1000)
    head.fit(Pixels(cell=6), everything, 2, seed=0)
    cells = head._scaler.transform(np.moveaxis(Pixels(6).feature_map(images[3:4]), 1, -1).reshape(-1, 6))
    np.testing.assert_allclose(head._regression.predict_proba(cells)[:, 1], 1 / 3, atol=0.02)


def test_places_are_at_most_as_many_as_asked_for(task, monkeypatch):
    fitted = []
    monkeypatch.setattr(
        "sklearn.preprocessing.StandardScaler.fit_transform",
        lambda self, rows: fitted.append(len(rows)) or self.fit(rows).transform(rows),
    )
    MeanIoU(MeanIoU.Config(places=200)).score(Pixels(), task, "val", 1)
    assert fitted == [200]
