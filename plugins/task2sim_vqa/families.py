"""The questions there are: what each asks, what its answer is, and how it is put into words.

A question is a small program on what is seen. `answer` gives None where a person could not be sure: two sizes that
are nearly equal, an object half hidden that may count or not. Such questions are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import attrs

from task2sim_vqa.language import THING, Noun, american, described, with_article
from task2sim_vqa.visible import SeenObject, Things, View, distance

Nouns: TypeAlias = Mapping[str, Noun]
Side: TypeAlias = Literal["left", "right", "front", "behind"]
SIDES: tuple[Side, ...] = ("left", "right", "front", "behind")

VISIBILITY = {
    "counting": 0.5,
    "existence": 0.5,
    "comparison": 0.5,
    "colour": 0.5,
    "material": 0.5,
    "position": 0.6,
    "size": 0.8,
    "combined": 0.6,
}
"""For each family, the share of an object that others must leave to be seen if it is to count."""
FAMILIES = tuple(VISIBILITY)

COLUMNS_APART = 0.06
"""Of the picture's width: middles nearer to each other are neither left nor right."""
OVERLAP = 0.5
"""Of the narrower one's columns: whoever shares more with another is neither left nor right of it."""
DEPTHS_APART = 0.3
"""Of the sum of two sizes: depths nearer to each other are neither in front nor behind."""
CLEARLY_LARGER = 1.3
CLEARLY_CLOSER = 1.25

WORDS: dict[Side, tuple[str, ...]] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "front": ("in front of",),
    "behind": ("behind",),
}


class Place(NamedTuple):
    """On one side of the one object that fits a description.

    Attributes:
        side: Which side, as the camera sees it; front is nearer to the camera.
        of: The description.
    """

    side: Side
    of: Things


def is_beside(item: SeenObject, other: SeenObject, side: Side) -> bool | None:
    """Whether an object is on that side of another; None if that is not clear."""
    if side in ("left", "right"):
        shared = min(item.right, other.right) - max(item.left, other.left)
        narrower = min(item.right - item.left, other.right - other.left)
        apart = item.middle - other.middle
        if abs(apart) < COLUMNS_APART or shared > OVERLAP * narrower:
            return None
        return (apart < 0) == (side == "left")
    apart = item.depth - other.depth
    if abs(apart) < DEPTHS_APART * (item.size + other.size):
        return None
    return (apart < 0) == (side == "front")


def number_of(view: View, things: Things, place: Place | None, visibility: float) -> int | None:
    """How many objects fit and are in that place; None if that is not clear."""
    sure, unsure = view.find(things, visibility)
    if place is None:
        return None if unsure else len(sure)
    reference = view.only(place.of, visibility)
    # There is no other tree to the left of the only tree.
    if reference is None or things.within(place.of):
        return None
    count = 0
    for item in sure:
        if item is not reference:
            beside = is_beside(item, reference, place.side)
            if beside is None:
                return None
            count += beside
    if any(item is not reference and is_beside(item, reference, place.side) is not False for item in unsure):
        return None
    return count


def closest_to(view: View, reference: SeenObject | None, visibility: float) -> SeenObject | None:
    """The object nearest to another, or to the camera; None if that is not clear."""
    if reference is None:
        ways = sorted((item.depth - 0.5 * item.size, item.number, item) for item in view.objects)
        margin = 0.3
        clear = len(ways) > 1 and ways[1][0] - ways[0][0] >= margin
    else:
        ways = sorted(
            (distance(item, reference), item.number, item) for item in view.objects if item is not reference
        )
        clear = len(ways) > 1 and ways[1][0] >= CLEARLY_CLOSER * ways[0][0]
    if not clear or ways[0][2].visibility < visibility:
        return None
    return ways[0][2]


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


class _Writer:
    """Puts descriptions into words."""

    def __init__(self, nouns: Nouns) -> None:
        self._nouns = nouns

    def noun(self, things: Things) -> Noun:
        name = THING if things.category is None else self._nouns[things.category]
        return described(name, things.colour, things.material)

    def the(self, things: Things) -> str:
        return f"the {self.noun(things).one}"

    def a(self, things: Things) -> str:
        return with_article(self.noun(things).one)

    def many(self, things: Things) -> str:
        return self.noun(things).many

    def place(self, place: Place | None, wording: int) -> str:
        if place is None:
            return ""
        words = WORDS[place.side]
        return f" {words[wording % len(words)]} {self.the(place.of)}"


