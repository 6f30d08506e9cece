"""What a policy remembers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TASK2SIM_PARAMETERS, TaskEmbedding, TaskScore
from task2sim_policies.records import Records, centred, mean_over_tasks

SETTINGS = list(TASK2SIM_PARAMETERS.enumerate())
cells = st.floats(-1e3, 1e3) | st.just(np.nan)
tables = st.lists(cells, min_size=12, max_size=12).map(lambda numbers: np.array(numbers).reshape(3, 4))


def embedding(task: str, *numbers: float) -> TaskEmbedding:
    return TaskEmbedding(task, np.array(numbers, np.float32))


def test_meeting_tells_what_is_new() -> None:
    records = Records()
    tasks = {"a": embedding("a", 1, 2), "b": embedding("b", 3, 4)}
    assert records.meet(tasks)
    assert not records.meet(tasks)
    assert not records.meet({"a": tasks["a"]})
    assert records.meet({"a": embedding("a", 1, 5)})
    assert records.knows(embedding("a", 1, 5))
    assert not records.knows(tasks["a"])
    assert not records.knows(embedding("c", 1, 5))
    assert records.meet({"c": embedding("c", 0, 0)})
    assert list(records.vectors) == ["a", "b", "c"]


def test_scores_have_their_places_and_missing_ones_are_nan() -> None:
    records = Records()
    records.meet({"a": embedding("a", 1), "b": embedding("b", 2)})
    first, second, third = SETTINGS[:3]
    records.add([TaskScore("b", second, 4.0), TaskScore("a", first, 1.0)])
    records.add([TaskScore("b", first, 2.0), TaskScore("b", second, 5.0), TaskScore("b", third, 6.0)])
    assert records.settings == [second, first, third]
    np.testing.assert_array_equal(records.table("ab"), [[np.nan, 1, np.nan], [5, 2, 6]])
    assert records.lacking("ab") == [second, third]
    assert records.lacking("b") == []
    assert records.scored("cba") == ["b", "a"]
    back = Records.of_state(TASK2SIM_PARAMETERS, records.state())
    assert back.settings == records.settings
    np.testing.assert_array_equal(back.table("ab"), records.table("ab"))
    assert back.knows(embedding("a", 1))


def test_a_bad_score_leaves_the_records_as_they_were() -> None:
    records = Records()
    records.meet({"a": embedding("a", 1)})
    with pytest.raises(Exception, match="nan"):
        records.add([TaskScore("a", SETTINGS[0], 1.0), TaskScore("a", SETTINGS[1], float("nan"))])
    assert records.settings == []
    assert records.scored("a") == []


@given(tables)
def test_centred_scores_have_mean_zero_on_each_task(scores: np.ndarray) -> None:
    result = centred(scores)
    assert np.array_equal(np.isnan(result), np.isnan(scores))
    np.testing.assert_allclose(np.nansum(result, axis=1), 0, atol=1e-9)


@given(tables)
def test_means_over_tasks_leave_out_what_is_missing(scores: np.ndarray) -> None:
    means = mean_over_tasks(scores)
    for column, mean in zip(scores.T, means, strict=True):
        known = column[~np.isnan(column)]
        assert np.isnan(mean) if len(known) == 0 else mean == pytest.approx(known.mean())
