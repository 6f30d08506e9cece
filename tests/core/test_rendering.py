from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, PluginError, Progress, RenderedDataset, StoreError
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.interfaces import Executor
from task2sim.progress import progress_listener
from task2sim.rendering import PIECE, _pieces, render_dataset

SETTING = TASK2SIM_PARAMETERS.setting(background=1)
TITLE = "simulator 'toy' (TASK2SIM_PLUGINS development)"


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    close_components()


def sim(**config: object) -> ComponentSpec:
    return ComponentSpec.of(Chosen.parse("simulators", {"type": "toy", **config}))


def local(workers: int) -> Executor:
    executor: Executor = Chosen.parse("executors", {"type": "local", "workers": workers}).build()
    return executor


def render(
    folder: Path, simulator: ComponentSpec, images: int = 50, executor: Executor | None = None
) -> RenderedDataset:
    folder.mkdir(exist_ok=True)
    render_dataset(simulator, SETTING, images, 7, folder, executor)
    return RenderedDataset.open(folder)


def same(one: RenderedDataset, other: RenderedDataset) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


def test_a_dataset_is_whole_and_says_what_it_is(tmp_path: Path) -> None:
    dataset = render(tmp_path / "d", sim(resolution=5))
    assert dataset.images.shape == (50, 5, 5, 3)
    assert np.array_equal(dataset.labels, np.arange(50) % 3)
    assert dataset.categories == ("cup", "dog", "hat")
    assert dataset.setting == SETTING
    assert dataset.simulator == TITLE
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["dataset.json", "images.npy", "labels.npy"]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    images = 2 * PIECE + 10
    whole = render(tmp_path / "whole", sim(), images)
    monkeypatch.setenv("TOY_LIFE_LOG", str(tmp_path / "log"))
    heard: list[Progress] = []
    with local(workers) as executor, progress_listener(heard.append):
        assert same(render(tmp_path / "other", sim(), images, executor), whole)
    done = [progress.done for progress in heard]
    assert {(progress.stage, progress.total, progress.unit, progress.job) for progress in heard} == {
        ("render", images, "images", "")
    }
    assert done == sorted(set(done))  # it only ever grows
    assert done[-1] == images
    processes = {int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines() if line[0] == "o"}
    assert (os.getpid() in processes) == (workers == 1)


def test_progress_is_whole_even_if_none_was_told(tmp_path: Path) -> None:
    class Silent(Executor):
        workers = 2

        def map(self, function, items, listener=None):
            with progress_listener(lambda progress: None):
                yield from [function(item) for item in items]

    heard: list[Progress] = []
    with progress_listener(heard.append):
        render(tmp_path / "d", sim(), PIECE + 1, Silent(None))
    assert [progress.done for progress in heard] == [129, PIECE + 1]