@attrs.frozen
class Question:
    """Base of all questions.

    Attributes:
        family: Which family it belongs to.
        answer_type: VQA v2's: ``yes/no``, ``number`` or ``other``.
        wordings: How many ways there are to put it.
    """

    answer_type: ClassVar[str] = "yes/no"
    wordings: ClassVar[int] = 1

    @property
    def family(self) -> str:
        """Which family it belongs to."""
        raise NotImplementedError

    def answer(self, view: View) -> str | None:
        """The answer, or None if a person could not be sure of it."""
        raise NotImplementedError

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        raise NotImplementedError

    @property
    def form(self) -> str:
        """Questions of one form differ in words only."""
        return f"{type(self).__name__} {' '.join(map(_shape, self._fields()))}"

    @property
    def words(self) -> tuple[str, ...]:
        """What a question of this form differs by from others, each word with its place."""
        return tuple(
            word
            for place, value in enumerate(self._fields())
            if type(value) is not str
            for word in _flat(value, f"{place}")
        )

    def _fields(self) -> list[Any]:
        return [getattr(self, field.name) for field in attrs.fields(type(self))]

    def balanced(self, answer: str) -> str:
        """What must be equally frequent; the answer, unless it stands in the question."""
        return answer


def _shape(value: Any, inner: bool = False) -> str:
    if isinstance(value, tuple):
        return "(" + "".join(_shape(item, True) for item in value) + ")"
    return "-" if value is None else "x" if inner or type(value) is not str else value


def _flat(value: Any, place: str) -> list[str]:
    if isinstance(value, tuple):
        return [word for k, item in enumerate(value) for word in _flat(item, f"{place}{k}")]
    return [] if value is None else [f"{place}={value}"]


@attrs.frozen
class Count(Question):
    """How many red mugs are there left of the chair?"""

    things: Things
    place: Place | None = None

    answer_type = "number"
    wordings = 3

    @property
    def family(self) -> str:
        """Counting; combined with a place or two adjectives."""
        return "combined" if self.place or (self.things.colour and self.things.material) else "counting"

    def answer(self, view: View) -> str | None:
        """The number in digits."""
        number = number_of(view, self.things, self.place, VISIBILITY[self.family])
        return None if number is None else str(number)

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        many, where = write.many(self.things), write.place(self.place, wording)
        if self.place:
            return (
                f"How many {many} are{where}?",
                f"How many {many} are there{where}?",
                f"How many {many} can you see{where}?",
            )[wording % 3]
        return (
            f"How many {many} are there?",
            f"How many {many} are in the picture?",
            f"How many {many} can you see?",
        )[wording % 3]


@attrs.frozen
class Exists(Question):
    """Is there a red mug left of the chair?"""

    things: Things
    place: Place | None = None

    wordings = 3

    @property
    def family(self) -> str:
        """Existence; combined with a place or two adjectives."""
        return "combined" if self.place or (self.things.colour and self.things.material) else "existence"

    def answer(self, view: View) -> str | None:
        """Yes or no."""
        visibility = VISIBILITY[self.family]
        if self.place is None:
            sure, unsure = view.find(self.things, visibility)
            return "yes" if sure else None if unsure else "no"
        number = number_of(view, self.things, self.place, visibility)
        return None if number is None else _yes(number > 0)

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        where = write.place(self.place, wording)
        if self.place:
            return (
                f"Is there {write.a(self.things)}{where}?",
                f"Are there any {write.many(self.things)}{where}?",
                f"Can you see {write.a(self.things)}{where}?",
            )[wording % 3]
        return (
            f"Is there {write.a(self.things)} in the picture?",
            f"Are there any {write.many(self.things)}?",
            f"Can you see {write.a(self.things)}?",
        )[wording % 3]


@attrs.frozen
class Attribute(Question):
    """What colour is the mug? What is the mug left of the chair made of?"""

    what: Literal["colour", "material"]
    things: Things
    place: Place | None = None

    answer_type = "other"
    wordings = 2

    @property
    def family(self) -> str:
        """Colour or material; combined with a place or the other of the two."""
        return "combined" if self.place or self.things.colour or self.things.material else self.what

    def answer(self, view: View) -> str | None:
        """The word."""
        item = self._meant(view)
        if item is None:
            return None
        word = item.colour if self.what == "colour" else item.material
        return None if word is None else american(word)

    def _meant(self, view: View) -> SeenObject | None:
        visibility = VISIBILITY[self.family]
        if self.place is None:
            return view.only(self.things, visibility)
        if number_of(view, self.things, self.place, visibility) != 1:
            return None
        reference = view.only(self.place.of, visibility)
        assert reference is not None
        return next(
            item
            for item in view.find(self.things, visibility)[0]
            if item is not reference and is_beside(item, reference, self.place.side)
        )

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        the = f"{write.the(self.things)}{write.place(self.place, wording)}"
        if self.what == "colour":
            return (f"What color is {the}?", f"What is the color of {the}?")[wording % 2]
        return (f"What is {the} made of?", f"What material is {the}?")[wording % 2]


