"""What a check is: one promise of an interface, and how to see whether a component keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from task2sim.conformance.subject import Subject

Verdict: TypeAlias = Literal["pass", "fail", "not applicable"]


class Breach(Exception):
    """A promise is not kept; the text says what was found."""


class NotApplicable(Exception):
    """A check can't be made of this component; the text says why."""


@attrs.frozen
class Check:
    """A promise, and how it is checked.

    Attributes:
        name: Names the check, in words with hyphens; unique in a kind of component.
        promise: What the component promises, in one clause.
        why: What goes wrong for users where it is not kept.
        mend: What an author usually does about it.
        function: Looks; raises `Breach`, or `NotApplicable`. Whatever else it raises is the component's failure.
    """

    name: str
    promise: str
    why: str
    mend: str
    function: Callable[[Subject], None] = attrs.field(repr=False)


@attrs.frozen
class Outcome:
    """What a check found.

    Attributes:
        check: The check.
        verdict: Whether the promise is kept, as far as the check can see.
        reason: What was found, or why the check can't be made; empty if the promise is kept.
        place: ``file:line`` of what failed, or of the component; empty if the promise is kept.
        expected: Why this failure was expected; empty if it was not.
    """

    check: Check
    verdict: Verdict
    reason: str = ""
    place: str = ""
    expected: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether it is no failure, or an expected one."""
        return self.verdict != "fail" or bool(self.expected)

    @property
    def text(self) -> str:
        """The promise, what was found instead, why it matters and how to mend it, in lines."""
        lines = [self.check.promise, f"found: {self.reason}", f"why:   {self.check.why}", f"mend:  {self.check.mend}"]
        return "\n".join([*lines, f"at:    {self.place}"] if self.place else lines)


class CheckList:
    """The checks of one kind of component, in order."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def add(
        self, name: str, promise: str, *, why: str, mend: str
    ) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
        """Make a check of the function below."""

        def added(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
            self._checks.append(Check(name, promise, why, mend, function))
            return function

        return added

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)


def require(condition: object, found: str) -> None:
    """Go on if the condition holds.

    Raises:
        Breach: it does not; this was found instead.
    """
    if not condition:
        raise Breach(found)
