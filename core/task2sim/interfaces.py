"""The interfaces third parties implement; nothing else is needed to take part in a study.

A component is a class with a nested pydantic ``Config`` and a constructor that takes one. It is registered by an
entry point and chosen by name in a study file::

    class Fog(Simulator):
        class Config(ComponentConfig):
            density: Annotated[float, Field(ge=0, le=1)] = 0.5

        def __init__(self, config: Config) -> None:
            self.density = config.density

Make heavy imports (torch, a renderer) inside methods or in modules that the component imports when it works: a
study is checked by importing the modules of the components it names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import attrs
import numpy as np
import pydantic
from numpy.typing import NDArray

from task2sim.datasets import FrameBatch, RenderedDataset
from task2sim.errors import PluginError
from task2sim.parameters import FURTHER_PARAMETERS, TASK2SIM_PARAMETERS, ParameterSetting, ParameterSpace
from task2sim.progress import Listener
from task2sim.randomisation import randomise
from task2sim.scenes import Scene, SceneAssets
from task2sim.strict import StrictModel
from task2sim.tasks import Images, Task

Item = TypeVar("Item")
Result = TypeVar("Result")


class ComponentConfig(StrictModel):
    """Base of every component's configuration: unknown keys are errors, values can't be changed."""


class Component:
    """Base of every component.

    Attributes:
        Config: The component's configuration; its fields are the keys a study file may give. A field that does
            not change results (a path, a number of processes) is marked with `not_in_key`.
    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, config: Any) -> None:
        """Build the component; cheap, without rendering, training or downloading."""

    def fingerprint(self) -> str:
        """What changes results but is not in the configuration, as a text; empty if there is nothing.

        `fingerprint_folder` makes one of a folder of meshes, say, whose path is then marked with `not_in_key`;
        `fingerprint_libraries` one of the versions of the libraries that compute the result.
        """
        return ""


def not_in_key(**extra: Any) -> Any:
    """A pydantic field that does not change results and so is left out of trial keys.

    Use it in an annotation: ``device: Annotated[str, not_in_key(description="...")] = "auto"``.
    """
    return pydantic.Field(json_schema_extra={"task2sim_not_in_key": True}, **extra)


# --- tasks and their embeddings ---


class TaskSource(Component, ABC):
    """Gives a study its downstream tasks."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the tasks this source has, without loading images.

        Raises:
            TaskError: the source is missing or empty.
        """

    @abstractmethod
    def load(self, name: str) -> Task:
        """Load one task; the same images in the same order every time.

        Raises:
            TaskError: the task can't be read; the error names the file.
        """


@attrs.frozen(eq=False)
class TaskEmbedding:
    """A task as a vector.

    Attributes:
        task: The task's name.
        vector: float32 array of shape (D,), finite.
        method: How it was made, as plain data: enough to tell whether two embeddings may be compared.
    """

    task: str
    vector: NDArray[np.float32] = attrs.field(repr=lambda value: f"<{value.shape}>")
    method: Mapping[str, Any] = attrs.field(factory=dict)


def cosine_distance(first: TaskEmbedding, second: TaskEmbedding) -> float:
    """One minus the cosine of the angle between two embeddings, in [0, 2]; 1 if either is zero."""
    norms = float(np.linalg.norm(first.vector)) * float(np.linalg.norm(second.vector))
    # Rounding may bring the cosine above one.
    return max(0.0, 1.0 - float(np.dot(first.vector, second.vector)) / norms) if norms else 1.0


