"""Policies that do not learn: what a learned one has to beat."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from pydantic import Field

from task2sim import (
    ComponentConfig,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    Prediction,
    TaskEmbedding,
    TaskScore,
    spawn_generator,
)
from task2sim.parameters import ParameterValue
from task2sim_policies.states import check_space, described


class _Unlearned(ParameterPolicy):
    """A policy that chooses a setting without looking at scores, and tries each of its choices once."""

    @abstractmethod
    def choose(self, task: str) -> ParameterSetting:
        """The setting for the task of this name."""

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Begin a search."""
        self._space = space
        self._seed = seed
        self._proposed: set[ParameterSetting] = set()

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """The tasks' settings, at most `n` that were not proposed before; empty once all were."""
        choices = dict.fromkeys(self.choose(task) for task in tasks)
        fresh = [setting for setting in choices if setting not in self._proposed][:n]
        self._proposed.update(fresh)
        return fresh

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Do nothing: scores change nothing here."""

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The task's setting."""
        return Prediction(self.choose(embedding.task))

    def state(self) -> PolicyState:
        """The space and the seed."""
        return PolicyState(data={"space": described(self._space), "seed": self._seed})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up a saved state."""
        check_space(space, state)
        self.start(space, state.data["seed"])


class RandomPolicy(_Unlearned):
    """Draws a setting for each task, by its name; each setting equally likely."""

    def choose(self, task: str) -> ParameterSetting:
        """A draw that depends on the seed and the task's name alone."""
        return self._space.sample(spawn_generator(self._seed, "random-policy", task))


class FixedPolicy(_Unlearned):
    """The same setting for every task, given in the study file."""

    class Config(ComponentConfig):
        """Which setting."""

        setting: Mapping[str, ParameterValue] = Field(
            default_factory=dict,
            description="values by parameter; those not mentioned take their defaults",
        )

    def __init__(self, config: Config) -> None:
        self._config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Begin a search.

        Raises:
            ParameterError: the configured setting is not one of the space.
        """
        super().start(space, seed)
        self._setting = space.setting(self._config.setting)

    def choose(self, task: str) -> ParameterSetting:
        """The configured setting."""
        return self._setting

    def state(self) -> PolicyState:
        """The setting beside the space."""
        base = super().state()
        return PolicyState(data={**base.data, "setting": self._setting.as_dict()})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up the saved setting, whatever the configuration says."""
        super().load_state(space, state)
        self._setting = space.setting(state.data["setting"])


class DomainRandomisationPolicy(_Unlearned):
    """Everything varied, for every task: domain randomisation (Tobin et al., IROS 2017)."""

    def choose(self, task: str) -> ParameterSetting:
        """The setting that varies everything."""
        return self._space.everything_varied()
