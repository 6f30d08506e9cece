"""Writes an ablation.sqlite with made-up numbers: everything that a report of an ablation reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value);
CREATE TABLE factors (name TEXT PRIMARY KEY, position INTEGER);
CREATE TABLE levels (factor, label, position, value, PRIMARY KEY (factor, label));
CREATE TABLE rows (row TEXT PRIMARY KEY, position INTEGER, levels, planned INTEGER);
CREATE TABLE cells (cell TEXT PRIMARY KEY, row, seed INTEGER, position INTEGER, state, error, run, versions,
    pretrainings INTEGER, rendered INTEGER, pretrained INTEGER, wall_seconds REAL, work_seconds REAL);
CREATE TABLE tasks (name TEXT PRIMARY KEY, position INTEGER, role);
CREATE TABLE scores (cell, method, task, role, value REAL, deviation REAL, count INTEGER,
    PRIMARY KEY (cell, method, task));
CREATE TABLE search (cell, number INTEGER, task, value REAL, PRIMARY KEY (cell, number, task));
CREATE TABLE settings (setting TEXT PRIMARY KEY, label, choices);
CREATE TABLE trials (cell, phase, setting, replicate, task, split, value REAL);
CREATE TABLE predictions (cell, task, setting);
"""

TOGGLES = ("object_rotation", "camera_distance", "light_intensity", "background", "materials")
EFFECTS = {"object_rotation": 0.03, "background": -0.02, "materials": 0.05}
INTERACTION = ("object_rotation", "materials", 0.04)
GAINS = {"task2sim": 0.06, "surrogate": 0.04, "random": 0.0, "large": 0.02, "small": 0.0}
VERSIONS = {"task2sim": "0.5.0", "simulator studio": "task2sim 0.5.0", "git": "1234abcd"}


