from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import ImageSet, RenderedDataset, Task
from task2sim_dense.trainers import DenseTrainer, DetectionTrainer, SegmentationTrainer

CATEGORIES = ("bright", "stripes")
TRAINERS = {"segmentation": SegmentationTrainer, "detection": DetectionTrainer}


def scenes(count: int, size: int, seed: int) -> tuple[np.ndarray, ...]:
    """Images, labels, category and instance masks: one or two boxes, bright or striped, on dark noise."""
    generator = np.random.default_rng(seed)
    images = generator.normal(50, 8, (count, size, size, 3))
    categories = np.zeros((count, size, size), np.uint16)
    instances = np.zeros_like(categories)
    labels = np.arange(count) % 2
    stripes = 60 * (np.arange(size) // 2 % 2)[:, None, None]
    for i in range(count):
        for number in range(1, 2 + i % 3 // 2):
            kind = (labels[i] + number - 1) % 2
            high, wide = generator.integers(size // 4, size // 2, 2)
            # One in the upper half, one in the lower: neither hides the other.
            top = generator.integers(0, size // 2 - high + 1) + (number - 1) * size // 2
            left = generator.integers(0, size - wide)
            place = (slice(top, top + high), slice(left, left + wide))
            images[i][place] = 200 if kind == 0 else 120 + stripes[place[0]]
            categories[i][place] = kind + 1
            instances[i][place] = number
    return np.clip(images, 0, 255).astype(np.uint8), labels, categories, instances


def image_set(count: int, seed: int, size: int = 32) -> ImageSet:
    return ImageSet(*scenes(count, size, seed))


@pytest.fixture(scope="session")
def task() -> Task:
    return Task("boxes", CATEGORIES, image_set(40, 2), image_set(16, 3), image_set(12, 4))


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., RenderedDataset]:
    def make(count: int = 48, size: int = 32) -> RenderedDataset:
        images, labels, categories, instances = scenes(count, size, seed=1)
        arrays = {"images": images, "labels": labels, "category_mask": categories, "instance_mask": instances}
        folder = tmp_path / f"dataset-{count}-{size}"
        folder.mkdir(exist_ok=True)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        manifest = {"categories": CATEGORIES, "setting": {}, "seed": 0, "simulator": "boxes 1"}
        (folder / "dataset.json").write_text(json.dumps({**manifest, "layers": ["category-mask", "instance-mask"]}))
        return RenderedDataset.open(folder)

    return make


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        folder = tmp_path / f"backbone-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return folder

    return make


@pytest.fixture(params=TRAINERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trainer_of() -> Callable[..., DenseTrainer]:
    def make(name: str, **changes: Any) -> DenseTrainer:
        small: dict[str, Any] = {
            "widths": (8, 8, 16, 16),
            "stem_width": 8,
            "decoder_width": 8,
            "image_size": 32,
            "epochs": 2,
            "batch_size": 16,
            "device": "cpu",
        }
        kind = TRAINERS[name]
        return kind(kind.Config(**small | changes))

    return make
