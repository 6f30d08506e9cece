"""Finding the regions of real pictures with a detector of transformers, from a folder on this disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from task2sim import StoreError, TaskError, report_progress
from task2sim_vqa.regions import MOST, REGIONS, Regions, open_picture, write_regions
from task2sim_vqa.vqa_v2 import image_files

CONFIDENCE = 0.3
"""Of a detection, at least."""


def detect(folder: Path, detector: Path) -> int:
    """Find the regions of all pictures of a VQA folder and write ``regions.jsonl``.

    Args:
        folder: With ``images/``.
        detector: What ``save_pretrained`` of a detector and of its image processor wrote. Weights must be
            safetensors; nothing is downloaded.

    Returns:
        How many pictures there are.

    Raises:
        TaskError: there are no pictures, or one can't be read.
        StoreError: the regions are known already, or there is no detector.
    """
    images = image_files(folder / "images")
    if not images:
        raise TaskError("there are no pictures here", place=str(folder / "images"), mend="name a VQA folder")
    if (folder / REGIONS).exists():
        raise StoreError("the regions are known", place=str(folder / REGIONS), mend="remove this file to find others")
    network, processor = _open(detector)
    return write_regions(folder / REGIONS, _found(network, processor, images))


def _open(detector: Path) -> tuple[Any, Any]:
    if not (detector / "config.json").is_file():
        raise StoreError(
            "there is no detector here: config.json is missing",
            place=str(detector),
            mend="name a folder that a detector of transformers was saved to",
        )
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    open_processor: Any = AutoImageProcessor.from_pretrained
    try:
        network: Any = AutoModelForObjectDetection.from_pretrained(
            detector, local_files_only=True, use_safetensors=True
        )
        processor = open_processor(detector, local_files_only=True, use_fast=False)
    except Exception as error:  # transformers has no error of its own for a damaged folder.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":.")
        raise StoreError(
            f"there is no detector here: {reason[:200]}",
            place=str(detector),
            mend="save a detector of transformers and its image processor there",
        ) from None
    return network.eval(), processor


def _found(network: Any, processor: Any, images: dict[int, Path]) -> Iterator[tuple[int, Regions]]:
    import torch

    names = network.config.id2label
    for done, (number, path) in enumerate(sorted(images.items())):
        report_progress("detect", done, len(images), "images")
        pixels = open_picture(path)
        with torch.inference_mode():
            outputs = network(**processor(images=pixels, return_tensors="pt"))
        # Of a picture of one by one, boxes are the shares that we want.
        (found,) = processor.post_process_object_detection(
            outputs, threshold=CONFIDENCE, target_sizes=torch.tensor([[1, 1]])
        )
        boxes = found["boxes"].clamp(0, 1).numpy().astype(np.float32)
        order = np.argsort(-found["scores"].numpy(), kind="stable")
        kept = [k for k in order if np.all(boxes[k, 2:] - boxes[k, :2] > 1e-4)][:MOST]
        classes = tuple(str(names[int(found["labels"][k])]) for k in kept)
        nothing = (None,) * len(kept)
        yield number, Regions(boxes[kept], classes, nothing, nothing)
    report_progress("detect", len(images), len(images), "images")
