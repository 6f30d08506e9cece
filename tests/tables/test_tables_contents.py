from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, ParameterSpace, TaskError
from task2sim_tables.contents import parse_table

FILE = Path("some.json")
Edit = Callable[[dict[str, Any]], Any]


def parse(data: Any) -> Any:
    return parse_table(json.dumps(data).encode(), FILE)


def refusal(data: Any) -> str:
    with pytest.raises(TaskError) as caught:
        parse(data)
    assert caught.value.place == "some.json"
    assert caught.value.mend
    assert not caught.value.message.endswith(".")
    assert "\n" not in str(caught.value)
    return caught.value.message


# --- the published format ---

KEYS = ["_".join(map(str, (*a, m, 0, *b))) for m in (1, 3) for *a, b in [
    (*bits[:5], bits[5:]) for bits in itertools.product((0, 1), repeat=7)
]]  # fmt: skip


def published(count: int = 256) -> dict[str, Any]:
    return {
        "SVHN": {key: 10 + 0.25 * number for number, key in enumerate(KEYS[:count])},
        "ISIC": {key: 90 - 0.25 * number for number, key in reversed(list(enumerate(KEYS[:count])))},
    }


def test_published_settings_stand_in_the_order_of_its_readme() -> None:
    orders = {
        "1_0_0_0_0_1_0_0_0": "background",
        "0_1_0_0_0_1_0_0_0": "focus_blur",
        "0_0_1_0_0_1_0_0_0": "light_colour",
        "0_0_0_1_0_1_0_0_0": "light_direction",
        "0_0_0_0_1_1_0_0_0": "light_intensity",
        "0_0_0_0_0_3_0_0_0": "materials",
        "0_0_0_0_0_1_0_1_0": "object_rotation",
        "0_0_0_0_0_1_0_0_1": "camera_distance",
    }
    contents = parse({"SVHN": dict.fromkeys(orders, 50)})
    assert contents.space.settings == tuple(TASK2SIM_PARAMETERS.setting({orders[key]: 1}) for key in sorted(orders))


def test_published_percentages_become_fractions() -> None:
    contents = parse(published())
    assert contents.space == TASK2SIM_PARAMETERS
    assert contents.space.settings is None
    assert contents.tasks == ("SVHN", "ISIC")
    assert contents.metric == "accuracy"
    assert set(contents.scores) == {"val"}
    key = "1_0_1_0_0_3_0_0_1"
    setting = TASK2SIM_PARAMETERS.setting(background=1, light_colour=1, materials=1, camera_distance=1)
    for task in contents.tasks:
        assert contents.scores["val"][task][contents.rows[setting]] == published()[task][key] / 100


def test_a_part_of_the_published_settings_is_a_restricted_space() -> None:
    contents = parse(published(16))
    assert contents.space.size == 16
    assert contents.space.parameters == TASK2SIM_PARAMETERS.parameters
    assert set(contents.space.settings) == set(contents.rows)


