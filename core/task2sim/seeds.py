"""Random numbers that depend on what they are for, and on nothing else.

Every random number in task2sim comes from a generator that is spawned from ``(study seed, stage, key)``.
No global generator is read or seeded, so plugins can't disturb one another.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def spawn_seed(seed: int, stage: str, key: str = "") -> int:
    """Derive an independent seed for one use.

    Args:
        seed: The study's seed, any integer >= 0. Zero is a seed like any other.
        stage: What the numbers are for, such as ``"pretrain"``.
        key: Which one of its kind, such as a task's name.

    Returns:
        An integer in [0, 2**63), the same on every platform and in every process.

    Raises:
        ValueError: `seed` is negative.
    """
    if seed < 0:
        raise ValueError(f"a seed must not be negative, got {seed}")
    digest = hashlib.sha256(f"{seed}\x1f{stage}\x1f{key}".encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def spawn_generator(seed: int, stage: str, key: str = "") -> np.random.Generator:
    """Make a generator for one use; see `spawn_seed` for the arguments."""
    return np.random.default_rng(spawn_seed(seed, stage, key))


def image_uniforms(seed: int, index: int, count: int) -> NDArray[np.float64]:
    """Draw the uniform numbers behind image `index` of the dataset with this seed.

    They come from a counter-based generator (Philox: Salmon et al., "Parallel random numbers: as easy as
    1, 2, 3", SC 2011) keyed by (seed, index), so no image depends on another.

    Args:
        seed: The dataset's seed, in [0, 2**64).
        index: The image's index, >= 0.
        count: How many numbers. A longer draw begins with the shorter one.

    Returns:
        float64 array of shape (count,), values in [0, 1).
    """
    key = np.array([seed, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)
