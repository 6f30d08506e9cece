"""The variational estimator: the noise it finds is the best noise."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
import torch
from torch import nn

import task2sim_task2vec.variational as variational
from task2sim_task2vec.fisher import Batch, filter_fisher
from task2sim_task2vec.head import Head
from task2sim_task2vec.probe import Probe
from task2sim_task2vec.variational import noise_variance, variational_fisher


class Outputs:
    def __init__(self, pooled: torch.Tensor) -> None:
        self.pooler_output = pooled


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 3, bias=False)
        self.norm = nn.GroupNorm(2, 6)
        self.linear = nn.Linear(6, 4)

    def forward(self, pixels: torch.Tensor) -> Outputs:
        return Outputs(torch.tanh(self.linear(torch.relu(self.norm(self.convolution(pixels))).mean(dim=(2, 3)))))


@pytest.fixture
def probe() -> Probe:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network().eval()
        nn.init.normal_(network.linear.weight, std=1.0)
    return Probe(network.requires_grad_(False), image_size=8, mean=(0.0,) * 3, std=(1.0,) * 3)


def head() -> Head:
    generator = torch.Generator().manual_seed(1)
    return Head(3 * torch.randn(3, 4, generator=generator), torch.zeros(3))


PIXELS = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def batches(passes: int) -> Iterator[Batch]:
    for seed in range(passes):
        order = torch.from_numpy(np.random.default_rng(seed).permutation(64))
        for some in order.split(8):
            yield PIXELS[some], torch.ones(8)


def fisher(probe: Probe, passes: int = 100, seed: int = 0) -> np.ndarray:
    with torch.no_grad():
        return variational_fisher(probe, head(), batches(passes), np.random.default_rng(seed))


def test_without_noise_it_is_the_other_estimator(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variational, "NOISE_COST", 1e-9)
    expected = filter_fisher(probe, head(), [(PIXELS, torch.ones(64))], 50, np.random.default_rng(3))
    np.testing.assert_allclose(fisher(probe), expected, rtol=0.15, atol=1e-3 * expected.max())


def test_the_noise_it_finds_costs_least(probe: Probe) -> None:
    """Against the loss itself, averaged over draws of the noise: more noise or less is worse."""
    found = torch.from_numpy(fisher(probe)).double()
    layers = [m for m in probe.network.modules() if getattr(m, "weight", None) is not None]
    parts = found.split([len(m.weight) for m in layers])
    cost = 2 * variational.NOISE_COST / sum(m.weight.numel() for m in layers)
    noisy = attrs.evolve(probe, network=copy.deepcopy(probe.network))
    twins = [m for m in noisy.network.modules() if getattr(m, "weight", None) is not None]
    with torch.no_grad():
        clean = head().probabilities(probe.features(PIXELS))

    def objective(scale: float) -> float:
        total = 0.0
        normal = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for _ in range(400):
                for layer, twin, part in zip(layers, twins, parts, strict=True):
                    variance = scale * noise_variance(part, layer.weight, cost).float()
                    shape = (-1, *[1] * (layer.weight.ndim - 1))
                    noise = torch.randn(layer.weight.shape, generator=normal) * variance.sqrt().view(shape)
                    twin.weight.copy_(layer.weight + noise)
                told = head().probabilities(noisy.features(PIXELS))
                total -= float((clean * told.log()).sum(dim=1).mean()) / 400
        for layer, part in zip(layers, parts, strict=True):
            ratio = scale * noise_variance(part, layer.weight, cost) / layer.weight.double().square().mean()
            total += cost * float((ratio - ratio.log()).sum()) * layer.weight[0].numel() / 2
        return total

    best = objective(1.0)
    assert best < objective(0.25) - 0.01
    assert best < objective(4.0) - 0.01


def test_it_is_the_fisher_information_under_the_noise_it_finds(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variational, "NOISE_COST", 10.0)
    found = torch.from_numpy(fisher(probe, 150)).double()
    layers = [m for m in probe.network.modules() if getattr(m, "weight", None) is not None]
    parts = found.split([len(m.weight) for m in layers])
    cost = 2 * 10.0 / sum(m.weight.numel() for m in layers)
    noisy = attrs.evolve(probe, network=copy.deepcopy(probe.network))
    twins = [m for m in noisy.network.modules() if getattr(m, "weight", None) is not None]
    normal = torch.Generator().manual_seed(7)
    generator = np.random.default_rng(8)
    expected = np.zeros(len(found))
    with torch.no_grad():
        for _ in range(400):
            for layer, twin, part in zip(layers, twins, parts, strict=True):
                variance = noise_variance(part, layer.weight, cost).float()
                shape = (-1, *[1] * (layer.weight.ndim - 1))
                noise = torch.randn(layer.weight.shape, generator=normal) * variance.sqrt().view(shape)
                twin.weight.copy_(layer.weight + noise)
            images = [(PIXELS[torch.randperm(64, generator=normal)[:8]], torch.ones(8))]
            expected += filter_fisher(noisy, head(), images, 1, generator) / 400
        clean = filter_fisher(probe, head(), [(PIXELS, torch.ones(64))], 20, generator)
    assert abs(expected.sum() / clean.sum() - 1) > 0.3
    assert found.sum() == pytest.approx(expected.sum(), rel=0.1)
    np.testing.assert_allclose(found, expected, rtol=0.5)


def test_noise_is_that_of_the_prior_where_nothing_matters() -> None:
    weight = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    variance = noise_variance(torch.tensor([0.0, 2.0]).double(), weight, 0.5)
    assert variance.tolist() == pytest.approx([3.0, 1 / (4 + 1 / 3)])


def test_the_seed_decides_and_the_probe_stays_as_it_was(probe: Probe) -> None:
    before = copy.deepcopy(probe.network.state_dict())
    state = torch.random.get_rng_state().clone()
    one, same, other = (fisher(probe, 2, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.float32
    assert (one >= 0).all()
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in probe.network.state_dict().items():
        assert torch.equal(value, before[name])
