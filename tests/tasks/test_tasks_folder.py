from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydantic
import pytest
from PIL import Image

from task2sim import Progress, Task, TaskError
from task2sim.progress import progress_listener
from task2sim_tasks.folder import FolderTasks

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def fill(folder: Path, count: int, first: int = 0, suffix: str = "png") -> None:
    """`count` images of each colour; the first pixel's low bits tell them apart."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            image = Image.new("RGB", (16, 16), colour)
            image.putpixel((0, 0), (number, number, number))
            image.save(folder / name / f"{number:02d}.{suffix}")


def source(path: Path, **values: object) -> FolderTasks:
    return FolderTasks(FolderTasks.Config(path=path, image_size=16, **values))


def load(path: Path, **values: object) -> Task:
    tasks = source(path, **values)
    return tasks.load(tasks.names()[0])


def sizes(task: Task) -> tuple[int, int, int]:
    return (len(task.train), len(task.val), len(task.test))


def numbers(task: Task, split: str) -> list[int]:
    return sorted(task.split(split).images[:, 0, 0, 0].tolist())


def check_colours(task: Task) -> None:
    for split in ("train", "val", "test"):
        part = task.split(split)
        for image, label in zip(part.images, part.labels, strict=True):
            assert tuple(image[8, 8]) == COLOURS[task.classes[label]]


def test_three_splits(tmp_path: Path) -> None:
    for split, first, count in (("train", 0, 3), ("val", 10, 2), ("test", 20, 1)):
        fill(tmp_path / split, count, first)
    task = load(tmp_path)
    assert task.name == tmp_path.name
    assert task.classes == ("blue", "green", "red")
    assert sizes(task) == (9, 6, 3)
    assert numbers(task, "val") == [10, 10, 10, 11, 11, 11]
    assert numbers(task, "test") == [20, 20, 20]
    check_colours(task)


@pytest.mark.parametrize(
    ("given", "expected"),
    [((), (18, 6, 6)), (("val",), (24, 3, 6)), (("test",), (24, 6, 3))],
)
def test_missing_splits_come_from_train(
    tmp_path: Path, given: tuple[str, ...], expected: tuple[int, int, int]
) -> None:
    fill(tmp_path / "train", 10)
    for split in given:
        fill(tmp_path / split, 1, 50)
    task = load(tmp_path)
    assert sizes(task) == expected
    check_colours(task)
    assert len({image.tobytes() for split in ("train", "val", "test") for image in task.split(split).images}) == sum(
        expected
    )
    assert load(tmp_path).fingerprint == task.fingerprint


def test_plain_classes(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    assert sizes(load(tmp_path)) == (18, 6, 6)
    assert sizes(load(tmp_path, validation=0.1, test=0.4)) == (15, 3, 12)


def test_tiny_classes_stay_in_train(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    for number in range(1, 4):
        (tmp_path / "red" / f"0{number}.png").unlink()
    assert set(load(tmp_path).train.labels) == {0, 1, 2}


def test_class_named_train(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / "red").rename(tmp_path / "train")
    assert load(tmp_path).classes == ("blue", "green", "train")


def test_class_missing_from_test_is_fine(tmp_path: Path) -> None:
    fill(tmp_path / "train", 5)
    fill(tmp_path / "test", 2)
    shutil.rmtree(tmp_path / "test" / "green")
    assert set(load(tmp_path).test.labels) == {0, 2}


def test_hidden_files_links_and_suffixes(tmp_path: Path) -> None:
    folder = tmp_path / "task"
    fill(folder, 5)
    (folder / "red" / "00.png").rename(folder / "red" / "00.PNG")
    Image.new("RGB", (30, 20), COLOURS["red"]).save(folder / "red" / "05.JPG")
    (folder / "red" / "._00.png").write_bytes(b"resource fork")
    (folder / "red" / "notes.txt").write_text("no image")
    (folder / ".cache").mkdir()
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "README.md").write_text("no image")
    shutil.move(folder / "blue", tmp_path / "elsewhere")
    (folder / "blue").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "green" / "link.png").symlink_to(folder / "green" / "00.png")
    assert sum(sizes(load(folder))) == 17


def test_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "colours", 5)
    assert source(tmp_path / "colours", name="mine").names() == ("mine",)
    monkeypatch.chdir(tmp_path / "colours")
    assert source(Path()).names() == ("colours",)
    with pytest.raises(TaskError, match=r"no task 'other'; its task is 'mine'"):
        source(tmp_path / "colours", name="mine").load("other")


def test_names_reads_no_image(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / "red" / "00.png").write_bytes(b"broken")
    assert source(tmp_path).names()
    with pytest.raises(TaskError, match=r"red/00\.png: can't read the image: .*; replace or remove this file"):
        load(tmp_path)


def test_progress(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    seen: list[Progress] = []
    with progress_listener(seen.append):
        load(tmp_path)
    assert [(p.stage, p.done, p.total, p.unit) for p in seen] == [("load", n, 9, "images") for n in range(1, 10)]


def broken(tmp_path: Path, what: str) -> Path:
    folder = tmp_path / "task"
    if what == "missing":
        return folder
    if what == "file":
        folder.write_text("x")
        return folder
    folder.mkdir()
    if what == "empty":
        return folder
    if what == "no class folders":
        Image.new("RGB", (8, 8)).save(folder / "a.png")
        return folder
    fill(folder / "train" if what in ("stray split", "unknown class") else folder, 3)
    if what == "one class":
        shutil.rmtree(folder / "red")
        shutil.rmtree(folder / "blue")
    if what == "empty class":
        (folder / "yellow").mkdir()
    if what == "image beside":
        Image.new("RGB", (8, 8)).save(folder / "a.jpg")
    if what == "dangling link":
        (folder / "red" / "z.png").symlink_to(folder / "nowhere.png")
    if what == "stray split":
        (folder / "validation").mkdir()
    if what == "unknown class":
        fill(folder / "test", 1)
        (folder / "test" / "red").rename(folder / "test" / "pink")
    return folder


@pytest.mark.parametrize(
    ("what", "place", "message"),
    [
        ("missing", "task", "no such folder"),
        ("file", "task", "is no folder"),
        ("empty", "task", "no class folders"),
        ("no class folders", "task", "images but no class folders"),
        ("one class", "task", "only one class, 'green'"),
        ("empty class", "task/yellow", "holds no images"),
        ("image beside", "task/a.jpg", "beside the class folders"),
        ("dangling link", "task/red/z.png", "No such file"),
        ("stray split", "task/validation", "neither 'val' nor 'test'"),
        ("unknown class", "task/test/pink", "in test but not in train"),
    ],
)
def test_bad_folders(tmp_path: Path, what: str, place: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        load(broken(tmp_path, what))
    assert caught.value.place == str(tmp_path / place)
    assert caught.value.mend
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [{"validation": 0}, {"test": 1}, {"validation": 0.5, "test": 0.5}, {"name": ""}])
def test_bad_config(tmp_path: Path, values: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        FolderTasks.Config(path=tmp_path, **values)


def test_order_is_by_name(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        fill(tmp_path / split, 3)
    task = load(tmp_path)
    assert task.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert np.array_equal(task.train.images[:, 0, 0, 0], [0, 1, 2] * 3)