class TaskEmbedder(Component, ABC):
    """Turns tasks into vectors that a policy can compare."""

    @property
    def needs_probe(self) -> bool:
        """Whether `embed` wants a probe network from the study.

        If so, the study pre-trains a backbone on images with everything varied and hands it over, or the one of the
        run it continues.
        """
        return False

    @abstractmethod
    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task, looking at its training images only.

        Args:
            task: The task.
            seed: Seed of this embedding, in [0, 2**63).
            probe: A backbone, if `needs_probe`.

        Returns:
            The embedding; all of one embedder have the same length.

        Raises:
            TaskError: the task can't be embedded, for example because it is too small.
        """

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """How far apart two tasks are, >= 0; the cosine distance, in [0, 2], unless overridden."""
        return cosine_distance(first, second)


# --- policies ---


@attrs.frozen
class TaskScore:
    """What a policy is told: pre-training with this setting scored so much on this task.

    Attributes:
        task: The task's name.
        setting: The parameter setting of the dataset.
        value: The evaluator's score on the task's validation images; higher is better.
    """

    task: str
    setting: ParameterSetting
    value: float


@attrs.frozen
class Prediction:
    """A policy's answer for one task.

    Attributes:
        setting: The setting it would use.
        probabilities: For each parameter the policy is unsure about, the probability of each of its values, in
            the order of the parameter's `values`; empty if the policy has none to give.
        expected: For each parameter that lists its values, the score the policy expects with each of them, the other
            parameters being as in `setting`, in the unit of the scores it observed; empty if it models no scores.
    """

    setting: ParameterSetting
    probabilities: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    expected: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class PolicyState:
    """What a policy has learned, as arrays and plain data (no pickles).

    Attributes:
        arrays: Arrays by name; saved as safetensors.
        data: Plain data that JSON can hold.
    """

    arrays: Mapping[str, NDArray[Any]] = attrs.field(factory=dict)
    data: Mapping[str, Any] = attrs.field(factory=dict)


class ParameterPolicy(Component, ABC):
    """Chooses parameter settings for tasks, and learns from the scores.

    A study calls `start` once, then `propose` and `observe` in turns until its budget of distinct pre-trainings is
    spent or `propose` returns nothing, then `predict` for each task, seen and unseen. A study that continues an
    earlier one calls `load_state` instead of `start`; its tasks may be more.
    """

    @abstractmethod
    def start(self, space: ParameterSpace, seed: int) -> None:
        """Begin a search.

        Args:
            space: The simulator's parameter space.
            seed: Seed of everything random the policy does, in [0, 2**63).
        """

    @abstractmethod
    def propose(self, tasks: Mapping[str, TaskEmbedding], n: int) -> list[ParameterSetting]:
        """Choose settings to try next.

        Each is scored on every task, since one pre-training serves all of them. A setting that was tried before
        costs nothing: its scores are looked up. After `load_state` the policy first proposes again those it knows but
        lacks scores of, because a task is new.

        Args:
            tasks: Embeddings of the seen tasks by name; the same in every call of a study.
            n: How many settings that were not tried before the study can afford now, >= 1.

        Returns:
            Settings of the space, distinct, with at most `n` among them that this study did not try; empty if the
            search is over.

        Raises:
            TaskError: the embeddings differ in length, or from those of a state that was loaded.
        """

    @abstractmethod
    def observe(self, scores: Sequence[TaskScore]) -> None:
        """Learn from the scores of the settings that were just proposed, on every seen task.

        Raises:
            TaskError: a score is not finite.
        """

    @abstractmethod
    def predict(self, embedding: TaskEmbedding) -> Prediction:
        """Choose the setting for a task, seen or unseen, in one shot and without randomness."""

    @abstractmethod
    def state(self) -> PolicyState:
        """What must be saved so that `load_state` gives a policy that predicts the same and can go on searching."""

    @abstractmethod
    def load_state(self, space: ParameterSpace, state: PolicyState) -> None:
        """Take up a saved state, instead of `start`: to predict, or to go on searching with the same tasks or more.

        Raises:
            ParameterError: the state belongs to another parameter space.
        """


# --- scores that are known already ---


class RewardTable(Component, ABC):
    """Known scores, looked up instead of rendering, pre-training and scoring: a policy study in seconds.

    It plays the part that tabular benchmarks play in architecture search (NAS-Bench-101: Ying et al., ICML 2019).
    """

    @property
    @abstractmethod
    def parameter_space(self) -> ParameterSpace:
        """The parameters, and the settings there are scores of.

        Raises:
            TaskError: the table is missing or is not as it should be; so do the other methods.
        """

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the tasks in the table."""

    @abstractmethod
    def embedding(self, name: str) -> TaskEmbedding:
        """The embedding of a task.

        Raises:
            TaskError: there is none.
        """

    @abstractmethod
    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        """A known score.

        Args:
            name: One of `names`.
            setting: A setting of `parameter_space`.
            split: ``"val"`` (the reward of a search) or ``"test"`` (the final comparison); a table that has one
                score for both gives the same.
        """

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """How far apart two tasks are, >= 0; the cosine distance, in [0, 2], unless overridden."""
        return cosine_distance(first, second)


