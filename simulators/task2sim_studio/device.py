"""Which device to render on, and getting Warp and the kernels ready there without a word."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import warp as wp
from filelock import FileLock

from task2sim import ConfigError
from task2sim_studio import kernels

_NO_DRIVER = b"Could not find or load the NVIDIA CUDA driver"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Warp from printing: a study's output is not its place."""
    setting, silent = ("log_level", 40) if hasattr(wp.config, "log_level") else ("quiet", True)
    before = getattr(wp.config, setting)
    setattr(wp.config, setting, silent)
    try:
        yield
    finally:
        setattr(wp.config, setting, before)


@contextlib.contextmanager
def _without_driver_warning() -> Iterator[None]:
    """Hold back what is written to stderr past Python, and pass on all but the word that there is no GPU."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            others = [line for line in held if _NO_DRIVER not in line]
            if others:
                os.write(2, b"".join(others))


with _quiet(), _without_driver_warning():
    wp.init()  # type: ignore[no-untyped-call]


def resolve_device(name: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a Warp device's name.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    present = wp.get_cuda_device_count() > 0
    if name == "cuda" and not present:
        raise ConfigError("no CUDA device was found", place="simulator.device", mend="use 'auto' or 'cpu'")
    return "cuda:0" if present and name != "cpu" else "cpu"


def load_kernels(device: str) -> None:
    """Load the kernels for a device; the first time on a machine they are compiled, by one process at a time."""
    try:
        with _quiet(), FileLock(Path(str(wp.config.kernel_cache_dir)) / "task2sim_studio.lock"):
            wp.load_module(kernels, device=device)
    except OSError as error:
        raise ConfigError(
            f"the renderer's kernels can't be compiled: {error.strerror or error}",
            place=str(wp.config.kernel_cache_dir),
            mend="name a folder that can be written in the environment variable WARP_CACHE_PATH",
        ) from error
