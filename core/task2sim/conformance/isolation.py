"""What a component must leave alone in its process: the global random generators, standard output, memory."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# The legacy generator of NumPy is used here on purpose: it is the global one.


def global_generators() -> dict[str, bytes]:
    """The state of each global random generator that is loaded, as bytes."""
    states = {"numpy.random": repr(_numpy_state()).encode(), "random": repr(random.getstate()).encode()}
    if (torch := sys.modules.get("torch")) is not None:
        states["torch"] = torch.random.get_rng_state().numpy().tobytes()
    return states


def _numpy_state() -> list[Any]:
    return [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()]  # noqa: NPY002


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block; afterwards they are as before."""
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_state = None if torch is None else torch.random.get_rng_state()
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        if torch is not None:
            torch.random.set_rng_state(torch_state)


class Printed:
    """What was printed inside a `captured_stdout`, once it has ended."""

    text: str = ""


@contextmanager
def captured_stdout() -> Iterator[Printed]:
    """Catch what is printed, by Python or below it; blocks may be nested."""
    printed = Printed()
    with tempfile.TemporaryFile() as file:
        before = sys.stdout
        before.flush()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        sys.stdout = open(os.dup(file.fileno()), "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115, PTH123
        try:
            yield printed
        finally:
            sys.stdout.close()
            sys.stdout = before
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            printed.text = file.read().decode("utf-8", "replace")


def resident_memory() -> int | None:
    """How many bytes of memory this process holds now; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def peak_memory() -> int | None:
    """The most memory this process ever held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
