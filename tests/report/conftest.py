"""A finished run that was never run: rows as the study writes them, pictures drawn with numpy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml

from task2sim import (
    TASK2SIM_PARAMETERS,
    ImageSet,
    ParameterSetting,
    ParameterSpace,
    Task,
    spawn_generator,
)
from task2sim.results import UNTRAINED, Results
from task2sim.run import Run
from task2sim.store import Store, hash_key
from task2sim.study_file import StudyConfig
from task2sim_report.content import FIRST_REPLICATE

CATEGORIES = (
    "chair",
    "table",
    "mug",
    "bottle",
    "lamp",
    "tree",
    "car",
    "sofa",
    "bowl",
    "clock",
    "boat",
    "ladder",
    "key",
)
SIDE = 48
SECONDS = {"render_seconds", "pretrain_seconds", "score_seconds"}

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def fake() -> MakeRun:
    return lambda folder, store, **options: fake_run(folder, Store(store), **options)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "fake-12345678", **options: Any) -> Run:
        return fake_run(tmp_path / "runs" / name, Store(tmp_path / "store"), **options)

    return make


def draw(label: int, generator: np.random.Generator, setting: Mapping[str, Any], side: int) -> np.ndarray:
    """An ellipse with stripes; the toggles change its place, its colours and what is behind it."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    place, angle, colours, noise = (
        generator.random(2),
        generator.random(),
        generator.random((3, 3)),
        generator.random(),
    )
    on = [bool(value) for value in setting.values()] + [False] * 8
    if on[0]:
        x, y = x * np.cos(6 * angle) + y * np.sin(6 * angle), y * np.cos(6 * angle) - x * np.sin(6 * angle)
    scale = 0.6 + place[0] if on[1] else 1.0
    inside = (x * (1 + label % 4)) ** 2 + (y * (1 + label % 3)) ** 2 < (0.35 * scale) ** 2
    stripes = (np.sin(40 * x * (1 + label)) > 0)[..., None]
    body = np.where(stripes, colours[0], colours[1]) if on[7] else np.where(stripes, 0.7, 0.6) * np.ones(3)
    ground = colours[2] * (0.6 + 0.4 * np.sin(20 * y + noise))[..., None] if on[6] else np.full(3, 0.85) * np.ones(3)
    light = (0.5 + noise) if on[2] else 1.0
    image = np.where(inside[..., None], body, ground) * light
    return (255 * image.clip(0, 1)).astype(np.uint8)


def draw_all(labels: np.ndarray, seed: int, setting: Mapping[str, Any], side: int = SIDE) -> np.ndarray:
    return np.stack(
        [draw(int(label), spawn_generator(seed, "fake", str(i)), setting, side) for i, label in enumerate(labels)]
    )


def fake_task(name: str, classes: int, domain: str, side: int) -> Task:
    labels = np.arange(4 * classes) % classes
    images = draw_all(labels, len(name), {str(i): 1 for i in range(8)}, side)
    parts = [ImageSet(images, labels), ImageSet(images[:classes], labels[:classes])]
    names = tuple(f"class {k}" for k in range(classes))
    return Task(name=name, classes=names, train=parts[0], val=parts[1], test=parts[1], domain=domain)


def put_dataset(store: Store, setting: ParameterSetting, replicate: str, images: int = 20) -> str:
    """Draw a dataset into the store; the same replicate has the same objects."""
    data = {"setting": setting.as_dict(), "replicate": replicate}
    if replicate != FIRST_REPLICATE:
        return hash_key(data)  # nobody looks at the others
    labels = np.arange(images, dtype=np.int64) * 5 % len(CATEGORIES)

    def write(folder: Path) -> None:
        np.save(folder / "images.npy", draw_all(labels, len(replicate), setting))
        np.save(folder / "labels.npy", labels)
        manifest = {"simulator": "fake", "categories": CATEGORIES, "setting": setting.as_dict(), "seed": 0}
        (folder / "dataset.json").write_text(json.dumps(manifest))

    store.artefact("datasets", data, write)
    return hash_key(data)