BAD_KEYS = [
    "0_0_1_0_0_3_0_1",
    "0_0_1_0_0_3_0_1_0_0",
    "0_0_1_0_0_2_0_1_0",
    "0_0_1_0_0_0_0_1_0",
    "0_0_1_0_0_3_1_1_0",
    "0_0_3_0_0_3_0_1_0",
    "0_0_-1_0_0_3_0_1_0",
    "00_0_1_0_0_3_0_1_0",
    "background",
    "",
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_unknown_published_settings_are_refused(key: str) -> None:
    data = published()
    data["ISIC"][key] = data["ISIC"].pop(KEYS[3])
    assert refusal(data) == f"task 'ISIC' has a score of the unknown setting {key!r}"


CELLS: list[tuple[Any, str]] = [
    (None, "there is no score"),
    ("50", "the score is no number"),
    (True, "the score is no number"),
    ([[]], "the score is no number"),
    (float("nan"), "the score is not finite"),
    (float("-inf"), "the score is not finite"),
    (10**400, "the score is not finite"),
]


@pytest.mark.parametrize(
    ("cell", "message"), [*CELLS, (100.5, "100.5 is not from 0 to 100"), (-1, "-1 is not from 0 to 100")]
)
def test_bad_published_cells_are_named(cell: Any, message: str) -> None:
    data = published()
    data["ISIC"][KEYS[200]] = cell
    assert refusal(data) == f"task 'ISIC', setting '{KEYS[200]}': {message}"


def test_missing_published_cells_are_named() -> None:
    data = published()
    del data["SVHN"][KEYS[7]]
    assert refusal(data) == f"task 'SVHN', setting '{KEYS[7]}': there is no score"
    assert refusal({"SVHN": {}, "ISIC": {KEYS[0]: 50}}) == f"task 'SVHN', setting '{KEYS[0]}': there is no score"


def test_published_fractions_are_refused() -> None:
    data = {task: {key: value / 100 for key, value in row.items()} for task, row in published().items()}
    assert refusal(data) == "no score is above 1, so these seem to be fractions"
    data["SVHN"][KEYS[0]] = 1.5
    parse(data)


@pytest.mark.parametrize("data", [{}, {"SVHN": {}}])
def test_an_empty_published_table_is_refused(data: Any) -> None:
    assert refusal(data) == "the table is empty"


@pytest.mark.parametrize("data", [[], 5, "x", None, {"a": 1}, {"SVHN": {KEYS[0]: 50}, "x": []}, {"format": "other"}])
def test_what_is_no_table_is_refused(data: Any) -> None:
    assert refusal(data) == "this is no reward table"


# --- task2sim's own format ---


def test_own_format(data: dict[str, Any]) -> None:
    contents = parse(data)
    assert json.loads(json.dumps(contents.space.describe())) == json.loads(json.dumps(data["parameters"]))
    assert [setting.as_dict() for setting in contents.space.settings] == data["settings"]
    assert contents.tasks == ("cats", "dogs")
    row = contents.rows[contents.space.setting(fog=1, sky="blue", sun=0.1)]
    assert [contents.scores[split][task][row] for split in ("val", "test") for task in contents.tasks] == [
        0.5,
        0.2,
        0.9,
        0.5,
    ]


def test_all_combinations_are_no_restriction(data: dict[str, Any]) -> None:
    del data["parameters"][2], data["settings"][2]["sun"], data["scores"]["test"]
    data["settings"] = [{"fog": fog, "sky": sky} for sky in ("blue", "grey") for fog in (1, 0)]
    data["scores"]["val"] = {"cats": [1, 0.9, 0.8, 0.7], "dogs": [0, 0, 0, 0.5]}
    contents = parse(data)
    assert contents.space.settings is None
    assert contents.space.size == 4
    assert contents.scores["val"]["cats"][contents.rows[contents.space.setting(fog=1, sky="grey")]] == 0.8


def test_one_task_and_one_setting_are_a_table(data: dict[str, Any]) -> None:
    data |= {"tasks": ["cats"], "settings": data["settings"][:1], "scores": {"val": {"cats": [0.25]}}}
    contents = parse(data)
    assert contents.tasks == ("cats",)
    assert contents.space.size == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.update(version=2), "this table has version 2, this task2sim reads version 1"),
        (lambda d: d.update(version=None), "this table has version null, this task2sim reads version 1"),
        (lambda d: d.update(version="x" * 999), 'this table has version "xxxxxxxxxxxxxxxxxxx, this task2sim'),
        (lambda d: d.pop("metric"), "metric: Field required"),
        (lambda d: d.update(metric=""), "metric: String should have at least 1 character"),
        (lambda d: d.update(score={}), "score: Extra inputs are not permitted"),
        (lambda d: d["scores"].update(train={}), "scores: train: Extra inputs are not permitted"),
        (lambda d: d["scores"].pop("val"), "scores: val: Field required"),
        (lambda d: d.update(tasks="cats"), "tasks: Input should be a valid list"),
        (lambda d: d.update(tasks=[]), "the table is empty"),
        (lambda d: d.update(settings=[]), "the table is empty"),
        (lambda d: d.update(parameters=[]), "the table is empty"),
        (lambda d: d["tasks"].append("cats"), "task 'cats' is listed twice"),
        (lambda d: d["tasks"].append("eels"), "task 'eels' has no val scores"),
        (lambda d: d["tasks"].remove("cats"), "val scores of 'cats', which is not among the tasks"),
        (lambda d: d["scores"]["test"].pop("dogs"), "task 'dogs' has no test scores"),
        (lambda d: d["scores"]["val"]["cats"].pop(), "task 'cats' has 2 val scores of 3 settings"),
        (lambda d: d["scores"]["test"]["cats"].append(1), "task 'cats' has 4 test scores of 3 settings"),
        (lambda d: d["settings"][2].pop("sky"), "setting 3 has no value of parameter 'sky'"),
        (lambda d: d["settings"][2].update(skies=1), "setting 3: unknown parameter 'skies'"),
        (lambda d: d["settings"][2].update(sky="red"), "setting 3: parameter 'sky' can't be 'red'"),
        (lambda d: d["settings"][2].update(sun=91), "setting 3: parameter 'sun' can't be 91"),
        (lambda d: d["settings"][2].update(sun=float("nan")), "setting 3: parameter 'sun' can't be nan"),
        (lambda d: d["settings"][2].update(fog=2), "setting 3: parameter 'fog' can't be 2"),
        (lambda d: d["settings"][2].update(fog=None), "settings: 2: fog: int: Input should be a valid integer"),
        (
            lambda d: d["settings"].__setitem__(2, dict(d["settings"][1])),
            "setting 'fog+sky=blue+sun=0.1' is listed twice",
        ),
        (lambda d: d["parameters"][0].update(name="sky"), "parameter names must differ: sky, sky, sun"),
        (lambda d: d["parameters"][0].update(type="dial"), "parameter 1 can't be read: unknown 'dial'"),
        (lambda d: d["parameters"][0].pop("type"), "parameter 1 can't be read: unknown 'type'"),
        (lambda d: d["parameters"][0].update(type=[]), "parameter 1 can't be read: "),
        (lambda d: d["parameters"][0].update(low=0), "parameter 1 can't be read: "),
        (lambda d: d["parameters"][0].update(name=7), "parameter 1 can't be read: "),
        (lambda d: d["parameters"][0].update(default=7), "parameter 1 can't be read: parameter 'fog' can't be 7"),
        (lambda d: d["parameters"][1].update(choices="gb"), "parameter 2 can't be read: "),
        (
            lambda d: d["parameters"][1].update(choices=[1, 2], default=1, varied=2),
            "parameter 2 can't be read: names and choices are texts",
        ),
        (lambda d: d["parameters"][1].update(choices=["grey"]), "parameter 2 can't be read: "),
        (lambda d: d["parameters"][2].update(low="a"), "parameter 3 can't be read: "),
        (lambda d: d["parameters"][2].update(low=90), "parameter 3 can't be read: parameter 'sun' needs finite"),
    ],
)
def test_incomplete_tables_are_refused(data: dict[str, Any], edit: Edit, message: str) -> None:
    edit(data)
    assert refusal(data).startswith(message)


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize(
    ("cell", "message"), [*CELLS, (25.1, "25.1 is not from 0 to 1"), (-0.1, "-0.1 is not from 0 to 1")]
)
def test_bad_cells_are_named(data: dict[str, Any], split: str, cell: Any, message: str) -> None:
    data["scores"][split]["dogs"][1] = cell
    assert refusal(data) == f"task 'dogs', setting 'fog+sky=blue+sun=0.1': {message}"


