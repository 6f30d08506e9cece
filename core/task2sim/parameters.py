"""Simulation parameters: what a policy may choose, and one point among the choices.

A `ParameterSpace` is an ordered set of `Toggle`, `Choice` and `Interval` parameters. A `ParameterSetting` is
one immutable point of a space, with a hash that is stable across processes and machines.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

import attrs
import numpy as np

from task2sim.errors import ParameterError

ParameterValue: TypeAlias = int | float | str


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.frozen
class Toggle:
    """A parameter that is either held at its default (0) or varied from image to image (1).

    Attributes:
        name: An identifier such as ``"light_colour"``.
        description: One clause for tables and help texts.
        default: The value of a setting that does not mention this parameter.
    """

    name: str
    description: str = ""
    default: int = 0

    @property
    def values(self) -> tuple[int, ...]:
        """The values a policy can choose from."""
        return (0, 1)

    @property
    def varied(self) -> int:
        """The value that varies the images most."""
        return 1

    def check(self, value: Any) -> int:
        """Return `value` as 0 or 1; true and false are understood.

        Raises:
            ParameterError: it is anything else.
        """
        if isinstance(value, (bool, int, np.integer, np.bool_)) and int(value) in (0, 1):
            return int(value)
        raise ParameterError(f"parameter {self.name!r} can't be {value!r}", mend="use 0 (fixed) or 1 (varied)")

    def sample(self, generator: np.random.Generator) -> int:
        """Draw a value, each equally likely."""
        return int(generator.integers(2))


@attrs.frozen
class Choice:
    """A parameter with a few named values.

    Attributes:
        name: An identifier.
        choices: The values, two or more.
        default: The value of a setting that does not mention this parameter; the first choice if empty.
        varied: The choice that varies the images most; the last choice if empty.
        description: One clause for tables and help texts.
    """

    name: str
    choices: tuple[str, ...] = attrs.field(converter=_names)
    default: str = ""
    varied: str = ""
    description: str = ""

    def __attrs_post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            raise ParameterError(f"parameter {self.name!r} needs two or more different choices")
        object.__setattr__(self, "default", self.default or self.choices[0])
        object.__setattr__(self, "varied", self.varied or self.choices[-1])
        self.check(self.default)
        self.check(self.varied)

    @property
    def values(self) -> tuple[str, ...]:
        """The values a policy can choose from."""
        return self.choices

    def check(self, value: Any) -> str:
        """Return `value` if it is one of the choices.

        Raises:
            ParameterError: it is not.
        """
        if value in self.choices:
            return str(value)
        raise ParameterError(
            f"parameter {self.name!r} can't be {value!r}", mend=f"choose one of {', '.join(self.choices)}"
        )

    def sample(self, generator: np.random.Generator) -> str:
        """Draw a value, each equally likely."""
        return self.choices[int(generator.integers(len(self.choices)))]


@attrs.frozen
class Interval:
    """A parameter with any value between two bounds.

    Attributes:
        name: An identifier.
        low: The least value allowed.
        high: The greatest value allowed; also the value that varies the images most.
        default: The value of a setting that does not mention this parameter; `low` if NaN.
        description: One clause for tables and help texts, with the unit.
    """

    name: str
    low: float
    high: float
    default: float = math.nan
    description: str = ""

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ParameterError(f"parameter {self.name!r} needs finite bounds with low < high")
        if math.isnan(self.default):
            object.__setattr__(self, "default", self.low)
        self.check(self.default)

    @property
    def values(self) -> tuple[float, ...]:
        """Empty, since there are too many to list."""
        return ()

    @property
    def varied(self) -> float:
        """The value that varies the images most."""
        return float(self.high)

    def check(self, value: Any) -> float:
        """Return `value` as a float if it lies within the bounds.

        Raises:
            ParameterError: it is not a number or lies outside.
        """
        is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if is_number and self.low <= float(value) <= self.high:
            return float(value)
        raise ParameterError(
            f"parameter {self.name!r} can't be {value!r}", mend=f"use a number from {self.low:g} to {self.high:g}"
        )

    def sample(self, generator: np.random.Generator) -> float:
        """Draw a value uniformly."""
        return float(generator.uniform(self.low, self.high))


Parameter: TypeAlias = Toggle | Choice | Interval


class ParameterSetting(Mapping[str, ParameterValue]):
    """One immutable point of a parameter space: a read-only mapping from parameter names to values.

    Make one with `ParameterSpace.setting`, which checks the values.
    """

    __slots__ = ("_hash", "_key", "_values")

    def __init__(self, values: Mapping[str, ParameterValue]) -> None:
        self._values = dict(values)
        text = json.dumps(self._values, sort_keys=True, separators=(",", ":"))
        self._key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._hash = hash(self._key)

    def __getitem__(self, name: str) -> ParameterValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterSetting) and self._values == other._values

    def __repr__(self) -> str:
        return f"ParameterSetting({self._values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (ParameterSetting, (self._values,))

    @property
    def key(self) -> str:
        """A hexadecimal hash of names and values, the same in every process and whatever the order."""
        return self._key

    @property
    def label(self) -> str:
        """A short text for people, such as ``"background+materials"``, of the toggles that vary and other values."""
        if len(self._values) > 2 and all(value == 1 for value in self._values.values()):
            return "everything varied"
        parts = [
            name if value == 1 and isinstance(value, int) else f"{name}={value}"
            for name, value in self._values.items()
            if not (isinstance(value, int) and value == 0)
        ]
        return "+".join(parts) or "nothing varied"

    def as_dict(self) -> dict[str, ParameterValue]:
        """A copy as a plain dictionary, in the space's order."""
        return dict(self._values)


