from __future__ import annotations

import attrs
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


def masked(count: int, category: int = 1, instance: int = 1) -> ImageSet:
    masks = [np.full((count, 2, 2), value, np.uint16) for value in (category, instance)]
    return ImageSet(np.zeros((count, 2, 2, 3), np.uint8), np.arange(count) % 2, *masks)


def test_without_masks_a_fingerprint_is_what_it_always_was() -> None:
    part = ImageSet(np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3), [0, 1, 0, 1])
    known = "097e1e3814596714c120e77c1e00cd54f8f4d39a989206d27c4b8ce3ca03ea39"  # of release 0.5.0
    assert Task("a", ("x", "y"), part, part, part).fingerprint == known


def test_a_fingerprint_sees_masks() -> None:
    def task(**masks: int) -> Task:
        return Task("t", ("a", "b"), masked(4, **masks), masked(2), masked(2))

    part = masked(4)
    bare = [attrs.evolve(p, category_mask=None) for p in (part, masked(2), masked(2))]
    assert task().fingerprint == task().fingerprint
    distinct = [task(), task(category=2), task(instance=2), Task("t", ("a", "b"), *bare)]
    assert len({t.fingerprint for t in distinct}) == 4


def test_masks_make_a_task_dense_and_go_with_their_images() -> None:
    part = masked(4)
    dense = Task("t", ("a", "b"), part, masked(2), masked(2))
    assert dense.is_dense
    assert not Task("t", ("a", "b"), images(4), images(2), images(2)).is_dense
    instances = np.arange(16, dtype=np.uint16).reshape(4, 2, 2)
    taken = attrs.evolve(part, instance_mask=instances).take(np.array([3, 1]))
    assert np.array_equal(taken.instance_mask, instances[[3, 1]])
    assert np.array_equal(taken.category_mask, part.category_mask[[3, 1]])
    assert images(4).take(np.array([1])).instance_mask is None


@pytest.mark.parametrize("name", ["category_mask", "instance_mask"])
def test_bad_masks_are_refused(name: str) -> None:
    for masks in (np.zeros((4, 2, 2), np.int64), np.zeros((4, 2, 2, 1), np.uint16)):
        with pytest.raises(ValueError, match="masks must be uint16"):
            attrs.evolve(images(4), **{name: masks})
    with pytest.raises(ValueError, match=rf"but a {name} of shape \(4, 2, 3\)"):
        attrs.evolve(images(4), **{name: np.zeros((4, 2, 3), np.uint16)})
    with pytest.raises(TaskError, match=f"has a {name} for train and test only"):
        Task("t", ("a", "b"), masked(4), attrs.evolve(masked(2), **{name: None}), masked(2))


def test_categories_beyond_the_classes_are_refused() -> None:
    Task("t", ("a", "b"), masked(4, instance=9), masked(2), masked(2))
    with pytest.raises(TaskError, match="has 3 in a val category mask; 0 is background, 1 to 2 are the classes"):
        Task("t", ("a", "b"), masked(4), masked(2, category=3), masked(2))


def test_a_distance_is_never_negative() -> None:
    # Rounding puts the cosine of some vectors with themselves above one.
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    distances = [cosine_distance(TaskEmbedding("t", v), TaskEmbedding("t", v)) for v in vectors]
    assert min(distances) >= 0.0
    assert max(distances) < 1e-6
    assert cosine_distance(TaskEmbedding("t", vectors[0]), TaskEmbedding("t", -vectors[0])) == pytest.approx(2.0)
