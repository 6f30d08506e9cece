"""Evaluators that fit a simple classifier on frozen features."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Evaluator, Score, Task, TaskError, fingerprint_libraries


class NearestNeighbours(Evaluator):
    """Lets the training images with the most similar features vote; similarity is the cosine.

    Where classes have equally many votes, the one with the most similar image wins. (To let the lowest label win is
    common, but with many classes it costs up to eight points, and costs some tasks more than others.)
    """

    class Config(ComponentConfig):
        """How many vote."""

        neighbours: Annotated[int, Field(ge=1, le=100, description="training images that vote")] = 5

    def __init__(self, config: Config) -> None:
        self._neighbours = config.neighbours

    def fingerprint(self) -> str:
        """Versions of the libraries that compute features and scores."""
        return fingerprint_libraries("torch", "scikit-learn")

    def check(self, task: Task) -> None:
        """Say now whether there are enough training images.

        Raises:
            TaskError: there are fewer than neighbours, or none of some class.
        """
        if len(task.train) < self._neighbours:
            raise TaskError(
                f"task {task.name!r} has {len(task.train)} training images for {self._neighbours} neighbours",
                mend="add images, or let fewer neighbours vote",
            )
        check_classes(task)

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Score by accuracy; nothing is random here. See `Evaluator.score`."""
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer

        self.check(task)
        # Among vectors of length one, the nearest is the one with the greatest cosine.
        neighbours = KNeighborsClassifier(self._neighbours, weights=_votes, algorithm="brute")
        return _score_frozen(make_pipeline(Normalizer(), neighbours), backbone, task, split)


class LinearProbe(Evaluator):
    """Fits a logistic regression on standardised features."""

    class Config(ComponentConfig):
        """How it is fitted."""

        inverse_regularisation: Annotated[
            float, Field(gt=0, description="scikit-learn's C: the greater, the closer the fit")
        ] = 0.01
        iterations: Annotated[int, Field(ge=1, description="steps of L-BFGS at most")] = 200

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that compute features and scores."""
        return fingerprint_libraries("torch", "scikit-learn")

    def check(self, task: Task) -> None:
        """Say now whether there are training images of every class.

        Raises:
            TaskError: there are none of some class.
        """
        check_classes(task)

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Score by accuracy; nothing is random here. See `Evaluator.score`."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.check(task)
        regression = LogisticRegression(C=self._config.inverse_regularisation, max_iter=self._config.iterations)
        return _score_frozen(make_pipeline(StandardScaler(), regression), backbone, task, split)


def check_classes(task: Task) -> None:
    """Make sure that there are training images of every class.

    Raises:
        TaskError: there are none of some class.
    """
    counts = np.bincount(task.train.labels, minlength=len(task.classes))
    missing = [name for name, count in zip(task.classes, counts, strict=True) if not count]
    if missing:
        names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise TaskError(
            f"task {task.name!r} has no training images of {len(missing)} of {len(task.classes)} classes: {names}",
            mend="add some, or leave out those classes",
        )


def _votes(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vote each, and for the nearer so much more that ties are broken, but no majority (all bonuses: below 1)."""
    return np.tile(1 + 0.5 ** np.arange(1, distances.shape[1] + 1), (len(distances), 1))


def _score_frozen(classifier: Any, backbone: Backbone, task: Task, split: str) -> Score:
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    held_out = task.split(split)
    # In double precision, rounding hardly ever decides which of two neighbours is nearer.
    train_features = backbone.features(task.train.images).astype(np.float64)
    features = backbone.features(held_out.images).astype(np.float64)
    with threadpool_limits(1), warnings.catch_warnings():
        # A probe that was stopped early is as good a yardstick as one that was not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = classifier.fit(train_features, task.train.labels).predict(features)
    return Score(float(np.mean(predicted == held_out.labels)), "accuracy", len(held_out))
