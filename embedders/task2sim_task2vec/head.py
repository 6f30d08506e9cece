"""The classifier that turns a probe network's features into a task's labels.

Imports torch: import this module when work is done.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

STEPS = 1560
BATCH_SIZE = 64
LEARNING_RATE = 4e-4
"""Ten times 10,000 images, with the step size of the paper's authors for features of this scale.

Where it stops is part of the method: a head that was fitted to the end is sure of nearly all images, and then the
Fisher information hangs on the few it is unsure of.
"""
AVERAGED = STEPS // 4
"""So many last steps are averaged, which takes most of the batches' chance out of the head."""


class Head:
    """A linear classifier on features.

    Attributes:
        weight: float32 tensor of shape (classes, D).
        bias: float32 tensor of shape (classes,).
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.weight = weight
        self.bias = bias

    @classmethod
    def fit(
        cls, features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, generator: np.random.Generator
    ) -> Head:
        """Logistic regression, stopped early: Adam on small batches, from zero.

        Features are brought to a mean square of 1 first, so that it makes no difference in which unit a probe
        counts.

        Args:
            features: float32 tensor of shape (N, D).
            labels: int64 tensor of shape (N,), values in [0, classes), each class at least once.
            weights: How often an image turns up in batches, relative to the others: float32 of shape (N,).
            generator: Source of the batches.
        """
        scale = features.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        inputs = functional.pad(features / scale, (0, 1), value=1.0)
        targets = functional.one_hot(labels).float()
        chances = weights.double().numpy()
        batches = generator.choice(len(features), (STEPS, BATCH_SIZE), p=chances / chances.sum())
        joint = torch.zeros(targets.shape[1], inputs.shape[1])
        average = torch.zeros_like(joint)
        optimiser = torch.optim.Adam([joint], lr=LEARNING_RATE)
        for step, batch in enumerate(torch.from_numpy(batches)):
            seen = inputs[batch]
            # The gradient of the mean cross-entropy.
            joint.grad = (functional.softmax(seen @ joint.T, dim=1) - targets[batch]).T @ seen / BATCH_SIZE
            optimiser.step()
            if step >= STEPS - AVERAGED:
                average += joint / AVERAGED
        return cls(average[:, :-1] / scale, average[:, -1])

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Of each class: shape (N, classes)."""
        return functional.softmax(features @ self.weight.T + self.bias, dim=1)
