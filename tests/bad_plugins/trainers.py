"""A good trainer, and bad ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import Backbone, RenderedDataset
from task2sim.conformance.specimens import SpecimenBackbone, SpecimenTrainer

BAD = Collection()


class Good(Twist, SpecimenTrainer):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        super().pretrain(dataset, (seed + self.twist(seed)) % 2**63, folder)
        return self.load(folder)

    def untrained(self, seed: int, folder: Path) -> Backbone:
        super().untrained((seed + self.twist(seed)) % 2**63, folder)
        return self.load(folder)


class DoubleBackbone(SpecimenBackbone):
    def features(self, images: np.ndarray) -> Any:
        return super().features(images).astype(np.float64)


@BAD.breaks("features")
class Doubles(Good):
    def load(self, folder: Path) -> Backbone:
        return DoubleBackbone(folder)


class BatchBackbone(SpecimenBackbone):
    def features(self, images: np.ndarray) -> np.ndarray:
        features = super().features(images)
        return features - features.mean(axis=0)


@BAD.breaks("features-of-an-image-alone")
class BatchNormalised(Good):
    def load(self, folder: Path) -> Backbone:
        return BatchBackbone(folder)


class SquareBackbone(SpecimenBackbone):
    def features(self, images: np.ndarray) -> np.ndarray:
        if images.shape[1] != images.shape[2]:
            raise ValueError("mat1 and mat2 shapes cannot be multiplied")
        return super().features(images)


@BAD.breaks("any-image-size")
class SquareOnly(Good):
    def load(self, folder: Path) -> Backbone:
        return SquareBackbone(folder)


class ScaledBackbone(SpecimenBackbone):
    def features(self, images: np.ndarray) -> np.ndarray:
        return 2 * super().features(images)


@BAD.breaks("load")
class Scaled(Good):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        super().pretrain(dataset, seed, folder)
        return ScaledBackbone(folder)


@BAD.breaks("folder-can-move")
class Settled(Good):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        backbone = super().pretrain(dataset, seed, folder)
        (folder / "weights.txt").write_text(str(folder / "specimen.safetensors"))
        return backbone

    def load(self, folder: Path) -> Backbone:
        link = folder / "weights.txt"
        return SpecimenBackbone(Path(link.read_text()).parent if link.exists() else folder)


@BAD.breaks("weights-are-safetensors")
class Pickler(Good):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        (folder / "optimiser.pt").write_bytes(pickle.dumps({"steps": 3}))
        return super().pretrain(dataset, seed, folder)


@BAD.breaks("training-counts")
class Idle(Good):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        return self.untrained(seed, folder)


@BAD.breaks("other-seeds-differ")
class Seedless(Good):
    def untrained(self, seed: int, folder: Path) -> Backbone:
        return super().untrained(0, folder)


class FlatBackbone(SpecimenBackbone):
    def feature_map(self, images: np.ndarray) -> Any:
        maps = super().feature_map(images)
        return maps.reshape(*maps.shape[:2], -1)


@BAD.breaks("feature-map")
class Flat(Good):
    def load(self, folder: Path) -> Backbone:
        return FlatBackbone(folder)


@BAD.breaks("layers")
class EdgeTrainer(Good):
    @property
    def layers(self) -> frozenset[str]:
        return frozenset({"edges"})


@BAD.breaks("no-backbone")
class Terse(Good):
    def load(self, folder: Path) -> Backbone:
        (folder / "specimen.safetensors").stat()
        return super().load(folder)


@BAD.breaks("leaves-dataset-alone")
class Caching(Good):
    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        with (dataset.folder / "cache.txt").open("a") as file:
            file.write("seen\n")
        return super().pretrain(dataset, seed, folder)


BAD.add_common("trainers", Good, globals())
