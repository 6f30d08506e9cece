"""Datasets that exporters are tried with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from task2sim import RenderedDataset
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.conformance.specimens import make_dataset, pictures
from task2sim.layers import LAYERS
from task2sim.rendering import render_dataset


@pytest.fixture
def textures(tmp_path: Path) -> RenderedDataset:
    """Nineteen images of 16 x 20 pixels with two objects each, and all layers."""
    folder = tmp_path / "textures"
    folder.mkdir()
    return make_dataset(folder, *pictures(19, (16, 20), seed=4))


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedDataset]:
    """Twelve images of the studio, with several objects each, and all layers."""
    simulator = ComponentSpec.of(
        Chosen.parse(
            "simulators",
            {
                "type": "studio",
                "resolution": 48,
                "categories": ["mug", "vase", "teapot", "chair"],
                "further_parameters": ["object_count", "clutter"],
                "device": "cpu",
            },
        )
    )
    folder = tmp_path_factory.mktemp("things")
    space = simulator.component().parameter_space
    render_dataset(simulator, space.everything_varied(), 12, 3, folder, layers=LAYERS)
    dataset = RenderedDataset.open(folder)
    assert dataset.instance_mask is not None
    assert np.max(dataset.instance_mask) > 3
    yield dataset
    close_components()
