"""What is done to images while a network trains, so that it learns what they show and not where and how bright.

Imports torch and kornia, so import it only when work is done. All draws come from torch's global generator.
"""

from __future__ import annotations

import torch
from kornia.augmentation import ColorJiggle, RandomHorizontalFlip, RandomResizedCrop


def scene_augmentation(image_size: int) -> torch.nn.Module:
    """For rendered scenes: crops of 35 % to all of the area, mirrored half of the time, colours a little off."""
    return torch.nn.Sequential(
        _crop(image_size, least_area=0.35),
        RandomHorizontalFlip(p=0.5),
        ColorJiggle(brightness=0.2, contrast=0.2, saturation=0.2, p=1.0),
    )


def task_augmentation(image_size: int) -> torch.nn.Module:
    """For a task's images, of which nothing is known: slight crops. A mirrored letter may be another letter."""
    return _crop(image_size, least_area=0.7)


def _crop(image_size: int, least_area: float) -> torch.nn.Module:
    # Cutting and resizing image by image takes half the time of warping the batch on a CPU.
    crop: torch.nn.Module = RandomResizedCrop(
        (image_size, image_size), scale=(least_area, 1.0), cropping_mode="slice", align_corners=False
    )
    return crop
