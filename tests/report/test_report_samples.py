from __future__ import annotations

import base64
import io
import json
import shutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from task2sim import ImageSet, RenderedDataset, StoreError, Task
from task2sim_report.content import pictured_settings
from task2sim_report.samples import COUNT, LARGEST_SIDE, gather_samples, read_samples, spread_over_classes


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


@given(labels=st.lists(st.integers(0, 4), max_size=40), count=st.integers(1, 20))
def test_spread_over_classes(labels: list[int], count: int) -> None:
    array = np.array(labels, dtype=np.int64)
    chosen = spread_over_classes(array, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(array))
    assert (np.diff(array[chosen]) >= 0).all()
    have, all_of = np.bincount(array[chosen], minlength=5), np.bincount(array, minlength=5)
    unfinished = have < all_of
    if unfinished.any():
        assert have.max() - have[unfinished].min() <= 1


def test_pictures_are_the_images_of_the_store(make_run: Any) -> None:
    run = make_run()
    gather_samples(run)
    samples = read_samples(run.folder)
    assert list(samples.tasks) == ["digits", "faces", "surfaces", "letters"]
    digits = samples.tasks["digits"]
    assert (digits.width, digits.height, len(digits.pictures), digits.is_tiny) == (8, 8, COUNT, True)
    (fingerprint,) = run.results.query("SELECT fingerprint FROM tasks WHERE name = 'digits'")
    task = run.store.get_task("digits", fingerprint["fingerprint"])
    np.testing.assert_array_equal(pixels(digits.pictures[0]), task.train.images[0])


def test_strips_of_settings_show_the_same_images(make_run: Any) -> None:
    run = make_run()
    pictured = pictured_settings(run.results)
    labels = run.store.path("datasets", pictured[-1].dataset) / "labels.npy"
    np.save(labels, np.roll(np.load(labels), 1))  # a simulator may give another category the same place
    gather_samples(run)
    samples = read_samples(run.folder)
    assert set(samples.settings) == {one.key for one in pictured}
    positions = None
    for one in pictured:
        dataset = RenderedDataset.open(run.store.path("datasets", one.dataset))
        if positions is None:
            positions = spread_over_classes(dataset.labels, COUNT)
        strip = samples.settings[one.key]
        assert strip.names == tuple(dataset.categories[label] for label in dataset.labels[positions])
        for picture, position in zip(strip.pictures, positions, strict=True):
            np.testing.assert_array_equal(pixels(picture), dataset.images[position])


def test_gathering_again_changes_nothing(make_run: Any) -> None:
    run = make_run()
    gather_samples(run)
    before = {path.name: path.read_bytes() for path in (run.folder / "samples").iterdir()}
    gather_samples(run)
    assert {path.name: path.read_bytes() for path in (run.folder / "samples").iterdir()} == before


def test_what_the_store_has_lost_is_left_out(make_run: Any) -> None:
    run = make_run()
    first, second, *_ = pictured_settings(run.results)
    shutil.rmtree(run.store.path("datasets", first.dataset))
    shutil.rmtree(run.store.root / "tasks")
    gather_samples(run)
    samples = read_samples(run.folder)
    assert samples.tasks == {}
    assert first.key not in samples.settings
    assert second.key in samples.settings


def test_large_images_are_reduced(make_run: Any) -> None:
    run = make_run()
    images = np.zeros((4, 300, 150, 3), np.uint8)
    images[2:] = 255
    part = ImageSet(images, np.array([0, 0, 1, 1]))
    task = Task(name="a b <c>", classes=("x", "y"), train=part, val=part, test=part)
    row = {"name": task.name, "position": 9, "role": "seen", "fingerprint": run.store.put_task(task)}
    run.results.put("tasks", [{**row, "domain": "", "classes": 2, "train": 4, "val": 4, "test": 4}])
    gather_samples(run)
    strip = read_samples(run.folder).tasks["a b <c>"]
    assert (strip.width, strip.height, len(strip.pictures), strip.is_tiny) == (150, 300, 4, False)
    assert [int(pixels(picture).mean()) for picture in strip.pictures] == [0, 0, 255, 255]
    assert pixels(strip.pictures[0]).shape == (LARGEST_SIDE, LARGEST_SIDE // 2, 3)


def test_a_reward_table_has_no_pictures(make_run: Any) -> None:
    run = make_run(looked_up=True)
    gather_samples(run)
    assert not (run.folder / "samples").exists()


def test_run_without_samples(make_run: Any) -> None:
    samples = read_samples(make_run().folder)
    assert not samples.tasks
    assert not samples.settings


@pytest.mark.parametrize("spoil", ["missing", "broken"])
def test_spoilt_samples_are_named(make_run: Any, spoil: str) -> None:
    run = make_run()
    gather_samples(run)
    picture = (
        run.folder
        / "samples"
        / json.loads((run.folder / "samples/samples.json").read_text())["tasks"]["faces"]["file"]
    )
    picture.unlink()
    if spoil == "broken":
        picture.write_bytes(b"no picture")
    with pytest.raises(StoreError, match="sample pictures"):
        read_samples(run.folder)
