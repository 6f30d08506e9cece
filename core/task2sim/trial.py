"""Trials: render a dataset, pre-train on it, score the backbone on every task. This is what worker processes run."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from task2sim.components import ComponentSpec
from task2sim.datasets import RenderedDataset
from task2sim.errors import PluginError
from task2sim.interfaces import Backbone, Executor, Score, TaskEmbedding
from task2sim.parameters import ParameterSetting
from task2sim.progress import progress_of, report_progress
from task2sim.registry import plugin_call
from task2sim.rendering import render_dataset
from task2sim.seeds import spawn_seed
from task2sim.store import Store, hash_key


@functools.cache
def _store(address: str) -> Store:
    """One store for each process and address, so that its database is opened once."""
    return Store(address)


def dataset_data(
    simulator: ComponentSpec, setting: ParameterSetting, images: int, seed: int, layers: Sequence[str]
) -> dict[str, Any]:
    """What determines a dataset; without layers, as before there were any."""
    return {
        "stage": "dataset",
        "simulator": simulator.chosen.key_data(),
        "setting": setting.as_dict(),
        "images": images,
        "seed": seed,
        **({"layers": list(layers)} if layers else {}),
    }


@attrs.frozen
class Recipe:
    """How trials of a study are made: everything but the setting and the seeds.

    Attributes:
        store: The store's folder or URL.
        simulator: Renders.
        trainer: Pre-trains.
        evaluator: Scores.
        images: Images in each dataset.
        layers: What datasets hold beside images and labels: what the trainer reads.
        tasks: Name and fingerprint of each task that is scored.
        seed: The study's seed.
    """

    store: str
    simulator: ComponentSpec
    trainer: ComponentSpec
    evaluator: ComponentSpec
    images: int
    layers: tuple[str, ...]
    tasks: tuple[tuple[str, str], ...]
    seed: int

    def dataset_data(self, setting: ParameterSetting, replicate: str) -> dict[str, Any]:
        """What determines a dataset. All settings share the seed, so they differ in nothing but the setting."""
        seed = spawn_seed(self.seed, "dataset", replicate)
        return dataset_data(self.simulator, setting, self.images, seed, self.layers)

    def backbone_data(self, setting: ParameterSetting | None, replicate: str) -> dict[str, Any]:
        """What determines a backbone; without a setting, an untrained one."""
        return {
            "stage": "backbone",
            "trainer": self.trainer.chosen.key_data(),
            "dataset": None if setting is None else hash_key(self.dataset_data(setting, replicate)),
            "seed": spawn_seed(self.seed, "pretrain", replicate),
        }

    def score_data(self, backbone_key: str, fingerprint: str, split: str, replicate: str) -> dict[str, Any]:
        """What determines a score."""
        return {
            "stage": "score",
            "evaluator": self.evaluator.chosen.key_data(),
            "backbone": backbone_key,
            "task": fingerprint,
            "split": split,
            "seed": spawn_seed(self.seed, "score", replicate),
        }


@attrs.frozen
class TrialJob:
    """One trial to run.

    Attributes:
        recipe: How.
        phase: ``"probe"``, ``"search"`` or ``"comparison"``.
        replicate: Names the seeds: ``"search"``, or ``"comparison 0"`` and so on. Trials of the same replicate share
            their seeds.
        setting: What to render; None for an untrained backbone.
        split: The images to score on: ``"val"`` or ``"test"``; empty to make the backbone only.
    """

    recipe: Recipe
    phase: str
    replicate: str
    setting: ParameterSetting | None
    split: str

    @property
    def label(self) -> str:
        """A short text for progress bars."""
        return "untrained" if self.setting is None else self.setting.label

    @property
    def backbone_data(self) -> dict[str, Any]:
        """What determines its backbone."""
        return self.recipe.backbone_data(self.setting, self.replicate)

    def score_datas(self) -> dict[str, dict[str, Any]]:
        """For each task, what determines its score."""
        if not self.split:
            return {}
        key = hash_key(self.backbone_data)
        return {
            name: self.recipe.score_data(key, fingerprint, self.split, self.replicate)
            for name, fingerprint in self.recipe.tasks
        }


@attrs.frozen
class Trial:
    """A finished trial.

    Attributes:
        phase: ``"probe"``, ``"search"`` or ``"comparison"``.
        replicate: Names the seeds it used.
        setting: What was rendered; None for an untrained backbone.
        split: The images it was scored on, or empty.
        scores: For each task, the score.
        dataset_key: The dataset in the store; empty for an untrained backbone.
        backbone_key: The backbone in the store.
        seconds: How long ``"render"``, ``"pretrain"`` and ``"score"`` took when they were done.
    """

    phase: str
    replicate: str
    setting: ParameterSetting | None
    split: str
    scores: Mapping[str, Score]
    dataset_key: str
    backbone_key: str
    seconds: Mapping[str, float]


def known_trial(job: TrialJob, store: Store) -> Trial | None:
    """The trial, if the store has all of it."""
    datas = job.score_datas()
    scores = store.scores([hash_key(data) for data in datas.values()])
    backbone_key = hash_key(job.backbone_data)
    if len(scores) < len({hash_key(data) for data in datas.values()}):
        return None
    if not store.has("backbones", backbone_key):
        return None
    return _trial(job, store, {name: scores[hash_key(data)] for name, data in datas.items()})


def run_trial(job: TrialJob) -> Trial:
    """Run a trial, taking from the store what is there and leaving there what is not.

    Raises:
        Task2SimError: a component raised, or the store can't be written.
    """
    store = _store(job.recipe.store)
    recipe = job.recipe
    trainer = recipe.trainer.component()
    with progress_of(job.label):
        backbone_key = hash_key(job.backbone_data)
        folder = store.artefact("backbones", job.backbone_data, functools.partial(_make_backbone, job, store))
        scores: dict[str, Score] = {}
        backbone: Backbone | None = None
        for number, (name, data) in enumerate(job.score_datas().items()):
            key = hash_key(data)
            score = store.scores([key]).get(key)
            if score is None:
                if backbone is None:
                    with plugin_call(recipe.trainer.title):
                        backbone = trainer.load(folder)
                task = store.get_task(name, data["task"])
                evaluator = recipe.evaluator.component()
                with _timed(store, key), plugin_call(recipe.evaluator.title):
                    score = evaluator.score(backbone, task, job.split, data["seed"])
                if not (isinstance(score, Score) and score.value == score.value):
                    raise PluginError(f"{recipe.evaluator.title} gave {score!r} as the score of task {name!r}")
                store.put_score(data, score)
            scores[name] = score
            report_progress("score", number + 1, len(recipe.tasks), "tasks")
    assert backbone_key == folder.name
    return _trial(job, store, scores)


def _trial(job: TrialJob, store: Store, scores: Mapping[str, Score]) -> Trial:
    setting = job.setting
    backbone_key = hash_key(job.backbone_data)
    dataset_key = "" if setting is None else hash_key(job.recipe.dataset_data(setting, job.replicate))
    score_keys = [hash_key(data) for data in job.score_datas().values()]
    seconds = {
        "render": store.seconds([dataset_key]),
        "pretrain": store.seconds([backbone_key]),
        "score": store.seconds(score_keys),
    }
    return Trial(job.phase, job.replicate, setting, job.split, scores, dataset_key, backbone_key, seconds)


class _timed:
    """Keeps in the store, under a key, how long the block took."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key = store, key

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.store.put_seconds(self.key, time.perf_counter() - self.start)


