from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from report.ablation_fixture import write_ablation
from typer.testing import CliRunner

from task2sim import StoreError
from task2sim.cli import app
from task2sim.observers import Observers
from task2sim_report.ablation.writing import write_ablation_report
from task2sim_report.observer import Report

SMALL = {"vary": {"policy": {"task2sim": 1, "random": 2}}, "unseen": 5, "seen": 1, "settings": 8}
"""The default baseline is policy random."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation with its report; nobody may change it."""
    folder = write_ablation(tmp_path_factory.mktemp("ablations") / "policies", **SMALL)
    (folder / "ablation.resolved.yaml").write_text("name: policies\n")
    (folder / "provenance.json").write_text(json.dumps({"task2sim": "0.5.0"}))
    write_ablation_report(folder)
    return folder


def test_writes_tables_figures_and_the_page(written: Path) -> None:
    found = set(files(written))
    for name in (
        "tasks_unseen",
        "tasks_seen",
        "profile_unseen",
        "critical_difference_unseen",
        "search",
        "importance",
    ):
        assert {f"figures/{name}.pdf", f"figures/{name}.png"} <= found
    assert "tables/main.tex" in found
    assert "report.html" in found
    assert not [name for name in found if "partial" in name]


def test_the_same_folder_gives_the_same_bytes_from_the_results_alone(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / written.name
    again.mkdir(parents=True)
    for name in ("ablation.sqlite", "ablation.resolved.yaml", "provenance.json"):
        shutil.copy(written / name, again / name)
    write_ablation_report(again)
    assert files(again) == files(written)
    write_ablation_report(again)
    assert files(again) == files(written)


def test_figures_that_are_no_more_go(tmp_path: Path) -> None:
    folder = write_ablation(tmp_path / "a", **{**SMALL, "vary": {}})
    (folder / "figures").mkdir()
    for name in ("critical_difference_unseen.pdf", "my-own.pdf"):
        (folder / "figures" / name).write_text("older")
    write_ablation_report(folder)
    assert not (folder / "figures/critical_difference_unseen.pdf").exists()
    assert (folder / "figures/my-own.pdf").exists()


def test_what_can_not_be_written_leaves_the_old_page(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    shutil.copytree(written, folder)
    shutil.rmtree(folder / "figures")
    (folder / "figures").write_text("in the way")
    (folder / "report.html").write_text("old")
    with pytest.raises(StoreError, match="can't write the report"):
        write_ablation_report(folder)
    assert (folder / "report.html").read_text() == "old"


def test_no_ablation(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ablation"):
        write_ablation_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_observer(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / written.name
    folder.mkdir()
    for name in ("ablation.sqlite", "ablation.resolved.yaml", "provenance.json"):
        shutil.copy(written / name, folder / name)
    warnings: list[str] = []
    Observers([("report", Report(None))], lambda line, details: warnings.append(line)).call(
        "task2sim_ablation_end", ablation=SimpleNamespace(folder=folder)
    )
    assert warnings == []
    assert files(folder) == files(written)


def test_command(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / written.name
    folder.mkdir()
    for name in ("ablation.sqlite", "ablation.resolved.yaml", "provenance.json"):
        shutil.copy(written / name, folder / name)
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.output == f"report: {folder / 'report.html'}\n"
    assert files(folder) == files(written)
    elsewhere = tmp_path / "my.html"
    CliRunner().invoke(app, ["report", str(folder), "--out", str(elsewhere)])
    assert elsewhere.read_bytes() == (folder / "report.html").read_bytes()
