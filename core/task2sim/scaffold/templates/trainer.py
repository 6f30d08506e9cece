"""A trainer: features are an image's likeness to directions in which the rendered images differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from safetensors.numpy import load_file, save_file

from task2sim import (
    Backbone,
    ComponentConfig,
    RenderedDataset,
    StoreError,
    Trainer,
    fingerprint_libraries,
    report_progress,
    spawn_generator,
)

WEIGHTS = "weights.safetensors"
SIDE = 8  # pixels of the small copies that this network looks at


class MyBackbone(Backbone):
    """Projects small copies of images onto directions."""

    def __init__(self, folder: Path) -> None:
        try:
            self.directions = load_file(folder / WEIGHTS)["directions"]
        except Exception as error:  # missing, cut off, or somebody else's
            raise StoreError(f"no backbone of my-plugin: {error}", place=str(folder)) from error
        self.folder = folder

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Float32 of shape (N, D); a row depends on its image alone."""
        # blank: your network.
        flat = small(images)
        return np.stack([row @ self.directions for row in flat]) if len(flat) else flat @ self.directions


class MyPlugin(Trainer):
    """Learns by principal components."""

    class Config(ComponentConfig):
        """Keys of ``trainer: {type: my-plugin, ...}``."""

        # blank: further keys, each with bounds and a description.
        width: Annotated[int, Field(ge=1, le=192, description="length of a feature vector")] = 32

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Weights change with the libraries that compute them."""
        return fingerprint_libraries("numpy", "pillow")

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        """Train on the images and save to the folder; the same arguments give the same weights."""
        # blank: your training. `dataset.images` are uint8 (N, height, width, 3), `dataset.labels` their categories.
        flat = small(dataset.images)
        # A dataset may have fewer images than there are directions: the rest stays as in an untrained network.
        directions = self._initial(seed)
        found = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][: self.config.width].T
        directions[:, : found.shape[1]] = found
        report_progress("pretrain", 1, 1, "epochs")
        return self._save(directions, folder)

    def untrained(self, seed: int, folder: Path) -> Backbone:
        """Save random weights: the baseline that every table shows."""
        return self._save(self._initial(seed), folder)

    def load(self, folder: Path) -> Backbone:
        """Open what was saved."""
        return MyBackbone(folder)

    def _initial(self, seed: int) -> NDArray[np.float32]:
        shape = (3 * SIDE * SIDE, self.config.width)
        return spawn_generator(seed, "my-plugin").normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    def _save(self, directions: NDArray[np.float32], folder: Path) -> Backbone:
        save_file({"directions": np.ascontiguousarray(directions)}, folder / WEIGHTS)
        (folder / "backbone.json").write_text(json.dumps({"width": self.config.width}))
        return MyBackbone(folder)


def small(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Small copies as rows: float32 of shape (N, 3 * SIDE * SIDE)."""
    copies = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX)) for image in images]
    return np.asarray(copies, dtype=np.float32).reshape(len(copies), 3 * SIDE * SIDE) / np.float32(255)
