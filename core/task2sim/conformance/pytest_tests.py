"""A pytest test for each check; pytest is imported by whoever uses the decorator, so nothing is registered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from task2sim.conformance.kinds import checks_of, plural
from task2sim.conformance.running import check_expected, make_subject, run_check
from task2sim.interfaces import Component, Trainer

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def conformance(
    kind: str,
    *,
    factory: type[Component] | Callable[[], Any] | str,
    config: Mapping[str, Any] | None = None,
    trainer: Callable[[], Trainer] | str = "resnet",
    quick: bool = False,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Decorated], Decorated]:
    """Turn a test class or function into one pytest test for each check of a component.

    A class gets a method ``test_promise``; of a function only name and docstring remain. A check that is not
    applicable is skipped with its reason, one that is expected to fail is an expected failure.

    Args:
        kind: As for `check_component`.
        factory: The component's class, the name it is installed by, or a function that makes one.
        config: As for `check_component`; so are the others.
        trainer: What makes the backbone for embedders and evaluators.
        quick: Render fewer images.
        expected_failures: Checks that are known to fail, with the reason.
    """
    import pytest

    checks = {check.name: check for check in checks_of(kind)}
    expected = dict(expected_failures or {})
    check_expected(plural(kind), expected)
    # Made with the first test that runs, not when tests are collected.
    subject = functools.cache(lambda: make_subject(kind, factory, config, trainer, quick))

    def look(name: str) -> None:
        __tracebackhide__ = True
        outcome = run_check(checks[name], subject(), expected.get(name, ""))
        if outcome.verdict == "not applicable":
            pytest.skip(outcome.reason)
        if outcome.expected:
            pytest.xfail(f"{outcome.expected}: {outcome.reason}")
        if outcome.verdict == "fail":
            pytest.fail(outcome.text, pytrace=False)

    def decorated(target: Decorated) -> Decorated:
        parametrised = pytest.mark.parametrize("promise", list(checks))
        if isinstance(target, type):

            def test_promise(self: Any, promise: str) -> None:
                look(promise)

            target.test_promise = parametrised(test_promise)  # type: ignore[attr-defined]
            return target

        def test(promise: str) -> None:
            look(promise)

        test.__name__, test.__doc__, test.__module__ = target.__name__, target.__doc__, target.__module__
        return cast("Decorated", parametrised(test))

    return decorated
