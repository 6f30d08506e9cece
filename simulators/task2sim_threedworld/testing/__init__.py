"""A stand-in for ThreeDWorld's Unity build, to test controllers without Unity.

`start_peer` starts one; `write_build` writes an executable that one can launch, configure and lose like a real build:

    from tdw.controller import Controller
    from task2sim_threedworld.testing import start_peer

    with start_peer(port=1071):
        controller = Controller(port=1071, check_version=False, launch_build=False)
        ...

The peer speaks the real protocol and carries out commands on a small scene of its own (`world.py`), whose objects are
boxes of the models' real bounds. It proves that a controller says what it means, and copes with a build that fails.
It does not prove what Unity does with it: there is no physics, no shading by Unity, and no asset bundle is opened.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from task2sim_threedworld.testing.faults import FAULTS, Faults

__all__ = ["FAULTS", "PeerProcess", "count_requests", "start_peer", "write_build"]


class PeerProcess(subprocess.Popen[bytes]):
    """A peer's process; at the end of a `with` block it is ended."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process, and wait until it has ended."""
        self.kill()
        super().__exit__(kind, value, traceback)


def start_peer(
    port: int = 1071,
    *,
    address: str = "127.0.0.1",
    faults: Sequence[str] = (),
    every: int = 50,
    slow_seconds: float = 1.0,
) -> PeerProcess:
    """Start a peer that connects to a controller, which may be there already or come later.

    Args:
        port: Where the controller listens.
        address: The controller's machine.
        faults: Kinds of faults (`FAULTS`) that take turns.
        every: A fault comes at each `every`-th request that asks for an image.
        slow_seconds: How long a slow answer takes.

    Returns:
        The process; use it in a `with` block, or end it yourself.

    Raises:
        ConfigError: A fault is unknown, or faults come too often.
    """
    return PeerProcess(
        [*_command(faults, every, slow_seconds), "-port", str(port), "-address", address],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **_environment()},
    )


def write_build(path: Path, *, faults: Sequence[str] = (), every: int = 50, slow_seconds: float = 1.0) -> Path:
    """Write an executable shell script that acts as the Unity build.

    It takes Unity's flags `-port` and `-address`, and ignores others. Requests that ask for an image are counted in a
    file beside the script, over all builds that are launched from it, at once or one after the other, on whatever
    port: a run of 2,000 images on one build or on several, with a fault every 50, meets 40 faults.

    Args:
        path: Where the script goes; one that is there is replaced, and counting starts anew.
        faults: Kinds of faults (`FAULTS`) that take turns.
        every: A fault comes at each `every`-th request that asks for an image.
        slow_seconds: How long a slow answer takes.

    Returns:
        The path of the script.

    Raises:
        ConfigError: A fault is unknown, or faults come too often.
    """
    path = path.absolute()
    command = [*_command(faults, every, slow_seconds), "--counter", str(_counter(path))]
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _environment().items())
    path.write_text(f'#!/bin/sh\n{exports}exec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    _counter(path).write_bytes(b"")
    return path


def count_requests(build: Path) -> int:
    """Tell how many requests with an image the builds launched from a script have received.

    Args:
        build: What `write_build` wrote.
    """
    return _counter(build.absolute()).stat().st_size


def _counter(build: Path) -> Path:
    return build.with_name(f"{build.name}.requests")


def _command(faults: Sequence[str], every: int, slow_seconds: float) -> list[str]:
    """Give the command of a peer, its mistakes found before it starts."""
    Faults(faults, every, None)
    program = [sys.executable, "-m", "task2sim_threedworld.testing"]
    return [*program, "--faults", ",".join(faults), "--every", str(every), "--slow-seconds", str(slow_seconds)]


def _environment() -> dict[str, str]:
    """Give what a peer's process needs: this one's modules, and one thread for its small products of matrices.

    Threads that wait for each other make a picture several times slower where peers share a machine's cores.
    """
    modules = os.pathsep.join(str(Path(part).absolute()) for part in sys.path)
    return {"PYTHONPATH": modules, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")}
