"""The probe network: any image backbone that transformers knows.

Imports torch: import this module when work is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch.nn import functional

from task2sim import TaskError
from task2sim.tasks import Images
from task2sim_task2vec import efficientnet_lite

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's sRGB values in [0, 1]: what a backbone expects that says nothing else."""
DEFAULT_IMAGE_SIZE = 224
_FORM = "name a folder or a hub model with config.json and model.safetensors"


@attrs.frozen(eq=False)
class Probe:
    """A frozen network with what its input must look like.

    Attributes:
        network: The backbone, in evaluation mode (normalisation uses its running statistics), without gradients.
        image_size: Height and width of its input, in pixels.
        mean: Mean of its input's channels, of sRGB in [0, 1].
        std: Their standard deviation.
    """

    network: torch.nn.Module
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def fingerprint(self) -> str:
        """A hexadecimal hash of weights and input: probes that differ give embeddings that can't be compared."""
        digest = hashlib.sha256(repr((self.image_size, self.mean, self.std)).encode())
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.numpy()).data)
        return digest.hexdigest()[:16]

    def pixels(self, images: Images) -> torch.Tensor:
        """The network's input for uint8 images (N, height, width, 3): float32 (N, 3, image_size, image_size)."""
        values = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
        size = (self.image_size, self.image_size)
        if values.shape[2:] != size:
            values = functional.interpolate(values, size, mode="bilinear", antialias=True)
        shape = (3, 1, 1)
        return (values - torch.tensor(self.mean).view(shape)) / torch.tensor(self.std).view(shape)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The pooled output, float32 of shape (N, D).

        Raises:
            TaskError: the network does not take such images or has no pooled output.
        """
        try:
            outputs = self.network(pixels)
        except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise TaskError(
                f"the probe network does not take images of shape {tuple(pixels.shape[1:])}: {_first_line(error)}",
                mend="choose an image backbone as probe",
            ) from error
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is None and getattr(self.network, "pooler", self) is None:
            # A transformer without pooling layer: its class token comes first.
            pooled = outputs.last_hidden_state[:, 0]
        if pooled is None:
            raise TaskError("the probe network has no pooled output", mend="choose an image backbone as probe")
        features: torch.Tensor = pooled.flatten(1)
        return features


def load_probe(source: str) -> Probe:
    """Load a backbone.

    Args:
        source: A local folder with ``config.json`` and ``model.safetensors``, a name on the Hugging Face hub, or
            ``"efficientnet-lite0"`` (see `EfficientNetLite0`). The input is described by ``backbone.json``
            (task2sim's trainers) or ``preprocessor_config.json``.

    Raises:
        TaskError: it can't be loaded.
    """
    # Building a network draws initial weights from the global generator before the saved ones replace them.
    with torch.random.fork_rng(devices=[]):
        if source == efficientnet_lite.NAME:
            return _probe(efficientnet_lite.EfficientNetLite0(), _LITE, source)
        return _probe(*_load_transformer(source), source)


def untrained_probe(source: str, seed: int) -> Probe:
    """The same network with random weights.

    Args:
        source: As for `load_probe`; of a folder or a hub's model only the description is read.
        seed: Seed of the weights, in [0, 2**63).

    Raises:
        TaskError: it can't be loaded.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if source == efficientnet_lite.NAME:
            return _probe(efficientnet_lite.EfficientNetLite0(trained=False), _LITE, source)
        from transformers import AutoConfig, AutoModel

        try:
            network = AutoModel.from_config(AutoConfig.from_pretrained(source))  # type: ignore[no-untyped-call]
            described = _description(source)
        except (OSError, ValueError, ImportError, LookupError, RuntimeError, TypeError) as error:
            raise TaskError(f"can't build the network: {_first_line(error)}", place=source, mend=_FORM) from error
        return _probe(network, described, source)


_LITE = {"mean": efficientnet_lite.MEAN, "std": efficientnet_lite.STD, "image_size": efficientnet_lite.IMAGE_SIZE}


def _probe(network: Any, described: Mapping[str, Any], source: str) -> Probe:
    """A network, frozen, with what its input looks like."""
    size: Any = described.get("image_size") or getattr(network.config, "image_size", None) or DEFAULT_IMAGE_SIZE
    network.eval().requires_grad_(False)
    for module in network.modules():
        if hasattr(module, "inplace"):
            # What a layer puts out must stay as it is until gradients were taken.
            module.inplace = False
    try:
        return Probe(
            network,
            image_size=int(size[0] if isinstance(size, (list, tuple)) else size),
            mean=_three(described.get("mean", IMAGENET_MEAN)),
            std=_three(described.get("std", IMAGENET_STD)),
        )
    except (TypeError, ValueError) as error:
        raise TaskError(
            "the description of the probe network's input makes no sense",
            place=source,
            mend="image_size is a number of pixels, mean and std are three numbers each",
        ) from error


def _load_transformer(source: str) -> tuple[Any, dict[str, Any]]:
    """A network that transformers knows, and what its input looks like."""
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils import logging

    folder = Path(source).expanduser()
    if folder.is_dir():
        source = str(folder)
    elif len(folder.parts) > 2 or source.startswith((".", "~", "/")):
        # Such names are no hub's.
        raise TaskError("there is no folder with a probe network", place=source, mend=_FORM)
    # A backbone's own classification head is rightly left out; transformers would report it as a fault.
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        network, loaded = AutoModel.from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        described = _description(source)
    except (OSError, ValueError, ImportError, LookupError, RuntimeError, TypeError, SafetensorError) as error:
        raise TaskError(f"can't load the probe network: {_first_line(error)}", place=source, mend=_FORM) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    missing = sorted(loaded["missing_keys"])
    if missing and all(name.startswith("pooler.") for name in missing):
        # Vision transformers saved with a classification head lack it; random weights must not take its place.
        network.pooler = None
    elif missing:
        raise TaskError(
            f"the probe network's weights are incomplete: {missing[0]} is missing", place=source, mend=_FORM
        )
    return network, described


def _description(source: str) -> dict[str, Any]:
    """``mean``, ``std`` and ``image_size``, as far as they are known."""
    own = Path(source) / "backbone.json"
    if own.is_file():
        written = json.loads(own.read_text(encoding="utf-8"))
        if not isinstance(written, dict):
            raise ValueError(f"{own.name} is not a mapping")
        return written
    from transformers.utils.hub import cached_file

    file = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    if file is None:
        return {}
    processor = json.loads(Path(file).read_text(encoding="utf-8"))
    if not isinstance(processor, dict):
        raise ValueError("preprocessor_config.json is not a mapping")
    names = {"mean": "image_mean", "std": "image_std"}
    described = {ours: processor[theirs] for ours, theirs in names.items() if theirs in processor}
    size = processor.get("crop_size") or processor.get("size")
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    return {**described, "image_size": size}


def _three(values: Any) -> tuple[float, ...]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
