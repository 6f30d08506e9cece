from __future__ import annotations

from random import Random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vqa_pictures import CATEGORIES, seen, some_view

from task2sim_vqa.asking import propose
from task2sim_vqa.families import (
    FAMILIES,
    Attribute,
    Beside,
    Closest,
    Compare,
    Count,
    Exists,
    IsLarger,
    Larger,
    Place,
    Question,
)
from task2sim_vqa.language import nouns
from task2sim_vqa.visible import SeenObject, Things, View

NOUNS, _ = nouns(CATEGORIES)
SEEDS = st.integers(0, 100_000)


def fits(item: SeenObject, things: Things) -> bool:
    return (
        things.category in (None, item.category)
        and (things.colour is None or item.colours.get(things.colour, 0) > 0.5)
        and (things.material is None or item.materials.get(things.material, 0) > 0.5)
    )


def beside(item: SeenObject, other: SeenObject, side: str) -> bool:
    return {
        "left": item.middle < other.middle,
        "right": item.middle > other.middle,
        "front": item.depth < other.depth,
        "behind": item.depth > other.depth,
    }[side]


def brute_force(question: Question, objects: list[SeenObject]) -> str:
    """The answer, worked out the long way; who asks has made sure that there is one."""

    def those(things: Things, place: Place | None = None) -> list[SeenObject]:
        found = [item for item in objects if fits(item, things)]
        if place is None:
            return found
        (reference,) = those(place.of)
        return [item for item in found if item is not reference and beside(item, reference, place.side)]

    def word(item: SeenObject, what: str) -> str:
        if what == "object":
            return item.category
        shares = item.colours if what == "colour" else item.materials
        return str(max(shares, key=shares.__getitem__))

    def yes(value: bool) -> str:
        return "yes" if value else "no"

    match question:
        case Count(things, place):
            return str(len(those(things, place)))
        case Exists(things, place):
            return yes(len(those(things, place)) > 0)
        case Attribute(what, things, place):
            (item,) = those(things, place)
            return word(item, what)
        case Larger(first, second):
            (one,), (other,) = those(first), those(second)
            return max(one, other, key=lambda item: item.size).category
        case IsLarger(first, second, smaller):
            (one,), (other,) = those(first), those(second)
            return yes((one.size < other.size) if smaller else (one.size > other.size))
        case Compare(first, second, relation):
            one, other = len(those(first)), len(those(second))
            return yes({"more": one > other, "fewer": one < other, "as many": one == other}[relation])
        case Beside(thing, place):
            (item,), (reference,) = those(thing), those(place.of)
            return yes(beside(item, reference, place.side))
        case Closest(what, None):
            return word(min(objects, key=lambda item: item.depth - item.size / 2), what)
        case Closest(what, to):
            assert to is not None
            (reference,) = those(to)
            others = [item for item in objects if item is not reference]

            def way(item: SeenObject) -> float:
                return sum((a - b) ** 2 for a, b in zip(item.position, reference.position, strict=True))

            return word(min(others, key=way), what)
    raise AssertionError(question)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_answers_are_those_of_brute_force(seed: int) -> None:
    view = some_view(seed)
    for question, answer in propose(view, NOUNS, Random(seed)):
        assert answer == brute_force(question, list(view.objects)), question


def test_every_family_comes_up() -> None:
    families = {
        question.family for seed in range(60) for question, _ in propose(some_view(seed), NOUNS, Random(seed))
    }
    assert families == set(FAMILIES)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_what_is_asked_of_an_unclear_picture_does_not_depend_on_what_is_unclear(seed: int) -> None:
    view = some_view(seed, clear=False)
    hidden = [item for item in view.objects if item.visibility < 0.5]
    for question, answer in propose(view, NOUNS, Random(seed)):
        if isinstance(question, (Count, Exists, Compare)):
            for item in hidden:  # once it is there for sure, once it is gone
                sure = View([attrs.evolve(o, visibility=1.0) if o is item else o for o in view.objects])
                gone = View([o for o in view.objects if o is not item])
                assert question.answer(sure) in (answer, None), question
                assert question.answer(gone) in (answer, None), question


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_an_irrelevant_object_changes_nothing(seed: int) -> None:
    view = some_view(seed)
    # Of no category, colour or material that is asked for, behind everything and far away.
    stranger = seen(
        99, "zeppelin", colours={"white": 1.0}, materials={"leather": 1.0}, position=(90, 90, 90), depth=99.0
    )
    more = View([*view.objects, stranger])
    for question, answer in propose(view, NOUNS, Random(seed)):
        named = "zeppelin white leather"
        general = isinstance(question, (Count, Exists, Compare)) and any(
            isinstance(part, Things) and part == Things() for part in attrs.astuple(question, recurse=False)
        )
        asked = [word.rpartition("=")[2] for word in question.words]
        if not general and not any(word in named.split() for word in asked):
            assert question.answer(more) == answer, question


def mirrored(view: View) -> View:
    return View([attrs.evolve(o, left=1 - o.right, right=1 - o.left, middle=1 - o.middle) for o in view.objects])


