"""``${seed}`` and ``${env:NAME}`` in the texts of a study file; nothing else is ever filled in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from task2sim.errors import ConfigError
from task2sim.yaml_file import Location, nearest_place

REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
"""``$${``, which stands for ``${``, or a reference with what is in it."""


class Interpolation:
    """Fills references in.

    Args:
        seed: What ``${seed}`` stands for; None where it is not known yet.
    """

    def __init__(self, seed: Any) -> None:
        self.seed = seed

    def text(self, text: str, place: str) -> str:
        """A text with its references filled in.

        Raises:
            ConfigError: a reference is unknown, or not closed, or names a variable that is not set.
        """
        return REFERENCE.sub(lambda found: str(self._value(found, place)), text)

    def value(self, text: str, place: str) -> Any:
        """The same; a text that is nothing but ``${seed}`` becomes the seed itself."""
        return self.seed if text == "${seed}" and self.seed is not None else self.text(text, place)

    def _value(self, found: re.Match[str], place: str) -> Any:
        if found[0] == "$${":
            return "${"
        name, closed = found[1], found[2]
        if not closed:
            raise ConfigError(f"{found[0]!r} is not closed", place=place, mend="add '}', or write $${ for a plain ${")
        if name == "seed":
            if self.seed is None:
                raise ConfigError("${seed} can't be used here", place=place, mend="write a value")
            return self.seed
        word, colon, variable = name.partition(":")
        if word == "env" and colon and re.fullmatch(r"\w+", variable):
            if variable not in os.environ:
                raise ConfigError(f"environment variable {variable} is not set", place=place, mend=_set(variable))
            return os.environ[variable]
        raise ConfigError(f"nothing is known of {found[0]}", place=place, mend=_meant(name))


def _set(variable: str) -> str:
    near = get_close_matches(variable, os.environ, 1, 0.8)
    return f"did you mean {near[0]}?" if near else f"set it, as in: export {variable}=..."


def _meant(name: str) -> str:
    bare = name.strip().rpartition(":")[2].strip().removeprefix("$")
    if get_close_matches(name.strip(), ["seed"], 1, 0.6):
        return "did you mean ${seed}?"
    if re.fullmatch(r"\w+", bare) and (bare in os.environ or bare.isupper()):
        return f"did you mean ${{env:{bare}}}?"
    return "write ${seed} or ${env:NAME}, or $${ for a plain ${"


def interpolate(data: Any, places: Mapping[Location, str], source: str, seed: int) -> Any:
    """Fill in every text of a study.

    Args:
        data: The study, as its files say it.
        places: Where each location stands.
        source: What a mistake without a place is put down to.
        seed: The study's seed if the data don't say it.

    Raises:
        ConfigError: references are wrong; all are listed.
    """
    problems: list[ConfigError] = []

    def fill(value: Any, location: Location, interpolation: Interpolation) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, (*location, key), interpolation) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, (*location, number), interpolation) for number, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            try:
                return interpolation.value(value, nearest_place(places, location, source))
            except ConfigError as error:
                error.message = f"{'.'.join(map(str, location))}: {error.message}"
                problems.append(error)
        return value

    # The seed comes first, since others stand for it.
    known = fill(data["seed"], ("seed",), Interpolation(None)) if "seed" in data else seed
    if isinstance(known, str) and known.strip().isdecimal():
        known = int(known)
    rest = {key: value for key, value in data.items() if key != "seed"}
    filled = fill(rest, (), Interpolation(known))
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    return {key: known if key == "seed" else filled[key] for key in data}


def fill_environment(data: Any, place: str) -> Any:
    """The same data without ``${env:NAME}``; ``${seed}`` stays as it is.

    Args:
        data: What a file says.
        place: Where it stands.

    Raises:
        ConfigError: a reference is wrong.
    """
    if isinstance(data, dict):
        return {key: fill_environment(value, place) for key, value in data.items()}
    if isinstance(data, list):
        return [fill_environment(value, place) for value in data]
    if not isinstance(data, str):
        return data

    def fill(found: re.Match[str]) -> str:
        if found[0] in ("$${", "${seed}"):
            return found[0]
        filled: str = escape(Interpolation(None).text(found[0], place))
        return filled

    return REFERENCE.sub(fill, data)


def escape(data: Any) -> Any:
    """The same data with every ``${`` written so that reading it gives it back."""
    if isinstance(data, dict):
        return {key: escape(value) for key, value in data.items()}
    if isinstance(data, list):
        return [escape(value) for value in data]
    return data.replace("${", "$${") if isinstance(data, str) else data