def test_few_images_are_rendered_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_LIFE_LOG", str(tmp_path / "log"))
    with local(2) as executor:
        render(tmp_path / "d", sim(), PIECE, executor)
    assert {int(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()} == {os.getpid()}


@given(
    st.lists(st.integers(0, 3000), max_size=12),
    st.integers(1, 9),
)
def test_pieces_are_what_is_missing_and_even(holes: list[int], workers: int) -> None:
    missing = np.setdiff1d(np.arange(3000), holes)
    pieces = _pieces(missing, workers)
    assert [i for piece in pieces for i in piece] == missing.tolist()
    assert max(map(len, pieces)) <= PIECE
    whole = _pieces(np.arange(len(missing)), workers)
    assert len(whole) % workers == 0
    assert max(map(len, whole)) - min(map(len, whole)) <= len(whole)


def test_nothing_missing_is_no_piece() -> None:
    assert _pieces(np.arange(0), 2) == []


@pytest.mark.parametrize("stop", [0, 7, 21, 49])
def test_a_killed_render_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    whole = render(tmp_path / "whole", sim())
    rendered: list[int] = []
    toy_render = toys.Sim.render

    def killed(self, setting, indices, seed):
        for batch in toy_render(self, setting, indices, seed):
            if batch.indices[0] >= stop:
                raise KeyboardInterrupt
            rendered.extend(batch.indices)
            yield batch

    monkeypatch.setattr(toys.Sim, "render", killed)
    with pytest.raises(KeyboardInterrupt):
        render(tmp_path / "killed", sim())
    with pytest.raises(StoreError):
        RenderedDataset.open(tmp_path / "killed")

    def watched(self, setting, indices, seed):
        rendered.extend(indices)
        return toy_render(self, setting, indices, seed)

    monkeypatch.setattr(toys.Sim, "render", watched)
    heard: list[Progress] = []
    with progress_listener(heard.append):
        assert same(render(tmp_path / "killed", sim()), whole)
    assert rendered == list(range(50))  # no image twice
    assert heard[0].done == stop + min(7, 50 - stop)


@pytest.mark.parametrize("victim", ["parent", "worker"])
def test_after_kill_9_next_to_nothing_is_lost(tmp_path: Path, victim: str) -> None:
    images = 2 * PIECE + 10
    whole = render(tmp_path / "whole", sim(), images)
    script = tmp_path / "work.py"
    script.write_text(
        "import pathlib, sys\n"
        "import test_rendering as t\n"
        "from task2sim import PluginError\n"
        "if __name__ == '__main__':\n"
        "    with t.local(2) as executor:\n"
        "        try:\n"
        f"            t.render(pathlib.Path({str(tmp_path / 'd')!r}), t.sim(sleep=0.02), {images}, executor)\n"
        "        except PluginError as error:\n"
        "            sys.exit(str(error))\n"
    )
    log = tmp_path / "log"
    environment = {**os.environ, "TOY_LIFE_LOG": str(log)}
    labels = tmp_path / "d" / "labels.npy"
    with subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not (labels.exists() and np.sum(np.load(labels) >= 0) > 40) and time.monotonic() < deadline:
            time.sleep(0.01)
        worker = int(log.read_text().split()[1])
        os.kill(worker if victim == "worker" else process.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=20)
    time.sleep(0.2)  # workers end with their parent
    done = np.load(labels) >= 0
    assert 40 < done.sum() < images
    assert np.array_equal(np.load(tmp_path / "d" / "images.npy", mmap_mode="r")[done], whole.images[done])
    if victim == "worker":
        assert errors.startswith("a worker process died; ")
        assert len(errors.splitlines()) == 1
    heard: list[Progress] = []
    with progress_listener(heard.append):
        assert same(render(tmp_path / "d", sim(), images), whole)  # with another number of workers
    assert heard[0].done == done.sum() + 7


def test_an_error_in_a_worker_comes_back_in_one_line(tmp_path: Path) -> None:
    with local(2) as executor, pytest.raises(PluginError, match="the lens is broken") as caught:
        render(tmp_path / "d", sim(fault="raise"), PIECE + 1, executor)
    assert "toys.py:" in caught.value.place
    assert "RuntimeError" in caught.value.details
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", "raised RuntimeError: the lens is broken"),
        ("order", "gave images [6 5 4]... where 0... was due"),
        ("label", "gave labels outside 0 to 2, or not one for each image"),
        ("shape", "gave images of uint8 (1, 4, 3) instead of uint8 (4, 4, 3)"),
        ("short", "rendered 7 of 50 images"),
    ],
)
def test_a_simulator_is_held_to_its_promises(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        render(tmp_path / "d", sim(fault=fault))
    assert f"{TITLE} {message}" in str(caught.value)
    assert not (tmp_path / "d" / "dataset.json").exists()


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no space left on the disk"):
        render(tmp_path / "d", sim(fault="full"))


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    images = shutil.disk_usage(tmp_path).free // (4 * 4 * 3 + 8) + 10**9
    with pytest.raises(StoreError, match=r"images of 4 x 4 pixels need [\d.]+ GB, [\d.]+ GB are free; render fewer"):
        render(tmp_path / "d", sim(), images)
    assert list((tmp_path / "d").iterdir()) == []


def test_a_disk_that_fills_up_while_room_is_made_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        os.truncate(descriptor, size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        render(tmp_path / "d", sim())
    assert list((tmp_path / "d").iterdir()) == []


@pytest.mark.parametrize("missing", [True, False])
def test_room_need_not_be_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool) -> None:
    whole = render(tmp_path / "whole", sim())

    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if missing:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    assert same(render(tmp_path / "d", sim()), whole)


def test_something_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="remove this folder"):
        RenderedDataset.open(tmp_path)
