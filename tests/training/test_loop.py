from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim.progress import progress_listener
from task2sim_training.loop import fit, rate
from task2sim_training.surroundings import reproducible

INPUTS = torch.linspace(-1, 1, 23)[:, None]


def fitted(learning_rate=0.1, seed=0, count=23):
    """A line through y = 3 x + 1, and what its training said."""
    with reproducible(seed, threads=1):
        line = torch.nn.Linear(1, 1)
        seen = []

        def measure(network, chosen):
            seen.append(chosen)
            error = network(INPUTS[chosen]) - (3 * INPUTS[chosen] + 1)
            return error.square().mean(), error.detach().abs().mean()

        means = fit(
            line, count, measure, epochs=30, batch_size=5, learning_rate=learning_rate, weight_decay=0.0, stage="draw"
        )
    return line, means, seen


@given(st.integers(1, 1000))
def test_the_learning_rate_rises_to_its_highest_and_falls_to_nothing(steps):
    rates = [rate(step, steps) for step in range(steps)]
    top = int(np.argmax(rates))
    assert all(0 <= share <= 1 for share in rates)
    assert top <= 0.1 * steps + 1
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) > 0.4
    assert rates[-1] <= 0.7 / steps


def test_it_learns_and_tells_the_means_of_the_last_epoch():
    line, (loss, error), _ = fitted()
    assert float(line.weight.detach()) == pytest.approx(3, abs=0.1)
    assert float(line.bias.detach()) == pytest.approx(1, abs=0.1)
    assert 0 < loss < 0.01
    assert 0 < error < 0.1
    assert not line.training


def test_every_example_is_seen_once_an_epoch_in_even_batches_and_a_new_order():
    _, _, seen = fitted()
    assert {len(batch) for batch in seen} == {5, 6}
    epochs = [np.concatenate(seen[4 * k : 4 * k + 4]) for k in range(30)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 30


def test_progress_is_told_epoch_by_epoch():
    told = []
    with progress_listener(told.append):
        fitted()
    assert [(p.stage, p.done, p.total, p.unit) for p in told] == [("draw", k, 30, "epochs") for k in range(31)]


def test_a_training_that_diverges_says_what_to_change():
    with pytest.raises(
        ConfigError, match=r"learning_rate: training diverged in epoch \d+.*try a lower one than 1e\+30"
    ):
        fitted(learning_rate=1e30)


def test_weights_that_the_last_step_ruins_are_told():
    line = torch.nn.Linear(1, 1)

    def measure(network, chosen):
        return ((0 * network(INPUTS[chosen])).sqrt().mean(),)  # nothing itself, with an infinite slope

    with pytest.raises(ConfigError, match="learning_rate: training diverged in epoch 1: the weights are not finite"):
        fit(line, 23, measure, epochs=1, batch_size=23, learning_rate=0.1, weight_decay=0.0, stage="draw")
