"""Predicting the setting for a new task from a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from task2sim.choice import Chosen
from task2sim.errors import StoreError
from task2sim.interfaces import TaskEmbedder, TaskEmbedding, TaskSource
from task2sim.learned import Learned
from task2sim.registry import plugin_call
from task2sim.run import Run
from task2sim.seeds import spawn_seed
from task2sim.store import Store


def predict_setting(folder: Path, photos: Path, store: Store) -> dict[str, Any]:
    """Embed a folder of images as the run did its tasks, and ask the run's policy for a setting.

    Args:
        folder: A finished run; everything needed lies in it.
        photos: Labelled images, ``class/image`` or ``train/class/image``.
        store: Where the run's datasets and scores are kept; nothing is added to it.

    Returns:
        Plain data: ``setting``; ``probabilities`` of each value of each parameter, and ``expected`` scores with them,
        where the policy gives them; ``nearest``, the run's tasks and their distances, nearest first.

    Raises:
        Task2SimError: the run is not finished, or the images can't be used.
    """
    run = Run.open(folder, store)
    learned = Learned.open(folder)
    policy, space = learned.policy(), learned.space
    if run.study.rewards is not None:
        raise StoreError(
            "this run took its tasks' embeddings from a table, so pictures can't be embedded in the same way",
            place=str(folder),
            mend="name a run that rendered",
        )
    source_choice = Chosen.parse("tasks", {"type": "folder", "path": str(photos)})
    source: TaskSource = source_choice.build()
    with plugin_call(source_choice.entry.title):
        (name,) = source.names()
        task = source.load(name)
    study = run.study
    embedder: TaskEmbedder = study.embedder.build()
    probe = learned.load_probe() if embedder.needs_probe else None
    with plugin_call(study.embedder.entry.title):
        embedding = embedder.embed(task, spawn_seed(study.seed, "embed"), probe)
        distances = {
            known: embedder.distance(embedding, TaskEmbedding(known, vector))
            for known, vector in run.embeddings().items()
        }
    with plugin_call(study.policy.entry.title):
        prediction = policy.predict(embedding)
    return {
        "setting": space.setting(prediction.setting).as_dict(),
        "probabilities": {
            parameter: {str(v): float(p) for v, p in zip(space[parameter].values, row, strict=True)}
            for parameter, row in prediction.probabilities.items()
        },
        "expected": {
            parameter: {str(v): float(p) for v, p in zip(space[parameter].values, row, strict=True)}
            for parameter, row in prediction.expected.items()
        },
        "nearest": dict(sorted(distances.items(), key=lambda item: item[1])),
    }
