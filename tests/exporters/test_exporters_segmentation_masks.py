from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from task2sim import RenderedDataset, StoreError
from task2sim_exporters.segmentation_masks import PALETTE, SegmentationMasks


def write(dataset: RenderedDataset, folder: Path, **values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    SegmentationMasks(SegmentationMasks.Config(**values)).write(dataset, folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("of", ["category", "instance"])
def test_masks_are_exact_and_indexed(things: RenderedDataset, tmp_path: Path, of: str) -> None:
    folder = write(things, tmp_path / "out", of=of)
    due = things.category_mask if of == "category" else things.instance_mask
    assert due is not None
    for index in range(len(things)):
        with Image.open(folder / "masks" / f"{index:06d}.png") as mask:
            assert mask.mode == "P"
            assert bytes(mask.getpalette() or ())[:30] == PALETTE[:30]
            assert np.array_equal(np.asarray(mask), due[index])
        with Image.open(folder / "images" / f"{index:06d}.png") as image:
            assert np.array_equal(np.asarray(image), things.images[index])
    classes = json.loads((folder / "classes.json").read_text())
    assert classes == ["background", *things.categories]
    labels = rows(folder / "labels.csv")
    assert [classes[int(row["class"])] for row in labels] == [things.categories[label] for label in things.labels]
    assert (folder / "objects.csv").exists() == (of == "instance")


def test_objects_have_their_categories(things: RenderedDataset, tmp_path: Path) -> None:
    folder = write(things, tmp_path / "out", of="instance")
    classes = json.loads((folder / "classes.json").read_text())
    found = rows(folder / "objects.csv")
    listed = [(int(row["image"]), int(row["object"]), classes[int(row["class"])]) for row in found]
    assert listed == [
        (index, item["number"], item["category"])
        for index in range(len(things))
        for item in things.scene(index)["objects"]
        if item["visible_box"]
    ]
    assert things.instance_mask is not None
    assert sum(int(row["pixels"]) for row in found) == np.count_nonzero(things.instance_mask)


def test_it_reads_no_more_than_it_must() -> None:
    assert SegmentationMasks(SegmentationMasks.Config()).layers == {"category-mask"}
    assert SegmentationMasks(SegmentationMasks.Config(of="instance")).layers == {"category-mask", "instance-mask"}


def test_the_palette_is_pascals() -> None:
    colours = np.frombuffer(PALETTE, np.uint8).reshape(256, 3).tolist()
    # Aeroplane, bicycle, bird; void.
    assert colours[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[255] == [224, 224, 192]
    assert len(set(map(tuple, colours))) == 256


def test_more_categories_than_such_masks_hold(textures: RenderedDataset, tmp_path: Path) -> None:
    many = attrs.evolve(textures, categories=tuple(f"thing {k}" for k in range(256)))
    with pytest.raises(StoreError, match="holds 255 categories, the dataset has 256; choose exporter coco"):
        write(many, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_more_objects_than_such_masks_hold(textures: RenderedDataset, tmp_path: Path) -> None:
    numbers = np.array(textures.instance_mask)
    numbers[4][numbers[4] == 2] = 256
    with pytest.raises(StoreError, match="numbers up to 255, the mask of image 4 has 256; choose exporter coco"):
        write(attrs.evolve(textures, instance_mask=numbers), tmp_path / "out", of="instance")
