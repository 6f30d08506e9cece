"""What an ablation file may say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import attrs
import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from task2sim.choice import Chosen, Plugin
from task2sim.config import apply_override
from task2sim.errors import ConfigError
from task2sim.extending import extend_study, find_study, read_study
from task2sim.mistakes import describe_errors
from task2sim.strict import StrictModel
from task2sim.study_file import EXTENDS, ComparisonConfig, FolderName, StudyConfig, plugin_keys
from task2sim.yaml_file import Location, is_file, nearest_place, read_yaml

LABEL_LENGTH = 80
"""Longer texts of values are no labels: tables would not hold them."""

NOT_VARIED = {
    "seed": "the seed can't be varied; write seeds: [0, 1, 2]",
    "name": "the name can't be varied, it changes no number",
    "observers": "observers can't be varied, they change no number",
    EXTENDS: "extends can't be varied; write several ablations",
    "tasks": "unequal task sets between cells can't be compared; tasks can't be varied",
}
"""Fields of a study that an ablation must leave alone, and why."""

Problem: TypeAlias = tuple[Location, str]


@attrs.frozen
class Level:
    """One value of a factor.

    Attributes:
        label: How it is called in tables.
        value: The value, as the file has it.
        step: Where it stands among the factor's levels: its position in a list, or its label in a mapping.
    """

    label: str
    value: Any
    step: str | int


@attrs.frozen
class Factor:
    """One field that varies.

    Attributes:
        name: Its dotted path in a study.
        levels: Its values.
    """

    name: str
    levels: tuple[Level, ...]

    @property
    def keys(self) -> list[str]:
        """The steps of its path."""
        return self.name.split(".")

    def level(self, label: str) -> Level:
        """The level of that label."""
        (level,) = [level for level in self.levels if level.label == label]
        return level

    def label_of(self, given: Any) -> str | None:
        """The label that a person means who wrote this label, or this value; None if there is none."""
        labels = [level.label for level in self.levels]
        if isinstance(given, str) and given in labels:
            return given
        same = [level.label for level in self.levels if json.dumps(level.value) == json.dumps(given)]
        if same:
            return same[0]
        return (text if (text := value_text(given)) in labels else None) if given is not None else None


def value_text(value: Any) -> str:
    """A value as a label: ``"16"``, ``"true"``, the type of a plugin, or JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return str(value["type"])
    return json.dumps(value)


def _with_keys(value: Any) -> str:
    """A plugin's type together with its keys."""
    if not isinstance(value, Mapping):
        return value_text(value)
    return " ".join([value_text(value), *(f"{key}={value_text(v)}" for key, v in value.items() if key != "type")])


def _levels(values: Sequence[Any] | Mapping[str, Any]) -> tuple[Level, ...]:
    if isinstance(values, Mapping):
        return tuple(Level(label, value, label) for label, value in values.items())
    texts = [value_text(value) for value in values]
    labels = [_with_keys(v) if texts.count(text) > 1 else text for v, text in zip(values, texts, strict=True)]
    return tuple(Level(label, value, n) for n, (label, value) in enumerate(zip(labels, values, strict=True)))