@attrs.frozen
class Larger(Question):
    """Which is larger, the mug or the teapot?"""

    first: Things
    second: Things

    answer_type = "other"
    wordings = 2

    @property
    def family(self) -> str:
        """Size."""
        return "size"

    def answer(self, view: View) -> str | None:
        """The noun of the larger one."""
        larger = is_larger(view, self.first, self.second)
        return None if larger is None else (self.first if larger else self.second).category

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        which = ("larger", "bigger")[wording % 2]
        return f"Which is {which}, {write.the(self.first)} or {write.the(self.second)}?"

    def balanced(self, answer: str) -> str:
        """Whether it is the one that is named first."""
        return "first" if answer == self.first.category else "second"


@attrs.frozen
class IsLarger(Question):
    """Is the mug larger than the teapot?"""

    first: Things
    second: Things
    smaller: bool = False

    wordings = 2

    @property
    def family(self) -> str:
        """Size."""
        return "size"

    def answer(self, view: View) -> str | None:
        """Yes or no."""
        larger = is_larger(view, self.first, self.second)
        return None if larger is None else _yes(larger != self.smaller)

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        word = (("larger", "bigger"), ("smaller", "smaller"))[self.smaller][wording % 2]
        return f"Is {write.the(self.first)} {word} than {write.the(self.second)}?"


def is_larger(view: View, first: Things, second: Things) -> bool | None:
    """Whether one object is larger than another, in the room and in the picture; None if that is not clear."""
    one, other = view.only(first, VISIBILITY["size"]), view.only(second, VISIBILITY["size"])
    if one is None or other is None or one is other or one.cut or other.cut:
        return None
    if one.size >= CLEARLY_LARGER * other.size and one.extent > other.extent:
        return True
    if other.size >= CLEARLY_LARGER * one.size and other.extent > one.extent:
        return False
    return None


@attrs.frozen
class Compare(Question):
    """Are there more mugs than chairs?"""

    first: Things
    second: Things
    relation: Literal["more", "fewer", "as many"]

    wordings = 2

    @property
    def family(self) -> str:
        """Comparison; combined where two adjectives are compared."""
        return "combined" if self.first.colour and self.second.colour else "comparison"

    def answer(self, view: View) -> str | None:
        """Yes or no."""
        visibility = VISIBILITY[self.family]
        one = number_of(view, self.first, None, visibility)
        other = number_of(view, self.second, None, visibility)
        if one is None or other is None or one + other == 0:
            return None
        return _yes({"more": one > other, "fewer": one < other, "as many": one == other}[self.relation])

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        joint = "as" if self.relation == "as many" else "than"
        both = f"{self.relation} {write.many(self.first)} {joint} {write.many(self.second)}"
        return (f"Are there {both}?", f"Can you see {both}?")[wording % 2]


@attrs.frozen
class Beside(Question):
    """Is the mug left of the chair?"""

    item: Things
    place: Place

    wordings = 2

    @property
    def family(self) -> str:
        """Position; combined where an adjective is needed."""
        return "combined" if self.item.colour or self.place.of.colour else "position"

    def answer(self, view: View) -> str | None:
        """Yes or no."""
        visibility = VISIBILITY[self.family]
        one, other = view.only(self.item, visibility), view.only(self.place.of, visibility)
        return None if one is None or other is None or one is other else _yes(is_beside(one, other, self.place.side))

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        return f"Is {write.the(self.item)}{write.place(self.place, wording)}?"


@attrs.frozen
class Closest(Question):
    """What is closest to the chair? What colour is the object closest to the camera?"""

    what: Literal["object", "colour", "material"]
    to: Things | None
    """None is the camera."""

    answer_type = "other"
    wordings = 2

    @property
    def family(self) -> str:
        """Position; combined with colour or material."""
        return "position" if self.what == "object" else "combined"

    def answer(self, view: View) -> str | None:
        """The category, colour or material of it."""
        visibility = VISIBILITY[self.family]
        reference = None
        if self.to is not None and (reference := view.only(self.to, visibility)) is None:
            return None
        item = closest_to(view, reference, visibility)
        if item is None:
            return None
        word = {"object": item.category, "colour": item.colour, "material": item.material}[self.what]
        return None if word is None else american(word)

    def text(self, nouns: Nouns, wording: int = 0) -> str:
        """The question in English."""
        write = _Writer(nouns)
        to = "the camera" if self.to is None else write.the(self.to)
        closest = ("closest", "nearest")[wording % 2]
        if self.what == "object":
            return f"What is {closest} to {to}?"
        if self.what == "colour":
            return f"What color is the object {closest} to {to}?"
        return f"What is the object {closest} to {to} made of?"
