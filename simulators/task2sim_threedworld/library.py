"""What scenes are made of: ThreeDWorld's models by category, its materials and its skyboxes.

All of it follows from the `tdw` package, the files that a configuration names, and fixed rules; nothing is random.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import attrs

from task2sim import ConfigError, fingerprint_libraries
from task2sim.scenes import Vector
from task2sim_threedworld.categories import ChosenModels, default_models, listed_models, named_models, nearest
from task2sim_threedworld.records import (
    Additions,
    MaterialRecord,
    Materials,
    ModelRecord,
    Models,
    Skyboxes,
    SkyboxRecord,
    check_library_folder,
    packaged,
    read_additions,
    read_bytes,
)

MATERIALS = "materials_low.json"
SKYBOXES = "hdri_skyboxes.json"

MATERIALS_OF_A_TYPE = 14
LOWEST_SUN = 120.0
"""The paper's own threshold for `sun_elevation`, whatever TDW counts it from."""

FIRST_SKYBOX = "fish_hoek_beach_4k"
"""The paper's surroundings where they don't vary."""


AXES: tuple[Literal["x", "y", "z"], ...] = ("x", "y", "z")


@attrs.frozen
class Model:
    """A model that a build can load.

    Attributes:
        name: TDW's name of it.
        category: The readable name of its category.
        url: Where its asset bundle lies.
        scale_factor: What `add_object` multiplies the asset by so that the model has the size of `low` and `high`.
        low: Lowest corner of its bounds once `add_object` has scaled it: metres, in its own Unity axes (y up, front
            towards +z) from its pivot.
        high: Highest corner of its bounds, likewise.
        slots: Where it wears materials: the name of a sub-object and the index of a material of it, each.
    """

    name: str
    category: str
    url: str
    scale_factor: float
    low: Vector
    high: Vector
    slots: tuple[tuple[str, int], ...]

    @property
    def extent(self) -> float:
        """Its largest side, in metres."""
        return max(high - low for low, high in zip(self.low, self.high, strict=True))

    @property
    def centre(self) -> Vector:
        """The middle of its bounds, in metres from its pivot."""
        x, y, z = ((low + high) / 2.0 for low, high in zip(self.low, self.high, strict=True))
        return (x, y, z)


@attrs.frozen
class Skybox:
    """Surroundings and the sun that belongs to them; the numbers are `add_hdri_skybox`'s."""

    name: str
    url: str
    exposure: float
    initial_skybox_rotation: float
    sun_elevation: float
    sun_initial_angle: float
    sun_intensity: float


