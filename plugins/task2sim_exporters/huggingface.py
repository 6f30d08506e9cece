"""Hugging Face: shards of parquet that `datasets.load_dataset` opens, with a card."""

from __future__ import annotations

import json
import math
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from task2sim import ComponentConfig, Exporter, PluginError, RenderedDataset
from task2sim.layers import ARRAY_LAYERS, SCENE_GRAPH, ordered_layers
from task2sim_exporters.export_folder import (
    PictureFormat,
    export,
    is_there,
    picture,
    picture_keys,
    pieces,
    suffix_of,
    whole,
    write_pieces,
)

if TYPE_CHECKING:
    import pyarrow

Layer: TypeAlias = Literal["instance-mask", "category-mask", "depth", "normals", "scene-graph"]

ROWS = 64
"""Images in memory at a time, and in a row group, which is what viewers read at once."""


class HuggingFace(Exporter):
    """Writes ``data/train-<number>-of-<count>.parquet`` and the dataset card ``README.md``.

    The columns are ``image``, ``label``, and what `layers` names: masks as images, depth and normals as arrays, the
    scene graph as JSON. Their types stand in the shards as the library `datasets` writes them.
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``huggingface``."""

        layers: Annotated[tuple[Layer, ...], Field(description="Columns beside image and label; [] for no more.")] = (
            "instance-mask",
            "category-mask",
        )
        images_per_shard: Annotated[int, Field(ge=1, le=1_000_000, description="Images in a shard.")] = 5000
        format: Annotated[PictureFormat, Field(description="Format of the pictures; masks are PNG.")] = "png"
        quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG pictures.")] = 95

    def __init__(self, config: Config) -> None:
        if find_spec("pyarrow") is None:
            raise PluginError("exporter 'huggingface' needs pyarrow", mend="pip install 'task2sim[huggingface]'")
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
            "exporter": "huggingface",
            "images_per_shard": self._config.images_per_shard,
            **picture_keys(self._config.format, self._config.quality),
        }
        with export(dataset, folder, keys, self.layers):
            (folder / "data").mkdir(exist_ok=True)
            with whole(folder / "README.md") as file:
                file.write(self._card(dataset).encode())
            write = partial(self._write_shard, dataset, folder, self._schema(dataset))
            for _ in write_pieces(write, len(dataset), self._config.images_per_shard):
                pass

    def _features(self, dataset: RenderedDataset) -> dict[str, Any]:
        """The columns' types as `datasets` names them."""
        features: dict[str, Any] = {
            "image": {"_type": "Image"},
            "label": {"names": list(dataset.categories), "_type": "ClassLabel"},
        }
        size = list(dataset.images.shape[1:3])
        for name in ordered_layers(self.layers):
            if name == SCENE_GRAPH:
                features["scene"] = {"dtype": "string", "_type": "Value"}
            elif name == "depth":
                features["depth"] = {"shape": size, "dtype": "float32", "_type": "Array2D"}
            elif name == "normals":
                features["normals"] = {"shape": [*size, 3], "dtype": "float32", "_type": "Array3D"}
            else:
                features[ARRAY_LAYERS[name].field] = {"_type": "Image"}
        return features

    def _schema(self, dataset: RenderedDataset) -> pyarrow.Schema:
        import pyarrow as pa

        numbers = pa.list_(pa.list_(pa.float32()))
        kinds = {
            "Image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            "ClassLabel": pa.int64(),
            "Value": pa.string(),
            "Array2D": numbers,
            "Array3D": pa.list_(numbers),
        }
        features = self._features(dataset)
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        return pa.schema([(name, kinds[feature["_type"]]) for name, feature in features.items()], metadata=metadata)

    def _write_shard(self, dataset: RenderedDataset, folder: Path, schema: pyarrow.Schema, run: range) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        size = self._config.images_per_shard
        count = math.ceil(len(dataset) / size)
        path = folder / "data" / f"train-{run.start // size:05d}-of-{count:05d}.parquet"
        if is_there(path):
            return
        with whole(path) as file, parquet.ParquetWriter(file, schema) as shard:
            for rows in pieces(len(run), ROWS):
                table = [self._row(dataset, index) for index in run[rows.start : rows.stop]]
                shard.write_table(pa.Table.from_pylist(table, schema=schema))

    def _row(self, dataset: RenderedDataset, index: int) -> dict[str, Any]:
        kind, quality = self._config.format, self._config.quality
        image = picture(dataset.images[index], kind, quality)
        row: dict[str, Any] = {
            "image": {"bytes": image, "path": f"{index:09d}.{suffix_of(kind)}"},
            "label": int(dataset.labels[index]),
        }
        for name in ordered_layers(self.layers):
            if name == SCENE_GRAPH:
                row["scene"] = json.dumps(dataset.scene(index), separators=(",", ":"))
                continue
            field = ARRAY_LAYERS[name].field
            values = getattr(dataset, field)[index]
            if name in ("depth", "normals"):
                row[field] = values.tolist()
            else:
                narrow = name == "category-mask" and len(dataset.categories) < 256
                mask = picture(values.astype(np.uint8) if narrow else values)
                row[field] = {"bytes": mask, "path": f"{index:09d}.png"}
        return row

    def _card(self, dataset: RenderedDataset) -> str:
        count = len(dataset)
        height, width = dataset.images.shape[1:3]
        tasks = ["image-classification"] + ["image-segmentation"] * ("category-mask" in self.layers)
        setting = "\n".join(f"| {name} | {value} |" for name, value in dataset.setting.items())
        columns = {
            "image": f"{height} x {width} pixels",
            "label": f"one of {len(dataset.categories)} categories",
            "instance_mask": "0 is background, k the k-th object",
            "category_mask": "0 is background, otherwise the label plus one",
            "depth": "metres along the viewing direction, infinite on the background",
            "normals": "unit vectors in the world's axes (z up), zero on the background",
            "scene": "the scene graph as JSON",
        }
        described = "\n".join(f"| `{name}` | {columns[name]} |" for name in self._features(dataset))
        return CARD.format(
            tasks="\n".join(f"- {task}" for task in tasks),
            size=_size_category(count),
            count=f"{count:,}",
            simulator=dataset.simulator,
            seed=dataset.seed,
            columns=described,
            setting=setting,
        )


CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
task_categories:
{tasks}
size_categories:
- {size}
tags:
- synthetic
- task2sim
---

# Synthetic images

{count} images rendered by task2sim with {simulator}, seed {seed}.

| column | what it holds |
|---|---|
{columns}

| parameter | value |
|---|---|
{setting}
"""


def _size_category(count: int) -> str:
    """The class of sizes that Hugging Face's cards name."""
    if count < 1000:
        return "n<1K"
    bounds = [(10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M")]
    for (_, low), (most, high) in pairwise(bounds):
        if count < most:
            return f"{low}<n<{high}"
    return "n>10M"
