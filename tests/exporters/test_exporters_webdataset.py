from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import RenderedDataset
from task2sim_exporters.webdataset import WebDataset

webdataset = pytest.importorskip("webdataset")

ALL = ("instance-mask", "category-mask", "depth", "normals", "scene-graph")


def write(dataset: RenderedDataset, folder: Path, **values: Any) -> list[str]:
    folder.mkdir(exist_ok=True)
    WebDataset(WebDataset.Config(**values)).write(dataset, folder)
    return sorted(map(str, folder.glob("shard-*.tar")))


def test_webdataset_reads_it(things: RenderedDataset, tmp_path: Path) -> None:
    shards = write(things, tmp_path / "out", images_per_shard=5, layers=ALL)
    assert [Path(shard).name for shard in shards] == [f"shard-{k:06d}.tar" for k in range(3)]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in samples] == [f"{index:09d}" for index in range(12)]
    for index, sample in enumerate(samples):
        assert np.array_equal(np.asarray(sample["png"]), things.images[index])
        assert sample["cls"] == things.labels[index]
        assert sample["json"] == things.scene(index)
        for field in ("instance_mask", "category_mask", "depth", "normals"):
            kept = sample["layers.npz"][field]
            assert kept.dtype == getattr(things, field).dtype
            assert np.array_equal(kept, getattr(things, field)[index])
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == list(things.categories)


def test_members_have_no_time_and_no_owner(textures: RenderedDataset, tmp_path: Path) -> None:
    (shard,) = write(textures, tmp_path / "out")
    with tarfile.open(shard) as members:
        found = members.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in found} == {(0, 0, 0, "", "", 0o644)}
    assert [m.name for m in found[:4]] == [f"000000000.{kind}" for kind in ("png", "cls", "layers.npz", "json")]


def test_images_alone(textures: RenderedDataset, tmp_path: Path) -> None:
    assert WebDataset(WebDataset.Config(layers=())).layers == frozenset()
    (shard,) = write(textures, tmp_path / "out", layers=(), format="jpeg")
    with tarfile.open(shard) as members:
        assert members.getnames()[:2] == ["000000000.jpg", "000000000.cls"]
        assert len(members.getnames()) == 2 * 19
