"""Pictures with masks as indexed PNG, as segmentation tools read them."""

from __future__ import annotations

import csv
import json
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import ComponentConfig, Exporter, RenderedDataset, StoreError
from task2sim_exporters.export_folder import (
    PictureFormat,
    export,
    is_there,
    picture_keys,
    suffix_of,
    whole,
    write_picture,
    write_pieces,
)
from task2sim_exporters.objects import OBJECT_LAYERS, visible_objects

MOST = 255
"""The largest number that an indexed PNG holds."""


class SegmentationMasks(Exporter):
    """Writes ``images/<index>.png``, ``masks/<index>.png``, ``classes.json`` and ``labels.csv``.

    A pixel of a mask is 0 on the background; otherwise it is the category's position in ``classes.json``, or, for
    masks of instances, the object's number in its image, whose category ``objects.csv`` tells. The palette is that of
    PASCAL VOC (Everingham et al., IJCV 2010).
    """

    class Config(ComponentConfig):
        """Keys of the exporter ``segmentation-masks``."""

        of: Annotated[Literal["category", "instance"], Field(description="What a pixel of a mask says.")] = "category"
        format: Annotated[PictureFormat, Field(description="Format of the pictures; masks are PNG.")] = "png"
        quality: Annotated[int, Field(ge=1, le=100, description="Quality of JPEG files.")] = 95

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def layers(self) -> frozenset[str]:
        """The category mask; for masks of instances both."""
        return frozenset({"category-mask"}) if self._config.of == "category" else OBJECT_LAYERS

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        """Write the dataset; the folder is empty or holds an export of the same one.

        Raises:
            StoreError: the folder holds something else or can't be written, or a number is too large for such masks.
        """
        of_instances = self._config.of == "instance"
        if not of_instances and len(dataset.categories) > MOST:
            raise StoreError(
                f"an indexed PNG holds {MOST} categories, the dataset has {len(dataset.categories)}",
                place=str(folder),
                mend="choose exporter coco, or fewer categories",
            )
        keys = {
            "exporter": "segmentation-masks",
            "of": self._config.of,
            **picture_keys(self._config.format, self._config.quality),
        }
        with export(dataset, folder, keys, self.layers):
            for name in ("images", "masks"):
                (folder / name).mkdir(exist_ok=True)
            with whole(folder / "classes.json") as file:
                file.write(json.dumps(["background", *dataset.categories], indent=1).encode())
            with whole(folder / "labels.csv") as file:
                rows = zip(range(len(dataset)), (dataset.labels + 1).tolist(), strict=True)
                file.write(b"image,class\n" + _lines(rows))
            written = write_pieces(partial(self._write_images, dataset, folder), len(dataset))
            if of_instances:
                with whole(folder / "objects.csv") as file:
                    file.write(b"image,object,class,pixels\n")
                    for lines in written:
                        file.write(lines)
            else:
                for _ in written:
                    pass

    def _write_images(self, dataset: RenderedDataset, folder: Path, run: range) -> bytes:
        """Write pictures and masks, and return the lines of their objects."""
        kinds = dataset.category_mask if self._config.of == "category" else dataset.instance_mask
        assert kinds is not None
        objects: list[tuple[int, ...]] = []
        for index in run:
            name = f"{index:06d}.{suffix_of(self._config.format)}"
            write_picture(folder / "images" / name, dataset.images[index], self._config.format, self._config.quality)
            _write_mask(folder / "masks" / f"{index:06d}.png", kinds[index])
            if self._config.of == "instance":
                found = visible_objects(dataset, index)
                objects += [(index, item.number, item.category + 1, item.pixels) for item in found]
        return _lines(objects)


def _lines(rows: Any) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _write_mask(path: Path, mask: NDArray[np.uint16]) -> None:
    from PIL import Image

    if is_there(path):
        return
    if mask.max() > MOST:
        raise StoreError(
            f"an indexed PNG holds numbers up to {MOST}, the mask of image {int(path.stem)} has {mask.max()}",
            place=str(path),
            mend="choose exporter coco",
        )
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette(PALETTE)
    unfinished = path.with_suffix(".unfinished")
    picture.save(unfinished, format="png")
    unfinished.replace(path)


def _palette() -> bytes:
    """256 colours: a number's lowest three bits give the highest bits of red, green and blue, and so on."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (numbers >> (3 * place + channel) & 1).astype(np.uint8) << (7 - place)
    return colours.tobytes()


PALETTE = _palette()
