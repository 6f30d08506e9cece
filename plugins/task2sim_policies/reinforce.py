"""The policy of Task2Sim: from a task's embedding to simulation parameters, learned by REINFORCE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    ComponentConfig,
    Interval,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    PolicyState,
    Prediction,
    TaskEmbedding,
    TaskError,
    TaskScore,
    spawn_generator,
    spawn_seed,
)
from task2sim_policies.levels import LevelGrid, Levels, level_key
from task2sim_policies.states import check_space, described

if TYPE_CHECKING:
    from task2sim_policies.network import PolicyNetwork

NOISE_EPOCHS = 5
"""The exploration noise falls every so many epochs (the authors' code)."""


class Task2SimPolicy(ParameterPolicy):
    """An MLP on the embedding with one softmax head a parameter, learned by REINFORCE.

    Source: Mishra et al., "Task2Sim", CVPR 2022, section 3.2 and supplementary. The greedy action's reward is the
    baseline and the best setting seen of each task is imitated. It differs from the authors' code in that each
    task's advantage weighs that task's own log-probability, and in what makes few pre-trainings suffice: the search
    begins with settings that fill the space; embeddings are projected on the seen tasks' principal axes and whitened;
    rewards are standardised task by task; every score is learned from again and again (`replay`), also for made-up
    tasks between the seen ones; weights decay. With a small budget most of the learning is replay.
    """

    class Config(ComponentConfig):
        """How the policy searches and learns."""

        initial: Annotated[int, Field(ge=0, le=256, description="settings that fill the space, tried first")] = 8
        epochs: Annotated[int, Field(ge=0, description="rounds after which the search is over")] = 1000
        exploration: Annotated[float, Field(ge=0, le=1, description="share of uniform draws in the first rounds")] = (
            0.4
        )
        replay: Annotated[int, Field(ge=0, description="steps on all known scores when there are new ones")] = 100
        imitation: Annotated[float, Field(ge=0, description="weight of imitating each task's best setting")] = 0.05
        hidden: Annotated[int, Field(ge=1, description="width of the two hidden layers")] = 64
        learning_rate: Annotated[float, Field(gt=0, description="step size of AdamW")] = 3e-3
        interval_levels: Annotated[int, Field(ge=2, description="values tried of a parameter with bounds")] = 5

    def __init__(self, config: Config) -> None:
        self._config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Forget everything and begin with the settings that fill the space."""
        self._grid = LevelGrid(space, self._config.interval_levels)
        self._seed = seed
        self._generator = spawn_generator(seed, "task2sim-policy")
        self._design = self._grid.design(spawn_generator(seed, "task2sim-policy", "design"))
        self._epoch = 0
        self._known: dict[tuple[int, ...], int] = {}
        self._scores: dict[str, dict[int, float]] = {}
        self._drawn: Levels | None = None
        self._network: PolicyNetwork | None = None

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """First the settings that fill the space; then each task's greedy setting and one drawn for it."""
        if self._network is None:
            self._meet(tasks)
        wanted = min(n, self._config.initial - len(self._known))
        if wanted > 0 and (settings := list(islice(self._design, wanted))):
            return settings
        if self._epoch == self._config.epochs:
            return []
        noise = self._config.exploration / (1 + self._epoch // NOISE_EPOCHS)
        probabilities = self._probabilities()
        self._epoch += 1
        self._greedy = probabilities.argmax(axis=2)
        self._drawn = self._draw(probabilities, noise)
        return self._affordable(probabilities, n)

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores and take policy gradient steps."""
        before = len(self._known)
        for score in scores:
            if not np.isfinite(score.value):
                raise TaskError(f"the score of task {score.task!r} is {score.value}", mend="scores must be finite")
            position = self._known.setdefault(level_key(self._grid.levels(score.setting)), len(self._known))
            self._scores[score.task][position] = score.value
        news = len(self._known) > before
        if news:
            self._learner.remember(np.array(list(self._known)), self._rewards())
        if self._drawn is not None:
            self._learner.reinforce(self._positions(self._drawn), self._positions(self._greedy))
        if news:
            self._learner.replay(self._config.replay)

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The most probable value of each parameter, with the probabilities of all where they can be listed."""
        if self._network is None:
            raise PluginError("the policy has not met any task yet", mend="let a study run first")
        length = len(self._projection.mean)
        if embedding.vector.shape != (length,):
            raise TaskError(
                f"the embedding of task {embedding.task!r} has {len(embedding.vector)} numbers, the policy expects "
                f"{length}",
                mend="embed it as the tasks the policy learned from",
            )
        probabilities = self._network.probabilities(self._projection(embedding.vector[None]))[0]
        return Prediction(
            setting=self._grid.setting(probabilities.argmax(axis=1)),
            probabilities={
                parameter.name: tuple(row[:count].tolist())
                for parameter, row, count in zip(self._grid.space, probabilities, self._grid.counts, strict=True)
                if not isinstance(parameter, Interval)
            },
        )

    def state(self) -> PolicyState:
        """The network's weights, the embeddings' coordinates and the space."""
        if self._network is None:
            raise PluginError("the policy has not met any task yet", mend="let a study run first")
        return PolicyState(
            arrays={"mean": self._projection.mean, "basis": self._projection.basis, **self._network.arrays()},
            data={
                "space": described(self._grid.space),
                "hidden": self._network.hidden,
                "interval_levels": self._grid.interval_levels,
            },
        )

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up saved weights, for predictions."""
        from task2sim_policies.network import EmbeddingProjection, PolicyNetwork

        check_space(space, state)
        self._grid = LevelGrid(space, state.data["interval_levels"])
        self._projection = EmbeddingProjection(np.array(state.arrays["mean"]), np.array(state.arrays["basis"]))
        inputs = self._projection.basis.shape[1]
        self._network = PolicyNetwork(inputs, state.data["hidden"], self._grid.counts, seed=0)
        self._network.load_arrays(state.arrays)

    def _meet(self, tasks: Mapping[str, TaskEmbedding]) -> None:
        from task2sim_policies.network import EmbeddingProjection, Learner, PolicyNetwork

        if len({embedding.vector.shape for embedding in tasks.values()}) != 1:
            raise TaskError("a policy needs one or more embeddings, all of the same length")
        vectors = np.stack([embedding.vector for embedding in tasks.values()])
        self._scores = {name: {} for name in tasks}
        self._projection = EmbeddingProjection.fit(vectors)
        self._coordinates = self._projection(vectors)
        inputs = self._coordinates.shape[1]
        seed = spawn_seed(self._seed, "task2sim-policy", "weights")
        self._network = PolicyNetwork(inputs, self._config.hidden, self._grid.counts, seed)
        self._learner = Learner(
            self._network,
            self._coordinates,
            self._projection.spread,
            self._config.learning_rate,
            self._config.imitation,
            spawn_generator(self._seed, "task2sim-policy", "made-up tasks"),
        )

    def _draw(self, probabilities: NDArray[np.float64], noise: float) -> Levels:
        """Draw a setting for each row of probabilities (N, P, levels), a share of them uniformly; shape (N, P)."""
        exists = np.arange(probabilities.shape[2]) < self._grid.counts[:, None]
        noisy = (1 - noise) * probabilities + noise * exists / self._grid.counts[:, None]
        uniforms = self._generator.random((*noisy.shape[:2], 1))
        drawn: Levels = np.minimum((noisy.cumsum(axis=2) < uniforms).sum(axis=2), self._grid.counts - 1)
        return drawn

    def _affordable(self, probabilities: NDArray[np.float64], n: int) -> list[ParameterSetting]:
        """Greedy and drawn settings, tasks in random order; at most `n` that were not tried, one if there is any."""
        assert self._drawn is not None
        chosen: dict[tuple[int, ...], None] = {}
        news = 0

        def consider(levels: Levels) -> None:
            nonlocal news
            key = level_key(levels)
            if key not in chosen and (key in self._known or news < n):
                news += key not in self._known
                chosen[key] = None

        for task in self._generator.permutation(len(probabilities)):
            consider(self._greedy[task])
            consider(self._drawn[task])
        if not news and len(self._known) < self._grid.size:
            consider(self._untried(probabilities))
        return [self._grid.setting(np.array(key)) for key in chosen]

    def _untried(self, probabilities: NDArray[np.float64]) -> Levels:
        """A setting that was not tried, so that a policy that has settled does not stop the search.

        It is drawn for some task, with as little noise as it takes.
        """
        row = probabilities[self._generator.integers(len(probabilities))]
        draws = [self._draw(np.repeat(row[None], 5, axis=0), float(noise)) for noise in np.linspace(0, 1, 20)]
        candidates = map(level_key, np.concatenate([*draws, self._grid.candidates(self._generator)]))
        untried = (key for key in candidates if key not in self._known)
        return np.array(next(untried, next(iter(self._known))))

    def _probabilities(self) -> NDArray[np.float64]:
        assert self._network is not None
        return self._network.probabilities(self._coordinates)

    def _positions(self, levels: Levels) -> NDArray[np.int64]:
        return np.array([self._known.get(level_key(row), -1) for row in levels])

    def _rewards(self) -> NDArray[np.float64]:
        """Scores on each task's own scale, so that easy and hard tasks count alike; shape (tasks, settings)."""
        scores = np.array([[by.get(i, np.nan) for i in range(len(self._known))] for by in self._scores.values()])
        centred = scores - np.nanmean(scores, axis=1, keepdims=True)
        spread = np.nanstd(scores, axis=1, keepdims=True)
        rewards: NDArray[np.float64] = np.nan_to_num(centred / np.where(spread > 0, spread, 1.0))
        return rewards