SWAPPED = {"left": "right", "right": "left", "front": "front", "behind": "behind"}


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_mirror_swaps_left_and_right_and_nothing_else(seed: int) -> None:
    view = some_view(seed)
    mirror = mirrored(view)
    for question, answer in propose(view, NOUNS, Random(seed)):
        place = getattr(question, "place", None)
        if place is not None:
            question = attrs.evolve(question, place=place._replace(side=SWAPPED[place.side]))  # type: ignore[call-arg]
        assert question.answer(mirror) == answer, question


def test_nearly_equal_is_not_asked() -> None:
    mug, chair = Things("mug"), Things("chair")
    one = seen(1, "mug", left=0.4, right=0.5)
    same_column = View([one, seen(2, "chair", left=0.41, right=0.51, depth=5.0)])
    assert Beside(mug, Place("left", chair)).answer(same_column) is None
    assert Beside(mug, Place("front", chair)).answer(same_column) == "yes"
    same_depth = View([one, seen(2, "chair", left=0.7, right=0.8, depth=3.1)])
    assert Beside(mug, Place("front", chair)).answer(same_depth) is None
    assert Beside(mug, Place("left", chair)).answer(same_depth) == "yes"
    same_size = View([one, seen(2, "chair", size=0.55)])
    assert Larger(mug, chair).answer(same_size) is None
    larger = View([one, seen(2, "chair", size=1.0, extent=0.3)])
    assert Larger(mug, chair).answer(larger) == "chair"
    assert IsLarger(mug, chair).answer(larger) == "no"
    small_far_away = View([one, seen(2, "chair", size=1.0, extent=0.05)])
    assert Larger(mug, chair).answer(small_far_away) is None
    assert Larger(mug, chair).answer(View([one, seen(2, "chair", size=1.0, extent=0.3, cut=True)])) is None
    equally_close = View([one, seen(2, "chair", position=(1, 0, 0)), seen(3, "fork", position=(0, 1.1, 0))])
    assert Closest("object", mug).answer(equally_close) is None


def test_half_hidden_is_not_counted_nor_left_out() -> None:
    view = View([seen(1, "mug"), seen(2, "mug", visibility=0.3), seen(3, "chair")])
    assert Count(Things("mug")).answer(view) is None
    assert Count(Things("chair")).answer(view) == "1"
    assert Exists(Things("mug")).answer(view) == "yes"
    assert Exists(Things("mug"), Place("left", Things("chair"))).answer(view) is None
    assert Attribute("colour", Things("mug")).answer(view) is None


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        (
            Count(Things("mug", "red"), Place("left", Things("chair"))),
            {
                "How many red mugs are to the left of the chair?",
                "How many red mugs are there left of the chair?",
                "How many red mugs can you see to the left of the chair?",
            },
        ),
        (
            Exists(Things("apple")),
            {"Is there an apple in the picture?", "Are there any apples?", "Can you see an apple?"},
        ),
        (
            Exists(Things(None, "orange")),
            {
                "Is there an orange object in the picture?",
                "Are there any orange objects?",
                "Can you see an orange object?",
            },
        ),
        (Attribute("colour", Things("mug")), {"What color is the mug?", "What is the color of the mug?"}),
        (
            Attribute("material", Things("chair", "grey")),
            {"What is the gray chair made of?", "What material is the gray chair?"},
        ),
        (
            Compare(Things("mug"), Things("chair"), "as many"),
            {"Are there as many mugs as chairs?", "Can you see as many mugs as chairs?"},
        ),
        (
            Compare(Things("mug"), Things("chair"), "more"),
            {"Are there more mugs than chairs?", "Can you see more mugs than chairs?"},
        ),
        (Beside(Things("mug"), Place("front", Things("chair"))), {"Is the mug in front of the chair?"}),
        (
            Closest("colour", None),
            {"What color is the object closest to the camera?", "What color is the object nearest to the camera?"},
        ),
        (
            Larger(Things("mug"), Things("fork")),
            {"Which is larger, the mug or the fork?", "Which is bigger, the mug or the fork?"},
        ),
    ],
)
def test_wordings(question: Question, texts: set[str]) -> None:
    assert {question.text(NOUNS, wording) for wording in range(question.wordings)} == texts


@pytest.mark.parametrize(
    ("things", "of", "asked"),
    [
        (Things("chair"), Things("chair"), False),
        (Things("chair", "red"), Things("chair"), False),
        (Things("chair"), Things("chair", "red"), True),
        (Things(None, "red"), Things("chair"), True),
        (Things(), Things("chair"), True),
    ],
)
def test_nothing_is_looked_for_beside_the_only_one_of_its_kind(things: Things, of: Things, asked: bool) -> None:
    """There is no other chair to the left of the only chair."""
    view = View([seen(1, "chair", left=0.6, right=0.7, colours={"red": 1.0}), seen(2, "mug", left=0.1, right=0.2)])
    for question in (Count(things, Place("left", of)), Exists(things, Place("left", of))):
        assert (question.answer(view) is not None) is asked
