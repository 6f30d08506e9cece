from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TaskError
from task2sim_tables.strict_json import parse_json

FILE = Path("some.json")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_reads_what_json_writes(data: object) -> None:
    assert parse_json(json.dumps(data).encode(), FILE) == data


def test_not_finite_numbers_pass() -> None:
    one, two = parse_json(b"[NaN, 1e999]", FILE)
    assert math.isnan(one)
    assert two == math.inf


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "some.json: 'a' stands twice; leave one out"),
        ('{"SVHN": {"0_1": 1, "0_2": 2, "0_2": 3}}', "some.json: SVHN: '0_2' stands twice; leave one out"),
        ('{"x": [{}, {"y": {"k": 1, "k": 1}}]}', "some.json: x: 2: y: 'k' stands twice; leave one out"),
        ('{"x": {"k": 1, "k": 1}, "x": 5}', "some.json: 'k' stands twice; leave one out"),
    ],
)
def test_repeated_keys_are_refused_where_they_stand(text: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        parse_json(text.encode(), FILE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "line 1 column"),
        (b'{"a": 1} x', "Extra data"),
        (b"\xff\xfe\xfa", "can't read the JSON"),
        (b"9" * 5000, "can't read the JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        parse_json(text, FILE)
    assert caught.value.place == "some.json"
    assert "\n" not in str(caught.value)
    assert caught.value.mend
