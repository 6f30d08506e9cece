from __future__ import annotations

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
from PIL import Image

from task2sim import ParameterSetting, Progress, RenderedDataset, StoreError
from task2sim.locking import sole_writer
from task2sim.progress import progress_listener
from task2sim_exporters.image_folder import ImageFolder


def dataset(seed: int = 0, categories: tuple[str, ...] = ("chair", "traffic light")) -> RenderedDataset:
    return RenderedDataset(
        folder=Path(),
        images=np.random.default_rng(seed).integers(0, 256, (9, 8, 10, 3), dtype=np.uint8),
        labels=np.arange(9) % 2,
        categories=categories,
        setting=ParameterSetting({"background": 1, "materials": 0}),
        seed=seed,
        simulator="toy 1.0",
    )


def write(data: RenderedDataset, folder: Path, **values: Any) -> None:
    ImageFolder(ImageFolder.Config(**values)).write(data, folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_png_is_exact(tmp_path: Path) -> None:
    data = dataset()
    write(data, tmp_path)
    names = {f"{data.categories[index % 2]}/{index:06d}.png" for index in range(9)}
    assert set(files(tmp_path)) == {"manifest.json", *names}
    for index in range(9):
        with Image.open(tmp_path / data.categories[index % 2] / f"{index:06d}.png") as image:
            assert np.array_equal(np.asarray(image), data.images[index])


def test_manifest(tmp_path: Path) -> None:
    write(dataset(), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    digest = manifest.pop("sha256")
    assert len(digest) == 64
    assert manifest == {
        "setting": {"background": 1, "materials": 0},
        "seed": 0,
        "simulator": "toy 1.0",
        "categories": ["chair", "traffic light"],
        "count": 9,
        "image_size": [8, 10],
        "format": "png",
    }


def test_jpeg(tmp_path: Path) -> None:
    for quality in (20, 95):
        (tmp_path / str(quality)).mkdir()
        write(dataset(), tmp_path / str(quality), format="jpeg", quality=quality)
    with Image.open(tmp_path / "95" / "chair" / "000000.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == (10, 8)
    size = {quality: (tmp_path / quality / "chair" / "000000.jpg").stat().st_size for quality in ("20", "95")}
    assert size["20"] < size["95"]


def test_progress(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with progress_listener(seen.append):
        write(dataset(), tmp_path)
    assert [(p.stage, p.done, p.total, p.unit) for p in seen] == [("export", n, 9, "images") for n in range(1, 10)]


@pytest.mark.parametrize("survivors", [0, 1, 4, 9])
def test_killed_export_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int) -> None:
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    write(dataset(), undisturbed)

    folder = tmp_path / "killed"
    folder.mkdir()
    whole = Image.Image.save
    count = 0

    def half(self: Image.Image, path: Path, **options: Any) -> None:
        nonlocal count
        count += 1
        if count > survivors:
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt
        whole(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", half)
    if survivors < 9:
        with pytest.raises(KeyboardInterrupt):
            write(dataset(), folder)
        assert not (folder / "manifest.json").exists()
    else:
        write(dataset(), folder)
    monkeypatch.undo()
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert len(kept) == survivors
    write(dataset(), folder)
    assert files(folder) == files(undisturbed)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_empty_files_are_written_again(tmp_path: Path) -> None:
    write(dataset(), tmp_path)
    before = files(tmp_path)
    (tmp_path / "chair" / "000002.png").write_bytes(b"")
    (tmp_path / "chair" / "000004.png").unlink()
    write(dataset(), tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("other", "values"),
    [(dataset(seed=1), {}), (dataset(), {"format": "jpeg"}), (dataset(categories=("a", "b")), {})],
)
def test_other_export_is_left_alone(tmp_path: Path, other: RenderedDataset, values: dict[str, Any]) -> None:
    write(dataset(), tmp_path)
    before = files(tmp_path)
    with pytest.raises(StoreError, match="another dataset or format; choose an empty folder"):
        write(other, tmp_path, **values)
    assert files(tmp_path) == before


def test_hash_sees_pixels_and_labels(tmp_path: Path) -> None:
    write(dataset(), tmp_path)
    changed = dataset()
    changed.images[8, 7, 9, 2] ^= 1
    with pytest.raises(StoreError):
        write(changed, tmp_path)
    changed = dataset()
    changed.labels[0] = 1
    with pytest.raises(StoreError):
        write(changed, tmp_path)


def test_foreign_files_and_manifests(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty: it holds 'notes\.txt'"):
        write(dataset(), tmp_path)
    (tmp_path / "manifest.json").write_text("no json")
    with pytest.raises(StoreError, match="another dataset"):
        write(dataset(), tmp_path)
    assert sorted(files(tmp_path)) == ["manifest.json", "notes.txt"]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, path: Path, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StoreError, match="No space left on device; free some space") as caught:
        write(dataset(), tmp_path)
    assert "\n" not in str(caught.value)
    assert "chair" in caught.value.place


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't write the images"):
        write(dataset(), tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't write the images"):
        write(dataset(), tmp_path / "file")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a\nb", "a:b"])
def test_category_that_names_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="no folder can be named"):
        write(dataset(categories=("fine", name)), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("values", [{"format": "gif"}, {"quality": 0}, {"quality": 101}])
def test_bad_config(values: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ImageFolder.Config(**values)


def test_two_at_a_time_do_not_mix(tmp_path: Path) -> None:
    with (
        sole_writer(tmp_path),
        ThreadPoolExecutor() as other,
        pytest.raises(StoreError, match="another process writes into this folder; wait until it has ended"),
    ):
        other.submit(write, dataset(), tmp_path).result()
    write(dataset(), tmp_path)
    assert not list(tmp_path.rglob("*.lock"))
