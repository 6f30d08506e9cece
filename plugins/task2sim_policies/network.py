"""The network behind the task2sim policy, and how it learns. Imports torch: import this module when work is done."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim_training.surroundings import pinned_threads

THREADS = 1
"""Matrices are small here; more threads would only wait for one another."""
MADE_UP_TASKS = 4
"""For each seen task; see `Learner`."""


class PolicyNetwork(torch.nn.Module):
    """An MLP with two hidden layers and one softmax head a parameter.

    Args:
        inputs: How many weights describe a task, one for each seen task; see `Nearness`.
        hidden: Width of the hidden layers.
        counts: The number of levels of each of the P parameters.
        seed: Seed of the initial weights.

    Attributes:
        hidden: Width of the hidden layers.
    """

    def __init__(self, inputs: int, hidden: int, counts: NDArray[np.int64], seed: int) -> None:
        super().__init__()
        self.hidden = hidden
        # So that seen tasks' inputs have unit variance.
        self._scale = inputs**0.5
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

    def forward(self, tasks: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of shape (N, P, levels) for tasks of shape (N, inputs)."""
        values = tasks * self._scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = torch.relu(values @ weight + bias)
        logits = (values @ self.weights[-1] + self.biases[-1]).unflatten(1, self._missing.shape)
        return functional.log_softmax(logits.masked_fill(self._missing, -1e9), dim=2)

    def log_probabilities(self, tasks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-probabilities of shape (N, P, levels), those of levels that do not exist being very small."""
        with torch.no_grad():
            logs = self(torch.as_tensor(tasks, dtype=torch.float32)).double()
            return np.asarray(functional.log_softmax(logs, dim=2).numpy())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights by name."""
        return {name: value.numpy().copy() for name, value in self.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up weights that `arrays` gave."""
        self.load_state_dict({name: torch.as_tensor(np.array(arrays[name])) for name in self.state_dict()})


class Learner:
    """Policy gradient steps on a network, one network and its optimiser together.

    Tasks unlike the seen ones should get what is good on average, and tasks between them what is good for both, not
    whatever the network happens to do there. So it also learns from made-up tasks: mixtures of seen tasks and of
    none, whose rewards are the same mixtures of the seen tasks' rewards and of their mean.

    Args:
        network: The network; its weights are changed.
        tasks: float64 array of shape (T, T): the seen tasks' weights on the seen tasks.
        listed: int64 array of shape (size, P): the levels of the only settings there are; None if all are.
        learning_rate: Of Adam.
        imitation: Weight of self-imitation.
        generator: Draws the made-up tasks.
    """

    def __init__(
        self,
        network: PolicyNetwork,
        tasks: NDArray[np.float64],
        listed: NDArray[np.int64] | None,
        learning_rate: float,
        imitation: float,
        generator: np.random.Generator,
    ) -> None:
        self.network = network
        number = MADE_UP_TASKS * len(tasks)
        self._mixtures = generator.dirichlet(np.full(len(tasks), 0.5), number) * generator.random((number, 1))
        self._tasks = torch.as_tensor(np.concatenate([tasks, self._mixtures]), dtype=torch.float32)
        self._listed = None if listed is None else self._one_hot(listed)
        self._imitation = imitation
        self._optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def remember(self, levels: NDArray[np.int64], rewards: NDArray[np.float64]) -> None:
        """Say what is known.

        Args:
            levels: int64 array of shape (S, P): the settings that were tried.
            rewards: float64 array of shape (T, S): their rewards on each task, on the task's own scale.
        """
        self._known = self._one_hot(levels)
        mean = rewards.mean(axis=0)
        made_up = mean + self._mixtures @ (rewards - mean)
        self._rewards = torch.as_tensor(np.concatenate([rewards, made_up]), dtype=torch.float32)
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
        with pinned_threads(THREADS):
            logs = self._log_probabilities()
            losses = -self._imitation * logs.gather(1, self._best[:, None])[:, 0]
            losses[tasks] -= advantage * logs[tasks, drawn_]
            self._step(losses)

    def replay(self, steps: int) -> None:
        """Steps of REINFORCE on all that is known, in expectation instead of by drawing.

        The policy is restricted to the known settings and renormalised; its expected reward there is
        differentiable exactly, so nothing is off-policy and a baseline would change nothing.
        """
        with pinned_threads(THREADS):
            for _ in range(steps):
                logs = self._log_probabilities()
                expected = (functional.softmax(logs, dim=1) * self._rewards).sum(dim=1)
                best = logs.gather(1, self._best[:, None])[:, 0]
                self._step(-expected - self._imitation * best)

    def _one_hot(self, levels: NDArray[np.int64]) -> torch.Tensor:
        """Settings (S, P) as rows that pick their log-probability out of the heads': shape (S, P * levels)."""
        one_hot = functional.one_hot(torch.as_tensor(levels), self.network._missing.shape[1])
        return one_hot.flatten(1).float()

    def _log_probabilities(self) -> torch.Tensor:
        """Of each known setting for each task, among the settings there are: shape (tasks, S)."""
        heads = self.network(self._tasks).flatten(1)
        logs: torch.Tensor = heads @ self._known.T
        if self._listed is not None:
            logs = logs - torch.logsumexp(heads @ self._listed.T, dim=1, keepdim=True)
        return logs

    def _step(self, losses: torch.Tensor) -> None:
        self._optimiser.zero_grad()
        # torch's stubs leave `backward` untyped.
        losses.mean().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
