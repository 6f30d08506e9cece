"""F-SWAP: features of regions change places between domains (Cascante-Bonilla et al., CVPR 2022, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

SHARE = 0.2
"""Of an image's classes that both domains have: on so many of them regions are replaced, one at least."""


class FeaturePool:
    """What regions of each class look like in one domain.

    Args:
        images: Of each image the features of its regions, of shape (R, D), and the classes of the first of them;
            what comes after those is of no class.
    """

    def __init__(self, images: Iterable[tuple[NDArray[np.float32], Sequence[str]]]) -> None:
        found: dict[str, list[NDArray[np.float32]]] = {}
        for features, classes in images:
            for row, name in zip(features, classes, strict=False):
                found.setdefault(name, []).append(row)
        self._features = {name: np.stack(rows) for name, rows in found.items()}

    @property
    def classes(self) -> frozenset[str]:
        """Classes of which there is a region."""
        return frozenset(self._features)

    def draw(self, name: str, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Features of random regions of one class, float32 array of shape (count, D)."""
        rows = self._features[name]
        return rows[random.integers(len(rows), size=count)]


def swap(
    features: NDArray[np.float32], classes: Sequence[str], other: FeaturePool, random: np.random.Generator
) -> NDArray[np.float32]:
    """Replace some of an image's features by ones of the same classes from another domain.

    With lambda ~ Beta(1, 1), nothing happens unless lambda > 0.5. Then a fifth of the image's classes that the other
    domain has too is chosen, and each region of one of them gets the feature of a random region of that class.

    Args:
        features: float32 array of shape (R, D); it stays as it is.
        classes: Of the first regions; what comes after those, such as the whole image, is never replaced.
        other: The other domain's features.
        random: Where random numbers come from.

    Returns:
        float32 array of shape (R, D); `features` itself if nothing was replaced.
    """
    if random.beta(1.0, 1.0) <= 0.5:
        return features
    common = sorted(set(classes) & other.classes)
    if not common:
        return features
    chosen = random.choice(len(common), size=max(1, round(SHARE * len(common))), replace=False)
    swapped = features.copy()
    for name in (common[k] for k in sorted(chosen.tolist())):
        rows = [row for row, kind in enumerate(classes) if kind == name]
        swapped[rows] = other.draw(name, len(rows), random)
    return swapped
