from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ImageSet, Task, TaskEmbedding, TaskError, stratified_split
from task2sim.interfaces import cosine_distance


def images(count: int, value: int = 0) -> ImageSet:
    return ImageSet(np.full((count, 2, 2, 3), value, np.uint8), np.arange(count) % 2)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.integers(0, 99))
def test_a_split_is_a_partition_with_every_class_in_each_part(labels: list[int], seed: int) -> None:
    array = np.array(labels, dtype=np.int64)
    parts = stratified_split(array, (0.6, 0.2), seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for label, count in zip(*np.unique(array, return_counts=True), strict=True):
        if count >= 3:
            assert all((array[part] == label).any() for part in parts)
    again = stratified_split(array, (0.6, 0.2), seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_shares_of_a_split() -> None:
    parts = stratified_split(np.repeat([0, 1], [100, 50]), (0.6, 0.2), 0)
    assert [len(part) for part in parts] == [90, 30, 30]


def test_bad_tasks_are_refused() -> None:
    with pytest.raises(TaskError, match="has 1 class"):
        Task(name="t", classes=("a",), train=images(2), val=images(2), test=images(2))
    with pytest.raises(TaskError, match="no val images"):
        Task(name="t", classes=("a", "b"), train=images(2), val=images(0), test=images(2))
    wrong = ImageSet(np.zeros((1, 2, 2, 3), np.uint8), [5])
    with pytest.raises(TaskError, match="labels outside 0 to 1"):
        Task(name="t", classes=("a", "b"), train=wrong, val=images(2), test=images(2))
    with pytest.raises(ValueError, match="uint8"):
        ImageSet(np.zeros((1, 2, 2, 3)), [0])
    with pytest.raises(ValueError, match="labels of shape"):
        ImageSet(np.zeros((1, 2, 2, 3), np.uint8), [0, 1])


@pytest.mark.parametrize("name", ["", " ", ".", "..", "../x", "a/b", "a\\b", "/x", ".hidden", "x\n", "x" * 101])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(TaskError, match="a task can't be named"):
        Task(name=name, classes=("a", "b"), train=images(2), val=images(2), test=images(2))


def test_a_fingerprint_sees_every_pixel_label_and_class() -> None:
    def task(value: int = 0, classes: tuple[str, str] = ("a", "b"), count: int = 4) -> Task:
        return Task(name="t", classes=classes, train=images(4), val=images(count), test=images(4, value))

    assert task().fingerprint == task().fingerprint
    assert len({t.fingerprint for t in (task(), task(1), task(classes=("a", "c")), task(count=5))}) == 4


def test_a_distance_is_never_negative() -> None:
    # Rounding puts the cosine of some vectors with themselves above one.
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    distances = [cosine_distance(TaskEmbedding("t", v), TaskEmbedding("t", v)) for v in vectors]
    assert min(distances) >= 0.0
    assert max(distances) < 1e-6
    assert cosine_distance(TaskEmbedding("t", vectors[0]), TaskEmbedding("t", -vectors[0])) == pytest.approx(2.0)
