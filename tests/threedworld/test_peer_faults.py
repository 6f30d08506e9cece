"""Faults come when they were ordered, once each, in turn, and over all builds that share a count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim_threedworld.testing.faults import FAULTS, Faults


def test_no_faults_without_kinds(tmp_path: Path) -> None:
    faults = Faults((), 2, None)
    assert [faults.next() for _ in range(10)] == [None] * 10


def test_kinds_take_turns_at_every_third_request() -> None:
    faults = Faults(("die", "slow"), 3, None)
    assert [faults.next() for _ in range(12)] == [None, None, "die", None, None, "slow"] * 2


def test_a_relaunched_build_goes_on_counting(tmp_path: Path) -> None:
    found = [Faults(("die", "hang", "short"), 2, tmp_path / "requests").next() for _ in range(8)]
    assert found == [None, "die", None, "hang", None, "short", None, "die"]


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(0, 150),
    every=st.integers(2, 60),
    kinds=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4),
)
def test_a_run_that_asks_again_meets_a_fault_for_every_so_many_requests(
    images: int, every: int, kinds: list[str]
) -> None:
    faults, requests, met = Faults(kinds, every, None), 0, []
    for _ in range(images):
        for _attempt in range(2):  # asking again once is always enough
            requests += 1
            fault = faults.next()
            if fault is None:
                break
            met.append(fault)
        assert fault is None
    assert len(met) == requests // every
    assert met == [kinds[number % len(kinds)] for number in range(len(met))]


def test_two_thousand_images_with_a_fault_every_fifty_meet_forty() -> None:
    faults = Faults(("die",), 50, None)
    assert sum(1 for _ in range(2000) for _ in iter(faults.next, None)) == 40


def test_builds_side_by_side_never_get_the_same_number(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from task2sim_threedworld.testing.faults import _count\n"
        "print(*(_count(Path(sys.argv[1])) for _ in range(500)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "requests")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    numbers = [int(word) for process in running for word in process.communicate(timeout=30)[0].split()]
    assert sorted(numbers) == list(range(1, 1001))


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"explode.*die"):
        Faults(("die", "explode"), 50, None)


@pytest.mark.parametrize("every", [1, 0, -3])
def test_faults_that_leave_no_answer_are_refused(every: int) -> None:
    with pytest.raises(ConfigError, match="2 or more"):
        Faults(("die",), every, None)
