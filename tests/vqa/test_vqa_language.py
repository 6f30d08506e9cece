from __future__ import annotations

import pytest

from task2sim import ConfigError
from task2sim_studio.catalogue import ProceduralCatalogue
from task2sim_vqa.language import described, noun, nouns, with_article


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("mug", "mugs"),
        ("bus", "buses"),
        ("dress", "dresses"),
        ("wine glass", "wine glasses"),
        ("torch", "torches"),
        ("toothbrush", "toothbrushes"),
        ("axe", "axes"),
        ("box", "boxes"),
        ("butterfly", "butterflies"),
        ("key", "keys"),
        ("tomato", "tomatoes"),
        ("piano", "pianos"),
        ("knife", "knives"),
        ("bookshelf", "bookshelves"),
        ("giraffe", "giraffes"),
        ("roof", "roofs"),
        ("snowman", "snowmen"),
        ("fish", "fish"),
        ("computer mouse", "computer mice"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert (noun(one).one, noun(one).many) == (one, many)


def test_what_is_not_counted_itself() -> None:
    assert noun("scissors").one == "pair of scissors"
    assert noun("glasses").many == "pairs of glasses"
    assert noun("bread").many == "loaves of bread"
    assert noun("grapes").many == "bunches of grapes"


@pytest.mark.parametrize("name", ["furniture", "clothes", "dominoes", "n03001627", "office furniture"])
def test_no_plural_is_one_clear_line(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no plural is known of the category '{name}'"):
        noun(name)
    assert nouns(["mug", name])[1] == (name,)


def test_the_catalogue_has_nouns() -> None:
    categories = list(ProceduralCatalogue(None, 1).instances)
    known, refused = nouns(categories)
    assert refused == ()
    assert list(known) == categories
    assert sum(n.one == n.many for n in known.values()) == 1  # fish


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        ("umbrella", "an"),
        ("unicycle", "a"),
        ("uniform", "a"),
        ("uninteresting mug", "an"),
        ("hourglass", "an"),
        ("house", "a"),
        ("xylophone", "a"),
        ("orange mug", "an"),
        ("European flag", "a"),
        ("ukulele", "a"),
        ("one-way sign", "a"),
        ("onion", "an"),
        ("eggplant", "an"),
    ],
)
def test_articles(phrase: str, article: str) -> None:
    assert with_article(phrase) == f"{article} {phrase}"


def test_adjectives() -> None:
    assert described(noun("mug"), "grey", "wood").many == "gray wooden mugs"
    assert described(noun("scissors"), None, "metal").one == "metal pair of scissors"
