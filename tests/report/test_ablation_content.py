from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from report.ablation_fixture import write_ablation

from task2sim import StoreError
from task2sim_report.ablation.content import is_ablation, read_ablation

SMALL, LARGE = "policy=surrogate, pretrainings=small", "policy=surrogate, pretrainings=large"
RANDOM = "policy=random, pretrainings=small"


def test_everything_is_read(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path / "made", oracle=True))
    assert is_ablation(tmp_path / "made")
    assert not is_ablation(tmp_path)
    assert (content.name, content.metric, content.is_finished) == ("policies", "accuracy", True)
    assert [factor.name for factor in content.factors] == ["policy", "pretrainings"]
    assert [(level.label, level.value) for level in content.factors[1].levels] == [("small", 16), ("large", 64)]
    assert [row.name for row in content.rows][:2] == [
        "policy=task2sim, pretrainings=small",
        "policy=task2sim, pretrainings=large",
    ]
    assert content.seeds == (0, 1, 2)
    assert content.roles == ("unseen", "seen")
    assert len(content.tasks) == 10
    assert content.tasks[0].role == "unseen"
    assert len(content.cells) == 18
    assert {cell.state for cell in content.cells} == {"finished"}
    assert content.cells[0].versions["git"] == "1234abcd"
    assert content.has_oracle
    assert content.methods[0] == "best single setting"
    assert len(content.pairs(SMALL, "unseen")) == 18
    assert list(content.pairs(SMALL, "seen"))[:2] == [("seen_0", 0), ("seen_0", 1)]
    assert len(content.search) == 18 * 24 * 4
    assert len(content.settings) == 24
    assert content.trials
    assert content.predictions
    assert content.warnings == []


def test_cells_without_results_are_marked(tmp_path: Path) -> None:
    content = read_ablation(
        write_ablation(
            tmp_path,
            failed={(SMALL, 1): "no space left\nTraceback"},
            missing=[(LARGE, 0)],
            without_scores=[(LARGE, 2)],
        )
    )
    states = {(cell.row, cell.seed): (cell.state, cell.error) for cell in content.cells if cell.state != "finished"}
    assert states == {
        (SMALL, 1): ("failed", "no space left\nTraceback"),
        (LARGE, 0): ("missing", "not run yet"),
        (LARGE, 2): ("missing", "finished without results"),
    }
    assert {seed for _, seed in content.pairs(LARGE, "unseen")} == {1}
    # A cell without its own scores gives none of its reference methods either.
    assert not [score for score in content.scores if (score.row, score.seed) == (LARGE, 2)]
    assert f"{SMALL}, seed 1 failed: no space left." in content.warnings
    assert f"{LARGE} has 6 of the 18 task-seed pairs on unseen tasks;" in " ".join(content.warnings)
    assert content.flags_of(LARGE, 1) == [text for text in content.flags_of(LARGE) if "pairs" in text]


def test_a_cell_that_was_never_planned_is_missing(tmp_path: Path) -> None:
    write_ablation(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ablation.sqlite")) as database, database:
        database.execute("DELETE FROM cells WHERE row = ? AND seed = 2", (SMALL,))
    content = read_ablation(tmp_path)
    assert [(cell.row, cell.seed, cell.error) for cell in content.cells if cell.state == "missing"] == [
        (SMALL, 2, "not planned")
    ]


def test_other_versions_are_flagged_and_only_those(tmp_path: Path) -> None:
    content = read_ablation(
        write_ablation(
            tmp_path,
            # A plugin that only one row uses has nothing to differ from.
            versions={(SMALL, 1): {"task2sim": "0.4.0"}, (LARGE, 0): {"policy mine": "mine 1"}},
        )
    )
    assert content.warnings == [f"{SMALL}, seed 1 was made with other versions: task2sim 0.4.0 (elsewhere 0.5.0)."]


def test_rows_that_are_not_planned_are_left_out(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path, unplanned=[SMALL]))
    assert SMALL not in [row.name for row in content.rows]
    assert not [score for score in content.scores if score.row == SMALL]
    assert len(content.cells) == 15


def test_unequal_task_sets_are_flagged(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path, without_tasks={SMALL: ["unseen_3"]}))
    assert content.warnings == [
        f"{SMALL} has 15 of the 18 task-seed pairs on unseen tasks; it is compared only on those that it shares."
    ]


def test_tasks_that_the_base_lacks_are_tasks_too(tmp_path: Path) -> None:
    write_ablation(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ablation.sqlite")) as database, database:
        database.execute("DELETE FROM tasks WHERE name = 'unseen_2'")
    tasks = [(task.name, task.role) for task in read_ablation(tmp_path).tasks]
    assert tasks[5:7] == [("unseen_2", "unseen"), ("seen_0", "seen")]


def test_unfinished_is_said(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path, finished=False))
    assert content.warnings == ["The ablation is not finished: these are the results so far."]


def test_baseline_differs_in_its_factors_alone(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path))
    baseline = content.baseline_of(content.row(LARGE))
    assert baseline is not None
    assert baseline.name == "policy=random, pretrainings=large"
    assert content.baseline_of(content.row(RANDOM)) is None
    assert content.is_baseline(content.row(RANDOM))


def test_a_baseline_that_was_excluded_is_said(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path, unplanned=[RANDOM]))
    assert content.baseline_of(content.row(SMALL)) is None
    assert f"{SMALL} has no baseline row to be compared with." in content.warnings


@pytest.mark.parametrize("baseline", [{}, "base"])
def test_the_first_row_is_the_baseline_by_default(tmp_path: Path, baseline: object) -> None:
    content = read_ablation(write_ablation(tmp_path, mode="one-at-a-time", baseline=baseline))
    assert content.rows[0].name == "base"
    assert content.baseline_of(content.rows[0]) is None
    assert content.baseline_of(content.rows[3]) is content.rows[0]


def test_one_at_a_time_finds_the_only_row_with_the_labels(tmp_path: Path) -> None:
    content = read_ablation(write_ablation(tmp_path, mode="one-at-a-time"))
    assert content.baseline_of(content.row("pretrainings=large")) is content.row("policy=random")


def test_what_is_no_ablation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ablation\.sqlite is missing"):
        read_ablation(tmp_path)
    (tmp_path / "ablation.sqlite").write_bytes(b"this is no database, and long enough to say so")
    with pytest.raises(StoreError, match="can't read the ablation"):
        read_ablation(tmp_path)


def test_an_ablation_without_any_result_is_refused(tmp_path: Path) -> None:
    write_ablation(tmp_path, vary={"policy": {"random": "random"}}, seeds=[0], missing=[("policy=random", 0)])
    with pytest.raises(StoreError, match="no cell of this ablation has results"):
        read_ablation(tmp_path)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    write_ablation(tmp_path)
    before = (tmp_path / "ablation.sqlite").read_bytes()
    read_ablation(tmp_path)
    assert (tmp_path / "ablation.sqlite").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["ablation.sqlite"]
