"""Datasets with layers: rendered by several workers, after kills, and refused where they can't be had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from test_rendering import SETTING, TITLE, local, sim

from task2sim import Exporter, PluginError, RenderedDataset, StoreError
from task2sim.choice import Chosen
from task2sim.components import close_components
from task2sim.config import load_study
from task2sim.generate import generate_dataset
from task2sim.interfaces import Executor
from task2sim.layers import ARRAY_LAYERS, LAYERS, ordered_layers
from task2sim.rendering import PIECE, render_dataset
from task2sim.store import Store, hash_key
from task2sim.study import check_study, run_study


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    close_components()


def render(
    folder: Path, images: int = 50, executor: Executor | None = None, layers: tuple[str, ...] = LAYERS, **config: Any
) -> RenderedDataset:
    folder.mkdir(exist_ok=True)
    render_dataset(sim(layers=True, **config), SETTING, images, 7, folder, executor, layers)
    return RenderedDataset.open(folder)


def assert_same(one: RenderedDataset, other: RenderedDataset) -> None:
    for field in ("images", "labels", *(layer.field for layer in ARRAY_LAYERS.values())):
        assert np.array_equal(getattr(one, field), getattr(other, field)), field
    assert one.scenes is not None
    assert other.scenes is not None
    assert list(one.scenes) == list(other.scenes)


def test_layers_are_kept_as_they_were_rendered(tmp_path: Path) -> None:
    dataset = render(tmp_path / "d", resolution=5)
    assert dataset.layers == frozenset(LAYERS)
    batches = list(toys.Sim(toys.Sim.Config(layers=True, resolution=5)).render(SETTING, range(50), 7))
    for name, layer in ARRAY_LAYERS.items():
        kept, due = getattr(dataset, layer.field), np.concatenate([getattr(b, layer.field) for b in batches])
        assert isinstance(kept, np.memmap), name
        assert not kept.flags.writeable
        assert kept.dtype == due.dtype
        assert np.array_equal(kept, due), name
    scenes = [scene for batch in batches for scene in batch.scenes or ()]
    assert dataset.scenes is not None
    assert list(dataset.scenes) == scenes
    assert dataset.scene(17) == dataset.scenes[17] == dataset.scenes[-33] == scenes[17]
    assert list(dataset.scenes[3:40:9]) == scenes[3:40:9]
    with pytest.raises(IndexError):
        dataset.scenes[50]


@pytest.mark.parametrize("name", LAYERS)
def test_only_layers_that_are_read_are_kept(tmp_path: Path, name: str) -> None:
    dataset = render(tmp_path / "d", layers=(name,))
    assert dataset.layers == {name}
    files = {path.name for path in (tmp_path / "d").iterdir()} - {"images.npy", "labels.npy", "dataset.json"}
    assert files == ({"scenes", "scenes.npy"} if name == "scene-graph" else {f"{ARRAY_LAYERS[name].field}.npy"})


def test_no_layers_leave_no_trace(tmp_path: Path) -> None:
    dataset = render(tmp_path / "d", layers=())
    assert dataset.layers == frozenset()
    assert "layers" not in (tmp_path / "d" / "dataset.json").read_text()
    with pytest.raises(StoreError, match="no scene graphs"):
        dataset.scene(0)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_no_difference(tmp_path: Path, workers: int) -> None:
    images = 2 * PIECE + 10
    with local(workers) as executor:
        assert_same(render(tmp_path / "other", images, executor), render(tmp_path / "whole", images))


@pytest.mark.parametrize("stop", [0, 7, 21, 49])
def test_a_killed_render_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    whole = render(tmp_path / "whole")
    toy_render = toys.Sim.render

    def killed(self, setting, indices, seed):
        for batch in toy_render(self, setting, indices, seed):
            if batch.indices[0] >= stop:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(toys.Sim, "render", killed)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "killed")
    monkeypatch.undo()
    monkeypatch.setenv("TASK2SIM_PLUGINS", "simulators:toy=toys:Sim")
    assert_same(render(tmp_path / "killed"), whole)


@pytest.mark.parametrize("moment", ["scenes", "labels"])
def test_a_kill_in_the_middle_of_a_batch_costs_that_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from task2sim import rendering

    whole = render(tmp_path / "whole")
    writes = 0
    place_write = rendering._Places.write

    def torn(self, first, values):
        nonlocal writes
        writes += first == 14
        # Of a batch the image, four arrays and the scenes' places are written, and then the labels.
        if first == 14 and writes == (6 if moment == "scenes" else 7):
            raise KeyboardInterrupt
        place_write(self, first, values)

    monkeypatch.setattr(rendering._Places, "write", torn)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "torn")
    monkeypatch.setattr(rendering._Places, "write", place_write)
    assert (np.load(tmp_path / "torn" / "labels.npy") >= 0).sum() == 14
    assert_same(render(tmp_path / "torn"), whole)


def test_after_kill_9_it_goes_on(tmp_path: Path) -> None:
    images = 2 * PIECE + 10
    whole = render(tmp_path / "whole", images)
    script = tmp_path / "work.py"
    script.write_text(
        "import pathlib\n"
        "import test_layers as t\n"
        "if __name__ == '__main__':\n"
        "    with t.local(2) as executor:\n"
        f"        t.render(pathlib.Path({str(tmp_path / 'd')!r}), {images}, executor, sleep=0.02)\n"
    )
    labels = tmp_path / "d" / "labels.npy"
    with subprocess.Popen([sys.executable, script], env={**os.environ}) as process:
        deadline = time.monotonic() + 30
        while not (labels.exists() and np.sum(np.load(labels) >= 0) > 40) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.3)  # workers end with their parent
    assert 40 < (np.load(labels) >= 0).sum() < images
    assert_same(render(tmp_path / "d", images), whole)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no depth", "gave no depth, which its capabilities promise"),
        ("wide normals", "gave normals as float64 of shape (7, 4, 4, 3) instead of float32 (7, 4, 4, 3)"),
        ("few scenes", "gave 1 scene graphs for 7 images"),
        ("no plain scenes", "gave a scene graph that JSON can't hold: Object of type object is not JSON"),
    ],
)
def test_a_simulator_is_held_to_its_capabilities(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        render(tmp_path / "d", fault=fault)
    assert f"{TITLE} {message}" in str(caught.value)
    assert not (tmp_path / "d" / "dataset.json").exists()


def test_a_scene_that_was_spoilt_is_one_line(tmp_path: Path) -> None:
    dataset = render(tmp_path / "d")
    (piece,) = (tmp_path / "d" / "scenes").iterdir()
    piece.write_bytes(b"?" * piece.stat().st_size)
    with pytest.raises(StoreError, match=r"can't read a scene graph: .*; remove the dataset's folder") as caught:
        dataset.scene(3)
    assert caught.value.place == str(piece)


def test_layers_have_an_order() -> None:
    assert ordered_layers({"scene-graph", "depth", "instance-mask"}) == ("instance-mask", "depth", "scene-graph")
    with pytest.raises(PluginError, match="there is no layer 'edges'; layers are instance-mask"):
        ordered_layers(["edges"])


# --- those who read them ---


class Masks(Exporter):
    """Writes nothing but what it was given."""

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({"instance-mask", "scene-graph"})

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        (folder / "layers.txt").write_text(" ".join(sorted(dataset.layers)))


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> Chosen:
    from task2sim import registry

    monkeypatch.setenv("TASK2SIM_PLUGINS", f"{os.environ['TASK2SIM_PLUGINS']},exporters:masks=test_layers:Masks")
    registry.installed_plugins.cache_clear()
    return Chosen.parse("exporters", "masks")


def test_generate_renders_what_the_exporter_reads(tmp_path: Path, study: Path, masks: Chosen) -> None:
    file = load_study(str(study), ["simulator.layers=true"])
    store = Store(tmp_path / "store")
    dataset = generate_dataset(file, "default", 9, 1, masks, tmp_path / "out", store)
    assert dataset.layers == {"instance-mask", "scene-graph"}
    assert (tmp_path / "out" / "layers.txt").read_text() == "instance-mask scene-graph"


def test_generate_refuses_a_simulator_without_them(tmp_path: Path, study: Path, masks: Chosen) -> None:
    with pytest.raises(Exception, match="reads instance-mask and scene-graph") as caught:
        generate_dataset(load_study(str(study)), "default", 9, 1, masks, tmp_path / "out", Store(tmp_path / "store"))
    assert str(caught.value) == (
        "--exporter: 'masks' reads instance-mask and scene-graph, which simulator 'toy' does not give; "
        "choose a simulator that does; this one gives images and labels alone"
    )
    assert not (tmp_path / "out").exists()


def test_a_study_renders_what_its_trainer_reads(tmp_path: Path, study: Path) -> None:
    overrides = ["simulator.layers=true", "trainer={type: toy, layers: [depth, instance-mask]}", "comparison.seeds=1"]
    store = Store(tmp_path / "store")
    run = run_study(load_study(str(study), overrides), tmp_path / "runs", store)
    keys = {row["dataset"] for row in run.results.query("SELECT dataset FROM trials WHERE dataset != ''")}
    assert keys
    for key in keys:
        assert RenderedDataset.open(store.path("datasets", key)).layers == {"depth", "instance-mask"}


def test_a_study_whose_simulator_lacks_them_is_refused(study: Path, task2sim: Callable[..., Any]) -> None:
    trainer = "trainer={type: toy, layers: [depth]}"
    with pytest.raises(Exception, match="'toy' reads depth, which simulator 'toy' does not give") as caught:
        check_study(load_study(str(study), [trainer]))
    assert "study.yaml" in str(caught.value) or "trainer" in str(caught.value)
    answer = task2sim("validate", study, "--set", trainer)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "reads depth" in answer.stderr


def test_keys_without_layers_are_those_of_before(study: Path) -> None:
    from task2sim.components import ComponentSpec
    from task2sim.trial import dataset_data

    spec = ComponentSpec.of(load_study(str(study)).study.simulator)
    data = dataset_data(spec, SETTING, 20, 3, ())
    assert data.keys() == {"stage", "simulator", "setting", "images", "seed"}
    assert hash_key(dataset_data(spec, SETTING, 20, 3, ("depth",))) != hash_key(data)
