"""English for things in a picture: number, article, adjectives, and which names have no plural."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from task2sim import ConfigError

PLURALS = {
    "axe": "axes",
    "bookshelf": "bookshelves",
    "fish": "fish",
    "goldfish": "goldfish",
    "goose": "geese",
    "hoof": "hooves",
    "deer": "deer",
    "foot": "feet",
    "child": "children",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "ox": "oxen",
    "penknife": "penknives",
    "person": "people",
    "piano": "pianos",
    "photo": "photos",
    "scarf": "scarves",
    "sheep": "sheep",
    "shelf": "shelves",
    "snowman": "snowmen",
    "studio": "studios",
    "radio": "radios",
    "tooth": "teeth",
    "wolf": "wolves",
    "woman": "women",
    "aircraft": "aircraft",
}
"""Plurals of last words that no rule gives; a name may have words before them."""

PAIRS = (
    "binoculars",
    "glasses",
    "goggles",
    "headphones",
    "jeans",
    "pants",
    "pliers",
    "scissors",
    "shorts",
    "sunglasses",
    "tongs",
    "trousers",
    "tweezers",
)
"""Words that have no singular: one is a pair of them."""

MEASURES = {"bread": "loaf", "cheese": "piece", "grapes": "bunch", "toast": "slice", "corn": "ear", "cutlery": "set"}
"""Words that are not counted themselves, with what is counted of them."""

MASS = frozenset(
    {"broccoli", "clothing", "equipment", "food", "fruit", "furniture", "garlic", "glassware", "hair", "jewellery",
     "lettuce", "luggage", "machinery", "milk", "money", "paper", "pasta", "rice", "salt", "sand", "snow", "soap",
     "sugar", "sushi", "tableware", "traffic", "water", "weaponry", "wine"}
)  # fmt: skip
"""Words without plural that nobody has given a measure yet."""

SINGULAR_S = frozenset(
    {
        "abacus",
        "atlas",
        "bus",
        "cactus",
        "campus",
        "compass",
        "gas",
        "hippopotamus",
        "lens",
        "octopus",
        "platypus",
        "walrus",
    }
)
"""Singulars in -s, beside all that end in -ss; other words in -s are taken for plurals."""

SOUNDS_CONSONANT = re.compile(r"(?:uni(?!n)|use|usu|uk|ut[ei]|eu|ewe|one\b|once)", re.IGNORECASE)
SOUNDS_VOWEL = re.compile(r"(?:[aeiou]|hour|honest|honou?r|heir)", re.IGNORECASE)

MADE_OF = {"wood": "wooden"}
"""Adjectives of materials; the others are their own."""

AMERICAN = {"grey": "gray"}
"""VQA v2 is in American English, and so are the words that stand in its files."""


@attrs.frozen
class Noun:
    """A name in both numbers, without article.

    Attributes:
        one: Such as ``"fire hydrant"``, ``"pair of scissors"``.
        many: Such as ``"fire hydrants"``, ``"pairs of scissors"``.
    """

    one: str
    many: str


THING = Noun("object", "objects")


def noun(name: str) -> Noun:
    """Both numbers of a category's name.

    Raises:
        ConfigError: its plural is not known.
    """
    before, _, last = name.strip().rpartition(" ")
    start = f"{before} " if before else ""
    lower = last.lower()
    if lower in PAIRS:
        return Noun(f"pair of {name}", f"pairs of {name}")
    if lower in MEASURES:
        measure = MEASURES[lower]
        return Noun(f"{measure} of {name}", f"{_plural(measure)} of {name}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z' -]*", name.strip()) or lower in MASS or _looks_plural(lower):
        raise ConfigError(f"no plural is known of the category {name!r}", mend="no questions are asked about it")
    return Noun(name, start + _plural(last))


def nouns(names: Iterable[str]) -> tuple[dict[str, Noun], tuple[str, ...]]:
    """The nouns of categories, and the names of those that are left out since their plural is not known."""
    known: dict[str, Noun] = {}
    refused = []
    for name in names:
        try:
            known[name] = noun(name)
        except ConfigError:
            refused.append(name)
    return known, tuple(refused)


def with_article(phrase: str) -> str:
    """``a`` or ``an`` before a phrase, by its sound."""
    vowel = SOUNDS_VOWEL.match(phrase) is not None and SOUNDS_CONSONANT.match(phrase) is None
    return f"{'an' if vowel else 'a'} {phrase}"


def american(word: str) -> str:
    """A word as VQA v2 spells it."""
    return AMERICAN.get(word, word)


def described(name: Noun, colour: str | None, material: str | None) -> Noun:
    """A noun with its adjectives, colour before material: ``red wooden chair``."""
    words = [american(colour)] if colour else []
    words += [MADE_OF.get(material, material)] if material else []
    start = " ".join([*words, ""])
    return Noun(start + name.one, start + name.many)


def _looks_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith("ss") and word not in SINGULAR_S and word not in PLURALS


def _plural(word: str) -> str:
    lower = word.lower()
    if lower in PLURALS:
        return word[0] + PLURALS[lower][1:]
    if re.search(r"(?:s|x|z|ch|sh)$", lower):
        return f"{word}es"
    if re.search(r"[^aeiou]y$", lower):
        return f"{word[:-1]}ies"
    if re.search(r"[^aeiou]o$", lower):
        return f"{word}es"
    if re.search(r"(?:[^aeiouf]|[^o]o|oa)f$", lower) and lower.endswith(("lf", "af")):
        return f"{word[:-1]}ves"
    return f"{word}s"
