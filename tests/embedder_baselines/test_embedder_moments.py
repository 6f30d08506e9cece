from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ImageSet, Task, TaskEmbedding
from task2sim.progress import Progress, progress_listener
from task2sim_baselines.moments import (
    BATCH_SIZE,
    balanced_sample,
    frechet_distance,
    mean_and_deviation,
    task_moments,
)

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(labels=LABELS, count=st.integers(1, 70), seed=st.integers(0, 99))
def test_sample_is_as_even_as_it_can_be(labels: list[int], count: int, seed: int) -> None:
    array = np.array(labels)
    chosen = balanced_sample(array, count, np.random.default_rng(seed))
    assert len(chosen) == min(count, len(array))
    assert (np.diff(chosen) > 0).all()
    have, all_of = np.bincount(array[chosen], minlength=5), np.bincount(array, minlength=5)
    unfinished = have < all_of
    if unfinished.any():
        assert have.max() - have[unfinished].min() <= 1


@given(labels=LABELS, seed=st.integers(0, 99))
def test_moments_do_not_hang_on_the_order_nor_on_how_often_a_class_occurs(labels: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, array = generator.normal(size=(len(labels), 3)), np.array(labels)
    expected = mean_and_deviation(rows, array)
    order = generator.permutation(len(labels))
    np.testing.assert_allclose(mean_and_deviation(rows[order], array[order]), expected, atol=1e-6)
    # All images of one class twice.
    often = np.concatenate([np.arange(len(labels)), np.flatnonzero(array == array[0])])
    np.testing.assert_allclose(mean_and_deviation(rows[often], array[often]), expected, atol=1e-6)
    renamed = np.array([7, 3, 0, 12, 5])[array]
    np.testing.assert_allclose(mean_and_deviation(rows, renamed), expected, atol=1e-6)


def test_moments_of_a_small_example() -> None:
    # Class 0 has mean 1 and class 1 has mean 4, of which the means are 2.5; deviations from it are 1.5 in each class,
    # and within class 0 another 1.
    moments = mean_and_deviation(np.array([[0.0], [2.0], [4.0]]), np.array([0, 0, 1]))
    np.testing.assert_allclose(moments, [2.5, np.sqrt((2.5**2 + 0.5**2) / 4 + 1.5**2 / 2)])
    assert moments.dtype == np.float32


def test_images_are_looked_at_batch_by_batch() -> None:
    images = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    part = ImageSet(images, np.arange(50) % 2)
    sizes: list[int] = []
    heard: list[Progress] = []

    def describe(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return batch[:, 0, 0, :1]

    task = Task("t", ("a", "b"), part, part, part)
    with progress_listener(heard.append):
        mean, _ = task_moments(task, 99, 0, describe)
    assert sizes == [BATCH_SIZE] * 3 + [50 - 3 * BATCH_SIZE]
    assert mean == pytest.approx(24.5)
    assert [(one.done, one.total) for one in heard] == [(n, 50) for n in (0, 16, 32, 48, 50)]
    few = task_moments(task, 4, 0, describe)
    assert sum(sizes) == 54
    np.testing.assert_array_equal(few, task_moments(task, 4, 0, describe))
    assert not np.array_equal(few, task_moments(task, 4, 1, describe))


@given(seed=st.integers(0, 99))
def test_distance_is_a_metric(seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b, c = (TaskEmbedding(str(n), generator.normal(size=6).astype(np.float32)) for n in range(3))
    assert frechet_distance(a, a) == 0
    assert frechet_distance(a, b) == frechet_distance(b, a) > 0
    assert frechet_distance(a, c) <= frechet_distance(a, b) + frechet_distance(b, c) + 1e-9
