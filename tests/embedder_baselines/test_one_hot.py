from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ImageSet, Task, TaskError
from task2sim_baselines.one_hot import OneHot


def task(name: str, value: int) -> Task:
    part = ImageSet(np.full((2, 3, 3, 3), value, np.uint8), np.array([0, 1]))
    return Task(name, ("a", "b"), part, part, part)


def embedder(length: int = 4096) -> OneHot:
    return OneHot(OneHot.Config(length=length))


@given(value=st.integers(0, 255), length=st.integers(2, 300), seed=st.integers(0, 2**63 - 1))
def test_one_place_that_follows_from_the_images(value: int, length: int, seed: int) -> None:
    embedding = embedder(length).embed(task("t", value), seed)
    assert embedding.vector.dtype == np.float32
    assert embedding.vector.shape == (length,)
    assert sorted(embedding.vector)[-2:] == [0, 1]
    # As every process and every study sees it.
    np.testing.assert_array_equal(embedding.vector, embedder(length).embed(task("another name", value), 0).vector)


@given(values=st.sets(st.integers(0, 255), min_size=3, max_size=3))
def test_all_tasks_are_equally_far_apart(values: set[int]) -> None:
    own = embedder(2**20)
    embeddings = [own.embed(task(str(value), value), 0) for value in values]
    for first in embeddings:
        for second in embeddings:
            assert own.distance(first, second) == (0 if first is second else 1)


def test_two_tasks_at_one_place_are_noticed() -> None:
    own = embedder(2)
    embeddings = [own.embed(task(str(value), value), 0) for value in range(3)]
    places = [int(embedding.vector.argmax()) for embedding in embeddings]
    first, second = (embeddings[n] for n in range(3) if places.count(places[n]) > 1)
    with pytest.raises(TaskError, match=rf"'{first.task}' and '{second.task}' have the same place") as error:
        own.distance(first, second)
    assert error.value.mend == "give the embedder another length than 2"
    assert own.distance(first, first) == 0


def test_places_are_spread_evenly() -> None:
    places = [int(embedder(8).embed(task("t", value), 0).vector.argmax()) for value in range(256)]
    assert np.bincount(places, minlength=8).min() > 16


def test_one_place_is_too_few() -> None:
    with pytest.raises(ValueError, match="length"):
        embedder(1)


def test_only_training_images_count() -> None:
    one, other = task("t", 3), task("t", 4)
    mixed = Task("t", one.classes, one.train, other.val, other.test)
    np.testing.assert_array_equal(embedder().embed(mixed, 0).vector, embedder().embed(one, 0).vector)
    assert embedder().distance(embedder().embed(mixed, 0), embedder().embed(other, 0)) == 1
