"""What can go wrong with a build, on order.

A peer misbehaves at the answer to every N-th request that asks for an image. The requests of a build are counted
in a file, so that a build that was replaced goes on counting where the last one stopped: a fault comes once, and the
same request, sent again, is answered.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from task2sim import ConfigError

FAULTS = {
    "die": "exits without answering",
    "hang": "never answers and stays alive",
    "disconnect": "closes its connection without answering and stays alive",
    "restart": "comes back without answering as a new build with an empty scene, as if somebody had relaunched it",
    "ftre": "did not receive the request, says so on a new connection, and then works",
    "slow": "answers after a while",
    "short": "answers with an image that is cut off, and then works",
    "reject": "logs an error, says that it quits because of it, and exits",
}
"""The kinds of faults, and what a build does that has one."""


class Faults:
    """Says which requests meet which fault.

    Args:
        kinds: Names from `FAULTS`; they take turns.
        every: A fault comes at each request whose number is a multiple of it, at least 2: were it 1, no request would
            ever be answered.
        counter: File that counts the requests of all builds that share it; None counts for one process alone.

    Raises:
        ConfigError: A kind is unknown, or faults come too often.
    """

    def __init__(self, kinds: Sequence[str], every: int, counter: Path | None) -> None:
        for kind in kinds:
            if kind not in FAULTS:
                raise ConfigError(f"there is no fault {kind!r}", mend=f"one of {', '.join(FAULTS)}")
        if every < 2:
            raise ConfigError(f"a fault every {every} requests leaves none to succeed", mend="every: 2 or more")
        self._kinds = tuple(kinds)
        self._every = every
        self._counter = counter
        self._requests = 0

    def next(self) -> str | None:
        """Count a request with an image, before it is answered; returns the fault that it meets, if any."""
        if not self._kinds:
            return None
        self._requests = self._requests + 1 if self._counter is None else _count(self._counter)
        turn, rest = divmod(self._requests, self._every)
        return None if rest else self._kinds[(turn - 1) % len(self._kinds)]


def _count(counter: Path) -> int:
    """Append a byte to a file; returns how many there are then.

    Whoever appends knows from where it ends which number it has, even where several processes append at once.
    """
    file = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, b".")
        return os.lseek(file, 0, os.SEEK_CUR)
    finally:
        os.close(file)
