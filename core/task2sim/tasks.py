"""Downstream tasks: the labelled images a backbone is wanted for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.errors import TaskError

Images = NDArray[np.uint8]
"""uint8 array of shape (N, height, width, 3), sRGB, top row first."""

Labels = NDArray[np.int64]
"""int64 array of shape (N,)."""

Masks = NDArray[np.uint16]
"""uint16 array of shape (N, height, width)."""


def _images(value: Any) -> Images:
    images: Images = np.ascontiguousarray(value)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images must be uint8 of shape (N, height, width, 3), got {images.dtype} {images.shape}")
    return images


def _labels(value: Any) -> Labels:
    return np.ascontiguousarray(value, dtype=np.int64)


def _masks(value: Any) -> Masks | None:
    if value is None:
        return None
    masks: Masks = np.ascontiguousarray(value)
    if masks.dtype != np.uint16 or masks.ndim != 3:
        raise ValueError(f"masks must be uint16 of shape (N, height, width), got {masks.dtype} {masks.shape}")
    return masks


def _shape(value: Any) -> str:
    return "None" if value is None else f"<{value.shape}>"


def _class_names(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.frozen(eq=False)
class ImageSet:
    """Labelled images of one size, maybe with masks.

    Attributes:
        images: uint8 array of shape (N, height, width, 3), sRGB.
        labels: int64 array of shape (N,), values in [0, number of classes).
        category_mask: uint16 array of shape (N, height, width): 0 is background, k is class k - 1; or None.
        instance_mask: uint16 array of shape (N, height, width): 0 is background, k the k-th object; or None.
    """

    images: Images = attrs.field(converter=_images, repr=_shape)
    labels: Labels = attrs.field(converter=_labels, repr=_shape)
    category_mask: Masks | None = attrs.field(default=None, converter=_masks, repr=_shape)
    instance_mask: Masks | None = attrs.field(default=None, converter=_masks, repr=_shape)

    def __attrs_post_init__(self) -> None:
        if self.labels.shape != (len(self.images),):
            raise ValueError(f"{len(self.images)} images but labels of shape {self.labels.shape}")
        for name in MASKS:
            masks: Masks | None = getattr(self, name)
            if masks is not None and masks.shape != self.images.shape[:3]:
                raise ValueError(f"images of shape {self.images.shape} but a {name} of shape {masks.shape}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: NDArray[np.int64]) -> ImageSet:
        """The images at these positions, in their order."""
        masks: list[Masks | None] = [getattr(self, name) for name in MASKS]
        return ImageSet(
            self.images[positions],
            self.labels[positions],
            *(None if mask is None else mask[positions] for mask in masks),
        )


MASKS = ("category_mask", "instance_mask")
"""The fields of an `ImageSet` that hold masks, in the order in which its fingerprint takes them up."""


@attrs.frozen(eq=False)
class Task:
    """A task: what a backbone is scored on.

    It asks which class an image shows; a task with masks also where each class, or each object, is seen.

    The training images are what an evaluator fits on. The validation images give the reward that a policy learns
    from; the test images are looked at only in the final comparison.

    Attributes:
        name: A name that is unique in a study.
        classes: Class names; a class's position is its label. Two or more. The background of masks is none of them.
        train: Images to fit on.
        val: Images to score on during a search.
        test: Images to score on in the final comparison.
        domain: A word for the kind of picture, such as ``"characters"``; may be empty.
    """

    name: str
    classes: tuple[str, ...] = attrs.field(converter=_class_names)
    train: ImageSet
    val: ImageSet
    test: ImageSet
    domain: str = ""

    def __attrs_post_init__(self) -> None:
        # A task's name names files in the run folder.
        if not re.fullmatch(r"[^\s.\\/][^\x00-\x1f\\/]{0,99}", self.name):
            raise TaskError(
                f"a task can't be named {self.name!r}",
                mend="use up to 100 characters, no slashes, and begin with a letter or digit",
            )
        if len(self.classes) < 2:
            raise TaskError(
                f"task {self.name!r} has {len(self.classes)} class{'' if len(self.classes) == 1 else 'es'}",
                mend="a task needs at least two",
            )
        for split in ("train", "val", "test"):
            part: ImageSet = getattr(self, split)
            if not len(part):
                raise TaskError(f"task {self.name!r} has no {split} images", mend="add some, or fewer to the others")
            if part.labels.min() < 0 or part.labels.max() >= len(self.classes):
                raise TaskError(
                    f"task {self.name!r} has {split} labels outside 0 to {len(self.classes) - 1}",
                    mend="labels are positions in the list of class names",
                )
            if part.category_mask is not None and part.category_mask.max() > len(self.classes):
                raise TaskError(
                    f"task {self.name!r} has {part.category_mask.max()} in a {split} category mask",
                    mend=f"0 is background, 1 to {len(self.classes)} are the classes",
                )
        for name in MASKS:
            held = [split for split in ("train", "val", "test") if getattr(self.split(split), name) is not None]
            if held and len(held) < 3:
                raise TaskError(
                    f"task {self.name!r} has a {name} for {' and '.join(held)} only",
                    mend="give one for train, val and test, or for none of them",
                )

    def split(self, name: str) -> ImageSet:
        """The ``"train"``, ``"val"`` or ``"test"`` images."""
        part: ImageSet = {"train": self.train, "val": self.val, "test": self.test}[name]
        return part

    @property
    def is_dense(self) -> bool:
        """Whether its images have category masks, so that it asks for a class for every pixel."""
        return self.train.category_mask is not None

    @property
    def fingerprint(self) -> str:
        """A hexadecimal hash of all images, labels, masks and class names, the same for the same task."""
        digest = hashlib.sha256("\x1f".join(self.classes).encode())
        for part in (self.train, self.val, self.test):
            digest.update(repr(part.images.shape).encode())
            digest.update(part.images.data)
            digest.update(part.labels.data)
            for name in MASKS:
                masks: Masks | None = getattr(part, name)
                if masks is not None:  # without masks, as before there were any
                    digest.update(name.encode())
                    digest.update(masks.data)
        return digest.hexdigest()


def stratified_split(labels: Labels, fractions: tuple[float, ...], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Divide positions into parts, each with its share of every class.

    Args:
        labels: int64 array of shape (N,).
        fractions: The share of each part but the last, which takes what remains; each in (0, 1), sum < 1.
        seed: An integer >= 0.

    Returns:
        One sorted int64 array of positions for each part: ``len(fractions) + 1`` arrays. A class with at least as
        many images as there are parts has one in each.
    """
    generator = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        positions = generator.permutation(np.flatnonzero(labels == label))
        start = 0
        for number, fraction in enumerate(fractions):
            remaining_parts = len(fractions) - number
            room = len(positions) - start - remaining_parts
            count = max(min(1, len(positions) - start), min(round(fraction * len(positions)), room))
            parts[number].extend(positions[start : start + count].tolist())
            start += count
        parts[-1].extend(positions[start:].tolist())
    return tuple(np.sort(np.array(part, dtype=np.int64)) for part in parts)
