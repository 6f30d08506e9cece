from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from task2sim.summary import Cell, Row
from task2sim_report.answer import answer
from task2sim_report.content import read_content


def sentences(make_run: Any, rows: dict[str, tuple[float, float, int]], **options: Any) -> list[str]:
    """The answer for a table in which seen and unseen tasks have the same numbers."""
    content = read_content(make_run(**options).folder)
    roles = content.table[0].groups
    table = [Row(name, {}, dict.fromkeys(roles, Cell(*numbers))) for name, numbers in rows.items()]
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in answer(attrs.evolve(content, table=table))]


def test_a_win_beyond_the_spread(make_run: Any) -> None:
    rows = {"policy x": (0.412, 0.005, 5), "everything varied": (0.398, 0.01, 5), "random settings": (0.3, 0.02, 3)}
    unseen, seen = sentences(make_run, rows)
    assert unseen == (
        "On the unseen task letters, the predicted setting reached 41.2 ± 0.5 % accuracy (5 pre-trainings);"
        " everything varied 39.8 ± 1.0 % and random settings 30.0 ± 2.0 % (3). That is the best of all, 1.4 points"
        " above everything varied; the difference is larger than the spread of pre-trainings (1.0 points)."
    )
    assert seen.startswith("On the 3 seen tasks (mean), the settings predicted for them reached 41.2")


def test_two_pretrainings_may_be_chance(make_run: Any) -> None:
    rows = {"policy x": (0.412, 0.005, 2), "everything varied": (0.398, 0.01, 2)}
    assert "above everything varied; with 2 pre-trainings it may still be chance." in sentences(make_run, rows)[0]


def test_a_loss_is_said_plainly(make_run: Any) -> None:
    rows = {"policy x": (0.3, 0.01, 2), "random settings": (0.45, 0.02, 3), "untrained backbone": (0.31, 0.01, 2)}
    assert (
        "It did not win: random settings reached 15.0 points more; with 2 pre-trainings"
        in (sentences(make_run, rows)[0])
    )


@pytest.mark.parametrize(("own", "words"), [(0.40, "best of all"), (0.38, "did not win")])
def test_a_difference_within_the_spread(make_run: Any, own: float, words: str) -> None:
    rows = {"policy x": (own, 0.001, 2), "everything varied": (0.39, 0.011, 2)}
    text = sentences(make_run, rows)[0]
    assert words in text
    assert "the difference is within the spread, so this run does not tell the two apart" in text


def test_one_pretraining_has_no_spread(make_run: Any) -> None:
    rows = {"policy x": (0.5, math.nan, 1), "everything varied": (0.39, math.nan, 1)}
    text = sentences(make_run, rows)[0]
    assert "reached 50.0 % accuracy (1 pre-training); everything varied 39.0 %." in text
    assert "no spread to judge this difference by" in text


def test_equal(make_run: Any) -> None:
    rows = {"policy x": (0.5, 0.01, 2), "best single setting": (0.5, 0.01, 2)}
    assert sentences(make_run, rows)[0].endswith("That equals best single setting, the best of the others.")


def test_the_oracle_is_no_rival(make_run: Any) -> None:
    rows = {
        "policy x": (0.5, math.nan, 1),
        "random settings": (0.4, 0.3, 3),
        "everything varied": (0.45, math.nan, 1),
        "oracle": (0.61, math.nan, 1),
    }
    unseen, _ = sentences(make_run, rows, looked_up=True)
    assert unseen == (
        "On the unseen task letters, the predicted setting reached 50.0 % accuracy; random settings 40.0 ± 30.0 % (3"
        " settings) and everything varied 45.0 %. That is the best of all, 5.0 points above everything varied; a"
        " table with one score a setting tells nothing of the spread between pre-trainings. The best settings in the"
        " table would reach 61.0 %."
    )


def test_without_unseen_tasks(make_run: Any) -> None:
    rows = {"policy x": (0.5, 0.01, 2), "best single setting": (0.4, 0.01, 2)}
    (text,) = sentences(make_run, rows, seen=("digits",), unseen=())
    assert text.startswith("On the seen task digits, the predicted setting reached")
