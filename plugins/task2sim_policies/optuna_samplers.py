"""The samplers of Optuna as policies: one of its studies for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from task2sim import (
    ComponentConfig,
    Interval,
    ParameterSetting,
    ParameterSpace,
    PluginError,
    TaskEmbedding,
    TaskScore,
    spawn_generator,
    spawn_seed,
)
from task2sim_policies.levels import LevelGrid, level_key
from task2sim_policies.searching import TriedPolicy

if TYPE_CHECKING:
    import optuna

FEW_SETTINGS = 10_000
"""So many settings are compared with what a sampler asks for."""


class OptunaPolicy(TriedPolicy):
    """Searches with a sampler of Optuna (Akiba et al., KDD 2019), each task on its own.

    Every task has an Optuna study, in memory. The studies are asked in turn for a setting to try, and since one
    pre-training serves all tasks, each of them is told its score. What was tried already, or does not exist in this
    space, gives way to the nearest setting that was not tried.

    Samplers know nothing of embeddings. A seen task gets the best setting tried on it, an unseen one what is best on
    average over the seen tasks: on the published table, left-out seen tasks do better with that than with the best of
    the nearest task.
    """

    name: ClassVar[str] = "optuna"

    class Config(ComponentConfig):
        """Which sampler."""

        sampler: Annotated[
            Literal["tpe", "gp", "random"], Field(description="tree-structured Parzen estimator, GP or random")
        ] = "tpe"

    def __init__(self, config: Config) -> None:
        self._config = config

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Begin a search.

        Raises:
            PluginError: Optuna is not installed.
        """
        _import_optuna()
        super().start(space, seed)

    def prepare(self) -> None:
        """Begin with the first task."""
        self._studies: dict[str, optuna.Study] = {}
        self._asked: dict[tuple[str, ParameterSetting], optuna.Trial] = {}
        self._turn = 0
        # A search that goes on must not repeat the draws of the one before.
        self._stage = f"optuna-policy after {len(self.records.settings)}"
        self._generator = spawn_generator(self.seed, self._stage)

    def suggest(self, tasks: Sequence[str], n: int) -> list[ParameterSetting]:
        """What the studies of the tasks whose turn it is ask for."""
        known = {*self.records.settings, *self.proposed}
        settings: list[ParameterSetting] = []
        while len(settings) < n and len(known) < self.space.size:
            settings.append(self._ask(tasks[self._turn % len(tasks)], known))
            known.add(settings[-1])
            self._turn += 1
        return settings

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores and tell the studies."""
        super().observe(scores)
        for score in scores:
            # A study that is not there yet is told everything when it is made.
            if study := self._studies.get(score.task):
                if trial := self._asked.pop((score.task, score.setting), None):
                    study.tell(trial, score.value)
                else:
                    study.add_trial(self._finished(score.setting, score.value))

    def relevant(self, embedding: TaskEmbedding, seen: Sequence[str]) -> Sequence[str]:
        """A seen task itself; for an unseen one all."""
        return [embedding.task] if embedding.task in seen and self.records.knows(embedding) else seen

    def _ask(self, task: str, known: set[ParameterSetting]) -> ParameterSetting:
        """A setting that is not known."""
        study = self._study(task)
        trial = study.ask(self._distributions())
        asked = ParameterSetting({parameter.name: trial.params[parameter.name] for parameter in self.space})
        if self.space.has(asked) and asked not in known:
            self._asked[task, asked] = trial
            return asked
        study.tell(trial, state=_import_optuna().trial.TrialState.FAIL)
        return self._nearest(asked, known)

    def _nearest(self, asked: ParameterSetting, known: set[ParameterSetting]) -> ParameterSetting:
        """An unknown setting near the one asked for, or any one where there are too many to compare."""
        if self.space.size > FEW_SETTINGS:
            while (setting := self.space.sample(self._generator)) in known:
                pass
            return setting
        grid = LevelGrid(self.space, interval_levels=2)
        taken = {level_key(grid.levels(setting)) for setting in known}
        free = [levels for levels in self._generator.permutation(grid.all()) if level_key(levels) not in taken]
        distances = grid.distance(np.array(free), grid.levels(asked))
        return grid.setting(free[int(distances.argmin())])

    def _study(self, task: str) -> optuna.Study:
        """The task's study, which knows all its scores."""
        if task not in self._studies:
            optuna = _import_optuna()
            # Optuna takes seeds of 32 bits.
            seed = spawn_seed(self.seed, self._stage, task) % 2**32
            samplers = {"tpe": "TPESampler", "gp": "GPSampler", "random": "RandomSampler"}
            sampler = getattr(optuna.samplers, samplers[self._config.sampler])(seed=seed)
            self._studies[task] = optuna.create_study(direction="maximize", sampler=sampler)
            self._studies[task].add_trials(
                [
                    self._finished(setting, self.records.score(task, setting))
                    for setting in self.records.settings
                    if not np.isnan(self.records.score(task, setting))
                ]
            )
        return self._studies[task]

    def _finished(self, setting: ParameterSetting, value: float) -> optuna.trial.FrozenTrial:
        create: Any = _import_optuna().trial.create_trial
        trial: optuna.trial.FrozenTrial = create(
            params=setting.as_dict(), distributions=self._distributions(), value=value
        )
        return trial

    def _distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        distributions = _import_optuna().distributions
        return {
            parameter.name: distributions.FloatDistribution(parameter.low, parameter.high)
            if isinstance(parameter, Interval)
            else distributions.CategoricalDistribution(parameter.values)
            for parameter in self.space
        }


def _import_optuna() -> Any:
    """The library, which tells of nothing but trouble.

    Raises:
        PluginError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise PluginError("policy 'optuna' needs Optuna", mend='pip install "task2sim[optuna]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
