"""The trainer that does not train: weights that somebody learned from real photos, as a row to compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    Backbone,
    ComponentConfig,
    RenderedDataset,
    StoreError,
    Task2SimError,
    Trainer,
    fingerprint_folder,
    fingerprint_libraries,
    report_progress,
)

if TYPE_CHECKING:
    from task2sim_task2vec.probe import Probe

MANIFEST = "backbone.json"
WEIGHTS = "model.safetensors"
BATCH = 16
"""Images that the network sees at once: always as many, so that a row depends on its image alone."""


class Pretrained(Trainer):
    """Takes weights as they come, and looks at no rendered image: a row of real photos to compare with."""

    class Config(ComponentConfig):
        """Keys of the trainer ``pretrained``."""

        weights: Annotated[
            str,
            Field(
                min_length=1,
                description="a folder or hub name of a transformers image backbone, or efficientnet-lite0 "
                "(ImageNet weights from two packages)",
            ),
        ] = "efficientnet-lite0"
        image_size: Annotated[
            int | None, Field(ge=32, le=1024, description="side of the network's input in pixels; null: its own")
        ] = None

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """The weights, where they are a folder's, and versions of the libraries that compute features."""
        libraries = fingerprint_libraries("torch", "transformers")
        folder = Path(self.config.weights).expanduser()
        return f"{fingerprint_folder(folder)} {libraries}" if folder.is_dir() else libraries

    def pretrain(self, dataset: RenderedDataset, seed: int, folder: Path) -> Backbone:
        """Save the weights; dataset and seed change nothing."""
        from task2sim_task2vec.probe import load_probe

        probe = self._sized(load_probe(self.config.weights))
        report_progress("pretrain", 1, 1, "networks")
        return self._save(probe, folder)

    def untrained(self, seed: int, folder: Path) -> Backbone:
        """Save the same network with random weights."""
        from task2sim_task2vec.probe import untrained_probe

        return self._save(self._sized(untrained_probe(self.config.weights, seed)), folder)

    def load(self, folder: Path) -> Backbone:
        """Open what was saved.

        Raises:
            StoreError: the folder holds no backbone, or a damaged one.
        """
        return PretrainedBackbone(folder)

    def _sized(self, probe: Probe) -> Probe:
        import attrs

        return probe if self.config.image_size is None else attrs.evolve(probe, image_size=self.config.image_size)

    def _save(self, probe: Probe, folder: Path) -> Backbone:
        from safetensors.torch import save_file

        manifest = {
            "weights": self.config.weights,
            "fingerprint": probe.fingerprint,
            "image_size": probe.image_size,
            "mean": probe.mean,
            "std": probe.std,
        }
        state = {name: value.contiguous() for name, value in probe.network.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        return PretrainedBackbone(folder)


class PretrainedBackbone(Backbone):
    """The saved network, frozen.

    Args:
        folder: A folder that `Pretrained` wrote.

    Raises:
        StoreError: it holds no such network, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._probe = _read(folder)

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features: float32 of shape (N, D); see `Backbone.features`."""
        import torch

        rows = []
        with torch.inference_mode():
            for start in range(0, max(1, len(images)), BATCH):
                batch = images[start : start + BATCH]
                full = np.zeros((BATCH, *images.shape[1:]), np.uint8)
                full[: len(batch)] = batch
                rows.append(self._probe.features(self._probe.pixels(full)).numpy()[: len(batch)])
        return np.concatenate(rows).astype(np.float32)


def _read(folder: Path) -> Probe:
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"there is no backbone here: {MANIFEST} is missing", place=str(folder))
    import attrs
    from safetensors.torch import load_file

    from task2sim_task2vec.probe import untrained_probe

    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        probe = untrained_probe(manifest["weights"], 0)
        probe.network.load_state_dict(load_file(folder / WEIGHTS))
        probe = attrs.evolve(
            probe, image_size=manifest["image_size"], mean=tuple(manifest["mean"]), std=tuple(manifest["std"])
        )
        if probe.fingerprint != manifest["fingerprint"]:
            raise ValueError("its weights are not those that were saved")
    except Task2SimError:
        raise
    except Exception as error:  # each library has errors of its own for each kind of damage
        reason = str(error).splitlines()[0].rstrip(":.") if str(error) else type(error).__name__
        raise StoreError(
            f"the backbone is damaged: {reason}", place=str(folder), mend="remove this folder to save it again"
        ) from error
    return probe