class ParameterSpace:
    """An ordered set of parameters, and which of their combinations exist.

    Args:
        parameters: The parameters; their names must differ.
        settings: The only settings there are, one or more: a reward table may hold 16 of 256. None: every
            combination of values is a setting.

    Attributes:
        settings: The only settings there are, without repetition, in the order given; None if all combinations are.

    Raises:
        ParameterError: a name occurs twice, or there is no setting.
    """

    def __init__(self, parameters: Iterable[Parameter], settings: Iterable[Mapping[str, Any]] | None = None) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        if len(set(self.names)) != len(self.names):
            raise ParameterError(f"parameter names must differ: {', '.join(self.names)}")
        self.settings: tuple[ParameterSetting, ...] | None = None
        self._members: frozenset[ParameterSetting] = frozenset()
        if settings is not None:
            self.settings = tuple(dict.fromkeys(self.setting(setting) for setting in settings))
            self._members = frozenset(self.settings)
            if not self.settings:
                raise ParameterError("a parameter space needs one setting or more")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ParameterSpace)
            and self.parameters == other.parameters
            and self.settings == other.settings
        )

    def __hash__(self) -> int:
        return hash((self.parameters, self._members))

    def __repr__(self) -> str:
        return f"ParameterSpace({', '.join(self.names)})"

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[self.names.index(name)]

    @property
    def size(self) -> float:
        """How many settings there are; infinite with an `Interval`, unless they are listed."""
        if self.settings is not None:
            return len(self.settings)
        return math.prod(len(parameter.values) or math.inf for parameter in self.parameters)

    def setting(self, values: Mapping[str, Any] | None = None, **more: Any) -> ParameterSetting:
        """Make a setting; parameters that are not mentioned take their defaults.

        Raises:
            ParameterError: a name is unknown, a value is out of range, or there is no such setting.
        """
        given = {**(values or {}), **more}
        for name in given:
            if name not in self.names:
                near = get_close_matches(str(name), self.names, 1, 0.5)
                mend = f"did you mean {near[0]!r}?" if near else f"the parameters are {', '.join(self.names)}"
                raise ParameterError(f"unknown parameter {name!r}", mend=mend)
        setting = ParameterSetting(
            {
                parameter.name: parameter.check(given.get(parameter.name, parameter.default))
                for parameter in self.parameters
            }
        )
        if not self.has(setting):
            raise ParameterError(
                f"there is no setting '{setting.label}' here", mend=f"only {self.size} combinations are settings"
            )
        return setting

    def has(self, setting: ParameterSetting) -> bool:
        """Whether this combination of the parameters' values is a setting of the space."""
        return self.settings is None or setting in self._members

    def default(self) -> ParameterSetting:
        """The setting with every parameter at its default: nothing varied.

        Raises:
            ParameterError: it does not exist in this space.
        """
        return self.setting()

    def everything_varied(self) -> ParameterSetting:
        """The setting that varies everything: domain randomisation (Tobin et al., IROS 2017).

        Raises:
            ParameterError: it does not exist in this space.
        """
        return self.setting({parameter.name: parameter.varied for parameter in self.parameters})

    def sample(self, generator: np.random.Generator) -> ParameterSetting:
        """Draw a setting: each parameter uniformly and independently, or uniformly one of `settings`."""
        if self.settings is not None:
            return self.settings[int(generator.integers(len(self.settings)))]
        return self.setting({parameter.name: parameter.sample(generator) for parameter in self.parameters})

    def enumerate(self) -> Iterator[ParameterSetting]:
        """Every setting of a finite space: `settings`, or all combinations, the last parameter changing fastest.

        Raises:
            ParameterError: the space has an `Interval`, and its settings are not listed.
        """
        if self.settings is not None:
            yield from self.settings
            return
        for parameter in self.parameters:
            if not parameter.values:
                raise ParameterError(f"settings can't be listed: parameter {parameter.name!r} is an interval")
        for values in itertools.product(*(parameter.values for parameter in self.parameters)):
            yield self.setting(dict(zip(self.names, values, strict=True)))

    def describe(self) -> list[dict[str, Any]]:
        """The parameters as plain data, for keys and files."""
        return [{"type": type(p).__name__.lower(), **attrs.asdict(p)} for p in self.parameters]


