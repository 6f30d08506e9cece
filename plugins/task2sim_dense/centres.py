"""Objects as points: Zhou, Wang & Krähenbühl, "Objects as points", 2019 (CenterNet).

For every cell of a map a network gives, for each class, how sure it is that an object's centre lies there, and then
four numbers: the box's width and height and where in the cell its centre lies, all in cells. Neither anchors nor a
matching of boxes are needed, and it learns in minutes.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim_dense.objects import Objects

FURTHER = 4
"""Outputs of a cell beside those for the classes."""

PRIOR = -2.19
"""Initial bias of the classes' outputs: a tenth is the probability then (section 5 of the paper)."""

SIZE_WEIGHT = 0.1
MOST = 100
"""Boxes that are kept of an image, as COCO counts them."""


@attrs.frozen(eq=False)
class Targets:
    """What a map of centres should be.

    Attributes:
        heat: float32 tensor of shape (B, classes, h, w): 1 at centres, less the further from them.
        boxes: float32 tensor of shape (B, 4, h, w): width, height and offset at centres, in cells.
        centres: float32 tensor of shape (B, 1, h, w): 1 where a centre is, else 0.
    """

    heat: torch.Tensor
    boxes: torch.Tensor
    centres: torch.Tensor


def targets_of(objects: Sequence[Objects], classes: int, grid: tuple[int, int]) -> Targets:
    """Draw what a map of `grid` cells should be for some images; large objects are drawn first."""
    height, width = grid
    heat = np.zeros((len(objects), classes, height, width), np.float32)
    boxes = np.zeros((len(objects), FURTHER, height, width), np.float32)
    centres = np.zeros((len(objects), 1, height, width), np.float32)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    for image, found in enumerate(objects):
        cells = found.boxes * (width, height, width, height)
        sizes = cells[:, 2:] - cells[:, :2]
        for k in np.argsort(-sizes.prod(axis=1), kind="stable"):
            middle = (cells[k, :2] + cells[k, 2:]) / 2
            column, row = np.minimum(middle.astype(np.int64), (width - 1, height - 1))
            spread = np.maximum(sizes[k] / 6, 1 / 3)  # a box ends at three standard deviations
            hill = np.exp(
                -((columns - column) ** 2) / (2 * spread[0] ** 2) - (rows - row) ** 2 / (2 * spread[1] ** 2)
            )
            place = heat[image, found.classes[k]]
            np.maximum(place, hill, out=place)
            boxes[image, :, row, column] = (*sizes[k], middle[0] - column, middle[1] - row)
            centres[image, 0, row, column] = 1
    return Targets(torch.from_numpy(heat), torch.from_numpy(boxes), torch.from_numpy(centres))


def centre_loss(outputs: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Equations 1 to 4 of the paper.

    Args:
        outputs: Tensor of shape (B, classes + 4, h, w); the classes' are logits.
        targets: What they should be.
    """
    device = outputs.device
    heat, boxes, centres = (part.to(device) for part in (targets.heat, targets.boxes, targets.centres))
    logits, numbers = outputs[:, :-FURTHER], outputs[:, -FURTHER:]
    sure = logits.sigmoid()
    missed = -((1 - sure) ** 2) * functional.logsigmoid(logits)
    false = -((1 - heat) ** 4) * sure**2 * functional.logsigmoid(-logits)
    count = centres.sum().clamp(min=1)
    apart = (numbers - boxes).abs() * centres
    focal = torch.where(heat == 1, missed, false).sum()
    return (focal + SIZE_WEIGHT * apart[:, :2].sum() + apart[:, 2:].sum()) / count


def found_objects(outputs: torch.Tensor) -> list[tuple[Objects, NDArray[np.float32]]]:
    """Read objects from a map: cells that no neighbour surpasses, the surest first, with how sure they are."""
    height, width = outputs.shape[-2:]
    heat = outputs[:, :-FURTHER].sigmoid()
    peaks = torch.where(functional.max_pool2d(heat, 3, stride=1, padding=1) == heat, heat, 0.0).flatten(1)
    scores, places = peaks.topk(min(MOST, peaks.shape[1]), dim=1)
    found = []
    for image in range(len(outputs)):
        kind, place = places[image] // (height * width), places[image] % (height * width)
        row, column = place // width, place % width
        wide, high, right, down = outputs[image, -FURTHER:, row, column]
        x, y = column + right, row + down
        box = torch.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], dim=1)
        box = (box / box.new_tensor([width, height, width, height])).clamp(0, 1)
        objects = Objects(box.cpu().numpy(), kind.cpu().numpy())
        found.append((objects, scores[image].cpu().numpy()))
    return found
