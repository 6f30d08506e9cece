from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toys

from task2sim import TASK2SIM_PARAMETERS, PluginError, RenderedDataset, StoreError
from task2sim import rendering as rendering_module
from task2sim.rendering import render_dataset

SETTING = TASK2SIM_PARAMETERS.setting(background=1)


def sim(**config: object) -> toys.Sim:
    return toys.Sim(toys.Sim.Config(**config))


def render(folder: Path, simulator: toys.Sim, images: int = 50) -> RenderedDataset:
    folder.mkdir(exist_ok=True)
    render_dataset(simulator, "toy 1.0", SETTING, images, 7, folder)
    return RenderedDataset.open(folder)


def test_a_dataset_is_whole_and_says_what_it_is(tmp_path: Path) -> None:
    dataset = render(tmp_path / "d", sim(resolution=5))
    assert dataset.images.shape == (50, 5, 5, 3)
    assert np.array_equal(dataset.labels, np.arange(50) % 3)
    assert dataset.categories == ("cup", "dog", "hat")
    assert dataset.setting == SETTING
    assert dataset.simulator == "toy 1.0"
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["dataset.json", "images.npy", "labels.npy"]


@pytest.mark.parametrize("stop", [0, 1, 3, 6])
def test_a_killed_render_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(rendering_module, "SHARD", 8)
    whole = render(tmp_path / "whole", sim())
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))

    class Killed(toys.Sim):
        def render(self, setting, indices, seed):
            if indices[0] >= 8 * stop:
                raise KeyboardInterrupt
            yield from super().render(setting, indices, seed)

    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "killed", Killed(toys.Sim.Config()))
    again = render(tmp_path / "killed", sim())
    assert np.array_equal(again.images, whole.images)
    assert np.array_equal(again.labels, whole.labels)
    starts = [int(line.split()[-1]) for line in log.read_text().splitlines()]
    assert starts == list(range(0, 50, 8))  # no shard twice


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", "toy 1.0 raised RuntimeError: the lens is broken"),
        ("order", "toy 1.0 gave images [6 5 4]... where 0... was due"),
        ("label", "toy 1.0 gave labels outside 0 to 2, or not one for each image"),
        ("shape", "toy 1.0 gave images of uint8 (1, 4, 3) instead of uint8 (4, 4, 3)"),
        ("short", "toy 1.0 rendered 7 of 50 images"),
    ],
)
def test_a_simulator_is_held_to_its_promises(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        render(tmp_path / "d", sim(fault=fault))
    assert message in str(caught.value)
    assert not (tmp_path / "d" / "dataset.json").exists()


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no space left on the disk"):
        render(tmp_path / "d", sim(fault="full"))


def test_something_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="remove this folder"):
        RenderedDataset.open(tmp_path)
