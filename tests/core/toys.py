"""Small, fast stand-ins for every kind of component. They leave marks in TOY_LOG when they work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from task2sim import (
    TASK2SIM_PARAMETERS,
    Backbone,
    Component,
    ComponentConfig,
    Evaluator,
    FrameBatch,
    ImageSet,
    ParameterPolicy,
    ParameterSetting,
    ParameterSpace,
    PolicyState,
    Prediction,
    RenderedDataset,
    RewardTable,
    Score,
    Simulator,
    Task,
    TaskEmbedder,
    TaskEmbedding,
    TaskError,
    TaskScore,
    TaskSource,
    Trainer,
    not_in_key,
    report_progress,
    spawn_generator,
)
from task2sim.layers import LAYERS
from task2sim.observers import hookimpl


def mark(text: str, log: str = "TOY_LOG") -> None:
    if log := os.environ.get(log, ""):
        with Path(log).open("a") as file:
            file.write(text + "\n")


class Tasks(TaskSource):
    class Config(ComponentConfig):
        tasks: tuple[str, ...] = ("apples", "birds", "cars")
        images: Annotated[Path | None, not_in_key(description="a file whose text changes the images")] = None

    def __init__(self, config: Config) -> None:
        self.config = config

    def names(self) -> tuple[str, ...]:
        return self.config.tasks

    def load(self, name: str) -> Task:
        salt = self.config.images.read_text() if self.config.images else ""
        generator = spawn_generator(0, "toy task", "apples" if name == "copy" else name + salt)

        def part(count: int) -> ImageSet:
            images = generator.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
            return ImageSet(images, np.arange(count) % 2)

        return Task(name=name, classes=("a", "b"), train=part(12), val=part(6), test=part(6), domain="toys")


class Embedder(TaskEmbedder):
    class Config(ComponentConfig):
        probe: bool = True
        length: Annotated[int, Field(ge=1)] = 4

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def needs_probe(self) -> bool:
        return self.config.probe

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        assert (probe is not None) == self.config.probe
        mark(f"embed {task.name}")
        vector = spawn_generator(seed, "toy embedding", task.name).random(self.config.length)
        return TaskEmbedding(task.name, vector.astype(np.float32), {"toy": True})


class Policy(ParameterPolicy):
    """Draws settings; predicts the best seen on average."""

    def start(self, space: ParameterSpace, seed: int) -> None:
        self.space, self.generator = space, spawn_generator(seed, "toy policy")
        self.scores: dict[ParameterSetting, list[float]] = {}

    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        drawn: dict[ParameterSetting, None] = {}
        while len(drawn) < n:
            setting = self.space.sample(self.generator)
            if setting not in self.scores:
                drawn[setting] = None
        return list(drawn)

    def observe(self, scores: Sequence[TaskScore]) -> None:
        for score in scores:
            self.scores.setdefault(score.setting, []).append(score.value)

    def predict(self, embedding: TaskEmbedding) -> Prediction:
        best = max(self.scores, key=lambda setting: float(np.mean(self.scores[setting])))
        return Prediction(best, {p.name: (0.25, 0.75) for p in self.space})

    def state(self) -> PolicyState:
        return PolicyState({"x": np.zeros(1)}, {"scores": [[s.as_dict(), v] for s, v in self.scores.items()]})

    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        self.start(space, 0)
        self.scores = {space.setting(values): scores for values, scores in state.data["scores"]}


class Sim(Simulator):
    class Config(ComponentConfig):
        resolution: Annotated[int, Field(ge=1, le=64)] = 4
        sleep: float = 0.0
        fault: str = ""
        layers: Annotated[bool, Field(description="whether frames hold all layers")] = False

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"rgb", *LAYERS} if self.config.layers else {"rgb"})

    def close(self) -> None:
        mark(f"close {os.getpid()} {id(self)}", "TOY_LIFE_LOG")

    @property
    def categories(self) -> tuple[str, ...]:
        return ("cup", "dog", "hat")

    @property
    def image_size(self) -> tuple[int, int]:
        return (self.config.resolution, self.config.resolution)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        mark(f"render {setting.key} {seed} {indices[0]}")
        mark(f"open {os.getpid()} {id(self)}", "TOY_LIFE_LOG")
        for start in range(0, len(indices), 7):
            time.sleep(self.config.sleep)
            batch = np.array(indices[start : start + 7], dtype=np.int64)
            pixels = [
                spawn_generator(seed, "toy pixels", f"{setting.key} {i}").integers(
                    0, 256, (*self.image_size, 3), dtype=np.uint8
                )
                for i in batch
            ]
            labels = batch % 3
            if self.config.fault == "raise" and start > 0:
                raise RuntimeError("the lens is broken")
            if self.config.fault == "order":
                batch = batch[::-1]
            if self.config.fault == "label":
                labels = labels + 3
            if self.config.fault == "shape":
                pixels = [p[:1] for p in pixels]
            if self.config.fault == "short" and start > 0:
                return
            if self.config.fault == "full":
                raise OSError(28, "No space left on device", "/somewhere")
            yield FrameBatch(batch, np.stack(pixels), labels, **self._layers(batch, labels))

    def _layers(self, batch: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Each image has an object below, with as many columns as the image's number; its scene tells of it."""
        if not self.config.layers:
            return {}
        seen = np.zeros((len(batch), *self.image_size), bool)
        for mask, index in zip(seen, batch, strict=True):
            mask[1:, : index % self.image_size[1] + 1] = True
        layers = {
            "instance_mask": seen.astype(np.uint16),
            "category_mask": (seen * (labels + 1)[:, None, None]).astype(np.uint16),
            "depth": np.where(seen, 1.0 + batch[:, None, None], np.inf).astype(np.float32),
            "normals": np.where(seen[..., None], (0.0, -1.0, 0.0), 0.0).astype(np.float32),
            "scenes": [{"index": int(i), "objects": [{"number": 1, "note": "x" * int(i % 5)}]} for i in batch],
        }
        if self.config.fault == "no depth":
            del layers["depth"]
        if self.config.fault == "wide normals":
            layers["normals"] = layers["normals"].astype(np.float64)
        if self.config.fault == "few scenes":
            del layers["scenes"][1:]
        if self.config.fault == "no plain scenes":
            layers["scenes"] = [{"what": object()} for _ in batch]
        return layers