def test_only_accuracies_have_bounds(data: dict[str, Any]) -> None:
    data["metric"] = "negative loss"
    data["scores"]["val"]["dogs"] = [-3, 0, 25]
    assert parse(data).scores["val"]["dogs"] == (-3, 0, 25)


def test_repeated_keys_are_refused(data: dict[str, Any]) -> None:
    text = json.dumps(data).replace('"dogs": [0.6', '"cats": [0.6')
    with pytest.raises(TaskError, match="scores: test: 'cats' stands twice"):
        parse_table(text.encode(), FILE)


@given(st.data())
def test_no_spoilt_table_raises_anything_else(good: dict[str, Any], spoil: st.DataObject) -> None:
    """Replace or remove any part of a good table: it is read, or refused by one line."""
    place: Any = (data := copy.deepcopy(good))
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = spoil.draw(st.sampled_from(keys))
        if not (isinstance(place[key], (dict, list)) and place[key]) or spoil.draw(st.booleans()):
            break
        place = place[key]
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.just([])
        | st.just({})
        | st.just([[]])
    )
    if spoil.draw(st.booleans()):
        place[key] = spoil.draw(junk)
    else:
        del place[key]
    try:
        contents = parse(data)
    except TaskError:
        return
    assert isinstance(contents.space, ParameterSpace)
    for rows in contents.scores.values():
        assert {len(row) for row in rows.values()} == {len(contents.rows)}
