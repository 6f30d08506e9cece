"""Tasks from data sets of the Hugging Face hub, or in its formats on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    ComponentConfig,
    ImageSet,
    Task,
    TaskError,
    TaskSource,
    not_in_key,
    report_progress,
    stratified_split,
)
from task2sim_tasks.balance import ImageLimit, balanced_positions, check_limit
from task2sim_tasks.images import ImageSize, square

if TYPE_CHECKING:
    from datasets import Dataset

_SPLIT_NAMES = {"train": ("train",), "val": ("validation", "valid", "val", "dev"), "test": ("test",)}
_SHARE = 0.2


class HuggingFaceTasks(TaskSource):
    """One task: an image classification data set that the library ``datasets`` can load.

    A fifth of the training images each for the splits that the data set lacks, the same ones every time. Images
    without a label (none, or -1) are passed over, and so is a split that has no others, as the hub's test splits
    with secret labels.
    """

    class Config(ComponentConfig):
        """Keys of the task source ``huggingface``."""

        path: Annotated[str, not_in_key(min_length=1, description="The data set's name on the hub, or a folder.")]
        subset: Annotated[str | None, Field(description="Which of the data set's configurations.")] = None
        image_column: Annotated[str | None, Field(description="null: the first column with images.")] = None
        label_column: Annotated[
            str | None, Field(description="null: the first column with class labels, or 'label'.")
        ] = None
        name: Annotated[str | None, Field(min_length=1, description="null: the last part of 'path'.")] = None
        image_size: ImageSize = 64
        images: ImageLimit = None

    def __init__(self, config: Config) -> None:
        self._config = config

    def names(self) -> tuple[str, ...]:
        """The task's name; nothing is downloaded.

        Raises:
            TaskError: the library ``datasets`` is not installed.
        """
        if find_spec("datasets") is None:
            raise TaskError(
                "the task source 'huggingface' needs the library datasets",
                mend='pip install "task2sim[huggingface]"',
            )
        return (self._name,)

    def load(self, name: str) -> Task:
        """Download the data set if need be, and load it.

        Raises:
            TaskError: it can't be loaded, or is no image classification.
        """
        if name not in self.names():
            raise TaskError(f"there is no task {name!r}", place=self._config.path, mend=f"its task is {self._name!r}")
        tables = self._tables()
        label_column = self._label_column(tables["train"])
        image_column = self._image_column(tables["train"])
        labels, classes = self._labels(tables, label_column)
        parts = _parts(labels)
        if self._config.images is not None:
            check_limit(name, classes, self._config.images)
            parts = {split: part.limit(labels, self._config.images) for split, part in parts.items()}
        total = sum(len(part.rows) for part in parts.values())
        size = self._config.image_size
        sets: dict[str, ImageSet] = {}
        done = 0
        for split, part in parts.items():
            images = np.empty((len(part.rows), size, size, 3), dtype=np.uint8)
            for position, row in enumerate(part.rows):
                images[position] = self._image(tables[part.table], image_column, part.table, int(row))
                done += 1
                report_progress("load", done, total, "images")
            sets[split] = ImageSet(images, labels[part.table][part.rows])
        return Task(name=name, classes=classes, train=sets["train"], val=sets["val"], test=sets["test"])

    @property
    def _name(self) -> str:
        return self._config.name or Path(self._config.path).expanduser().resolve().name

    def _error(self, message: str, mend: str = "") -> TaskError:
        return TaskError(message, place=self._config.path, mend=mend)

    def _tables(self) -> dict[str, Dataset]:
        """The data set's train and, if it has them, val and test."""
        import datasets

        folder = Path(self._config.path).expanduser()
        try:
            if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
                loaded = datasets.load_from_disk(folder)
            else:
                path = str(folder) if folder.is_dir() else self._config.path
                loaded = datasets.load_dataset(path, self._config.subset)
        except Exception as error:  # the library raises errors of its own, of its file systems and of the network
            raise self._error(
                f"can't load the data set: {_first_line(error)}", "check 'path', 'subset' and the connection"
            ) from error
        found = {"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)
        tables = {
            split: found[names[0]]
            for split, accepted in _SPLIT_NAMES.items()
            if (names := [name for name in accepted if name in found])
        }
        if "train" not in tables:
            raise self._error(
                f"the data set has no split 'train', only {', '.join(found)}", "choose another 'subset' or data set"
            )
        return tables

    def _image_column(self, table: Dataset) -> str:
        from datasets import Image

        columns = [name for name, feature in table.features.items() if isinstance(feature, Image)]
        if not columns:
            raise self._error("the data set has no column with images", "choose an image data set")
        return self._chosen("image_column", self._config.image_column, columns)

    def _label_column(self, table: Dataset) -> str:
        from datasets import ClassLabel, Value

        columns = [
            name
            for name, feature in table.features.items()
            if isinstance(feature, ClassLabel)
            or (isinstance(feature, Value) and feature.dtype.startswith(("int", "uint", "bool", "string", "large_s")))
        ]
        chosen = self._config.label_column
        if chosen is None:
            likely = [name for name in columns if isinstance(table.features[name], ClassLabel)] or [
                name for name in columns if name == "label"
            ]
            if not likely:
                raise self._error(
                    "which column holds the labels is unclear",
                    f"set 'label_column' to one of {', '.join(table.column_names)}",
                )
            return str(likely[0])
        return self._chosen("label_column", chosen, columns)

    def _chosen(self, key: str, chosen: str | None, columns: Sequence[str]) -> str:
        if chosen is not None and chosen not in columns:
            raise self._error(f"{key!r} can't be {chosen!r}", f"choose one of {', '.join(columns) or 'none'}")
        return chosen or columns[0]

    def _labels(
        self, tables: Mapping[str, Dataset], column: str
    ) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
        """Labels of each table, -1 where there is none, and class names."""
        from datasets import ClassLabel

        values = {split: list(table[column]) if column in table.features else [] for split, table in tables.items()}
        feature = tables["train"].features[column]
        if isinstance(feature, ClassLabel):
            classes = tuple(feature.names)
            number = {position: position for position in range(len(classes))}
        else:
            distinct = sorted({value for value in values["train"] if _is_label(value)})
            classes = tuple(str(value) for value in distinct)
            number = {value: position for position, value in enumerate(distinct)}
        labels = {}
        for split, own in values.items():
            unknown = [value for value in own if _is_label(value) and value not in number]
            if unknown:
                raise self._error(
                    f"{split} has the label {unknown[0]!r}, which is not in train", "choose another 'label_column'"
                )
            labels[split] = np.array([number[value] if _is_label(value) else -1 for value in own], dtype=np.int64)
        return labels, classes

    def _image(self, table: Dataset, column: str, split: str, row: int) -> NDArray[np.uint8]:
        try:
            return square(table[row][column], self._config.image_size)
        except Exception as error:  # whatever a decoder raises over a damaged image
            raise self._error(
                f"can't read image {row} of {split}: {_first_line(error)}", "replace or remove it"
            ) from error


@attrs.frozen(eq=False)
class _Part:
    """Some rows of one table, of which a split is made."""

    table: str
    rows: NDArray[np.int64]

    def limit(self, labels: Mapping[str, NDArray[np.int64]], count: int) -> _Part:
        return _Part(self.table, self.rows[balanced_positions(labels[self.table][self.rows], count)])


def _parts(labels: Mapping[str, NDArray[np.int64]]) -> dict[str, _Part]:
    """What each split is made of: its own table, or some of the training rows if it has none with labels."""
    parts = {split: _Part(split, np.flatnonzero(values >= 0)) for split, values in labels.items()}
    missing = [split for split in ("val", "test") if split not in parts or not len(parts[split].rows)]
    if missing:
        rows = parts["train"].rows
        fractions = (1 - _SHARE * len(missing), *(_SHARE,) * (len(missing) - 1))
        shares = stratified_split(labels["train"][rows], fractions, seed=0)
        parts |= {
            split: _Part("train", rows[share]) for split, share in zip(("train", *missing), shares, strict=True)
        }
    return parts


def _is_label(value: Any) -> bool:
    return value is not None and not (isinstance(value, int) and value == -1)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
