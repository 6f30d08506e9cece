"""Finding and starting builds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from task2sim import ConfigError

RELEASES = "https://github.com/threedworld-mit/tdw/releases"


def default_build() -> Path:
    """Where ThreeDWorld's own installer puts the build."""
    folder = Path.home() / "tdw_build" / "TDW"
    if sys.platform == "darwin":
        return folder / "TDW.app" / "Contents" / "MacOS" / "TDW"
    return folder / ("TDW.exe" if sys.platform == "win32" else "TDW.x86_64")


def check_build(path: Path) -> None:
    """See whether there is something to launch.

    Raises:
        ConfigError: there is not.
    """
    if not path.is_file():
        raise ConfigError(
            f"there is no ThreeDWorld build at {path}",
            place="simulator.build",
            mend=f"download version 1.13 from {RELEASES} and name its executable, or give 'address'",
        )
    if not os.access(path, os.X_OK):
        mend = f"chmod +x {path}"
        if sys.platform == "darwin":
            mend += f" and xattr -r -d com.apple.quarantine {path.parent.parent.parent}"
        raise ConfigError(f"{path} is not executable", place="simulator.build", mend=mend)


def build_fingerprint(path: Path) -> str:
    """A hash of a build: of its executable, and of the file beside it that holds Unity's settings of the game.

    Raises:
        ConfigError: there is no build.
    """
    check_build(path)
    digest = hashlib.sha256(path.read_bytes())
    for settings in sorted(path.parent.glob("*_Data/globalgamemanagers")):
        digest.update(settings.read_bytes())
    return digest.hexdigest()[:16]


def launch(path: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start a build that calls at a port of this machine; it ends with this process.

    Args:
        path: The build's executable.
        port: Where its controller waits.
        log: What the build prints goes here, after what is there already.

    Returns:
        Its keeper: closing the keeper's standard input ends the build.

    Raises:
        ConfigError: there is no build, or it can't be started.
    """
    check_build(path)
    # As a file and isolated: it needs no module path, so the build gets the user's environment as it is.
    keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), "--"]
    # Unity writes its log to where the keeper's output goes, and not to one file for all builds of this user.
    build = [str(path.resolve()), "-port", str(port), "-address", "127.0.0.1", "-logFile", "-"]
    try:
        with log.open("ab") as file:
            return subprocess.Popen(
                [*keeper, *build],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise ConfigError(f"the build can't be started: {error.strerror}", place=str(path)) from error
