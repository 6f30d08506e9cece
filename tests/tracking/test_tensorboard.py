"""The observer `tensorboard`, read back with TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboard")

from task2sim import PluginError
from task2sim.config import load_study
from task2sim.learned import CONFIG
from task2sim.run import Run
from task2sim.study import check_study
from task2sim.summary import final_table
from task2sim_tracking.telling import Curves

StartStudy = Callable[..., tuple[Run, list[str]]]


def read(run: Run) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    return reader


def curve(reader: Any, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in reader.Scalars(name)]


def test_scores_durations_and_the_final_table_are_there(start: StartStudy) -> None:
    run, warnings = start("[tensorboard]")
    assert warnings == []
    reader = read(run)
    rows = run.results.query(
        "SELECT s.value FROM scores s JOIN trials t USING (phase, setting, replicate) WHERE s.phase = 'search' AND"
        " s.task = 'apples' ORDER BY t.position"
    )
    values = [row["value"] for row in rows]
    assert len(values) == 4
    assert curve(reader, "search/score/apples") == [(i + 1, pytest.approx(v)) for i, v in enumerate(values)]
    best = [pytest.approx(max(values[: i + 1])) for i in range(4)]
    assert curve(reader, "search/best/apples") == list(enumerate(best, 1))
    assert len(curve(reader, "search/seconds/pretrain")) == 4
    assert curve(reader, "search/rounds") == [(2, 1.0), (4, 2.0)]
    (row, *_) = final_table(run.results)
    assert curve(reader, f"final/{row.method}/cars") == [(0, pytest.approx(row.tasks["cars"].mean))]
    text = reader.Tensors("predicted settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.count("\n| ") == 3
    assert "embedding/cars" in reader.Tags()["histograms"]


def test_the_keys_of_the_study_are_hyperparameters(start: StartStudy) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    run, _ = start("[tensorboard]")
    metadata = read(run).summary_metadata["_hparams_/session_start_info"].plugin_data.content
    told = plugin_data_pb2.HParamsPluginData.FromString(metadata).session_start_info.hparams
    assert told["pretrainings"].number_value == 4
    assert told["policy.type"].string_value == "toy"
    assert json.loads(told["tasks.seen"].string_value) == ["apples", "birds"]


def test_a_run_that_goes_on_writes_nothing_twice(start: StartStudy) -> None:
    with pytest.raises(BaseException, match=r"^$") as caught:
        start("[tensorboard]", until=3)
    assert type(caught.value).__name__ == "Stop"
    resumed = read(start("[tensorboard]")[0])
    again = read(start("[tensorboard]")[0])
    for reader in (resumed, again):
        assert [step for step, _ in curve(reader, "search/score/apples")] == [1, 2, 3, 4]
        assert len(curve(reader, "final/policy toy/apples")) == 1


def test_a_run_that_stopped_has_written_what_it_had(start: StartStudy, tmp_path: Path) -> None:
    with pytest.raises(BaseException, match=r"^$"):
        start("[tensorboard]", until=3)
    (folder,) = (tmp_path / "runs").glob("toy-*")
    run = Run(folder, None, None, None)  # type: ignore[arg-type]
    assert len(curve(read(run), "search/score/apples")) >= 2


def test_without_the_extra_the_study_does_not_begin(start: StartStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = start("[tensorboard]")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else found(name, *more)
    )
    with pytest.raises(PluginError, match=r"needs 'tensorboard', .*; pip install 'task2sim\[tracking\]'"):
        check_study(load_study(str(run.folder / CONFIG)))


def test_probes_and_untrained_networks_don_t_count_among_the_tried() -> None:
    class Trial:
        def __init__(self, phase: str) -> None:
            self.phase = phase
            self.scores: dict[str, Any] = {}
            self.seconds: dict[str, float] = {}

    curves = Curves()
    steps = [curves.points(Trial(phase))[0] for phase in ("probe", "comparison", "comparison")]  # type: ignore[arg-type]
    assert steps == [1, 1, 2]
    assert curves.tried == 0
