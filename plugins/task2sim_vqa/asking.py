"""Which questions are asked of a picture: many are proposed, those with a sure answer are balanced, few are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import attrs

from task2sim_vqa.balance import Balance
from task2sim_vqa.families import (
    FAMILIES,
    SIDES,
    Attribute,
    Beside,
    Closest,
    Compare,
    Count,
    Exists,
    IsLarger,
    Larger,
    Nouns,
    Place,
    Question,
)
from task2sim_vqa.visible import COLOUR_NAMES, MATERIAL_NAMES, SeenObject, Things, View

MOST = 3
"""Questions of a family that are kept of a picture, at most."""
PRESENT = 0.6
"""How often a category, colour or material that is proposed is taken from the picture and not from all there are."""


@attrs.frozen
class Asked:
    """A question with its answer.

    Attributes:
        question: What is asked.
        answer: The answer.
        wording: Which of its wordings.
    """

    question: Question
    answer: str
    wording: int

    def text(self, nouns: Nouns) -> str:
        """The question in English."""
        return self.question.text(nouns, self.wording)


def ask(view: View, nouns: Nouns, balance: Balance, random: Random, most: int = MOST) -> list[Asked]:
    """Ask questions about a picture.

    Args:
        view: What is seen.
        nouns: The categories that questions may name.
        balance: Which answers to ask for less often.
        random: Draws; the same state asks the same questions.
        most: Questions of each family, at most.
    """
    kept: dict[str, list[tuple[Question, str]]] = {family: [] for family in FAMILIES}
    for question, answer in propose(view, nouns, random):
        if random.random() < balance.keeps(question, answer):
            kept[question.family].append((question, answer))
    asked = []
    for found in kept.values():
        for question, answer in random.sample(found, min(most, len(found))):
            asked.append(Asked(question, answer, int(random.random() * question.wordings)))
    return asked


def propose(view: View, nouns: Nouns, random: Random) -> Iterator[tuple[Question, str]]:
    """Questions that have a sure answer, each once."""
    done = set()
    for question in _Proposals(view, nouns, random).all():
        if question not in done:
            done.add(question)
            answer = question.answer(view)
            if answer is not None:
                yield question, answer


class _Proposals:
    """Draws questions, as likely about what is in the picture as about what is not."""

    def __init__(self, view: View, nouns: Nouns, random: Random) -> None:
        self._draw = random.random
        self._categories = tuple(nouns)
        self._named = [item for item in view.objects if item.category in nouns]
        self._seen = view.objects
        counts: dict[str, int] = {}
        for item in view.objects:
            counts[item.category] = counts.get(item.category, 0) + 1
        # Categories of which there is one can be spoken of with "the".
        self._single = [item for item in self._named if counts[item.category] == 1]
        self._plenty = [item.category for item in self._named if counts[item.category] > 1]

    def all(self) -> Iterator[Question]:
        """Some of each family."""
        if not self._categories:
            return
        yield Count(Things())
        yield from self._some(16, self._count)
        yield from self._some(8, self._exists)
        yield from self._some(8, self._compare)
        for item in self._single:
            yield Attribute("colour", Things(item.category))
            yield Attribute("material", Things(item.category))
        yield Closest("object", None)
        yield Closest("colour", None)
        yield Closest("material", None)
        if self._single:
            yield from self._some(8, self._closest)
            yield from self._some(16, self._with_place)
        if len(self._single) > 1:
            yield from self._some(6, self._size)
            yield from self._some(8, self._beside)

    def _some(self, number: int, draw: Callable[[], Question]) -> Iterator[Question]:
        for _ in range(number):
            yield draw()

    def _pick(self, values: Sequence[Any]) -> Any:
        return values[int(self._draw() * len(values))]

    def _category(self) -> str:
        if self._named and self._draw() < PRESENT:
            category: str = (
                self._pick(self._plenty) if self._plenty and self._draw() < 0.4 else self._pick(self._named).category
            )
            return category
        return str(self._pick(self._categories))

    def _colour(self) -> str:
        if self._seen and self._draw() < PRESENT:
            colour = self._pick(self._seen).colour
            if colour is not None:
                return str(colour)
        return str(self._pick(COLOUR_NAMES))

    def _material(self) -> str:
        if self._seen and self._draw() < PRESENT:
            material = self._pick(self._seen).material
            if material is not None:
                return str(material)
        return str(self._pick(MATERIAL_NAMES))

    def _things(self) -> Things:
        drawn = self._draw()
        if drawn < 0.5:
            return Things(self._category())
        if drawn < 0.66:
            return Things(None, self._colour())
        if drawn < 0.8:
            return Things(self._category(), self._colour())
        if drawn < 0.9:
            return Things(None, None, self._material())
        if drawn < 0.96:
            return Things(self._category(), None, self._material())
        return Things(None, self._colour(), self._material())

    def _count(self) -> Question:
        return Count(self._things())

    def _exists(self) -> Question:
        return Exists(self._things())

    def _compare(self) -> Question:
        relation = self._pick(("more", "fewer", "as many"))
        if self._draw() < 0.5:
            first, second = Things(self._category()), Things(self._category())
        else:
            first, second = Things(None, self._colour()), Things(None, self._colour())
        if first == second:
            values = self._categories if first.category else COLOUR_NAMES
            other = values.index(first.category or first.colour or "") + 1 + int(self._draw() * (len(values) - 1))
            name = values[other % len(values)]
            second = Things(name) if first.category else Things(None, name)
        return Compare(first, second, relation)

    def _one(self) -> Things:
        return Things(self._pick(self._single).category)

    def _closest(self) -> Question:
        drawn = self._draw()
        what = "object" if drawn < 0.5 else "colour" if drawn < 0.8 else "material"
        return Closest(what, self._one())  # type: ignore[arg-type]

    def _with_place(self) -> Question:
        place = Place(self._pick(SIDES), self._one())
        drawn = self._draw()
        if drawn < 0.2:
            return Count(Things(), place)
        if drawn < 0.45:
            return Count(self._things(), place)
        if drawn < 0.8:
            return Exists(self._things(), place)
        return Attribute("colour" if drawn < 0.93 else "material", Things(self._category()), place)

    def _two(self) -> tuple[SeenObject, SeenObject]:
        first = int(self._draw() * len(self._single))
        second = int(self._draw() * (len(self._single) - 1))
        return self._single[first], self._single[second + (second >= first)]

    def _size(self) -> Question:
        first, second = (Things(item.category) for item in self._two())
        drawn = self._draw()
        return Larger(first, second) if drawn < 0.5 else IsLarger(first, second, drawn < 0.75)

    def _beside(self) -> Question:
        first, second = (Things(item.category) for item in self._two())
        side = self._pick(SIDES)
        if self._draw() < 0.2:
            first = first._replace(colour=self._colour())
        return Beside(first, Place(side, second))
