"""What all exporters do alike: whole files, going on after kills, leaving other exports alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from task2sim import Exporter, Progress, RenderedDataset, StoreError
from task2sim.choice import Chosen
from task2sim.progress import progress_listener
from task2sim_exporters.export_folder import parallel

EXPORTERS: dict[str, dict[str, Any]] = {
    "coco": {"type": "coco"},
    "masks": {"type": "segmentation-masks"},
    "instances": {"type": "segmentation-masks", "of": "instance", "format": "jpeg"},
    "webdataset": {
        "type": "webdataset",
        "images_per_shard": 4,
        "layers": ["instance-mask", "category-mask", "depth", "normals", "scene-graph"],
    },
    "huggingface": {
        "type": "huggingface",
        "images_per_shard": 4,
        "layers": ["instance-mask", "category-mask", "depth", "normals", "scene-graph"],
    },
    "image-folder": {"type": "image-folder"},
}


def build(name: str, **more: Any) -> Exporter:
    exporter: Exporter = Chosen.parse("exporters", {**EXPORTERS[name], **more}).build()
    return exporter


def write(name: str, dataset: RenderedDataset, folder: Path, **more: Any) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    build(name, **more).write(dataset, folder)
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=EXPORTERS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if found == "huggingface":
        pytest.importorskip("pyarrow")
    return found


def test_the_same_dataset_gives_the_same_bytes(name: str, textures: RenderedDataset, tmp_path: Path) -> None:
    once = write(name, textures, tmp_path / "once")
    time.sleep(1.1)  # times in files count seconds
    assert write(name, textures, tmp_path / "again") == once
    assert not [file for file in once if "unfinished" in file or "tmp" in file]
    manifest = json.loads(once["manifest.json"])
    assert (manifest["count"], manifest["seed"], manifest["categories"]) == (19, 0, list(textures.categories))


def test_progress(name: str, textures: RenderedDataset, tmp_path: Path) -> None:
    heard: list[Progress] = []
    with progress_listener(heard.append):
        write(name, textures, tmp_path / "out")
    done = [progress.done for progress in heard]
    assert done == sorted(set(done))
    assert {(progress.stage, progress.total, progress.unit) for progress in heard} == {("export", 19, "images")}
    assert done[-1] == 19
    assert len(done) >= 5


@pytest.mark.parametrize("images", [1, 9, 18])
def test_after_kill_9_it_goes_on(name: str, textures: RenderedDataset, tmp_path: Path, images: int) -> None:
    undisturbed = write(name, textures, tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    folder.mkdir()
    script = f"""
import os, pathlib, signal
from task2sim import RenderedDataset
from task2sim.choice import Chosen
from task2sim.progress import progress_listener

def kill(progress):
    if progress.done >= {images}:
        os.kill(os.getpid(), signal.SIGKILL)

dataset = RenderedDataset.open(pathlib.Path({str(textures.folder)!r}))
with progress_listener(kill):
    Chosen.parse("exporters", {EXPORTERS[name]!r}).build().write(dataset, pathlib.Path({str(folder)!r}))
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    assert not (folder / "manifest.json").exists()
    kept = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".png", ".tar", ".parquet")
    }
    assert kept or name == "instances" or images == 1
    other = attrs.evolve(textures, seed=8)
    with pytest.raises(StoreError, match="another dataset"):
        build(name).write(other, folder)
    assert write(name, textures, folder) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def changed(dataset: RenderedDataset, field: str) -> RenderedDataset:
    values = np.array(getattr(dataset, field))
    values.reshape(-1)[-1] = 7 if values.reshape(-1)[-1] != 7 else 8
    return attrs.evolve(dataset, **{field: values})


def test_another_dataset_or_format_is_left_alone(name: str, textures: RenderedDataset, tmp_path: Path) -> None:
    before = write(name, textures, tmp_path / "out")
    fields = {"instance-mask": "instance_mask", "category-mask": "category_mask", "depth": "depth"}
    others = [
        changed(textures, field) for field in ("images", *(fields[n] for n in build(name).layers & set(fields)))
    ]
    for other in [*others, attrs.evolve(textures, seed=1)]:
        with pytest.raises(StoreError, match="holds an export of another dataset or format; choose an empty folder"):
            write(name, other, tmp_path / "out")
    more = {"format": "png" if name == "instances" else "jpeg"}
    with pytest.raises(StoreError, match="another dataset or format"):
        write(name, textures, tmp_path / "out", **more)
    for other_name in EXPORTERS:
        if other_name != name:
            with pytest.raises(StoreError, match="another dataset or format"):
                write(other_name, textures, tmp_path / "out")
    assert files(tmp_path / "out") == before


def test_foreign_files(name: str, textures: RenderedDataset, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty: it holds 'notes\.txt'"):
        write(name, textures, tmp_path / "notes")
    assert files(tmp_path / "notes") == {"notes.txt": b"mine"}


def test_missing_files_are_written_again(name: str, textures: RenderedDataset, tmp_path: Path) -> None:
    before = write(name, textures, tmp_path / "out")
    written = sorted(file for file in before if file.endswith((".png", ".jpg", ".tar", ".parquet", ".json")))
    (tmp_path / "out" / written[-1]).write_bytes(b"")
    (tmp_path / "out" / written[-2]).unlink()
    if "manifest.json" not in written[-2:]:
        assert write(name, textures, tmp_path / "out") == before


def test_a_full_disk_is_one_line(
    name: str, textures: RenderedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    def full(self: Image.Image, *arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StoreError, match="No space left on device; free some space") as caught:
        write(name, textures, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_parallel_is_a_map_that_keeps_close_to_its_reader() -> None:
    begun: list[int] = []
    at_work = threading.Barrier(2, timeout=10)

    def work(item: int) -> int:
        begun.append(item)
        if item < 2:
            at_work.wait()  # two at the same time, or nobody goes on
        return item * item

    if len(os.sched_getaffinity(0)) < 2:
        at_work = threading.Barrier(1)
    results = parallel(work, range(10_000))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(begun) < 40
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 60
    assert list(parallel(work, range(2, 50))) == [item * item for item in range(2, 50)]


def test_errors_of_the_threads_arrive() -> None:
    def work(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    got: list[int] = []
    with pytest.raises(ValueError, match="five"):
        got.extend(parallel(work, range(100)))
    assert got == [0, 1, 2, 3, 4]
