"""What exporters promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from task2sim.conformance import layers
from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.digests import digest, folder_digest
from task2sim.conformance.specimens import Bench, make_dataset, pictures
from task2sim.conformance.subject import Subject
from task2sim.datasets import RenderedDataset
from task2sim.errors import StoreError
from task2sim.interfaces import Exporter
from task2sim.progress import Progress, progress_listener

CHECKS = CheckList()


def exercise(component: Exporter, bench: Bench, seed: int) -> Any:
    """The names of the files it writes; what is in them may hold a date."""
    folder = bench.folder()
    component.write(bench.dataset, folder)
    return sorted(folder_digest(folder))


def _written(subject: Subject, dataset: RenderedDataset) -> Path:
    folder = subject.bench.folder()
    with subject.component() as exporter:
        exporter.write(dataset, folder)
    return folder


class _Killed(BaseException):
    """Ends an export in the middle, as Ctrl-C does."""


@CHECKS.add(
    "writes",
    "it writes files into the folder",
    why="there is nothing else a user gets",
    mend="write to the folder that is given",
)
def _writes(subject: Subject) -> None:
    require(folder_digest(_written(subject, subject.bench.dataset)), "the folder is empty afterwards")


@CHECKS.add(
    "writes-images",
    "another image makes another export",
    why="images would be missing",
    mend="write all of dataset.images, from the first to the last",
)
def _writes_images(subject: Subject) -> None:
    dataset = subject.bench.dataset
    written = folder_digest(_written(subject, dataset))
    if not written:
        raise NotApplicable("it writes nothing: see writes")
    before = digest(written)
    for position in (0, len(dataset) - 1):
        images = np.array(dataset.images)
        images[position] = 255 - images[position]
        other = make_dataset(subject.bench.folder(), images, np.array(dataset.labels))
        changed = digest(folder_digest(_written(subject, other))) != before
        require(changed, f"with another image {position} it wrote the same")


@CHECKS.add(
    "writes-labels",
    "another label makes another export",
    why="the images would be of no use for training",
    mend="write dataset.labels, or the name dataset.categories has for them",
)
def _writes_labels(subject: Subject) -> None:
    dataset = subject.bench.dataset
    labels = np.array(dataset.labels)
    labels[5] = (labels[5] + 1) % len(dataset.categories)
    other = make_dataset(subject.bench.folder(), np.array(dataset.images), labels)
    first, second = (folder_digest(_written(subject, d)) for d in (dataset, other))
    if not first:
        raise NotApplicable("it writes nothing: see writes")
    require(first != second, "with another label it wrote the same")


@CHECKS.add(layers.WORDS["name"], layers.WORDS["promise"], why=layers.WORDS["why"], mend=layers.WORDS["mend"])
def _layers(subject: Subject) -> None:
    layers.check_layers(subject, lambda exporter, dataset: exporter.write(dataset, subject.bench.folder()))


@CHECKS.add(
    "goes-on",
    "an export that was stopped goes on, and ends as one that was not",
    why="task2sim generate promises that the same command goes on",
    mend="write files under another name and rename them; skip or replace those that are there",
)
def _goes_on(subject: Subject) -> None:
    dataset = make_dataset(subject.bench.folder(), *pictures(16, (16, 20), seed=8))
    whole = sorted(folder_digest(_written(subject, dataset)))
    folder = subject.bench.folder()

    def stop(progress: Progress) -> None:
        if 2 * progress.done >= progress.total:
            raise _Killed

    with subject.component() as exporter:
        try:
            with progress_listener(stop):
                exporter.write(dataset, folder)
        except _Killed:
            pass
        exporter.write(dataset, folder)
    if sorted(folder_digest(folder)) != whole:
        with subject.component() as exporter:
            first, second = subject.result(exporter), subject.result(exporter)
        if first != second:
            raise NotApplicable("it writes something else every time: see same-again")
        raise Breach("in the end the folder holds other files")


@CHECKS.add(
    "bad-folder",
    "a folder that can't be written is refused with a StoreError",
    why="a full disk or a wrong path should be told as such",
    mend="turn OSError into StoreError(..., place=str(folder))",
)
def _bad_folder(subject: Subject) -> None:
    file = subject.bench.folder() / "file"
    file.write_text("no folder")
    with subject.component() as exporter:
        try:
            exporter.write(subject.bench.dataset, file)
        except StoreError:
            return
        except Exception as error:
            raise Breach(f"for a file in place of the folder it raised {type(error).__name__}: {error}") from error
    raise NotApplicable("it wrote where a file lies already")


@CHECKS.add(
    "leaves-dataset-alone",
    "it writes nothing into the dataset's folder",
    why="a dataset is shared by all trials that need it",
    mend="write to the folder that is given",
)
def _dataset_alone(subject: Subject) -> None:
    before = folder_digest(subject.bench.dataset.folder)
    _written(subject, subject.bench.dataset)
    changed = before.items() ^ folder_digest(subject.bench.dataset.folder).items()
    require(not changed, f"it changed {', '.join(sorted({name for name, _ in changed}))}")
