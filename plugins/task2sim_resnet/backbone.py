"""Saved ResNets: a folder that transformers can load, with a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pydantic
from numpy.typing import NDArray

from task2sim import Backbone, StoreError
from task2sim_training.preprocessing import Preprocessing

if TYPE_CHECKING:
    from task2sim_resnet.networks import Network

MANIFEST = "backbone.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


class BackboneManifest(pydantic.BaseModel):
    """What ``backbone.json`` says.

    Attributes:
        format: Version of this file's form.
        categories: What the classification head tells apart, in the order of its outputs; empty without a head.
        image_size: Height and width the network sees, in pixels.
        mean: What is subtracted from red, green and blue in [0, 1].
        std: What they are divided by then.
        feature_size: Length of a feature vector.
        seed: Seed of initial weights, order and augmentation.
        epochs: How often each image was seen; 0 for an untrained backbone.
        images: How many images it was trained on.
        loss: Mean training loss of the last epoch.
        accuracy: Fraction of (augmented) training images told right in the last epoch.
        threads: CPU threads it was trained with, in each process.
        processes: How many trained it together.
        device: Kind of device it was trained on.
        torch: Version of torch it was trained with.
    """

    model_config = pydantic.ConfigDict(frozen=True)

    format: Literal[1] = 1
    categories: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    feature_size: int
    seed: int
    epochs: int = 0
    images: int = 0
    loss: float | None = None
    accuracy: float | None = None
    threads: int
    processes: int = 1
    device: str
    torch: str

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become the network's input."""
        return Preprocessing(self.image_size, self.mean, self.std)


class ResNetBackbone(Backbone):
    """A ResNet with frozen weights; its features are the last stage's channels, averaged over the picture.

    Args:
        folder: A folder that `save` wrote.
        threads: CPU threads to compute with.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        StoreError: the folder holds no backbone, or a damaged one.
        ConfigError: the device is missing.
    """

    def __init__(self, folder: Path, threads: int = 1, device: str = "auto") -> None:
        from task2sim_training.surroundings import choose_device

        self.folder = folder
        self._threads = threads
        self._device = choose_device(device)
        self.manifest, network = load(folder)
        self._network = network.to(self._device)

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features: float32 array of shape (N, feature size); see `Backbone.features`."""
        import torch

        from task2sim_training.surroundings import pinned_threads

        features = [np.empty((0, self.manifest.feature_size), dtype=np.float32)]
        with pinned_threads(self._threads), torch.inference_mode():
            for inputs in self.manifest.preprocessing.batches(images, self._device):
                features.append(self._network.resnet(inputs).pooler_output.flatten(1).cpu().numpy())
        return np.concatenate(features)

    def feature_map(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features of places; see `Backbone.feature_map`.

        A place's features are those of all stages there (Hariharan et al., "Hypercolumns for object segmentation and
        fine-grained localization", CVPR 2015): the first stage tells where, the last what.

        Returns:
            float32 array of shape (N, sum of the widths, h, w), h and w a quarter of the size that the network sees.
        """
        import torch

        from task2sim_resnet.networks import all_stages
        from task2sim_training.surroundings import pinned_threads

        with pinned_threads(self._threads), torch.inference_mode():
            maps = [
                all_stages(self._network.resnet, inputs).cpu().numpy()
                for inputs in self.manifest.preprocessing.batches(images, self._device)
            ]
        return np.ascontiguousarray(np.concatenate(maps))


def save(network: Network, manifest: BackboneManifest, folder: Path) -> None:
    """Write a network with its manifest, in the form that transformers loads.

    Raises:
        StoreError: the folder can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",  # The one that only resizes, to a square.
        "do_resize": True,
        "size": {"height": manifest.image_size, "width": manifest.image_size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": manifest.mean,
        "image_std": manifest.std,
    }
    try:
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / CONFIG).write_text(network.config.to_json_string(), encoding="utf-8")
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2), encoding="utf-8")
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise StoreError(f"can't write the backbone: {error}", place=str(folder)) from error


def load(folder: Path) -> tuple[BackboneManifest, Network]:
    """Read what `save` wrote; the network is on the CPU, ready for inference.

    Raises:
        StoreError: the folder holds no backbone, or a damaged one.
    """
    if not (folder / MANIFEST).is_file():
        raise StoreError(
            f"there is no backbone here: {MANIFEST} is missing",
            place=str(folder),
            mend="name a folder that trainer resnet saved",
        )
    from safetensors.torch import load_file

    from task2sim_resnet.networks import open_network

    try:
        manifest = BackboneManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        network = open_network(config, load_file(folder / WEIGHTS))
    except Exception as error:  # Each of the libraries has errors of its own for each kind of damage.
        reason = str(error).splitlines()[0].rstrip(":.") if str(error) else type(error).__name__
        raise StoreError(
            f"the backbone is damaged: {reason}", place=str(folder), mend="remove this folder to train it again"
        ) from error
    return manifest, network