class ToyBackbone(Backbone):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.value = json.loads((folder / "toy.json").read_text())["value"]

    def features(self, images: np.ndarray) -> np.ndarray:
        return np.full((len(images), 2), self.value, np.float32)


class Train(Trainer):
    class Config(ComponentConfig):
        sleep: float = 0.0
        layers: tuple[str, ...] = ()

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(self.config.layers)

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        assert not list(folder.iterdir())
        mark(f"pretrain {dataset.setting.key} {seed}")
        assert dataset.layers == self.layers
        for epoch in range(3):
            time.sleep(self.config.sleep)
            report_progress("pretrain", epoch + 1, 3, "epochs")
        noise = spawn_generator(seed, "toy", dataset.setting.key).random() * 0.1
        return self._save(folder, float(np.mean(dataset.images)) / 255 + noise)

    def untrained(self, seed: int, folder: Path) -> Backbone:
        return self._save(folder, spawn_generator(seed, "toy", "untrained").random() * 0.1)

    def load(self, folder: Path) -> Backbone:
        return ToyBackbone(folder)

    def _save(self, folder: Path, value: float) -> Backbone:
        (folder / "toy.json").write_text(json.dumps({"value": value}))
        return ToyBackbone(folder)


class Evaluate(Evaluator):
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        mark(f"score {task.name} {split} {backbone.folder.name}")
        part = task.split(split)
        mean = float(np.mean(part.images)) / 255
        return Score(min(1.0, float(backbone.features(part.images)[0, 0]) * mean), "toy accuracy", len(part))

    def check(self, task: Task) -> None:
        if task.name == "tiny":
            raise TaskError("task 'tiny' has 3 training images, fewer than 5 neighbours", mend="add images")


class Table(RewardTable):
    """Scores that grow with the number of parameters that vary, up to a number that differs between tasks."""

    class Config(ComponentConfig):
        size: Annotated[int, Field(ge=1, le=256)] = 256
        fault: str = ""

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def parameter_space(self) -> ParameterSpace:
        if self.config.size == 256:
            return TASK2SIM_PARAMETERS
        return ParameterSpace(TASK2SIM_PARAMETERS, list(TASK2SIM_PARAMETERS.enumerate())[: self.config.size])

    def names(self) -> tuple[str, ...]:
        return ("apples", "birds", "cars")

    def embedding(self, name: str) -> TaskEmbedding:
        if name == self.config.fault:
            raise TaskError(f"task {name!r} has no embedding", place="embeddings.npz")
        return TaskEmbedding(name, np.eye(3, dtype=np.float32)[self.names().index(name)])

    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        mark(f"look up {name} {split}")
        best = 2 * self.names().index(name) + 2
        value = 1 - abs(sum(map(int, setting.values())) - best) / 10
        return Score(float("nan") if self.config.fault == "nan" else value, "toy accuracy", 1)


class Raising(Component):
    """An observer that raises."""

    @hookimpl
    def task2sim_trial_end(self, trial: Any) -> None:
        raise ValueError("the observer fell over")


class Misspelt(Component):
    """An observer with a hook that does not exist."""

    @hookimpl
    def task2sim_trial_ended(self, trial: Any) -> None:
        pass


class Stopper(Component):
    """Stops the search after its first round."""

    @hookimpl
    def task2sim_policy_updated(self, round_number: int) -> None:
        self.enough = round_number >= 1

    @hookimpl
    def task2sim_should_stop(self) -> bool:
        return getattr(self, "enough", False)
