"""Tasks from NumPy archives."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import ComponentConfig, ImageSet, Task, TaskError, TaskSource, not_in_key, stratified_split
from task2sim_tasks.images import ImageSize, squares

_VALIDATION_SHARE = 0.2
_KEYS = ("images", "labels", "split", "classes")


class ArrayTasks(TaskSource):
    """A task for each ``.npz`` file, named after it.

    A file holds ``images``, uint8 of shape (N, height, width) or (N, height, width, 3); ``labels``, integers of
    shape (N,), positions in ``classes``; ``split``, integers of shape (N,), 0 for train and 1 for test;
    ``classes``, strings. A fifth of the training images become val, the same ones every time.
    """

    class Config(ComponentConfig):
        """Keys of the task source ``arrays``."""

        path: Annotated[Path, not_in_key(description="An .npz file or a folder of such files.")]
        image_size: Annotated[
            ImageSize | None,
            Field(description="Side of the square images, in pixels; null leaves them as they are."),
        ] = None

    def __init__(self, config: Config) -> None:
        self._config = config
        self._path = config.path.expanduser()

    def names(self) -> tuple[str, ...]:
        """Names of the files without ``.npz``.

        Raises:
            TaskError: there are none.
        """
        return tuple(self._files())

    def load(self, name: str) -> Task:
        """Load one file.

        Raises:
            TaskError: it is missing or does not hold what it should.
        """
        files = self._files()
        if name not in files:
            raise TaskError(
                f"there is no task {name!r}", place=str(self._path), mend=f"choose one of {', '.join(files)}"
            )
        file = files[name]
        images, labels, split, classes = _checked(_read(file), file)
        size = self._config.image_size
        if size is not None:
            images = squares(images, size)
        elif images.ndim == 3:
            images = np.repeat(images[..., None], 3, axis=3)
        everything = ImageSet(images, labels)
        train = np.flatnonzero(split == 0)
        fit, val = (train[part] for part in stratified_split(labels[train], (1 - _VALIDATION_SHARE,), seed=0))
        return Task(
            name=name,
            classes=classes,
            train=everything.take(fit),
            val=everything.take(val),
            test=everything.take(np.flatnonzero(split == 1)),
        )

    def _files(self) -> dict[str, Path]:
        if self._path.is_dir():
            try:
                files = sorted(
                    entry
                    for entry in self._path.iterdir()
                    if entry.suffix.lower() == ".npz" and not entry.name.startswith(".")
                )
            except OSError as error:
                raise TaskError(f"can't list this folder: {error.strerror}", place=str(self._path)) from error
            if not files:
                raise TaskError("this folder holds no .npz files", place=str(self._path), mend="correct 'path'")
        elif self._path.exists():
            files = [self._path]
        else:
            raise TaskError("there is no such file or folder", place=str(self._path), mend="correct 'path'")
        return {file.stem: file for file in files}


def _read(file: Path) -> dict[str, NDArray[Any]]:
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise TaskError("this is no .npz file", place=str(file), mend="write it with numpy.savez")
        with archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise TaskError(
                    f"the file has no {missing[0]!r}", place=str(file), mend=f"it needs {', '.join(_KEYS)}"
                )
            return {key: archive[key] for key in _KEYS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise TaskError(
                "the file holds pickled data", place=str(file), mend="save plain arrays; 'classes' as an array of str"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TaskError(f"can't read the file: {reason}", place=str(file), mend="write it again") from error


def _checked(
    arrays: dict[str, NDArray[Any]], file: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """The four arrays, if they are as the class says."""
    images, labels, split, classes = (arrays[key] for key in _KEYS)

    def require(condition: bool, message: str, mend: str) -> None:
        if not condition:
            raise TaskError(message, place=str(file), mend=mend)

    require(
        images.dtype == np.uint8
        and (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3))
        and 0 not in images.shape[1:],
        f"'images' is {images.dtype} of shape {images.shape}",
        "it must be uint8 of shape (N, height, width) or (N, height, width, 3)",
    )
    for key, array in (("labels", labels), ("split", split)):
        require(
            array.dtype.kind in "iu" and array.shape == (len(images),),
            f"{key!r} is {array.dtype} of shape {array.shape}",
            f"it must be integers of shape ({len(images)},), one for each image",
        )
    require(
        classes.dtype.kind == "U" and classes.ndim == 1,
        f"'classes' is {classes.dtype} of shape {classes.shape}",
        "it must be a list of str",
    )
    require(
        bool(np.all((labels >= 0) & (labels < len(classes)))),
        f"'labels' has values outside 0 to {len(classes) - 1}",
        "labels are positions in 'classes'",
    )
    require(bool(np.all((split == 0) | (split == 1))), "'split' has values besides 0 and 1", "0 is train, 1 is test")
    for number, part in enumerate(("train", "test")):
        require(bool(np.any(split == number)), f"no image belongs to {part}", f"mark some with {number} in 'split'")
    return images, labels.astype(np.int64), split.astype(np.int64), tuple(str(name) for name in classes)
