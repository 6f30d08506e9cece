"""What is done to images and their masks while a network trains.

Imports torch and kornia, so import it only when work is done. All draws come from torch's global generator.
"""

from __future__ import annotations

import torch
from kornia.augmentation import AugmentationSequential, ColorJiggle, RandomHorizontalFlip, RandomResizedCrop


def scene_augmentation(image_size: int) -> torch.nn.Module:
    """Crops of 35 % to all of the area, mirrored half of the time, colours a little off: as trainer ``resnet`` does.

    Returns:
        Maps float images (B, 3, size, size) in [0, 1] and masks (B, K, size, size) to such images and masks; numbers
        in masks are moved, never mixed.
    """
    augmentation: torch.nn.Module = AugmentationSequential(
        RandomResizedCrop((image_size, image_size), scale=(0.35, 1.0), cropping_mode="slice", align_corners=False),
        RandomHorizontalFlip(p=0.5),
        ColorJiggle(brightness=0.2, contrast=0.2, saturation=0.2, p=1.0),
        data_keys=["input", "mask"],
    )
    return augmentation
