"""Task embeddings in NumPy archives: one array a task."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task2sim import TaskError


def read_vectors(data: bytes, tasks: Iterable[str], file: Path) -> dict[str, NDArray[np.float32]]:
    """Read the embeddings of some tasks.

    Args:
        data: The bytes of an ``.npz`` file. It may hold other arrays too.
        tasks: Whose embeddings are wanted; those that have none are left out.
        file: The file's name, for messages.

    Returns:
        For each task, a finite float32 array of shape (D,); all have the same length.

    Raises:
        TaskError: the file is no archive, or an embedding is not as it should be.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:
        raise TaskError("this is no .npz file", place=str(file), mend="write it with numpy.savez") from error
    with archive:
        members = archive.namelist()
        vectors = {task: _read(archive, task, file) for task in tasks if f"{task}.npy" in members}
    check_vectors(vectors, file)
    for task in vectors:
        if members.count(f"{task}.npy") > 1:
            raise TaskError(f"task {task!r} has two embeddings", place=str(file), mend="leave one out")
    return vectors


def write_vectors(vectors: Mapping[str, NDArray[np.float32]], file: Path) -> None:
    """Write embeddings as `numpy.savez` does, which has no room for a task that is called ``file``."""
    with zipfile.ZipFile(file, "w") as archive:
        for task, vector in vectors.items():
            with archive.open(f"{task}.npy", "w") as member:
                np.lib.format.write_array(member, vector, allow_pickle=False)


def check_vectors(vectors: Mapping[str, NDArray[Any]], file: Path) -> None:
    """Hold embeddings to what `task2sim.TaskEmbedding` promises.

    Raises:
        TaskError: one is not a finite float32 array of shape (D,), or their lengths differ.
    """
    first = next(iter(vectors), "")
    for task, vector in vectors.items():
        if vector.dtype != np.float32 or vector.ndim != 1 or not vector.size:
            raise TaskError(
                f"the embedding of task {task!r} is {vector.dtype} of shape {vector.shape}",
                place=str(file),
                mend="it must be float32 of shape (D,)",
            )
        if not np.isfinite(vector).all():
            raise TaskError(f"the embedding of task {task!r} is not finite", place=str(file), mend="embed it anew")
        if len(vector) != len(vectors[first]):
            raise TaskError(
                f"embeddings differ in length: {len(vectors[first])} for task {first!r}, {len(vector)} for {task!r}",
                place=str(file),
                mend="embed all tasks with the same embedder",
            )


def _read(archive: zipfile.ZipFile, task: str, file: Path) -> NDArray[Any]:
    try:
        with archive.open(f"{task}.npy") as member:
            array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
            return array
    except Exception as error:  # zipfile, the decompressors and numpy raise what they like on spoilt bytes
        if "allow_pickle" in str(error):
            message, mend = f"the embedding of task {task!r} holds pickled objects", "save it as a float32 array"
        else:
            reason = " ".join(str(error).split()) or type(error).__name__
            message, mend = f"can't read the embedding of task {task!r}: {reason}", "write the file again"
        raise TaskError(message, place=str(file), mend=mend) from error
