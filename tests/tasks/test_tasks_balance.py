from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ImageSet, Task, TaskError
from task2sim_tasks.balance import balanced_positions, limit_images


@given(labels=st.lists(st.integers(0, 4), max_size=60), limit=st.integers(0, 70))
def test_balanced(labels: list[int], limit: int) -> None:
    array = np.array(labels, dtype=np.int64)
    chosen = balanced_positions(array, limit)
    assert len(chosen) == min(limit, len(array))
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) <= set(balanced_positions(array, limit + 1))
    all_counts, counts = np.bincount(array, minlength=5), np.bincount(array[chosen], minlength=5)
    unfinished = counts < all_counts
    if unfinished.any():
        assert counts.max() - counts[unfinished].min() <= 1


def test_choice_is_not_the_first_images() -> None:
    assert balanced_positions(np.zeros(100, dtype=np.int64), 10).max() > 20


def tiny(count: int) -> Task:
    part = ImageSet(np.zeros((count, 8, 8, 3), np.uint8), np.arange(count) % 3)
    return Task(name="t", classes=("a", "b", "c"), train=part, val=part, test=part)


def test_limit() -> None:
    task = limit_images(tiny(30), 7)
    assert [len(task.split(name)) for name in ("train", "val", "test")] == [7, 7, 7]
    whole = tiny(30)
    assert limit_images(whole, None) is whole


def test_limit_below_classes() -> None:
    with pytest.raises(TaskError, match=r"3 classes but 'images' is 2; set 'images' to 3"):
        limit_images(tiny(30), 2)
