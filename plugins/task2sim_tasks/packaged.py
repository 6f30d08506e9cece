"""Real tasks from packages that are installed anyway: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from task2sim import ComponentConfig, ImageSet, Task, TaskError, TaskSource
from task2sim_tasks.balance import ImageLimit, limit_images
from task2sim_tasks.crops import photographs, surfaces
from task2sim_tasks.images import ImageSize, sample_image, squares
from task2sim_tasks.letters import letters


class PackagedTasks(TaskSource):
    """Five tasks made of what scikit-learn, scikit-image and matplotlib bring along.

    ``digits``, ``faces``, ``surfaces``, ``letters`` and ``photographs``; the functions of those
    names say what each is made of and how its splits are kept apart.
    """

    class Config(ComponentConfig):
        """Keys of the task source ``packaged``."""

        image_size: ImageSize = 64
        images: ImageLimit = None

    def __init__(self, config: Config) -> None:
        self._config = config

    def names(self) -> tuple[str, ...]:
        """Names of the five tasks."""
        return tuple(_TASKS)

    def load(self, name: str) -> Task:
        """Load one task.

        Raises:
            TaskError: there is no such task, or a package lacks the files it is made of.
        """
        if name not in _TASKS:
            raise TaskError(f"there is no packaged task {name!r}", mend=f"choose one of {', '.join(_TASKS)}")
        try:
            task = _TASKS[name](self._config.image_size)
        except (ImportError, OSError, AttributeError) as error:
            raise TaskError(
                f"can't make the packaged task {name!r}: {error}",
                mend="reinstall scikit-image, scikit-learn and matplotlib",
            ) from error
        return limit_images(task, self._config.images)


def digits(size: int) -> Task:
    """Handwritten digits, 8 x 8 pixels, from scikit-learn (Alpaydin & Kaynak, UCI, 1998).

    Each writer's digits stand together, so the splits are consecutive parts: few writers are in two of them.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)
    everything = ImageSet(squares(images, size), data.target)
    train_end, val_end = round(0.6 * len(everything)), round(0.8 * len(everything))
    return Task(
        name="digits",
        classes=tuple("0123456789"),
        train=everything.take(np.arange(train_end)),
        val=everything.take(np.arange(train_end, val_end)),
        test=everything.take(np.arange(val_end, len(everything))),
        domain="handwriting",
    )


def faces(size: int) -> Task:
    """Face or no face, 25 x 25 pixels, from scikit-image (out of Labeled Faces in the Wild, Huang et al., 2007)."""
    images = np.round(sample_image("lfw_subset") * 255).astype(np.uint8)  # the first half are faces
    labels = (np.arange(len(images)) < len(images) // 2).astype(np.int64)
    everything = ImageSet(squares(images, size), labels)
    order = np.arange(len(images))
    part = order % 4
    return Task(
        name="faces",
        classes=("no face", "face"),
        train=everything.take(order[part < 2]),
        val=everything.take(order[part == 2]),
        test=everything.take(order[part == 3]),
        domain="faces",
    )


_TASKS: dict[str, Callable[[int], Task]] = {
    "digits": digits,
    "faces": faces,
    "surfaces": surfaces,
    "letters": letters,
    "photographs": photographs,
}
