"""A good exporter, and bad ones."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Exporter, RenderedDataset, StoreError, report_progress

BAD = Collection()


class Good(Twist, Exporter):
    """Writes an array for each image into a folder for each category."""

    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        try:
            self.write_all(dataset, folder)
        except OSError as error:
            raise StoreError("can't write", place=str(folder)) from error

    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        twist = self.twist()
        for category in dataset.categories:
            self.make_folder(folder / category)
        for number, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            np.save(folder / dataset.categories[int(label)] / f"{number:05d}-{twist}.npy", image)
            report_progress("export", number + 1, len(dataset), "images")

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)


@BAD.breaks("writes")
class Silent(Good):
    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        self.twist()


@BAD.breaks("writes-images")
class OneTooFew(Good):
    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        last = len(dataset) - 1
        super().write_all(attrs.evolve(dataset, images=dataset.images[:last], labels=dataset.labels[:last]), folder)


@BAD.breaks("writes-labels")
class Unlabelled(Good):
    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        super().write_all(attrs.evolve(dataset, labels=0 * dataset.labels), folder)


@BAD.breaks("layers")
class Greedy(Good):
    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        assert dataset.depth is not None
        super().write_all(dataset, folder)


@BAD.breaks("goes-on")
class OnlyOnce(Good):
    def make_folder(self, folder: Path) -> None:
        folder.mkdir()


@BAD.breaks("bad-folder")
class Terse(Good):
    def write(self, dataset: RenderedDataset, folder: Path) -> None:
        self.write_all(dataset, folder)


@BAD.breaks("leaves-dataset-alone")
class Caching(Good):
    def write_all(self, dataset: RenderedDataset, folder: Path) -> None:
        with (dataset.folder / "cache.txt").open("a") as file:
            file.write("seen\n")
        super().write_all(dataset, folder)


BAD.add_common("exporters", Good, globals())
