from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TaskError
from task2sim_vqa.metric import accuracy, judge, normalise, soft_scores
from task2sim_vqa.vqa_v2 import Split, annotation


@pytest.mark.parametrize(
    ("same", "expected"),
    # By hand: with two of ten that agree, eight subsets hold both (2/3), two hold one (1/3): 0.8 * 2/3 + 0.2 * 1/3.
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_accuracy_worked_by_hand(same: int, expected: float) -> None:
    assert accuracy("2", ["two"] * same + ["other"] * (10 - same)) == pytest.approx(expected)


@given(st.lists(st.sampled_from(["yes", "no", "Yes.", "maybe"]), min_size=10, max_size=10), st.sampled_from("ab"))
def test_accuracy_is_the_mean_over_subsets(people: list[str], given_answer: str) -> None:
    answer = {"a": "yes", "b": "no"}[given_answer]
    agree = [normalise(other) == answer for other in people]
    means = [min(sum(some) / 3, 1.0) for some in combinations(agree, 9)]
    assert accuracy(answer, people) == pytest.approx(sum(means) / 10)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Two.", "2"),
        ("none", "0"),
        ("The Red Mug!", "red mug"),
        ("an apple", "apple"),
        ("1,000", "1000"),
        ("2.5", "2.5"),
        ("3 p.m.", "3 pm"),
        ("dont know", "don't know"),
        ("couldnt've", "couldn't've"),
        ("its", "its"),
        ("well", "well"),
        ("lets", "lets"),
        ("we're", "we're"),
        ("t-shirt", "t shirt"),
        ("yes, it is", "yes it is"),
        ("3:45", "3:45"),
        ("  black\tand\nwhite ", "black and white"),
        ("eleven", "eleven"),
    ],
)
def test_answers_are_normalised(answer: str, expected: str) -> None:
    assert normalise(answer) == expected


@given(st.text(alphabet="abc nt'.,!-0123 ", max_size=20))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert " ".join(once.split()) == once
    assert once == once.lower()


def test_soft_scores_are_those_of_the_metric() -> None:
    assert soft_scores(["Red"] * 5 + ["red."] * 3 + ["pink"] * 2) == {"red": 1.0, "pink": pytest.approx(0.6)}


def split() -> Split:
    questions: list[dict[str, Any]] = [
        {"question_id": number, "image_id": 1, "question": text}
        for number, text in enumerate(["How many mugs?", "How many cups?", "Is it red?"])
    ]
    notes = [
        {**annotation(questions[0], "2", "number"), "family": "counting"},
        {**annotation(questions[1], "3", "number"), "family": "combined"},
        annotation(questions[2], "yes", "yes/no"),
    ]
    return Split(questions, notes, "made up")


def test_judged_by_answer_type_and_family() -> None:
    found = judge({0: "two", 1: "2", 2: "Yes", 99: "unasked"}, split())
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.by_answer_type == {"yes/no": (1.0, 1), "number": (0.5, 2)}
    assert found.by_family == {"combined": (0.0, 1), "counting": (1.0, 1)}
    assert found.answers == {0: "two", 1: "2", 2: "Yes"}


def test_all_must_be_answered() -> None:
    with pytest.raises(TaskError, match="question 1 was not answered"):
        judge({0: "2", 2: "yes"}, split())
