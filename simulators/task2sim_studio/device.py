"""Which device to render on, and getting Warp and the kernels ready there without a word."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import warp as wp
from filelock import FileLock

from task2sim import ConfigError, report_progress
from task2sim_studio import film, shading, visibility
from task2sim_studio.stderr import stderr_without

_NO_DRIVER = b"Could not find or load the NVIDIA CUDA driver"
_ABANDONED = 3600.0
"""Seconds after which a folder in which kernels are compiled was surely left by a process that was killed."""


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
def _kernel_cache() -> Iterator[None]:
    """Turn what the operating system says of the folder of compiled kernels into one clear line."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the renderer's kernels can't be compiled: {error.strerror or error}",
            place=str(error.filename or wp.config.kernel_cache_dir or ""),
            mend="name a folder that can be written in the environment variable WARP_CACHE_PATH",
        ) from error


@functools.cache
def _start_warp() -> None:
    with _kernel_cache(), _quiet(), stderr_without(_NO_DRIVER):
        wp.init()  # type: ignore[no-untyped-call]


def resolve_device(name: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a Warp device's name.

    Raises:
        ConfigError: CUDA was asked for and there is none, or the folder of compiled kernels can't be made.
    """
    _start_warp()
    present = wp.get_cuda_device_count() > 0
    if name == "cuda" and not present:
        raise ConfigError("no CUDA device was found", place="simulator.device", mend="use 'auto' or 'cpu'")
    return "cuda:0" if present and name != "cpu" else "cpu"


def load_kernels(device: str) -> None:
    """Load the kernels for a device; the first time on a machine they are compiled, by one process at a time.

    Raises:
        ConfigError: they are not compiled yet and the folder for them can't be written, or they are broken.
    """
    _start_warp()
    modules = (visibility, shading, film)
    with _quiet(), _kernel_cache():
        for done, module in enumerate(modules):
            report_progress("compile", done, len(modules), "kernel modules")
            with _one_at_a_time(Path(str(wp.config.kernel_cache_dir))):
                _load(module, device)
        report_progress("compile", len(modules), len(modules), "kernel modules")


def _load(module: ModuleType, device: str) -> None:
    try:
        wp.load_module(module, device=device)
    except OSError:
        raise
    except Exception as error:  # Warp raises no narrower kind
        raise ConfigError(
            f"Warp can't load the renderer's kernels: {' '.join(str(error).split())[:200]}",
            place=str(wp.config.kernel_cache_dir),
            mend="remove this folder, they are then compiled anew",
        ) from error


@contextlib.contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Make other processes wait until the end of the block, where the cache can be written."""
    lock = FileLock(cache / "task2sim_studio.lock")
    try:
        lock.acquire()
    except OSError:  # what is compiled already can be used all the same; if something is not, Warp says so
        yield
        return
    try:
        _sweep(cache)
        yield
    finally:
        lock.release()


def _sweep(cache: Path) -> None:
    """Remove what processes left that were killed while they compiled."""
    for folder in cache.glob("wp_task2sim_studio.*_p[0-9]*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or this machine, has too little memory for what was asked.

    Warp raises a plain `RuntimeError` that names the bytes an array failed to get, or CUDA's error 2 where it checks
    its calls.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and re.search(r"Failed to allocate|CUDA error 2\b|out of memory", str(error)) is not None
    )
