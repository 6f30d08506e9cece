"""A folder of pictures for each category, as most training tools read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from task2sim import ComponentConfig, Exporter, RenderedDataset, StoreError, report_progress

MANIFEST = "manifest.json"
_UNFINISHED = "manifest.json.unfinished"


class ImageFolder(Exporter):
    """Writes ``<category>/<index>.png`` for each image, and ``manifest.json`` once all are there.

    Files appear whole or not at all, so an export that was killed can go on: what it wrote is kept. Until then the
    manifest is called ``manifest.json.unfinished``.
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``image-folder``."""

        format: Annotated[Literal["png", "jpeg"], Field(description="Format of the pictures.")] = "png"
        quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG files.")] = 95

    def __init__(self, config: Config) -> None:
        self._config = config

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        """Write the dataset; the folder is empty or holds an export of the same one.

        Raises:
            StoreError: the folder holds something else or can't be written, or a category can't name a folder.
        """
        for category in dataset.categories:
            if category in ("", ".", "..") or not category.isprintable() or set(category) & set('/\\<>:"|?*'):
                raise StoreError(f"no folder can be named after the category {category!r}", place=str(folder))
        manifest = self._manifest(dataset)
        with _as_store_error(folder):
            _check_folder(folder, manifest)
            if not (folder / MANIFEST).exists():
                _write_whole(folder / _UNFINISHED, json.dumps(manifest, indent=2).encode())
            for category in dataset.categories:
                (folder / category).mkdir(exist_ok=True)
            self._write_images(dataset, folder)
            if not (folder / MANIFEST).exists():
                (folder / _UNFINISHED).replace(folder / MANIFEST)

    def _write_images(self, dataset: RenderedDataset, folder: Path) -> None:
        threads = ThreadPoolExecutor()  # Pillow compresses outside the interpreter's lock
        try:
            for done, _ in enumerate(
                threads.map(partial(self._write_image, dataset, folder), range(len(dataset))), 1
            ):
                report_progress("export", done, len(dataset), "images")
        finally:
            threads.shutdown(cancel_futures=True)

    def _write_image(self, dataset: RenderedDataset, folder: Path, index: int) -> None:
        from PIL import Image

        suffix = "jpg" if self._config.format == "jpeg" else "png"
        path = folder / dataset.categories[int(dataset.labels[index])] / f"{index:06d}.{suffix}"
        if path.exists() and path.stat().st_size:
            return
        options = {"quality": self._config.quality} if self._config.format == "jpeg" else {}
        unfinished = path.with_suffix(".unfinished")
        Image.fromarray(dataset.images[index]).save(unfinished, format=self._config.format, **options)
        unfinished.replace(path)

    def _manifest(self, dataset: RenderedDataset) -> dict[str, Any]:
        digest = hashlib.sha256()
        for index in range(len(dataset)):
            digest.update(dataset.images[index].tobytes())
        digest.update(dataset.labels.tobytes())
        return {
            "setting": dict(dataset.setting),
            "seed": dataset.seed,
            "simulator": dataset.simulator,
            "categories": list(dataset.categories),
            "count": len(dataset),
            "image_size": list(dataset.images.shape[1:3]),
            "sha256": digest.hexdigest(),
            **self._config.model_dump(exclude=set() if self._config.format == "jpeg" else {"quality"}),
        }


def _check_folder(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but an export of this dataset."""
    for name in (MANIFEST, _UNFINISHED):
        if (folder / name).exists():
            if _parsed(folder / name) != manifest:
                raise StoreError(
                    "the folder holds an export of another dataset or format",
                    place=str(folder / name),
                    mend="choose an empty folder",
                )
            return
    # A killed export leaves at least its manifest; a half-written one is overwritten.
    others = [entry.name for entry in folder.iterdir() if entry.name != f"{_UNFINISHED}.tmp"]
    if others:
        raise StoreError(
            f"the folder is not empty: it holds {min(others)!r}", place=str(folder), mend="choose an empty folder"
        )


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


@contextmanager
def _as_store_error(folder: Path) -> Iterator[None]:
    """Turn failures of the file system into one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"can't write the images: {error.strerror or error}",
            place=str(error.filename or folder),
            mend="free some space or choose another folder; what was written is kept",
        ) from error
