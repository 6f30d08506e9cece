"""Verification notices what it is there for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from task2sim import ConfigError, StoreError, Task2SimError
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study
from task2sim_bundle import verify as module
from task2sim_bundle.bundle import write_bundle
from task2sim_bundle.verify import Verification, verify_bundle

Changed = Callable[..., Path]
InDatabase = Callable[[bytes, str], bytes]
RESULTS = "study/results.sqlite"


def differing(done: Verification) -> list[tuple[str, str]]:
    return [(check.about, check.what) for check in done.checks if check.verdict == "differs"]


def count(done: Verification, about: str) -> int:
    return sum(check.about == about for check in done.checks)


def test_a_run_agrees_bit_by_bit(bundle: Path) -> None:
    lines: list[str] = []
    done = verify_bundle(bundle, trials=4, tell=lines.append)
    assert done.agrees
    assert differing(done) == []
    assert count(done, "task") == 3
    assert count(done, "search") == 1
    trials = [check for check in done.checks if check.about == "trial"]
    assert len(trials) >= 4 * 2
    assert all(check.expected == check.got for check in trials)
    assert len([line for line in lines if not line.startswith("warning")]) == len(done.checks)
    assert json.loads(json.dumps(done.as_dict(), allow_nan=False))["agrees"] is True


def test_trials_are_really_made_again(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    verify_bundle(bundle, trials=2, store=tmp_path / "store")
    log = (tmp_path / "log").read_text()
    assert log.count("pretrain ") == 2
    assert list((tmp_path / "store" / "backbones").iterdir())


def test_all_trials_and_none(bundle: Path, run: Path) -> None:
    pairs = Run.open(run, Store(run.parent / "s")).results.query(
        "SELECT COUNT(DISTINCT backbone || split) AS n FROM trials WHERE split != ''"
    )[0]["n"]
    done = verify_bundle(bundle, trials=1000)
    assert done.agrees
    trials = {check.what.rpartition(", ")[0] for check in done.checks if check.about == "trial"}
    assert len(trials) == pairs
    assert count(verify_bundle(bundle, trials=0), "trial") == 0


def test_the_seed_draws_the_sample(bundle: Path) -> None:
    def sample(seed: int) -> list[str]:
        return [check.what for check in verify_bundle(bundle, 2, seed).checks if check.about == "trial"]

    assert sample(1) == sample(1)
    assert len({tuple(sample(seed)) for seed in range(4)}) > 1


def test_a_score_that_was_never_reached(bundle: Path, changed: Changed, in_database: InDatabase) -> None:
    def better(files: dict[str, bytes]) -> None:
        files[RESULTS] = in_database(
            files[RESULTS], "UPDATE scores SET value = value + 0.01 WHERE phase = 'comparison' AND task = 'cars'"
        )

    done = verify_bundle(changed(bundle, better), trials=1000)
    assert not done.agrees
    found = differing(done)
    assert {about for about, _ in found} == {"table", "trial"}
    assert all("cars" in what for about, what in found if about == "trial")
    assert verify_bundle(changed(bundle, better), trials=1000, tolerance=0.011).checks[-1].verdict == "same"


def test_a_summary_that_the_scores_don_t_bear_out(bundle: Path, changed: Changed) -> None:
    def better(files: dict[str, bytes]) -> None:
        summary = json.loads(files["summary.json"])
        next(iter(summary.values()))[0]["mean"] += 1e-6
        files["summary.json"] = json.dumps(summary).encode()

    done = verify_bundle(changed(bundle, better), trials=0)
    assert [about for about, _ in differing(done)] == ["table"]
    assert "policy toy, apples: mean" in done.checks[0].note


def test_another_prediction(bundle: Path, changed: Changed, in_database: InDatabase) -> None:
    def other(files: dict[str, bytes]) -> None:
        worst = "SELECT setting FROM scores WHERE phase = 'search' GROUP BY setting ORDER BY SUM(value) LIMIT 1"
        files[RESULTS] = in_database(files[RESULTS], f"UPDATE predictions SET setting = ({worst})")

    done = verify_bundle(changed(bundle, other), trials=0)
    assert [about for about, _ in differing(done)] == ["search"]
    assert "it predicts another setting for apples, birds, cars" in done.checks[-1].note


def test_another_search(bundle: Path, changed: Changed, in_database: InDatabase) -> None:
    def other(files: dict[str, bytes]) -> None:
        files[RESULTS] = in_database(files[RESULTS], "UPDATE trials SET position = -position WHERE phase = 'search'")

    done = verify_bundle(changed(bundle, other), trials=0)
    assert "it tried another setting as number 1 of 4" in done.checks[-1].note


def test_a_simulator_that_renders_otherwise(bundle: Path, monkeypatch: pytest.MonkeyPatch, changed: Changed) -> None:
    import toys

    monkeypatch.setattr(toys.Train, "pretrain", lambda self, dataset, seed, folder: self._save(folder, 0.4))
    found = differing(verify_bundle(bundle, trials=1000))
    assert found
    assert {about for about, _ in found} == {"trial"}
    assert not [what for _, what in found if "untrained" in what]


def test_other_images_are_named(bundle: Path, home: Path, elsewhere: Path) -> None:
    (elsewhere / "other.txt").write_text("two")
    done = verify_bundle(bundle, trials=3, data={"words.txt": str(elsewhere / "other.txt")})
    # "apples" does not depend on the file.
    assert {about for about, _ in differing(done)} == {"task"}
    assert [what for about, what in differing(done)] == ["apples", "birds", "cars"]
    assert count(done, "trial") == 0


def test_the_same_images_elsewhere(bundle: Path, home: Path, elsewhere: Path) -> None:
    (elsewhere / "data").mkdir()
    (elsewhere / "data" / "w.txt").write_text("one")
    assert verify_bundle(bundle, data={"words.txt": str(elsewhere / "data" / "w.txt")}).agrees
    with pytest.raises(ConfigError, match=r"--data: no study in this bundle reads 'birds'; they read words.txt"):
        verify_bundle(bundle, data={"birds": str(elsewhere)})


@pytest.mark.parametrize(
    ("text", "paths", "here"),
    [
        ("/a/b/c", {"/a": "/x"}, "/x/b/c"),
        ("/a/b/c", {"/a": "/x", "/a/b": "/y"}, "/y/c"),
        ("/a/b/c", {"/a/b/c": "/y"}, "/y"),
        ("/a/b/c", {"/a/b/c/": "/y"}, "/y"),
        ("/ab/c", {"/a": "/x"}, None),
        ("data", {"data": "/x"}, "/x"),
        ("/c", {"/": "/x"}, "/x/c"),
    ],
)
def test_paths_move_as_wholes(text: str, paths: dict[str, str], here: str | None) -> None:
    assert module._moved(text, paths) == here


def test_names_and_types_are_no_paths() -> None:
    data = {"name": "a", "simulator": {"type": "a", "path": "a"}, "more": ["a", 1]}
    moved = module._mapped(data, {"a": "/x"})
    assert moved == {"name": "a", "simulator": {"type": "a", "path": "/x"}, "more": ["/x", 1]}


def test_a_table_is_looked_up_elsewhere(table_run: Path, tmp_path: Path, elsewhere: Path, home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        write_bundle(table_run, tmp_path / "t.zip")
    done = verify_bundle(tmp_path / "t.zip", trials=5)
    assert done.agrees
    assert count(done, "trial") >= 10
    assert count(done, "search") == 1


def test_another_table_differs(
    table_run: Path, tmp_path: Path, elsewhere: Path, home: Path, changed: Changed
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        write_bundle(table_run, tmp_path / "t.zip")

    def other(files: dict[str, bytes]) -> None:
        name = "data/0/table/table.json"
        table = json.loads(files[name])
        table["scores"]["val"]["birds"] = [value / 2 + 0.001 for value in table["scores"]["val"]["birds"]]
        files[name] = json.dumps(table).encode()

    found = differing(verify_bundle(changed(tmp_path / "t.zip", other), trials=2))
    assert found
    assert all(about == "trial" and "birds" in what for about, what in found)


def test_versions_and_machines_that_differ_are_told(bundle: Path, changed: Changed, in_database: InDatabase) -> None:
    def older(files: dict[str, bytes]) -> None:
        provenance = json.loads(files["study/provenance.json"])
        provenance["libraries"] |= {"numpy": "1.0", "never-heard-of": "3"}
        provenance["processor"] = "sparc"
        files["study/provenance.json"] = json.dumps(provenance).encode()

    done = verify_bundle(changed(bundle, older), trials=1)
    assert done.agrees
    told = "\n".join(done.warnings)
    assert ", 1.0 in the bundle" in told
    assert "never-heard-of: not installed here, 3 in the bundle" in told
    assert "sparc in the bundle" in told
    assert "--tolerance" not in told

    def older_and_other(files: dict[str, bytes]) -> None:
        older(files)
        files[RESULTS] = in_database(
            files[RESULTS], "UPDATE scores SET value = value + 0.001 WHERE phase != 'search'"
        )

    done = verify_bundle(changed(bundle, older_and_other), trials=1000)
    assert not done.agrees
    assert "--tolerance 0." in done.warnings[-1]


def test_the_store_must_be_new_or_its_own(bundle: Path, tmp_path: Path, table_run: Path, home: Path) -> None:
    with pytest.raises(StoreError, match=r"not empty: what lies there would be compared with itself"):
        verify_bundle(bundle, store=home / "store")
    verify_bundle(bundle, trials=1, store=tmp_path / "store")
    assert verify_bundle(bundle, trials=2, store=tmp_path / "store").agrees
    write_bundle(table_run, tmp_path / "t.zip")
    with pytest.raises(StoreError, match=r"not empty"):
        verify_bundle(tmp_path / "t.zip", store=tmp_path / "store")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("study/provenance.json", b"{}"),
        ("study/provenance.json", b"[]"),
        ("summary.json", b"[1]"),
        ("summary.json", b'{"x": 3'),
        (RESULTS, b"no database at all, but long enough to look at"),
        ("study/config.resolved.yaml", b"name: ["),
        ("study/config.resolved.yaml", b"[]"),
        ("study/config.resolved.yaml", b"name: x\n"),
    ],
)
def test_files_that_don_t_fit_together(bundle: Path, changed: Changed, name: str, data: bytes) -> None:
    with pytest.raises(Task2SimError):
        verify_bundle(changed(bundle, lambda files: files.update({name: data})))


def test_a_plugin_that_is_not_here(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from task2sim import registry

    known = os.environ["TASK2SIM_PLUGINS"].split(",")
    monkeypatch.setenv("TASK2SIM_PLUGINS", ",".join(part for part in known if not part.startswith("simulators")))
    registry.installed_plugins.cache_clear()
    with pytest.raises(ConfigError, match=r"'toy'.*requirements.txt says which versions"):
        verify_bundle(bundle)


# --- ablations ---


def test_an_ablation_agrees(ablation: Path, tmp_path: Path) -> None:
    write_bundle(ablation, tmp_path / "a.zip")
    done = verify_bundle(tmp_path / "a.zip", trials=2)
    assert done.agrees
    assert count(done, "table") == 4
    assert done.as_dict()["failed"] == {"base, seed 5": "the lens is broken"}


def test_an_ablation_whose_table_was_polished(
    ablation: Path, tmp_path: Path, changed: Changed, in_database: InDatabase
) -> None:
    write_bundle(ablation, tmp_path / "a.zip")

    def polished(files: dict[str, bytes]) -> None:
        name = "study/ablation.sqlite"
        files[name] = in_database(
            files[name],
            "UPDATE scores SET value = value + 0.001 WHERE method = '' AND task = 'cars' AND cell LIKE '%4'",
        )

    done = verify_bundle(changed(tmp_path / "a.zip", polished), trials=0)
    assert differing(done) == [("table", "ablation.sqlite of base, seed 4")]


def test_tables_for_the_paper_are_made_again(ablation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ablation / "tables").mkdir()
    (ablation / "tables" / "main.csv").write_text("1,2\n")
    (ablation / "tables" / "more.csv").write_text("3,4\n")
    write_bundle(ablation, tmp_path / "a.zip")

    def report(folder: Path) -> str:
        tables = folder / "tables"
        assert (folder / "ablation.sqlite").is_file()
        assert not tables.exists()
        tables.mkdir()
        (tables / "main.csv").write_text("1,2\n")
        return "error: no more"

    monkeypatch.setattr(module, "_report_on", report)
    made = {
        c.what: (c.verdict, c.note) for c in verify_bundle(tmp_path / "a.zip", trials=0).checks if "csv" in c.what
    }
    assert made == {"tables/main.csv": ("same", ""), "tables/more.csv": ("differs", "error: no more")}


# --- command line ---


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "task2sim", *map(str, arguments)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_the_commands(run: Path, tmp_path: Path, home: Path, changed: Changed, in_database: InDatabase) -> None:
    done = call(home, "bundle", run, "--out", tmp_path / "b.zip")
    assert done.returncode == 0, done.stderr
    assert "b.zip: run toy, 1 study, 6 files, " in done.stdout
    assert "note: not in the bundle, and read by a study: words.txt" in done.stderr
    done = call(home, "verify", tmp_path / "b.zip", "--trials", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agrees"] is True
    worse = changed(
        tmp_path / "b.zip",
        lambda files: files.update({RESULTS: in_database(files[RESULTS], "UPDATE scores SET value = 0.9")}),
    )
    done = call(home, "verify", worse, "--trials", "1")
    assert done.returncode == 1, done.stderr
    assert "differs" in done.stdout
    assert "differ\n" in done.stdout
    done = call(tmp_path, "verify", tmp_path / "b.zip", "--data", "words.txt=nothing")
    assert done.returncode == 2
    assert "there is no such file or folder" in done.stderr
    (tmp_path / "b.zip").write_text("")
    done = call(home, "verify", tmp_path / "b.zip")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_study_that_continues_another(home: Path, run: Path, tmp_path: Path) -> None:
    from task2sim.config import load_study

    Path("continued.yaml").write_text((home / "study.yaml").read_text() + f"continues: {run}\n")
    made = run_study(load_study("continued.yaml", ["name=continued"]), tmp_path / "runs", Store(home / "store"))
    manifest, _ = write_bundle(made.folder, tmp_path / "c.zip")
    assert manifest.packed == {str(run): "data/0/run"}
    assert not [name for name in manifest.files if "probe" in name]
    assert verify_bundle(tmp_path / "c.zip", trials=1).agrees
