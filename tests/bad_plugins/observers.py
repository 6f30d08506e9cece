"""A good observer, and bad ones."""

from __future__ import annotations

from typing import Any

from bad_plugins.common import Collection, Twist

from task2sim import Component, hookimpl

BAD = Collection()


class Good(Twist, Component):
    @hookimpl
    def task2sim_should_stop(self) -> Any:
        # A twist of 2 is what the kit's second seed of the global generators makes.
        return self.twist() == 2


@BAD.breaks("hooks")
class Misspelt(Good):
    @hookimpl
    def task2sim_trial_ended(self, trial: Any) -> None:
        """No such hook."""


@BAD.breaks("watches")
class Asleep(Twist, Component):
    """Has forgotten to mark its hooks."""

    def task2sim_trial_end(self, trial: Any) -> None:
        """Not called."""


@BAD.breaks("raises-nothing")
class Raising(Good):
    @hookimpl
    def task2sim_trial_end(self, trial: Any) -> None:
        trial.setting.label  # noqa: B018  # an untrained backbone has none


@BAD.breaks("changes-nothing")
class Impatient(Good):
    enough = False

    @hookimpl
    def task2sim_policy_updated(self) -> None:
        self.enough = True

    @hookimpl
    def task2sim_should_stop(self) -> Any:
        return self.enough


@BAD.breaks("should-stop")
class Vague(Good):
    @hookimpl
    def task2sim_should_stop(self) -> Any:
        return "perhaps"


BAD.add_common("observers", Good, globals())
