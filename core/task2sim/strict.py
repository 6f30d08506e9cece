"""The base of everything a person types: unknown keys are refused, with the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError, ValidationError

_BOUNDS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})


class StrictModel(pydantic.BaseModel):
    """A frozen model that refuses unknown keys and suggests the nearest one.

    Attributes:
        read_before: Keys that belong here but are read before the model is; one that comes so far is unknown.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    read_before: ClassVar[tuple[str, ...]] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _suggest_known_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        known = [*cls.model_fields, *cls.read_before]
        unknown = [key for key in data if key not in cls.model_fields]
        if unknown:
            below = cls.keys_below(data)
            raise ValidationError.from_exception_data(
                cls.__name__, [_unknown_key(key, known, below.get(str(key), ())) for key in unknown]
            )
        return data

    @classmethod
    def keys_below(cls, data: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """For keys that belong into a part of this mapping their paths: what is meant where one stands here."""
        return {}

    @pydantic.field_validator("*", mode="wrap")
    @classmethod
    def _take_no_truth_for_a_number(cls, value: Any, handler: pydantic.ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, bool):
            taken = handler(value)
            if isinstance(value, list | tuple) and isinstance(taken, list | tuple) and len(value) == len(taken):
                wrong = [n for n, pair in enumerate(zip(value, taken, strict=True)) if _is_truth_taken_for(*pair)]
                if wrong:
                    raise ValidationError.from_exception_data(
                        cls.__name__,
                        [InitErrorDetails(type="int_type", loc=(n,), input=value[n]) for n in wrong],
                    )
            return taken
        # YAML reads `yes` and `on` as truth values, and pydantic would read those as 1.
        try:
            taken = handler(value)
        except ValidationError as error:
            if {entry["type"] for entry in error.errors()} <= _BOUNDS:
                raise PydanticKnownError("int_type") from None
            raise
        if _is_truth_taken_for(value, taken):
            raise PydanticKnownError("int_type" if isinstance(taken, int) else "float_type")
        return taken


def _is_truth_taken_for(value: Any, taken: Any) -> bool:
    return isinstance(value, bool) and isinstance(taken, int | float) and not isinstance(taken, bool)


def _unknown_key(key: Any, known: list[str], below: Sequence[str]) -> InitErrorDetails:
    near = below or get_close_matches(str(key), known, 1, 0.6)
    if near:
        mend = f"did you mean {' or '.join(map(repr, near))}?"
    elif known:
        mend = f"known keys are {', '.join(known)}"
    else:
        mend = "there are no keys here"
    message = PydanticCustomError("unknown_key", "unknown key; {mend}", {"mend": mend})
    return InitErrorDetails(type=message, loc=(str(key),), input=key)
