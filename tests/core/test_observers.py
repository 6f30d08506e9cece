from __future__ import annotations

import pytest
import toys

from task2sim import Component, PluginError
from task2sim.observers import Observers, hookimpl, hookspec


class Recorder(Component):
    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl
    def task2sim_trial_end(self, trial: object) -> str:
        self.seen.append(trial)
        return "noted"


def test_each_observer_is_called_alone() -> None:
    warnings: list[str] = []
    recorder = Recorder()
    observers = Observers(
        [("first", recorder), ("bad", toys.Raising(None)), ("second", recorder2 := Recorder())],
        lambda line, details: warnings.append(line + details),
    )
    assert observers.call("task2sim_trial_end", run=None, trial=1) == ["noted", "noted"]
    observers.call("task2sim_trial_end", run=None, trial=2)
    assert recorder.seen == recorder2.seen == [1, 2]
    assert len(warnings) == 1
    assert "bad failed in task2sim_trial_end, the study goes on: ValueError: the observer fell over" in warnings[0]
    assert "Traceback" in warnings[0]


def test_a_misspelt_hook_is_found() -> None:
    with pytest.raises(PluginError, match=r"odd: .*task2sim_trial_ended"):
        Observers([("odd", toys.Misspelt(None))], lambda line, details: None)


def test_wrappers_are_refused() -> None:
    class Wrapper(Component):
        @hookimpl(wrapper=True)
        def task2sim_trial_end(self, trial: object):
            yield

    with pytest.raises(PluginError, match="can't be wrappers"):
        Observers([("wrapper", Wrapper(None))], lambda line, details: None)


def test_hook_markers_are_public() -> None:
    import task2sim

    assert task2sim.hookimpl is hookimpl
    assert hookspec
