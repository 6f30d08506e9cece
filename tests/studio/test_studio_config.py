"""What may stand under ``further_parameters``, and what is said of what may not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from task2sim import FURTHER_PARAMETERS
from task2sim_studio.simulator import Studio


def test_some_or_all_further_parameters_can_be_named():
    assert Studio.Config.model_validate({"further_parameters": "all"}).further_parameters == "all"
    some = Studio.Config.model_validate({"further_parameters": ["fog", "floor"]}).further_parameters
    assert some == ("fog", "floor")
    everything = Studio(Studio.Config(categories=("mug", "vase"), further_parameters="all")).parameter_space
    assert everything.names[8:] == FURTHER_PARAMETERS.names


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["flor"], "no further parameter 'flor'; did you mean 'floor'"),
        (["fog", "fog"], "'fog' stands there twice"),
        ("floor", "write a list of names"),
        (3, "write a list of names"),
        ([["fog"]], "no further parameter"),
    ],
)
def test_anything_else_is_one_clear_reason(value, reason):
    with pytest.raises(ValidationError, match=reason) as caught:
        Studio.Config.model_validate({"further_parameters": value})
    assert len(caught.value.errors()) == 1
