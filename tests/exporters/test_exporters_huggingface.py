from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import PluginError, RenderedDataset
from task2sim_exporters import huggingface
from task2sim_exporters.huggingface import HuggingFace

datasets = pytest.importorskip("datasets")

ALL = ("instance-mask", "category-mask", "depth", "normals", "scene-graph")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def load(dataset: RenderedDataset, folder: Path, **values: Any) -> Any:
    folder.mkdir(exist_ok=True)
    HuggingFace(HuggingFace.Config(**values)).write(dataset, folder)
    return datasets.load_dataset(str(folder), split="train", cache_dir=str(folder.parent / "cache"))


def test_load_dataset_reads_it(things: RenderedDataset, tmp_path: Path) -> None:
    loaded = load(things, tmp_path / "out", images_per_shard=5, layers=ALL)
    assert len(loaded) == 12
    assert loaded.features["label"] == datasets.ClassLabel(names=list(things.categories))
    assert isinstance(loaded.features["image"], datasets.Image)
    names = [path.name for path in sorted((tmp_path / "out" / "data").iterdir())]
    assert names == [f"train-{k:05d}-of-00003.parquet" for k in range(3)]
    for index, row in enumerate(loaded):
        assert np.array_equal(np.asarray(row["image"]), things.images[index])
        assert row["label"] == things.labels[index]
        for field in ("instance_mask", "category_mask", "depth", "normals"):
            due = getattr(things, field)[index]
            assert np.array_equal(np.asarray(row[field], dtype=due.dtype), due), field
        assert json.loads(row["scene"]) == things.scene(index)


def test_the_card(textures: RenderedDataset, tmp_path: Path) -> None:
    loaded = load(textures, tmp_path / "out", format="jpeg")
    assert list(loaded.features) == ["image", "label", "instance_mask", "category_mask"]
    card = (tmp_path / "out" / "README.md").read_text()
    for line in ("path: data/train-*.parquet", "- n<1K", "19 images rendered", "| fog | 0 |", "- image-segmentation"):
        assert line in card


@pytest.mark.parametrize(
    ("count", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (50_000, "10K<n<100K"), (10**6, "1M<n<10M"), (10**8, "n>10M")],
)
def test_size_categories(count: int, category: str) -> None:
    assert huggingface._size_category(count) == category


def test_rows_are_written_a_few_at_a_time(
    textures: RenderedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import parquet

    monkeypatch.setattr(huggingface, "ROWS", 4)
    load(textures, tmp_path / "out")
    (shard,) = (tmp_path / "out" / "data").iterdir()
    assert parquet.ParquetFile(shard).num_row_groups == 5


def test_without_pyarrow_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"needs pyarrow; pip install 'task2sim\[huggingface\]'"):
        HuggingFace(HuggingFace.Config())
