from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from task2sim import Task, TaskError
from task2sim_tasks.huggingface import HuggingFaceTasks

datasets = pytest.importorskip("datasets", reason="needs the extra 'huggingface'")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def source(path: Path | str, **values: Any) -> HuggingFaceTasks:
    return HuggingFaceTasks(HuggingFaceTasks.Config(path=str(path), image_size=8, **values))


def load(path: Path | str, **values: Any) -> Task:
    tasks = source(path, **values)
    return tasks.load(tasks.names()[0])


def table(labels: list[Any], feature: Any, column: str = "label", first: int = 0) -> Any:
    """Images whose brightness is ten times the row's number."""
    images = [Image.new("L", (12, 10), 10 * (first + row)) for row in range(len(labels))]
    return datasets.Dataset.from_dict(
        {"id": list(range(len(labels))), "picture": images, column: labels},
        features=datasets.Features({"id": datasets.Value("int64"), "picture": datasets.Image(), column: feature}),
    )


CLASSES = datasets.ClassLabel(names=["cat", "dog"])


def save(folder: Path, **tables: Any) -> Path:
    datasets.DatasetDict(tables).save_to_disk(folder)
    return folder


def levels(task: Task, split: str) -> list[int]:
    return task.split(split).images[:, 0, 0, 0].tolist()


def test_saved_to_disk(tmp_path: Path) -> None:
    folder = save(
        tmp_path / "pets",
        train=table([0, 1, 0, 1], CLASSES),
        validation=table([1, 0], CLASSES, first=10),
        test=table([1, 1], CLASSES, first=20),
    )
    task = load(folder)
    assert task.name == "pets"
    assert task.classes == ("cat", "dog")
    assert task.train.labels.tolist() == [0, 1, 0, 1]
    assert (levels(task, "train"), levels(task, "val"), levels(task, "test")) == (
        [0, 10, 20, 30],
        [100, 110],
        [200, 210],
    )


def test_image_folder(tmp_path: Path) -> None:
    for name, level in (("cat", 0), ("dog", 200)):
        for split, count in (("train", 10), ("test", 2)):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (9, 9), (level + number,) * 3).save(
                    tmp_path / "pets" / split / name / f"{number}.png"
                )
    task = load(tmp_path / "pets", name="animals")
    assert task.name == "animals"
    assert [len(task.split(split)) for split in ("train", "val", "test")] == [16, 4, 4]
    for split in ("train", "val", "test"):
        assert [level >= 200 for level in levels(task, split)] == (task.split(split).labels == 1).tolist()


def test_parquet_with_text_labels(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    table(["dog", "cat"] * 10, datasets.Value("string"), "species").to_parquet(tmp_path / "pets" / "train.parquet")
    task = load(tmp_path / "pets", label_column="species")
    assert task.classes == ("cat", "dog")
    assert [len(task.split(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    for split in ("train", "val", "test"):
        assert [(level // 10) % 2 for level in levels(task, split)] == (task.split(split).labels == 0).tolist()


def test_integer_labels_in_numeric_order(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", train=table([8, 10, 1] * 7, datasets.Value("int64")))
    task = load(folder)
    assert task.classes == ("1", "8", "10")
    assert load(folder).fingerprint == task.fingerprint


def test_images_limit(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", train=table([0] * 15 + [1] * 8, CLASSES), test=table([0, 1, 1, 1], CLASSES))
    task = load(folder, images=4)
    assert [np.bincount(task.split(split).labels).tolist() for split in ("train", "val", "test")] == [
        [2, 2],
        [2, 2],
        [1, 3],
    ]
    with pytest.raises(TaskError, match="3 classes but 'images' is 2"):
        load(save(tmp_path / "e", train=table([0, 1, 2] * 5, datasets.Value("int64"))), images=2)


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_names_of_the_validation_split(tmp_path: Path, name: str) -> None:
    tables = {"train": table([0, 1] * 5, CLASSES), name: table([0, 1], CLASSES, first=20)}
    assert levels(load(save(tmp_path / "d", **tables)), "val") == [200, 210]


def test_images_without_label(tmp_path: Path) -> None:
    task = load(save(tmp_path / "d", train=table([None, 1, None, *[0, 1] * 10], CLASSES)))
    assert sorted(level for split in ("train", "val", "test") for level in levels(task, split)) == sorted(
        [10, *range(30, 230, 10)]
    )


def test_secret_test_labels(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", train=table([0, 1] * 10, CLASSES), test=table([-1, -1], CLASSES, first=22))
    task = load(folder)
    assert [len(task.split(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    assert max(levels(task, "test")) < 200


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (lambda: {"train": table(["a", "b"], datasets.Value("string"), "kind")}, {}, "labels is unclear"),
        (lambda: {"train": table([0, 1], CLASSES)}, {"label_column": "labels"}, "'label_column' can't be 'labels'"),
        (lambda: {"train": table([0, 1], CLASSES)}, {"label_column": "picture"}, "'label_column' can't be"),
        (lambda: {"train": table([0, 1], CLASSES)}, {"image_column": "id"}, "choose one of picture"),
        (lambda: {"extra": table([0, 1], CLASSES)}, {}, "no split 'train', only extra"),
        (
            lambda: {"train": table([0, 1], datasets.Value("int64")), "test": table([7], datasets.Value("int64"))},
            {},
            "test has the label 7",
        ),
        (lambda: {"train": datasets.Dataset.from_dict({"label": [0, 1]})}, {}, "no column with images"),
        (lambda: {"train": table([0] * 9, datasets.Value("int64"))}, {}, "has 1 class"),
    ],
)
def test_bad_data_sets(tmp_path: Path, make: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        load(save(tmp_path / "d", **make()), **values)
    assert "\n" not in str(caught.value)
    assert caught.value.mend


def test_damaged_image(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "dog").mkdir()
    for number in range(5):
        for name in ("cat", "dog"):
            Image.new("RGB", (9, 9)).save(tmp_path / "pets" / name / f"{number}.png")
    (tmp_path / "pets" / "dog" / "3.png").write_bytes(b"broken")
    with pytest.raises(TaskError, match="can't read image 8 of train"):
        load(tmp_path / "pets")


def test_unknown_data_set(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"can't load the data set: .*; check 'path'"):
        load("nobody/has-this-data-set")
    with pytest.raises(TaskError, match="can't load the data set"):
        load(tmp_path)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task2sim_tasks.huggingface.find_spec", lambda _: None)
    with pytest.raises(TaskError, match=r'pip install "task2sim\[huggingface\]"'):
        source("mnist").names()
