"""Ablations run, stop, go on, and keep their numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from typer.testing import CliRunner

from task2sim import ConfigError, StoreError
from task2sim.ablation import Ablation, AblationDatabase
from task2sim.ablation.cells import make_plan
from task2sim.ablation.cost import Cost, ablation_cost
from task2sim.ablation.file import load_ablation
from task2sim.ablation.running import run_ablation
from task2sim.cli import app
from task2sim.config import load_study
from task2sim.observers import hookimpl
from task2sim.results import Results
from task2sim.store import Store
from task2sim.study import run_study
from task2sim.summary import final_table

ON_TABLE = "vary: {policy: [toy, random], pretrainings: {few: 2, many: 4}}\nseeds: [0, 1]\n"
RENDERED = """\
vary: {policy: [toy, random, best-fixed, domain-randomisation, nearest-task]}
seeds: [3]
"""
TIMES = {"wall_seconds", "work_seconds"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, base: Path, name: str = "x") -> Path:
    path = base.parent / "ablation.yaml"
    path.write_text(f"name: {name}\nstudy: {base.name}\nobservers: []\n{text}")
    return path


def go(path: Path, *overrides: str, told: list[str] | None = None, **options: Any) -> Ablation:
    plan = make_plan(load_ablation(path, overrides))
    return run_ablation(
        plan, Path("ablations"), Store("store"), tell=(told if told is not None else []).append, **options
    )


def cost(path: Path, *overrides: str) -> Cost:
    return ablation_cost(make_plan(load_ablation(path, overrides)), Path("ablations"), Store("store"))


def states(ablation: Ablation) -> dict[str, str]:
    return {row["cell"]: row["state"] for row in ablation.database.planned_cells()}


def numbers(database: AblationDatabase) -> dict[str, Any]:
    """Everything but times, and what was made by whom."""
    tables = ("factors", "levels", "rows", "tasks", "scores", "search", "settings", "trials", "predictions")
    found: dict[str, Any] = {t: sorted(database.query(f"SELECT * FROM {t}"), key=repr) for t in tables}
    found["cells"] = database.query("SELECT cell, row, seed, position, state, error, run, versions, pretrainings"
                                    " FROM cells ORDER BY position")  # fmt: skip
    return found


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOY_LOG", str(path))
    return path


# --- what it leaves ---


def test_an_ablation_leaves_everything_it_should(table_study: Path) -> None:
    told: list[str] = []
    ablation = go(write(f"{ON_TABLE}baseline: {{policy: random}}\n", table_study), told=told)
    assert told[0] == "cell 1 of 8: policy=toy, pretrainings=few, seed=0"
    assert len(told) == 8
    assert {path.name for path in ablation.folder.iterdir() if path.name[0] != "."} == {
        "ablation.resolved.yaml",
        "ablation.sqlite",
        "provenance.json",
        "runs",
    }
    database = ablation.database
    facts = {row["name"]: row["value"] for row in database.query("SELECT * FROM facts")}
    assert set(facts) == {
        "name", "mode", "source", "base", "baseline", "task2sim", "study", "finished", "metric",
    }  # fmt: skip
    assert (facts["name"], facts["base"], facts["metric"]) == ("x", "toy-table", "toy accuracy")
    assert json.loads(facts["baseline"]) == {"policy": "random"}
    assert set(states(ablation).values()) == {"finished"}
    assert [row["name"] for row in database.query("SELECT * FROM factors ORDER BY position")] == [
        "policy",
        "pretrainings",
    ]
    levels = database.query("SELECT * FROM levels WHERE factor = 'pretrainings' ORDER BY position")
    assert [(row["label"], json.loads(row["value"])) for row in levels] == [("few", 2), ("many", 4)]
    provenance = json.loads((ablation.folder / "provenance.json").read_text())
    assert provenance["seeds"] == [0, 1]
    assert set(provenance["cells"]) == set(states(ablation))
    assert set(provenance["plugins"]) == {"rewards/toy", "policies/toy", "policies/random"}
    cell = database.planned_cells()[0]
    assert set(json.loads(cell["versions"])) >= {"reward table toy", "policy toy", "task2sim"}
    assert cell["pretrainings"] == 2
    assert database.query("SELECT COUNT(*) AS n FROM sqlite_master WHERE name = 'rows'")[0]["n"] == 1


def test_the_numbers_are_those_of_the_runs(study: Path) -> None:
    ablation = go(write("vary: {pretrainings: [2, 3]}\nseeds: [3, 4]\n", study))
    for cell in ablation.database.planned_cells():
        results = Results(ablation.folder / cell["run"] / "results.sqlite")
        table = {
            ("" if row.method.startswith("policy ") else row.method, task): one
            for row in final_table(results)
            for task, one in row.tasks.items()
        }
        found = ablation.database.query("SELECT * FROM scores WHERE cell = ?", (cell["cell"],))
        assert {(r["method"], r["task"]): (r["value"], r["count"]) for r in found} == {
            key: (one.mean, one.count) for key, one in table.items()
        }
        assert {r["role"] for r in found if r["task"] == "cars"} == {"unseen"}
        for row in found:
            assert (row["deviation"] is None) == (row["count"] < 2)
        one = "SELECT task, value FROM {} WHERE {} ORDER BY task, value"
        assert ablation.database.query(one.format("search", "cell = ?"), (cell["cell"],)) == results.query(
            one.format("scores", "phase = 'search'")
        )
        assert {
            r["number"] for r in ablation.database.query("SELECT * FROM search WHERE cell = ?", (cell["cell"],))
        } == ({1, 2} if "=2" in cell["row"] else {1, 2, 3})
        count = "SELECT COUNT(*) AS n FROM {}"
        trials = ablation.database.query(f"{count.format('trials')} WHERE cell = ?", (cell["cell"],))
        assert trials == results.query(count.format("scores"))
        assert ablation.database.query("SELECT task, setting FROM predictions WHERE cell = ?", (cell["cell"],)) == (
            results.query("SELECT task, setting FROM predictions")
        )
        results.close()


def test_a_cell_is_the_study_that_run_would_run(table_study: Path) -> None:
    ablation = go(write(ON_TABLE, table_study))
    (cell,) = [c for c in ablation.database.planned_cells() if c["cell"] == "policy=random, pretrainings=few, seed=1"]
    file = load_study(str(table_study), ["policy=random", "pretrainings=2", "seed=1"])
    run = run_study(file, Path("runs"), Store("other store"))
    assert Path(cell["run"]).name == run.folder.name
    results = Results(ablation.folder / cell["run"] / "results.sqlite")
    sql = "SELECT * FROM scores ORDER BY rowid"
    assert results.query(sql) == run.results.query(sql)


# --- sharing ---


def test_five_policies_render_the_union_of_their_datasets_once(study: Path, log: Path) -> None:
    ablation = go(write(RENDERED, study))
    assert set(states(ablation).values()) == {"finished"}
    marks = Counter(log.read_text().splitlines())
    assert set(marks.values()) == {1}
    renders = {mark for mark in marks if mark.startswith("render")}
    datasets, used = set(), 0
    for cell in ablation.database.planned_cells():
        results = Results(ablation.folder / cell["run"] / "results.sqlite")
        own = {row["dataset"] for row in results.query("SELECT dataset FROM trials WHERE dataset != ''")}
        results.close()
        assert cell["pretrainings"] == len(own)
        used += len(own)
        datasets |= own
    assert len(renders) == len(datasets) < used
    # Each piece of work is put down to the one cell that did it.
    assert sum(cell["rendered"] for cell in ablation.database.planned_cells()) == len(datasets)
    assert sum(cell["pretrained"] for cell in ablation.database.planned_cells()) == len(datasets)


def test_policies_see_the_same_datasets_and_random_numbers(study: Path) -> None:
    """Common random numbers: the same setting has the same score, whatever the policy; another seed has others."""
    ablation = go(write(RENDERED.replace("[3]", "[3, 4]"), study))
    rows = ablation.database.query(
        "SELECT c.seed, t.cell, t.phase, t.setting, t.replicate, t.task, t.value FROM trials t JOIN cells c"
        " ON c.cell = t.cell"
    )
    values: dict[tuple[Any, ...], set[float]] = {}
    cells: dict[tuple[Any, ...], set[str]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("seed", "phase", "setting", "replicate", "task"))
        values.setdefault(key, set()).add(row["value"])
        cells.setdefault(key, set()).add(row["cell"])
    assert all(len(found) == 1 for found in values.values())
    shared = [key for key in cells if len(cells[key]) > 1]
    assert len(shared) > 50
    assert len([key for key in shared if len(cells[key]) == 5]) > 20
    for key in shared:
        if (other := (7 - key[0], *key[1:])) in values:
            assert values[key] != values[other]


# --- going on ---


def test_nothing_runs_twice_and_what_is_added_is_added(table_study: Path, log: Path) -> None:
    path = write(ON_TABLE, table_study)
    first = go(path)
    before, finished = numbers(first.database), first.database.fact("finished")
    log.write_text("")
    told: list[str] = []
    again = go(path, told=told)
    assert log.read_text() == ""
    assert all(line.endswith("finished already") for line in told)
    assert numbers(again.database) == before
    assert again.database.fact("finished") == finished
    told.clear()
    more = go(write(ON_TABLE.replace("random]", "random, domain-randomisation]").replace("1]", "1, 2]"), table_study),
              told=told)  # fmt: skip
    assert len(states(more)) == 18
    assert sum(line.endswith("finished already") for line in told) == 8
    assert len(told) == 18
    old = {row["cell"]: row for row in before["scores"]}
    assert len(old) == 8
    for table in ("scores", "trials", "search"):
        now = [row for row in more.database.query(f"SELECT * FROM {table}") if row["cell"] in old]
        assert sorted(now, key=repr) == before[table]


def test_rows_and_seeds_that_are_taken_out_are_not_counted_and_come_back(table_study: Path, log: Path) -> None:
    go(write(ON_TABLE, table_study))
    log.write_text("")
    fewer = go(write(ON_TABLE.replace("[toy, random]", "[toy]").replace("[0, 1]", "[1]"), table_study))
    assert len(states(fewer)) == 2
    assert [row["row"] for row in fewer.means()] == ["policy=toy, pretrainings=few", "policy=toy, pretrainings=many"]
    assert {row["seen"]["n"] for row in fewer.means()} == {2}
    planned = fewer.database.query("SELECT row FROM rows WHERE planned = 0")
    assert {row["row"] for row in planned} == {"policy=random, pretrainings=few", "policy=random, pretrainings=many"}
    assert fewer.database.query("SELECT * FROM cells WHERE row LIKE 'policy=toy%' AND seed = 0") == []
    back = go(write(ON_TABLE, table_study))
    assert set(states(back).values()) == {"finished"}
    assert len(states(back)) == 8
    assert log.read_text() == ""


def test_a_level_with_another_value_runs_again(table_study: Path) -> None:
    go(write(ON_TABLE, table_study))
    told: list[str] = []
    ablation = go(write(ON_TABLE.replace("few: 2", "few: 3"), table_study), told=told)
    assert "row policy=toy, pretrainings=few is another study now and runs again" in told
    assert sum(line.endswith("finished already") for line in told) == 4
    counts = ablation.database.query("SELECT cell, pretrainings FROM cells WHERE row LIKE '%toy%few'")
    assert {row["pretrainings"] for row in counts} == {3}


def test_another_plugin_version_makes_cells_missing_and_is_told(
    table_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("vary: {pretrainings: [2, 3]}\n", table_study)
    first = go(path)
    row = first.database.planned_cells()[0]
    older = {**json.loads(row["versions"]), "policy toy": "TASK2SIM_PLUGINS older"}
    for cell in states(first):
        first.database.execute(
            "UPDATE cells SET run = 'runs/toy-table-00000000', versions = ? WHERE cell = ?", (json.dumps(older), cell)
        )
    first.database.close()
    told: list[str] = []
    again = go(path, told=told)
    assert told[0] == (
        "cells were made with other versions and run again"
        " (policy toy: TASK2SIM_PLUGINS older -> TASK2SIM_PLUGINS development)"
    )
    assert set(states(again).values()) == {"finished"}


def test_it_is_not_finished_while_cells_are_missing(table_study: Path) -> None:
    go(write("vary: {pretrainings: [2]}\n", table_study))
    seen = []

    def tell(line: str) -> None:
        database = AblationDatabase.open(Path("ablations/x"))
        seen.append(database.fact("finished"))
        database.close()

    path = write("vary: {pretrainings: [2, 3]}\n", table_study)
    run_ablation(make_plan(load_ablation(path)), Path("ablations"), Store("store"), tell=tell)
    assert seen == ["", ""]
    run_ablation(make_plan(load_ablation(path)), Path("ablations"), Store("store"), tell=tell)
    assert all(seen[2:])


def test_runs_may_be_gone(table_study: Path) -> None:
    import shutil

    path = write(ON_TABLE, table_study)
    before = numbers(go(path).database)
    shutil.rmtree("ablations/x/runs")
    assert cost(path).total.finished == 8
    assert numbers(go(path).database) == before


def test_the_database_may_be_gone(table_study: Path, log: Path) -> None:
    path = write(ON_TABLE, table_study)
    before = numbers(go(path).database)
    log.write_text("")
    Path("ablations/x/ablation.sqlite").unlink()
    told: list[str] = []
    assert numbers(go(path, told=told).database) == before
    assert log.read_text() == ""
    assert told[0].endswith("its run is finished, its numbers are read")


def test_kill_and_go_on(study: Path, tmp_path: Path, log: Path) -> None:
    slow = study.read_text().replace("trainer: toy", "trainer: {type: toy, sleep: 0.02}")
    study.write_text(slow)
    path = write("vary: {policy: [toy, random, best-fixed]}\nseeds: [3, 4]\n", study)
    command = [sys.executable, "-m", "task2sim", "ablate", str(path), "--store", str(tmp_path / "store")]
    kills = 0
    for attempt in range(40):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        marks = len(log.read_text().splitlines()) + 17 + 11 * (attempt % 3)
        while process.poll() is None and len(log.read_text().splitlines()) < marks:
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, errors
            break
    else:
        pytest.fail("the ablation never ended")
    assert kills >= 2
    begun = Counter(mark for mark in log.read_text().splitlines() if mark.startswith("pretrain"))
    assert sum(begun.values()) - len(begun) <= kills
    killed = AblationDatabase.open(tmp_path / "ablations" / "x")
    whole = run_ablation(make_plan(load_ablation(path)), tmp_path / "undisturbed", Store("other store"))
    assert numbers(killed) == numbers(whole.database)
    total = "SELECT SUM(rendered) AS rendered, SUM(pretrained) AS pretrained FROM cells"
    assert killed.query(total) == whole.database.query(total)


# --- failing ---


FAILING = "vary: {policy: [toy, random], rewards.fault: {none: '', broken: nan}}\n"


def test_a_failed_cell_is_kept_and_the_rest_goes_on(table_study: Path, log: Path) -> None:
    path = write(FAILING, table_study)
    ablation = go(path)
    assert sorted(states(ablation).values()) == ["failed", "failed", "finished", "finished"]
    assert set(ablation.failed) == {
        "policy=toy, rewards.fault=broken, seed=3",
        "policy=random, rewards.fault=broken, seed=3",
    }
    assert all("as the score of task 'apples'" in reason for reason in ablation.failed.values())
    assert ablation.database.fact("finished")
    assert [row["seen"]["n"] for row in ablation.means()] == [2, 0, 2, 0]
    log.write_text("")
    told: list[str] = []
    assert go(path, told=told).failed == ablation.failed
    assert log.read_text() == ""
    assert sum("failed before; --retry runs it again" in line for line in told) == 2
    told.clear()
    assert go(path, told=told, retry=True).failed == ablation.failed
    assert "look up apples val" in log.read_text()
    assert sum("failed: reward table 'toy'" in line for line in told) == 2


def test_any_error_of_a_plugin_is_kept(table_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toys

    def broken(self: object, name: str, setting: object, split: str) -> None:
        raise RuntimeError("the table\nfell over")

    with monkeypatch.context() as patch:
        patch.setattr(toys.Table, "score", broken)
        ablation = go(write("seeds: [0, 1]\n", table_study))
        assert all("raised RuntimeError: the table fell over" in reason for reason in ablation.failed.values())
        assert len(ablation.failed) == 2
    assert go(write("seeds: [0, 1]\n", table_study), retry=True).failed == {}


class Noting:
    """An observer of ablations."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, int]] = []

    @hookimpl
    def task2sim_ablation_end(self, ablation: Ablation) -> None:
        self.ended.append((ablation.folder.name, len(ablation.database.planned_cells())))


