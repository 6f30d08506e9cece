"""What goes into a bundle, and what does not."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from task2sim import StoreError
from task2sim_bundle.bundle import LARGEST_DATA, _needless, write_bundle
from task2sim_bundle.contents import describe


def names(bundle: Path) -> set[str]:
    with zipfile.ZipFile(bundle) as archive:
        return set(archive.namelist())


def text(bundle: Path, name: str) -> str:
    with zipfile.ZipFile(bundle) as archive:
        return archive.read(name).decode()


def test_a_run(bundle: Path) -> None:
    own = {f"study/{name}" for name in ("config.resolved.yaml", "provenance.json", "results.sqlite")}
    assert names(bundle) == {"README.md", "manifest.json", "requirements.txt", "summary.json", *own}
    manifest = json.loads(text(bundle, "manifest.json"))
    assert manifest["needed"] == ["words.txt"]
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            if name != "manifest.json":
                assert manifest["files"][name] == describe(archive.read(name)).model_dump()


def test_the_same_folder_gives_the_same_bytes(
    run: Path, bundle: Path, tmp_path: Path, copy: Callable[[Path], Path]
) -> None:
    other = copy(run)
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1e9))
    (other / "results.sqlite").chmod(0o600)
    write_bundle(other, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_an_ablation(ablation: Path, tmp_path: Path) -> None:
    for name in ("tables/main.csv", "figures/main.pdf", "report.html", ".hidden", "tables/.hidden", "notes.txt"):
        (ablation / name).parent.mkdir(exist_ok=True)
        (ablation / name).write_text(name)
    manifest, remarks = write_bundle(ablation, tmp_path / "a.zip")
    assert [cell.name for cell in manifest.cells] == ["base, seed 3", "base, seed 4"]
    inside = {name.removeprefix("study/") for name in names(tmp_path / "a.zip") if name.startswith("study/")}
    assert {name for name in inside if not name.startswith("runs/")} == {
        *("ablation.resolved.yaml", "ablation.sqlite", "provenance.json", "report.html"),
        *("tables/main.csv", "figures/main.pdf"),
    }
    assert {Path(name).name for name in inside if name.startswith("runs/")} == {
        *("config.resolved.yaml", "provenance.json", "results.sqlite")
    }
    assert manifest.failed == {"base, seed 5": "the lens is broken"}
    assert "cell base, seed 5 failed: the lens is broken" in remarks
    assert "`base, seed 5`: the lens is broken" in text(tmp_path / "a.zip", "README.md")


def test_no_pictures_and_no_networks(run: Path, tmp_path: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(run)
    (folder / "report.html").write_text("pictures")
    (folder / "samples").mkdir()
    (folder / "samples" / "a.png").write_text("picture")
    write_bundle(folder, tmp_path / "b.zip")
    assert not [name for name in names(tmp_path / "b.zip") if "backbone" in name or "probe" in name]
    assert not [name for name in names(tmp_path / "b.zip") if name.endswith((".png", ".html"))]


def test_a_small_table_goes_along(table_run: Path, home: Path, tmp_path: Path) -> None:
    manifest, _ = write_bundle(table_run, tmp_path / "t.zip")
    assert manifest.packed == {"scores": "data/0/table"}
    assert manifest.needed == ()
    with zipfile.ZipFile(tmp_path / "t.zip") as archive:
        assert archive.read("data/0/table/table.json") == (home / "scores" / "table.json").read_bytes()


def test_a_large_one_does_not(
    table_run: Path, tmp_path: Path, home: Path, copy: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = copy(home / "scores")
    (scores / "more.bin").write_bytes(b"\0" * LARGEST_DATA)
    monkeypatch.chdir(scores.parent)
    manifest, remarks = write_bundle(table_run, tmp_path / "t.zip")
    assert manifest.packed == {}
    assert manifest.needed == ("scores",)
    assert "not in the bundle, and read by a study: scores" in remarks
    assert "`scores`" in text(tmp_path / "t.zip", "README.md")


def test_requirements_name_the_versions_of_the_run(run: Path, tmp_path: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(run)
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["libraries"] = {"numpy": "1.2.3", "torch": "4.5.6+cpu", "optuna": "7.8"}
    provenance["plugins"] = {"simulators/fog": "fog-machine 0.1", "policies/toy": "TASK2SIM_PLUGINS development"}
    provenance["task2sim"] = "0.4.9"
    provenance["git"] = {"commit": "abc", "changed": True}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    _, remarks = write_bundle(folder, tmp_path / "b.zip")
    lines = text(tmp_path / "b.zip", "requirements.txt").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == ["fog-machine==0.1", "numpy==1.2.3", "task2sim==0.4.9", "torch==4.5.6  # its build +cpu"]
    assert "task2sim ran from a checkout whose files differ from commit abc" in remarks
    assert any("TASK2SIM_PLUGINS" in remark and "policies/toy" in remark for remark in remarks)


def test_an_extra_counts_where_its_plugin_takes_part() -> None:
    assert {"optuna", "datasets", "mypy"} <= _needless(set())
    assert "optuna" not in _needless({"policies/optuna"})
    assert not {"numpy", "torch", "task2sim"} & _needless(set())


def test_cells_of_different_versions_are_told(ablation: Path, tmp_path: Path) -> None:
    (path, *_) = sorted((ablation / "runs").glob("*/provenance.json"))
    provenance = json.loads(path.read_text())
    provenance["libraries"]["numpy"] = "0.1"
    path.write_text(json.dumps(provenance))
    _, remarks = write_bundle(ablation, tmp_path / "a.zip")
    assert [r for r in remarks if r.startswith("cells were made with different versions of numpy: ") and "0.1" in r]


def test_what_can_t_be_bundled(run: Path, ablation: Path, tmp_path: Path, copy: Callable[[Path], Path]) -> None:
    out = tmp_path / "x.zip"
    with pytest.raises(StoreError, match=r"neither a run folder nor that of an ablation"):
        write_bundle(tmp_path, out)
    unfinished = copy(run)
    with sqlite3.connect(unfinished / "results.sqlite") as database:
        database.execute("DELETE FROM facts WHERE name = 'finished'")
    with pytest.raises(StoreError, match=r"this run is not finished; let task2sim run finish it"):
        write_bundle(unfinished, out)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"notes.txt: this is there already, and no bundle"):
        write_bundle(run, tmp_path / "notes.txt")
    with sqlite3.connect(ablation / "ablation.sqlite") as database:
        database.execute("UPDATE cells SET run = '../elsewhere' WHERE seed = 4")
    with pytest.raises(StoreError, match=r"the run of cell 'base, seed 4' is gone"):
        write_bundle(ablation, out)
    with sqlite3.connect(ablation / "ablation.sqlite") as database:
        database.execute("UPDATE cells SET state = 'planned' WHERE seed = 4")
    with pytest.raises(StoreError, match=r"cell 'base, seed 4' has not run; run task2sim ablate again"):
        write_bundle(ablation, out)
    (unfinished / "results.sqlite").write_text("this is no database, however long it may be")
    with pytest.raises(StoreError, match=r"can't read this database"):
        write_bundle(unfinished, out)
    assert not out.exists()


def test_a_database_with_its_log_beside_it_is_packed_whole(
    run: Path, tmp_path: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(run)
    database = sqlite3.connect(folder / "results.sqlite")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("INSERT INTO facts VALUES ('late', 'yes')")
    database.commit()
    write_bundle(folder, tmp_path / "b.zip")
    database.close()
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        (tmp_path / "got.sqlite").write_bytes(archive.read("study/results.sqlite"))
    got = sqlite3.connect(tmp_path / "got.sqlite")
    assert got.execute("SELECT value FROM facts WHERE name = 'late'").fetchall() == [("yes",)]
    got.close()
