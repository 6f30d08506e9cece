"""Tasks made of crops: which picture does this piece come from?

A picture is divided into blocks like a chessboard, and each block belongs to one split: half of them to train, a
quarter to val, a quarter to test, along diagonals so that each split sees every part of the picture. Crops lie
within blocks, so no two splits share a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from task2sim import ImageSet, Task
from task2sim_tasks.images import sample_image, squares

_BLOCKS_OF = {"train": (0, 1), "val": (2,), "test": (3,)}


def surfaces(size: int) -> Task:
    """Brick, grass and gravel, grey: 16-pixel crops of three photographs in scikit-image.

    So small a crop is less than a brick or a pebble; at twice the size, brightness and contrast at a few scales
    tell nearly all crops apart.
    """
    pictures = {name: sample_image(name) for name in ("brick", "grass", "gravel")}
    return _crop_task("surfaces", pictures, "surfaces", size, block=128, crop=16, step=28)


def photographs(size: int) -> Task:
    """Six colour photographs in scikit-image and scikit-learn: 48-pixel crops of their middle."""
    from sklearn.datasets import load_sample_image

    pictures = {
        "astronaut": sample_image("astronaut"),
        "cat": sample_image("chelsea"),
        "coffee": sample_image("coffee"),
        "flower": load_sample_image("flower.jpg"),
        "rocket": sample_image("rocket"),
        "temple": load_sample_image("china.jpg"),
    }
    middle = {name: _middle(picture, 288, 384) for name, picture in pictures.items()}
    return _crop_task("photographs", middle, "photographs", size, block=96, crop=48, step=16)


def _crop_task(
    name: str,
    pictures: Mapping[str, NDArray[np.uint8]],
    domain: str,
    size: int,
    *,
    block: int,
    crop: int,
    step: int,
) -> Task:
    parts = {}
    for split, numbers in _BLOCKS_OF.items():
        crops: list[NDArray[np.uint8]] = []
        labels: list[int] = []
        for label, picture in enumerate(pictures.values()):
            own = _crops(picture, numbers, block, crop, step)
            crops += own
            labels += [label] * len(own)
        parts[split] = ImageSet(squares(crops, size), np.array(labels))
    return Task(
        name=name,
        classes=tuple(pictures),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        domain=domain,
    )


def _crops(
    picture: NDArray[np.uint8], numbers: tuple[int, ...], block: int, crop: int, step: int
) -> list[NDArray[np.uint8]]:
    """Crops of the blocks whose diagonal, counted modulo four, is among `numbers`."""
    return [
        picture[top + y : top + y + crop, left + x : left + x + crop]
        for row, top in enumerate(range(0, picture.shape[0] - block + 1, block))
        for column, left in enumerate(range(0, picture.shape[1] - block + 1, block))
        if (row + column) % 4 in numbers
        for y in range(0, block - crop + 1, step)
        for x in range(0, block - crop + 1, step)
    ]


def _middle(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
