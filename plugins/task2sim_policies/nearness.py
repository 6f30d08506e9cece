"""How near a task is to the seen ones: what the network of the task2sim policy is told about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOUBT = 0.1
"""How much of a seen task's rewards is taken for chance; also keeps the weights of near-equal tasks finite."""

SAME = 1e-6
"""Distances below this are rounding errors."""


class Nearness:
    """A task's weights on the seen tasks.

    Embeddings have thousands of numbers and there are a few tasks: what a network does away from the seen ones is
    left to chance if it is given the embeddings themselves, or their principal axes. It is given the weights with
    which a Gaussian process predicts a task's rewards from those of the seen tasks (Rasmussen and Williams, "Gaussian
    Processes for Machine Learning", 2006, section 2.2), with an exponential kernel as wide as tasks are apart. A seen
    task weighs nearly one on itself, and so does a task near it; a task unlike all of them has weights near zero.

    Args:
        vectors: float32 array of shape (T, D): the seen tasks' embeddings.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors
        distances = normalised_cosine_distances(vectors, vectors)
        count = len(vectors)
        # Of one task, or of equal ones, there is no telling how far apart tasks are.
        self._width = float(distances.sum()) / max(count * (count - 1), 1) or 1.0
        # The distance is no metric, so the kernel's matrix may have negative eigenvalues. With magnitudes in the
        # inverse, the seen tasks' weights stay within bounds.
        values, axes = np.linalg.eigh(np.exp(-distances / self._width))
        self._inverse = (axes / (np.abs(values) + DOUBT)) @ axes.T

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Weights of embeddings of shape (N, D) on the seen tasks: shape (N, T), most of them in [0, 1]."""
        weights: NDArray[np.float64] = (
            np.exp(-normalised_cosine_distances(vectors, self._vectors) / self._width) @ self._inverse
        )
        return weights


def normalised_cosine_distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Task2Vec's symmetric distance: of shapes (N, D) and (M, D), shape (N, M), in [0, 2].

    Each number is divided by the sum of the two tasks' before the cosine is taken, so that filters with large Fisher
    information do not drown the others (Achille et al., "Task2Vec", ICCV 2019, section 3.2). Magnitudes are summed,
    since other embeddings have negative numbers; a zero vector is at distance 1 from everything.
    """
    tiny = np.finfo(np.float64).tiny
    distances = np.ones((len(some), len(others)))
    wide = others.astype(np.float64)
    for row, vector in zip(distances, some.astype(np.float64), strict=True):
        sums = np.maximum(np.abs(vector) + np.abs(wide), tiny)
        first, second = vector / sums, wide / sums
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        row -= (first * second).sum(axis=1) / np.maximum(lengths, tiny)
    return np.where(distances > SAME, distances, 0.0)