class Library:
    """The models, materials and skyboxes that a simulator may use; files are read when they are needed.

    **Categories.** A category is a WordNet id, named by the first synonym in `wcategory` (the one that most of its
    models give, ties by name); ids of the same name make one category. A model is usable unless it is marked
    `do_not_use` or lies on a private bucket. The default is the 100 categories of `models_core.json` with the most
    usable models, in that order, ties by name. Names choose among all of `models_core.json`. Models are sorted by
    name. Those of a library folder's `models.json` join the category of their id; one that is new to tdw must be
    named.

    **A file of categories**, ``{category or WordNet id: [models]}``, is taken in its own order, as the paper's list
    is. Models are looked up in the library folders, then in `models_core.json`, then in `models_full.json`. What is
    unknown, private or marked `do_not_use` is left out, unless a library folder has its asset bundle; so is a
    category of which nothing remains.

    **Materials.** The default is 14 of each of TDW's types (all, where there are fewer), evenly spread over their
    names, 138 together: all 583 would be fabric, stone and metal for the most part. A file names them, one a line.
    They are those of low quality, as in the paper.

    **Skyboxes** are those that pass the paper's filter (public code of Mishra et al., CVPR 2022): not indoors, with
    a `sun_elevation` of at least 120. The first is the one for surroundings that don't vary; the others are sorted.

    Args:
        categories: Names, a file of categories, or None for the default.
        materials: A file of materials, or None for the default.
        libraries: Folders with records in TDW's own form (`models.json`, `materials.json`, `hdri_skyboxes.json`),
            which add to TDW's or replace them, with asset bundles for this platform (`models/<name>`,
            `materials/<name>`, `hdri_skyboxes/<name>`), which take the place of downloads, or with both.

    Raises:
        ConfigError: a library folder is missing or holds nothing. What else is wrong shows when it is read.
    """

    def __init__(
        self, categories: tuple[str, ...] | Path | None, materials: Path | None, libraries: tuple[Path, ...]
    ) -> None:
        for folder in libraries:
            check_library_folder(folder, ("models", "materials", "hdri_skyboxes"))
        self._categories = categories
        self._materials = materials
        self._libraries = libraries

    @cached_property
    def models(self) -> Mapping[str, tuple[Model, ...]]:
        """The models of each category; the order of the categories is that of their labels.

        Raises:
            ConfigError: a category is unknown, fewer than two can be used, or a file can't be used.
            PluginError: tdw is not installed.
        """
        return {
            category: tuple(_model(record, category, self._model_additions.url(record)) for record in records)
            for category, records in self._chosen_models.categories.items()
        }

    @cached_property
    def materials(self) -> Mapping[str, str]:
        """Where the asset bundle of each material lies.

        Raises:
            ConfigError: a material is unknown, or a file can't be used.
            PluginError: tdw is not installed.
        """
        return {record.name: self._material_additions.url(record) for record in self._chosen_materials}

    @cached_property
    def skyboxes(self) -> Mapping[str, Skybox]:
        """The skyboxes by name, first the one for surroundings that don't vary.

        Raises:
            ConfigError: a file can't be used.
            PluginError: tdw is not installed.
        """
        return {
            record.name: Skybox(
                name=record.name,
                url=self._skybox_additions.url(record),
                exposure=record.exposure,
                initial_skybox_rotation=record.initial_skybox_rotation,
                sun_elevation=record.sun_elevation,
                sun_initial_angle=record.sun_initial_angle,
                sun_intensity=record.sun_intensity,
            )
            for record in self._chosen_skyboxes
        }

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """What a person's files hold and can't be used, a line each: categories, then models, then skyboxes."""
        added = self._skybox_additions.records.keys() - packaged(Skyboxes, SKYBOXES).keys()
        dull = sorted(added - self.skyboxes.keys())
        why = f"indoors, or its sun_elevation is below {LOWEST_SUN:g}"
        return (*self._chosen_models.left_out, *(f"skybox {name}: {why}" for name in dull))

    def fingerprint(self) -> str:
        """A hexadecimal hash of everything that was chosen, in order, and of tdw's version.

        Where files lie does not count, nor whether asset bundles of tdw's own are downloaded. The asset bundles of a
        person's own records do.
        """
        chosen: list[Any] = [
            fingerprint_libraries("tdw"),
            [[category, list(map(_told, models))] for category, models in self.models.items()],
            list(self.materials),
            list(map(_told, self.skyboxes.values())),
            [
                self._model_additions.contents(item)
                for some in self._chosen_models.categories.values()
                for item in some
            ],
            [self._material_additions.contents(item) for item in self._chosen_materials],
            [self._skybox_additions.contents(item) for item in self._chosen_skyboxes],
        ]
        return hashlib.sha256(json.dumps(chosen).encode()).hexdigest()

    @cached_property
    def _model_additions(self) -> Additions[ModelRecord]:
        return read_additions(Models, "models", self._libraries)

    @cached_property
    def _material_additions(self) -> Additions[MaterialRecord]:
        return read_additions(Materials, "materials", self._libraries)

    @cached_property
    def _skybox_additions(self) -> Additions[SkyboxRecord]:
        return read_additions(Skyboxes, "hdri_skyboxes", self._libraries)

    @cached_property
    def _chosen_models(self) -> ChosenModels:
        if self._categories is None:
            return default_models(self._model_additions)
        if isinstance(self._categories, Path):
            return listed_models(self._categories, self._model_additions)
        return named_models(self._categories, self._model_additions)

    @cached_property
    def _chosen_materials(self) -> tuple[MaterialRecord, ...]:
        public = packaged(Materials, MATERIALS)
        offered = {**public, **self._material_additions.records}
        if self._materials is None:
            return tuple(offered[name] for name in _balanced(public.values()))
        return tuple(offered[name] for name in _read_names(self._materials, offered))

    @cached_property
    def _chosen_skyboxes(self) -> tuple[SkyboxRecord, ...]:
        offered = {**packaged(Skyboxes, SKYBOXES), **self._skybox_additions.records}
        passing = [
            item for item in offered.values() if item.location != "interior" and item.sun_elevation >= LOWEST_SUN
        ]
        return tuple(sorted(passing, key=lambda item: (item.name != FIRST_SKYBOX, item.name)))


def _model(record: ModelRecord, category: str, url: str) -> Model:
    # Some models lie tilted in their box, and then "left" is not the leftmost point: the extremes are.
    x, y, z = (sorted(point[axis] for point in record.bounds.values()) for axis in AXES)
    slots = ((part["name"], index) for part in record.substructure for index in range(len(part["materials"])))
    return Model(
        name=record.name,
        category=category,
        url=url,
        scale_factor=record.scale_factor,
        low=(x[0], y[0], z[0]),
        high=(x[-1], y[-1], z[-1]),
        # Parts that share a name can't be told apart in a command.
        slots=tuple(dict.fromkeys(slots)),
    )


def _told(item: Model | Skybox) -> list[Any]:
    """All of an item but where its asset bundle lies."""
    return list(attrs.astuple(attrs.evolve(item, url="")))


def _balanced(records: Iterable[MaterialRecord]) -> list[str]:
    """Names of as many materials of each type, evenly spread over those of the type; sorted."""
    by_type: dict[str, list[str]] = {}
    for record in records:
        by_type.setdefault(record.type, []).append(record.name)
    chosen = []
    for names in map(sorted, by_type.values()):
        count = min(MATERIALS_OF_A_TYPE, len(names))
        chosen += [names[(2 * k + 1) * len(names) // (2 * count)] for k in range(count)]
    return sorted(chosen)


def _read_names(path: Path, offered: Mapping[str, MaterialRecord]) -> list[str]:
    """Read names of materials, one a line; empty lines don't count."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError("this is no text", place=str(path), mend="write a material's name on each line") from None
    names = []
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if name and name not in offered:
            raise ConfigError(f"there is no material {name!r}", place=f"{path}:{number}", mend=nearest(name, offered))
        if name:
            names.append(name)
    if not names:
        raise ConfigError("this names no material", place=str(path), mend="write a material's name on each line")
    return names