# --- simulators ---


class Simulator(Component, ABC):
    """Renders labelled datasets.

    The promise: image i of a dataset depends on (setting, seed, i) alone, not on the batch size, the number of
    processes or the order. Use the simulator as a context manager, or call `close`.
    """

    @property
    def parameter_space(self) -> ParameterSpace:
        """The parameters this simulator honours; Task2Sim's eight unless overridden."""
        return TASK2SIM_PARAMETERS

    @property
    @abstractmethod
    def categories(self) -> tuple[str, ...]:
        """Names of the categories it renders, two or more; a category's position is its label."""

    @property
    @abstractmethod
    def image_size(self) -> tuple[int, int]:
        """Height and width of its images, in pixels."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What frames hold, named as in `FrameBatch`.

        Some of ``rgb``, ``instance-mask``, ``category-mask``, ``depth``, ``normals`` and ``scene-graph``.
        """
        return frozenset({"rgb"})

    @abstractmethod
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Render some images of a dataset.

        Args:
            setting: A setting of `parameter_space`.
            indices: Which images, each >= 0, in the order wanted.
            seed: The dataset's seed, in [0, 2**63).

        Yields:
            Batches of any size, together exactly the images asked for, in their order.

        Raises:
            ParameterError: the setting is not one of `parameter_space`.
        """

    def close(self) -> None:
        """Give back processes, memory and devices; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SceneSimulator(Simulator):
    """A simulator that renders scenes: the core draws them, the author turns them into pixels.

    Implement `assets`, `image_size` and `render_scenes`. The same seeds and assets give the same scenes in every
    scene simulator, so renderers can be compared image by image.

    Attributes:
        batch_size: How many scenes `render_scenes` is given at once; the last batch may be smaller.
        scene_features: Names of the parameters this renderer honours, among Task2Sim's eight and
            `FURTHER_PARAMETERS`; the eight unless overridden.
    """

    batch_size: int = 32
    scene_features: frozenset[str] = frozenset(TASK2SIM_PARAMETERS.names)

    @property
    @abstractmethod
    def assets(self) -> SceneAssets:
        """The categories, materials and backgrounds to build scenes from."""

    @abstractmethod
    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Turn scenes into pixels, one image a scene; nothing random may happen here.

        Args:
            scenes: One to `batch_size` scenes.

        Returns:
            The images in the scenes' order. ``indices`` are the scenes' indices and ``labels`` the position of the
            first object's category.
        """

    @property
    def parameter_space(self) -> ParameterSpace:
        """Those of Task2Sim's eight and of `FURTHER_PARAMETERS` that `scene_features` lists."""
        known = (*TASK2SIM_PARAMETERS, *FURTHER_PARAMETERS)
        return ParameterSpace([parameter for parameter in known if parameter.name in self.scene_features])

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories in `assets`."""
        return self.assets.categories

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Draw the scenes of these images and render them, batch by batch."""
        setting = self.parameter_space.setting(setting)
        assets = self.assets
        for start in range(0, len(indices), self.batch_size):
            batch = indices[start : start + self.batch_size]
            yield self.render_scenes([randomise(setting, assets, index, seed) for index in batch])


# --- pre-training and scoring ---


