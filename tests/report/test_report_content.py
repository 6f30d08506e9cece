from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from task2sim import Choice, Interval, ParameterSpace, StoreError, Toggle
from task2sim_report.content import listed, pictured_settings, read_content, setting_in_words

SMALL = {"seen": ("digits",), "unseen": (), "pretrainings": 2}


def test_numbers_are_those_of_the_results(make_run: Any) -> None:
    run = make_run()
    content = read_content(run.folder)
    database = sqlite3.connect(run.folder / "results.sqlite")
    one = content.search[3]
    (setting,) = database.execute(
        "SELECT setting FROM trials WHERE phase='search' ORDER BY position LIMIT 1 OFFSET 3"
    )
    rows = database.execute("SELECT task, value FROM scores WHERE phase='search' AND setting=?", setting)
    assert dict(rows.fetchall()) == one.scores
    assert one.number == 4
    assert one.round == 2
    assert one.reward == pytest.approx(sum(one.scores.values()) / 3)
    (value,) = database.execute(
        "SELECT probability FROM probabilities WHERE task='letters' AND parameter='materials' AND choice='1'"
    ).fetchone()
    cell = content.learned["letters"][content.parameters.index("materials")]
    assert cell.strength == value
    assert cell.text == f"{value:.2f}"
    assert content.distances["digits", "faces"] > 0
    assert content.embedding == 6
    assert content.settings_in_all == 256
    assert content.headline_task.name == "letters"
    database.close()


def test_work_counts_shared_datasets_once(make_run: Any) -> None:
    # Ten settings were searched and everything varied was probed; the rest was made for the comparison.
    run = make_run()
    before = read_content(run.folder).work
    assert before.datasets == before.backbones == 11 + read_content(run.folder).comparison_pretrainings
    assert before.images == 40 * before.datasets
    assert before.render_seconds == 2.0 * before.datasets
    assert before.pretrain_seconds == 9.5 * before.backbones
    (trial,) = run.results.query("SELECT * FROM trials WHERE phase = 'search' LIMIT 1")
    run.results.put("trials", [{**trial, "phase": "again", "score_seconds": 1.0}])
    after = read_content(run.folder).work
    assert (after.datasets, after.images, after.backbones) == (before.datasets, before.images, before.backbones)
    assert after.score_seconds == pytest.approx(before.score_seconds + 1)


def test_predicted_settings_are_pictured_first_and_once(make_run: Any) -> None:
    pictured = pictured_settings(make_run().results)
    assert [one.tasks for one in pictured] == [("digits", "surfaces"), ("faces", "letters"), (), (), ()]
    assert [one.method for one in pictured[2:]] == ["best single setting", "everything varied", "random settings"]


def test_other_kinds_of_parameters(make_run: Any) -> None:
    space = ParameterSpace([Toggle("sun"), Choice("sky", ("clear", "grey")), Interval("haze", 0, 10)])
    content = read_content(make_run(space=space).folder)
    sun, sky, haze = content.learned["digits"]
    assert sky.text.split()[0] in ("clear", "grey")
    assert sky.text.endswith(f" {sky.strength:.2f}")
    assert 0 <= haze.strength <= 1
    assert 0 <= float(haze.text) <= 10
    assert not sky.marked
    assert sun.text == f"{sun.strength:.2f}"
    assert content.settings_in_all == float("inf")


def test_without_probabilities(make_run: Any) -> None:
    content = read_content(make_run(probabilities=False).folder)
    for cell in content.learned["letters"]:
        assert (cell.text, cell.strength, cell.marked) in [("varied", 1.0, True), ("fixed", 0.0, False)]
    assert not content.has_probabilities


