"""A source of tasks: gratings, to be told apart by their direction."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from task2sim import ComponentConfig, ImageSet, Task, TaskError, TaskSource, spawn_generator, stratified_split

# blank: names of your tasks; here, how many directions a task tells apart.
TASKS = {"two-directions": 2, "six-directions": 6}


class MyPlugin(TaskSource):
    """Makes its tasks up. Yours reads them from somewhere."""

    class Config(ComponentConfig):
        """Keys of a study's ``tasks: {sources: [{type: my-plugin, ...}]}``."""

        # blank: further keys, such as a folder, each with a description.
        images: Annotated[int, Field(ge=10, le=10_000, description="images of each class")] = 60

    def __init__(self, config: Config) -> None:
        self.config = config

    def names(self) -> tuple[str, ...]:
        """Names of the tasks, without loading images."""
        return tuple(TASKS)

    def load(self, name: str) -> Task:
        """Load one task; the same images in the same order every time."""
        if name not in TASKS:
            raise TaskError(f"there is no task {name!r}", mend=f"tasks are {', '.join(TASKS)}")
        # blank: your images, uint8 of shape (N, height, width, 3), and your labels.
        directions = TASKS[name]
        labels = np.arange(directions * self.config.images) % directions
        generator = spawn_generator(0, "my-plugin", name)
        y, x = np.mgrid[:32, :32]
        images = np.empty((len(labels), 32, 32, 3), np.uint8)
        for image, label in zip(images, labels, strict=True):
            angle = np.pi * (label + generator.uniform(-0.3, 0.3)) / directions
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * generator.uniform(0.5, 1.0))
            image[:] = np.rint(127 + 80 * wave + generator.normal(0, 15, wave.shape)).clip(0, 255)[..., None]
        classes = tuple(f"{round(180 * label / directions)} degrees" for label in range(directions))
        # Most to fit on, a fifth each to score on during a search and in the final comparison, of every class.
        everything = ImageSet(images, labels)
        train, val, test = (everything.take(part) for part in stratified_split(labels, (0.6, 0.2), seed=0))
        return Task(name, classes, train, val, test, domain="gratings")
