from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import spawn_generator, spawn_seed
from task2sim.seeds import image_uniforms


@given(st.integers(0, 2**64), st.text(), st.text())
def test_a_seed_is_a_function_of_its_arguments(seed: int, stage: str, key: str) -> None:
    assert spawn_seed(seed, stage, key) == spawn_seed(seed, stage, key)
    assert 0 <= spawn_seed(seed, stage, key) < 2**63


def test_seed_stage_and_key_all_matter() -> None:
    seeds = {spawn_seed(s, stage, key) for s in range(10) for stage in "ab" for key in ("", "a", "b")}
    assert len(seeds) == 60
    assert spawn_seed(0, "pretrain", "a") == 4057854561276445452  # the same on every machine, for ever


def test_zero_is_a_seed_and_minus_one_is_not() -> None:
    assert spawn_seed(0, "x") != spawn_seed(1, "x")
    with pytest.raises(ValueError, match="negative"):
        spawn_seed(-1, "x")


def test_no_global_generator_is_touched() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    spawn_generator(1, "x").random(10)
    image_uniforms(1, 2, 10)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40), st.integers(1, 50), st.integers(0, 50))
def test_a_longer_draw_begins_with_the_shorter(seed: int, index: int, count: int, more: int) -> None:
    longer = image_uniforms(seed, index, count + more)
    assert (longer[:count] == image_uniforms(seed, index, count)).all()
    assert ((longer >= 0) & (longer < 1)).all()
