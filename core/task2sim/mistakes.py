"""What is wrong with a configuration, for the person who wrote it: where, what was expected, what stood there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from task2sim.yaml_file import Location, nearest_place

BUILT_IN = frozenset({*get_args(ErrorType), "path_type"}) - {"missing", "value_error", "assertion_error"}
"""Mistakes that pydantic words itself; those of validators are for people already."""

EXPECTED = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "path": "a path",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "model_attributes": "a mapping of keys to values",
    "date": "a date",
    "datetime": "a date and time",
    "url": "a URL",
    "none": "null",
    "finite_number": "a finite number",
}
"""What pydantic's mistakes about a type expected, by the beginning of their names."""

BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
}
LENGTHS = {
    "too_short": ("min_length", "at least {} entr{}", "ies", "y"),
    "too_long": ("max_length", "at most {} entr{}", "ies", "y"),
    "string_too_short": ("min_length", "at least {} character{}", "s", ""),
    "string_too_long": ("max_length", "at most {} character{}", "s", ""),
}


def describe_errors(error: ValidationError, data: Any, places: Mapping[Location, str], source: str) -> str:
    """One line for each mistake, in the order of the file: place, key, what is wrong and how to mend it.

    Args:
        error: What pydantic found.
        data: What was validated.
        places: Where each location in it stands.
        source: What a mistake without a place is put down to.
    """
    found: dict[Location, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        location = detail["loc"] if detail["type"] not in BUILT_IN else _within(data, detail["loc"])
        found.setdefault(location, []).append(detail)
    lines = []
    for location, details in found.items():
        place = nearest_place(places, location, source)
        key = ".".join(str(part) for part in location)
        for message in _messages(details):
            lines.append((place, f"{place}: {key}: {message}" if key else f"{place}: {message}"))
    files = list(dict.fromkeys(_position(place)[0] for place, _ in lines))
    lines.sort(key=lambda line: (files.index(_position(line[0])[0]), _position(line[0])[1:]))
    return "\n".join(line for _, line in lines)


def found(value: Any) -> str:
    """What stood there, as the file has it or in a word."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _within(data: Any, location: Location) -> Location:
    """The parts of a location that lead through the data; pydantic also names the branch of a union."""
    steps: list[str | int] = []
    for step in location:
        is_list = isinstance(data, Sequence) and not isinstance(data, str)
        if (isinstance(data, Mapping) and step in data) or (is_list and isinstance(step, int) and step < len(data)):
            data = data[step]
            steps.append(step)
    return tuple(steps)


def _messages(details: list[ErrorDetails]) -> list[str]:
    """The mistakes at one location; what the branches of a union expected makes one of them."""
    plain = [_own_words(detail) for detail in details if detail["type"] not in BUILT_IN]
    worded = [detail for detail in details if detail["type"] in BUILT_IN]
    if not worded:
        return plain
    expected = list(dict.fromkeys(text for detail in worded for text in _expected(detail)))
    if not expected:
        return plain + [f"{_lower(detail['msg'])}, found {found(detail['input'])}" for detail in worded]
    value = worded[0]["input"]
    length = worded[0].get("ctx", {}).get("actual_length")
    there = found(value) if length is None or isinstance(value, str) else length
    return [*plain, f"expected {_either(expected)}, found {there}{_mend(worded, value)}"]


def _own_words(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "this key is missing"
    return _lower(detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, "))


def _expected(detail: ErrorDetails) -> list[str]:
    """What was expected; more than one where there is a choice, none where pydantic's words must do."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return re.findall(r"'[^']*'|[\w.-]+(?=,| or |$)", context["expected"])
    if kind in BOUNDS:
        name, text = BOUNDS[kind]
        return [text.format(_number(context[name]))]
    if kind in LENGTHS:
        name, text, many, one = LENGTHS[kind]
        return [text.format(context[name], one if context[name] == 1 else many)]
    if kind == "int_from_float":
        return [EXPECTED["int"]]
    if kind == "string_pattern_mismatch":
        return [f"a text like {context['pattern']}"]
    stem = re.sub("_(type|parsing|parsing_size)$", "", kind)
    return [EXPECTED[stem]] if stem in EXPECTED else []


def _mend(details: list[ErrorDetails], value: Any) -> str:
    kinds = {detail["type"] for detail in details}
    if isinstance(value, bool | int | float) and "string_type" in kinds:
        return "; put it in quotes"
    if isinstance(value, str):
        choices = [
            choice.strip("'")
            for detail in details
            if detail["type"] in ("literal_error", "enum")
            for choice in _expected(detail)
        ]
        if near := get_close_matches(value, choices, 1, 0.5):
            return f"; did you mean '{near[0]}'?"
        if kinds & {"list_type", "tuple_type"}:
            return f"; write [{value}]"
    return ""


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _position(place: str) -> tuple[str, int, int]:
    if (match := re.fullmatch(r"(.+):(\d+):(\d+)", place, re.DOTALL)) is not None:
        return match[1], int(match[2]), int(match[3])
    return place, 0, 0
