"""The Fisher estimator, against gradients taken one image at a time by autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from task2sim import TaskError
from task2sim_task2vec.fisher import Head, draw_labels, filter_fisher
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


def one_at_a_time(probe: Probe, head: Head, pixels: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Mean squared gradient of each filter by autograd, image by image and draw by draw."""
    layers = [
        m for m in probe.network.modules() if getattr(m, "weight", None) is not None and m is not probe.network.unused
    ]
    weights = [layer.weight.requires_grad_() for layer in layers]
    sums = [torch.zeros(len(w)) for w in weights]
    for drawn in labels:
        for image, label in zip(pixels, drawn, strict=True):
            logits = probe.features(image[None]) @ head.weight.T + head.bias
            gradients = torch.autograd.grad(logits.log_softmax(dim=1)[0, label], weights)
            for total, gradient in zip(sums, gradients, strict=True):
                total += gradient.square().flatten(1).mean(dim=1) if gradient.ndim > 1 else gradient.square()
    return (torch.cat(sums) / labels.numel()).numpy()


@pytest.mark.parametrize("draws", [1, 3])
def test_equals_gradients_taken_one_image_at_a_time(probe: Probe, draws: int) -> None:
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    batches = [pixels[:4], pixels[4:]]
    found = filter_fisher(probe, head(), batches, draws, np.random.default_rng(5))
    generator = np.random.default_rng(5)
    labels = torch.cat(
        [draw_labels(head().probabilities(probe.features(b)), draws, generator) for b in batches], dim=1
    )
    assert found.dtype == np.float32
    assert found.shape == (8 + 8 + 8 + 8 + 20 + 20 + 5,)
    np.testing.assert_allclose(found, one_at_a_time(probe, head(), pixels, labels), rtol=1e-3, atol=1e-7)


def test_labels_come_from_the_model_not_from_anything_fixed(probe: Probe) -> None:
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    one, other = (filter_fisher(probe, head(), [pixels], 1, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.allclose(one, other)


def test_a_network_without_filters_is_refused() -> None:
    class Flat(nn.Module):
        def forward(self, pixels: torch.Tensor) -> Outputs:
            return Outputs(pixels.flatten(1)[:, :5])

    probe = Probe(Flat(), 4, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(TaskError, match="no filters"):
        filter_fisher(probe, head(), [torch.zeros(2, 3, 4, 4)], 1, np.random.default_rng(0))


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


def test_head_is_penalised_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = generator.normal(size=(90, 4)) * [1, 10, 0.1, 1] + labels[:, None]
    fitted = Head.fit(torch.from_numpy(features).float(), torch.from_numpy(labels), 3)
    scaled = StandardScaler().fit_transform(features)
    expected = LogisticRegression(C=1 / (0.1 * 90), tol=1e-8, max_iter=1000).fit(scaled, labels).predict_proba(scaled)
    found = fitted.probabilities(torch.from_numpy(features).float())
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)
