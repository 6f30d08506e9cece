"""The visible objects of an image, from its masks."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import RenderedDataset, StoreError

OBJECT_LAYERS = frozenset({"instance-mask", "category-mask"})
"""The layers that tell of objects."""


@attrs.frozen
class VisibleObject:
    """An object that is seen.

    Attributes:
        number: Its number in the instance mask, from 1.
        category: Position of its category among the dataset's.
        pixels: How many pixels show it.
    """

    number: int
    category: int
    pixels: int


def visible_objects(dataset: RenderedDataset, index: int, min_pixels: int = 1) -> list[VisibleObject]:
    """The objects of image `index` that at least `min_pixels` pixels show, in the order of their numbers.

    Raises:
        StoreError: the dataset's masks contradict each other.
    """
    assert dataset.instance_mask is not None
    assert dataset.category_mask is not None
    numbers, kinds = dataset.instance_mask[index].ravel(), dataset.category_mask[index].ravel()
    counts = np.bincount(numbers)
    found = []
    for number in np.flatnonzero(counts >= min_pixels).tolist():
        if number == 0:
            continue
        category = int(kinds[np.argmax(numbers == number)]) - 1
        if not 0 <= category < len(dataset.categories):
            raise StoreError(
                f"object {number} of image {index} has no category in the category mask",
                place=str(dataset.folder),
                mend=f"report it to the author of {dataset.simulator}",
            )
        found.append(VisibleObject(number, category, int(counts[number])))
    return found


def object_masks(instances: NDArray[np.uint16], numbers: list[int]) -> NDArray[np.uint8]:
    """A mask for each of some objects.

    Args:
        instances: Instance mask of shape (height, width).
        numbers: The objects.

    Returns:
        uint8 array of shape (height, width, objects), in Fortran's order, as pycocotools wants it.
    """
    columns = np.ascontiguousarray(instances.T)
    masks = np.empty((len(numbers), *columns.shape), np.uint8)
    for mask, number in zip(masks, numbers, strict=True):
        np.equal(columns, number, out=mask.view(np.bool_))
    return masks.transpose(2, 1, 0)
