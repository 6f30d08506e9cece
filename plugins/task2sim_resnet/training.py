"""Training a network with a classification head; pre-training and fine-tuning share it.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim_training.loop import fit

if TYPE_CHECKING:
    from task2sim_resnet.networks import Network
    from task2sim_training.preprocessing import Preprocessing

LABEL_SMOOTHING = 0.1


@attrs.frozen
class FitResult:
    """How well a network did on augmented images during its last epoch.

    Attributes:
        loss: Mean cross-entropy with label smoothing.
        accuracy: Fraction of images that were told right, in [0, 1].
    """

    loss: float
    accuracy: float


def fit_classifier(
    network: Network,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocessing: Preprocessing,
    augmentation: torch.nn.Module,
    **schedule: Any,
) -> FitResult:
    """Train all weights of a network in place, with labels smoothed by a tenth; see `fit`.

    Args:
        network: A network with a classification head, on the device to train on.
        images: uint8 array of shape (N, height, width, 3), N >= 2; may be a memory map.
        labels: int64 array of shape (N,), positions among the head's outputs.
        preprocessing: How images become the network's input.
        augmentation: Maps float images of shape (B, 3, size, size) in [0, 1] to such images.
        **schedule: Passed on to `fit`.

    Raises:
        ConfigError: the loss became infinite or undefined.
    """
    device = network.device
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(device)

    def measure(shared: Any, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            inputs = preprocessing.normalise(augmentation(preprocessing.pixels(images[chosen], device)))
        logits = shared(inputs).logits
        target = targets[torch.from_numpy(chosen).to(device)]
        loss = functional.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING)
        return loss, (logits.detach().argmax(1) == target).float().mean()

    return FitResult(*fit(network, len(images), measure, **schedule))


def predict(network: Network, images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Compute the classification head's outputs: float32 array of shape (N, number of categories)."""
    with torch.inference_mode():
        return np.concatenate(
            [network(pixels).logits.cpu().numpy() for pixels in preprocessing.batches(images, network.device)]
        )
