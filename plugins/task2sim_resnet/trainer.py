"""The trainer: a residual network (He et al., "Deep residual learning for image recognition", CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
from pydantic import Field, ValidationInfo, field_validator

from task2sim import ComponentConfig, ConfigError, RenderedDataset, Trainer, fingerprint_libraries
from task2sim_resnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    from task2sim_resnet.backbone import ResNetBackbone
    from task2sim_resnet.networks import Network

Count = Annotated[int, Field(ge=1)]


class ResNetTrainer(Trainer):
    """Pre-trains a ResNet to tell a dataset's categories apart.

    The network is transformers' ResNet, which is torchvision's under other names: a 7x7 convolution and a max pool,
    each of stride 2, then stages that halve the picture, all but the first. It is trained with AdamW, label
    smoothing and a cosine schedule on random resized crops, mirrored half of the time, with slight colour jitter.
    """

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

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> ResNetBackbone:
        """Train a backbone and save it; `untrained` with the same seed gives its initial weights.

        Args:
            dataset: Two images or more.
            seed: Seed of initial weights, order and augmentation, in [0, 2**63).
            folder: An existing, empty folder. It gets ``model.safetensors``, ``config.json`` and
                ``preprocessor_config.json`` for transformers, and ``backbone.json`` (see `BackboneManifest`).

        Returns:
            The backbone. On one machine the same arguments give the same weights, bit by bit.

        Raises:
            ConfigError: there are too few images, the training diverged, or the device is missing.
            StoreError: the folder can't be written.
        """
        from task2sim_resnet.augmentation import scene_augmentation
        from task2sim_resnet.networks import choose_device, reproducible
        from task2sim_resnet.training import fit

        if len(dataset) < 2:
            raise ConfigError(
                f"can't pre-train on {len(dataset)} images", place=str(dataset.folder), mend="render two or more"
            )
        config = self.config
        device = choose_device(config.device)
        with reproducible(seed, config.threads):
            network = self._build(dataset.categories)
            result = fit(
                network.to(device),
                dataset.images,
                dataset.labels,
                Preprocessing(config.image_size),
                scene_augmentation(config.image_size),
                epochs=config.epochs,
                batch_size=config.batch_size,
                learning_rate=config.learning_rate,
                weight_decay=config.weight_decay,
                stage="pretrain",
            )
        return self._save(network, folder, seed, epochs=config.epochs, images=len(dataset), **attrs.asdict(result))

    def untrained(self, seed: int, folder: Path) -> ResNetBackbone:
        """Save a backbone with random initial weights and no classification head; see `pretrain`."""
        from task2sim_resnet.networks import reproducible

        with reproducible(seed, self.config.threads):
            network = self._build(())
        return self._save(network, folder, seed)

    def load(self, folder: Path) -> ResNetBackbone:
        """Open a backbone that this trainer saved.

        Raises:
            StoreError: the folder holds none, or a damaged one.
        """
        from task2sim_resnet.backbone import ResNetBackbone

        return ResNetBackbone(folder, threads=self.config.threads, device=self.config.device)

    def _build(self, categories: Sequence[str]) -> Network:
        from task2sim_resnet.networks import build

        config = self.config
        return build(config.depths, config.widths, config.layer_type, config.stem_width, categories)

    def _save(self, network: Network, folder: Path, seed: int, **training: Any) -> ResNetBackbone:
        import torch

        from task2sim_resnet.backbone import BackboneManifest, save

        preprocessing = Preprocessing(self.config.image_size)
        manifest = BackboneManifest(
            categories=tuple(network.config.id2label.values()),
            **attrs.asdict(preprocessing),
            feature_size=self.config.widths[-1],
            seed=seed,
            threads=self.config.threads,
            device=network.device.type,
            torch=str(torch.__version__),
            **training,
        )
        save(network, manifest, folder)
        return self.load(folder)
