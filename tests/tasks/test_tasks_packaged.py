from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydantic
import pytest

from task2sim import Task, TaskError
from task2sim_tasks import crops, letters
from task2sim_tasks.packaged import PackagedTasks

NAMES = ("digits", "faces", "surfaces", "letters", "photographs")
COUNTS = {
    "digits": (1078, 360, 359),
    "faces": (100, 50, 50),
    "surfaces": (600, 300, 300),
    "letters": (936, 390, 468),
    "photographs": (576, 288, 288),
}


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    source = PackagedTasks(PackagedTasks.Config(image_size=32))
    return {name: source.load(name) for name in source.names()}


def test_names() -> None:
    assert PackagedTasks(PackagedTasks.Config()).names() == NAMES


def test_images_and_labels(tasks: dict[str, Task]) -> None:
    for name, task in tasks.items():
        assert task.name == name
        assert task.domain
        assert (len(task.train), len(task.val), len(task.test)) == COUNTS[name]
        for split in ("train", "val", "test"):
            part = task.split(split)
            assert part.images.shape[1:] == (32, 32, 3)
            counts = np.bincount(part.labels, minlength=len(task.classes))
            assert counts.min() > 0.7 * counts.max()
        assert task.train.images.std() > 20


def test_no_image_is_in_two_splits(tasks: dict[str, Task]) -> None:
    for name in ("digits", "faces", "letters", "surfaces"):
        parts = [{image.tobytes() for image in tasks[name].split(split).images} for split in ("train", "val", "test")]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


def test_crops_of_two_splits_share_no_pixel() -> None:
    numbered = np.arange(512 * 384).reshape(512, 384)
    parts = [
        np.unique(crops._crops(numbered, numbers, block=128, crop=16, step=28))
        for numbers in crops._BLOCKS_OF.values()
    ]
    assert sum(len(part) for part in parts) == len(np.unique(np.concatenate(parts)))


def test_no_font_is_in_two_splits() -> None:
    fonts = [font for split in letters._FONTS.values() for font in split]
    assert len(fonts) == len(set(fonts)) == 23


def test_letters_lie_within_the_image(tasks: dict[str, Task]) -> None:
    for split in ("train", "val", "test"):
        images = tasks["letters"].split(split).images
        border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
        assert border.min() == 255
        assert images.min(axis=(1, 2, 3)).max() < 128


def test_faces_are_the_faces(tasks: dict[str, Task]) -> None:
    """Faces are bright in the middle; most of the other crops are of dark surroundings."""
    images, labels = tasks["faces"].train.images, tasks["faces"].train.labels
    middle = images[:, 12:20, 12:20].mean(axis=(1, 2, 3))
    face = labels == tasks["faces"].classes.index("face")
    assert middle[face].mean() > middle[~face].mean() + 30


def test_same_every_time(tasks: dict[str, Task]) -> None:
    source = PackagedTasks(PackagedTasks.Config(image_size=32))
    for name, task in tasks.items():
        assert source.load(name).fingerprint == task.fingerprint


def test_limit(tasks: dict[str, Task]) -> None:
    task = PackagedTasks(PackagedTasks.Config(image_size=32, images=60)).load("digits")
    assert [len(task.split(split)) for split in ("train", "val", "test")] == [60, 60, 60]
    assert (np.bincount(task.train.labels) == 6).all()
    whole = {image.tobytes() for image in tasks["digits"].train.images}
    assert {image.tobytes() for image in task.train.images} <= whole


def test_image_size() -> None:
    task = PackagedTasks(PackagedTasks.Config(image_size=20)).load("letters")
    assert task.test.images.shape[1:] == (20, 20, 3)


@pytest.mark.parametrize("values", [{"image_size": 7}, {"image_size": 513}, {"images": 1}, {"imges": 5}])
def test_bad_config(values: dict[str, int]) -> None:
    with pytest.raises(pydantic.ValidationError):
        PackagedTasks.Config(**values)


def test_unknown_task() -> None:
    with pytest.raises(TaskError, match=r"no packaged task 'cats'; choose one of digits, faces"):
        PackagedTasks(PackagedTasks.Config()).load("cats")


def test_missing_files_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(TaskError, match=r"can't make the packaged task 'letters'.*; reinstall"):
        PackagedTasks(PackagedTasks.Config()).load("letters")


@pytest.mark.parametrize("module", ["packaged", "folder", "arrays", "huggingface"])
def test_import_is_light(module: str) -> None:
    heavy = "{'torch', 'sklearn', 'skimage', 'scipy', 'matplotlib', 'datasets', 'pandas'}"
    code = f"import sys, task2sim_tasks.{module}; print(*sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
