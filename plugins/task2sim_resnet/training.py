"""The training loop that pre-training and fine-tuning share.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim import ConfigError, report_progress

if TYPE_CHECKING:
    from task2sim_resnet.networks import Network
    from task2sim_resnet.preprocessing import Preprocessing

LABEL_SMOOTHING = 0.1
WARM_UP = 0.1


@attrs.frozen
class FitResult:
    """How well a network did on augmented images during its last epoch.

    Attributes:
        loss: Mean cross-entropy with label smoothing.
        accuracy: Fraction of images that were told right, in [0, 1].
    """

    loss: float
    accuracy: float


def fit(
    network: Network,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocessing: Preprocessing,
    augmentation: torch.nn.Module,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    stage: str,
) -> FitResult:
    """Train all weights of a network in place; random draws come from torch's generator.

    AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019) with a rate that rises during
    the first tenth of the steps and falls to nothing along a cosine; labels smoothed by a tenth.

    Args:
        network: A network with a classification head, on the device to train on.
        images: uint8 array of shape (N, height, width, 3), N >= 2; may be a memory map.
        labels: int64 array of shape (N,), positions among the head's outputs.
        preprocessing: How images become the network's input.
        augmentation: Maps float images of shape (B, 3, size, size) in [0, 1] to such images.
        epochs: How often each image is seen.
        batch_size: Images a step; a remainder is spread over the batches, since normalising needs several images.
        learning_rate: The highest rate.
        weight_decay: AdamW's.
        stage: What to call this in progress reports.

    Raises:
        ConfigError: the loss became infinite or undefined.
    """
    device = next(network.parameters()).device
    batches = max(1, len(images) // batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(_rate, steps=epochs * batches))
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(device)
    network.train()
    report_progress(stage, 0, epochs, "epochs")
    for epoch in range(1, epochs + 1):
        total_loss, correct = torch.zeros(2, device=device)
        for chosen in torch.randperm(len(images)).tensor_split(batches):
            pixels = preprocessing.pixels(images[chosen.numpy()], device)
            with torch.no_grad():
                inputs = preprocessing.normalise(augmentation(pixels))
            logits = network(inputs).logits
            target = targets[chosen.to(device)]
            loss = functional.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total_loss += loss.detach() * len(chosen)
            correct += (logits.detach().argmax(1) == target).sum()
        if not torch.isfinite(total_loss):
            raise ConfigError(
                f"training diverged in epoch {epoch}: the loss is {float(total_loss)}",
                place="learning_rate",
                mend=f"try a lower one than {learning_rate:g}",
            )
        report_progress(stage, epoch, epochs, "epochs")
    network.eval()
    return FitResult(loss=float(total_loss) / len(images), accuracy=float(correct) / len(images))


def _rate(step: int, steps: int) -> float:
    """Share of the highest learning rate in a step: a straight rise, then half a cosine down to nothing."""
    done, warm_up = step + 0.5, WARM_UP * steps
    return min(done / warm_up, 0.5 + 0.5 * math.cos(math.pi * max(0.0, done - warm_up) / (steps - warm_up)))


def predict(network: Network, images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Compute the classification head's outputs: float32 array of shape (N, number of categories)."""
    with torch.inference_mode():
        return np.concatenate(
            [network(pixels).logits.cpu().numpy() for pixels in preprocessing.batches(images, network.device)]
        )
