"""The command lines shown are ones the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import typer.main

from task2sim import TASK2SIM_PARAMETERS
from task2sim.cli import app
from task2sim.config import load_study
from task2sim.generate import parse_exporter, parse_setting

COMMANDS: Any = typer.main.get_command(app)


def parse(words: list[str]) -> dict[str, Any]:
    """The parameters a command would be called with; raises if it would refuse."""
    command, name = COMMANDS, "task2sim"
    while hasattr(command, "list_commands"):
        name, *words = words
        command = command.get_command(None, name)
        assert command is not None, f"there is no command {name!r}"
    parameters: dict[str, Any] = command.make_context(name, words).params
    return parameters


def lines(blocks: list[Any]) -> Iterator[tuple[str, list[str]]]:
    for block in blocks:
        for line in block.text.splitlines() if block.language == "console" else ():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.match(r"\w+=", words[0]):
                del words[0]
            if words[:1] == ["task2sim"]:
                yield f"{block.place}: {line}", words[1 : words.index(">") if ">" in words else None]


def test_every_line_is_taken(blocks: list[Any]) -> None:
    problems = []
    count = 0
    for line, words in lines(blocks):
        count += 1
        try:
            parameters = parse(words)
            # Studies of the reader's own are not here; what is set in them exists in every study.
            load_study("quickstart", parameters.get("overrides") or ())
            if "setting" in parameters:
                parse_setting(parameters["setting"], TASK2SIM_PARAMETERS, 0)
                parse_exporter(parameters["exporter"])
        except (Exception, SystemExit) as error:
            problems.append(f"{line}: {error}")
    assert problems == []
    assert count > 20


def test_every_option_that_is_mentioned_exists(pages: list[Path]) -> None:
    known = {"--help"}
    groups = [COMMANDS]
    while groups:
        group = groups.pop()
        for name in group.list_commands(None):
            command = group.get_command(None, name)
            if hasattr(command, "list_commands"):
                groups.append(command)
            known |= {option for parameter in command.params for option in parameter.opts}
    mentioned = {
        (page.name, option)
        for page in pages
        if page.name != "benchmarks.md"
        for option in re.findall(r"(?<=`)(?:task2sim \w+ )?(--[a-z-]+)", page.read_text(encoding="utf-8"))
    }
    assert [(page, option) for page, option in mentioned if option not in known] == []
    assert len(mentioned) > 8


def test_every_command_has_its_section(pages: list[Path]) -> None:
    (page,) = [page for page in pages if page.name == "command-line.md"]
    sections = re.findall(r"^## (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(COMMANDS.list_commands(None))


def test_every_extra_that_is_mentioned_exists(pages: list[Path]) -> None:
    extras = set(metadata.metadata("task2sim").get_all("Provides-Extra") or ())
    mentioned = {extra for page in pages for extra in re.findall(r"task2sim\[(\w+)\]", page.read_text())}
    assert mentioned
    assert mentioned <= extras
