"""The peer as a program: `python -m task2sim_threedworld.testing -port 1071 -address localhost`.

Flags with one dash are those of a build, and those that the peer has no use for are ignored; what the peer itself is
to do stands behind two dashes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from task2sim import Task2SimError
from task2sim_threedworld.testing.faults import FAULTS, Faults


def main(arguments: list[str]) -> int:
    """Run a peer until its controller ends it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m task2sim_threedworld.testing",
        description="Stands in for a ThreeDWorld build. -port and -address are read as a build reads them.",
        add_help=False,  # a build may be given flags that begin with -h
        allow_abbrev=False,
    )
    parser.add_argument("--help", action="help", help="show this and exit")
    parser.add_argument("--faults", default="", help=f"kinds that take turns, comma-separated: {', '.join(FAULTS)}")
    parser.add_argument("--every", type=int, default=50, help="a fault at every so many requests with an image")
    parser.add_argument("--slow-seconds", type=float, default=1.0, help="how long a slow answer takes")
    parser.add_argument("--counter", type=Path, help="file that counts requests across relaunches")
    options, flags = parser.parse_known_args(arguments)

    from task2sim_threedworld.testing.peer import Peer, read_flag

    try:
        faults = Faults([kind for kind in options.faults.split(",") if kind], options.every, options.counter)
        port = int(read_flag(flags, "port", "1071"))
        return Peer(read_flag(flags, "address", "localhost"), port, faults, options.slow_seconds).run()
    except Task2SimError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
