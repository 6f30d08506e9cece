"""WebDataset: shards of tar, read from one end to the other."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from task2sim import ComponentConfig, Exporter, RenderedDataset
from task2sim.layers import ARRAY_LAYERS, SCENE_GRAPH, ordered_layers
from task2sim_exporters.export_folder import (
    PictureFormat,
    export,
    is_there,
    picture,
    picture_keys,
    suffix_of,
    whole,
    write_pieces,
)

Layer: TypeAlias = Literal["instance-mask", "category-mask", "depth", "normals", "scene-graph"]


class WebDataset(Exporter):
    """Writes ``shard-<number>.tar`` and ``classes.json``.

    A sample has the members ``png`` (or ``jpg``), ``cls`` with the label, ``layers.npz`` with the arrays, named as in
    `RenderedDataset`, and ``json`` with the scene graph. The same dataset gives the same bytes, wherever and
    whenever it is written.
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``webdataset``."""

        layers: Annotated[
            tuple[Layer, ...], Field(description="What samples hold beside image and label; [] for nothing more.")
        ] = ("instance-mask", "category-mask", "scene-graph")
        images_per_shard: Annotated[int, Field(ge=1, le=1_000_000, description="Images in a shard.")] = 1000
        format: Annotated[PictureFormat, Field(description="Format of the pictures.")] = "png"
        quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG files.")] = 95

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def layers(self) -> frozenset[str]:
        """Those of the configuration."""
        return frozenset(self._config.layers)

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        """Write the dataset; the folder is empty or holds an export of the same one.

        Raises:
            StoreError: the folder holds something else or can't be written.
        """
        keys = {
            "exporter": "webdataset",
            "images_per_shard": self._config.images_per_shard,
            **picture_keys(self._config.format, self._config.quality),
        }
        with export(dataset, folder, keys, self.layers):
            with whole(folder / "classes.json") as file:
                file.write(json.dumps(list(dataset.categories), indent=1).encode())
            write = partial(self._write_shard, dataset, folder)
            for _ in write_pieces(write, len(dataset), self._config.images_per_shard):
                pass

    def _write_shard(self, dataset: RenderedDataset, folder: Path, run: range) -> None:
        path = folder / f"shard-{run.start // self._config.images_per_shard:06d}.tar"
        if is_there(path):
            return
        with whole(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as shard:
            for index in run:
                for member, data in self._sample(dataset, index):
                    entry = tarfile.TarInfo(f"{index:09d}.{member}")  # by default of no time and nobody
                    entry.size = len(data)
                    shard.addfile(entry, BytesIO(data))

    def _sample(self, dataset: RenderedDataset, index: int) -> Iterator[tuple[str, bytes]]:
        kind = self._config.format
        yield suffix_of(kind), picture(dataset.images[index], kind, self._config.quality)
        yield "cls", str(int(dataset.labels[index])).encode()
        fields = [ARRAY_LAYERS[name].field for name in ordered_layers(self.layers) if name in ARRAY_LAYERS]
        if fields:
            arrays = BytesIO()
            np.savez_compressed(arrays, allow_pickle=False, **{f: getattr(dataset, f)[index] for f in fields})
            yield "layers.npz", arrays.getvalue()
        if SCENE_GRAPH in self.layers:
            yield "json", json.dumps(dataset.scene(index), separators=(",", ":")).encode()
