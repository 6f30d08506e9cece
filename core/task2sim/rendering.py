"""Rendering a dataset to disk, in shards that survive a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from task2sim.datasets import MANIFEST, FrameBatch
from task2sim.errors import PluginError
from task2sim.interfaces import Simulator
from task2sim.parameters import ParameterSetting
from task2sim.progress import report_progress
from task2sim.registry import plugin_call

SHARD = 512
"""Images that are lost at most when a render is killed."""


def render_dataset(
    simulator: Simulator, title: str, setting: ParameterSetting, images: int, seed: int, folder: Path
) -> None:
    """Render a dataset into a folder, going on where an earlier, killed call stopped.

    The arrays are made at their full size first, so a disk that is too small is noticed at once. Shards are written
    with plain writes, not through a memory map, which would kill the process on a full disk.

    Args:
        simulator: The simulator.
        title: Its name and version, for the manifest and messages.
        setting: A setting of its parameter space.
        images: How many images.
        seed: The dataset's seed.
        folder: An existing folder, empty or left by a killed call with the same arguments.

    Raises:
        PluginError: the simulator raised or broke a promise.
        StoreError: the disk is full.
    """
    with plugin_call(title):
        height, width = simulator.image_size
        categories = simulator.categories
    image_shape = (height, width, 3)
    image_bytes = height * width * 3
    images_path = folder / "images.npy"
    offset = _allocate(images_path, (images, *image_shape), np.dtype(np.uint8))
    done = 0
    with images_path.open("r+b") as file:
        for start in range(0, images, SHARD):
            count = min(SHARD, images - start)
            labels_path = folder / f"labels-{start:09d}.npy"
            if not labels_path.exists():
                labels = np.empty(count, dtype=np.int64)
                filled = 0
                for batch in _batches(simulator, title, setting, range(start, start + count), seed):
                    _check(batch, image_shape, start + filled, count - filled, len(categories), title)
                    file.seek(offset + (start + filled) * image_bytes)
                    file.write(np.ascontiguousarray(batch.rgb).data)
                    labels[filled : filled + len(batch)] = batch.labels
                    filled += len(batch)
                    report_progress("render", start + filled, images, "images")
                if filled != count:
                    raise PluginError(f"{title} rendered {filled} of {count} images", mend="report it to its author")
                file.flush()
                # The labels of a shard mark it as finished, so they come last and at once.
                partial = labels_path.with_suffix(".partial")
                with partial.open("wb") as labels_file:
                    np.save(labels_file, labels, allow_pickle=False)
                partial.replace(labels_path)
            done += count
            report_progress("render", done, images, "images")
    shards = sorted(folder.glob("labels-*.npy"))
    np.save(folder / "labels.npy", np.concatenate([np.load(path) for path in shards]), allow_pickle=False)
    manifest = {
        "simulator": title,
        "categories": list(categories),
        "setting": setting.as_dict(),
        "seed": seed,
        "images": images,
        "image_size": [height, width],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in shards:
        path.unlink()


def _batches(
    simulator: Simulator, title: str, setting: ParameterSetting, indices: range, seed: int
) -> Iterator[FrameBatch]:
    """What the simulator renders; only its own errors are put down to it, not those of whoever writes the images."""
    with plugin_call(title):
        for batch in simulator.render(setting, indices, seed):
            # Whatever can be read as arrays will do; what can't is the simulator's fault.
            rgb, labels = np.asarray(batch.rgb), np.asarray(batch.labels)
            yield attrs.evolve(batch, rgb=rgb, labels=labels, indices=np.asarray(batch.indices))


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.uint8]) -> int:
    """Make an .npy file of full size, or keep the one that is there; returns where its data begin."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            offset = file.tell()
            block = bytes(1 << 20)
            remaining = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            while remaining:
                remaining -= file.write(block[: min(remaining, len(block))])
        partial.replace(path)
        return offset
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()


def _check(
    batch: FrameBatch, image_shape: tuple[int, ...], first: int, remaining: int, categories: int, title: str
) -> None:
    """Hold a simulator to its promises, whose breach would spoil a dataset silently."""
    problem = ""
    count = len(batch.rgb)
    if batch.rgb.dtype != np.uint8 or batch.rgb.ndim != 4 or batch.rgb.shape[1:] != image_shape:
        problem = f"gave images of {batch.rgb.dtype} {batch.rgb.shape[1:]} instead of uint8 {image_shape}"
    elif count > remaining:
        problem = f"gave {count - remaining} images too many"
    elif not np.array_equal(batch.indices, np.arange(first, first + count)):
        problem = f"gave images {batch.indices[:3]}... where {first}... was due"
    elif np.shape(batch.labels) != (count,) or (
        count and not 0 <= np.min(batch.labels) <= np.max(batch.labels) < categories
    ):
        problem = f"gave labels outside 0 to {categories - 1}, or not one for each image"
    if problem:
        raise PluginError(f"{title} {problem}", mend="report it to its author")
