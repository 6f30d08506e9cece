"""The Fisher estimator, against gradients taken one image at a time by autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import task2sim_task2vec.fisher as fisher
from task2sim import TaskError
from task2sim_task2vec.fisher import draw_labels, filter_fisher
from task2sim_task2vec.head import Head
from task2sim_task2vec.probe import Probe


class Outputs:
    def __init__(self, pooled: torch.Tensor) -> None:
        self.pooler_output = pooled


class Network(nn.Module):
    """One of each kind of layer: strided, grouped, dilated and padded convolutions, norms, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding="same", groups=4, dilation=2),
            nn.GroupNorm(2, 8),
            nn.GELU(),
            nn.Conv2d(8, 20, (2, 3), padding="valid", stride=(2, 3)),
            nn.GELU(),
            nn.Conv2d(20, 20, 1, stride=(1, 2), groups=2),
        )
        self.norm = nn.LayerNorm(20)
        self.linear = nn.Linear(20, 5)
        self.unused = nn.Linear(2, 2)

    def forward(self, pixels: torch.Tensor) -> Outputs:
        tokens = self.convolutions(pixels).flatten(2).mT
        return Outputs(torch.tanh(self.linear(self.norm(tokens))).mean(dim=1))


@pytest.fixture
def probe() -> Probe:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network().eval()
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.5)
        nn.init.uniform_(network.convolutions[1].running_var, 0.5, 2.0)
        nn.init.normal_(network.convolutions[1].running_mean)
    return Probe(network.requires_grad_(False), image_size=16, mean=(0.0,) * 3, std=(1.0,) * 3)


def head(classes: int = 3) -> Head:
    generator = torch.Generator().manual_seed(1)
    return Head(torch.randn(classes, 5, generator=generator), torch.randn(classes, generator=generator))


def one_at_a_time(
    probe: Probe, head: Head, pixels: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor
) -> np.ndarray:
    """Mean squared gradient of each filter by autograd, image by image and draw by draw."""
    layers = [
        m for m in probe.network.modules() if getattr(m, "weight", None) is not None and m is not probe.network.unused
    ]
    parameters = [layer.weight.requires_grad_() for layer in layers]
    sums = [torch.zeros(len(p)) for p in parameters]
    for drawn in labels:
        for image, weight, label in zip(pixels, weights, drawn, strict=True):
            logits = probe.features(image[None]) @ head.weight.T + head.bias
            gradients = torch.autograd.grad(logits.log_softmax(dim=1)[0, label], parameters)
            for total, gradient in zip(sums, gradients, strict=True):
                squares = gradient.square().flatten(1).mean(dim=1) if gradient.ndim > 1 else gradient.square()
                total += weight * squares
    return (torch.cat(sums) / labels.numel()).numpy()


WEIGHTS = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(("draws", "patch_numbers"), [(1, 2**23), (3, 2**23), (3, 1)])
def test_equals_gradients_taken_one_image_at_a_time(
    probe: Probe, draws: int, patch_numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fisher, "PATCH_NUMBERS", patch_numbers)
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    batches = [(pixels[:4], WEIGHTS[:4]), (pixels[4:], WEIGHTS[4:])]
    found = filter_fisher(probe, head(), batches, draws, np.random.default_rng(5))
    generator = np.random.default_rng(5)
    labels = torch.cat(
        [draw_labels(head().probabilities(probe.features(b)), draws, generator) for b, _ in batches], dim=1
    )
    assert found.dtype == np.float32
    assert found.shape == (8 + 8 + 8 + 8 + 20 + 20 + 20 + 5,)
    expected = one_at_a_time(probe, head(), pixels, WEIGHTS, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


def test_labels_come_from_the_model_not_from_anything_fixed(probe: Probe) -> None:
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    one, other = (
        filter_fisher(probe, head(), [(pixels, WEIGHTS)], 1, np.random.default_rng(seed)) for seed in (1, 2)
    )
    assert not np.allclose(one, other)


def test_layers_of_a_kind_of_its_own_are_refused() -> None:
    class Padded(nn.Conv2d):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.pad(given, (1, 1, 1, 1)))

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Padded(3, 5, 3)

        def forward(self, pixels: torch.Tensor) -> Outputs:
            return Outputs(self.layer(pixels).mean(dim=(2, 3)))

    probe = Probe(Wrapped().requires_grad_(False), 4, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(TaskError, match="kind of its own, Padded"):
        filter_fisher(probe, head(), [(torch.zeros(2, 3, 4, 4), torch.ones(2))], 1, np.random.default_rng(0))


def test_a_network_without_filters_is_refused() -> None:
    class Flat(nn.Module):
        def forward(self, pixels: torch.Tensor) -> Outputs:
            return Outputs(pixels.flatten(1)[:, :5])

    probe = Probe(Flat(), 4, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(TaskError, match="no filters"):
        filter_fisher(probe, head(), [(torch.zeros(2, 3, 4, 4), torch.ones(2))], 1, np.random.default_rng(0))


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(2, 6))
@settings(max_examples=50, deadline=None)
def test_draws_follow_the_probabilities(seed: int, count: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = torch.from_numpy(generator.dirichlet(np.full(classes, 0.5)))
    labels = draw_labels(probabilities.expand(4000, -1), count, generator)
    assert labels.shape == (count, 4000)
    frequencies = torch.bincount(labels.flatten(), minlength=classes) / labels.numel()
    assert (frequencies - probabilities).abs().max() < 0.05
    # Systematic draws of one image never miss their expected counts by one or more.
    for label in range(classes):
        counts = (labels == label).sum(dim=0)
        assert ((counts - count * probabilities[label]).abs() < 1 + 1e-9).all()
