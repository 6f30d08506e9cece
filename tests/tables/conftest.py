from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import Choice, Interval, ParameterSpace, Toggle

SPACE = ParameterSpace(
    [Toggle("fog"), Choice("sky", ("grey", "blue")), Interval("sun", 0.0, 90.0, description="in °")]
)

DATA: dict[str, Any] = {
    "format": "task2sim table",
    "version": 1,
    "metric": "accuracy",
    "source": {"run": "a"},
    "parameters": SPACE.describe(),
    "settings": [
        {"fog": 0, "sky": "grey", "sun": 45.0},
        {"fog": 1, "sky": "blue", "sun": 0.1},
        {"fog": 1, "sky": "grey", "sun": 90.0},
    ],
    "tasks": ["cats", "dogs"],
    "scores": {
        "val": {"cats": [0.25, 0.5, 1], "dogs": [0.1, 0.2, 0.3]},
        "test": {"dogs": [0.6, 0.5, 0.4], "cats": [0, 0.9, 0.8]},
    },
}


@pytest.fixture(scope="session")
def good() -> dict[str, Any]:
    """What a good table.json holds."""
    return DATA


@pytest.fixture
def data(good: dict[str, Any]) -> dict[str, Any]:
    """The same, to be spoilt."""
    return copy.deepcopy(good)


@pytest.fixture
def vectors() -> dict[str, Any]:
    return {"cats": np.array([1, 2], np.float32), "dogs": np.array([2, 0.5], np.float32)}


@pytest.fixture
def write(tmp_path: Path, vectors: dict[str, Any]) -> Callable[[dict[str, Any]], Path]:
    """Writes a table folder as it is told, right or wrong."""

    def written(data: dict[str, Any]) -> Path:
        (tmp_path / "table.json").write_text(json.dumps(data))
        np.savez(tmp_path / "embeddings.npz", **vectors)
        return tmp_path

    return written
