"""The policy of Task2Sim: from a task's embedding to simulation parameters, learned by REINFORCE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar

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
    spawn_seed,
)
from task2sim_policies.distributions import Distribution
from task2sim_policies.levels import LevelGrid, Levels, level_key
from task2sim_policies.nearness import Nearness
from task2sim_policies.records import centred, mean_over_tasks
from task2sim_policies.searching import SearchingPolicy

if TYPE_CHECKING:
    from task2sim_policies.network import Learner

NOISE_EPOCHS = 5
"""The exploration noise falls every so many epochs (the authors' code)."""

REFIT_STEPS = 400
"""Steps on all that is known when a network must begin anew, because tasks came to those of a saved state."""


class Task2SimPolicy(SearchingPolicy):
    """An MLP on the embedding with one softmax head a parameter, learned by REINFORCE.

    Source: Mishra et al., "Task2Sim", CVPR 2022, section 3.2 and supplementary. The greedy action's reward is the
    baseline and the best setting seen of each task is imitated. It differs from the authors' code in that each
    task's advantage weighs that task's own log-probability, and in what makes few pre-trainings suffice: the search
    begins with settings that fill the space; the network is told of a task how near it is to each of the seen ones;
    rewards are standardised task by task; every score is learned from again and again (`replay`), also for made-up
    tasks between the seen ones. With a small budget most of the learning is replay.

    Where the space lists its settings, the policy is its network's distribution restricted to those.
    """

    name: ClassVar[str] = "task2sim"

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
        learning_rate: Annotated[float, Field(gt=0, description="step size of Adam")] = 3e-3
        interval_levels: Annotated[int, Field(ge=2, description="values tried of a parameter with bounds")] = 5

    def __init__(self, config: Config) -> None:
        self._config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Forget everything and begin with the settings that fill the space."""
        self._interval_levels = self._config.interval_levels
        super().start(space, seed)

    def prepare(self) -> None:
        """Begin the first round."""
        self._grid = LevelGrid(self.space, self._interval_levels)
        # A search that goes on must not repeat the draws of the one before.
        self._generator = spawn_generator(self.seed, "task2sim-policy", f"after {len(self.records.settings)}")
        self._design = self._grid.design(spawn_generator(self.seed, "policy", "design"))
        self._epoch = 0
        self._learner: Learner | None = None
        self._levels: list[Levels] = []
        self._positions: dict[tuple[int, ...], int] = {}
        self._round: tuple[Levels, Levels] | None = None

    def met(self) -> None:
        """Make a network for the tasks, and teach it what is known."""
        self._build(self._config.hidden)
        if self.records.settings:
            self._taught.replay(REFIT_STEPS)

    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """First the settings that fill the space; then each task's greedy setting and one drawn for it."""
        known = {*self.records.settings, *self.proposed}
        wanted = min(n, self._config.initial - len(known))
        if wanted > 0 and (design := list(islice((s for s in self._design if s not in known), wanted))):
            return design
        if len(known) >= self._grid.size and self._config.replay:
            # Replay has learned from every score there can be; draws would not add to it.
            return []
        rows = [list(self.records.vectors).index(task) for task in tasks]
        while self._epoch < self._config.epochs:
            noise = self._config.exploration / (1 + self._epoch // NOISE_EPOCHS)
            self._epoch += 1
            distribution = Distribution(self._grid, self._taught.network.log_probabilities(self._tasks[rows]))
            greedy, drawn = distribution.most_probable(), distribution.draw(noise, self._generator)
            self._round = (self._among_all(rows, drawn), self._among_all(rows, greedy))
            if settings := self._untried(distribution, greedy, drawn, known, n):
                return settings
            self._reinforce()
        return []

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores and take policy gradient steps."""
        super().observe(scores)
        if scores:
            self._remember()
            self._reinforce()
            self._taught.replay(self._config.replay)

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The most probable setting, with the probabilities of each parameter's values where they can be listed."""
        self.records.check(embedding)
        network = self._taught.network
        distribution = Distribution(self._grid, network.log_probabilities(self._nearness(embedding.vector[None])))
        (probabilities,) = distribution.probabilities()
        return Prediction(
            setting=self._grid.setting(distribution.most_probable()[0]),
            probabilities={
                parameter.name: tuple(row[:count].tolist())
                for parameter, row, count in zip(self.space, probabilities, self._grid.counts, strict=True)
                if not isinstance(parameter, Interval)
            },
        )

    def state(self) -> PolicyState:
        """The network's weights beside what the policy remembers."""
        base = super().state()
        network = self._taught.network
        own = {"hidden": network.hidden, "interval_levels": self._interval_levels, "levels": self._grid.values}
        return PolicyState({**base.arrays, **network.arrays()}, {**base.data, **own})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up what was remembered, and the network if it chooses among the same values."""
        self._interval_levels = state.data.get("interval_levels", self._config.interval_levels)
        super().load_state(space, state)
        if state.data["levels"] == self._grid.values:
            self._build(state.data["hidden"])
            self._taught.network.load_arrays(state.arrays)
        else:
            self.met()

    @property
    def _taught(self) -> Learner:
        if self._learner is None:
            raise PluginError("the policy has not met any task yet", mend="let a study run first")
        return self._learner

    def _build(self, hidden: int) -> None:
        """An untaught network for the tasks met."""
        from task2sim_policies.network import Learner, PolicyNetwork

        vectors = np.stack(list(self.records.vectors.values()))
        self._nearness = Nearness(vectors)
        self._tasks = self._nearness(vectors)
        seed = spawn_seed(self.seed, "task2sim-policy", "weights")
        self._learner = Learner(
            PolicyNetwork(len(vectors), hidden, self._grid.counts, seed),
            self._tasks,
            self._grid.listed,
            self._config.learning_rate,
            self._config.imitation,
            spawn_generator(self.seed, "task2sim-policy", "made-up tasks"),
        )
        if self.records.settings:
            self._remember()

    def _remember(self) -> None:
        self._levels += [self._grid.levels(setting) for setting in self.records.settings[len(self._levels) :]]
        self._positions = {level_key(levels): position for position, levels in enumerate(self._levels)}
        self._taught.remember(np.array(self._levels), self._rewards())

    def _reinforce(self) -> None:
        """Learn from the round's draws, once."""
        if self._round is not None:
            drawn, greedy = (self._position(levels) for levels in self._round)
            self._taught.reinforce(drawn, greedy)
        self._round = None

    def _among_all(self, rows: Sequence[int], levels: Levels) -> Levels:
        """Settings of these tasks among those of all tasks met: shape (T, P), -1 for the others."""
        every = np.full((len(self._tasks), levels.shape[1]), -1, dtype=np.int64)
        every[rows] = levels
        return every

    def _position(self, levels: Levels) -> NDArray[np.int64]:
        """Which of the known settings each is, -1 if none: shape (T,)."""
        return np.array([self._positions.get(level_key(row), -1) for row in levels])

    def _untried(
        self, distribution: Distribution, greedy: Levels, drawn: Levels, known: set[ParameterSetting], n: int
    ) -> list[ParameterSetting]:
        """Greedy and drawn settings that were not tried, tasks in random order; at most `n`.

        If all were tried, one that was not, so that a policy that has settled does not stop the search: drawn with as
        little noise as it takes.
        """
        order = self._generator.permutation(len(distribution))
        wanted = dict.fromkeys(self._grid.setting(levels) for task in order for levels in (greedy[task], drawn[task]))
        settings = [setting for setting in wanted if setting not in known][:n]
        if settings or len(known) >= self._grid.size:
            return settings
        draws = [distribution.draw(float(noise), self._generator)[order] for noise in np.linspace(0, 1, 20)]
        candidates = map(self._grid.setting, np.concatenate([*draws, self._grid.candidates(self._generator)]))
        return list(islice((setting for setting in candidates if setting not in known), 1))

    def _rewards(self) -> NDArray[np.float64]:
        """Scores on each task's own scale, so that easy and hard tasks count alike; shape (tasks, settings).

        Where a score is missing, what the setting is worth on average.
        """
        scores = self.records.table(self.records.vectors)
        known = ~np.isnan(scores)
        counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
        rewards = centred(scores)
        spread = np.sqrt(np.square(np.where(known, rewards, 0.0)).sum(axis=1, keepdims=True) / counts)
        standardised = rewards / np.where(spread > 0, spread, 1.0)
        filled: NDArray[np.float64] = np.where(known, standardised, mean_over_tasks(standardised))
        return filled
