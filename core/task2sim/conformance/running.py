"""Checking a component: every check is made, whatever became of those before it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from pydantic import ValidationError

from task2sim.conformance.checks import Breach, Check, NotApplicable, Outcome
from task2sim.conformance.isolation import captured_stdout, peak_memory
from task2sim.conformance.kinds import checks_of, plural
from task2sim.conformance.subject import Subject, line_of_error, place_of_error
from task2sim.errors import ConfigError
from task2sim.interfaces import Component, ComponentConfig, Trainer
from task2sim.registry import KINDS, NOUNS, find_plugin

Factory: TypeAlias = Callable[[], Any]


@attrs.frozen
class Report:
    """What became of a component's checks.

    Attributes:
        outcomes: One for each check, in order.
        measures: What was measured on the way, such as ``throughput``, as texts.
    """

    outcomes: tuple[Outcome, ...]
    measures: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether no check failed that was not expected to."""
        return all(outcome.is_fine for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The checks that failed, unless it was expected."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_fine)


def make_subject(
    kind: str,
    component: type[Component] | Factory | str,
    config: Mapping[str, Any] | None = None,
    trainer: Callable[[], Trainer] | str = "resnet",
    quick: bool = False,
) -> Subject:
    """What `check_component` checks; see there."""
    kind = plural(kind)
    if isinstance(component, str):
        component = find_plugin(kind, component).load()
    build: Factory
    parsed: ComponentConfig | None = None
    if isinstance(component, type) and issubclass(component, Component):
        if not issubclass(component, KINDS[kind]):
            raise ConfigError(f"{component.__qualname__} is no {NOUNS[kind]}: it does not derive from its base class")
        try:
            parsed = component.Config(**(config or {}))
        except ValidationError as error:
            from task2sim.mistakes import describe_errors

            raise ConfigError(describe_errors(error, config or {}, {}, component.__qualname__)) from None
        build = functools.partial(component, parsed)
    elif config is not None:
        raise ConfigError("a factory takes no config", mend="give the class, or let the factory fill the Config in")
    else:
        build = component
        given = getattr(component, "args", ())  # of functools.partial(Class, Class.Config(...))
        parsed = given[0] if given and isinstance(given[0], ComponentConfig) else None
    if isinstance(trainer, str):
        trainer_class = find_plugin("trainers", trainer).load()
        trainer = functools.partial(trainer_class, trainer_class.Config())  # type: ignore[assignment]
    return Subject(kind, build, parsed, trainer, quick)  # type: ignore[arg-type]


def run_check(check: Check, subject: Subject, expected: str = "") -> Outcome:
    """Make one check.

    Args:
        check: The check.
        subject: What is checked.
        expected: Why it is expected to fail; empty if it is not.
    """
    outcome = _outcome(check, subject)
    if not expected:
        return outcome
    if outcome.verdict == "fail":
        return attrs.evolve(outcome, expected=expected)
    mend = "remove it from expected_failures"
    return attrs.evolve(outcome, verdict="fail", reason=f"it was expected to fail ({expected}), and does not: {mend}")


def _outcome(check: Check, subject: Subject) -> Outcome:
    try:
        with captured_stdout() as printed:
            check.function(subject)
    except NotApplicable as reason:
        return Outcome(check, "not applicable", str(reason))
    except Breach as found:
        return Outcome(
            check, "fail", str(found), place_of_error(found.__cause__ or found, subject.folder) or subject.place
        )
    except (Exception, SystemExit) as error:
        return Outcome(
            check, "fail", f"it raised {line_of_error(error)}", place_of_error(error, subject.folder) or subject.place
        )
    finally:
        subject.printed += printed.text
    return Outcome(check, "pass")


def run_checks(subject: Subject, expected_failures: Mapping[str, str] | None = None) -> Iterator[Outcome]:
    """Make all checks of a component, one after another.

    Raises:
        ConfigError: a check that is expected to fail does not exist.
    """
    checks = checks_of(subject.kind)
    expected = dict(expected_failures or {})
    check_expected(subject.kind, expected)
    start = time.perf_counter()
    for check in checks:
        yield run_check(check, subject, expected.get(check.name, ""))
    if (peak := peak_memory()) is not None:
        subject.measures["peak memory"] = f"{peak / 2**20:,.0f} MiB, of this process with all that it loaded"
    subject.measures["time"] = f"{time.perf_counter() - start:.1f} s for {len(checks)} checks"


def check_expected(kind: str, expected: Mapping[str, str]) -> None:
    """Refuse expected failures of checks that do not exist, or without a reason.

    Raises:
        ConfigError: there is one.
    """
    names = [check.name for check in checks_of(kind)]
    for name, reason in expected.items():
        if name not in names:
            raise ConfigError(f"there is no check {name!r}", place="expected_failures", mend=f"{', '.join(names)}")
        if not reason:
            raise ConfigError(f"{name!r} needs a reason", place="expected_failures")


def check_component(
    kind: str,
    component: type[Component] | Factory | str,
    *,
    config: Mapping[str, Any] | None = None,
    trainer: Callable[[], Trainer] | str = "resnet",
    quick: bool = False,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Hold a component to the promises of its kind.

    Args:
        kind: ``simulator``, ``embedder``, ``policy``, ``trainer``, ``evaluator``, ``tasks``, ``rewards``,
            ``exporter``, ``executor`` or ``observer``.
        component: Its class, or the name it is installed by, or a function that makes one. A function at module
            level, or ``functools.partial(Class, Class.Config(...))``, can be tried in another process too.
        config: With a class or a name: the keys a study file would give.
        trainer: What makes the backbone that embedders and evaluators are tried with, untrained: the name of a
            trainer, or a function that makes one.
        quick: Render 500 images where 2,000 are rendered otherwise.
        expected_failures: Names of checks that are known to fail, with the reason; one that passes is a failure.

    Returns:
        What became of each check.

    Raises:
        ConfigError: the kind, the configuration or an expected failure is wrong.
        PluginError: there is no such component.
    """
    subject = make_subject(kind, component, config, trainer, quick)
    outcomes = tuple(run_checks(subject, expected_failures))
    return Report(outcomes, dict(subject.measures))
