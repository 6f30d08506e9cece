"""Tasks from folders of pictures with masks."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from task2sim import ImageSet, Task, TaskError, TaskSource, report_progress
from task2sim_tasks.folder import SUFFIXES, FolderTasks
from task2sim_tasks.images import read_image


class DenseFolderTasks(TaskSource):
    """One task, as exporter ``segmentation-masks`` writes it: pictures, indexed PNG masks and a list of classes.

    The folder holds ``images/<name>.<suffix>``, ``masks/<name>.png`` and ``classes.json``, whose first entry is the
    background. A pixel of a mask is a position in that list; where there is an ``objects.csv``, it is the number of
    an object, whose class that file tells. An image's label is the class of its largest object.
    """

    class Config(FolderTasks.Config):
        """Keys of the task source ``dense-folder``; the last images are those of test, those before them of val."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = config.path.expanduser()

    def names(self) -> tuple[str, ...]:
        """The task's name; the folder is listed to see that it holds a task.

        Raises:
            TaskError: it doesn't.
        """
        self._list()
        return (self._name,)

    def load(self, name: str) -> Task:
        """Read all images and masks.

        Raises:
            TaskError: the folder holds no such task, or an image or mask can't be read or is wrong.
        """
        if name != self._name:
            raise TaskError(f"there is no task {name!r}", place=str(self._folder), mend=f"its task is {self._name!r}")
        listing = self._list()
        size, count = self._config.image_size, len(listing.images)
        images = np.empty((count, size, size, 3), dtype=np.uint8)
        masks = np.empty((count, size, size), dtype=np.uint16)
        categories = masks if listing.objects is None else np.empty_like(masks)
        labels = np.empty(count, dtype=np.int64)
        for number, path in enumerate(listing.images):
            images[number] = read_image(path, size)
            place = self._folder / "masks" / f"{path.stem}.png"
            masks[number], largest = _read_mask(place, path, size)
            if listing.objects is None:
                _check_classes(largest, listing.classes, place)
            else:
                categories[number] = _classes_of(masks[number], listing.objects.get(path.stem, {}), place)
            labels[number] = _largest(masks[number], categories[number], place)
            report_progress("load", number + 1, count, "images")
        validation = max(1, round(self._config.validation * count))
        test = max(1, round(self._config.test * count))
        instances = None if listing.objects is None else masks
        everything = ImageSet(images, labels, categories, instances)
        train, val, last = np.split(np.arange(count), (count - validation - test, count - test))
        return Task(
            name=name,
            classes=listing.classes,
            train=everything.take(train),
            val=everything.take(val),
            test=everything.take(last),
        )

    @property
    def _name(self) -> str:
        return self._config.name or self._folder.resolve().name

    def _list(self) -> _Listing:
        try:
            return _listing(self._folder)
        except OSError as error:
            raise TaskError(
                f"can't list the images: {error.strerror}",
                place=str(error.filename or self._folder),
                mend="see to its permissions",
            ) from error


@attrs.frozen
class _Listing:
    """What a folder holds.

    Attributes:
        classes: Names without the background.
        images: Picture files in the order of their names.
        objects: For each picture's name, the class of each object, counted from 1; None if masks are of classes.
    """

    classes: tuple[str, ...]
    images: list[Path]
    objects: dict[str, dict[int, int]] | None