def write_ablation(
    folder: Path,
    *,
    vary: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    unseen: int = 6,
    seen: int = 4,
    gains: Mapping[str, float] = GAINS,
    noise: float = 0.015,
    oracle: bool = False,
    untrained: bool = True,
    mode: str = "grid",
    baseline: Any = None,
    failed: Mapping[tuple[str, int], str] | None = None,
    missing: Sequence[tuple[str, int]] = (),
    without_scores: Sequence[tuple[str, int]] = (),
    without_tasks: Mapping[str, Sequence[str]] | None = None,
    versions: Mapping[tuple[str, int], Mapping[str, str]] | None = None,
    unplanned: Sequence[str] = (),
    finished: bool = True,
    settings: int = 24,
    chance: int = 0,
) -> Path:
    """Write ``folder/ablation.sqlite``.

    Args:
        folder: Made if it is missing.
        vary: Factor -> label -> value; by default three policies at two budgets.
        seeds: The studies' seeds.
        unseen: Number of unseen tasks.
        seen: Number of seen tasks.
        gains: What each level adds to a score.
        noise: Standard deviation of a score around what is expected.
        oracle: Whether there is a method that knows the best.
        untrained: Whether there is an untrained backbone among the methods.
        mode: As in the ablation file.
        baseline: As in the ablation file; by default policy random, null for the first row.
        failed: Cells that failed, with the reason.
        missing: Cells that were not run yet.
        without_scores: Cells that are finished but have no scores.
        without_tasks: Tasks that a row lacks.
        versions: Versions in which cells differ from the rest.
        unplanned: Rows that the file no longer has.
        finished: Whether the ablation is.
        settings: How many settings each cell tries.
        chance: Seed of the numbers.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if vary is None:
        policies = {name: name for name in ("task2sim", "surrogate", "random")}
        vary = {"policy": policies, "pretrainings": {"small": 16, "large": 64}}
    if baseline is None:
        baseline = {"policy": "random"}
    generator = np.random.default_rng(chance)
    names = [*(f"unseen_{n}" for n in range(unseen)), *(f"seen_{n}" for n in range(seen))]
    roles = {name: name.split("_")[0] for name in names}
    ease = {name: generator.uniform(0.4, 0.8) for name in names}
    tried = _settings(settings, generator)
    combinations = _combinations(vary, mode)
    path = folder / "ablation.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA)

        def put(table: str, *values: Any) -> None:
            database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)

        facts = {
            "name": "policies",
            "mode": mode,
            "source": "policies.yaml",
            "base": "quickstart",
            "baseline": json.dumps(baseline),
            "metric": "accuracy",
            "task2sim": "0.5.0",
        }
        if finished:
            facts["finished"] = "2026-01-01T00:00:00+00:00"
        for item in facts.items():
            put("facts", *item)
        for position, (factor, levels) in enumerate(vary.items()):
            put("factors", factor, position)
            for number, (label, value) in enumerate(levels.items()):
                put("levels", factor, label, number, json.dumps(value))
        for position, name in enumerate(names):
            put("tasks", name, position, roles[name])
        for key, choices in tried.items():
            label = "varies " + (" and ".join(t.replace("_", " ") for t in TOGGLES if choices[t]) or "nothing")
            put("settings", key, label, json.dumps(choices))
        # Cells that differ only in the policy see the same datasets: one number for all of them.
        shared = {
            (key, seed, task, split): _expected(choices) + ease[task] + generator.normal(0, noise)
            for (key, choices), seed, task, split in product(tried.items(), seeds, names, ("val", "test"))
        }
        number = 0
        for position, levels in enumerate(combinations):
            row = ", ".join(f"{factor}={label}" for factor, label in levels.items()) or "base"
            put("rows", row, position, json.dumps(levels), int(row not in unplanned))
            gain = sum(gains.get(label, 0.0) for label in levels.values())
            for seed in seeds:
                cell = f"cell{number:03d}"
                state, error = "finished", None
                if failed and (row, seed) in failed:
                    state, error = "failed", failed[row, seed]
                elif (row, seed) in missing:
                    state = "planned"
                own = {**VERSIONS, **(versions or {}).get((row, seed), {})}
                put(
                    "cells", cell, row, seed, number, state, error, f"runs/{cell}", json.dumps(own),
                    settings + 6, 8 if position == 0 else 2, 8 if position == 0 else 2, 12.5 + number, 90.0 + number,
                )  # fmt: skip
                number += 1
                values = {name: ease[name] + gain + generator.normal(0, noise) for name in names}
                if state != "finished":
                    continue
                here = [name for name in names if name not in (without_tasks or {}).get(row, ())]
                for task in here:
                    if (row, seed) not in without_scores:
                        put("scores", cell, "", task, roles[task], values[task], noise, 2)
                        put("scores", cell, "best single setting", task, roles[task], values[task] - 0.01, noise, 2)
                    put(
                        "scores",
                        cell,
                        "everything varied",
                        task,
                        roles[task],
                        ease[task] + 0.01 * (seed % 3),
                        noise,
                        2,
                    )
                    put("scores", cell, "random settings", task, roles[task], ease[task] - 0.01, noise, 4)
                    if untrained:
                        put("scores", cell, "untrained backbone", task, roles[task], ease[task] - 0.2, noise, 2)
                    if oracle:
                        put("scores", cell, "oracle", task, roles[task], ease[task] + 0.12, 0.0, 1)
                    put("predictions", cell, task, list(tried)[(number + len(task)) % len(tried)])
                order = generator.permutation(len(tried))
                for step, index in enumerate(order, start=1):
                    key = list(tried)[index]
                    for task in here:
                        value = shared[key, seed, task, "val"]
                        put("trials", cell, "search", key, "search", task, "val", value)
                        if roles[task] == "seen":
                            put("search", cell, step, task, value)
                for key in list(tried)[:4]:
                    for task in here:
                        put(
                            "trials",
                            cell,
                            "comparison",
                            key,
                            "comparison 0",
                            task,
                            "test",
                            shared[key, seed, task, "test"],
                        )
                if untrained:
                    for task in here:
                        put("trials", cell, "comparison", "untrained", "comparison 0", task, "test", ease[task] - 0.2)
    return folder


def _combinations(vary: Mapping[str, Mapping[str, Any]], mode: str) -> list[dict[str, str]]:
    if mode == "one-at-a-time":
        return [{}, *({factor: label} for factor, levels in vary.items() for label in levels)]
    if mode == "zip":
        return [dict(zip(vary, labels, strict=True)) for labels in zip(*vary.values(), strict=True)]
    return [dict(zip(vary, labels, strict=True)) for labels in product(*vary.values())]


def _settings(count: int, generator: np.random.Generator) -> dict[str, dict[str, int]]:
    every = list(product((0, 1), repeat=len(TOGGLES)))
    chosen = generator.choice(len(every), size=min(count, len(every)), replace=False)
    return {f"setting{index:02d}": dict(zip(TOGGLES, every[index], strict=True)) for index in sorted(chosen)}


def _expected(choices: Mapping[str, int]) -> float:
    first, second, strength = INTERACTION
    return sum(EFFECTS.get(name, 0.0) * value for name, value in choices.items()) + strength * (
        choices[first] * choices[second]
    )
