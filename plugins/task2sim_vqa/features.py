"""Features of regions: cut out of pictures, learnt, and computed.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import pydantic
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim import TaskError, report_progress
from task2sim_training.loop import fit
from task2sim_vqa.folders import VQAFolder
from task2sim_vqa.language import american, nouns
from task2sim_vqa.networks import CROP, RegionEncoder
from task2sim_vqa.regions import Regions, open_picture
from task2sim_vqa.visible import COLOUR_NAMES, MATERIAL_NAMES

SHIFT = 2
"""Pixels by which a crop moves in training, at most."""
BATCH = 64
RATE = 2e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1


class Words(pydantic.BaseModel):
    """What a region encoder can say of a region, in the order of its heads' outputs."""

    model_config = pydantic.ConfigDict(frozen=True)

    categories: tuple[str, ...]
    colours: tuple[str, ...]
    materials: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many there are of each."""
        return len(self.categories), len(self.colours), len(self.materials)

    def names(self) -> tuple[str, ...]:
        """Each in English as questions put it, those that have a plural with it."""
        known, _ = nouns(self.categories)
        things = (f"{known[name].one} {known[name].many}" if name in known else name for name in self.categories)
        return *things, *map(american, self.colours), *self.materials

    @classmethod
    def of(cls, regions: Sequence[Regions]) -> Words:
        """Those that some regions have."""
        classes = {name for some in regions for name in some.classes}
        colours = {name for some in regions for name in some.colours}
        materials = {name for some in regions for name in some.materials}
        return cls(
            categories=tuple(sorted(classes)),
            colours=tuple(name for name in COLOUR_NAMES if name in colours),
            materials=tuple(name for name in MATERIAL_NAMES if name in materials),
        )


@attrs.frozen(eq=False)
class Seen:
    """What the answering network sees of one picture.

    Attributes:
        features: float32 array of shape (R + 1, D); the last is of the whole picture.
        positions: float32 array of shape (R + 1, 5): boxes and areas.
        classes: Of the R regions.
    """

    features: NDArray[np.float32]
    positions: NDArray[np.float32]
    classes: tuple[str, ...]


def crops(folder: VQAFolder) -> dict[int, NDArray[np.uint8]]:
    """Regions cut out and brought to one size, the whole picture at last: uint8 arrays of shape (R + 1, 3, 32, 32).

    Raises:
        TaskError: a picture can't be read.
    """
    from PIL import Image

    found = {}
    for done, (number, path) in enumerate(folder.images.items()):
        if done % 100 == 0:
            report_progress("cut", done, len(folder.images), "images")
        picture = Image.fromarray(open_picture(path))
        width, height = picture.size
        cut = []
        for left, top, right, bottom, _ in folder.regions[number].positions().tolist():
            box = (left * width, top * height, right * width, bottom * height)
            cut.append(np.asarray(picture.resize((CROP, CROP), Image.Resampling.BILINEAR, box=box)))
        found[number] = np.ascontiguousarray(np.stack(cut).transpose(0, 3, 1, 2))
    report_progress("cut", len(folder.images), len(folder.images), "images")
    return found


def learn_regions(
    folder: VQAFolder, cut: Mapping[int, NDArray[np.uint8]], epochs: int
) -> tuple[Words, RegionEncoder]:
    """Train a region encoder to tell the words of a folder's regions; random numbers come from torch's generator.

    Args:
        folder: Whose regions.
        cut: What `crops` made of them.
        epochs: How often each region is seen.

    Raises:
        TaskError: there are no regions.
    """
    regions = [folder.regions[number] for number in folder.images]
    words = Words.of(regions)
    if not words.categories:
        raise TaskError("no picture has a region", place=str(folder.path), mend="choose another folder or detector")
    pixels = torch.from_numpy(np.concatenate([cut[number][:-1] for number in folder.images]))
    targets = [
        torch.tensor(
            [names.index(word) if word in names else -100 for some in regions for word in getattr(some, key)]
        )
        for key, names in (("classes", words.categories), ("colours", words.colours), ("materials", words.materials))
        if names
    ]
    encoder = RegionEncoder(words.counts)

    def measure(shared: Any, chosen: NDArray[np.int64]) -> tuple[torch.Tensor]:
        _, logits = shared(_varied(pixels[chosen]))
        losses = []
        for part, target in zip(logits, targets, strict=True):
            known = target[chosen] >= 0
            if known.any():
                losses.append(
                    functional.cross_entropy(part[known], target[chosen][known], label_smoothing=LABEL_SMOOTHING)
                )
        return (torch.stack(losses).sum(),)

    fit(
        encoder,
        len(pixels),
        measure,
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=WEIGHT_DECAY,
        stage="learn regions",
    )
    return words, encoder


def _varied(pixels: torch.Tensor) -> torch.Tensor:
    """Crops, some of them mirrored, all of them moved by some pixels."""
    mirrored = torch.where(torch.rand(len(pixels), 1, 1, 1) < 0.5, pixels.flip(3), pixels)
    wide = functional.pad(mirrored.float(), (SHIFT,) * 4, mode="replicate")
    x, y = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    return wide[:, :, y : y + CROP, x : x + CROP]


def see(folder: VQAFolder, cut: Mapping[int, NDArray[np.uint8]], encoder: RegionEncoder) -> dict[int, Seen]:
    """Compute the features of all regions of a folder, by image."""
    found = {}
    encoder.eval()
    with torch.inference_mode():
        for number in folder.images:
            regions = folder.regions[number]
            features = encoder.features(torch.from_numpy(cut[number])).numpy()
            found[number] = Seen(features, regions.positions(), regions.classes)
    return found


def batch_of(seen: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> tuple[torch.Tensor, ...]:
    """Features, positions and what is padding, of pictures with different numbers of regions.

    Args:
        seen: Features and positions of each picture.

    Returns:
        float32 tensors of shape (B, R, D) and (B, R, 5), and a bool one of shape (B, R).
    """
    most = max(len(features) for features, _ in seen)
    features = np.zeros((len(seen), most, seen[0][0].shape[1]), dtype=np.float32)
    positions = np.zeros((len(seen), most, seen[0][1].shape[1]), dtype=np.float32)
    absent = np.ones((len(seen), most), dtype=bool)
    for k, (mine, places) in enumerate(seen):
        features[k, : len(mine)], positions[k, : len(mine)], absent[k, : len(mine)] = mine, places, False
    return torch.from_numpy(features), torch.from_numpy(positions), torch.from_numpy(absent)
