"""The training loop of both trainers.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from task2sim import ConfigError, report_progress

if TYPE_CHECKING:
    from task2sim_dense.networks import DenseNetwork
    from task2sim_dense.preprocessing import Preprocessing

WARM_UP = 0.1


def fit(
    network: DenseNetwork,
    images: NDArray[np.uint8],
    masks: Sequence[NDArray[np.uint16]],
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    preprocessing: Preprocessing,
    augmentation: torch.nn.Module,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
) -> float:
    """Train all weights of a network in place; random draws come from torch's generator.

    AdamW with a rate that rises during the first tenth of the steps and falls to nothing along a cosine.

    Args:
        network: On the device to train on.
        images: uint8 array of shape (N, height, width, 3), N >= 2; may be a memory map.
        masks: uint16 arrays of shape (N, height, width); may be memory maps.
        loss_of: The mean loss of outputs, given masks of shape (B, number of masks, size, size) as floats.
        preprocessing: How images and masks become the network's input and targets.
        augmentation: Changes both alike.
        epochs: How often each image is seen.
        batch_size: Images a step; a remainder is spread over the batches, since normalising needs several images.
        learning_rate: The highest rate.
        weight_decay: AdamW's.

    Returns:
        The mean loss of the last epoch.

    Raises:
        ConfigError: the loss became infinite or undefined.
    """
    device = next(network.parameters()).device
    batches = max(1, len(images) // batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps=epochs * batches))
    network.train()
    report_progress("pretrain", 0, epochs, "epochs")
    for epoch in range(1, epochs + 1):
        total = torch.zeros((), device=device)
        for chosen in torch.randperm(len(images)).tensor_split(batches):
            rows = chosen.numpy()
            with torch.no_grad():
                pixels = preprocessing.pixels(images[rows], device)
                pixels, seen = augmentation(pixels, preprocessing.masks([mask[rows] for mask in masks], device))
                inputs = preprocessing.normalise(pixels)
            loss = loss_of(network(inputs), seen)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.detach() * len(rows)
        if not torch.isfinite(total):
            raise ConfigError(
                f"training diverged in epoch {epoch}: the loss is {float(total)}",
                place="learning_rate",
                mend=f"try a lower one than {learning_rate:g}",
            )
        report_progress("pretrain", epoch, epochs, "epochs")
    network.eval()
    return float(total) / len(images)


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate in a step: a straight rise, then half a cosine down to nothing."""
    done, warm_up = step + 0.5, WARM_UP * steps
    return min(done / warm_up, 0.5 + 0.5 * math.cos(math.pi * max(0.0, done - warm_up) / (steps - warm_up)))
