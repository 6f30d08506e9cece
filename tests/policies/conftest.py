"""A study in miniature, which holds every policy to the interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from safetensors.numpy import load, save

from task2sim import ParameterPolicy, ParameterSetting, PolicyState, TaskEmbedding, TaskScore

Reward = Callable[[str, ParameterSetting], float]
Study = Callable[..., list[ParameterSetting]]


@pytest.fixture
def study() -> Study:
    """Goes on with a search and returns the settings it tried."""

    def run(
        policy: ParameterPolicy, tasks: Mapping[str, TaskEmbedding], reward: Reward, budget: int, n: int = 2
    ) -> list[ParameterSetting]:
        tried: list[ParameterSetting] = []
        while len(tried) < budget:
            most = min(n, budget - len(tried))
            settings = policy.propose(tasks, most)
            if not settings:
                break
            new = [setting for setting in settings if setting not in tried]
            assert len(set(settings)) == len(settings)
            assert len(new) <= most
            tried += new
            policy.observe([TaskScore(task, s, reward(task, s)) for s in settings for task in tasks])
        return tried

    return run


@pytest.fixture
def saved() -> Callable[[ParameterPolicy], PolicyState]:
    """A policy's state as it comes back from its files."""

    def through_files(policy: ParameterPolicy) -> PolicyState:
        state = policy.state()
        arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
        return PolicyState(load(save(arrays)), json.loads(json.dumps(dict(state.data))))

    return through_files
