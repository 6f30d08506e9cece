"""Tasks from folders of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import attrs
import numpy as np
import pydantic
from pydantic import Field

from task2sim import (
    ComponentConfig,
    ImageSet,
    Task,
    TaskError,
    TaskSource,
    not_in_key,
    report_progress,
    stratified_split,
)
from task2sim_tasks.images import ImageSize, read_image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_SPLITS = ("train", "val", "test")
_Share = Annotated[float, Field(gt=0, lt=1)]


class FolderTasks(TaskSource):
    """One task: ``train/<class>/<image>`` with ``val`` and ``test`` beside ``train``, or just ``<class>/<image>``.

    What is missing of val and test is taken from the training images, the same ones every time. Hidden files and
    files that are no images are passed over.
    """

    class Config(ComponentConfig):
        """Keys of the task source ``folder``."""

        path: Annotated[Path, not_in_key(description="The folder.")]
        name: Annotated[str | None, Field(min_length=1, description="The task's name; null: the folder's.")] = None
        image_size: ImageSize = 64
        validation: Annotated[_Share, Field(description="Share of the images that val gets if it is missing.")] = 0.2
        test: Annotated[_Share, Field(description="Share of the images that test gets if it is missing.")] = 0.2

        @pydantic.model_validator(mode="after")
        def _leave_some_to_train(self) -> Self:
            if self.validation + self.test >= 1:
                raise ValueError(
                    "validation and test together must leave some images to train: make them less than 1"
                )
            return self

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = config.path.expanduser()

    def names(self) -> tuple[str, ...]:
        """The task's name; the folder is listed to see that it holds a task.

        Raises:
            TaskError: it doesn't.
        """
        _list_task(self._folder)
        return (self._name,)

    def load(self, name: str) -> Task:
        """Read all images.

        Raises:
            TaskError: the folder holds no such task, or an image can't be read.
        """
        if name != self._name:
            raise TaskError(f"there is no task {name!r}", place=str(self._folder), mend=f"its task is {self._name!r}")
        listing = _list_task(self._folder)
        total = sum(len(files) for files in listing.files.values())
        sets: dict[str, ImageSet] = {}
        done = 0
        for split, files in listing.files.items():
            images = np.empty((len(files), self._config.image_size, self._config.image_size, 3), dtype=np.uint8)
            for position, file in enumerate(files):
                images[position] = read_image(file.path, self._config.image_size)
                done += 1
                report_progress("load", done, total, "images")
            sets[split] = ImageSet(images, np.array([file.label for file in files], dtype=np.int64))
        sets = self._complete(sets)
        return Task(name=name, classes=listing.classes, train=sets["train"], val=sets["val"], test=sets["test"])

    @property
    def _name(self) -> str:
        return self._config.name or self._folder.resolve().name

    def _complete(self, sets: dict[str, ImageSet]) -> dict[str, ImageSet]:
        """Take the splits that are missing from the training images."""
        missing = [split for split in ("val", "test") if split not in sets]
        if not missing:
            return sets
        share = {"val": self._config.validation, "test": self._config.test}
        # Train comes first, since the first part is given an image of the smallest classes.
        fractions = (1 - sum(share[split] for split in missing), *(share[split] for split in missing[:-1]))
        parts = stratified_split(sets["train"].labels, fractions, seed=0)
        return sets | {
            split: sets["train"].take(part) for split, part in zip(("train", *missing), parts, strict=True)
        }


@attrs.frozen
class _File:
    path: Path
    label: int


@attrs.frozen
class _Listing:
    classes: tuple[str, ...]
    files: dict[str, list[_File]]


def _list_task(folder: Path) -> _Listing:
    """Find classes and image files, in the order of their names."""
    try:
        return _listing(folder)
    except OSError as error:
        raise TaskError(
            f"can't list the images: {error.strerror}",
            place=str(error.filename or folder),
            mend="see to its permissions",
        ) from error


def _listing(folder: Path) -> _Listing:
    if not folder.is_dir():
        raise TaskError(
            "this is no folder" if folder.exists() else "there is no such folder",
            place=str(folder),
            mend="correct 'path'",
        )
    # A class may be called "train", too: then it holds images, not folders.
    if any(entry.is_dir() for entry in _entries(folder / "train")):
        for entry in _entries(folder):
            if entry.is_dir() and entry.name not in _SPLITS:
                raise TaskError(
                    "this folder is beside 'train', yet neither 'val' nor 'test'",
                    place=str(entry),
                    mend="rename it or move it elsewhere",
                )
        folders = {split: folder / split for split in _SPLITS if (folder / split).is_dir()}
    else:
        folders = {"train": folder}
    classes = tuple(entry.name for entry in _class_folders(folders["train"]))
    if len(classes) < 2:
        raise TaskError(
            f"there is only one class, {classes[0]!r}",
            place=str(folders["train"]),
            mend="a task needs a folder for each of two or more classes",
        )
    return _Listing(classes, {split: _list_split(place, split, classes) for split, place in folders.items()})


def _list_split(folder: Path, split: str, classes: Sequence[str]) -> list[_File]:
    files: list[_File] = []
    for class_folder in _class_folders(folder):
        if class_folder.name not in classes:
            raise TaskError(
                f"class {class_folder.name!r} is in {split} but not in train",
                place=str(class_folder),
                mend="add training images of it or remove this folder",
            )
        paths = [entry for entry in _entries(class_folder) if _is_image(entry)]
        if not paths:
            raise TaskError(
                "this class folder holds no images",
                place=str(class_folder),
                mend=f"remove it, or put images ({', '.join(sorted(SUFFIXES))}) right into it",
            )
        label = classes.index(class_folder.name)
        files += [_File(path, label) for path in paths]
    return files


def _class_folders(folder: Path) -> list[Path]:
    entries = _entries(folder)
    folders = [entry for entry in entries if entry.is_dir()]
    stray = [entry for entry in entries if _is_image(entry)]
    if not folders:
        raise TaskError(
            "this folder holds images but no class folders" if stray else "this folder holds no class folders",
            place=str(folder),
            mend="put the images of each class into a folder named after the class",
        )
    if stray:
        raise TaskError(
            "this image lies beside the class folders",
            place=str(stray[0]),
            mend="move it into the folder of its class",
        )
    return folders


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, hidden files apart, in the order of names; nothing if there is no such folder."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _is_image(path: Path) -> bool:
    """Whether the name is an image's; a link into nowhere counts, so that reading it says so."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()
