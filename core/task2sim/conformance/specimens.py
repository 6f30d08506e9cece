"""What components are tried with: small tasks, a dataset, embeddings, a backbone. All of it is made on the spot."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.datasets import MANIFEST, FrameBatch, RenderedDataset
from task2sim.errors import StoreError, TaskError
from task2sim.interfaces import (
    Backbone,
    Evaluator,
    ParameterPolicy,
    PolicyState,
    Prediction,
    Score,
    Simulator,
    TaskEmbedder,
    TaskEmbedding,
    TaskScore,
    TaskSource,
    Trainer,
)
from task2sim.layers import LAYERS, SCENE_INDEX, SCENE_PLACE, piece_path
from task2sim.parameters import Choice, Interval, ParameterSetting, ParameterSpace, Toggle
from task2sim.progress import report_progress
from task2sim.seeds import image_uniforms, spawn_generator
from task2sim.tasks import Images, ImageSet, Labels, Task

CLASSES = ("plain", "stripes", "chequers")

SPACE = ParameterSpace(
    [
        Toggle("fog", "fog"),
        Toggle("glare", "glare"),
        Choice("sky", ("grey", "blue", "red"), description="the sky's colour"),
        Toggle("rain", "rain"),
        Toggle("dusk", "less light"),
    ]
)
"""A space of 48 settings."""

OTHER_SPACE = ParameterSpace([Toggle("fog"), Choice("ground", ("grass", "sand"))])
BOUNDED_SPACE = ParameterSpace([Toggle("fog"), Interval("sun", 0.0, 90.0), Toggle("glare")])
LISTED_SPACE = ParameterSpace(SPACE, [setting for k, setting in enumerate(SPACE.enumerate()) if k % 7 == 0])
"""Seven of the 48 settings: neither the default alone nor everything varied need be among them."""


class Bench:
    """What one component is tried with; made when it is asked for, and always the same.

    Args:
        trainer: Makes the trainer of the backbones that embedders and evaluators are tried with.
    """

    def __init__(self, trainer: Callable[[], Trainer]) -> None:
        self.make_trainer = trainer
        self._folders = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return (Bench, (self.make_trainer,))  # folders stay where they are

    @cached_property
    def _root(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="task2sim-check-")

    def folder(self) -> Path:
        """A new, empty folder; it is gone with the bench."""
        self._folders += 1
        folder = Path(self._root.name) / f"{self._folders:04d}"
        folder.mkdir()
        return folder

    @cached_property
    def dataset(self) -> RenderedDataset:
        """Twenty-four rendered images of 16 x 20 pixels, in three categories."""
        return make_dataset(self.folder(), *pictures(24, (16, 20), seed=1))

    @cached_property
    def backbone(self) -> Backbone:
        """A backbone that was not trained."""
        return self.make_trainer().untrained(3, self.folder())


def pictures(count: int, size: tuple[int, int], seed: int) -> tuple[Images, Labels]:
    """Noise with nothing, stripes or chequers under it, by label; the labels go round."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    noise = generator.normal(0, 20, (count, *size, 3)) + generator.uniform(-30, 30, (count, 1, 1, 3))
    rows, columns = np.indices(size) // 3 % 2
    patterns = np.stack([np.full(size, 0.5), rows, rows ^ columns])
    images: Images = np.clip(70 + 110 * patterns[labels][..., None] + noise, 0, 255).astype(np.uint8)
    return images, labels


def make_task(name: str, size: tuple[int, int] = (24, 24), seed: int = 1) -> Task:
    """A task that is easy to learn: 24 training, 15 validation and 9 test images, in three classes, with masks."""
    parts = [_framed(*pictures(count, size, seed * 10 + k)) for k, count in enumerate((24, 15, 9))]
    return Task(name, CLASSES, parts[0], parts[1], parts[2], domain="textures")


