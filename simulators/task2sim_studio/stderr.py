"""What libraries write to stderr past Python, held back where it is not for the user."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_without(words: bytes) -> Iterator[None]:
    """Hold back what is written to stderr meanwhile, and pass on all lines without `words` in them."""
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
            others = [line for line in held if words not in line]
            if others:
                os.write(2, b"".join(others))
