"""Observers: they watch a study or an ablation, and can stop a study, but can't break it.

An observer is a component whose methods are marked with ``task2sim.hookimpl``::

    class Log(Component):
        @hookimpl
        def task2sim_trial_end(self, run, trial):
            print(trial.setting.label, trial.scores)

A method names only the arguments it wants.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from task2sim.errors import PluginError, Task2SimError
from task2sim.progress import Progress

if TYPE_CHECKING:
    from task2sim.ablation import Ablation
    from task2sim.interfaces import TaskEmbedding
    from task2sim.run import Run
    from task2sim.trial import Trial

hookspec = pluggy.HookspecMarker("task2sim")
hookimpl = pluggy.HookimplMarker("task2sim")


class ObserverHooks:
    """What an observer may implement; every hook is optional."""

    @hookspec
    def task2sim_study_start(self, run: Run) -> None:
        """The run folder is there and the tasks are loaded; nothing has been rendered."""

    @hookspec
    def task2sim_progress(self, run: Run, progress: Progress) -> None:
        """Some work moved on; called often, so be quick."""

    @hookspec
    def task2sim_task_embedded(self, run: Run, embedding: TaskEmbedding) -> None:
        """A task has its embedding."""

    @hookspec
    def task2sim_dataset_ready(self, run: Run, trial: Trial) -> None:
        """The trial's dataset lies in ``run.store``; not called for untrained backbones or deleted datasets."""

    @hookspec
    def task2sim_trial_end(self, run: Run, trial: Trial) -> None:
        """A backbone was scored on every task, now or in an earlier run."""

    @hookspec
    def task2sim_policy_updated(self, run: Run, round_number: int) -> None:
        """The policy has learned from a round of trials."""

    @hookspec
    def task2sim_study_end(self, run: Run) -> None:
        """All results are in ``run.results``."""

    @hookspec
    def task2sim_ablation_end(self, ablation: Ablation) -> None:
        """All cells of an ablation are finished or have failed; its numbers are in ``ablation.database``."""

    @hookspec(firstresult=True)
    def task2sim_should_stop(self, run: Run) -> bool | None:
        """Return True to end the search now; predictions and comparison still follow."""


class Observers:
    """The observers of one study, each called on its own so that one that raises harms no other.

    Args:
        observers: (title, component) pairs; titles are for messages.
        warn: Is told, once for each observer and hook, of one that raised.

    Raises:
        PluginError: a method is marked as a hook that does not exist, or is a wrapper.
    """

    def __init__(self, observers: Sequence[tuple[str, object]], warn: Callable[[str, str], None]) -> None:
        self._manager = pluggy.PluginManager("task2sim")
        self._manager.add_hookspecs(ObserverHooks)
        self._warn = warn
        self._failed: set[tuple[str, str]] = set()
        for number, (title, observer) in enumerate(observers):
            try:
                self._manager.register(observer, name=f"{title} #{number}")
                self._manager.check_pending()
            except pluggy.PluginValidationError as error:
                raise PluginError(
                    f"{title}: {' '.join(str(error).split())}", mend="correct the hook's name"
                ) from None
        for name in vars(ObserverHooks):
            for implementation in getattr(self._manager.hook, name).get_hookimpls() if name[0] != "_" else ():
                if implementation.hookwrapper or implementation.wrapper:
                    raise PluginError(f"{implementation.plugin_name}: observers can't be wrappers")

    def call(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a hook of every observer; returns what they returned, without None."""
        results = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                result = implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:
                self._report(implementation.plugin_name, hook, error)
            else:
                if result is not None:
                    results.append(result)
        return results

    def _report(self, name: str, hook: str, error: Exception) -> None:
        if (name, hook) in self._failed:
            return
        self._failed.add((name, hook))
        title = name.rpartition(" #")[0]
        if isinstance(error, Task2SimError):
            text = str(error)
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
        self._warn(f"{title} failed in {hook}, the study goes on: {text}", traceback.format_exc())
