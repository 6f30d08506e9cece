"""COCO: pictures, and one file with boxes, masks and categories of the objects in them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import Field

from task2sim import ComponentConfig, Exporter, RenderedDataset
from task2sim_exporters.export_folder import (
    PictureFormat,
    export,
    picture_keys,
    suffix_of,
    whole,
    write_picture,
    write_pieces,
)
from task2sim_exporters.objects import OBJECT_LAYERS, object_masks, visible_objects


class Coco(Exporter):
    """Writes ``images/<index>.png`` and ``annotations.json`` in the format of COCO's object detection task.

    Lin et al., "Microsoft COCO: common objects in context", ECCV 2014; the format is that of
    https://cocodataset.org/#format-data, with compressed run-length masks. Pictures and annotations of a few
    images are in memory at a time.
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``coco``."""

        format: Annotated[PictureFormat, Field(description="Format of the pictures.")] = "png"
        quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG files.")] = 95
        min_pixels: Annotated[
            int, Field(ge=1, le=1_000_000, description="Objects that fewer pixels show are left out.")
        ] = 1

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def layers(self) -> frozenset[str]:
        """The masks."""
        return OBJECT_LAYERS

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        """Write the dataset; the folder is empty or holds an export of the same one.

        Raises:
            StoreError: the folder holds something else or can't be written.
        """
        keys = {
            "exporter": "coco",
            **picture_keys(self._config.format, self._config.quality),
            "min_pixels": self._config.min_pixels,
        }
        with export(dataset, folder, keys, self.layers):
            (folder / "images").mkdir(exist_ok=True)
            with whole(folder / "annotations.json") as file:
                self._begin(file, dataset)
                number = 0
                for found in write_pieces(partial(self._write_images, dataset, folder), len(dataset)):
                    for annotation in found:
                        number += 1  # pycocotools takes 0 for none
                        file.write(f'{"," if number > 1 else ""}\n{{"id": {number}, {annotation[1:]}'.encode())
                file.write(b"\n]}\n")

    def _begin(self, file: IO[bytes], dataset: RenderedDataset) -> None:
        """Everything but the annotations."""
        height, width = dataset.images.shape[1:3]
        categories = [{"id": k, "name": name} for k, name in enumerate(dataset.categories, 1)]
        file.write(
            b'{"info": %s,\n"licenses": [],\n"categories": %s,\n"images": ['
            % (json.dumps(_info(dataset)).encode(), json.dumps(categories).encode())
        )
        for index, label in enumerate(dataset.labels.tolist()):
            entry = {"id": index, "file_name": self._name(index), "width": width, "height": height}
            # COCO knows no categories of images; its readers pass over what they don't know.
            file.write(f"{',' if index else ''}\n{json.dumps({**entry, 'category_id': label + 1})}".encode())
        file.write(b'\n],\n"annotations": [')

    def _name(self, index: int) -> str:
        return f"{index:06d}.{suffix_of(self._config.format)}"

    def _write_images(self, dataset: RenderedDataset, folder: Path, run: range) -> list[str]:
        """Write pictures, and return their annotations as JSON without ids."""
        from pycocotools import mask as coco_mask

        assert dataset.instance_mask is not None
        annotations = []
        for index in run:
            path = folder / "images" / self._name(index)
            write_picture(path, dataset.images[index], self._config.format, self._config.quality)
            found = visible_objects(dataset, index, self._config.min_pixels)
            if not found:
                continue
            masks = coco_mask.encode(object_masks(dataset.instance_mask[index], [item.number for item in found]))
            for item, mask, box in zip(found, masks, coco_mask.toBbox(masks).tolist(), strict=True):
                annotation = {
                    "image_id": index,
                    "category_id": item.category + 1,
                    "bbox": box,
                    "area": item.pixels,
                    "iscrowd": 0,
                    "segmentation": {"size": mask["size"], "counts": mask["counts"].decode()},
                }
                annotations.append(json.dumps(annotation))
        return annotations


def _info(dataset: RenderedDataset) -> dict[str, Any]:
    return {
        "description": "synthetic images rendered by task2sim",
        "version": "1",
        "simulator": dataset.simulator,
        "setting": dict(dataset.setting),
        "seed": dataset.seed,
    }
