"""The network behind the task2sim policy, and how it learns. Imports torch: import this module when work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

WEIGHT_DECAY = 0.1
"""Decoupled weight decay; keeps tasks the policy has not seen close to what is good for all."""

MADE_UP_TASKS = 4
"""For each seen task; see `Learner`."""


class EmbeddingProjection:
    """Seen embeddings in their own coordinates.

    Embeddings have thousands of numbers and there are a few tasks. Gradients of a first layer lie in the span of the
    seen embeddings; what a network does outside it is left to its random initial weights. So the embeddings are
    L2-normalised (Mishra et al., CVPR 2022, supplementary), centred and whitened within that span, where nothing
    is left to chance and tasks that lie close together can be told apart.

    Args:
        mean: float32 array of shape (D,): the mean of the normalised embeddings.
        basis: float32 array of shape (D, K): whitened coordinates are ``(normalised - mean) @ basis``.
    """

    def __init__(self, mean: NDArray[np.float32], basis: NDArray[np.float32]) -> None:
        self.mean = mean
        self.basis = basis

    @classmethod
    def fit(cls, vectors: NDArray[np.float32]) -> EmbeddingProjection:
        """Find the coordinates of embeddings of shape (T, D)."""
        normalised = _normalised(vectors)
        mean = normalised.mean(axis=0)
        _, scales, directions = np.linalg.svd(normalised - mean, full_matrices=False)
        kept = scales > 1e-4 * max(float(scales[0]), 1e-6)
        # At least one coordinate, so that a single task (or equal ones) has a network too.
        kept[0] = True
        deviations = np.maximum(scales[kept], 1e-6) / np.sqrt(len(vectors))
        return cls(mean.astype(np.float32), (directions[kept].T / deviations).astype(np.float32))

    @property
    def spread(self) -> NDArray[np.float32]:
        """What whitening divided by: multiplying undoes it, so that distances are those of normalised embeddings."""
        spread: NDArray[np.float32] = 1 / np.linalg.norm(self.basis, axis=0)
        return spread

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coordinates of embeddings of shape (T, D): float32 array of shape (T, K)."""
        coordinates: NDArray[np.float32] = ((_normalised(vectors) - self.mean) @ self.basis).astype(np.float32)
        return coordinates


