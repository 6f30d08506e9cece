from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydantic
import pytest
from PIL import Image

from task2sim import Task, TaskError
from task2sim.choice import Chosen
from task2sim.conformance.specimens import make_dataset, pictures
from task2sim_tasks.dense_folder import DenseFolderTasks


def write(folder: Path, count: int = 10, size: tuple[int, int] = (16, 16)) -> Path:
    """Pictures with a cat and a smaller dog, or the other way round; the first pixel tells them apart."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    (folder / "classes.json").write_text(json.dumps(["background", "cat", "dog"]))
    for number in range(count):
        mask = np.zeros(size, np.uint8)
        mask[2:8, 2:8] = 1 + number % 2
        mask[10:13, 10:14] = 2 - number % 2
        image = Image.fromarray(np.repeat(mask[..., None] * 100, 3, axis=2))
        image.putpixel((0, 0), (number, number, number))
        image.save(folder / "images" / f"{number:06d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:06d}.png")
    return folder


def source(folder: Path, **keys: object) -> DenseFolderTasks:
    return DenseFolderTasks(DenseFolderTasks.Config(**{"path": folder, "image_size": 16, **keys}))


def load(folder: Path, **keys: object) -> Task:
    tasks = source(folder, **keys)
    return tasks.load(*tasks.names())


def fails(folder: Path, **keys: object) -> str:
    with pytest.raises(TaskError) as caught:
        load(folder, **keys)
    assert str(folder) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_masks_labels_and_splits_are_those_of_the_folder(tmp_path: Path) -> None:
    task = load(write(tmp_path / "pets"))
    assert (task.name, task.classes, task.is_dense) == ("pets", ("cat", "dog"), True)
    numbers = [part.images[:, 0, 0, 0].tolist() for part in (task.train, task.val, task.test)]
    assert numbers == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]  # by index, the same every time
    assert task.val.labels.tolist() == [0, 1]  # the larger of two
    assert task.train.instance_mask is None
    mask = task.train.category_mask
    assert mask is not None
    assert (mask[0, 4, 4], mask[0, 11, 12], mask[0, 15, 15]) == (1, 2, 0)
    assert load(tmp_path / "pets").fingerprint == task.fingerprint


@pytest.mark.parametrize("of", ["category", "instance"])
def test_what_the_exporter_wrote_comes_back(of: str, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "export").mkdir()
    dataset = make_dataset(tmp_path / "dataset", *pictures(10, (16, 16), seed=4))
    exporter = Chosen.parse("exporters", {"type": "segmentation-masks", "of": of}).build()
    exporter.write(dataset, tmp_path / "export")
    task = load(tmp_path / "export", name="back")
    assert (task.name, task.classes) == ("back", dataset.categories)
    for part, place in ((task.train, slice(0, 6)), (task.val, slice(6, 8)), (task.test, slice(8, 10))):
        assert np.array_equal(part.images, dataset.images[place])
        assert np.array_equal(part.category_mask, dataset.category_mask[place])
        if of == "instance":
            assert np.array_equal(part.instance_mask, dataset.instance_mask[place])
        else:
            assert part.instance_mask is None
    # Of the specimens' two objects the first is the larger one, and of the image's category.
    assert np.array_equal(task.train.labels, dataset.labels[:6])


def test_masks_are_cut_out_as_their_images_are_and_no_numbers_are_mixed(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets", size=(24, 40))
    task = load(folder, image_size=12)
    mask = task.train.category_mask
    assert mask is not None
    assert mask.shape == (6, 12, 12)
    assert set(np.unique(mask)) <= {0, 1, 2}
    shown = task.train.images[..., 0]
    # A picture is as bright as its mask's number is large; their edges may differ by the interpolation.
    assert (np.round(shown / 100) == mask).mean() > 0.9


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / "masks" / "000003.png").unlink()
    assert fails(tmp_path).endswith("000003.png: image 000003.png has no mask; add the mask or remove the image")


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.ones((8, 16), np.uint8)).save(write(tmp_path) / "masks" / "000003.png")
    assert "000003.png: the mask has 16 x 8 pixels, its image 16 x 16; make both of one size" in fails(tmp_path)


def test_values_beyond_the_classes_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 3, np.uint8)).save(write(tmp_path) / "masks" / "000003.png")
    assert "000003.png: a pixel is 3, and classes.json ends at 2" in fails(tmp_path)


def test_a_value_beyond_the_classes_is_found_however_small(tmp_path: Path) -> None:
    path = write(tmp_path, size=(64, 64)) / "masks" / "000003.png"
    mask = np.array(Image.open(path))
    mask[1, 1] = 200
    Image.fromarray(mask).save(path)
    assert "000003.png: a pixel is 200, and classes.json ends at 2" in fails(tmp_path)


def test_coloured_damaged_and_empty_masks_are_named(tmp_path: Path) -> None:
    path = write(tmp_path) / "masks" / "000003.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
    assert "000003.png: the mask's pixels are colours (mode RGB), not numbers" in fails(tmp_path)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(path)
    assert "000003.png: the mask shows nothing but background" in fails(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    assert "000003.png: can't read the mask; replace this file" in fails(tmp_path)


def test_objects_must_have_classes_that_there_are(tmp_path: Path) -> None:
    objects = write(tmp_path) / "objects.csv"
    rows = [f"{image},{number},{number}" for image in range(10) for number in (1, 2)]
    objects.write_text("\n".join(["image,object,class", *rows]) + "\n")
    assert load(tmp_path).train.instance_mask is not None
    objects.write_text("\n".join(["image,object,class", *rows[:-1]]) + "\n")
    assert "000009.png: objects.csv does not tell of which class object 2 is" in fails(tmp_path)
    objects.write_text("\n".join(["image,object,class", *rows, "3,3,9"]) + "\n")
    assert "objects.csv:22: there is no class 9; 1 to 2 are in classes.json" in fails(tmp_path)
    objects.write_text("\n".join(["image,object,class", *rows, "3,2,1"]) + "\n")
    assert "objects.csv:22: object 2 of image 000003 is of class 1 here, and of 2 above" in fails(tmp_path)
    objects.write_bytes("image,object,class\n0,1,1\né,1,1\n".encode("latin-1"))
    assert "objects.csv: this is not UTF-8; save it as UTF-8" in fails(tmp_path)
    objects.write_text("\n".join(["image,class", *rows]) + "\n")
    assert "objects.csv:2: this row does not say which class" in fails(tmp_path)


@pytest.mark.parametrize(
    "text", ["nonsense", "{}", '["background", "cat"]', '["background", "cat", "cat"]', "[1, 2, 3]"]
)
def test_bad_lists_of_classes_are_refused(text: str, tmp_path: Path) -> None:
    (write(tmp_path) / "classes.json").write_text(text)
    assert "classes.json: " in fails(tmp_path)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    assert "there is no such folder; correct 'path'" in fails(tmp_path / "nowhere")
    assert "the folder 'images' is missing" in fails(tmp_path)
    folder = write(tmp_path / "pets")
    (folder / "manifest.json.unfinished").touch()
    assert "the export into this folder was not finished" in fails(folder)
    few = write(tmp_path / "few", count=2)
    assert "there are 2 images; train, val and test need one each" in fails(few)
    Image.new("RGB", (16, 16)).save(write(tmp_path / "twice") / "images" / "000001.jpg")
    assert "000001.jpg and 000001.png have the same mask" in fails(tmp_path / "twice")


def test_unknown_tasks_and_greedy_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no task 'x'"):
        source(write(tmp_path)).load("x")
    with pytest.raises(pydantic.ValidationError, match="must leave some images to train"):
        source(tmp_path, validation=0.5, test=0.5)
