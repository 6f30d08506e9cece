"""Answers that the question alone does not give away.

How often each answer comes is counted over the questions of a pilot: pictures of the same setting that are not part
of the dataset. Of the frequent answers a question is then kept less often, so that among those kept all are as
frequent as the rarest. The same is done for what each word of a question says about its answer, words taken as
independent (naive Bayes); a question with a word that all but settles the answer is not asked. The pilot is drawn
from the seed, so a picture's questions still depend on (setting, seed, index) alone.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from task2sim_vqa.families import FAMILIES, Question

RAREST = 0.02
"""Answers that come less often than this in their form are not asked for; 0 keeps all."""
LEAST = 0.25
"""Of an equal share: an answer that a question's words make rarer than this no longer holds the others back."""
TRUST = 8.0
"""A word's own counts weigh as much as those of all words of its form once it was met so often."""
SETTLED = 0.5
"""A word settles an answer if it is given by more than the usual share and this much of the rest of them."""
FOLDS = 5


@attrs.define
class Balance:
    """Which questions are kept, and how often.

    Attributes:
        answers: For each form of question, how often each answer came in the pilot.
        words: For each form and word of it, the same. Without any counts all questions are kept.
    """

    answers: dict[str, Counter[str]] = attrs.field(factory=lambda: defaultdict(Counter))
    words: dict[str, Counter[str]] = attrs.field(factory=lambda: defaultdict(Counter))
    _chances: dict[str, Mapping[str, float]] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    def count(self, question: Question, answer: str) -> None:
        """Note a question of the pilot."""
        form, balanced = question.form, question.balanced(answer)
        self.answers[form][balanced] += 1
        for word in question.words:
            self.words[f"{form} {word}"][balanced] += 1

    def add(self, other: Balance) -> None:
        """Add another pilot's counts."""
        for mine, theirs in ((self.answers, other.answers), (self.words, other.words)):
            for key, counts in theirs.items():
                mine[key].update(counts)
        self._chances.clear()

    def keeps(self, question: Question, answer: str) -> float:
        """The probability with which a question with this answer is kept."""
        if not self.answers:
            return 1.0
        form = question.form
        if form not in self.answers:
            return 0.0
        prior = self._frequent(form)
        balanced = question.balanced(answer)
        if balanced not in prior or len(prior) < 2:
            return 0.0
        shares = dict(prior)
        for word in question.words:
            counts = self.words.get(f"{form} {word}")
            if counts:
                total = sum(counts[name] for name in prior)
                if total >= TRUST and any(
                    counts[name] > (share + SETTLED * (1.0 - share)) * total for name, share in prior.items()
                ):
                    return 0.0
                for name, share in prior.items():
                    shares[name] *= (counts[name] + TRUST * share) / ((total + TRUST) * share)
        whole = sum(shares.values())
        least = max(min(shares.values()) / whole, LEAST / len(shares) if len(shares) > 2 else 0.0)
        return min(1.0, least * whole / shares[balanced])

    def _frequent(self, form: str) -> Mapping[str, float]:
        if form not in self._chances:
            counts = self.answers[form]
            total = sum(counts.values())
            frequent = {name: n for name, n in sorted(counts.items()) if n >= max(2, RAREST * total)}
            if len(counts) > 1 / RAREST:  # so many answers that none can be frequent
                frequent = {name: n for name, n in sorted(counts.items()) if n > 1}
            kept = sum(frequent.values())
            self._chances[form] = {name: n / kept for name, n in frequent.items()}
        return self._chances[form]

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain data."""
        return {
            name: {key: dict(sorted(counts.items())) for key, counts in sorted(table.items())}
            for name, table in (("answers", self.answers), ("words", self.words))
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Balance:
        """The counts again."""
        balance = cls()
        for name, table in (("answers", balance.answers), ("words", balance.words)):
            for key, counts in data[name].items():
                table[key].update(counts)
        return balance


@attrs.frozen
class Judged:
    """A question that the report on question-only guesses looks at.

    Attributes:
        image_id: The image's id.
        family: The question's family.
        text: The question.
        answer: Its answer.
        form: Its form; questions of one form differ in words only.
        balanced: What was made equally frequent: the answer, or which of two that the question names.
    """

    image_id: int
    family: str
    text: str
    answer: str
    form: str
    balanced: str


@attrs.frozen
class Guess:
    """How far one gets with the question alone.

    Attributes:
        family: Which questions.
        questions: How many.
        chance: Accuracy of the best guess that knows which form a question has and none of its words.
        accuracy: Accuracy of the best guess that reads the question and does not see the picture, on questions of
            pictures that it did not learn from.
    """

    family: str
    questions: int
    chance: float
    accuracy: float


def question_only(questions: Sequence[Judged]) -> list[Guess]:
    """What the questions alone give away, family by family, on held-out pictures in five folds.

    The better of two guessers counts: the most frequent answer to the same text, and logistic regression on words and
    pairs of words. Chance is the most frequent answer to questions of the same form.
    """
    guesses = []
    for family in FAMILIES:
        own = [entry for entry in questions if entry.family == family]
        if len(own) < 4 * FOLDS:
            continue
        texts, answers = [entry.text for entry in own], [entry.answer for entry in own]
        forms, balanced = [entry.form for entry in own], [entry.balanced for entry in own]
        right = dict.fromkeys(("chance", "text", "words"), 0)
        for fold in range(FOLDS):
            train = [k for k, entry in enumerate(own) if entry.image_id % FOLDS != fold]
            test = [k for k, entry in enumerate(own) if entry.image_id % FOLDS == fold]
            if train and test:
                right["chance"] += _looked_up(forms, balanced, train, test)
                right["text"] += _looked_up(texts, answers, train, test)
                right["words"] += _regressed(texts, answers, train, test)
        best = max(right["text"], right["words"])
        guesses.append(Guess(family, len(own), right["chance"] / len(own), best / len(own)))
    return guesses


def standard_error(guess: Guess) -> float:
    """Of an accuracy at chance, from as many questions."""
    return math.sqrt(guess.chance * (1.0 - guess.chance) / guess.questions)


def _looked_up(keys: Sequence[str], answers: Sequence[str], train: Sequence[int], test: Sequence[int]) -> int:
    """How many are right when each gets the most frequent answer to the same key, or to all."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    everything: Counter[str] = Counter()
    for k in train:
        table[keys[k]][answers[k]] += 1
        everything[answers[k]] += 1
    common = everything.most_common(1)[0][0]
    return sum((table[keys[k]].most_common(1)[0][0] if keys[k] in table else common) == answers[k] for k in test)


def _regressed(texts: Sequence[str], answers: Sequence[str], train: Sequence[int], test: Sequence[int]) -> int:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    wanted = [answers[k] for k in train]
    if len(set(wanted)) < 2:
        return sum(answers[k] == wanted[0] for k in test)
    reader = CountVectorizer(ngram_range=(1, 2), binary=True, min_df=2)
    known = reader.fit_transform([texts[k] for k in train])
    model = LogisticRegression(C=0.1, max_iter=200).fit(known, wanted)
    guessed = model.predict(reader.transform([texts[k] for k in test]))
    return sum(guess == answers[k] for guess, k in zip(guessed, test, strict=True))