class Falling:
    @hookimpl
    def task2sim_ablation_end(self, ablation: Ablation) -> None:
        raise ValueError("over")


def test_observers_are_told_and_break_nothing(table_study: Path) -> None:
    noting, lines = Noting(), []

    def warn(line: str, details: str) -> None:
        lines.append(line)

    path = write("vary: {pretrainings: [2, 3]}\n", table_study)
    go(path, observers=[("falling", Falling()), ("noting", noting)], warn=warn)
    assert noting.ended == [("x", 2)]
    (line,) = lines
    assert line.startswith("falling failed in task2sim_ablation_end, the study goes on: ValueError: over")


# --- folders that can't be used ---


def test_another_base_is_refused(table_study: Path) -> None:
    go(write(ON_TABLE, table_study))
    table_study.write_text(table_study.read_text().replace("unseen: [cars]", "unseen: []"))
    with pytest.raises(ConfigError) as caught:
        go(write(ON_TABLE, table_study))
    assert str(caught.value).startswith(
        "ablations/x: this folder has an ablation of another base study: tasks.unseen"
    )
    assert str(caught.value).endswith("/ablation.yaml another name, or another folder with --ablations")
    go(write(ON_TABLE, table_study, name="y"))
    # What varies is not the base's to say; neither is the seed.
    table_study.write_text(table_study.read_text().replace("policy: toy", "policy: random").replace("seed: 3", ""))
    go(write(ON_TABLE, table_study, name="y"))


