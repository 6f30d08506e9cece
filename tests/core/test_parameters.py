from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, Choice, Interval, ParameterError, ParameterSpace, Toggle
from task2sim.parameters import parse_parameter

MIXED = ParameterSpace(
    [Toggle("fog"), Choice("sky", ("clear", "cloudy", "night")), Interval("zoom", 0.5, 2.0, description="factor")]
)

settings = st.builds(
    lambda fog, sky, zoom: MIXED.setting(fog=fog, sky=sky, zoom=zoom),
    st.sampled_from([0, 1, True, False]),
    st.sampled_from(["clear", "cloudy", "night"]),
    st.floats(0.5, 2.0),
)


def test_the_paper_has_eight_toggles() -> None:
    assert len(TASK2SIM_PARAMETERS) == 8
    assert TASK2SIM_PARAMETERS.size == 256
    assert len(set(TASK2SIM_PARAMETERS.enumerate())) == 256


@given(settings)
def test_a_setting_is_the_same_whatever_its_order_or_journey(setting) -> None:
    backwards = MIXED.setting(dict(reversed(list(setting.items()))))
    assert backwards == setting
    assert backwards.key == setting.key
    assert hash(backwards) == hash(setting)
    assert pickle.loads(pickle.dumps(setting)) == setting
    assert MIXED.setting(setting) == setting


def test_a_settings_key_is_the_same_in_every_process() -> None:
    code = "from task2sim import *; print(TASK2SIM_PARAMETERS.setting(background=1, materials=True).key)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == TASK2SIM_PARAMETERS.setting(materials=1, background=1).key


@given(settings, settings)
def test_different_settings_have_different_keys(first, second) -> None:
    assert (first == second) == (first.key == second.key)


@given(st.integers(0, 2**32))
def test_samples_lie_in_the_space(seed: int) -> None:
    setting = MIXED.sample(np.random.default_rng(seed))
    assert MIXED.setting(setting) == setting


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fogg": 1}, "unknown parameter 'fogg'; did you mean 'fog'?"),
        ({"colour": 1}, "unknown parameter 'colour'; the parameters are fog, sky, zoom"),
        ({"fog": 2}, "parameter 'fog' can't be 2; use 0 (fixed) or 1 (varied)"),
        ({"fog": "yes"}, "parameter 'fog' can't be 'yes'; use 0 (fixed) or 1 (varied)"),
        ({"sky": "green"}, "parameter 'sky' can't be 'green'; choose one of clear, cloudy, night"),
        ({"zoom": 3}, "parameter 'zoom' can't be 3; use a number from 0.5 to 2"),
        ({"zoom": float("nan")}, "parameter 'zoom' can't be nan; use a number from 0.5 to 2"),
        ({"zoom": True}, "parameter 'zoom' can't be True; use a number from 0.5 to 2"),
    ],
)
def test_wrong_values_are_refused_by_name(values, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        MIXED.setting(values)
    assert str(caught.value) == message


def test_defaults_and_everything_varied() -> None:
    assert MIXED.default().as_dict() == {"fog": 0, "sky": "clear", "zoom": 0.5}
    assert MIXED.everything_varied().as_dict() == {"fog": 1, "sky": "night", "zoom": 2.0}
    assert MIXED.setting(fog=1).label == "fog+sky=clear+zoom=0.5"
    assert TASK2SIM_PARAMETERS.default().label == "nothing varied"


def test_a_space_survives_as_plain_data() -> None:
    assert ParameterSpace([parse_parameter(item) for item in MIXED.describe()]) == MIXED


def test_bad_spaces_are_refused() -> None:
    with pytest.raises(ParameterError, match="must differ"):
        ParameterSpace([Toggle("a"), Toggle("a")])
    with pytest.raises(ParameterError, match="low < high"):
        Interval("a", 1, 1)
    with pytest.raises(ParameterError, match="two or more"):
        Choice("a", ("one",))
    with pytest.raises(ParameterError, match="interval"):
        list(MIXED.enumerate())