def _make_backbone(job: TrialJob, store: Store, folder: Path) -> None:
    _empty(folder)
    recipe = job.recipe
    trainer = recipe.trainer.component()
    seed = job.backbone_data["seed"]
    if job.setting is None:
        with plugin_call(recipe.trainer.title):
            trainer.untrained(seed, folder)
        return
    data = recipe.dataset_data(job.setting, job.replicate)
    dataset = make_dataset(recipe.simulator, job.setting, recipe.images, data, store)
    with _timed(store, hash_key(job.backbone_data)), plugin_call(recipe.trainer.title):
        trainer.pretrain(dataset, seed, folder)


def make_dataset(
    simulator: ComponentSpec,
    setting: ParameterSetting,
    images: int,
    data: Mapping[str, Any],
    store: Store,
    executor: Executor | None = None,
) -> RenderedDataset:
    """The dataset that `data` determines, rendered now, by the executor's workers, if the store does not have it."""

    def render(folder: Path) -> None:
        with _timed(store, hash_key(data)):
            render_dataset(simulator, setting, images, data["seed"], folder, executor, data.get("layers", ()))

    return RenderedDataset.open(store.artefact("datasets", data, render))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@attrs.frozen
class EmbedJob:
    """One task to embed.

    Attributes:
        store: The store's folder or URL.
        embedder: Embeds.
        trainer: Opens the probe.
        probe: The probe's folder, or None if the embedder needs none.
        probe_key: The probe's key, or empty.
        task: Name and fingerprint of the task.
        seed: The study's seed.
    """

    store: str
    embedder: ComponentSpec
    trainer: ComponentSpec
    probe: Path | None
    probe_key: str
    task: tuple[str, str]
    seed: int

    @property
    def data(self) -> dict[str, Any]:
        """What determines the embedding."""
        return {
            "stage": "embedding",
            "embedder": self.embedder.chosen.key_data(),
            "probe": self.probe_key,
            "task": self.task[1],
            "name": self.task[0],
            "seed": spawn_seed(self.seed, "embed"),
        }


def run_embedding(job: EmbedJob) -> TaskEmbedding:
    """Embed a task, or take its embedding from the store."""
    store = _store(job.store)
    make: Callable[[], TaskEmbedding] = functools.partial(_embed, job, store)
    with progress_of(job.task[0]):
        return store.embedding(job.data, make)


def _embed(job: EmbedJob, store: Store) -> TaskEmbedding:
    import numpy as np

    embedder = job.embedder.component()
    probe = None
    if job.probe is not None:
        # On another machine there is no folder of the study, but the store has the probe.
        folder = job.probe if job.probe.is_dir() else store.path("backbones", job.probe_key)
        with plugin_call(job.trainer.title):
            probe = job.trainer.component().load(folder)
    task = store.get_task(*job.task)
    with plugin_call(job.embedder.title):
        embedding: TaskEmbedding = embedder.embed(task, job.data["seed"], probe)
        embedding = attrs.evolve(embedding, vector=np.asarray(embedding.vector))
    if embedding.vector.dtype != np.float32 or embedding.vector.ndim != 1 or not np.isfinite(embedding.vector).all():
        raise PluginError(f"{job.embedder.title} gave task {job.task[0]!r} a vector that is not finite float32 (D,)")
    return embedding
