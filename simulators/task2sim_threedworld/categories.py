"""Which models make up which category: by rule, by name, or by a person's file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from task2sim import ConfigError
from task2sim_threedworld.records import Additions, ModelRecord, Models, packaged, read_bytes

CORE = "models_core.json"
FULL = "models_full.json"
DEFAULT_CATEGORIES = 100
WORDNET_ID = re.compile(r"n\d{8}")

Categories: TypeAlias = Mapping[str, tuple[ModelRecord, ...]]


@attrs.frozen
class ChosenModels:
    """Models by category, and a line about each model and category that was wanted and can't be used."""

    categories: Categories
    left_out: tuple[str, ...] = ()


def default_models(additions: Additions[ModelRecord]) -> ChosenModels:
    """The models of the 100 categories that have the most usable ones in `models_core.json`, in that order."""
    core = packaged(Models, CORE)
    public = _by_category(core.values(), _names_of_ids(core.values()))
    largest = sorted(public, key=lambda name: (-len(public[name]), name))[:DEFAULT_CATEGORIES]
    offered = _offered(additions)
    return ChosenModels({name: offered[name] for name in largest if name in offered})


def named_models(names: tuple[str, ...], additions: Additions[ModelRecord]) -> ChosenModels:
    """The models of named categories, in the order of the names.

    Raises:
        ConfigError: a category is unknown or stands there twice, or there are fewer than two.
    """
    offered = _offered(additions)
    for number, name in enumerate(names):
        if name not in offered:
            raise ConfigError(f"there is no public category {name!r}", mend=nearest(name, offered))
        if name in names[:number]:
            raise ConfigError(f"the category {name!r} stands there twice", mend="leave one out")
    if len(names) < 2:
        raise ConfigError(f"at least two categories are needed, not {len(names)}", mend="name more")
    return ChosenModels({name: offered[name] for name in names})


def listed_models(path: Path, additions: Additions[ModelRecord]) -> ChosenModels:
    """The models that a file lists, as far as they can be used, in its order.

    Args:
        path: A JSON file, ``{category or WordNet id: [names of models]}``.
        additions: What the library folders hold.

    Raises:
        ConfigError: the file can't be used, or fewer than two categories have a model that can.
    """
    lists = _read_lists(path)
    categories: dict[str, tuple[ModelRecord, ...]] = {}
    models_left_out: list[str] = []
    keys: dict[str, str] = {}
    private = 0
    for key, names in lists.items():
        found = [_find(name, additions) for name in names]
        known = [record for record in found if record is not None]
        category = _common_name(known) if WORDNET_ID.fullmatch(key) and known else key
        if category in keys:
            raise ConfigError(
                f"the keys {keys[category]!r} and {key!r} both mean {category!r}",
                place=str(path),
                mend="put their models under one key, or give one of them a name of your own",
            )
        keys[category] = key
        reasons = [_why_not(record, additions) for record in found]
        private += reasons.count(_PRIVATE)
        models_left_out += [
            f"{name} ({category}): {reason}" for name, reason in zip(names, reasons, strict=True) if reason
        ]
        usable = tuple(record for record in known if not _why_not(record, additions))
        if usable:
            categories[category] = usable
    if len(categories) < 2:
        raise ConfigError(
            f"{len(categories)} of {len(lists)} categories can be used, and at least 2 are needed; {private} of "
            f"{sum(map(len, lists.values()))} models are on TDW's private bucket",
            place=str(path),
            mend="list public models, or put asset bundles into the folder 'models' of a library folder",
        )
    empty = [
        f"category {category}: none of its models can be used" for category in keys if category not in categories
    ]
    return ChosenModels(categories, (*empty, *models_left_out))


