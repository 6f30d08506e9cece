"""What ``task2sim check`` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
import yaml

from task2sim.conformance.checks import Outcome
from task2sim.conformance.kinds import plural
from task2sim.conformance.running import make_subject, run_checks
from task2sim.errors import ConfigError
from task2sim.registry import find_plugin

MARKS = {"pass": "pass", "fail": "FAIL", "not applicable": "n.a."}


def check_plugin(reference: str, config: Sequence[str], trainer: str, quick: bool) -> bool:
    """Check an installed plugin and print a line for each check.

    Args:
        reference: ``kind:name``, such as ``simulator:studio``.
        config: Texts such as ``"resolution=32"``; the values are YAML.
        trainer: The trainer of the backbones that embedders and evaluators are tried with.
        quick: Whether long checks take fewer images.

    Returns:
        Whether all promises are kept, as far as the checks can see.

    Raises:
        ConfigError: the reference or the configuration is wrong.
        PluginError: there is no such plugin.
    """
    kind, colon, name = reference.partition(":")
    if not (colon and name):
        raise ConfigError(f"can't read {reference!r}", mend="write kind:name, such as simulator:studio")
    kind = plural(kind)
    entry = find_plugin(kind, name)
    subject = make_subject(kind, entry.load(), _read(config), trainer, quick)
    typer.echo(f"{entry.title}{', quick: 500 images in place of 2,000' * (quick and kind == 'simulators')}")
    outcomes = []
    for outcome in run_checks(subject):
        outcomes.append(outcome)
        for line in _lines(outcome):
            typer.echo(line)
    for what, text in subject.measures.items():
        typer.echo(f"{what}: {text}")
    counts = {verdict: sum(o.verdict == verdict for o in outcomes) for verdict in MARKS}
    failed = counts["fail"]
    typer.echo(f"{counts['pass']} passed, {failed} failed, {counts['not applicable']} not applicable")
    return not failed


def _lines(outcome: Outcome) -> list[str]:
    start = f"{MARKS[outcome.verdict]}  {outcome.check.name:<32} "
    if outcome.verdict == "not applicable":
        return [start + outcome.reason]
    if outcome.verdict == "pass":
        return [start + outcome.check.promise]
    first, *others = outcome.text.splitlines()
    return [start + first, *(" " * 6 + line for line in others)]


def _read(config: Sequence[str]) -> dict[str, Any]:
    values = {}
    for text in config:
        key, equals, value = text.partition("=")
        if not (equals and key):
            raise ConfigError("a key is set by KEY=VALUE", place=f"--config {text}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError("the value is not YAML", place=f"--config {text}", mend="put it in quotes") from None
    return values
