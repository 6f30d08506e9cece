"""How images and masks become a network's input and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BATCH = 64
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@attrs.frozen
class Preprocessing:
    """Resizing and normalisation.

    Attributes:
        image_size: Height and width the network sees, in pixels; images are squeezed to a square, so that nothing
            is cut off and cells of its maps lie where the picture's do.
        mean: Red, green, blue, of values in [0, 1]; subtracted. The usual ones of ImageNet, not a dataset's own, so
            that all backbones see a task's images alike, and other tools as they always do.
        std: Red, green, blue; divided by.
    """

    image_size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def batches(self, images: NDArray[np.uint8], device: torch.device) -> Iterator[torch.Tensor]:
        """Turn images of any size into inputs, in batches that fit into memory."""
        for start in range(0, len(images), BATCH):
            yield self.normalise(self.pixels(images[start : start + BATCH], device))

    def pixels(self, images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
        """Resize uint8 images (B, height, width, 3) of any size to float32 (B, 3, size, size) in [0, 1]."""
        import torch

        # The view keeps the channels last in memory, which convolutions like.
        pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 255.0
        if pixels.shape[-2:] == (self.image_size, self.image_size):
            return pixels
        return torch.nn.functional.interpolate(
            pixels, size=(self.image_size, self.image_size), mode="bilinear", antialias=True
        )

    def masks(self, masks: Sequence[NDArray[np.uint16]], device: torch.device) -> torch.Tensor:
        """Resize uint16 masks (B, height, width) to float32 (B, masks, size, size); no numbers are mixed."""
        import torch

        # Every uint16 is a float32; augmentation takes no integers.
        stacked = torch.from_numpy(np.stack(masks, axis=1).astype(np.float32)).to(device)
        if stacked.shape[-2:] == (self.image_size, self.image_size):
            return stacked
        return torch.nn.functional.interpolate(stacked, size=(self.image_size, self.image_size), mode="nearest-exact")

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Subtract the mean, divide by the standard deviation; the result has its channels last in memory."""
        import torch

        mean = pixels.new_tensor(self.mean)[:, None, None]
        std = pixels.new_tensor(self.std)[:, None, None]
        return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