def nearest(name: str, known: Collection[str]) -> str:
    """What to do about an unknown name: the nearest known one, or all if they are few."""
    near = get_close_matches(name, known, 1, 0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    some = sorted(known)[:20]
    return f"there are {', '.join(some)}" + (f" and {len(known) - len(some)} more" if len(known) > len(some) else "")


_PRIVATE = "on TDW's private bucket"


def _why_not(record: ModelRecord | None, additions: Additions[ModelRecord]) -> str:
    """Why a model that a person wants can't be used; empty if it can."""
    if record is None:
        return "unknown to TDW"
    if record.name in additions.bundles:
        return ""
    if record.is_private:
        return _PRIVATE
    if record.do_not_use:
        return f"not to be used, says TDW: {record.do_not_use_reason.strip() or 'it gives no reason'}"
    return ""


def _find(name: str, additions: Additions[ModelRecord]) -> ModelRecord | None:
    core = packaged(Models, CORE)
    return additions.records.get(name) or core.get(name) or packaged(Models, FULL).get(name)


def _offered(additions: Additions[ModelRecord]) -> Categories:
    """All categories of the public models and of the library folders' own."""
    core, added = packaged(Models, CORE), additions.records
    # An id that tdw knows keeps its name, whatever a library folder adds to it.
    names = {**_names_of_ids(added.values()), **_names_of_ids(core.values())}
    return _by_category({**core, **added}.values(), names, additions.bundles)


def _by_category(
    records: Iterable[ModelRecord], names: Mapping[str, str], bundles: Collection[str] = ()
) -> Categories:
    """Usable models by category, sorted by name.

    A marked model is not usable here even with a local bundle: a mirror of tdw's bundles must not change the choice.
    """
    usable = [
        record for record in records if not record.do_not_use and (record.name in bundles or not record.is_private)
    ]
    categories: dict[str, list[ModelRecord]] = {}
    for record in sorted(usable, key=lambda record: record.name):
        categories.setdefault(names[_id_of(record)], []).append(record)
    return {name: tuple(found) for name, found in categories.items()}


def _names_of_ids(records: Iterable[ModelRecord]) -> dict[str, str]:
    """A readable name for each WordNet id; some ids share one."""
    by_id: dict[str, list[ModelRecord]] = {}
    for record in records:
        by_id.setdefault(_id_of(record), []).append(record)
    return {identity: _common_name(found) for identity, found in by_id.items()}


def _id_of(record: ModelRecord) -> str:
    return record.wnid or record.wcategory


def _common_name(records: Iterable[ModelRecord]) -> str:
    """The first synonym that most records give, ties by name."""
    counts = Counter(record.wcategory.split(",")[0].strip() for record in records)
    return min(counts, key=lambda name: (-counts[name], name))


def _read_lists(path: Path) -> dict[str, list[str]]:
    """Read names of models by category; each name stands there once."""
    try:
        pairs: Any = json.loads(read_bytes(path), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"this is not JSON: {error}", place=str(path), mend=_FORM) from None
    if not isinstance(pairs, _Pairs) or not pairs:
        raise ConfigError("this holds no models by category", place=str(path), mend=_FORM)
    lists: dict[str, list[str]] = {}
    homes: dict[str, str] = {}
    for key, names in pairs:
        if not key.strip() or not isinstance(names, list) or isinstance(names, _Pairs) or not names:
            raise ConfigError(f"{key!r} is no category with a list of models", place=str(path), mend=_FORM)
        if key in lists:
            raise ConfigError(f"{key!r} stands there twice", place=str(path), mend="leave one out")
        for name in names:
            if not isinstance(name, str) or not name:
                raise ConfigError(f"{key}: {name!r} is no name of a model", place=str(path), mend=_FORM)
            if name in homes:
                where = f"{homes[name]} and {key}" if homes[name] != key else key
                raise ConfigError(f"{where}: {name!r} stands there twice", place=str(path), mend="leave one out")
            homes[name] = key
        lists[key] = names
    return lists


_FORM = 'write {"category": ["model", "another model"], ...}'


class _Pairs(list[tuple[str, Any]]):
    """A JSON object whose keys may stand twice."""
