"""Rendering a dataset to disk: by several workers side by side, and so that a kill loses next to nothing."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.components import ComponentSpec
from task2sim.datasets import MANIFEST, FrameBatch
from task2sim.errors import PluginError, StoreError
from task2sim.interfaces import Executor, Simulator
from task2sim.parameters import ParameterSetting
from task2sim.progress import Listener, ProgressSum, progress_listener, progress_of, report_progress
from task2sim.registry import plugin_call

PIECE = 256
"""Most images in a worker's piece of work: few enough for workers to finish together, enough for a large batch."""

NOT_YET = -1
"""The label of an image that is not rendered yet."""

Images: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
"""Images and their labels, on their way from a worker that can't write them."""


@attrs.frozen
class RenderJob:
    """Some images of a dataset, for one worker.

    Attributes:
        simulator: Renders.
        setting: A setting of its parameter space.
        seed: The dataset's seed.
        folder: Where the dataset's arrays lie, at their full size.
        first: The first image.
        count: How many.
    """

    simulator: ComponentSpec
    setting: ParameterSetting
    seed: int
    folder: Path
    first: int
    count: int


def render_dataset(
    simulator: ComponentSpec,
    setting: ParameterSetting,
    images: int,
    seed: int,
    folder: Path,
    executor: Executor | None = None,
) -> None:
    """Render a dataset into a folder, going on where an earlier, killed call stopped.

    The arrays are made at their full size first, so a disk that is too small is noticed at once. Workers write
    images into their places, and after each batch its labels, which mark the batch as finished.

    Args:
        simulator: The simulator.
        setting: A setting of its parameter space.
        images: How many images, >= 1.
        seed: The dataset's seed.
        folder: An existing folder, empty or left by a killed call with the same arguments; its workers may have
            been more or fewer.
        executor: Its workers render; without it, or for few images, this process does.

    Raises:
        PluginError: the simulator raised or broke a promise.
        StoreError: the disk is too small.
    """
    with plugin_call(simulator.title):
        height, width = simulator.component().image_size
        categories = simulator.component().categories
    _reserve(folder, images, height, width)
    missing = np.flatnonzero(np.load(folder / "labels.npy", allow_pickle=False) == NOT_YET)
    pieces = _pieces(missing, 1 if executor is None else executor.workers)
    jobs = [RenderJob(simulator, setting, seed, folder, piece.start, len(piece)) for piece in pieces]
    progress = ProgressSum("render", images - len(missing), images, "images")
    # For a single piece, a second worker would still be starting when this process is done.
    if executor is None or len(missing) <= PIECE:
        finished: Iterator[Images | None] = map(partial(_render_here, progress), jobs)
    else:
        finished = executor.map(render_images, jobs, progress)
    for job, sent in zip(jobs, finished, strict=True):
        if sent is not None:
            with _places(job) as write:
                write(job.first, *sent)
        progress.reached(str(job.first), job.count)
    if (np.load(folder / "labels.npy", allow_pickle=False) == NOT_YET).any():
        raise StoreError(
            "workers wrote their images to another folder of this name",
            place=str(folder),
            mend="remove it on the other machines, or name a store by its URL",
        )
    manifest = {
        "simulator": simulator.title,
        "categories": list(categories),
        "setting": setting.as_dict(),
        "seed": seed,
        "images": images,
        "image_size": [height, width],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def render_images(job: RenderJob) -> Images | None:
    """Render some images of a dataset into their places. This is what worker processes run.

    Returns:
        Nothing; but on a machine where there is no such folder the images, uint8 of shape (count, height, width, 3),
        and their labels, int64 of shape (count,), for whoever asked to write.
    """
    with progress_of(str(job.first)):
        if (job.folder / "labels.npy").is_file():
            with _places(job) as write:
                for first, batch in _batches_of(job):
                    write(first, batch.rgb, batch.labels)
            return None
        batches = [batch for _, batch in _batches_of(job)]
        return np.concatenate([batch.rgb for batch in batches]), np.concatenate([batch.labels for batch in batches])


def _batches_of(job: RenderJob) -> Iterator[tuple[int, FrameBatch]]:
    """What the simulator renders, checked, with the number of each batch's first image."""
    title = job.simulator.title
    with plugin_call(title):
        simulator: Simulator = job.simulator.component()
        shape = (*simulator.image_size, 3)
        categories = len(simulator.categories)
    filled = 0
    for batch in _batches(simulator, title, job.setting, range(job.first, job.first + job.count), job.seed):
        first = job.first + filled
        _check(batch, shape, first, job.count - filled, categories, title)
        yield first, batch
        filled += len(batch)
        report_progress("render", filled, job.count, "images")
    if filled != job.count:
        raise PluginError(f"{title} rendered {filled} of {job.count} images", mend="report it to its author")


@contextmanager
def _places(job: RenderJob) -> Iterator[Callable[[int, NDArray[Any], NDArray[Any]], None]]:
    """A function that writes images, and then the labels that mark them as finished, into their places.

    Plain writes are used, not a memory map, which would kill the process where the disk turns out to be full.
    """
    with (
        (job.folder / "images.npy").open("r+b") as images_file,
        (job.folder / "labels.npy").open("r+b") as labels_file,
    ):
        images_start, labels_start = _data_start(images_file), _data_start(labels_file)

        def write(first: int, images: NDArray[Any], labels: NDArray[Any]) -> None:
            images_file.seek(images_start + first * math.prod(images.shape[1:]))
            images_file.write(np.ascontiguousarray(images).data)
            images_file.flush()
            labels_file.seek(labels_start + first * 8)
            labels_file.write(labels.astype("<i8").tobytes())
            labels_file.flush()

        yield write


def _render_here(listener: Listener, job: RenderJob) -> Images | None:
    with progress_listener(listener):
        return render_images(job)


def _pieces(missing: NDArray[np.int64], workers: int) -> list[range]:
    """Cut the images that are missing into pieces of equal size, as many for each worker."""
    each = math.ceil(len(missing) / (workers * PIECE))
    size = math.ceil(len(missing) / (workers * each)) if each else 1
    pieces = []
    for run in np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1):
        first, count = int(run[0]) if len(run) else 0, len(run)
        pieces += [range(start, min(start + size, first + count)) for start in range(first, first + count, size)]
    return pieces