def parse_parameter(data: dict[str, Any]) -> Parameter:
    """A parameter from what `ParameterSpace.describe` gave."""
    kinds: dict[str, type[Parameter]] = {"toggle": Toggle, "choice": Choice, "interval": Interval}
    return kinds[data["type"]](**{key: value for key, value in data.items() if key != "type"})


TASK2SIM_PARAMETERS = ParameterSpace(
    (
        Toggle("object_rotation", "the object is turned about all three axes"),
        Toggle("camera_distance", "the object is nearer to or farther from the camera"),
        Toggle("light_intensity", "the sun is dimmer or brighter"),
        Toggle("light_colour", "the sun has another colour"),
        Toggle("light_direction", "the sun shines from another direction"),
        Toggle("focus_blur", "the object is partly out of focus"),
        Toggle("background", "another sky and ground, seen in another direction"),
        Toggle("materials", "the object's parts wear other materials"),
    )
)
"""The eight toggles of Task2Sim (Mishra et al., CVPR 2022, section 3.1): 1 varies per image, 0 is fixed."""

FURTHER_PARAMETERS = ParameterSpace(
    (
        Toggle("object_count", "1 to 12 objects, beside and behind the one that gives the label"),
        Toggle("clutter", "small things lie around the object and partly hide it"),
        Toggle("floor", "the objects stand on a floor of a random material"),
        Toggle("camera_elevation", "the camera looks from level to steeply down"),
        Toggle("field_of_view", "a telephoto to a wide-angle lens, the object as large as before"),
        Toggle("shadow_softness", "the sun is a point to a wide patch of sky"),
        Toggle("fog", "fog of varying density"),
        Toggle("sensor_noise", "the camera's noise, from none to a night shot's"),
        Toggle("motion_blur", "the camera moves while the picture is taken"),
        Toggle("time_of_day", "sun and sky from dusk to noon, as the atmosphere makes them"),
    )
)
"""Parameters beyond Task2Sim's eight that scene simulators may honour; a study asks for them by name."""
