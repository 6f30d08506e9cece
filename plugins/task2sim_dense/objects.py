"""The objects that masks show: their boxes and classes."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(eq=False)
class Objects:
    """The visible objects of an image.

    Attributes:
        boxes: float32 array of shape (K, 4): left, top, right and bottom in [0, 1] of the picture's width and height.
        classes: int64 array of shape (K,): the category mask's number less one.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)


def objects_of(instances: NDArray[np.uint16], categories: NDArray[np.uint16]) -> Objects:
    """Find the objects of an image; those without a class are passed over.

    Args:
        instances: uint16 array of shape (height, width): 0 is background, k the k-th object.
        categories: uint16 array of shape (height, width): 0 is background, k class k - 1.
    """
    from scipy import ndimage

    height, width = instances.shape
    boxes, classes = [], []
    for number, place in enumerate(ndimage.find_objects(instances.astype(np.int32)), 1):
        if place is None:  # hidden behind others, or cut off
            continue
        rows, columns = place
        kind = int(categories[place][instances[place] == number][0])
        if kind:
            boxes.append((columns.start / width, rows.start / height, columns.stop / width, rows.stop / height))
            classes.append(kind - 1)
    return Objects(np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64))
