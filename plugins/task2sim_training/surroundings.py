"""Where networks are computed, and surroundings that make what they compute depend on nothing else.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from task2sim import ConfigError


def choose_device(name: str) -> torch.device:
    """The device called ``"auto"``, ``"cpu"`` or ``"cuda"``; ``"auto"`` is accelerate's choice.

    Raises:
        ConfigError: the device is missing.
    """
    if name == "auto":
        from accelerate import PartialState

        return torch.device(PartialState().device)
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device that torch can use", place="device", mend="use auto or cpu")
    return torch.device(name)


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Compute with this many CPU threads inside the block: sums depend on how they are divided."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Make everything random and every sum inside the block depend on the arguments alone.

    Initial weights and kornia's augmentation draw from torch's global generators. They are seeded inside, and are as
    they were afterwards.
    """
    with (
        pinned_threads(threads),
        torch.random.fork_rng(devices=range(torch.cuda.device_count())),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
    ):
        torch.manual_seed(seed)
        yield