def _listing(folder: Path) -> _Listing:
    if not folder.is_dir():
        raise TaskError(
            "this is no folder" if folder.exists() else "there is no such folder",
            place=str(folder),
            mend="correct 'path'",
        )
    for part, kind in (("images", "folder"), ("masks", "folder"), ("classes.json", "file")):
        there = (folder / part).is_dir() if kind == "folder" else (folder / part).is_file()
        if not there:
            raise TaskError(
                f"the {kind} {part!r} is missing",
                place=str(folder),
                mend="name a folder that exporter 'segmentation-masks' wrote, or one of the same form",
            )
    if (folder / "manifest.json.unfinished").exists() and not (folder / "manifest.json").exists():
        raise TaskError(
            "the export into this folder was not finished",
            place=str(folder),
            mend="give the same 'task2sim generate' command again",
        )
    images = sorted(
        path
        for path in (folder / "images").iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if len(images) < 3:
        raise TaskError(
            f"there {'is 1 image' if len(images) == 1 else f'are {len(images)} images'}",
            place=str(folder / "images"),
            mend="train, val and test need one each at least",
        )
    for first, second in pairwise(images):
        if first.stem == second.stem:
            raise TaskError(
                f"{first.name} and {second.name} have the same mask", place=str(folder / "images"), mend="rename one"
            )
    for path in images:
        if not (folder / "masks" / f"{path.stem}.png").is_file():
            raise TaskError(
                f"image {path.name} has no mask",
                place=str(folder / "masks" / f"{path.stem}.png"),
                mend="add the mask or remove the image",
            )
    classes = _read_classes(folder / "classes.json")
    objects = folder / "objects.csv"
    return _Listing(classes, images, _read_objects(objects, len(classes), images) if objects.is_file() else None)


def _read_classes(path: Path) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError("this is no JSON", place=str(path), mend='write ["background", "cat", "dog"], say') from error
    if not isinstance(names, list) or len(names) < 3 or not all(isinstance(name, str) and name for name in names):
        raise TaskError(
            "this is no list of a background and two or more classes",
            place=str(path),
            mend='write ["background", "cat", "dog"], say; the background comes first',
        )
    if len(set(names)) < len(names):
        raise TaskError("a class occurs twice", place=str(path), mend="name each once")
    return tuple(names[1:])


def _read_objects(path: Path, classes: int, images: list[Path]) -> dict[str, dict[int, int]]:
    """Class of each object, by the image's name."""
    # The exporter writes an image's number; whoever draws masks by hand may write its name.
    names = {path.stem: path.stem for path in images} | {
        str(int(path.stem)): path.stem for path in images if path.stem.isdecimal()
    }
    found: dict[str, dict[int, int]] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TaskError("this is not UTF-8", place=str(path), mend="save it as UTF-8") from None
    with io.StringIO(text, newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                image, number, kind = names.get(str(row["image"])), int(row["object"]), int(row["class"])
            except (KeyError, TypeError, ValueError) as error:
                raise TaskError(
                    "this row does not say which class an object of an image is of",
                    place=f"{path}:{line}",
                    mend="the columns are image, object and class; the last two are whole numbers",
                ) from error
            if not 1 <= kind <= classes:
                raise TaskError(
                    f"there is no class {kind}", place=f"{path}:{line}", mend=f"1 to {classes} are in classes.json"
                )
            if image is not None and found.setdefault(image, {}).setdefault(number, kind) != kind:  # it may be gone
                raise TaskError(
                    f"object {number} of image {image} is of class {kind} here, and of {found[image][number]} above",
                    place=f"{path}:{line}",
                    mend="remove one of the rows",
                )
    return found


def _read_mask(path: Path, picture: Path, size: int) -> tuple[NDArray[np.uint16], int]:
    """Read a mask as a square, cut out as `read_image` cuts the picture; no numbers are mixed.

    Returns:
        The square, and the largest number of the whole mask: small things are lost in a small square.
    """
    try:
        with Image.open(picture) as image:
            due = ImageOps.exif_transpose(image).size
        with Image.open(path) as mask:
            kind, held = mask.mode, mask.size
            if kind in ("P", "L", "I;16") and held == due:
                square = ImageOps.fit(mask, (size, size), Image.Resampling.NEAREST)
                return np.asarray(square).astype(np.uint16), int(np.asarray(mask).max())
    except Exception as error:  # Pillow's decoders raise whatever they stumble over in a damaged file
        raise TaskError("can't read the mask", place=str(path), mend="replace this file") from error
    if held != due:
        raise TaskError(
            f"the mask has {held[0]} x {held[1]} pixels, its image {due[0]} x {due[1]}",
            place=str(path),
            mend="make both of one size",
        )
    raise TaskError(
        f"the mask's pixels are colours (mode {kind}), not numbers",
        place=str(path),
        mend="save it as an indexed or grey PNG, whose pixels are positions in classes.json",
    )


def _check_classes(largest: int, classes: tuple[str, ...], path: Path) -> None:
    if largest > len(classes):
        raise TaskError(
            f"a pixel is {largest}, and classes.json ends at {len(classes)}",
            place=str(path),
            mend="add the class, or correct the mask; 0 is background",
        )


def _classes_of(instances: NDArray[np.uint16], objects: dict[int, int], path: Path) -> NDArray[np.uint16]:
    """The category mask, from that of instances."""
    numbers = np.unique(instances)
    lacking = [number for number in numbers.tolist() if number and number not in objects]
    if lacking:
        raise TaskError(
            f"objects.csv does not tell of which class object {lacking[0]} is",
            place=str(path),
            mend="add a row for it, or correct the mask; 0 is background",
        )
    kinds = np.zeros(int(numbers.max()) + 1, np.uint16)
    for number in numbers.tolist():
        kinds[number] = objects.get(number, 0)
    return kinds[instances]


def _largest(objects: NDArray[np.uint16], categories: NDArray[np.uint16], path: Path) -> int:
    """Label of the object, or the class, that most pixels show."""
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    if not sizes.any():
        raise TaskError(
            "the mask shows nothing but background",
            place=str(path),
            mend="remove it and its image: an image's label is the class of its largest object",
        )
    return int(categories.ravel()[np.argmax(objects.ravel() == np.argmax(sizes))]) - 1
