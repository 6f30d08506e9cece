"""Python and SQL in the documentation work, and its lists and tables are those of the code."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import TASK2SIM_PARAMETERS, Staging, randomisation
from task2sim.ablation.cells import make_plan
from task2sim.ablation.file import load_ablation
from task2sim.ablation.running import run_ablation
from task2sim.config import load_study
from task2sim.observers import ObserverHooks
from task2sim.registry import KINDS
from task2sim.results import SCHEMA
from task2sim.run import Run
from task2sim.store import Store

ROOT = Path(__file__).parents[2]
PAGES = sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def words(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("page", PAGES)
def test_python_works_from_the_top_of_a_page(
    page: str,
    blocks: list[Any],
    finished_run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if page == "dense.md":
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        request.getfixturevalue("dense_exports")
    names: dict[str, Any] = {"__name__": "docs"}
    for block in blocks:
        # Excerpts of files, which need not stand alone, have a test of their own.
        if block.page == page and block.language == "python" and not block.mark.startswith("from: "):
            exec(compile(block.text, block.place, "exec"), names)
            printed = capsys.readouterr().out.splitlines()
            for expected in re.findall(r"^print\(.*\) +# (.+)$", block.text, re.MULTILINE):
                assert expected in printed, block.place


def test_there_is_python_to_run(blocks: list[Any]) -> None:
    assert {b.page for b in blocks if b.language == "python"} >= {"parameters.md", "plugins.md", "results.md"}


def test_queries_find_something(blocks: list[Any], finished_run: Run) -> None:
    found = [block for block in blocks if block.language == "sql" and block.mark != "ablation query"]
    assert len(found) == 4
    for block in found:
        rows = finished_run.results.query(block.text)
        assert rows, block.place
        assert all(value is not None for row in rows for value in row.values()), block.place


def test_the_command_shown_counts(finished_run: Run, capsys: pytest.CaptureFixture[str], blocks: list[Any]) -> None:
    from run_count import run_count

    run_count(finished_run.folder)
    trained = {row["backbone"] for row in finished_run.results.query("SELECT * FROM trials WHERE dataset != ''")}
    assert capsys.readouterr().out == f"{len(trained)} pre-trainings\n"
    (declared,) = [block for block in blocks if block.language == "toml" and block.heading == "Commands"]
    assert "run_count:run_count" in declared.text


def test_the_database_is_described(tables: dict[str, Any], finished_run: Run) -> None:
    with sqlite3.connect(":memory:") as database:
        database.executescript(SCHEMA)
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")} for name in names}
    rows = {words(row["table"])[0]: set(words(row["columns"])) for row in tables["tables"].rows}
    assert list(rows) == names
    assert {name: columns[name] - rows[name] for name in names if columns[name] - rows[name]} == {}
    facts = {row["name"] for row in finished_run.results.query("SELECT name FROM facts")}
    more = {"facts": facts, "tasks": {"seen", "unseen"}}
    assert {name: rows[name] - columns[name] for name in names if rows[name] - columns[name]} == more


def test_an_ablation_is_described(
    tables: dict[str, Any], blocks: list[Any], toy_study: dict[str, Any], workplace: Path
) -> None:
    data = {"name": "policies", "study": {**toy_study, "observers": []}, "vary": {"pretrainings": [2, 3]}}
    (workplace / "ablation.yaml").write_text(yaml.safe_dump(data))
    plan = make_plan(load_ablation(workplace / "ablation.yaml"))
    ablation = run_ablation(plan, workplace / "ablations", Store(workplace / "store"))
    database = ablation.database
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
    names = [row["name"] for row in database.query(sql)]
    rows = {words(row["table"])[0]: set(words(row["columns"])) for row in tables["ablation tables"].rows}
    assert list(rows) == names
    columns = {name: {row["name"] for row in database.query(f"PRAGMA table_info({name})")} for name in names}
    assert {name: columns[name] - rows[name] for name in names if columns[name] - rows[name]} == {}
    facts = {row["name"] for row in database.query("SELECT name FROM facts")}
    states = {"planned", "finished", "failed"}
    more = {"facts": facts - {"name", "value"}, "cells": states - columns["cells"]}
    assert {name: rows[name] - columns[name] for name in names if rows[name] - columns[name]} == more
    (query,) = [block for block in blocks if block.mark == "ablation query"]
    found = database.query(query.text)
    assert [row["row"] for row in found] == ["pretrainings=2", "pretrainings=3"]
    text = (ROOT / "docs" / "ablations.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"^\| `([^`]+?)/?` \|", text.split("## What it leaves")[1].split("<!--")[0], re.MULTILINE)
    )
    there = {path.name for path in ablation.folder.iterdir() if not path.name.startswith(".")}
    assert listed | {"tables", "figures", "report.html"} == there | {"tables", "figures", "report.html"}


def test_the_run_folder_is_described(finished_run: Run) -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+?)/?(?:<task>/)?` \|", text.split("## The database")[0], re.MULTILINE))
    there = {path.name for path in finished_run.folder.iterdir() if not path.name.startswith(".")}
    assert listed == there | {"warnings.log"}
    stored = re.search(r"\| in the store .*?\n\n", text, re.DOTALL)
    assert stored is not None
    for name in words(re.sub(r"(?m)^(\|[^|]*\|).*$", r"\1", stored[0])):
        assert (finished_run.store.root / name).exists(), name


def test_the_provenance_is_described(finished_run: Run) -> None:
    assert {
        "task2sim",
        "python",
        "plugins",
        "libraries",
        "platform",
        "processor",
        "cpus",
        "git",
        "seed",
        "tasks",
    } == set(finished_run.provenance())


def test_the_kinds_are_described(tables: dict[str, Any]) -> None:
    rows = tables["kinds"].rows
    assert [words(row["group"])[0] for row in rows] == [f"task2sim.{kind}" for kind in KINDS]
    for row, interface in zip(rows, KINDS.values(), strict=True):
        assert words(row["base class"]) == [interface.__name__]
        assert set(words(row["you write"])) == set(getattr(interface, "__abstractmethods__", ())), row["group"]


def test_the_hooks_are_described(tables: dict[str, Any]) -> None:
    hooks = {
        name: [a for a in function.__code__.co_varnames[: function.__code__.co_argcount] if a != "self"]
        for name, function in vars(ObserverHooks).items()
        if name.startswith("task2sim_")
    }
    rows = tables["hooks"].rows
    assert {words(row["hook"])[0]: words(row["arguments"]) for row in rows} == hooks


def test_the_parameters_are_described(tables: dict[str, Any]) -> None:
    rows = {words(row["parameter"])[0]: row for row in tables["parameters"].rows}
    assert tuple(rows) == TASK2SIM_PARAMETERS.names
    fixed, varied = "0, fixed", "1, varied from image to image"
    shares = {0.75: "three images in four"}
    staging = Staging()

    def span(bounds: tuple[float, float]) -> str:
        return f"{bounds[0]:g} to {bounds[1]:g}"

    assert f"{staging.camera_distance:g} object diameters" in rows["camera_distance"][fixed]
    assert span(staging.distance_factors) in rows["camera_distance"][varied]
    assert span(randomisation.INTENSITY_RANGE) in rows["light_intensity"][varied]
    assert span(randomisation.COLOUR_RANGE) in rows["light_colour"][varied]
    blur = rows["focus_blur"][varied]
    assert shares[randomisation.BLUR_PROBABILITY] in blur
    assert span(staging.aperture_range) in blur
    assert f"up to {randomisation.FOCUS_RANGE[1]:g} object diameter " in blur
    assert randomisation.FOCUS_RANGE[0] == -randomisation.FOCUS_RANGE[1]


def test_the_quickstart_is_described() -> None:
    study = load_study("quickstart").study
    text = " ".join((ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8").split())
    assert f"*seen*: {', '.join(study.tasks.seen)}." in text
    assert f"*unseen*: {', '.join(study.tasks.unseen)}." in text
    assert f"renders {study.images:,} images" in text
    assert f"{study.pretrainings} settings in all" in text


def test_a_fingerprint_follows_the_files_and_not_their_place(workplace: Path) -> None:
    from shapes import Shapes

    (workplace / "a").mkdir()
    (workplace / "a" / "cube.ply").write_text("cube")
    before = Shapes(Shapes.Config(meshes=workplace / "a")).fingerprint()
    (workplace / "a").rename(workplace / "b")
    assert Shapes(Shapes.Config(meshes=workplace / "b")).fingerprint() == before
    (workplace / "b" / "cube.ply").write_text("ball")
    assert Shapes(Shapes.Config(meshes=workplace / "b")).fingerprint() != before


def test_the_studio_is_described() -> None:
    from task2sim_studio.simulator import Studio

    assets = Studio(Studio.Config()).assets
    text = (ROOT / "docs" / "simulator-studio.md").read_text(encoding="utf-8")
    for name in ("categories", "materials", "backgrounds"):
        found = re.search(rf"<!-- list: {name} -->\n(.*?)\n\n", text, re.DOTALL)
        assert found is not None
        listed = " ".join(found[1].split())
        right = ", ".join(getattr(assets, name))
        assert listed == right, f"docs/simulator-studio.md: the {name} are now: {right}"
    for chosen in re.findall(r"(?<!meshes: my-meshes, )categories: \[(.*)\]", text):
        assert set(chosen.split(", ")) <= set(assets.categories)
