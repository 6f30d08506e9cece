"""JSON that hides nothing: a key that stands twice is an error, where the standard library keeps the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from task2sim import TaskError


class _Repeating(dict[str, Any]):
    """An object one of whose keys stands twice."""

    key = ""


def parse_json(text: bytes, file: Path) -> Any:
    """Read JSON. NaN and infinities pass, so that the reader can say where they stand.

    Args:
        text: The file's bytes.
        file: Its name, for messages.

    Raises:
        TaskError: it is no JSON, or a key stands twice.
    """
    repeating: list[_Repeating] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        keys = [key for key, _ in pairs]
        repeats = _Repeating(found)
        repeats.key = next(key for number, key in enumerate(keys) if key in keys[:number])
        repeating.append(repeats)
        return repeats

    try:
        data = json.loads(text, object_pairs_hook=as_dict)
    except RecursionError as error:
        raise TaskError("the JSON is nested too deeply", place=str(file), mend="this is no reward table") from error
    except ValueError as error:
        raise TaskError(f"can't read the JSON: {error}", place=str(file), mend="write the file again") from error
    if repeating:
        where, key = _place_of(repeating[0], data), repeating[0].key
        raise TaskError(
            f"{where}: {key!r} stands twice" if where else f"{key!r} stands twice",
            place=str(file),
            mend="leave one out",
        )
    return data


def _place_of(wanted: _Repeating, data: Any) -> str:
    """The keys that lead to an object; empty if they are lost, because they were under a key that stands twice."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), data)]
    while waiting:
        keys, value = waiting.pop()
        if value is wanted:
            return ": ".join(keys)
        if isinstance(value, dict):
            waiting += [((*keys, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*keys, str(number + 1)), item) for number, item in enumerate(value)]
    return ""
