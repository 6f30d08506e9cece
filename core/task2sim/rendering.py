"""Rendering a dataset to disk: by several workers side by side, and so that a kill loses next to nothing."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.components import ComponentSpec
from task2sim.datasets import MANIFEST, FrameBatch
from task2sim.errors import PluginError, StoreError
from task2sim.interfaces import Executor, Simulator
from task2sim.layers import ARRAY_LAYERS, SCENE_GRAPH, SCENE_INDEX, SCENE_PIECES, SCENE_PLACE, piece_path
from task2sim.parameters import ParameterSetting
from task2sim.progress import Listener, ProgressSum, progress_listener, progress_of, report_progress
from task2sim.registry import plugin_call

PIECE = 256
"""Most images in a worker's piece of work: few enough for workers to finish together, enough for a large batch."""

NOT_YET = -1
"""The label of an image that is not rendered yet."""


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
        layers: What is kept beside images and labels.
    """

    simulator: ComponentSpec
    setting: ParameterSetting
    seed: int
    folder: Path
    first: int
    count: int
    layers: tuple[str, ...] = ()


def render_dataset(
    simulator: ComponentSpec,
    setting: ParameterSetting,
    images: int,
    seed: int,
    folder: Path,
    executor: Executor | None = None,
    layers: Sequence[str] = (),
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
        layers: What to keep beside images and labels: some of `LAYERS`, each a capability of the simulator.

    Raises:
        PluginError: the simulator raised or broke a promise.
        StoreError: the disk is too small.
    """
    with plugin_call(simulator.title):
        height, width = simulator.component().image_size
        categories = simulator.component().categories
    _reserve(folder, images, (height, width), layers)
    missing = np.flatnonzero(np.load(folder / "labels.npy", allow_pickle=False) == NOT_YET)
    pieces = _pieces(missing, 1 if executor is None else executor.workers)
    jobs = [RenderJob(simulator, setting, seed, folder, p.start, len(p), tuple(layers)) for p in pieces]
    progress = ProgressSum("render", images - len(missing), images, "images")
    # For a single piece, a second worker would still be starting when this process is done.
    if executor is None or len(missing) <= PIECE:
        finished: Iterator[list[Frames] | None] = map(partial(_render_here, progress), jobs)
    else:
        finished = executor.map(render_images, jobs, progress)
    for job, sent in zip(jobs, finished, strict=True):
        if sent is not None:
            with _FramesFiles(job) as files:
                for frames in sent:
                    files.write(frames)
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
        **({"layers": list(layers)} if layers else {}),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


@attrs.frozen(eq=False)
class Frames:
    """Some rendered images with their layers, checked and ready to be written.

    Attributes:
        first: The first image's place in the dataset.
        rgb: uint8 array of shape (N, height, width, 3).
        labels: int64 array of shape (N,).
        arrays: The layers that are arrays, by name.
        scenes: For each image its scene graph as a line of JSON; None if the dataset keeps none.
    """

    first: int
    rgb: NDArray[Any]
    labels: NDArray[Any]
    arrays: Mapping[str, NDArray[Any]]
    scenes: list[bytes] | None


def render_images(job: RenderJob) -> list[Frames] | None:
    """Render some images of a dataset into their places. This is what worker processes run.

    Returns:
        Nothing; but on a machine where there is no such folder what was rendered, for whoever asked to write.
    """
    with progress_of(str(job.first)):
        if not (job.folder / "labels.npy").is_file():
            return list(_frames_of(job))
        with _FramesFiles(job) as files:
            for frames in _frames_of(job):
                files.write(frames)
        return None


def _frames_of(job: RenderJob) -> Iterator[Frames]:
    """What the simulator renders, batch by batch."""
    title = job.simulator.title
    with plugin_call(title):
        simulator: Simulator = job.simulator.component()
        image_size = simulator.image_size
        categories = len(simulator.categories)
    filled = 0
    for batch in _batches(simulator, job):
        first = job.first + filled
        _check(batch, (*image_size, 3), first, job.count - filled, categories, title)
        _check_layers(batch, image_size, job.layers, title)
        arrays = {name: getattr(batch, ARRAY_LAYERS[name].field) for name in job.layers if name in ARRAY_LAYERS}
        scenes = None
        if SCENE_GRAPH in job.layers:
            with plugin_call(title):
                scenes = [_scene_line(scene, title) for scene in batch.scenes or ()]
        yield Frames(first, batch.rgb, batch.labels.astype("<i8"), arrays, scenes)
        filled += len(batch)
        report_progress("render", filled, job.count, "images")
    if filled != job.count:
        raise PluginError(f"{title} rendered {filled} of {job.count} images", mend="report it to its author")


def _render_here(listener: Listener, job: RenderJob) -> list[Frames] | None:
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


def _batches(simulator: Simulator, job: RenderJob) -> Iterator[FrameBatch]:
    """What the simulator renders; only its own errors are put down to it, not those of whoever writes the images."""
    fields = [ARRAY_LAYERS[name].field for name in job.layers if name in ARRAY_LAYERS]
    with plugin_call(job.simulator.title):
        for batch in simulator.render(job.setting, range(job.first, job.first + job.count), job.seed):
            # Whatever can be read as arrays will do; what can't is the simulator's fault.
            held = [field for field in fields if getattr(batch, field) is not None]
            arrays: dict[str, Any] = {
                field: np.asarray(getattr(batch, field)) for field in ("indices", "rgb", "labels", *held)
            }
            yield attrs.evolve(batch, **arrays)


