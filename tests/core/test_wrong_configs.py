"""Every message of the table in wrong_configs/mistakes.yaml is the one that is printed, to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import Task2SimError
from task2sim.config import load_study
from task2sim.study import check_study

TABLE: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "wrong_configs" / "mistakes.yaml").read_text(encoding="utf-8")
)

STUDY = """\
name: x
tasks: {sources: [toy], seen: [apples]}
embedder: toy
policy: toy
simulator: toy
trainer: toy
LINE
evaluator: toy
observers: []
"""
"""What a `line` of the table is written into, as its seventh."""


def message(case: dict[str, Any], folder: Path) -> str:
    """What a person who makes the mistake reads."""
    text = case.get("study", STUDY.replace("LINE", case.get("line", "")))
    if text is not None:
        (folder / "study.yaml").write_text(text)
    if "base" in case:
        (folder / "base.yaml").write_text(case["base"])
    with pytest.raises(Task2SimError) as caught:
        check_study(load_study("study.yaml", [case["set"]] if "set" in case else []))
    return str(caught.value)


@pytest.mark.parametrize("case", TABLE, ids=[case["mistake"].replace(" ", "-") for case in TABLE])
def test_a_mistake_has_its_message(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASK2SIM_EXAMPLE", "many")
    assert message(case, tmp_path) == case["message"].rstrip("\n")


def test_the_table_is_long_and_without_repetition() -> None:
    assert len(TABLE) >= 40
    assert len({case["mistake"] for case in TABLE}) == len(TABLE)


def test_messages_say_where() -> None:
    """Each line of a message begins with a place: a file, mostly with line and column, or the override."""
    for case in TABLE:
        for line in case["message"].splitlines():
            assert line.startswith(("study.yaml", "base.yaml", "--set ")), line
