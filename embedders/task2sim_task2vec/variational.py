"""The Fisher information from the noise a network's weights bear.

Imports torch: import this module when work is done.

Achille et al. ("Task2Vec", ICCV 2019, section 2) look for the precision of Gaussian noise on the weights that
minimises the expected loss plus β times the divergence from a prior: the more a weight matters, the less noise it
bears. At the minimum the precision is that of the prior plus 1/β times the curvature of the expected loss, so the
Fisher information is read off it.

They descend on the loss with noisy gradients. Here the precision moves by natural gradients (Khan et al., "Fast and
scalable Bayesian deep learning by weight-perturbation in Adam", ICML 2018): each step draws a noisy
network, and the squared gradients of its own predictions are the curvature that the precision is to have. So the two
estimators share their gradients, and this one is the other averaged over the noise it finds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from task2sim_task2vec.fisher import Batch, in_order, squared_gradients
from task2sim_task2vec.head import Head
from task2sim_task2vec.probe import Probe

NOISE_COST = 0.5
"""How much the noise may raise the mean loss, in nats; it sets β whatever the size of the network.

At the minimum each weight's noise costs at most β/2.
"""


def variational_fisher(
    probe: Probe, head: Head, batches: Iterable[Batch], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Find the noise that each filter's weights bear, and the Fisher information that goes with it.

    All weights of a filter bear the same noise. The prior's variance is the mean square of their layer's weights.

    Args:
        probe: The network.
        head: The classifier on its features; it bears no noise.
        batches: Images with their weights, in random order; each batch is a step.
        generator: Source of the noise and of the labels.

    Returns:
        float32 array of shape (filters,), >= 0, in the order of the network's modules: as `filter_fisher` gives.

    Raises:
        TaskError: as `filter_fisher` does.
    """
    noisy = attrs.evolve(probe, network=copy.deepcopy(probe.network))
    normal = torch.Generator().manual_seed(int(generator.integers(2**63)))
    clean = dict(zip(noisy.network.modules(), probe.network.modules(), strict=True))
    fisher: dict[torch.nn.Module, torch.Tensor] = {}
    for step, batch in enumerate(batches, start=1):
        cost = 2 * NOISE_COST / max(1, sum(_weight(module).numel() for module in fisher))
        for module, found in fisher.items():
            weight = _weight(clean[module])
            spread = noise_variance(found, weight, cost).sqrt().float()
            noise = torch.randn(weight.shape, generator=normal) * spread.view(-1, *[1] * (weight.ndim - 1))
            _weight(module).copy_(weight + noise)
        for module, squares in squared_gradients(noisy, head, batch, 1, generator):
            now = squares.double() / len(batch[0])
            before = fisher.get(module, now)
            # Later steps count more: they saw noise that is nearer to the best.
            fisher[module] = before + (now - before) * (2 / (step + 1))
    return in_order(noisy.network, fisher)


def noise_variance(fisher: torch.Tensor, weight: torch.Tensor, cost: float) -> torch.Tensor:
    """The variance of the best noise.

    Args:
        fisher: Fisher information of the layer's filters, float64 of shape (filters,).
        weight: The layer's weights.
        cost: β, the weight of the divergence from the prior against the loss.

    Returns:
        float64 tensor of shape (filters,).
    """
    return 1 / (fisher / cost + 1 / weight.double().square().mean())


def _weight(module: torch.nn.Module) -> torch.Tensor:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight
