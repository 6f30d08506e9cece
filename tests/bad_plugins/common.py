"""How bad components are made: a good one of each kind, and what can be wrong with a component of any kind.

A good component adds `twist` to whatever seeds its results. It is nothing; bad ones make it depend on what it should
not depend on.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import numpy as np
import pydantic
from pydantic import Field
from pydantic_core import core_schema

from task2sim import ComponentConfig
from task2sim.conformance import checks_of
from task2sim.conformance.every_component import CONFIGURATION

Bad = TypeVar("Bad", bound=type)

prepared = False
"""The test sets it in its own process."""

SLOW_SECONDS = 0.03
"""So long the constructor of the slow component takes; the test makes the kit's limit as small."""


class Twist:
    """What good components derive from, beside their interface."""

    class Config(ComponentConfig):
        strength: Annotated[int, Field(ge=1, le=9, description="of nothing")] = 5

    def __init__(self, config: Any) -> None:
        self.config = config

    def twist(self, seed: int = 0) -> int:
        return 0


class Collection(dict[str, type]):
    """The bad components of one kind, by the check that each is to fail."""

    def breaks(self, check: str) -> Callable[[Bad], Bad]:
        def kept(bad: Bad) -> Bad:
            assert check not in self
            self[check] = bad
            return bad

        return kept

    def add_common(self, kind: str, good: type, module: dict[str, Any]) -> None:
        """Add those that can be made of any good component, under names at module level, as pickles want it."""
        names = {check.name for check in checks_of(kind)}
        if kind != "simulators":  # these look at nothing that differs between kinds
            names -= {check.name for check in CONFIGURATION}
        for check, members in COMMON.items():
            if check in names:
                name = "".join(word.capitalize() for word in check.split("-"))
                place = {"__module__": module["__name__"], "__qualname__": name}
                self[check] = module[name] = type(name, (good,), {**members, **place})


# --- results that depend on what they must not depend on ---


def prints(self: Any, seed: int = 0) -> int:
    print("hello")
    return 0


def draws_globally(self: Any, seed: int = 0) -> int:
    np.random.random()  # noqa: NPY002
    return 0


def reads_globally(self: Any, seed: int = 0) -> int:
    return int(np.random.get_state()[1][0])  # noqa: NPY002


def counts_calls(self: Any, seed: int = 0) -> int:
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls


def knows_its_process(self: Any, seed: int = 0) -> int:
    return os.getpid()


def needs_the_main_process(self: Any, seed: int = 0) -> int:
    if not prepared:
        raise RuntimeError("main has not prepared anything here")
    return 0


def likes_small_seeds(self: Any, seed: int = 0) -> int:
    np.random.RandomState(seed)
    return 0


# --- configurations ---


class ForgivingConfig(ComponentConfig):
    model_config = pydantic.ConfigDict(extra="ignore")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _suggest_known_keys(cls, data: Any) -> Any:
        return data


class LossyConfig(ComponentConfig):
    share: Annotated[float, Field(gt=0, description="of something")] = 0.123456

    @pydantic.field_serializer("share")
    def _rounded(self, share: float) -> float:
        return round(share, 2)


class Colour:
    """A type that pydantic can read and write, but not describe."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        as_text = core_schema.plain_serializer_function_ser_schema(str)
        return core_schema.no_info_after_validator_function(cls.read, core_schema.str_schema(), serialization=as_text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        raise TypeError("a colour can't be described")

    @classmethod
    def read(cls, text: str) -> str:
        if text not in ("red", "blue"):
            raise ValueError("no colour")
        return text


class IndescribableConfig(ComponentConfig):
    colour: Annotated[Colour, Field(description="red or blue")] = "red"  # type: ignore[assignment]


class BareConfig(ComponentConfig):
    size: Annotated[int, Field(ge=1)] = 5


class AnythingConfig(ComponentConfig):
    size: Annotated[Any, Field(description="in pixels")] = 5


class TypeConfig(ComponentConfig):
    type: Annotated[int, Field(description="of what?")] = 5


_ticks = itertools.count()


def slow(self: Any, config: Any) -> None:
    self.config = config
    time.sleep(SLOW_SECONDS)


def ticking(self: Any) -> str:
    return f"{time.time()} {next(_ticks)}"


def crash_on_second_close(self: Any) -> None:
    if getattr(self, "is_closed", False):
        raise RuntimeError("closed already")
    self.is_closed = True


def reopens(self: Any, seed: int = 0) -> int:
    self.is_closed = False
    return 0


def lose_the_engine(self: Any) -> None:
    self.engine = None


def needs_the_engine(self: Any, seed: int = 0) -> int:
    return len(getattr(self, "engine", ""))  # type: ignore[arg-type]


COMMON: dict[str, dict[str, Any]] = {
    "config-unknown-keys": {"Config": ForgivingConfig},
    "config-round-trip": {"Config": LossyConfig},
    "config-schema": {"Config": IndescribableConfig},
    "config-described": {"Config": BareConfig},
    "config-refuses-nonsense": {"Config": AnythingConfig},
    "config-no-type": {"Config": TypeConfig},
    "constructor-cheap": {"__init__": slow},
    "fingerprint": {"fingerprint": ticking},
    "same-again": {"twist": counts_calls},
    "spawned-process": {"twist": needs_the_main_process},
    "same-in-other-process": {"twist": knows_its_process},
    "large-seeds": {"twist": likes_small_seeds},
    "closes-twice": {"close": crash_on_second_close, "twist": reopens},
    "works-after-close": {"close": lose_the_engine, "twist": needs_the_engine},
    "global-random-untouched": {"twist": draws_globally},
    "global-random-unread": {"twist": reads_globally},
    "quiet": {"twist": prints},
}
