from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import TaskError
from task2sim_tasks.arrays import ArrayTasks

DATA = Path(__file__).parents[3] / "shared" / "data" / "tasks"


def arrays(grey: bool = False, **changes: Any) -> dict[str, Any]:
    shape = (30, 10, 12) if grey else (30, 10, 12, 3)
    good = {
        "images": np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        "labels": np.arange(30) % 3,
        "split": (np.arange(30) >= 15).astype(np.int8),
        "classes": np.array(["a", "b", "c"]),
    }
    return {key: value for key, value in (good | changes).items() if value is not None}


def write(folder: Path, name: str = "task", **changes: Any) -> Path:
    np.savez(folder / f"{name}.npz", **arrays(**changes))
    return folder / f"{name}.npz"


def source(path: Path, **values: Any) -> ArrayTasks:
    return ArrayTasks(ArrayTasks.Config(path=path, **values))


def test_folder_of_files(tmp_path: Path) -> None:
    write(tmp_path, "b")
    write(tmp_path, "a", grey=True)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".hidden.npz").write_text("x")
    tasks = source(tmp_path)
    assert tasks.names() == ("a", "b")
    grey = tasks.load("a")
    assert grey.train.images.shape == (12, 10, 12, 3)
    assert (grey.train.images[..., 0] == grey.train.images[..., 2]).all()


def test_splits(tmp_path: Path) -> None:
    file = write(tmp_path)
    task = source(file).load("task")
    assert task.classes == ("a", "b", "c")
    assert [len(task.split(split)) for split in ("train", "val", "test")] == [12, 3, 15]
    assert (np.bincount(task.val.labels) == 1).all()
    good = arrays()
    assert np.array_equal(task.test.images, good["images"][15:])
    assert np.array_equal(task.test.labels, good["labels"][15:])
    fit = {image.tobytes() for part in (task.train, task.val) for image in part.images}
    assert fit == {image.tobytes() for image in good["images"][:15]}
    assert source(file).load("task").fingerprint == task.fingerprint


def test_image_size(tmp_path: Path) -> None:
    task = source(write(tmp_path, grey=True), image_size=8).load("task")
    assert task.test.images.shape == (15, 8, 8, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, "no 'split'"),
        ({"images": np.zeros((30, 8, 8), np.float32)}, "'images' is float32"),
        ({"images": np.zeros((30, 8, 8, 4), np.uint8)}, r"'images' is uint8 of shape \(30, 8, 8, 4\)"),
        ({"images": np.zeros((30, 8), np.uint8)}, r"shape \(30, 8\)"),
        ({"images": np.zeros((30, 0, 8), np.uint8)}, r"shape \(30, 0, 8\)"),
        ({"labels": np.zeros(29, np.int64)}, r"'labels' is int64 of shape \(29,\)"),
        ({"labels": np.zeros(30)}, "'labels' is float64"),
        ({"labels": np.arange(30) % 4}, "'labels' has values outside 0 to 2"),
        ({"labels": np.arange(30) % 3 - 1}, "'labels' has values outside 0 to 2"),
        ({"split": np.zeros((30, 1), np.int8)}, "'split' is int8"),
        ({"split": np.arange(30) % 3}, "besides 0 and 1"),
        ({"split": np.zeros(30, np.int8)}, "no image belongs to test"),
        ({"split": np.ones(30, np.int8)}, "no image belongs to train"),
        ({"classes": np.arange(3)}, "'classes' is int64"),
        ({"classes": np.array(["a", "b", "c"], dtype=object)}, "pickled"),
        ({"classes": np.array(["a"]), "labels": np.zeros(30, np.int64)}, "has 1 class"),
    ],
)
def test_bad_arrays(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(TaskError, match=message) as caught:
        source(file).load("task")
    assert "\n" not in str(caught.value)
    assert caught.value.mend
    if "1 class" not in message:
        assert caught.value.place == str(file)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_broken_file(tmp_path: Path, kept: float) -> None:
    file = write(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(TaskError, match=r"task\.npz: "):
        source(tmp_path).load("task")


@pytest.mark.parametrize("value", [0x00, 0x55, 0xFF])
@pytest.mark.parametrize("place", [70, 500])
def test_damaged_bytes(tmp_path: Path, place: int, value: int) -> None:
    np.savez_compressed(tmp_path / "task.npz", **arrays())
    data = bytearray((tmp_path / "task.npz").read_bytes())
    data[place : place + 100] = bytes([value] * 100)
    (tmp_path / "task.npz").write_bytes(data)
    with pytest.raises(TaskError, match=r"task\.npz: can't read the file"):
        source(tmp_path).load("task")


def test_npy_in_disguise(tmp_path: Path) -> None:
    with (tmp_path / "task.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TaskError, match=r"is no \.npz file"):
        source(tmp_path).load("task")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"holds no \.npz files"):
        source(tmp_path).names()
    with pytest.raises(TaskError, match="no such file or folder"):
        source(tmp_path / "none").names()
    with pytest.raises(TaskError, match=r"no task 'b'; choose one of a"):
        source(write(tmp_path, "a")).load("b")


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared development data is not here")
def test_development_data() -> None:
    tasks = source(DATA, image_size=32)
    assert len(tasks.names()) == 8
    task = tasks.load("hiragana_fonts")
    assert len(task.classes) == 46
    assert sum(len(task.split(split)) for split in ("train", "val", "test")) == 2760
