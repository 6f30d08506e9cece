"""How the core tells authors of plugins that something they use will go.

What is deprecated works until the next major version of the API, which comes no sooner than two minor versions later.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from task2sim.api_version import parse


class Task2SimDeprecationWarning(DeprecationWarning):
    """A plugin uses something of task2sim that will go.

    Shown by pytest, and by the ``task2sim`` command as one line. Programs that import task2sim don't show it, since
    those who use them can't mend it.
    """


_shown_by_python: dict[Any, Any] = {}


def deprecated(
    what: str, *, since: str, mend: str, used_by: type | Callable[..., Any] | None = None, calls_up: int = 1
) -> None:
    """Warn of the use of something that will go.

    Args:
        what: What is used, such as ``"Simulator.classes"``.
        since: The API version that deprecated it.
        mend: What to do instead, in one clause.
        used_by: The class or function of the plugin that uses it, where it is not the caller: for a method, say, that
            a plugin still overrides.
        calls_up: The user is so many calls above the function that calls this one.
    """
    removal = f"{parse(since)[0] + 1}.0"
    text = f"{what} is deprecated since API {since} and goes with API {removal}; {mend}"
    if used_by is None:
        warnings.warn(text, Task2SimDeprecationWarning, stacklevel=calls_up + 2)
        return
    warnings.warn_explicit(
        text, Task2SimDeprecationWarning, *_place(used_by), module=used_by.__module__, registry=_shown_by_python
    )


def _place(used_by: type | Callable[..., Any]) -> tuple[str, int]:
    import inspect

    try:
        return inspect.getsourcefile(used_by) or used_by.__module__, inspect.getsourcelines(used_by)[1]
    except (OSError, TypeError):
        return getattr(sys.modules.get(used_by.__module__), "__file__", None) or used_by.__module__, 1


@contextmanager
def deprecations_in_one_line() -> Iterator[None]:
    """Write each deprecation to standard error inside the block, once for each file that uses it."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("default", Task2SimDeprecationWarning)
        as_before = warnings.showwarning
        seen = set()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, Task2SimDeprecationWarning):
                as_before(message, category, filename, lineno, file, line)
            elif (str(message), filename) not in seen:
                seen.add((str(message), filename))
                sys.stderr.write(f"warning: {filename}:{lineno}: {message}\n")

        warnings.showwarning = show
        yield
