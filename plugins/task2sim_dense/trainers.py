"""Trainers that pre-train a residual network (He et al., CVPR 2016) by segmentation or by detection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import ConfigError, RenderedDataset
from task2sim_training.config import Count, TrainingConfig
from task2sim_training.preprocessing import Preprocessing
from task2sim_training.processes import this_part
from task2sim_training.trainer import TorchTrainer

if TYPE_CHECKING:
    import torch

    from task2sim_dense.backbone import DenseBackbone
    from task2sim_dense.networks import DenseNetwork


class DenseTrainer(TorchTrainer["DenseBackbone"]):
    """What both trainers share: network, augmentation, schedule and files."""

    name: ClassVar[str]

    class Config(TrainingConfig):
        """The network, and how long and how it is trained."""

        decoder_width: Annotated[Count, Field(description="channels of the decoder, which evaluators never see")] = 32

    config: Config

    def untrained(self, seed: int, folder: Path) -> DenseBackbone:
        """Save a backbone with random initial weights and no decoder; see `pretrain`."""
        from task2sim_training.surroundings import reproducible

        with reproducible(seed, self.config.threads):
            network = self._build(0)
        return self._save(network, folder, seed)

    def load(self, folder: Path) -> DenseBackbone:
        """Open a backbone that this trainer saved.

        Raises:
            StoreError: the folder holds none, or a damaged one.
        """
        from task2sim_dense.backbone import DenseBackbone

        return DenseBackbone(folder, threads=self.config.threads, device=self.config.device)

    def _pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> None:
        from task2sim_dense.augmentation import scene_augmentation
        from task2sim_dense.training import fit_dense
        from task2sim_training.surroundings import choose_device, reproducible

        masks = self._masks(dataset)
        if lacking := sorted(self.layers.difference(dataset.layers)):
            raise ConfigError(
                f"the dataset holds no {' and no '.join(lacking)}", place=str(dataset.folder), mend="render it anew"
            )
        config = self.config
        device = choose_device(config.device)
        with reproducible(seed, config.threads):
            network = self._build(self._outputs(len(dataset.categories)))
            self._prepare(network)
            loss = fit_dense(
                network.to(device),
                dataset.images,
                masks,
                self._loss(len(dataset.categories)),
                Preprocessing(config.image_size),
                scene_augmentation(config.image_size),
                epochs=config.epochs,
                batch_size=config.batch_size,
                learning_rate=config.learning_rate,
                weight_decay=config.weight_decay,
                stage="pretrain",
            )
        if this_part().number == 0:
            self._save(network, folder, seed, dataset.categories, config.epochs, len(dataset), loss)

    @abstractmethod
    def _masks(self, dataset: RenderedDataset) -> list[NDArray[np.uint16]]:
        """The layers it is trained on; those that the dataset lacks are left out."""

    @abstractmethod
    def _outputs(self, categories: int) -> int:
        """How many numbers the decoder gives for each place."""

    @abstractmethod
    def _loss(self, categories: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The loss of the decoder's outputs, given the masks."""

    def _prepare(self, network: DenseNetwork) -> None:
        """Change initial weights, if they must be."""

    def _build(self, outputs: int) -> DenseNetwork:
        from task2sim_dense.networks import build

        config = self.config
        return build(
            config.depths, config.widths, config.layer_type, config.stem_width, config.decoder_width, outputs
        )

    def _save(
        self,
        network: DenseNetwork,
        folder: Path,
        seed: int,
        categories: Sequence[str] = (),
        epochs: int = 0,
        images: int = 0,
        loss: float | None = None,
    ) -> DenseBackbone:
        import torch

        from task2sim_dense.backbone import DenseManifest, save

        of_images: dict[str, Any] = attrs.asdict(Preprocessing(self.config.image_size))
        manifest = DenseManifest(
            trained_by=self.name,
            categories=tuple(categories),
            outputs=self._outputs(len(categories)) if categories else 0,
            decoder_width=self.config.decoder_width,
            **of_images,
            feature_size=self.config.widths[-1],
            seed=seed,
            epochs=epochs,
            images=images,
            loss=loss,
            threads=self.config.threads,
            processes=this_part().of,
            device=next(network.parameters()).device.type,
            torch=str(torch.__version__),
        )
        save(network, manifest, folder)
        return self.load(folder)


class SegmentationTrainer(DenseTrainer):
    """Pre-trains a network to tell for every pixel which category it shows, or the background.

    The loss is the cross-entropy of one pixel in each cell of the decoder's map, drawn anew in each step: on average
    that of all pixels, without enlarging the map of every category.
    """

    name = "segmentation"

    @property
    def layers(self) -> frozenset[str]:
        """The category mask."""
        return frozenset({"category-mask"})

    def _masks(self, dataset: RenderedDataset) -> list[NDArray[np.uint16]]:
        return [mask for mask in (dataset.category_mask,) if mask is not None]

    def _outputs(self, categories: int) -> int:
        return categories + 1

    def _loss(self, categories: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        import torch
        from torch.nn import functional

        def drawn(cells: int, pixels: int) -> torch.Tensor:
            return ((torch.arange(cells) + torch.rand(cells)) * (pixels / cells)).long().clamp(max=pixels - 1)

        def loss(outputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            rows, columns = (drawn(*of) for of in zip(outputs.shape[-2:], masks.shape[-2:], strict=True))
            return functional.cross_entropy(outputs, masks[:, 0, rows][:, :, columns].long())

        return loss


class DetectionTrainer(DenseTrainer):
    """Pre-trains a network to find every object's box and category.

    Boxes are the extents of what is seen of objects. The loss is CenterNet's (see `task2sim_dense.centres`).
    """

    name = "detection"

    @property
    def layers(self) -> frozenset[str]:
        """Which pixels belong to which object, and its category."""
        return frozenset({"instance-mask", "category-mask"})

    def _masks(self, dataset: RenderedDataset) -> list[NDArray[np.uint16]]:
        return [mask for mask in (dataset.instance_mask, dataset.category_mask) if mask is not None]

    def _outputs(self, categories: int) -> int:
        from task2sim_dense.centres import FURTHER

        return categories + FURTHER

    def _prepare(self, network: DenseNetwork) -> None:
        from task2sim_dense.centres import FURTHER, PRIOR

        network.decoder.classifier.bias.data[:-FURTHER] = PRIOR

    def _loss(self, categories: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        from task2sim_dense.centres import centre_loss, targets_of
        from task2sim_dense.objects import objects_of

        def loss(outputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            # Found anew after each crop: a box must end where the picture ends.
            found = [objects_of(*image) for image in masks.cpu().numpy().astype(np.uint16)]
            height, width = outputs.shape[-2:]
            return centre_loss(outputs, targets_of(found, categories, (height, width)))

        return loss