class _Places:
    """An array's file, into which images are written at their places."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        shape, _, dtype = _header(self._file)
        self._start, self._bytes = self._file.tell(), math.prod(shape[1:]) * dtype.itemsize

    def write(self, first: int, values: NDArray[Any]) -> None:
        self._file.seek(self._start + first * self._bytes)
        self._file.write(np.ascontiguousarray(values).data.cast("B"))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _SceneLines:
    """The scene graphs of a worker's images, a line each, and where each lies.

    The file bears the name of the worker's first image. Since that image is missing, so are all that an earlier,
    killed worker may have written to a file of the same name.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._first = first
        self._lines = piece_path(folder, first).open("wb")
        self._places = _Places(folder / SCENE_INDEX)

    def write(self, first: int, lines: Sequence[bytes]) -> None:
        places = np.zeros(len(lines), SCENE_PLACE)
        places["piece"] = self._first
        places["length"] = [len(line) for line in lines]
        places["start"] = self._lines.tell() + np.cumsum(places["length"]) - places["length"]
        self._lines.write(b"".join(lines))
        self._lines.flush()
        self._places.write(first, places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._places.__exit__()


class _FramesFiles:
    """The files of a dataset, into which a worker's images are written at their places.

    Plain writes are used, not a memory map, which would kill the process where the disk turns out to be full. An
    image's label is written last: it says that the image and its layers are there.
    """

    def __init__(self, job: RenderJob) -> None:
        with ExitStack() as files:
            self._images = files.enter_context(_Places(job.folder / "images.npy"))
            self._arrays = {
                name: files.enter_context(_Places(job.folder / f"{ARRAY_LAYERS[name].field}.npy"))
                for name in job.layers
                if name in ARRAY_LAYERS
            }
            keeps_scenes = SCENE_GRAPH in job.layers
            self._scenes = files.enter_context(_SceneLines(job.folder, job.first)) if keeps_scenes else None
            self._labels = files.enter_context(_Places(job.folder / "labels.npy"))
            self._files = files.pop_all()

    def write(self, frames: Frames) -> None:
        self._images.write(frames.first, frames.rgb)
        for name, places in self._arrays.items():
            places.write(frames.first, frames.arrays[name])
        if self._scenes is not None:
            self._scenes.write(frames.first, frames.scenes or [])
        self._labels.write(frames.first, frames.labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def _scene_line(scene: object, title: str) -> bytes:
    try:
        return json.dumps(scene, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise PluginError(f"{title} gave a scene graph that JSON can't hold: {error}") from error


def _reserve(folder: Path, images: int, image_size: tuple[int, int], layers: Sequence[str]) -> None:
    """Make the arrays at their full size, all images missing, or keep those that a killed call left."""
    labels_path = folder / "labels.npy"  # comes last
    if labels_path.exists():
        return
    height, width = image_size
    arrays: dict[str, tuple[str, tuple[int, ...]]] = {"images": ("|u1", (height, width, 3))}
    arrays |= {
        ARRAY_LAYERS[name].field: (ARRAY_LAYERS[name].dtype, ARRAY_LAYERS[name].shape(image_size))
        for name in layers
        if name in ARRAY_LAYERS
    }
    room = {name: images * math.prod(shape) * np.dtype(kind).itemsize for name, (kind, shape) in arrays.items()}
    paths = {name: folder / f"{name}.npy" for name in arrays}
    missing = [name for name in arrays if not paths[name].exists()]
    needed = sum(room[name] for name in missing) + images * 8
    if missing and needed > (free := shutil.disk_usage(folder).free):
        raise StoreError(
            f"{images} images of {height} x {width} pixels need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            place=str(folder),
            mend="render fewer or smaller ones, or choose another disk with --store",
        )
    for name in missing:
        kind, shape = arrays[name]
        with _whole(paths[name]) as file:
            header = {"descr": kind, "fortran_order": False, "shape": (images, *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            _grow(file, file.tell() + room[name])
    if SCENE_GRAPH in layers:
        (folder / SCENE_PIECES).mkdir(exist_ok=True)
        with _whole(folder / SCENE_INDEX) as file:
            np.save(file, np.zeros(images, SCENE_PLACE), allow_pickle=False)
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


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array in an .npy file, which is left where its data begin."""
    np.lib.format.read_magic(file)
    return np.lib.format.read_array_header_1_0(file)


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


def _check_layers(batch: FrameBatch, image_size: tuple[int, int], layers: Sequence[str], title: str) -> None:
    """Hold a simulator to what its capabilities promise."""
    for name in layers:
        problem = ""
        if name == SCENE_GRAPH:
            held = None if batch.scenes is None else len(batch.scenes)
            if held != len(batch):
                problem = f"gave {held or 'no'} scene graphs for {len(batch)} images"
        else:
            layer = ARRAY_LAYERS[name]
            values, due = getattr(batch, layer.field), (len(batch), *layer.shape(image_size))
            if values is None:
                problem = f"gave no {name}, which its capabilities promise"
            elif values.dtype != layer.dtype or values.shape != due:
                kind = np.dtype(layer.dtype).name
                problem = f"gave {name} as {values.dtype} of shape {values.shape} instead of {kind} {due}"
        if problem:
            raise PluginError(f"{title} {problem}", mend="report it to its author")
