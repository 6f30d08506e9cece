from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import Backbone, ImageSet, Score, Task, TaskError
from task2sim_resnet.evaluators import LinearProbe, NearestNeighbours


class Pixels(Backbone):
    """Its features are the first pixel row, less 128, and maybe scaled image by image."""

    folder = Path("nowhere")

    def __init__(self, scaled: bool = False) -> None:
        self.scaled = scaled

    def features(self, images):
        features = images[:, 0].reshape(len(images), -1).astype(np.float32) - 128
        scale = 1 + np.arange(len(images), dtype=np.float32)[:, None] if self.scaled else np.float32(1)
        return features * scale


def _random_task(seed: int, classes: int = 3, train: int = 30, held_out: int = 20) -> Task:
    generator = np.random.default_rng(seed)

    def image_set(count: int) -> ImageSet:
        labels = np.arange(count) % classes
        images = generator.integers(0, 256, (count, 1, 2, 3), dtype=np.uint8)
        images[:, 0, 0, 0] = np.clip(images[:, 0, 0, 0] // 2 + 40 * labels, 0, 255)
        return ImageSet(images, labels)

    names = tuple(f"class {k}" for k in range(classes))
    return Task("random", names, image_set(train), image_set(held_out), image_set(held_out // 2))


def _neighbours(count: int = 5) -> NearestNeighbours:
    return NearestNeighbours(NearestNeighbours.Config(neighbours=count))


def _vote(task: Task, neighbours: int) -> float:
    """Nearest neighbours from the definition, image by image."""
    unit = [v / np.linalg.norm(v) for v in Pixels().features(task.train.images).astype(np.float64)]
    right = 0
    for feature, label in zip(Pixels().features(task.val.images).astype(np.float64), task.val.labels, strict=True):
        order = np.argsort([-(u @ feature) for u in unit])
        votes = Counter(int(task.train.labels[k]) for k in order[:neighbours])
        right += max(votes, key=votes.__getitem__) == label  # The first of equals: the nearest, in this order.
    return right / len(task.val)


@given(seed=st.integers(0, 2**32), neighbours=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_nearest_neighbours_are_those_of_the_definition(seed, neighbours):
    task = _random_task(seed)
    expected = Score(pytest.approx(_vote(task, neighbours)), "accuracy", 20)
    assert _neighbours(neighbours).score(Pixels(), task, "val", 0) == expected


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_the_length_of_a_feature_vector_does_not_matter_to_neighbours(seed):
    task = _random_task(seed)
    assert _neighbours().score(Pixels(scaled=True), task, "val", 0) == _neighbours().score(Pixels(), task, "val", 0)


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ([1, 0, 0, 1, 2], 1),  # Two votes each: the nearest decides.
        ([2, 2, 0, 0, 1], 2),
        ([2, 0, 1, 1, 0], 0),  # The nearest of those that have the most votes, not of all.
        ([0, 0, 1, 1, 1], 1),  # A majority is a majority, however far away.
    ],
)
def test_a_tied_vote_goes_to_the_nearest(votes, winner):
    # Image k lies further from the one that is asked for, the greater k.
    train = np.full((6, 1, 2, 3), 228, np.uint8)
    train[:, 0, 0, 0] = [208, 198, 188, 178, 168, 28]
    asked = ImageSet(np.full((1, 1, 2, 3), 228, np.uint8), np.array([winner]))
    task = Task("ties", ("a", "b", "c"), train=ImageSet(train, np.array([*votes, 2])), val=asked, test=asked)
    assert _neighbours().score(Pixels(), task, "val", 0).value == 1


@pytest.mark.parametrize("evaluator", [_neighbours(), LinearProbe(LinearProbe.Config())])
def test_the_split_that_is_asked_for_is_scored(evaluator):
    task = _random_task(1)
    swapped = Task("swapped", task.classes, train=task.train, val=task.test, test=task.val)
    val, test = (evaluator.score(Pixels(), task, split, 0) for split in ("val", "test"))
    assert (val.count, test.count) == (20, 10)
    assert val == evaluator.score(Pixels(), swapped, "test", 0)
    assert val.value != test.value


def test_a_linear_probe_separates_what_a_plane_separates_unless_it_is_held_back():
    images = np.random.default_rng(0).integers(0, 256, (600, 1, 2, 3), dtype=np.uint8)
    total = images[:, 0].astype(int).sum(axis=(1, 2))
    labels = total > 850  # The fewer.
    clear = abs(total - 850) > 60
    train, val = (ImageSet(images[clear][k::2], labels[clear][k::2]) for k in (0, 1))
    task = Task("sums", ("small", "great"), train=train, val=val, test=val)
    free, held_back = (LinearProbe(LinearProbe.Config(inverse_regularisation=c)) for c in (10, 1e-9))
    assert free.score(Pixels(), task, "val", 0).value > 0.95
    assert held_back.score(Pixels(), task, "val", 0).value == np.mean(val.labels == 0) < 0.9


def test_a_linear_probe_that_is_stopped_early_does_not_complain(recwarn, capfd):
    LinearProbe(LinearProbe.Config(iterations=1)).score(Pixels(), _random_task(1), "val", 0)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_too_few_training_images_are_an_error_before_anything_is_computed():
    task = _random_task(1, train=4)
    with pytest.raises(TaskError, match="task 'random' has 4 training images for 5 neighbours; add images"):
        _neighbours().check(task)
    _neighbours(4).check(task)
    with pytest.raises(TaskError):
        _neighbours().score(Pixels(), task, "val", 0)


@pytest.mark.parametrize("evaluator", [_neighbours(), LinearProbe(LinearProbe.Config())])
def test_a_class_without_training_images_is_an_error(evaluator):
    task = _random_task(1)
    lacking = Task("lacking", (*task.classes, "lion", "tiger"), train=task.train, val=task.val, test=task.test)
    with pytest.raises(TaskError, match="no training images of 2 of 5 classes: lion, tiger; add some"):
        evaluator.check(lacking)
    evaluator.check(task)


@pytest.mark.parametrize("neighbours", [0, 101])
def test_the_number_of_neighbours_has_bounds(neighbours):
    with pytest.raises(ValueError, match="neighbours"):
        NearestNeighbours.Config(neighbours=neighbours)