def _framed(images: Images, labels: Labels) -> ImageSet:
    """Each picture hangs in a dark frame, which is background; what it shows is the only object."""
    height, width = images.shape[1:3]
    inside = np.zeros((height, width), np.uint16)
    inside[height // 6 : height - height // 6, width // 6 : width - width // 6] = 1
    framed = np.where(inside[..., None] == 1, images, images // 4)
    instances = np.broadcast_to(inside, images.shape[:3])
    return ImageSet(framed, labels, instances * (labels[:, None, None] + 1).astype(np.uint16), instances)


def specimen_tasks() -> list[Task]:
    """Two tasks of different pictures, of different sizes, with different names."""
    dim = make_task("dim", (24, 20), seed=2)
    parts = [attrs.evolve(part, images=255 - part.images // 2) for part in (dim.train, dim.val, dim.test)]
    return [make_task("textures"), attrs.evolve(dim, train=parts[0], val=parts[1], test=parts[2])]


def make_dataset(folder: Path, images: Images, labels: Labels) -> RenderedDataset:
    """A dataset in a folder, as the store keeps them, with all layers.

    Each image has two objects, one before the other: the first is of the image's category, the second of the next.
    """
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    instances = np.zeros(images.shape[:3], np.uint16)
    for number, mask in enumerate(instances):
        mask[2 + number % 3 : 11, 1 : 10 + number % 3] = 1
        mask[8:14, 7 : 14 + number % 3] = 2
    seen = instances > 0
    first, second = labels[:, None, None] + 1, (labels[:, None, None] + 1) % len(CLASSES) + 1
    categories = np.where(instances == 1, first, np.where(instances == 2, second, 0)).astype(np.uint16)
    np.save(folder / "instance_mask.npy", instances)
    np.save(folder / "category_mask.npy", categories)
    np.save(folder / "depth.npy", np.where(seen, 4.0 - instances, np.inf).astype(np.float32))
    np.save(folder / "normals.npy", np.where(seen[..., None], (0.0, -1.0, 0.0), 0.0).astype(np.float32))
    _save_scenes(folder, instances, categories)
    manifest = {
        "simulator": "specimen 1",
        "categories": list(CLASSES),
        "setting": SPACE.default().as_dict(),
        "seed": 0,
        "images": len(images),
        "image_size": list(images.shape[1:3]),
        "layers": list(LAYERS),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return RenderedDataset.open(folder)


def _save_scenes(folder: Path, instances: NDArray[np.uint16], categories: NDArray[np.uint16]) -> None:
    """A scene graph for each image, with what its masks show."""
    lines = []
    for index, (which, what) in enumerate(zip(instances, categories, strict=True)):
        objects = []
        for number in (1, 2):
            rows, columns = np.nonzero(which == number)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            category = CLASSES[what[rows[0], columns[0]] - 1]
            objects.append({"number": number, "category": category, "visible_box": [int(side) for side in box]})
        lines.append(json.dumps({"index": index, "objects": objects}).encode() + b"\n")
    lengths = np.array([len(line) for line in lines])
    places = np.zeros(len(lines), SCENE_PLACE)
    places["start"], places["length"] = np.cumsum(lengths) - lengths, lengths
    np.save(folder / SCENE_INDEX, places)
    path = piece_path(folder, 0)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(lines))


def specimen_embeddings(count: int = 3, length: int = 6) -> dict[str, TaskEmbedding]:
    """Embeddings of as many tasks, by name; all numbers are positive."""
    names = [f"task {chr(ord('a') + k)}" for k in range(count)]
    return {
        name: TaskEmbedding(name, np.random.default_rng(k).uniform(0.1, 1, length).astype(np.float32))
        for k, name in enumerate(names)
    }


def reward(task: str, setting: ParameterSetting) -> float:
    """A made-up score in [0, 1] of a setting on a task."""
    return float(spawn_generator(0, "specimen score", f"{task} {setting.key}").random())


# --- a whole study in miniature, for observers to watch ---


class SpecimenTasks(TaskSource):
    """Three small tasks."""

    def names(self) -> tuple[str, ...]:
        """Their names."""
        return ("dim", "light", "textures")

    def load(self, name: str) -> Task:
        """Make one."""
        if name not in self.names():
            raise TaskError(f"there is no task {name!r}")
        return make_task(name, seed=1 + self.names().index(name))


class SpecimenEmbedder(TaskEmbedder):
    """Embeds a task as the mean and the deviation of its training images."""

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Six numbers."""
        pixels = task.train.images.reshape(-1, 3) / 255.0
        vector = np.concatenate([pixels.mean(axis=0), pixels.std(axis=0)]).astype(np.float32)
        return TaskEmbedding(task.name, vector, {"embedder": "specimen"})


class SpecimenPolicy(ParameterPolicy):
    """Draws settings; predicts the best one."""

    def start(self, space: ParameterSpace, seed: int) -> None:
        """Forget everything."""
        self.space, self.generator = space, spawn_generator(seed, "specimen policy")
        self.scores: dict[ParameterSetting, float] = {}

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """Settings that were not tried."""
        drawn: dict[ParameterSetting, None] = {}
        for _ in range(100):
            setting = self.space.sample(self.generator)
            if setting not in self.scores:
                drawn[setting] = None
            if len(drawn) == n:
                break
        return list(drawn)

    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Remember the scores."""
        for score in scores:
            if not np.isfinite(score.value):
                raise TaskError(f"the score of task {score.task!r} is {score.value}")
        for score in scores:
            self.scores[score.setting] = self.scores.get(score.setting, 0.0) + score.value

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """The best setting, with made-up probabilities and expectations."""
        best = max(self.scores, key=lambda setting: (self.scores[setting], setting.key))
        listed = [parameter for parameter in self.space if parameter.values]
        even = {p.name: tuple(1 / len(p.values) for _ in p.values) for p in listed}
        return Prediction(best, even, {p.name: tuple(0.5 for _ in p.values) for p in listed})

    def state(self) -> PolicyState:
        """What it remembers."""
        values = np.array(list(self.scores.values()))
        data = {"space": self.space.describe(), "settings": [setting.as_dict() for setting in self.scores]}
        return PolicyState({"scores": values}, data)

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take it up."""
        self.start(space, 0)
        settings = [space.setting(values) for values in state.data["settings"]]
        self.scores = dict(zip(settings, np.asarray(state.arrays["scores"]).tolist(), strict=True))


class SpecimenSimulator(Simulator):
    """Renders noise in the category's colour; each parameter adds to it."""

    size = 8

    @property
    def parameter_space(self) -> ParameterSpace:
        """Five parameters."""
        return SPACE

    @property
    def categories(self) -> tuple[str, ...]:
        """Three."""
        return CLASSES

    @property
    def image_size(self) -> tuple[int, int]:
        """Wider than high, to tell the two apart."""
        return (self.size, self.size + 2)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Render batches of up to sixteen."""
        setting = self.parameter_space.setting(setting)
        height, width = self.image_size
        for start in range(0, len(indices), 16):
            batch = np.array(indices[start : start + 16], dtype=np.int64)
            labels = batch % len(CLASSES)
            rgb = np.stack([image_uniforms(seed, int(i), height * width * 3) for i in batch]) * 60
            rgb = rgb.reshape(len(batch), height, width, 3) + 40 * labels[:, None, None, None]
            for number, parameter in enumerate(self.parameter_space):
                value = setting[parameter.name]
                level = value if isinstance(value, (int, float)) else list(parameter.values).index(value)
                rgb = rgb + 5 * (number + 1) * float(level)
            yield FrameBatch(batch, rgb.astype(np.uint8), labels)


class SpecimenBackbone(Backbone):
    """Random projections of a coarse picture."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.folder = folder
        try:
            self.weights: NDArray[np.float32] = load_file(folder / "specimen.safetensors")["weights"]
        except OSError as error:
            raise StoreError("there is no backbone here", place=str(folder)) from error

    def features(self, images: Images) -> NDArray[np.float32]:
        """float32 array of shape (N, 24)."""
        height, width = images.shape[1:3]
        rows, columns = np.arange(12) * height // 12, np.arange(12) * width // 12
        coarse = images[:, rows][:, :, columns].reshape(len(images), -1) / 255.0 - 0.5
        # Row by row, since products of matrices round otherwise for another number of rows.
        return np.array([np.tanh(row @ self.weights) for row in coarse], dtype=np.float32).reshape(len(images), 24)

    def feature_map(self, images: Images) -> NDArray[np.float32]:
        """float32 array of shape (N, 7, 6, 6): of each cell 2 x 2 pixels' mean colour, edges, and one projection."""
        height, width = images.shape[1:3]
        rows, columns = np.arange(12) * height // 12, np.arange(12) * width // 12
        pixels = (images[:, rows][:, :, columns] / 255.0 - 0.5).reshape(len(images), 6, 2, 6, 2, 3)
        edges = [np.abs(np.diff(pixels, axis=axis)).mean(axis=(2, 4, 5)) for axis in (2, 4)]
        flat = pixels.mean(axis=(2, 4, 5)) + pixels.std(axis=(2, 4, 5)) * self.weights[0, 0]
        maps = [*np.moveaxis(pixels.mean(axis=(2, 4)), -1, 0), *edges, pixels.std(axis=(2, 4, 5)), flat]
        return np.stack(maps, axis=1).astype(np.float32)


class SpecimenTrainer(Trainer):
    """Trains by moving random weights towards the categories' mean images."""

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        """Write the weights."""
        start = self._initial(seed)
        report_progress("pretrain", 1, 2, "epochs")
        pull = spawn_generator(int(np.sum(dataset.images)), "specimen pull").normal(0, 0.1, start.shape)
        report_progress("pretrain", 2, 2, "epochs")
        return self._save((start + pull).astype(np.float32), folder)

    def untrained(self, seed: int, folder: Path) -> Backbone:
        """Write the initial weights."""
        return self._save(self._initial(seed), folder)

    def load(self, folder: Path) -> Backbone:
        """Read the weights."""
        return SpecimenBackbone(folder)

    def _initial(self, seed: int) -> NDArray[np.float32]:
        return spawn_generator(seed, "specimen trainer").normal(0, 0.2, (432, 24)).astype(np.float32)

    def _save(self, weights: NDArray[np.float32], folder: Path) -> Backbone:
        from safetensors.numpy import save_file

        save_file({"weights": weights}, folder / "specimen.safetensors")
        return SpecimenBackbone(folder)


class SpecimenEvaluator(Evaluator):
    """Gives an image the class of the nearest training image."""

    def check(self, task: Task) -> None:
        """Refuse a task that lacks training images of a class."""
        if len(set(task.train.labels.tolist())) < len(task.classes):
            raise TaskError(f"task {task.name!r} lacks training images of a class")

    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Accuracy."""
        self.check(task)
        held_out = task.split(split)
        train, test = backbone.features(task.train.images), backbone.features(held_out.images)
        nearest = np.linalg.norm(test[:, None] - train[None], axis=2).argmin(axis=1)
        return Score(float(np.mean(task.train.labels[nearest] == held_out.labels)), "accuracy", len(held_out))