def test_what_the_policy_expects(make_run: Any) -> None:
    space = ParameterSpace([Toggle("sun"), Choice("sky", ("clear", "grey", "dark")), Interval("haze", 0, 10)])
    run = make_run(space=space, expected=True)
    content = read_content(run.folder)
    rows = run.results.query("SELECT * FROM expectations WHERE task = 'digits'")
    scores = {(row["parameter"], row["choice"]): row["score"] for row in rows}
    sun, sky, haze = content.effects["digits"]
    (choices,) = run.results.query(
        "SELECT choices FROM settings JOIN predictions ON key = setting WHERE task = 'digits'"
    )
    chosen = json.loads(choices["choices"])
    gain = 100 * (scores["sun", "1"] - scores["sun", "0"])
    assert sun.text.replace("\N{MINUS SIGN}", "-") == f"{gain:+.1f}"
    assert sun.marked == bool(chosen["sun"])
    others = [scores["sky", name] for name in ("clear", "grey", "dark") if name != chosen["sky"]]
    lead = 100 * (scores["sky", chosen["sky"]] - max(others))
    assert sky.text.replace("\N{MINUS SIGN}", "-") == f"{chosen['sky']} {lead:+.1f}"
    assert not sky.marked
    assert (haze.text, haze.strength) == (f"{chosen['haze']:.3g}", 0.0)
    strengths = [cell.strength for cells in content.effects.values() for cell in cells]
    assert max(map(abs, strengths)) == 1
    assert sun.strength / sky.strength == pytest.approx(gain / lead)


def test_no_effect_has_no_sign_of_its_own(make_run: Any) -> None:
    run = make_run(**SMALL, expected=True)
    run.results.put(
        "expectations",
        [
            {"task": "digits", "parameter": "background", "choice": choice, "score": score}
            for choice, score in (("0", 0.5001), ("1", 0.5))
        ],
    )
    content = read_content(run.folder)
    assert content.effects["digits"][content.parameters.index("background")].text == "+0.0"


def test_runs_of_earlier_versions_expect_nothing(make_run: Any) -> None:
    run = make_run(**SMALL)
    assert read_content(run.folder).effects == {}
    run.results.close()
    with sqlite3.connect(run.folder / "results.sqlite") as database:
        database.execute("DROP TABLE expectations")
    database.close()
    assert read_content(run.folder).effects == {}


def test_scores_that_were_looked_up(make_run: Any) -> None:
    content = read_content(make_run(looked_up=True, seeds=1).folder)
    assert content.is_looked_up
    assert not read_content(make_run(**SMALL, name="other").folder).is_looked_up
    work = content.work
    assert (work.datasets, work.images, work.backbones, work.pretrain_seconds) == (0, 0, 0, 0)
    # Ten settings on three seen tasks; on four tasks the two predicted, one searched, the one with all, three random
    # ones and an oracle's for each.
    assert work.scores == 10 * 3 + 4 * (2 + 1 + 1 + 3 + 4)
    assert content.pictured == []
    assert content.tasks[0].train is None
    assert set(content.oracle) == {"digits", "faces", "surfaces", "letters"}
    assert not read_content(make_run(**SMALL, name="third").folder).oracle


def test_words() -> None:
    toggles = [{"name": name, "type": "toggle"} for name in ("a_b", "c", "d")]
    haze = {"name": "haze", "type": "interval"}
    assert setting_in_words({"a_b": 1, "c": 0, "d": 1}, toggles) == "varies a b and d"
    assert setting_in_words({"a_b": 0, "c": 0, "d": 0}, toggles) == "varies nothing"
    assert setting_in_words({"a_b": 1, "c": 1, "d": 1}, toggles) == "varies all 3"
    assert setting_in_words({"haze": 0.25}, [haze]) == "haze 0.25"
    assert setting_in_words({"c": 1, "haze": 1.0}, [*toggles, haze]) == "varies c; haze 1"
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_what_can_not_be_reported(make_run: Any, tmp_path: Path) -> None:
    run = make_run(finished=False)
    with pytest.raises(StoreError, match="not finished") as error:
        read_content(run.folder)
    assert str(run.folder) in str(error.value)
    (killed := make_run(seen=("a",), name="killed")).results.clear("facts")
    with pytest.raises(StoreError, match="not finished"):
        read_content(killed.folder)
    with pytest.raises(StoreError, match="no run folder"):
        read_content(tmp_path)
    assert list(tmp_path.glob("results.sqlite")) == []
