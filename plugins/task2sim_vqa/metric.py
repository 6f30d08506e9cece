"""The metric of VQA (Antol et al., ICCV 2015, section 4.2; visualqa.org/evaluation)."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from task2sim import TaskError
from task2sim_vqa.vqa_v2 import ANSWER_TYPES, Split

ENOUGH = 3
"""So many people with the same answer make it right."""

_DIGITS = "zero one two three four five six seven eight nine ten"
NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS.split(" "))} | {"none": "0"}
ARTICLES = frozenset({"a", "an", "the"})

_NEGATED = "ai are ca could did do does had has have is might must need ought sha should was were wo would"
_SHORTENED = {
    "'ve": "could i might must not should they we what where who would you",
    "'d": "he how it somebody someone something there they where who you",
    "'ll": "how it somebody someone something they what who why you",
    "'re": "there they what why you",
    "'s": "he how somebody someone something that there what when where who why",
}
_WOULD_HAVE = "he i it she somebody someone something there they we who you"
_OTHERS = ("i'm", "ma'am", "o'clock", "'twas", "y'all")


def _contractions() -> dict[str, str]:
    """Contractions by what is left of them without apostrophes; none that is another word then, such as its."""
    found = [*(f"{word}n't" for word in _NEGATED.split()), *_OTHERS]
    found += [f"{word}{end}" for end, words in _SHORTENED.items() for word in words.split()]
    found += [f"{word}n't've" for word in _NEGATED.split()]
    found += [f"{word}'d've" for word in _WOULD_HAVE.split()]
    return {word.replace("'", ""): word for word in found}


_CONTRACTIONS = _contractions()
_PERIOD = re.compile(r"\.(?!\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d)")
_PUNCTUATION = re.compile(r"""[;/\[\]"{}()=+\\_\-><@`,?!]""")


@functools.lru_cache(maxsize=65536)
def normalise(answer: str) -> str:
    """Bring an answer into the form in which answers are compared.

    As the official evaluation describes it: lower case; no full stops but decimal points; number words as digits; no
    articles; apostrophes in contractions; other punctuation, but apostrophes and colons, becomes a space, and commas
    between digits vanish.

    Args:
        answer: As a person or a model gave it.
    """
    text = _PUNCTUATION.sub(" ", _THOUSANDS.sub("", _PERIOD.sub("", answer.lower())))
    words = (NUMBERS.get(word, word) for word in text.split())
    return " ".join(_CONTRACTIONS.get(word.replace("'", ""), word) for word in words if word not in ARTICLES)


def accuracy(answer: str, people: Sequence[str]) -> float:
    """How right an answer is, in [0, 1].

    The mean of min(people with this answer / 3, 1) over all subsets that leave one person out.

    Args:
        answer: Of a model.
        people: Their answers, usually ten.
    """
    given = normalise(answer)
    same = sum(normalise(other) == given for other in people)
    # Who agrees is left out `same` times, who does not the other times.
    without_one, without_none = min((same - 1) / ENOUGH, 1.0), min(same / ENOUGH, 1.0)
    return (same * without_one + (len(people) - same) * without_none) / len(people)


def soft_scores(people: Sequence[str]) -> dict[str, float]:
    """The accuracy of each answer that people gave, by its normalised form."""
    return {answer: accuracy(answer, people) for answer in dict.fromkeys(map(normalise, people))}


@attrs.frozen
class Evaluation:
    """How well questions were answered.

    Attributes:
        accuracy: VQA accuracy over all questions, in [0, 1].
        by_answer_type: Accuracy and number of questions by answer type: yes/no, number, other.
        by_family: The same by family of question; empty where annotations tell none.
        answers: What was answered, by question_id.
    """

    accuracy: float
    by_answer_type: dict[str, tuple[float, int]]
    by_family: dict[str, tuple[float, int]]
    answers: dict[int, str] = attrs.field(repr=lambda value: f"<{len(value)}>")


def judge(answers: Mapping[int, str], split: Split) -> Evaluation:
    """Compare answers with what people said.

    Args:
        answers: By question_id.
        split: The questions.

    Raises:
        TaskError: there are no questions, or one of them was not answered.
    """
    if not len(split):
        raise TaskError("there are no questions", place=split.source)
    right: dict[int, float] = {}
    for note in split.annotations:
        number = note["question_id"]
        if number not in answers:
            raise TaskError(f"question {number} was not answered", place=split.source)
        right[number] = accuracy(answers[number], people(note))

    def by(key: str) -> dict[str, tuple[float, int]]:
        counts: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for note in split.annotations:
            if key in note:
                counts[str(note[key])] += 1
                sums[str(note[key])] += right[note["question_id"]]  # type: ignore[assignment]
        return {name: (sums[name] / count, count) for name, count in counts.items()}

    kinds, families = by("answer_type"), by("family")
    return Evaluation(
        sum(right.values()) / len(right),
        {kind: kinds[kind] for kind in ANSWER_TYPES if kind in kinds},
        {name: families[name] for name in sorted(families)},
        {number: answers[number] for number in right},
    )


def people(note: Mapping[str, Any]) -> list[str]:
    """The answers of an annotation."""
    return [str(entry["answer"]) for entry in note["answers"]]
