"""Training a network with a decoder; both trainers share it.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from task2sim_training.loop import fit

if TYPE_CHECKING:
    from task2sim_dense.networks import DenseNetwork
    from task2sim_training.preprocessing import Preprocessing


def fit_dense(
    network: DenseNetwork,
    images: NDArray[np.uint8],
    masks: Sequence[NDArray[np.uint16]],
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    preprocessing: Preprocessing,
    augmentation: torch.nn.Module,
    **schedule: Any,
) -> float:
    """Train all weights of a network in place; see `fit`.

    Args:
        network: On the device to train on.
        images: uint8 array of shape (N, height, width, 3), N >= 2; may be a memory map.
        masks: uint16 arrays of shape (N, height, width); may be memory maps.
        loss_of: The mean loss of outputs, given masks of shape (B, number of masks, size, size) as floats.
        preprocessing: How images and masks become the network's input and targets.
        augmentation: Changes both alike.
        **schedule: Passed on to `fit`.

    Returns:
        The mean loss of the last epoch.

    Raises:
        ConfigError: the loss became infinite or undefined.
    """
    device = next(network.parameters()).device

    def measure(shared: Any, chosen: NDArray[np.int64]) -> tuple[torch.Tensor]:
        with torch.no_grad():
            pixels = preprocessing.pixels(images[chosen], device)
            pixels, seen = augmentation(pixels, preprocessing.masks([mask[chosen] for mask in masks], device))
            inputs = preprocessing.normalise(pixels)
        return (loss_of(shared(inputs), seen),)

    (loss,) = fit(network, len(images), measure, **schedule)
    return loss
