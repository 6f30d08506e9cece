from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from vqa_tiny import FIRST, write_tiny

from task2sim import StoreError, TaskError
from task2sim.cli import app
from task2sim_vqa import detecting
from task2sim_vqa.detecting import detect
from task2sim_vqa.folders import is_of_type, read_folder
from task2sim_vqa.regions import MOST, Regions, read_regions, write_regions
from task2sim_vqa.vqa_v2 import image_files


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("regions") / "tiny", 6)


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_of_masks_and_scene_graphs(tiny: Path) -> None:
    found = read_regions(tiny, image_files(tiny / "images"))
    lines = [json.loads(line) for line in (tiny / "scenes" / "000000.jsonl").open()]
    assert len(found) == len(lines) == 6
    for line in lines:
        objects, regions = line["scene"]["objects"], found[line["image_id"]]
        np.testing.assert_allclose(regions.boxes * 48, [item["box"] for item in objects], atol=1e-4)
        assert regions.classes == tuple(item["category"] for item in objects)
        assert regions.colours == tuple(item["colour"] for item in objects)
        assert set(regions.materials) == {"wood"}
    positions = found[FIRST].positions()
    assert positions[-1].tolist() == [0, 0, 1, 1, 1]
    assert positions[0, 4] == pytest.approx(72 / 48**2)


def test_a_list_wins(copy: Path) -> None:
    images = image_files(copy / "images")
    boxes = np.array([[0.1, 0.2, 0.3, 0.5]], dtype=np.float32)
    some = Regions(boxes, ("ship",), (None,), (None,))
    assert write_regions(copy / "regions.jsonl", ((number, some) for number in images)) == 6
    found = read_regions(copy, images)
    np.testing.assert_allclose(found[FIRST].boxes, boxes)
    assert (found[FIRST].classes, found[FIRST].colours) == (("ship",), (None,))


def test_the_largest_of_too_many(copy: Path) -> None:
    sides = [0.01 * (k % 90 + 1) for k in range(90)]
    line = {"image_id": FIRST, "boxes": [[0, 0, side, side] for side in sides], "classes": ["mug"] * 90}
    (copy / "regions.jsonl").write_text(json.dumps(line))
    (regions,) = read_regions(copy, {FIRST: Path()}).values()
    assert len(regions) == MOST
    assert regions.boxes[:, 2].min() == pytest.approx(0.41)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"regions\.jsonl:1: this is not JSON"),
        ("[1]", r":1: this is no mapping"),
        ('{"image_id": 1, "boxes": []}', "lacks image_id, boxes or classes"),
        ('{"image_id": 1, "boxes": [[0, 0, 1, 1]], "classes": []}', "1 boxes and 0 classes"),
        ('{"image_id": 1, "boxes": [[0, 0, 64, 64]], "classes": ["mug"]}', r"boxes\[0\] is .*as shares"),
        ('{"image_id": 1, "boxes": [[0.5, 0, 0.2, 1]], "classes": ["mug"]}', r"boxes\[0\]"),
        ('{"image_id": 1, "boxes": [[0, 0, NaN, 1]], "classes": ["mug"]}', r"boxes\[0\]"),
        ('{"image_id": 1, "boxes": [[0, 0, 1, 1]], "classes": [3]}', r"classes\[0\] is 3"),
        ('{"image_id": 1, "boxes": [], "classes": []}', f"image {FIRST} has no line"),
    ],
)
def test_a_bad_list_is_refused(copy: Path, line: str, message: str) -> None:
    (copy / "regions.jsonl").write_text(line)
    with pytest.raises(TaskError, match=message):
        read_folder(copy)


def test_bad_folders_are_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no VQA folder: questions\.json is missing"):
        read_folder(tmp_path)
    mask = copy / "masks" / f"{FIRST:012d}.png"
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(mask)
    with pytest.raises(TaskError, match="not of the picture's size"):
        read_folder(copy)
    mask.write_bytes(b"no picture")
    with pytest.raises(TaskError, match="this mask can't be read"):
        read_folder(copy)
    mask.unlink()
    with pytest.raises(TaskError, match=f"image {FIRST} has no mask"):
        read_folder(copy)
    lines = (copy / "scenes" / "000000.jsonl").read_text().splitlines()
    (copy / "scenes" / "000000.jsonl").write_text("\n".join(lines[1:]))
    shutil.copy(copy / "masks" / f"{FIRST + 1:012d}.png", mask)
    with pytest.raises(TaskError, match=f"image {FIRST} has no scene graph"):
        read_folder(copy)
    shutil.rmtree(copy / "masks")
    with pytest.raises(TaskError, match=r"neither masks and scenes nor regions\.jsonl.*task2sim vqa detect"):
        read_folder(copy)
    (copy / "images" / f"{FIRST:012d}.png").unlink()
    with pytest.raises(TaskError, match=f"image {FIRST} is not in"):
        read_folder(copy)


def test_types_of_questions() -> None:
    note = {"family": "colour"}
    assert is_of_type("how many", {"question": "How many mugs?"}, {})
    assert not is_of_type("how man", {"question": "How many mugs?"}, {})
    assert is_of_type("colour", {"question": "What is the color of it?"}, note)
    assert is_of_type("What color", {"question": "what color is it?"}, {})
    assert not is_of_type("counting", {"question": "what color is it?"}, note)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    folder = tmp_path_factory.mktemp("detector")
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[32, 32],
        patch_size=16, num_detection_tokens=70, num_labels=2, id2label={0: "mug", 1: "chair"},
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_a_detector_finds_regions(copy: Path, detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "CONFIDENCE", 0.01)
    shutil.rmtree(copy / "masks")
    done = CliRunner().invoke(app, ["vqa", "detect", str(copy), "--detector", str(detector)])
    assert done.exit_code == 0, done.output
    assert "regions of 6 pictures" in done.output.replace("\n", "")
    found = read_folder(copy).regions
    assert all(0 < len(regions) <= MOST for regions in found.values())
    assert {name for regions in found.values() for name in regions.classes} <= {"mug", "chair"}
    with pytest.raises(StoreError, match="the regions are known"):
        detect(copy, detector)


def test_what_is_no_detector_is_refused(copy: Path, detector: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no detector here: config\.json is missing"):
        detect(copy, tmp_path)
    broken = shutil.copytree(detector, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"?")
    with pytest.raises(StoreError, match="no detector here"):
        detect(copy, broken)
    assert not (copy / "regions.jsonl").exists()
    with pytest.raises(TaskError, match="no such folder"):
        detect(tmp_path / "broken", detector)