def fake_run(
    folder: Path,
    store: Store,
    seen: Sequence[str] = ("digits", "faces", "surfaces"),
    unseen: Sequence[str] = ("letters",),
    space: ParameterSpace = TASK2SIM_PARAMETERS,
    probabilities: bool = True,
    seeds: int = 2,
    random: int = 3,
    pretrainings: int = 10,
    advantage: float = 0.05,
    finished: bool = True,
    looked_up: bool = False,
    expected: bool = False,
) -> Run:
    """A run folder.

    Args:
        advantage: How much more than all else the policy reached.
        finished: Whether the comparison was made.
        looked_up: Whether scores come from a reward table: nothing is known of tasks, nothing rendered or trained.
        expected: Whether the policy says which scores it expects.
    """
    folder.mkdir(parents=True)
    results = Results(folder / "results.sqlite")
    rows: dict[str, list[dict[str, Any]]] = {}

    def put(table: str, new: list[dict[str, Any]]) -> None:
        rows.setdefault(table, []).extend(new)

    run = Run(folder, cast(StudyConfig, None), results, store)
    every = [*seen, *unseen]
    generator = np.random.default_rng(5)
    study: dict[str, Any] = {"evaluator": {"type": "knn"}, "embedder": {"type": "task2vec"}}
    if looked_up:
        study = {"rewards": {"type": "published-table", "path": "table"}}
    (folder / "config.resolved.yaml").write_text(yaml.safe_dump({"name": "fake", **study}))
    run.write_provenance({"task2sim": "0.1.0", "plugins": {"simulators/studio": "task2sim 0.1.0"}, "git": None})
    facts = {"study": "fake", "source": "fake.yaml", "seed": 0}
    facts |= {"budget": pretrainings, "policy": "task2sim", "task2sim": "0.1.0"}
    if looked_up:
        facts |= {"rewards": "published-table"}
    else:
        facts |= {"images": 40, "categories": len(CATEGORIES), "simulator": "studio"}
    if finished:
        facts["finished"] = "2026-01-02T03:04:05+00:00"
    put("facts", [{"name": name, "value": str(value)} for name, value in facts.items()])
    for position, name in enumerate(every):
        row = {"name": name, "position": position, "role": "seen" if name in seen else "unseen"}
        if not looked_up:
            task = fake_task(name, 10 + position, "characters" if position % 2 else "", (8, 32, 24, 20)[position % 4])
            row |= {"domain": task.domain, "classes": len(task.classes), "fingerprint": store.put_task(task)}
            row |= {"train": len(task.train), "val": len(task.val), "test": len(task.test)}
        put("tasks", [row])
        vector = generator.random(6).astype(np.float32)
        put("embeddings", [{"task": name, "dimension": 6, "vector": vector.tobytes(), "method": {}}])
    points = {name: generator.random(2) for name in every}
    put(
        "distances",
        [
            {"first": a, "second": b, "distance": float(np.hypot(*(points[a] - points[b])))}
            for a in every
            for b in every
        ],
    )
    put(
        "parameters",
        [
            {
                "name": parameter.name,
                "position": position,
                "type": type(parameter).__name__.lower(),
                "choices": list(parameter.values),
                "description": parameter.description,
            }
            for position, parameter in enumerate(space)
        ],
    )

    def put_trial(phase: str, setting: ParameterSetting | None, replicate: str, position: int, gain: float) -> None:
        key = UNTRAINED if setting is None else setting.key
        if setting is not None:
            put("settings", [{"key": key, "label": setting.label, "choices": setting.as_dict()}])
        split = {"probe": "", "search": "val"}.get(phase, "test")
        identity = {"phase": phase, "setting": key, "replicate": replicate}
        row = {
            **identity,
            "round": position // 4,
            "position": position,
            "split": split,
            "backbone": f"{key} {replicate}",
        }
        row |= {"dataset": "" if setting is None or looked_up else put_dataset(store, setting, replicate)}
        row |= {"images": 0 if setting is None else 40, "render_seconds": 2.0, "pretrain_seconds": 9.5}
        row |= {"score_seconds": 0.4}
        if looked_up:
            row |= {"backbone": "", "images": 0} | dict.fromkeys(row.keys() & SECONDS, 0.0)
        put("trials", [row])
        for task in every if split == "test" else seen if split else ():
            value = 0.4 + gain + 0.05 * every.index(task) + float(generator.normal(0, 0.015))
            score = {**identity, "task": task, "split": split, "value": value}
            put("scores", [{**score, "metric": "accuracy", "count": 100}])

    def written() -> Run:
        for table, new in rows.items():
            results.put(table, new)
        return run

    if not looked_up:
        put_trial("probe", space.everything_varied(), "search", 0, 0)
    tried: list[ParameterSetting] = []
    while len(tried) < pretrainings:
        if (setting := space.sample(generator)) not in tried:
            tried.append(setting)
            put_trial("search", setting, "search", len(tried), 0)
    put("stages", [{"name": "search", "position": 1, "seconds": 123.4}])
    if not finished:
        return written()
    predicted = {task: space.sample(np.random.default_rng(number % 2)) for number, task in enumerate(every)}
    for task, setting in predicted.items():
        put("predictions", [{"task": task, "setting": setting.key}])
        for parameter in space if expected else ():
            own = {"task": task, "parameter": parameter.name}
            put(
                "expectations",
                [
                    {**own, "choice": str(choice), "score": 0.4 + generator.normal(0, 0.02)}
                    for choice in parameter.values
                ],
            )
        for parameter in space if probabilities else ():
            row = generator.dirichlet([1] * len(parameter.values)) if parameter.values else []
            own = {"task": task, "parameter": parameter.name}
            put(
                "probabilities",
                [
                    {**own, "choice": str(choice), "probability": float(value)}
                    for choice, value in zip(parameter.values, row, strict=True)
                ],
            )
    best = {task: space.sample(np.random.default_rng(100 + number)) for number, task in enumerate(every)}
    methods: list[tuple[str, Callable[[str], list[ParameterSetting | None]], float]] = [
        ("policy task2sim", lambda task: [predicted[task]], advantage),
        ("best single setting", lambda task: tried[:1], 0.0),
        ("everything varied", lambda task: [space.everything_varied()], -0.01),
        ("random settings", lambda task: [*tried[1 : 1 + random]], -0.02),
        ("oracle", lambda task: [best[task]], 0.2)
        if looked_up
        else ("untrained backbone", lambda task: [None], -0.2),
    ]
    done = set()
    for position, (method, settings, gain) in enumerate(methods):
        for task in every:
            for number, setting in enumerate(own := settings(task)):
                for turn in range(seeds) if len(own) == 1 else [number % seeds]:
                    replicate = f"comparison {turn}"
                    if (setting, replicate) not in done:
                        done.add((setting, replicate))
                        put_trial("comparison", setting, replicate, 20 + len(done), gain)
                    row = {"method": method, "position": position, "task": task, "replicate": replicate}
                    put("comparison", [{**row, "setting": UNTRAINED if setting is None else setting.key}])
    return written()
