"""Policies that do not learn: what a learned one has to beat."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from task2sim import (
    ComponentConfig,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    Prediction,
    TaskEmbedding,
    spawn_generator,
)
from task2sim.parameters import ParameterValue
from task2sim_policies.searching import SearchingPolicy


class _Unlearned(SearchingPolicy):
    """A policy that chooses a setting without looking at scores, and tries each of its choices once a study."""

    @abstractmethod
    def choose(self, task: str) -> ParameterSetting:
        """The setting for the task of this name."""

    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """The tasks' settings, as far as they were not proposed before; empty once all were."""
        choices = dict.fromkeys(self.choose(task) for task in tasks)
        return [setting for setting in choices if setting not in self.proposed][:n]

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The task's setting."""
        return Prediction(self.choose(embedding.task))


class RandomPolicy(_Unlearned):
    """Draws a setting for each task, by its name; each setting equally likely."""

    name: ClassVar[str] = "random"

    def choose(self, task: str) -> ParameterSetting:
        """A draw that depends on the seed and the task's name alone."""
        return self.space.sample(spawn_generator(self.seed, "random-policy", task))


class FixedPolicy(_Unlearned):
    """The same setting for every task, given in the study file."""

    name: ClassVar[str] = "fixed"

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
        self._setting = space.setting(self._config.setting)
        super().start(space, seed)

    def choose(self, task: str) -> ParameterSetting:
        """The configured setting."""
        return self._setting

    def state(self) -> PolicyState:
        """The setting beside what it remembers."""
        base = super().state()
        return PolicyState(base.arrays, {**base.data, "setting": self._setting.as_dict()})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up the saved setting, whatever the configuration says."""
        super().load_state(space, state)
        self._setting = space.setting(state.data["setting"])


class DomainRandomisationPolicy(_Unlearned):
    """Everything varied, for every task: domain randomisation (Tobin et al., IROS 2017)."""

    name: ClassVar[str] = "domain-randomisation"

    def prepare(self) -> None:
        """Make sure that there is such a setting.

        Raises:
            ParameterError: there is not.
        """
        self._setting = self.space.everything_varied()

    def choose(self, task: str) -> ParameterSetting:
        """The setting that varies everything."""
        return self._setting
