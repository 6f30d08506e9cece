from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from vqa_pictures import CATEGORIES, some_view

from task2sim_vqa.asking import MOST, ask, propose
from task2sim_vqa.balance import Balance, Judged, question_only
from task2sim_vqa.families import Attribute, Count, Exists
from task2sim_vqa.language import nouns
from task2sim_vqa.visible import Things

NOUNS, _ = nouns(CATEGORIES)


def test_kept_answers_are_equally_frequent() -> None:
    balance = Balance()
    draw = Random(0)
    answers = draw.choices(["0", "1", "2", "9"], weights=[70, 20, 9.9, 0.1], k=4000)
    for answer in answers:
        balance.count(Count(Things(draw.choice(CATEGORIES))), answer)
    kept = Counter(
        answer
        for answer in answers * 5
        if draw.random() < balance.keeps(Count(Things(draw.choice(CATEGORIES))), answer)
    )
    assert kept["9"] == 0  # too rare to balance the others against
    assert max(kept.values()) < 1.15 * min(kept[name] for name in "012")


def test_what_a_word_gives_away_is_balanced_too() -> None:
    balance = Balance()
    for category, yes, no in [("mug", 80, 20), ("chair", 30, 70), ("fork", 50, 50)]:
        for answer, times in [("yes", yes), ("no", no)]:
            for _ in range(times):
                balance.count(Exists(Things(category)), answer)
    mug = Exists(Things("mug"))
    # Of 100, as many are kept of one answer as of the other.
    assert 80 * balance.keeps(mug, "yes") == pytest.approx(20 * balance.keeps(mug, "no"), rel=0.2)
    chair = Exists(Things("chair"))
    assert 30 * balance.keeps(chair, "yes") == pytest.approx(70 * balance.keeps(chair, "no"), rel=0.2)


def test_a_word_that_settles_the_answer_is_not_asked_with() -> None:
    balance = Balance()
    for colour in ("red", "green", "blue"):
        for _ in range(40):
            balance.count(Attribute("colour", Things("mug")), colour)
    for _ in range(40):
        balance.count(Attribute("colour", Things("apple")), "red")
    assert balance.keeps(Attribute("colour", Things("apple")), "red") == 0.0
    assert balance.keeps(Attribute("colour", Things("mug")), "red") > 0.5


def test_counts_travel_as_plain_data() -> None:
    balance = Balance()
    for seed in range(5):
        for question, answer in propose(some_view(seed), NOUNS, Random(seed)):
            balance.count(question, answer)
    again = Balance.from_dict(json.loads(json.dumps(balance.as_dict())))
    assert again.as_dict() == balance.as_dict()
    asked = ask(some_view(9), NOUNS, balance, Random(9))
    assert asked
    assert ask(some_view(9), NOUNS, again, Random(9)) == asked
    assert ask(some_view(9), NOUNS, again, Random(10)) != asked
    assert max(Counter(entry.question.family for entry in asked).values()) <= MOST


def test_balance_hides_answers_from_the_question() -> None:
    pilot = Balance()
    for seed in range(10_000, 10_400):
        for question, answer in propose(some_view(seed), NOUNS, Random(seed)):
            pilot.count(question, answer)

    def judged(balance: Balance) -> dict[str, float]:
        found = [
            Judged(
                seed,
                entry.question.family,
                entry.text(NOUNS),
                entry.answer,
                entry.question.form,
                entry.question.balanced(entry.answer),
            )
            for seed in range(300)
            for entry in ask(some_view(seed), NOUNS, balance, Random(seed))
        ]
        return {guess.family: guess.accuracy for guess in question_only(found)}

    before, after = judged(Balance()), judged(pilot)
    assert before["counting"] > 0.4
    assert after["counting"] < before["counting"] - 0.08
    assert abs(after["existence"] - 0.5) < 0.08


def test_the_report_finds_what_is_given_away() -> None:
    told = [
        Judged(k, "colour", f"What color is the {name}?", answer, "form", answer)
        for k in range(60)
        for name, answer in [("apple", "red"), ("leaf", "green")]
    ]
    (guess,) = question_only(told)
    assert (guess.chance, guess.accuracy, guess.questions) == (0.5, 1.0, 120)
