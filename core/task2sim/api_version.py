"""The version of the interfaces, which is not that of the release, and what a plugin's distribution says about it.

A distribution says which version it was written for by an entry point whose *name* is the version::

    [project.entry-points."task2sim.api"]
    "1.6" = "task2sim"

It is the name because values must look like references to objects: setuptools refuses ``version = "1.4"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

API_VERSION = "1.6"
"""Version of the interfaces: major.minor. The minor grows with additions, the major when a plugin must be changed."""

API_GROUP = "task2sim.api"
"""Entry-point group of the statement."""


def parse(version: str) -> tuple[int, int]:
    """Major and minor of a version.

    Raises:
        ValueError: it is not two whole numbers with a point between them.
    """
    if re.fullmatch(r"\d+\.\d+", version, re.ASCII) is None:
        raise ValueError(f"{version!r} is not major.minor")
    major, minor = version.split(".")
    return int(major), int(minor)


def disagreement(stated: Sequence[str], distribution: str, release: str) -> tuple[str, str]:
    """Why a distribution does not work with these interfaces, and the mend; two empty texts if it does.

    Args:
        stated: The versions it says it was written for: none or one.
        distribution: Its name.
        release: The release of task2sim that is installed.
    """
    if not stated:
        return "", ""
    if len(set(stated)) > 1:
        return f"it names {len(stated)} API versions: {', '.join(stated)}", f"keep one in {API_GROUP!r}"
    (version,) = set(stated)
    try:
        major, minor = parse(version)
    except ValueError:
        return (
            f"its API version {version!r} is not major.minor",
            f'write "{API_VERSION}" = "task2sim" in {API_GROUP!r}',
        )
    own_major, own_minor = parse(API_VERSION)
    problem = f"it was written for API {version}, and task2sim {release} has API {API_VERSION}"
    if major < own_major:
        return problem, f"upgrade {distribution}, or install a task2sim that has API {major}"
    if (major, minor) > (own_major, own_minor):
        return problem, "upgrade task2sim"
    return "", ""
