"""What a study compares at the end: the settings of each method, and the pre-trainings that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs
import numpy as np

from task2sim.errors import ParameterError
from task2sim.parameters import ParameterSetting, ParameterSpace
from task2sim.results import UNTRAINED
from task2sim.scoring import Request
from task2sim.seeds import spawn_generator
from task2sim.study_file import StudyConfig


@attrs.frozen
class Method:
    """One row of the final table: for each task, the settings it would render (None: an untrained backbone)."""

    name: str
    settings: Mapping[str, tuple[ParameterSetting | None, ...]]


def comparison_methods(
    study: StudyConfig,
    space: ParameterSpace,
    predicted: Mapping[str, ParameterSetting],
    best: ParameterSetting | None,
) -> list[Method]:
    """The rows of the final table.

    Args:
        study: The study.
        space: Its parameter space.
        predicted: For each task, what the policy predicts, as far as it is known; empty leaves that row out.
        best: The best single setting of the search; None leaves that row out.
    """

    def same(*settings: ParameterSetting | None) -> dict[str, tuple[ParameterSetting | None, ...]]:
        return dict.fromkeys(study.tasks.names, settings)

    methods = []
    if predicted:
        methods.append(
            Method(
                f"policy {study.policy.name}",
                {task: (predicted[task],) for task in study.tasks.names if task in predicted},
            )
        )
    if best is not None:
        methods.append(Method("best single setting", same(best)))
    with suppress(ParameterError):  # a table may lack it
        methods.append(Method("everything varied", same(space.everything_varied())))
    generator = spawn_generator(study.seed, "comparison", "random settings")
    if drawn := _distinct(space, study.comparison.random, generator):
        methods.append(Method("random settings", same(*drawn)))
    if study.rewards is None:
        methods.append(Method("untrained backbone", same(None)))
    return methods


def comparison_requests(study: StudyConfig, methods: Sequence[Method]) -> tuple[list[Request], list[dict[str, Any]]]:
    """The pre-trainings that the rows of the final table take.

    Returns:
        The distinct requests, and for each method and task which of them count, as rows of table ``comparison``.
    """
    # A table has one score for each setting.
    seeds = study.comparison.seeds if study.rewards is None else 1
    requests: dict[tuple[ParameterSetting | None, str], Request] = {}
    rows: list[dict[str, Any]] = []
    for position, method in enumerate(methods):
        for task, settings in method.settings.items():
            for number, setting in enumerate(settings):
                # Several settings already show their spread: one pre-training each, with seeds in turn.
                turns = range(seeds) if len(settings) == 1 else [number % seeds]
                for turn in turns:
                    replicate = f"comparison {turn}"
                    request = Request("comparison", replicate, setting, "test", study.tasks.names)
                    requests.setdefault((setting, replicate), request)
                    rows.append(
                        {
                            "method": method.name,
                            "position": position,
                            "task": task,
                            "setting": setting_key(setting),
                            "replicate": replicate,
                        }
                    )
    return list(requests.values()), rows


def best_setting(scores: Mapping[ParameterSetting, Sequence[float]]) -> ParameterSetting | None:
    """The setting with the best mean, the first of equals; None if there is none."""
    return max(scores, key=lambda setting: float(np.mean(scores[setting]))) if scores else None


def setting_key(setting: ParameterSetting | None) -> str:
    """How a setting is named in the results."""
    return UNTRAINED if setting is None else setting.key


def _distinct(space: ParameterSpace, count: int, generator: np.random.Generator) -> tuple[ParameterSetting, ...]:
    """Draw different settings, as many as are wanted or as there are."""
    drawn: dict[ParameterSetting, None] = {}
    while len(drawn) < min(count, space.size):
        drawn[space.sample(generator)] = None
    return tuple(drawn)
