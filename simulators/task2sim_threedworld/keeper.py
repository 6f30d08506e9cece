"""Keeps a build only as long as somebody needs it: ``python -m task2sim_threedworld.keeper -- COMMAND...``.

Unity waits for ever for a controller that is gone. The keeper runs the command in a process group of its own and
holds the other end of a pipe, its standard input: when that ends, because the simulator was closed or its process was
killed, it ends the whole group. It exits as the command does.
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
    """Run a command until it ends or standard input does; returns its exit code."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    code = child.wait()
    _kill_group(child, signal.SIGKILL)  # whatever it started
    return code


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    _kill_group(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _kill_group(child, signal.SIGKILL)


def _kill_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, number)
        else:
            child.kill()


if __name__ == "__main__":
    # An interrupt at the terminal is for the study, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