def test_a_corrupt_database_is_told(table_study: Path) -> None:
    path = write(ON_TABLE, table_study)
    go(path)
    Path("ablations/x/ablation.sqlite").write_bytes(b"no database " * 500)
    with pytest.raises(StoreError) as caught:
        go(path)
    assert str(caught.value) == (
        "ablations/x/ablation.sqlite: can't use the ablation's numbers: file is not a database; remove this file and"
        " run the ablation again; finished runs are read, not computed, again"
    )


def test_a_second_start_is_refused(table_study: Path) -> None:
    path = write(ON_TABLE, table_study)
    go(path)
    with FileLock("ablations/x/.lock"), pytest.raises(StoreError, match="this ablation is running already"):
        go(path)


# --- cost ---


def test_the_cost_counts_what_is_shared_once(study: Path, log: Path) -> None:
    path = write(RENDERED, study)
    before = cost(path)
    assert log.read_text() == ""
    assert not Path("ablations").exists()
    rows = {row.row: row for row in before.rows}
    assert rows["policy=toy"].pretrainings.shared == 0
    others = [row.pretrainings for name, row in rows.items() if name != "policy=toy"]
    assert all(amount.shared > 0 and amount.stored == 0 for amount in others)
    total = before.total.pretrainings
    assert total.known == sum(row.pretrainings.to_do for row in before.rows)
    ablation = go(path)
    made = sum(cell["pretrained"] for cell in ablation.database.planned_cells())
    assert total.to_do <= made <= total.to_do + total.further
    after = cost(path)
    assert (after.total.finished, after.total.pretrainings.known) == (5, 0)
    Path("ablations").rename("moved")
    stored = cost(path).total.pretrainings
    assert stored.known == stored.stored == made
    assert stored.further == 0


