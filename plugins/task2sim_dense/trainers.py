"""Trainers that pre-train a residual network (He et al., CVPR 2016) by segmentation or by detection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import attrs
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from task2sim import ComponentConfig, ConfigError, RenderedDataset, Trainer, fingerprint_libraries
from task2sim_dense.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

    from task2sim_dense.backbone import DenseBackbone
    from task2sim_dense.networks import DenseNetwork

Count = Annotated[int, Field(ge=1)]


class DenseTrainer(Trainer):
    """What both trainers share: network, augmentation, schedule and files."""

    name: ClassVar[str]

    class Config(ComponentConfig):
        """The network, and how long and how it is trained."""

        depths: Annotated[tuple[Count, ...], Field(min_length=1, description="blocks of each stage")] = (1, 1, 1, 1)
        widths: Annotated[tuple[Count, ...], Field(description="channels of each stage", validate_default=True)] = (
            32,
            64,
            128,
            256,
        )
        layer_type: Annotated[
            Literal["basic", "bottleneck"],
            Field(description="basic: two 3x3 convolutions a block; bottleneck: 1x1, 3x3 and 1x1"),
        ] = "basic"
        stem_width: Annotated[Count, Field(description="channels of the first convolution")] = 32
        decoder_width: Annotated[Count, Field(description="channels of the decoder, which evaluators never see")] = 32
        image_size: Annotated[
            int, Field(ge=16, le=1024, description="height and width the network sees, in pixels; images are resized")
        ] = 64
        epochs: Annotated[Count, Field(description="how often each image is seen")] = 20
        batch_size: Annotated[
            int, Field(ge=2, description="images a step; the remainder is spread over the batches")
        ] = 64
        learning_rate: Annotated[float, Field(gt=0, description="the highest of the schedule")] = 2e-3
        weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.05
        threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; another number, other rounding")] = 1
        device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU where there is one")] = (
            "auto"
        )

        @field_validator("widths")
        @classmethod
        def _as_many_as_depths(cls, widths: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
            depths = info.data.get("depths", widths)
            if len(widths) != len(depths):
                raise ValueError(f"{len(widths)} widths for {len(depths)} depths: give one of each for every stage")
            return widths

        @field_validator("layer_type")
        @classmethod
        def _widths_suit(cls, layer_type: str, info: ValidationInfo) -> str:
            if layer_type == "bottleneck" and any(width % 4 for width in info.data.get("widths", ())):
                raise ValueError("bottleneck blocks need widths that are multiples of 4")
            return layer_type

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Versions of the libraries that train."""
        return fingerprint_libraries("torch", "transformers", "kornia")

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> DenseBackbone:
        """Train a backbone and save it; `untrained` with the same seed gives its initial weights.

        Args:
            dataset: Two images or more, with the layers that the trainer names.
            seed: Seed of initial weights, order and augmentation, in [0, 2**63).
            folder: An existing, empty folder. It gets ``model.safetensors``, ``config.json`` (the encoder's, for
                transformers) and ``dense.json`` (see `DenseManifest`).

        Returns:
            The backbone. On one machine the same arguments give the same weights, bit by bit.

        Raises:
            ConfigError: there are too few images, the training diverged, or the device is missing.
            StoreError: the folder can't be written.
        """
        from task2sim_dense.augmentation import scene_augmentation
        from task2sim_dense.networks import choose_device, reproducible
        from task2sim_dense.training import fit

        if len(dataset) < 2:
            raise ConfigError(
                f"can't pre-train on {len(dataset)} images", place=str(dataset.folder), mend="render two or more"
            )
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
            loss = fit(
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
            )
        return self._save(network, folder, seed, dataset.categories, config.epochs, len(dataset), loss)

    def untrained(self, seed: int, folder: Path) -> DenseBackbone:
        """Save a backbone with random initial weights and no decoder; see `pretrain`."""
        from task2sim_dense.networks import reproducible

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
