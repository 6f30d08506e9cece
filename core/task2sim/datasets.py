"""Rendered datasets: labelled synthetic images as memory-mapped arrays in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.errors import StoreError
from task2sim.layers import ARRAY_LAYERS, LAYERS, SCENE_GRAPH, SCENE_INDEX, StoredScenes
from task2sim.parameters import ParameterSetting

MANIFEST = "dataset.json"


@attrs.frozen(eq=False)
class FrameBatch:
    """A few rendered images with what the simulator knows of them.

    Attributes:
        indices: int64 array of shape (B,): which images of the dataset these are.
        rgb: uint8 array of shape (B, height, width, 3), sRGB, top row first.
        labels: int64 array of shape (B,): positions in the simulator's categories.
        instance_mask: uint16 array of shape (B, height, width): 0 is background, k the k-th object; or None.
        category_mask: uint16 array of shape (B, height, width): 0 is background, otherwise category + 1; or None.
        depth: float32 array of shape (B, height, width): metres along the viewing direction, infinite where the
            background shows; or None.
        normals: float32 array of shape (B, height, width, 3): unit normals in the world's axes, towards the camera,
            zero where the background shows; or None.
        scenes: For simulators with the ``"scene-graph"`` capability, one plain-data description an image, maybe made
            when it is read; or None.
    """

    indices: NDArray[np.int64]
    rgb: NDArray[np.uint8] = attrs.field(repr=lambda value: f"<{value.shape}>")
    labels: NDArray[np.int64]
    instance_mask: NDArray[np.uint16] | None = attrs.field(default=None, repr=False)
    category_mask: NDArray[np.uint16] | None = attrs.field(default=None, repr=False)
    depth: NDArray[np.float32] | None = attrs.field(default=None, repr=False)
    normals: NDArray[np.float32] | None = attrs.field(default=None, repr=False)
    scenes: Sequence[Mapping[str, Any]] | None = attrs.field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rgb)


@attrs.frozen(eq=False)
class RenderedDataset:
    """A finished dataset on disk.

    Attributes:
        folder: Where it lies: ``images.npy``, ``labels.npy``, ``dataset.json``, and a file for each layer.
        images: uint8 memory map of shape (N, height, width, 3), sRGB. Read-only.
        labels: int64 array of shape (N,).
        categories: Category names; a category's position is its label.
        setting: The parameter setting it was rendered with.
        seed: The dataset's seed.
        simulator: Name and version of the simulator.
        instance_mask: uint16 memory map of shape (N, height, width), as in `FrameBatch`; or None. Read-only, as are
            the other layers. A dataset holds the layers that whoever asked for it reads, and no others.
        category_mask: uint16 memory map of shape (N, height, width), as in `FrameBatch`; or None.
        depth: float32 memory map of shape (N, height, width), as in `FrameBatch`; or None.
        normals: float32 memory map of shape (N, height, width, 3), as in `FrameBatch`; or None.
        scenes: The scene graph of each image, read from the disk when it is asked for; or None.
    """

    folder: Path
    images: NDArray[np.uint8] = attrs.field(repr=lambda value: f"<{value.shape}>")
    labels: NDArray[np.int64] = attrs.field(repr=False)
    categories: tuple[str, ...] = attrs.field(repr=False)
    setting: ParameterSetting
    seed: int
    simulator: str
    instance_mask: NDArray[np.uint16] | None = attrs.field(default=None, repr=False)
    category_mask: NDArray[np.uint16] | None = attrs.field(default=None, repr=False)
    depth: NDArray[np.float32] | None = attrs.field(default=None, repr=False)
    normals: NDArray[np.float32] | None = attrs.field(default=None, repr=False)
    scenes: Sequence[Mapping[str, Any]] | None = attrs.field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def layers(self) -> frozenset[str]:
        """The layers it holds, named as in `Simulator.capabilities`."""
        fields = {name: layer.field for name, layer in ARRAY_LAYERS.items()} | {SCENE_GRAPH: "scenes"}
        return frozenset(name for name in LAYERS if getattr(self, fields[name]) is not None)

    def scene(self, index: int) -> Mapping[str, Any]:
        """The scene graph of an image, as plain data.

        Raises:
            StoreError: the dataset holds no scene graphs, or they can't be read.
        """
        if self.scenes is None:
            raise StoreError(
                "the dataset holds no scene graphs", place=str(self.folder), mend="name 'scene-graph' in 'layers'"
            )
        return self.scenes[index]

    @classmethod
    def open(cls, folder: Path) -> RenderedDataset:
        """Open a dataset that was written by the store.

        Raises:
            StoreError: the folder is missing or is no dataset.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
            labels = np.load(folder / "labels.npy", allow_pickle=False)
            layers: dict[str, Any] = {}
            for name in manifest.get("layers", ()):
                file = SCENE_INDEX if name == SCENE_GRAPH else f"{ARRAY_LAYERS[name].field}.npy"
                array = np.load(folder / file, mmap_mode="r", allow_pickle=False)
                layers[file.removesuffix(".npy")] = StoredScenes(folder, array) if name == SCENE_GRAPH else array
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"can't read the dataset: {error}", place=str(folder), mend="remove this folder to render it again"
            ) from error
        return cls(
            folder=folder,
            images=images,
            labels=labels,
            categories=tuple(manifest["categories"]),
            setting=ParameterSetting(manifest["setting"]),
            seed=manifest["seed"],
            simulator=manifest["simulator"],
            **layers,
        )
