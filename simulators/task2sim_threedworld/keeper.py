"""Keeps a build only as long as somebody needs it: ``python -m task2sim_threedworld.keeper -- COMMAND...``.

Unity waits for ever for a controller that is gone. The keeper runs the command in a process group of its own and
holds the other end of a pipe, its standard input: when that ends, because the simulator was closed or its process was
killed, it ends the whole group. It exits as the command does.

It imports the standard library alone, and no part of this package, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE = 2.0
"""Seconds between asking a build to end and making it."""


def main(arguments: list[str]) -> int:
    """Run a command until it ends or standard input does.

    Returns:
        Its exit code; where a signal ended it, 128 and the signal's number, as in a shell.
    """
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    try:
        code = child.wait()
    finally:
        _signal_group(child, "SIGKILL")  # whatever it started, and itself where a signal ends the keeper
    return code if code >= 0 else 128 - code


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    _signal_group(child, "SIGTERM")
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _signal_group(child, "SIGKILL")


def _signal_group(child: subprocess.Popen[bytes], name: str) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, getattr(signal, name))
        else:
            child.kill()  # Windows


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main(sys.argv[1:]))
