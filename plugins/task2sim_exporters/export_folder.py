"""What exporters have in common: a folder of their own, files that are whole, work in parallel that can go on."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from task2sim import RenderedDataset, StoreError, report_progress
from task2sim.layers import ARRAY_LAYERS
from task2sim.locking import sole_writer

MANIFEST = "manifest.json"
_UNFINISHED = "manifest.json.unfinished"

PictureFormat: TypeAlias = Literal["png", "jpeg"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def export(
    dataset: RenderedDataset, folder: Path, keys: Mapping[str, Any], layers: Iterable[str] = ()
) -> Iterator[None]:
    """Hold a folder for the export of one dataset while the block writes it.

    Until the block has ended, the manifest is called ``manifest.json.unfinished``.

    Args:
        dataset: What is exported.
        folder: Where; empty, or holding an export of the same dataset, finished or not.
        keys: What else decides about the files.
        layers: The layers that are exported.

    Raises:
        StoreError: the folder holds something else or can't be written, or another process writes into it.
    """
    with sole_writer(folder), _as_store_error(folder):
        manifest = json.loads(json.dumps(_manifest(dataset, sorted(layers), keys)))
        _check_folder(folder, manifest)
        if not (folder / MANIFEST).exists():
            with whole(folder / _UNFINISHED, "tmp") as file:
                file.write(json.dumps(manifest, indent=2).encode())
        yield
        if not (folder / MANIFEST).exists():
            (folder / _UNFINISHED).replace(folder / MANIFEST)


@contextmanager
def whole(path: Path, suffix: str = "unfinished") -> Iterator[IO[bytes]]:
    """A file to write that gets its name once it is whole."""
    unfinished = path.with_name(f"{path.name}.{suffix}")
    with unfinished.open("wb") as file:
        yield file
    unfinished.replace(path)


def is_there(path: Path) -> bool:
    """Whether a file was written before; an empty one was cut off by a crash of the machine."""
    return path.exists() and path.stat().st_size > 0


def parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Like `map`, by threads that are a few items ahead: libraries compress and count outside the interpreter's lock.

    However many items there are, only those few are in memory.
    """
    workers = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    threads = ThreadPoolExecutor(workers)
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(threads.submit(function, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def pieces(count: int, size: int) -> Iterator[range]:
    """Cut `count` images into runs of `size`; the last may be shorter."""
    return (range(first, min(first + size, count)) for first in range(0, count, size))


def write_pieces(write: Callable[[range], Result], count: int, size: int = 1) -> Iterator[Result]:
    """Write `count` images in parallel, in runs of `size`, and report how many are done."""
    for number, result in enumerate(parallel(write, pieces(count, size)), 1):
        yield result
        report_progress("export", min(number * size, count), count, "images")


def picture(pixels: NDArray[Any], kind: PictureFormat = "png", quality: int = 95) -> bytes:
    """Encode an image or a mask; PNG is exact, with 16 bits where the pixels have them."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **_options(kind, quality))
    return file.getvalue()


def write_picture(path: Path, pixels: NDArray[Any], kind: PictureFormat = "png", quality: int = 95) -> None:
    """Write an image to a file, unless it is there."""
    from PIL import Image

    if is_there(path):
        return
    unfinished = path.with_suffix(".unfinished")
    Image.fromarray(pixels).save(unfinished, format=kind, **_options(kind, quality))
    unfinished.replace(path)


def picture_keys(kind: PictureFormat, quality: int) -> dict[str, Any]:
    """What decides about the bytes of pictures."""
    return {"format": kind, **({"quality": quality} if kind == "jpeg" else {})}


def _options(kind: PictureFormat, quality: int) -> dict[str, Any]:
    """How Pillow is to encode. Runs alone make PNG files 4 % larger than level 6 does, in a third of its time."""
    return {"quality": quality} if kind == "jpeg" else {"compress_level": 1, "compress_type": zlib.Z_RLE}


def suffix_of(kind: PictureFormat) -> str:
    """How the names of such files end."""
    return "jpg" if kind == "jpeg" else "png"


def _manifest(dataset: RenderedDataset, layers: list[str], keys: Mapping[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256()
    arrays = [dataset.images, *(getattr(dataset, ARRAY_LAYERS[n].field) for n in layers if n in ARRAY_LAYERS)]
    for array in arrays:
        for run in pieces(len(array), 64):
            digest.update(np.ascontiguousarray(array[run.start : run.stop]).data.cast("B"))
    digest.update(dataset.labels.tobytes())
    return {
        "setting": dict(dataset.setting),
        "seed": dataset.seed,
        "simulator": dataset.simulator,
        "categories": list(dataset.categories),
        "count": len(dataset),
        "image_size": list(dataset.images.shape[1:3]),
        "sha256": digest.hexdigest(),
        **({"layers": layers} if layers else {}),
        **keys,
    }


def _check_folder(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but an export of this dataset."""
    for name in (MANIFEST, _UNFINISHED):
        if (folder / name).exists():
            if _parsed(folder / name) != manifest:
                raise StoreError(
                    "the folder holds an export of another dataset or format",
                    place=str(folder / name),
                    mend="choose an empty folder",
                )
            return
    # A killed export leaves at least its manifest; a half-written one is overwritten.
    others = [entry.name for entry in folder.iterdir() if entry.name != f"{_UNFINISHED}.tmp"]
    if others:
        raise StoreError(
            f"the folder is not empty: it holds {min(others)!r}", place=str(folder), mend="choose an empty folder"
        )


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


@contextmanager
def _as_store_error(folder: Path) -> Iterator[None]:
    """Turn failures of the file system into one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"can't write the images: {error.strerror or error}",
            place=str(error.filename or folder),
            mend="free some space or choose another folder; what was written is kept",
        ) from error
