"""Saved backbones: encoder and decoder as safetensors, with a manifest."""

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
    from task2sim_dense.networks import DenseNetwork

MANIFEST = "dense.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


class DenseManifest(pydantic.BaseModel):
    """What ``dense.json`` says.

    Attributes:
        format: Version of this file's form.
        trained_by: ``"segmentation"`` or ``"detection"``; whatever made an untrained one.
        categories: What it was trained to find; empty for an untrained backbone.
        outputs: Numbers that the decoder gives for each place; 0 without a decoder.
        decoder_width: Channels in the decoder.
        image_size: Height and width the network sees, in pixels.
        mean: What is subtracted from red, green and blue in [0, 1].
        std: What they are divided by then.
        feature_size: Length of an image's feature vector.
        seed: Seed of initial weights, order and augmentation.
        epochs: How often each image was seen; 0 for an untrained backbone.
        images: How many images it was trained on.
        loss: Mean training loss of the last epoch.
        threads: CPU threads it was trained with, in each process.
        processes: How many trained it together.
        device: Kind of device it was trained on.
        torch: Version of torch it was trained with.
    """

    model_config = pydantic.ConfigDict(frozen=True)

    format: Literal[1] = 1
    trained_by: str
    categories: tuple[str, ...]
    outputs: int
    decoder_width: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    feature_size: int
    seed: int
    epochs: int = 0
    images: int = 0
    loss: float | None = None
    threads: int
    processes: int = 1
    device: str
    torch: str

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become the network's input."""
        return Preprocessing(self.image_size, self.mean, self.std)


class DenseBackbone(Backbone):
    """An encoder with frozen weights, of which a decoder was trained on masks or boxes.

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
        """The encoder's last stage, averaged over the picture; see `Backbone.features`."""
        import torch

        from task2sim_training.surroundings import pinned_threads

        features = [np.empty((0, self.manifest.feature_size), dtype=np.float32)]
        with pinned_threads(self._threads), torch.inference_mode():
            for inputs in self.manifest.preprocessing.batches(images, self._device):
                features.append(self._network.features(inputs).cpu().numpy())
        return np.concatenate(features)

    def feature_map(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features of places; see `Backbone.feature_map`.

        A place's features are those of all the encoder's stages there (Hariharan et al., "Hypercolumns for object
        segmentation and fine-grained localization", CVPR 2015). The decoder has no part in them.

        Returns:
            float32 array of shape (N, sum of the widths, h, w), h and w a quarter of the size that the network sees.
        """
        import torch

        from task2sim_training.surroundings import pinned_threads

        with pinned_threads(self._threads), torch.inference_mode():
            maps = [
                self._network.feature_map(inputs).cpu().numpy()
                for inputs in self.manifest.preprocessing.batches(images, self._device)
            ]
        return np.ascontiguousarray(np.concatenate(maps))

    def decode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the decoder says of each place: float32 array of shape (N, outputs, h, w).

        Of ``segmentation`` logits of background and categories; of ``detection`` as in `task2sim_dense.centres`.

        Raises:
            StoreError: the backbone was not trained, so there is no decoder.
        """
        import torch

        from task2sim_training.surroundings import pinned_threads

        if not self.manifest.outputs:
            raise StoreError("an untrained backbone has no decoder", place=str(self.folder), mend="pre-train one")
        with pinned_threads(self._threads), torch.inference_mode():
            maps = [
                self._network(inputs).cpu().numpy()
                for inputs in self.manifest.preprocessing.batches(images, self._device)
            ]
        return np.ascontiguousarray(np.concatenate(maps))


def save(network: DenseNetwork, manifest: DenseManifest, folder: Path) -> None:
    """Write a network with its manifest.

    Raises:
        StoreError: the folder can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / CONFIG).write_text(network.config.to_json_string(), encoding="utf-8")
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise StoreError(f"can't write the backbone: {error}", place=str(folder)) from error


def load(folder: Path) -> tuple[DenseManifest, DenseNetwork]:
    """Read what `save` wrote; the network is on the CPU, ready for inference.

    Raises:
        StoreError: the folder holds no backbone, or a damaged one.
    """
    if not (folder / MANIFEST).is_file():
        raise StoreError(
            f"there is no backbone here: {MANIFEST} is missing",
            place=str(folder),
            mend="name a folder that trainer segmentation or detection saved",
        )
    from safetensors.torch import load_file

    from task2sim_dense.networks import open_network

    try:
        manifest = DenseManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        network = open_network(config, manifest.decoder_width, manifest.outputs, load_file(folder / WEIGHTS))
    except Exception as error:  # Each of the libraries has errors of its own for each kind of damage.
        reason = str(error).splitlines()[0].rstrip(":.") if str(error) else type(error).__name__
        raise StoreError(
            f"the backbone is damaged: {reason}", place=str(folder), mend="remove this folder to train it again"
        ) from error
    return manifest, network
