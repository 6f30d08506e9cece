"""What a study file may say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from task2sim.choice import Chosen, Plugin
from task2sim.errors import Task2SimError
from task2sim.strict import StrictModel

EXTENDS = "extends"
"""The key that names other study files; it is gone once they are read."""

REPLACED = ("embedder", "simulator", "trainer", "evaluator", "executor", "images")
"""Keys that a reward table takes the place of."""


def _wrong(location: tuple[str | int, ...], text: str, **names: object) -> ValidationError:
    """A mistake at a place below the model that finds it."""
    message = PydanticCustomError("study", text, names)
    return ValidationError.from_exception_data("study", [InitErrorDetails(type=message, loc=location, input=None)])


def _can_name_a_folder(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name):
        raise PydanticCustomError(
            "name",
            "expected at most 81 letters, digits, '-', '_' and '.', beginning with a letter or digit, found '{name}'",
            {"name": name},
        )
    return name


FolderName: TypeAlias = Annotated[str, AfterValidator(_can_name_a_folder)]
"""A name that can be that of a folder, on every system."""


class TasksConfig(StrictModel):
    """Which downstream tasks the study is about."""

    sources: Annotated[
        tuple[Annotated[Chosen, Plugin("tasks")], ...],
        Field(description="where tasks come from, one or more; task names must differ between sources"),
    ] = ()
    seen: Annotated[tuple[str, ...], Field(description="tasks the policy learns on, by their validation images")] = ()
    unseen: Annotated[
        tuple[str, ...], Field(description="tasks the policy never learns on: it predicts their setting in one shot")
    ] = ()

    @model_validator(mode="after")
    def _named_once(self) -> TasksConfig:
        earlier: set[str] = set()
        for key in ("seen", "unseen"):
            for position, name in enumerate(getattr(self, key)):
                if name in earlier:
                    raise _wrong((key, position), "task '{name}' is named twice", name=name)
                earlier.add(name)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The seen tasks, then the unseen ones."""
        return self.seen + self.unseen


class ComparisonConfig(StrictModel):
    """What the policy's predictions are compared with at the end, on the test images."""

    seeds: Annotated[
        int, Field(ge=1, le=100, description="pre-trainings of each setting, with seeds the search never used")
    ] = 2
    random: Annotated[int, Field(ge=0, le=1000, description="how many random settings to compare with")] = 4


class StudyConfig(StrictModel):
    """A study: it learns which images to render for which task, and says how well that works."""

    read_before: ClassVar[tuple[str, ...]] = (EXTENDS,)

    name: Annotated[FolderName, Field(description="names the run folder: letters, digits, '-', '_' and '.'")]
    seed: Annotated[int, Field(ge=0, lt=2**63, description="everything random follows from it")] = 0
    tasks: TasksConfig
    embedder: Annotated[Chosen, Plugin("embedders"), Field(description="turns tasks into vectors")] = Field(
        default="task2vec", validate_default=True
    )
    policy: Annotated[Chosen, Plugin("policies"), Field(description="chooses settings")] = Field(
        default="task2sim", validate_default=True
    )
    simulator: Annotated[Chosen, Plugin("simulators"), Field(description="renders the images")] = Field(
        default="studio", validate_default=True
    )
    trainer: Annotated[Chosen, Plugin("trainers"), Field(description="pre-trains a backbone")] = Field(
        default="resnet", validate_default=True
    )
    evaluator: Annotated[Chosen, Plugin("evaluators"), Field(description="scores a backbone on a task")] = Field(
        default="knn", validate_default=True
    )
    executor: Annotated[Chosen, Plugin("executors"), Field(description="runs trials")] = Field(
        default="local", validate_default=True
    )
    observers: Annotated[
        tuple[Annotated[Chosen, Plugin("observers")], ...],
        Field(description="watch the study", validate_default=True),
    ] = ("report",)  # type: ignore[assignment]
    rewards: Annotated[
        Annotated[Chosen, Plugin("rewards")] | None,
        Field(description="a table of known scores, in place of rendering, pre-training and scoring"),
    ] = None
    continues: Annotated[
        Path | None, Field(description="a run folder: the policy begins with what it learned there")
    ] = None
    images: Annotated[int, Field(ge=2, le=100_000_000, description="images in each rendered dataset")] = 2000
    pretrainings: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="the search's budget: how many distinct settings may be tried; 0 only predicts, if the study"
            " continues another",
        ),
    ] = 16
    settings_per_round: Annotated[
        int,
        Field(ge=1, le=1_000_000, description="new settings the policy proposes before it learns from their scores"),
    ] = 2
    comparison: ComparisonConfig = ComparisonConfig()

    @model_validator(mode="after")
    def _belongs_together(self) -> StudyConfig:
        if self.rewards is None and not self.tasks.sources:
            raise _wrong(("tasks", "sources"), "name one source or more")
        if self.rewards is not None:
            for key in REPLACED:
                if key in self.model_fields_set:
                    raise _wrong((key,), "the reward table takes the place of this key; leave it out")
            if self.tasks.sources:
                raise _wrong(("tasks", "sources"), "the tasks come from the reward table; leave this key out")
            if "seeds" in self.comparison.model_fields_set:
                raise _wrong(("comparison", "seeds"), "a reward table has one score a setting; leave this key out")
        if self.pretrainings == 0 and self.continues is None:
            raise _wrong(("pretrainings",), "0 is for a study that continues another; name its run in 'continues'")
        if self.pretrainings and not self.tasks.seen:
            raise _wrong(("tasks", "seen"), "name one task or more to learn on")
        if not self.tasks.names:
            raise _wrong(("tasks",), "name one task or more")
        return self

    @classmethod
    def keys_below(cls, data: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """The keys of the plugins that are chosen, of `TasksConfig` and of `ComparisonConfig`."""
        parts: dict[str, type[StrictModel]] = {"tasks": TasksConfig, "comparison": ComparisonConfig}
        for key, kind in plugin_keys().items():
            # What is wrong with a plugin is told once the unknown key is gone.
            with suppress(ValidationError, Task2SimError):
                parts[key] = type(Chosen.parse(kind, data.get(key, cls.model_fields[key].default)).config)
        below: dict[str, list[str]] = {}
        for part, model in parts.items():
            for name in model.model_fields:
                below.setdefault(name, []).append(f"{part}.{name}")
        return below

    @model_serializer(mode="wrap")
    def _without_what_is_replaced(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for key in ("rewards", "continues"):
            if data[key] is None:
                del data[key]
        if self.rewards is not None:
            for key in REPLACED:
                del data[key]
            del data["tasks"]["sources"], data["comparison"]["seeds"]
        return data


def plugin_keys() -> dict[str, str]:
    """The keys of a study that hold one plugin, and the kind of each."""
    marks = {
        key: [mark for mark in (*field.metadata, *_marks(field.annotation)) if isinstance(mark, Plugin)]
        for key, field in StudyConfig.model_fields.items()
        if not str(field.annotation).startswith("tuple")
    }
    return {key: found[0].kind for key, found in marks.items() if found}


def _marks(annotation: Any) -> list[Any]:
    """What an annotation such as ``Annotated[X, mark] | None`` is marked with."""
    return [mark for part in get_args(annotation) for mark in getattr(part, "__metadata__", ())]
