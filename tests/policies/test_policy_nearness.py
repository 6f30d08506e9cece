"""How near a task is to the seen ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim_policies.nearness import Nearness, normalised_cosine_distances

cells = st.floats(-100, 100, width=32) | st.just(0.0)
tables = st.lists(cells, min_size=20, max_size=20).map(lambda numbers: np.array(numbers, np.float32).reshape(4, 5))


@pytest.fixture
def seen() -> np.ndarray:
    return np.random.default_rng(0).random((5, 300)).astype(np.float32) ** 4


def test_distance_is_the_papers() -> None:
    a, b = np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 1.0]], np.float32)
    first, second = np.array([1 / 4, 2 / 3]), np.array([3 / 4, 1 / 3])
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert normalised_cosine_distances(a, b) == pytest.approx(1 - cosine)


@given(tables)
def test_distances_are_symmetric_and_zero_only_to_oneself(vectors: np.ndarray) -> None:
    distances = normalised_cosine_distances(vectors, vectors)
    np.testing.assert_allclose(distances, distances.T, atol=1e-9)
    assert (distances > -1e-9).all()
    assert (distances < 2 + 1e-9).all()
    zero = ~vectors.any(axis=1)
    np.testing.assert_allclose(np.diag(distances), zero, atol=1e-9)


def test_a_seen_task_weighs_most_on_itself_and_a_strange_one_on_none(seen: np.ndarray) -> None:
    nearness = Nearness(seen)
    own = nearness(seen)
    assert (np.diag(own) > 0.8).all()
    assert (own - np.diag(np.diag(own)) < 0.1).all()
    generator = np.random.default_rng(1)
    near = nearness((seen[2] * generator.normal(1, 0.1, 300)).astype(np.float32)[None])[0]
    assert near.argmax() == 2
    assert near[2] > 0.5
    strange = np.zeros((1, 300), np.float32)
    assert nearness(strange).max() < own.diagonal().min() / 2


@given(tables)
def test_weights_are_finite_whatever_the_embeddings(vectors: np.ndarray) -> None:
    for count in (1, 2, 4):
        weights = Nearness(vectors[:count])(vectors)
        assert weights.shape == (4, count)
        assert np.abs(weights).max() < 20


def test_distances_that_no_kernel_has_do_no_harm() -> None:
    """The kernel's matrix has an eigenvalue of -0.3 here."""
    vectors = [[4.9, 0.0053], [91.1, 1.68], [0.102, 0.0532], [1.12, 17.8]]
    vectors += [[0.0061, 0.625], [4.76, 4.94], [0.609, 4.82], [55.9, 8.01]]
    seen = np.array(vectors, np.float32)
    weights = Nearness(seen)(seen)
    assert np.linalg.norm(weights, 2) < 1
    assert (weights.diagonal() > 0).all()


def test_equal_tasks_share_the_weight() -> None:
    equal = np.ones((2, 4), np.float32)
    weights = Nearness(equal)(equal)
    assert weights == pytest.approx(np.full((2, 2), 1 / 2.1))
