"""The sample-efficient policy: a Gaussian process of the scores says which dataset to try next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    ComponentConfig,
    Interval,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    PolicyState,
    Prediction,
    TaskEmbedding,
    TaskScore,
    spawn_generator,
)
from task2sim_policies.levels import LevelGrid, Levels, level_key
from task2sim_policies.nearness import normalised_cosine_distances
from task2sim_policies.searching import SearchingPolicy

if TYPE_CHECKING:
    from task2sim_policies.gaussian_process import Hyperparameters, Process

Array = NDArray[np.float64]

REPEATABLE = 0.5
"""Share of what the model can't explain in a score that belongs to the setting and would come again.

The rest is chance. One score a setting can't tell which is which; on a table of scores everything comes again, in a
final comparison with new seeds hardly anything. Half does well on both.
"""

MOST_CANDIDATES = 4096
"""A space with more settings is not looked through; it is searched from random settings and the best known ones."""

CLIMBS = 4
"""From so many of the best candidates a large space is searched on, one parameter at a time."""

DRAWS = 500
"""Draws from the posterior behind the probabilities."""


@attrs.frozen(eq=False)
class _Model:
    """What the records teach.

    Attributes:
        process: The process of the standardised scores.
        tasks: Names of the tasks with scores.
        vectors: Their embeddings: shape (T, D).
        centres: Their mean scores: shape (T,).
        scales: Their scores' standard deviations, 1 where that is zero: shape (T,).
        chance: What a score has beyond what the process explains, as far as it would come again: shape (T, S).
    """

    process: Process
    tasks: tuple[str, ...]
    vectors: NDArray[np.float32]
    centres: Array
    scales: Array
    chance: Array

    def values(self, distances: Array, same: Array, levels: Levels) -> tuple[Array, Array]:
        """Expected standardised scores, and their variances, of settings (M, P) on tasks: shapes (N, M)."""
        means, variances = self.process.predict(distances, same, levels)
        tried = (levels[:, None] == self.process.levels).all(axis=2)
        tried = tried / np.maximum(tried.sum(axis=1, keepdims=True), 1)
        means = means + same @ self.chance @ tried.T
        noise = REPEATABLE * self.process.covariance.hyperparameters.noise
        return means, variances + noise * ~tried.any(axis=1)


class SurrogatePolicy(SearchingPolicy):
    """Models all scores with one Gaussian process over tasks and settings, and tries what promises most.

    One pre-training is scored on every task, so the next setting is the one with the greatest expected improvement
    (Jones et al., "Efficient global optimization", 1998) over the best one known for a task, summed over the tasks in
    the unit of the scores. Further settings of a round are chosen as if the ones before them had scored what is
    expected (Ginsbourger et al., "Kriging is well-suited to parallelize optimization", 2010). Scores are standardised
    task by task; tasks are compared by Task2Vec's distance. `gaussian_process` has the model.
    """

    name: ClassVar[str] = "surrogate"

    class Config(ComponentConfig):
        """How the policy searches."""

        initial: Annotated[int, Field(ge=1, le=256, description="settings that fill the space, tried first")] = 12
        interval_levels: Annotated[int, Field(ge=2, description="values tried of a parameter with bounds")] = 5

    def __init__(self, config: Config) -> None:
        self._config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Forget everything and begin with the settings that fill the space."""
        self._interval_levels = self._config.interval_levels
        super().start(space, seed)

    def prepare(self) -> None:
        """Know nothing but the records."""
        self._grid = LevelGrid(self.space, self._interval_levels)
        self._model: _Model | None = None

    def met(self) -> None:
        """Learn anew: a task's embedding is another."""
        self._model = None

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores, to learn from them when it is asked."""
        super().observe(scores)
        self._model = None

    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """First the settings that fill the space; then the most promising ones."""
        known = {*self.records.settings, *self.proposed}
        scored = self.records.scored(tasks)
        wanted = min(n, self._config.initial - len(known)) if scored else n
        if wanted > 0:
            design = self._grid.design(spawn_generator(self.seed, "policy", "design"))
            if settings := list(islice((setting for setting in design if setting not in known), wanted)):
                return settings
        with _one_thread():
            return self._promising(scored, n, {level_key(self._grid.levels(setting)) for setting in known})

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The setting with the highest expected score, with what the model expects of the others.

        Probabilities are those of each value belonging to the task's best setting.

        Raises:
            PluginError: there are no scores.
            TaskError: the embedding's length differs from that of the tasks met.
        """
        self.records.check(embedding)
        with _one_thread():
            model = self._learned()
            distances, same = self._relation(model, embedding)

            def value(levels: Levels) -> Array:
                means, _ = model.values(distances, same, levels)
                return np.asarray(means[0])

            candidates = self._candidates(spawn_generator(self.seed, "surrogate-policy", "predict"))
            best = self._best(value, candidates)
            likely = self._likely(model.process, distances[0], same[0], candidates)
            nearness = same if same.any() else model.process.covariance.tasks(distances, same)
            shares = nearness[0] / nearness.sum()
            centre, scale = float(shares @ model.centres), float(shares @ model.scales)
            expected = {}
            probabilities = {}
            for position, parameter in enumerate(self.space):
                if not isinstance(parameter, Interval):
                    beside = self._beside(best, position)
                    expected[parameter.name] = tuple((centre + scale * value(beside)).tolist())
                    counts = np.bincount(likely[:, position], minlength=len(beside))
                    probabilities[parameter.name] = tuple((counts / counts.sum()).tolist())
        return Prediction(self._grid.setting(best), probabilities, expected)

    def state(self) -> PolicyState:
        """The model's hyperparameters beside what the policy remembers."""
        base = super().state()
        arrays = dict(base.arrays)
        if self.records.settings:
            with _one_thread():
                arrays["hyperparameters"] = self._learned().process.covariance.hyperparameters.values
        return PolicyState(arrays, {**base.data, "interval_levels": self._interval_levels})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up what was remembered and learned."""
        from task2sim_policies.gaussian_process import Hyperparameters

        self._interval_levels = state.data.get("interval_levels", self._config.interval_levels)
        super().load_state(space, state)
        if "hyperparameters" in state.arrays:
            with _one_thread():
                self._model = self._modelled(Hyperparameters(np.array(state.arrays["hyperparameters"])))

    def _learned(self) -> _Model:
        """What the records teach; computed when it is first asked for.

        Raises:
            PluginError: there are no scores.
        """
        if self._model is None:
            if not self.records.settings:
                raise PluginError(f"policy {self.name!r} has seen no score yet", mend="let a study run first")
            self._model = self._modelled(None)
        return self._model

    def _modelled(self, hyperparameters: Hyperparameters | None) -> _Model:
        """A model of the records, with these hyperparameters or those that fit best."""
        from task2sim_policies.gaussian_process import Covariance, Process, centred_kernel

        tasks = tuple(self.records.scored(self.records.vectors))
        vectors = np.array([self.records.vectors[task] for task in tasks])
        scores = self.records.table(tasks)
        centres = np.nanmean(scores, axis=1)
        spreads = np.nanstd(scores, axis=1)
        scales = np.where(spreads > 1e-9 * (1.0 + np.abs(centres)), spreads, 1.0)
        standardised = (scores - centres[:, None]) / scales[:, None]
        levels = np.array([self._grid.levels(setting) for setting in self.records.settings])
        kernels = [
            centred_kernel(
                len(values), np.array(values, dtype=np.float64) if isinstance(parameter, Interval) else None
            )
            for parameter, values in zip(self.space, self._grid.values, strict=True)
        ]
        distances = _distances(vectors, vectors)
        np.fill_diagonal(distances, 0.0)
        if hyperparameters is None:
            process = Process.fitted(kernels, distances, levels, standardised)
        else:
            process = Process(Covariance(kernels, hyperparameters), distances, levels, standardised)
        explained, _ = process.predict(distances, np.eye(len(tasks)), levels)
        chance = REPEATABLE * np.nan_to_num(standardised - explained)
        return _Model(process, tasks, vectors, centres, scales, chance)

    def _relation(self, model: _Model, embedding: TaskEmbedding) -> tuple[Array, Array]:
        """A task's distances to the model's tasks, and which of them it is: shapes (1, T).

        Another task may have the same name.
        """
        same = np.array(
            [
                [
                    name == embedding.task and np.array_equal(vector, embedding.vector)
                    for name, vector in zip(model.tasks, model.vectors, strict=True)
                ]
            ]
        )
        distances = np.where(same, 0.0, _distances(embedding.vector[None], model.vectors))
        return distances, same.astype(np.float64)

    def _promising(self, tasks: Sequence[str], n: int, known: set[tuple[int, ...]]) -> list[ParameterSetting]:
        """At most `n` settings with great expected improvement over these tasks together."""
        model = self._learned()
        rows = [model.tasks.index(task) for task in tasks]
        distances, same = model.process.distances[rows], np.eye(len(model.tasks))[rows]
        generator = spawn_generator(self.seed, "surrogate-policy", f"after {len(known)}")
        candidates = self._candidates(generator)
        chosen: list[Levels] = []
        while len(chosen) < n:
            incumbents = model.values(distances, same, model.process.levels)[0].max(axis=1, keepdims=True)

            def improvement(levels: Levels, model: _Model = model, incumbents: Array = incumbents) -> Array:
                means, variances = model.values(distances, same, levels)
                untried = np.array([level_key(row) not in known for row in levels])
                gains = _expected_improvement(means - incumbents, np.sqrt(variances))
                return np.where(untried, model.scales[rows] @ gains, -np.inf)

            best = self._best(improvement, candidates)
            if level_key(best) in known:
                break
            known.add(level_key(best))
            chosen.append(best)
            process = model.process.believing(best)
            model = attrs.evolve(model, process=process, chance=np.pad(model.chance, ((0, 0), (0, 1))))
        return [self._grid.setting(levels) for levels in chosen]

    def _candidates(self, generator: np.random.Generator) -> Levels:
        """All settings, or those of a large space to begin with: shape (N, P)."""
        if self._grid.listed is not None or self._grid.size <= MOST_CANDIDATES:
            return self._grid.all()
        tried = np.array([self._grid.levels(setting) for setting in self.records.settings])
        return np.unique(np.vstack([tried, self._grid.candidates(generator)]), axis=0)

    def _best(self, value: Callable[[Levels], Array], candidates: Levels) -> Levels:
        """The levels with the greatest value: among the candidates and, if those are not all, up from the best."""
        values = value(candidates)
        if self._grid.listed is not None or self._grid.size <= MOST_CANDIDATES:
            return np.asarray(candidates[int(np.argmax(values))])
        tops = [self._climbed(value, candidates[start]) for start in np.argsort(-values)[:CLIMBS]]
        return tops[int(np.argmax(value(np.array(tops))))]

    def _climbed(self, value: Callable[[Levels], Array], start: Levels) -> Levels:
        """Levels from where no change of one parameter has a greater value."""
        best, height = start, float(value(start[None])[0])
        while True:
            around = np.vstack([self._beside(best, position) for position in range(len(best))])
            values = value(around)
            if values.max() <= height:
                return best
            best, height = around[int(np.argmax(values))], float(values.max())

    def _beside(self, levels: Levels, position: int) -> Levels:
        """The levels with each level of one parameter: shape (number of its levels, P)."""
        beside = np.repeat(levels[None], self._grid.counts[position], axis=0)
        beside[:, position] = np.arange(self._grid.counts[position])
        return beside

    def _likely(self, process: Process, distances: Array, same: Array, candidates: Levels) -> Levels:
        """The best setting in each of many draws from the posterior, chance left aside: shape (DRAWS, P).

        Of many candidates those with the highest expected values take part.
        """
        means, variances = process.predict(distances[None], same[None], candidates)
        hopes = means[0] + 2.0 * np.sqrt(variances[0])
        candidates = candidates[np.sort(np.argsort(-hopes)[:256])]
        means, _ = process.predict(distances[None], same[None], candidates)
        generator = spawn_generator(self.seed, "surrogate-policy", "probabilities")
        draws = generator.multivariate_normal(
            means[0], process.covariances(distances, same, candidates), DRAWS, check_valid="ignore", method="eigh"
        )
        likely: Levels = candidates[draws.argmax(axis=1)]
        return likely


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> Array:
    """Euclidean distances of what Task2Vec's distance is the squared one of, but for a factor: shape (N, M)."""
    return np.asarray(np.sqrt(np.maximum(2.0 * normalised_cosine_distances(some, others), 0.0)))


def _expected_improvement(gains: Array, deviations: Array) -> Array:
    """The mean of what is above zero of normally distributed gains."""
    from scipy.special import ndtr

    safe = np.maximum(deviations, 1e-12)
    standard = gains / safe
    density = np.exp(-0.5 * standard**2) / np.sqrt(2.0 * np.pi)
    return np.asarray(gains * ndtr(standard) + safe * density)


def _one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra to one thread: the matrices are small, and sums then have one order."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
