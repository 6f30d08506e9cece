"""What trainers on torch have in common."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

from task2sim import Backbone, ConfigError, RenderedDataset, Trainer, fingerprint_libraries
from task2sim_training.config import TrainingConfig
from task2sim_training.processes import count_of, in_processes

Saved = TypeVar("Saved", bound=Backbone)


class TorchTrainer(Trainer, Generic[Saved]):
    """A trainer whose work may be divided among several processes; `Saved` is the kind of backbone it makes."""

    Config = TrainingConfig

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that train."""
        return fingerprint_libraries("torch", "transformers", "kornia")

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Saved:
        """Train a backbone and save it; `untrained` with the same seed gives its initial weights.

        Args:
            dataset: Two images or more, for each process, with the layers that the trainer names.
            seed: Seed of initial weights, order and augmentation, in [0, 2**63).
            folder: An existing, empty folder. It gets files that transformers loads, and a manifest.

        Returns:
            The backbone. On one machine the same arguments give the same weights, bit by bit.

        Raises:
            ConfigError: there are too few images, the training diverged, or the device is missing.
            StoreError: the folder can't be written.
            PluginError: a process died.
        """
        config = self.config
        processes = count_of(config.processes, config.device)
        if len(dataset) < 2:
            raise ConfigError(
                f"can't pre-train on {len(dataset)} images", place=str(dataset.folder), mend="render two or more"
            )
        if (batch := min(len(dataset), config.batch_size)) < 2 * processes:  # as with auto, or few images
            raise ConfigError(
                f"{processes} processes can't divide batches of {batch} images: each needs two or more",
                place="processes",
                mend="choose fewer processes, a greater batch_size or more images",
            )
        if processes == 1:
            self._pretrain(dataset, seed, folder)
        else:
            in_processes(_open_and_pretrain, (self, dataset.folder, seed, folder), processes, config.device)
        return self.load(folder)

    @abstractmethod
    def load(self, folder: Path) -> Saved:
        """Open a backbone that this trainer saved; see `Trainer.load`."""

    @abstractmethod
    def _pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> None:
        """Train with `fit`, and save what came out of it if this is the first of the processes."""


def _open_and_pretrain(trainer: TorchTrainer[Backbone], dataset: Path, seed: int, folder: Path) -> None:
    trainer._pretrain(RenderedDataset.open(dataset), seed, folder)
