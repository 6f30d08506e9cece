"""The trainer: a residual network (He et al., "Deep residual learning for image recognition", CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from task2sim import RenderedDataset
from task2sim_training.preprocessing import Preprocessing
from task2sim_training.processes import this_part
from task2sim_training.trainer import TorchTrainer

if TYPE_CHECKING:
    from task2sim_resnet.backbone import ResNetBackbone
    from task2sim_resnet.networks import Network


class ResNetTrainer(TorchTrainer["ResNetBackbone"]):
    """Pre-trains a ResNet to tell a dataset's categories apart.

    The network is transformers' ResNet, which is torchvision's under other names: a 7x7 convolution and a max pool,
    each of stride 2, then stages that halve the picture, all but the first. It is trained with AdamW, label
    smoothing and a cosine schedule on random resized crops, mirrored half of the time, with slight colour jitter.
    """

    def untrained(self, seed: int, folder: Path) -> ResNetBackbone:
        """Save a backbone with random initial weights and no classification head; see `pretrain`."""
        from task2sim_training.surroundings import reproducible

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

    def _pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> None:
        from task2sim_resnet.augmentation import scene_augmentation
        from task2sim_resnet.training import fit_classifier
        from task2sim_training.surroundings import choose_device, reproducible

        config = self.config
        device = choose_device(config.device)
        with reproducible(seed, config.threads):
            network = self._build(dataset.categories)
            result = fit_classifier(
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
        if this_part().number == 0:
            self._save(network, folder, seed, epochs=config.epochs, images=len(dataset), **attrs.asdict(result))

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
            processes=this_part().of,
            device=network.device.type,
            torch=str(torch.__version__),
            **training,
        )
        save(network, manifest, folder)
        return self.load(folder)
