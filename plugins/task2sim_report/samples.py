"""Sample pictures: kept in the run folder, so that a report can be made after the store is gone."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import RenderedDataset, StoreError
from task2sim_report.content import pictured_settings

if TYPE_CHECKING:
    from task2sim.run import Run
    from task2sim.tasks import Images

FOLDER = "samples"
MANIFEST = "samples.json"

COUNT = 12
"""Pictures in a strip: a row of a screen, two rows of a phone."""

LARGEST_SIDE = 96
"""Larger pictures are reduced to this many pixels, which keeps the report below two megabytes."""


@attrs.frozen
class Strip:
    """Some pictures that are shown side by side.

    Attributes:
        pictures: ``data:`` URIs of PNG images.
        width: Width of the images they were made from, in pixels.
        height: Their height.
        names: Names of what they show: a task's classes, or a category for each picture.
    """

    pictures: tuple[str, ...] = attrs.field(repr=lambda value: f"<{len(value)}>")
    width: int
    height: int
    names: tuple[str, ...]

    @property
    def is_tiny(self) -> bool:
        """Whether it is shown so enlarged that smoothing would hide its pixels."""
        return max(self.width, self.height) < 40


@attrs.frozen
class Samples:
    """The strips of a run.

    Attributes:
        tasks: Training images of tasks, by name.
        settings: Rendered images by the setting's key; the same images of each dataset.
    """

    tasks: dict[str, Strip]
    settings: dict[str, Strip]


def gather_samples(run: Run) -> None:
    """Copy sample pictures from the store into the run folder, as far as the store still has them.

    A run whose scores were looked up has none.

    Raises:
        StoreError: the run folder can't be written.
    """
    if run.results.fact("rewards"):
        return
    folder = run.folder / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        manifest = {"tasks": dict(_task_strips(run, folder)), "settings": dict(_setting_strips(run, folder))}
        partial = folder / f"{MANIFEST}.partial"
        partial.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        partial.replace(folder / MANIFEST)
    except OSError as error:
        raise StoreError(f"can't keep sample pictures: {error.strerror or error}", place=str(folder)) from error


def read_samples(run_folder: Path) -> Samples:
    """The strips a run folder holds; none if they were never gathered.

    Raises:
        StoreError: they can't be read.
    """
    folder = run_folder / FOLDER
    if not (folder / MANIFEST).exists():
        return Samples({}, {})
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Samples(
            *(
                {name: _read_strip(folder, entry) for name, entry in manifest[k].items()}
                for k in ("tasks", "settings")
            )
        )
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"can't read the sample pictures: {error}", place=str(folder), mend="remove this folder to go without"
        ) from error


def _task_strips(run: Run, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in run.results.query("SELECT name, position, fingerprint FROM tasks ORDER BY position"):
        try:
            task = run.store.get_task(row["name"], row["fingerprint"])
        except (StoreError, OSError, ValueError):  # somebody has cleared the store
            continue
        images = task.train.images[spread_over_classes(task.train.labels, COUNT)]
        yield row["name"], _write_strip(folder, f"task-{row['position']}.png", images, task.classes)


def _setting_strips(run: Run, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    positions: NDArray[np.int64] | None = None
    for pictured in pictured_settings(run.results):
        try:
            dataset = RenderedDataset.open(run.store.path("datasets", pictured.dataset))
        except StoreError:  # somebody has cleared the store
            continue
        if positions is None:
            # Datasets of one replicate share their seed: the same positions show the same objects.
            positions = spread_over_classes(dataset.labels, COUNT)
        names = tuple(dataset.categories[label] for label in dataset.labels[positions])
        images = np.asarray(dataset.images[positions])
        yield pictured.key, _write_strip(folder, f"setting-{pictured.key}.png", images, names)


def spread_over_classes(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions of the first images of each class, then of the second ones, and so on.

    Args:
        labels: int64 array of shape (N,).
        count: How many positions are wanted.

    Returns:
        int64 array of shape (min(count, N),): positions of every class before any class has two, grouped by class.
    """
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    chosen = np.lexsort((np.arange(len(labels)), turn))[:count]
    return chosen[np.argsort(labels[chosen], kind="stable")].astype(np.int64)


def _write_strip(folder: Path, name: str, images: Images, names: tuple[str, ...]) -> dict[str, Any]:
    from PIL import Image

    count, height, width, _ = images.shape
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    strip = Image.new("RGB", (size[0] * count, size[1]))
    for number, pixels in enumerate(images):
        picture = Image.fromarray(pixels)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        strip.paste(picture, (number * size[0], 0))
    partial = folder / f"{name}.partial"
    strip.save(partial, format="png", optimize=True)
    partial.replace(folder / name)
    return {"file": name, "count": count, "width": width, "height": height, "names": list(names)}


def _read_strip(folder: Path, entry: dict[str, Any]) -> Strip:
    from PIL import Image

    pictures = []
    with Image.open(folder / entry["file"]) as strip:
        width = strip.width // entry["count"]
        for number in range(entry["count"]):
            buffer = io.BytesIO()
            strip.crop((number * width, 0, (number + 1) * width, strip.height)).save(buffer, "png", optimize=True)
            pictures.append("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())
    return Strip(tuple(pictures), entry["width"], entry["height"], tuple(entry["names"]))