class Backbone(ABC):
    """A network that turns images into features.

    Attributes:
        folder: Where its weights lie, as safetensors with a manifest. Moving the folder keeps it usable.
    """

    folder: Path

    @abstractmethod
    def features(self, images: Images) -> NDArray[np.float32]:
        """Compute features with frozen weights.

        Args:
            images: uint8 array of shape (N, height, width, 3), sRGB, of any size; the backbone resizes.

        Returns:
            float32 array of shape (N, D). A row depends on its image alone.
        """

    def feature_map(self, images: Images) -> NDArray[np.float32]:
        """Compute features of places in the images, with frozen weights; for evaluators of masks and boxes.

        A backbone need not have them: unless overridden, this says so.

        Args:
            images: uint8 array of shape (N, height, width, 3), sRGB, of any size; the backbone resizes.

        Returns:
            float32 array of shape (N, D, h, w), h and w the same for all images: the picture is divided into h x w
            cells of equal size, row by row from the top. An image's map depends on it alone.

        Raises:
            PluginError: it has features of whole images only.
        """
        raise PluginError(
            f"{type(self).__name__} has features of whole images only, not of places in them",
            mend="choose a trainer whose backbones have a feature_map, such as resnet, or another evaluator",
        )


class Trainer(Component, ABC):
    """Pre-trains backbones on rendered datasets."""

    @property
    def layers(self) -> frozenset[str]:
        """What `pretrain` reads of a dataset beside images and labels, named as in `Simulator.capabilities`.

        A dataset is rendered with just these, and a simulator that lacks one of them is refused before anything is
        rendered. None unless overridden.
        """
        return frozenset()

    @abstractmethod
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        """Train a backbone to tell the dataset's categories apart, and save it.

        Args:
            dataset: The images.
            seed: Seed of initial weights, order and augmentation, in [0, 2**63).
            folder: An existing, empty folder to write to.

        Returns:
            The trained backbone, equal to ``load(folder)``. The same arguments give the same weights.
        """

    @abstractmethod
    def untrained(self, seed: int, folder: Path) -> Backbone:
        """Save a backbone with random initial weights: the baseline that every table shows."""

    @abstractmethod
    def load(self, folder: Path) -> Backbone:
        """Open a backbone that this trainer saved.

        Raises:
            StoreError: the folder holds none.
        """


@attrs.frozen
class Score:
    """How good a backbone is for a task.

    Attributes:
        value: The metric's value; higher is better. Accuracies are fractions in [0, 1].
        metric: The metric's name, such as ``"accuracy"``.
        count: How many images it was measured on.
    """

    value: float
    metric: str
    count: int


class Evaluator(Component, ABC):
    """Scores frozen or fine-tuned backbones on tasks."""

    @abstractmethod
    def score(self, backbone: Backbone, task: Task, split: str, seed: int) -> Score:
        """Fit on the task's training images, score on those of `split`.

        Args:
            backbone: The backbone; it is not changed.
            task: The task.
            split: ``"val"`` (the reward of a search) or ``"test"`` (the final comparison).
            seed: Seed of everything random, in [0, 2**63).

        Raises:
            TaskError: the task is too small for this evaluator.
        """

    def check(self, task: Task) -> None:
        """Say now whether `score` can work on this task, before anything is rendered.

        Raises:
            TaskError: it can't.
        """


# --- getting results out, and work done ---


class Exporter(Component, ABC):
    """Writes a rendered dataset in a format that other tools read."""

    @property
    def layers(self) -> frozenset[str]:
        """What `write` reads of a dataset beside images and labels, named as in `Simulator.capabilities`.

        A dataset is rendered with just these, and a simulator that lacks one of them is refused before anything is
        rendered. None unless overridden.
        """
        return frozenset()

    @abstractmethod
    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        """Write the whole dataset.

        Args:
            dataset: The images.
            folder: An existing folder, empty or holding an unfinished export of the same dataset.

        Raises:
            StoreError: the folder can't be written.
        """


class Executor(Component, ABC):
    """Runs independent pieces of work, here or elsewhere."""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many pieces of work run at the same time, >= 1."""

    @abstractmethod
    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], listener: Listener | None = None
    ) -> Iterator[Result]:
        """Apply a function to each item.

        Args:
            function: A function at module level; it may run in another process.
            items: Its arguments, picklable.
            listener: Is told, in this process, of the progress that the function reports.

        Yields:
            Results in the order of the items, each as soon as it and those before it are there.

        Raises:
            Exception: what the function raised, once the results before it have been yielded; other items that
                were running are finished first.
        """

    def close(self) -> None:
        """End the workers; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