def _nearness(points: NDArray[np.float64], tasks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (N, T) of tasks (T, K) at points (N, K): a Gaussian kernel as wide as tasks are apart, normalised."""

    def squared(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = np.square(some[:, None] - others).sum(axis=2)
        return distances

    pairs = len(tasks) * (len(tasks) - 1)
    width = squared(tasks, tasks).sum() / max(pairs, 1)
    nearness = squared(points, tasks) / max(2 * width, 1e-12)
    weights = np.exp(nearness.min(axis=1, keepdims=True) - nearness)
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    normalised: NDArray[np.float64] = wide / np.maximum(lengths, np.finfo(np.float64).tiny)
    return normalised


class PolicyNetwork(torch.nn.Module):
    """An MLP with two hidden layers and one softmax head a parameter.

    Args:
        inputs: Length of a task's coordinates.
        hidden: Width of the hidden layers.
        counts: The number of levels of each of the P parameters.
        seed: Seed of the initial weights.

    Attributes:
        hidden: Width of the hidden layers.
    """

    def __init__(self, inputs: int, hidden: int, counts: NDArray[np.int64], seed: int) -> None:
        super().__init__()
        self.hidden = hidden
        self._counts = torch.as_tensor(counts)
        levels = int(counts.max())
        sizes = (inputs, hidden, hidden, len(counts) * levels)
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.nn.ParameterList()
        self.biases = torch.nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            bound = fan_in**-0.5
            self.weights.append((2 * torch.rand(fan_in, fan_out, generator=generator) - 1) * bound)
            self.biases.append((2 * torch.rand(fan_out, generator=generator) - 1) * bound)
        # Heads are padded to the same number of levels; a level that does not exist gets no probability.
        self._missing = torch.arange(levels) >= self._counts[:, None]

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of shape (T, P, levels) for coordinates of shape (T, K)."""
        values = coordinates
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = torch.relu(values @ weight + bias)
        logits = (values @ self.weights[-1] + self.biases[-1]).unflatten(1, self._missing.shape)
        return functional.log_softmax(logits.masked_fill(self._missing, -1e9), dim=2)

    def probabilities(self, coordinates: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of shape (T, P, levels), levels that do not exist having none."""
        with torch.no_grad():
            logs = self(torch.as_tensor(coordinates)).double()
        return np.asarray(functional.softmax(logs, dim=2).numpy())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights by name."""
        return {name: value.numpy().copy() for name, value in self.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up weights that `arrays` gave."""
        self.load_state_dict({name: torch.as_tensor(np.array(arrays[name])) for name in self.state_dict()})


class Learner:
    """Policy gradient steps on a network, one network and its optimiser together.

    Args:
        network: The network; its weights are changed.
        coordinates: float32 array of shape (T, K): the seen tasks.
        spread: float32 array of shape (K,): see `EmbeddingProjection.spread`.
        learning_rate: Of AdamW.
        imitation: Weight of self-imitation.
        generator: Draws the coordinates of made-up tasks.
    """

    def __init__(
        self,
        network: PolicyNetwork,
        coordinates: NDArray[np.float32],
        spread: NDArray[np.float32],
        learning_rate: float,
        imitation: float,
        generator: np.random.Generator,
    ) -> None:
        self.network = network
        # Tasks unlike the seen ones should get what is good on average, and not whatever the network happens to do
        # between the seen ones: so it also learns from made-up tasks, spread as the whitened seen ones are, whose
        # rewards are means of the seen tasks', nearer ones counting more.
        made_up = generator.standard_normal((MADE_UP_TASKS * len(coordinates), coordinates.shape[1]))
        self._coordinates = torch.as_tensor(np.concatenate([coordinates, made_up]).astype(np.float32))
        self._nearness = _nearness(made_up * spread, coordinates.astype(np.float64) * spread)
        self._imitation = imitation
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)

    def remember(self, levels: NDArray[np.int64], rewards: NDArray[np.float64]) -> None:
        """Say what is known.

        Args:
            levels: int64 array of shape (S, P): the settings that were tried.
            rewards: float64 array of shape (T, S): their rewards on each task, on the task's own scale.
        """
        one_hot = functional.one_hot(torch.as_tensor(levels), self.network._missing.shape[1])
        self._known = one_hot.flatten(1).float()
        with_made_up = np.concatenate([rewards, self._nearness @ rewards])
        self._rewards = torch.as_tensor(with_made_up, dtype=torch.float32)
        self._best = self._rewards.argmax(dim=1)

    def reinforce(self, drawn: NDArray[np.int64], greedy: NDArray[np.int64]) -> None:
        """One step of REINFORCE with the greedy action's reward as baseline.

        The advantage of each task weighs the log-probability of its own drawn setting.

        Args:
            drawn: int64 array of shape (T,): which of the known settings was drawn for each task; -1 for a setting
                that is not known: the task sits this step out.
            greedy: The same for each task's most probable setting.
        """
        tasks = torch.arange(len(drawn))
        drawn_, greedy_ = torch.as_tensor(drawn), torch.as_tensor(greedy)
        valid = (drawn_ >= 0) & (greedy_ >= 0)
        advantage = torch.where(valid, self._rewards[tasks, drawn_] - self._rewards[tasks, greedy_], 0.0)
        with _one_thread():
            logs = self._log_probabilities()
            losses = -self._imitation * logs.gather(1, self._best[:, None])[:, 0]
            losses[tasks] -= advantage * logs[tasks, drawn_]
            self._step(losses)

    def replay(self, steps: int) -> None:
        """Steps of REINFORCE on all that is known, in expectation instead of by drawing.

        The policy is restricted to the known settings and renormalised; its expected reward there is
        differentiable exactly, so nothing is off-policy and a baseline would change nothing.
        """
        with _one_thread():
            for _ in range(steps):
                logs = self._log_probabilities()
                expected = (functional.softmax(logs, dim=1) * self._rewards).sum(dim=1)
                best = logs.gather(1, self._best[:, None])[:, 0]
                self._step(-expected - self._imitation * best)

    def _log_probabilities(self) -> torch.Tensor:
        """Of each known setting for each task: shape (T, S)."""
        logs: torch.Tensor = self.network(self._coordinates).flatten(1) @ self._known.T
        return logs

    def _step(self, losses: torch.Tensor) -> None:
        self._optimiser.zero_grad()
        # torch's stubs leave `backward` untyped.
        losses.mean().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread inside the block: matrices are small here, more would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
