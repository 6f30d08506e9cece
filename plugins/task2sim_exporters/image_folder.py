"""A folder of pictures for each category, as most training tools read it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from task2sim import ComponentConfig, Exporter, RenderedDataset, StoreError
from task2sim_exporters.export_folder import (
    PictureFormat,
    export,
    picture_keys,
    suffix_of,
    write_picture,
    write_pieces,
)


class ImageFolder(Exporter):
    """Writes ``<category>/<index>.png`` for each image, and ``manifest.json`` once all are there.

    Files appear whole or not at all, so an export that was killed can go on: what it wrote is kept.
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``image-folder``."""

        format: Annotated[PictureFormat, Field(description="Format of the pictures.")] = "png"
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
        keys = picture_keys(self._config.format, self._config.quality)
        with export(dataset, folder, keys):
            for category in dataset.categories:
                (folder / category).mkdir(exist_ok=True)
            for _ in write_pieces(partial(self._write_images, dataset, folder), len(dataset)):
                pass

    def _write_images(self, dataset: RenderedDataset, folder: Path, run: range) -> None:
        for index in run:
            name = f"{index:06d}.{suffix_of(self._config.format)}"
            path = folder / dataset.categories[int(dataset.labels[index])] / name
            write_picture(path, dataset.images[index], self._config.format, self._config.quality)
