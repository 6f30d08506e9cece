"""Builds to test against: the peer in place of Unity."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

INSTALL = "ThreeDWorld is not installed: pip install 'task2sim[threedworld]'"


def _write_build(path: Path, **options: Any) -> Path:
    for library in ("tdw", "zmq"):
        pytest.importorskip(library, reason=INSTALL)
    if sys.platform == "win32":
        pytest.skip("the peer's executable is a shell script")
    from task2sim_threedworld.testing import write_build

    return write_build(path, **options)


@pytest.fixture
def peer_build(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes an executable which acts as the Unity build; it takes what `write_build` takes."""
    return lambda name="TDW.x86_64", **options: _write_build(tmp_path / name, **options)


@pytest.fixture(scope="session")
def calm_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that behaves."""
    return _write_build(tmp_path_factory.mktemp("build") / "TDW.x86_64")


def _simulator(build: Path, resolution: int) -> Any:
    from task2sim_threedworld.simulator import ThreeDWorld

    config = ThreeDWorld.Config(build=build, categories=("chair", "bowl", "vase"), resolution=resolution)
    return ThreeDWorld(config)


@pytest.fixture(scope="session")
def calm(calm_build: Path) -> Iterator[Any]:
    """A simulator of few categories on one build, for all tests that only render."""
    with _simulator(calm_build, 48) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def fine(calm_build: Path) -> Iterator[Any]:
    """The same with images in which the blur of a lens of some centimetres shows."""
    with _simulator(calm_build, 224) as simulator:
        yield simulator
