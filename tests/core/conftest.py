from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from task2sim import registry

HERE = Path(__file__).parent

TOYS = ",".join(
    [
        "tasks:toy=toys:Tasks",
        "embedders:toy=toys:Embedder",
        "policies:toy=toys:Policy",
        "simulators:toy=toys:Sim",
        "trainers:toy=toys:Train",
        "evaluators:toy=toys:Evaluate",
        "rewards:toy=toys:Table",
        "observers:raising=toys:Raising",
        "observers:misspelt=toys:Misspelt",
        "observers:stopper=toys:Stopper",
    ]
)

STUDY = """\
name: toy
seed: 3
tasks:
  sources: [toy]
  seen: [apples, birds]
  unseen: [cars]
embedder: toy
policy: toy
simulator: {type: toy, resolution: 4}
trainer: toy
evaluator: toy
executor: {type: local, workers: 1}
observers: []
images: 20
pretrainings: 4
settings_per_round: 2
comparison: {seeds: 2, random: 2}
"""


TABLE_STUDY = """\
name: toy-table
seed: 3
tasks:
  seen: [apples, birds]
  unseen: [cars]
policy: toy
rewards: toy
observers: []
pretrainings: 4
"""


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the toys, for this process and those it starts."""
    monkeypatch.setenv("TASK2SIM_PLUGINS", TOYS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    registry.installed_plugins.cache_clear()
    yield
    registry.installed_plugins.cache_clear()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def table_study(tmp_path: Path) -> Path:
    path = tmp_path / "table.yaml"
    path.write_text(TABLE_STUDY)
    return path


@pytest.fixture
def task2sim(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, with runs and store in the test's folder."""

    def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "task2sim", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "TASK2SIM_STORE": str(tmp_path / "store"), "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call
