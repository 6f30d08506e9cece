from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import ImageSet, RenderedDataset, Task
from task2sim_resnet.trainer import ResNetTrainer

CATEGORIES = ("dark", "stripes", "chequers")


def textured_images(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Noise with nothing, stripes or chequers added, by label: easy to tell apart, but not by mean colour."""
    noise = np.random.default_rng(seed).normal(0, 20, (len(labels), size, size, 3))
    rows, columns = np.indices((size, size)) // 4 % 2
    patterns = np.stack([np.full((size, size), 0.5), rows, rows ^ columns])
    return np.clip(60 + 120 * patterns[labels][..., None] + noise, 0, 255).astype(np.uint8)


def images_and_labels(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % len(CATEGORIES)
    return textured_images(labels, size, seed), labels


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., RenderedDataset]:
    def make(count: int = 60, size: int = 32) -> RenderedDataset:
        folder = tmp_path / f"dataset-{count}-{size}"
        folder.mkdir()
        images, labels = images_and_labels(count, size, seed=1)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
        manifest = {"categories": CATEGORIES, "setting": {}, "seed": 0, "simulator": "textures 1"}
        (folder / "dataset.json").write_text(json.dumps(manifest))
        return RenderedDataset.open(folder)

    return make


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        folder = tmp_path / f"backbone-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return folder

    return make


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(
        "textures",
        CATEGORIES,
        train=ImageSet(*images_and_labels(30, 32, seed=2)),
        val=ImageSet(*images_and_labels(21, 32, seed=3)),
        test=ImageSet(*images_and_labels(12, 32, seed=4)),
    )


def small_trainer(**changes: Any) -> ResNetTrainer:
    small: dict[str, Any] = {
        "widths": (8, 8, 16, 16),
        "stem_width": 8,
        "image_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "device": "cpu",
    }
    return ResNetTrainer(ResNetTrainer.Config(**small | changes))


@pytest.fixture(name="small_trainer")
def small_trainer_fixture() -> Callable[..., ResNetTrainer]:
    return small_trainer


@pytest.fixture
def global_state() -> Callable[[], list[Any]]:
    """Everything global that a plugin might disturb, as comparable values."""
    import random

    import torch

    def read() -> list[Any]:
        return [
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.is_grad_enabled(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
        ]

    return read
