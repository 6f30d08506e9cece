from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import Choice, Interval, ParameterSpace, StoreError, TaskError, Toggle
from task2sim_tables import writing
from task2sim_tables.table import Table
from task2sim_tables.writing import write_table

SPACE = ParameterSpace([Toggle("fog"), Choice("sky", ("grey", "blue"))])


def call(folder: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "space": SPACE,
        "settings": [SPACE.setting(fog=1), SPACE.setting(sky="blue")],
        "scores": {"val": {"cats": [0.25, 0.5]}, "test": {"cats": [0, 1]}},
        "embeddings": {"cats": np.ones(3, np.float32), "spare": np.ones(2, np.float32)},
        "source": {"run": "a"},
        "metric": "accuracy",
    }
    write_table(folder, **(arguments | changes))


def table(folder: Path) -> Table:
    return Table(Table.Config(path=folder))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)
PARAMETERS = st.lists(
    st.one_of(
        st.builds(Toggle, NAMES, NAMES, st.integers(0, 1)),
        st.builds(Choice, NAMES, st.lists(NAMES, min_size=2, max_size=3, unique=True)),
        st.builds(
            lambda name, low, step: Interval(name, low, low + step), NAMES, st.floats(-9, 9), st.floats(0.1, 9)
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda parameter: parameter.name,
)


@given(PARAMETERS, st.lists(NAMES, min_size=1, max_size=4, unique=True), st.booleans(), st.data())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, parameters: Any, tasks: list[str], with_test: bool, data: st.DataObject
) -> None:
    space = ParameterSpace(parameters)
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    if math.isfinite(space.size) and data.draw(st.booleans()):
        settings = list(space.enumerate())
    else:
        settings = list(dict.fromkeys(space.sample(generator) for _ in range(5)))
    splits = ("val", "test") if with_test else ("val",)
    scores = {split: {task: generator.random(len(settings)).tolist() for task in tasks} for split in splits}
    embeddings = {task: generator.random(3).astype(np.float32) for task in tasks}
    folder = tmp_path_factory.mktemp("tables") / "table"
    write_table(folder, space, settings, scores, embeddings, {"run": "a"}, "accuracy")
    known = table(folder)
    assert known.names() == tuple(tasks)
    assert known.parameter_space.parameters == space.parameters
    restricted = known.parameter_space.settings
    assert (restricted is None) == (len(settings) == space.size)
    assert restricted is None or restricted == tuple(settings)
    for row, setting in enumerate(settings):
        for task in tasks:
            for split in ("val", "test"):
                expected = scores.get(split, scores["val"])[task][row]
                assert known.score(task, setting, split).value == expected
    for task in tasks:
        assert np.array_equal(known.embedding(task).vector, embeddings[task])


def test_format(tmp_path: Path) -> None:
    call(tmp_path / "table")
    assert names_in(tmp_path) == ["table"]
    assert names_in(tmp_path / "table") == ["embeddings.npz", "table.json"]
    assert json.loads((tmp_path / "table" / "table.json").read_text()) == {
        "format": "task2sim table",
        "version": 1,
        "metric": "accuracy",
        "source": {"run": "a"},
        "parameters": json.loads(json.dumps(SPACE.describe())),
        "settings": [{"fog": 1, "sky": "grey"}, {"fog": 0, "sky": "blue"}],
        "tasks": ["cats"],
        "scores": {"val": {"cats": [0.25, 0.5]}, "test": {"cats": [0.0, 1.0]}},
    }
    with np.load(tmp_path / "table" / "embeddings.npz", allow_pickle=False) as archive:
        assert archive.files == ["cats"]


def test_same_table_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        call(tmp_path / name)
    assert table(tmp_path / "a").fingerprint() == table(tmp_path / "b").fingerprint()


def test_a_restricted_space_is_written_whole(tmp_path: Path) -> None:
    settings = [SPACE.setting(fog=1), SPACE.setting(sky="blue")]
    call(tmp_path / "table", space=ParameterSpace(SPACE, settings))
    assert table(tmp_path / "table").parameter_space == ParameterSpace(SPACE, settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": {"val": {"cats": [0.25, math.nan]}}}, "task 'cats', setting 'sky=blue': the score is not finite"),
        ({"scores": {"val": {"cats": [25, 50]}}}, "25 is not from 0 to 1"),
        ({"scores": {"val": {"cats": [0.25]}}}, "task 'cats' has 1 val scores of 2 settings"),
        ({"scores": {"val": {}}}, "the table is empty"),
        ({"settings": []}, "the table is empty"),
        ({"settings": [SPACE.setting(fog=1)] * 2}, "listed twice"),
        ({"embeddings": {}}, "there is no embedding of task 'cats'"),
        ({"embeddings": {"cats": np.ones(3)}}, "float64"),
        ({"embeddings": {"cats": np.full(3, np.nan, np.float32)}}, "not finite"),
    ],
)
def test_incomplete_tables_are_not_written(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        call(tmp_path / "table", **changes)
    assert names_in(tmp_path) == []


def test_a_table_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    call(tmp_path / "table")
    call(tmp_path / "table", scores={"val": {"cats": [0.75, 0.5]}})
    known = table(tmp_path / "table")
    assert known.score("cats", SPACE.setting(fog=1), "test").value == 0.75
    assert names_in(tmp_path) == ["table"]


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    foreign, mixed, file = tmp_path / "foreign", tmp_path / "mixed", tmp_path / "file"
    foreign.mkdir()
    (foreign / "table.json").write_text('{"mine": 1}')
    call(mixed)
    (mixed / "notes.txt").write_text("x")
    file.write_text("x")
    for folder in (foreign, mixed):
        before = names_in(folder)
        with pytest.raises(StoreError, match="holds something besides a table"):
            call(folder)
        assert names_in(folder) == before
    with pytest.raises(StoreError, match="this is a file"):
        call(file)
    with pytest.raises(StoreError, match="can't write the table"):
        call(file / "table")


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(tmp_path / "table")
    before = table(tmp_path / "table").fingerprint()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_vectors", full)
    with pytest.raises(StoreError, match="can't write the table: No space left on device"):
        call(tmp_path / "table", scores={"val": {"cats": [0.75, 0.5]}})
    assert names_in(tmp_path) == ["table"]
    assert table(tmp_path / "table").fingerprint() == before