def _batches(
    simulator: Simulator, title: str, setting: ParameterSetting, indices: range, seed: int
) -> Iterator[FrameBatch]:
    """What the simulator renders; only its own errors are put down to it, not those of whoever writes the images."""
    with plugin_call(title):
        for batch in simulator.render(setting, indices, seed):
            # Whatever can be read as arrays will do; what can't is the simulator's fault.
            rgb, labels = np.asarray(batch.rgb), np.asarray(batch.labels)
            yield attrs.evolve(batch, rgb=rgb, labels=labels, indices=np.asarray(batch.indices))


def _reserve(folder: Path, images: int, height: int, width: int) -> None:
    """Make the arrays at their full size, all images missing, or keep those that a killed call left."""
    labels_path = folder / "labels.npy"  # comes last
    if labels_path.exists():
        return
    needed = images * (height * width * 3 + 8)
    images_path = folder / "images.npy"
    if not images_path.exists() and needed > (free := shutil.disk_usage(folder).free):
        raise StoreError(
            f"{images} images of {height} x {width} pixels need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            place=str(folder),
            mend="render fewer or smaller ones, or choose another disk with --store",
        )
    if not images_path.exists():
        with _whole(images_path) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (images, height, width, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            _grow(file, file.tell() + images * height * width * 3)
    with _whole(labels_path) as file:
        np.save(file, np.full(images, NOT_YET, dtype="<i8"), allow_pickle=False)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name once it is whole, and that is gone if it can't be written."""
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _grow(file: BinaryIO, size: int) -> None:
    """Give a file its size, and its room on the disk where the system can promise that."""
    file.flush()
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # not on every system, nor every file system
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        file.truncate(size)


def _data_start(file: BinaryIO) -> int:
    """Where the data of an .npy file begin."""
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
