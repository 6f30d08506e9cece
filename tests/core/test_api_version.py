from __future__ import annotations

import re

import pytest

import task2sim
from task2sim.api_version import API_VERSION, disagreement, parse

MAJOR, MINOR = parse(API_VERSION)


def test_the_version_is_public_and_a_text() -> None:
    assert task2sim.API_VERSION == API_VERSION
    assert re.fullmatch(r"\d+\.\d+", API_VERSION)


@pytest.mark.parametrize("stated", [[], [API_VERSION], [f"{MAJOR}.0"], [API_VERSION, API_VERSION]])
def test_the_same_major_and_no_newer_minor_is_compatible(stated: list[str]) -> None:
    assert disagreement(stated, "fog-sims", "0.4.0") == ("", "")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            [f"{MAJOR}.{MINOR + 1}"],
            f"it was written for API {MAJOR}.{MINOR + 1}, and task2sim 0.4.0 has API {API_VERSION}; upgrade task2sim",
        ),
        (
            [f"{MAJOR + 1}.0"],
            f"it was written for API {MAJOR + 1}.0, and task2sim 0.4.0 has API {API_VERSION}; upgrade task2sim",
        ),
        (
            ["0.99"],
            f"it was written for API 0.99, and task2sim 0.4.0 has API {API_VERSION}; "
            "upgrade fog-sims, or install a task2sim that has API 0",
        ),
        (
            ["1.4-beta"],
            "its API version '1.4-beta' is not major.minor; "
            f'write "{API_VERSION}" = "task2sim" in \'task2sim.api\'',
        ),
        (["1.1", "1.2"], "it names 2 API versions: 1.1, 1.2; keep one in 'task2sim.api'"),
    ],
)
def test_any_other_is_refused_with_its_reason(stated: list[str], message: str) -> None:
    assert "; ".join(disagreement(stated, "fog-sims", "0.4.0")) == message


@pytest.mark.parametrize("version", ["", "1", "1.", "1.2.3", "v1.2", "1.²", " 1.2"])
def test_what_is_no_version_is_not_read_as_one(version: str) -> None:
    with pytest.raises(ValueError, match=r"is not major\.minor"):
        parse(version)