def test_the_cost_on_a_table_is_in_lookups(table_study: Path) -> None:
    path = write(FAILING.replace("toy,", "toy, random,").replace("random, random", "random"), table_study)
    found = cost(path)
    assert found.on_table
    assert [row.lookups for row in found.rows] == [4, 4, 4, 4]
    go(path)
    after = cost(path)
    assert (after.total.finished, after.total.failed, after.total.lookups) == (2, 2, 0)
    assert "renders" not in after.as_dict()["total"]


# --- the command ---


def call(arguments: Sequence[str | Path]) -> Any:
    return CliRunner(env={"COLUMNS": "160", "TASK2SIM_STORE": "store"}).invoke(app, ["ablate", *map(str, arguments)])


def test_the_command(table_study: Path) -> None:
    path = write(ON_TABLE, table_study)
    dry = call([path, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "x: 8 cells" in dry.output
    assert "scores are looked up" in dry.output
    assert not Path("ablations").exists()
    done = call([path])
    assert done.exit_code == 0, done.output
    assert "cell 3 of 8: policy=random, pretrainings=few, seed=0" in done.output
    assert "folder: ablations/x" in done.output
    assert "toy accuracy on test images (%)" in done.output
    line = next(line for line in done.output.splitlines() if line.strip().startswith("policy=toy, pretrainings=few "))
    assert (line.split()[-3], line.split()[-1]) == ("4", "2")
    plain = json.loads(call([path, "--json"]).stdout)
    assert plain["folder"] == "ablations/x"
    assert plain["failed"] == {}
    assert plain["rows"][0]["seen"]["n"] == 4
    assert json.loads(call([path, "--json", "--dry-run"]).stdout)["total"]["finished"] == 8


def test_the_command_ends_with_1_where_cells_failed(table_study: Path, task2sim: Any) -> None:
    path = write(FAILING, table_study)
    for extra in ([], ["--retry"], []):
        done = task2sim("ablate", path, *extra)
        assert done.returncode == 1, done.stderr
        assert "failed: policy=toy, rewards.fault=broken, seed=3: reward table 'toy'" in done.stderr
        assert "Traceback" not in done.stderr
    wrong = task2sim("ablate", path, "--set", "polcy=x")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert "did you mean 'policy'?" in wrong.stderr


def test_many_cells_ask_for_yes(table_study: Path, task2sim: Any) -> None:
    path = write(f"vary: {{comparison.random: {list(range(201))}}}\n", table_study)
    done = task2sim("ablate", path, "--dry-run")
    assert done.returncode == 2
    assert "this makes 201 cells (201 rows x 1 seed), more than 200" in done.stderr
    assert task2sim("ablate", path, "--dry-run", "--yes").returncode == 0


def test_rendered_cells_show_their_trials(study: Path) -> None:
    done = call([write("vary: {policy: [toy, random]}\nseeds: [3]\n", study)])
    assert done.exit_code == 0, done.output
    assert done.output.count("cell ") == 2
    assert "search " in done.output
    assert "embedded" not in done.output


def test_the_resolved_file_goes_on_in_the_same_folder(table_study: Path, log: Path) -> None:
    ablation = go(write(ON_TABLE, table_study))
    log.write_text("")
    told: list[str] = []
    again = go(ablation.folder / "ablation.resolved.yaml", told=told)
    assert all(line.endswith("finished already") for line in told)
    assert again.folder == ablation.folder
    assert yaml.safe_load((again.folder / "ablation.resolved.yaml").read_text())["name"] == "x"