class AblationConfig(StrictModel):
    """An ablation: studies that differ in what is varied, each with every seed."""

    name: Annotated[FolderName, Field(description="names the folder ablations/NAME")]
    study: Annotated[
        str | dict[str, Any], Field(description="the base: a study file, the name of a shipped one, or its keys")
    ]
    vary: Annotated[
        dict[str, tuple[Any, ...] | dict[str, Any]],
        Field(
            default_factory=dict,
            description="for each field that varies, a list of values, or a mapping of labels to values",
        ),
    ]
    mode: Annotated[
        Literal["grid", "one-at-a-time", "zip"],
        Field(
            description="all combinations; the base and each value alone; or the first values, the second ones, ..."
        ),
    ] = "grid"
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**63)], ...],
        Field(description="seeds of the studies; where there is no such key, that of the base"),
    ] = (0,)
    exclude: Annotated[
        tuple[dict[str, Any], ...], Field(description="combinations to leave out, by label or value")
    ] = ()
    baseline: Annotated[
        dict[str, Any] | None, Field(description="the labels of what others are compared with; null: the first row")
    ] = None
    observers: Annotated[
        tuple[Annotated[Chosen, Plugin("observers")], ...],
        Field(description="told when the ablation ends", validate_default=True),
    ] = ("report",)  # type: ignore[assignment]

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What varies."""
        return tuple(Factor(name, _levels(values)) for name, values in self.vary.items())

    def labels(self, chosen: Mapping[str, Any]) -> dict[str, str]:
        """Labels in place of the values that an entry of `exclude` or `baseline` may name."""
        factors = {factor.name: factor for factor in self.factors}
        return {name: str(factors[name].label_of(given)) for name, given in chosen.items()}

    @model_validator(mode="after")
    def _makes_sense(self) -> AblationConfig:
        problems: list[Problem] = []
        if not self.seeds:
            problems.append((("seeds",), "name one seed or more"))
        problems += [
            (("seeds", number), f"seed {seed} is named twice")
            for number, seed in enumerate(self.seeds)
            if seed in self.seeds[:number]
        ]
        for factor in self.factors:
            problems += _factor_problems(factor, self.vary[factor.name])
        lengths = {factor.name: len(factor.levels) for factor in self.factors}
        if self.mode == "zip" and len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            problems.append((("vary",), f"mode zip takes as many levels of each factor: {counts}"))
        chosen: list[tuple[Location, Mapping[str, Any]]] = [
            (("exclude", number), entry) for number, entry in enumerate(self.exclude)
        ]
        if self.baseline is not None:
            chosen.append((("baseline",), self.baseline))
        for location, entry in chosen:
            if not entry:
                problems.append((location, "name one factor or more"))
            problems += _choice_problems(location, entry, self.factors)
        if problems:
            raise ValidationError.from_exception_data("ablation", [_detail(*problem) for problem in problems])
        return self


def _detail(location: Location, text: str) -> InitErrorDetails:
    message = PydanticCustomError("ablation", "{text}", {"text": text})
    return InitErrorDetails(type=message, loc=location, input=None)


def _factor_problems(factor: Factor, values: Sequence[Any] | Mapping[str, Any]) -> list[Problem]:
    """What is wrong with one field that varies."""
    location: Location = ("vary", factor.name)
    first, *rest = factor.keys
    if not all(factor.keys):
        return [(location, "expected a field's path, such as policy or simulator.resolution")]
    if first in NOT_VARIED:
        return [(location, NOT_VARIED[first])]
    known = [key for key in StudyConfig.model_fields if key not in NOT_VARIED]
    if first not in known:
        return [(location, f"a study has no such field; {_meant(first, known)}")]
    if first == "comparison" and rest and rest[0] not in ComparisonConfig.model_fields:
        return [(location, f"a study has no such field; {_meant(rest[0], list(ComparisonConfig.model_fields))}")]
    if not values:
        return [(location, "name one value or more")]
    if isinstance(values, Mapping) and "type" in values and factor.name in plugin_keys():
        return [(location, "'type' is no label; for a plugin with keys write a list: [{type: NAME, ...}]")]
    problems: list[Problem] = []
    labels: list[str] = []
    for level in factor.levels:
        here = (*location, level.step)
        if level.label in labels:
            problems.append((here, f"level {level.label!r} is there twice; leave one out, or write 'label: value'"))
        elif not level.label.strip() or not level.label.isprintable() or len(level.label) > LABEL_LENGTH:
            # A label that can't be shown is no part of a location either.
            where = here if isinstance(level.step, int) else location
            needs = f"a level needs a label of 1 to {LABEL_LENGTH} characters"
            if level.label.strip() and len(level.label) <= LABEL_LENGTH:
                needs = f"label {level.label!r} holds characters that can't be shown"
            problems.append((where, f"{needs}; write 'label: value'"))
        labels.append(level.label)
    return problems


def _choice_problems(location: Location, entry: Mapping[str, Any], factors: Sequence[Factor]) -> list[Problem]:
    """What is wrong with labels that someone names."""
    by_name = {factor.name: factor for factor in factors}
    problems: list[Problem] = []
    for name, given in entry.items():
        if name not in by_name:
            mend = _meant(name, list(by_name)) if by_name else "write it under vary"
            problems.append(((*location, name), f"this does not vary; {mend}"))
        elif by_name[name].label_of(given) is None:
            labels = [level.label for level in by_name[name].levels]
            problems.append(((*location, name), f"there is no level {value_text(given)!r}; {_meant(given, labels)}"))
    return problems


def _meant(given: Any, known: Sequence[str]) -> str:
    near = get_close_matches(value_text(given), known, 1, 0.5)
    return f"did you mean '{near[0]}'?" if near else f"choose among {', '.join(known)}"


@attrs.frozen
class AblationFile:
    """A validated ablation file, and its base study as it was written.

    Attributes:
        config: What the file says.
        source: The file's name as the user wrote it.
        places: Where each location in it stands.
        base: The base study's data with what it extends; references are not filled in.
        base_places: Where each location in the base stands.
    """

    config: AblationConfig
    source: str
    places: Mapping[Location, str]
    base: dict[str, Any]
    base_places: Mapping[Location, str]

    def place(self, *location: str | int) -> str:
        """Where that key stands, or the nearest key around it."""
        return nearest_place(self.places, location, self.source)

    def places_below(self, *location: str | int) -> dict[Location, str]:
        """Where everything in a value stands; ``()`` is the value itself."""
        size = len(location)
        below = {known[size:]: place for known, place in self.places.items() if known[:size] == location}
        return {**below, (): self.place(*location)}


def load_ablation(path: Path, overrides: Sequence[str] = ()) -> AblationFile:
    """Read and validate an ablation file, and read its base study.

    Args:
        path: The file.
        overrides: Keys of the base study, as for `task2sim.config.load_study`.

    Raises:
        ConfigError: a file can't be read or is wrong; all mistakes are listed.
    """
    if not is_file(path):
        around = [other.name for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        near = [name for name in get_close_matches(path.name, around, 1, 0.6) if name != path.name]
        mend = f"did you mean {str(path.parent / near[0])!r}?" if near else "see docs/ablations.md"
        raise ConfigError("there is no such ablation file", place=str(path), mend=mend)
    data, places = read_yaml(path)
    if not isinstance(data, dict):
        mend = "see docs/ablations.md"
        raise ConfigError("an ablation file is a mapping of keys to values", place=str(path), mend=mend)
    try:
        config = AblationConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(describe_errors(error, data, places, str(path))) from None
    if isinstance(config.study, str):
        try:
            base, base_places = read_study(find_study(config.study, path.parent))
        except ConfigError as error:
            if error.place != config.study or is_file(path.parent / config.study):
                raise
            place = nearest_place(places, ("study",), str(path))
            raise ConfigError(f"there is no study file {config.study!r}", place=place, mend=error.mend) from None
    else:
        inner = {known[1:]: place for known, place in places.items() if known[:1] == ("study",)}
        base, base_places = extend_study(dict(data["study"]), inner, path)
    for override in overrides:
        if override.partition("=")[0].strip() == "seed":
            raise ConfigError("an ablation's seeds are its own", place=f"--set {override}", mend="change 'seeds'")
        apply_override(base, base_places, override)
    if "seeds" not in config.model_fields_set and isinstance(seed := base.get("seed"), int):
        config = config.model_copy(update={"seeds": (seed,)})
    return AblationFile(config, str(path), places, base, base_places)


def write_ablation(file: AblationFile, base: StudyConfig) -> str:
    """The complete ablation as YAML: the base written out, each level with its label.

    Args:
        file: The ablation.
        base: Its base study, complete.
    """
    from task2sim.interpolation import escape, fill_environment

    config = file.config
    levels = {
        factor.name: {level.label: fill_environment(level.value, file.source) for level in factor.levels}
        for factor in config.factors
    }
    data = {
        "name": config.name,
        "study": _with_seed(escape(base.model_dump(mode="json")), file.base),
        "vary": levels,
        "mode": config.mode,
        "seeds": list(config.seeds),
        "exclude": [config.labels(entry) for entry in config.exclude],
        "baseline": None if config.baseline is None else config.labels(config.baseline),
        "observers": [observer.dump() for observer in config.observers],
    }
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return f"# The whole ablation, with every default filled in; task2sim ablate takes this file.\n{text}"


def _with_seed(resolved: Any, written: Any) -> Any:
    """What is resolved, but for the texts that follow a cell's seed."""
    if isinstance(resolved, dict) and isinstance(written, dict):
        return {key: _with_seed(value, written.get(key)) for key, value in resolved.items()}
    if isinstance(resolved, list) and isinstance(written, list) and len(resolved) == len(written):
        return [_with_seed(*pair) for pair in zip(resolved, written, strict=True)]
    if isinstance(written, str) and "${seed}" in written:
        from task2sim.interpolation import fill_environment

        return fill_environment(written, "")
    return resolved
