from __future__ import annotations

import contextlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from task2sim import RenderedDataset, StoreError
from task2sim_exporters.coco import Coco


def export(dataset: RenderedDataset, folder: Path, **values: Any) -> COCO:
    folder.mkdir(exist_ok=True)
    Coco(Coco.Config(**values)).write(dataset, folder)
    with contextlib.redirect_stdout(StringIO()):
        return COCO(str(folder / "annotations.json"))


def average_precision(truth: COCO, found: list[dict[str, Any]], kind: str) -> float:
    with contextlib.redirect_stdout(StringIO()):
        score = COCOeval(truth, truth.loadRes(found), kind)
        score.evaluate()
        score.accumulate()
        score.summarize()
    return float(score.stats[0])


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_pycocotools_scores_it_against_itself_with_one(things: RenderedDataset, tmp_path: Path, kind: str) -> None:
    truth = export(things, tmp_path / "out")
    keys = ("image_id", "category_id", "bbox", "segmentation")
    found = [{**{key: item[key] for key in keys}, "score": 1.0} for item in truth.dataset["annotations"]]
    assert average_precision(truth, found, kind) == 1.0
    # Were it always one, this would not fall.
    for item in found:
        item["category_id"] = item["category_id"] % len(things.categories) + 1
    assert average_precision(truth, found, kind) < 0.2


def test_objects_are_those_of_the_scene_graph(things: RenderedDataset, tmp_path: Path) -> None:
    truth = export(things, tmp_path / "out")
    several = 0
    for index in range(len(things)):
        seen = [item for item in things.scene(index)["objects"] if item["visible_box"]]
        found = truth.loadAnns(truth.getAnnIds(imgIds=[index]))
        assert [truth.cats[item["category_id"]]["name"] for item in found] == [item["category"] for item in seen]
        boxes = [[x, y, x + width, y + height] for x, y, width, height in (item["bbox"] for item in found)]
        assert boxes == [item["visible_box"] for item in seen]
        assert things.instance_mask is not None
        for item, of_scene in zip(found, seen, strict=True):
            mask = things.instance_mask[index] == of_scene["number"]
            assert np.array_equal(truth.annToMask(item), mask)
            assert item["area"] == mask.sum()
        several += len({item["category_id"] for item in found}) > 1
    assert several > 4  # objects of other categories than the image's label


def test_the_file(textures: RenderedDataset, tmp_path: Path) -> None:
    truth = export(textures, tmp_path / "out").dataset
    assert list(truth) == ["info", "licenses", "categories", "images", "annotations"]
    assert truth["info"]["setting"] == dict(textures.setting)
    assert (truth["info"]["seed"], truth["info"]["simulator"]) == (0, "specimen 1")
    assert truth["licenses"] == []
    assert truth["categories"] == [{"id": k, "name": n} for k, n in enumerate(textures.categories, 1)]
    assert [item["id"] for item in truth["annotations"]] == list(range(1, 2 * 19 + 1))
    assert {item["iscrowd"] for item in truth["annotations"]} == {0}
    for index, entry in enumerate(truth["images"]):
        assert (entry["id"], entry["width"], entry["height"]) == (index, 20, 16)
        assert entry["category_id"] == textures.labels[index] + 1
        with Image.open(tmp_path / "out" / "images" / entry["file_name"]) as image:
            assert np.array_equal(np.asarray(image), textures.images[index])


def test_objects_that_are_hardly_seen_are_left_out(textures: RenderedDataset, tmp_path: Path) -> None:
    all_of_them = export(textures, tmp_path / "all").dataset["annotations"]
    areas = sorted(item["area"] for item in all_of_them)
    least = areas[len(areas) // 2]
    kept = export(textures, tmp_path / "large", min_pixels=least).dataset["annotations"]
    assert sorted(item["area"] for item in kept) == [area for area in areas if area >= least]
    assert [item["id"] for item in kept] == list(range(1, len(kept) + 1))


def test_images_without_objects(textures: RenderedDataset, tmp_path: Path) -> None:
    nothing = np.zeros(textures.images.shape[:3], np.uint16)
    empty = attrs.evolve(textures, instance_mask=nothing, category_mask=nothing)
    truth = export(empty, tmp_path / "out").dataset
    assert len(truth["images"]) == 19
    assert truth["annotations"] == []


def test_jpeg(textures: RenderedDataset, tmp_path: Path) -> None:
    export(textures, tmp_path / "out", format="jpeg", quality=70)
    names = [
        entry["file_name"] for entry in json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]
    ]
    assert names[3] == "000003.jpg"
    with Image.open(tmp_path / "out" / "images" / names[3]) as image:
        assert image.format == "JPEG"


def test_masks_that_contradict_each_other(textures: RenderedDataset, tmp_path: Path) -> None:
    wrong = attrs.evolve(textures, category_mask=np.zeros_like(textures.category_mask))
    with pytest.raises(StoreError, match="object 1 of image 0 has no category in the category mask; report it"):
        export(wrong, tmp_path / "out")
    assert not (tmp_path / "out" / "annotations.json").exists()
