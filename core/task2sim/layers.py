"""Layers: what frames and datasets may hold beside images and labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.errors import PluginError, StoreError

SCENE_GRAPH = "scene-graph"
"""The layer that is no array: a description of each image as plain data."""


@attrs.frozen
class ArrayLayer:
    """A layer of numbers for each pixel.

    Attributes:
        field: The field of `FrameBatch` and `RenderedDataset` that holds it.
        dtype: Type of its numbers, as numpy writes it, little endian.
        channels: Further axes beside height and width.
    """

    field: str
    dtype: str
    channels: tuple[int, ...] = ()

    def shape(self, image_size: tuple[int, int]) -> tuple[int, ...]:
        """Shape of one image's part of it."""
        return (*image_size, *self.channels)


ARRAY_LAYERS: Mapping[str, ArrayLayer] = {
    "instance-mask": ArrayLayer("instance_mask", "<u2"),
    "category-mask": ArrayLayer("category_mask", "<u2"),
    "depth": ArrayLayer("depth", "<f4"),
    "normals": ArrayLayer("normals", "<f4", (3,)),
}
"""The layers that are arrays, by the names that `Simulator.capabilities` has for them."""

LAYERS = (*ARRAY_LAYERS, SCENE_GRAPH)
"""All layers there are, in the order in which they are kept and listed."""


def ordered_layers(names: Iterable[str]) -> tuple[str, ...]:
    """Names of layers in the order of `LAYERS`, each once.

    Raises:
        PluginError: there is no such layer.
    """
    wanted = set(names)
    if unknown := sorted(wanted.difference(LAYERS)):
        raise PluginError(f"there is no layer {unknown[0]!r}", mend=f"layers are {', '.join(LAYERS)}")
    return tuple(name for name in LAYERS if name in wanted)


SCENE_INDEX = "scenes.npy"
SCENE_PIECES = "scenes"
SCENE_PLACE = np.dtype([("piece", "<i8"), ("start", "<i8"), ("length", "<i8")])
"""Where an image's scene graph lies: in ``scenes/<piece>.jsonl``, from which byte, and how many bytes."""


def piece_path(folder: Path, piece: int) -> Path:
    """The file that holds the scene graphs which a worker wrote, from image `piece` on."""
    return folder / SCENE_PIECES / f"{piece:09d}.jsonl"


@attrs.frozen(eq=False)
class StoredScenes(Sequence[Mapping[str, Any]]):
    """The scene graphs of a dataset, each read from the disk when it is asked for.

    Attributes:
        folder: The dataset.
        places: Structured array of shape (N,) of type `SCENE_PLACE`.
    """

    folder: Path
    places: NDArray[Any]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self._read(number) for number in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(index, slice):
            return attrs.evolve(self, places=self.places[index])
        return self._read(range(len(self))[index])

    def _read(self, number: int) -> Mapping[str, Any]:
        piece, start, length = (int(value) for value in self.places[number])
        path = piece_path(self.folder, piece)
        try:
            with path.open("rb") as file:
                file.seek(start)
                scene: Mapping[str, Any] = json.loads(file.read(length))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"can't read a scene graph: {error}",
                place=str(path),
                mend="remove the dataset's folder to render it again",
            ) from error
        return scene
