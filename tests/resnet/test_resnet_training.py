from __future__ import annotations

import numpy as np
import torch

from task2sim_resnet.augmentation import scene_augmentation, task_augmentation
from task2sim_resnet.networks import build
from task2sim_resnet.training import fit_classifier, predict
from task2sim_training.preprocessing import Preprocessing
from task2sim_training.surroundings import reproducible

SEEN = Preprocessing(image_size=32)


def _fitted(task, mode: bool = True):
    with reproducible(0, threads=1):
        network = build((1, 1), (8, 8), "basic", 8, task.classes).train(mode)
        fit_classifier(
            network,
            task.train.images,
            task.train.labels,
            SEEN,
            task_augmentation(32),
            epochs=1,
            batch_size=10,
            learning_rate=1e-2,
            weight_decay=0.0,
            stage="fit",
        )
    return network


def test_outputs_after_training_depend_on_each_image_alone(task):
    network = _fitted(task)
    np.testing.assert_allclose(
        predict(network, task.val.images, SEEN)[:1], predict(network, task.val.images[:1], SEEN), rtol=1e-4, atol=1e-5
    )


def test_training_does_not_depend_on_the_mode_a_network_was_left_in(task):
    first, second = (_fitted(task, mode).state_dict() for mode in (True, False))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_augmentation_keeps_shape_and_range_and_differs_from_image_to_image():
    image = torch.linspace(0, 1, 32)[None, None, :].expand(3, 32, 32)
    images = torch.stack([image] * 20)
    for augmentation in (scene_augmentation(32), task_augmentation(32)):
        with reproducible(0, threads=1):
            changed = augmentation(images)
        assert changed.shape == images.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert len(torch.unique(changed.flatten(1), dim=0)) > 15


def test_only_rendered_scenes_are_mirrored():
    rising = torch.linspace(0, 1, 32).expand(40, 3, 32, 32)
    for augmentation, mirrored in ((scene_augmentation(32), True), (task_augmentation(32), False)):
        with reproducible(0, threads=1):
            changed = augmentation(rising)
        falls = (changed[..., -1].mean((1, 2)) < changed[..., 0].mean((1, 2))).float().mean()
        assert (0.2 < falls < 0.8) if mirrored else falls == 0
