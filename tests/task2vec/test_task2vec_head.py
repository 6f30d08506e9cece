"""The head: a classifier that is stopped early."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import task2sim_task2vec.head as module
from task2sim_task2vec.head import Head


def clusters(classes: int = 3, count: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    features = generator.normal(size=(count, 8)) + 2.0 * np.eye(8)[labels]
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


def fit(features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None, seed: int = 0) -> Head:
    weights = torch.ones(len(labels)) if weights is None else weights
    with torch.no_grad():
        return Head.fit(features, labels, weights, np.random.default_rng(seed))


def test_it_tells_classes_apart_and_stays_unsure() -> None:
    features, labels = clusters()
    probabilities = fit(features, labels).probabilities(features)
    assert (probabilities.argmax(dim=1) == labels).float().mean() > 0.85
    assert 0.5 < probabilities.max(dim=1).values.mean() < 0.9


def test_the_unit_of_features_makes_no_difference() -> None:
    features, labels = clusters()
    one, other = fit(features, labels), fit(1000 * features, labels)
    torch.testing.assert_close(one.probabilities(features), other.probabilities(1000 * features), rtol=0, atol=1e-3)


def test_the_seed_decides_and_matters_little() -> None:
    features, labels = clusters()
    one, same, other = (fit(features, labels, seed=seed).probabilities(features) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert 0 < (one - other).abs().max() < 0.05


def test_the_mean_of_the_last_steps_hangs_less_on_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clusters()

    def spread() -> float:
        weights = torch.stack([fit(features, labels, seed=seed).weight for seed in range(4)])
        return float(weights.std(dim=0).square().mean().sqrt())

    averaged = spread()
    monkeypatch.setattr(module, "AVERAGED", 1)
    assert averaged < 0.9 * spread()


def test_weights_are_shares_of_the_classes() -> None:
    # Nothing can be told from these features, so that only the classes' shares are left.
    features, labels = torch.ones(90, 2), torch.from_numpy(np.arange(90) % 3)
    weights = torch.tensor([2.0, 0.5, 0.5])[labels]
    probabilities = fit(features, labels, weights).probabilities(features[:1])[0]
    torch.testing.assert_close(probabilities, torch.tensor([2 / 3, 1 / 6, 1 / 6]), rtol=0, atol=0.05)


def test_features_that_are_all_zero_give_even_odds() -> None:
    probabilities = fit(torch.zeros(60, 4), torch.from_numpy(np.arange(60) % 2)).probabilities(torch.zeros(1, 4))
    torch.testing.assert_close(probabilities, torch.full((1, 2), 0.5), rtol=0, atol=0.05)
