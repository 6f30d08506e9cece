"""A simulator of somebody else's, installed as its users would, is chosen from a study file by name."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "toy_simulator"

STUDY = """\
name: stripes
tasks:
  sources: [{type: packaged, images: 60, image_size: 16}]
  seen: [digits, photographs]
  unseen: [letters]
policy: random
simulator: {type: stripes, size: 16}
trainer: {type: resnet, epochs: 1, image_size: 16, widths: [8, 16], depths: [1, 1]}
executor: {type: local, workers: 1}
observers: []
images: 64
pretrainings: 2
comparison: {seeds: 1, random: 1}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the distribution is installed."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(TOY)], check=True, capture_output=True, text=True)
    return target


def task2sim(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "task2sim", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "TASK2SIM_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_is_listed_with_its_distribution(site: Path, tmp_path: Path) -> None:
    rows = json.loads(task2sim(site, tmp_path, "plugins", "--json", "--load").stdout)
    (row,) = [row for row in rows if row["name"] == "stripes"]
    assert (row["distribution"], row["version"], row["state"]) == ("toy-stripes", "1.0", "ok")


def test_a_study_runs_with_it_and_knows_its_parameters(site: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    done = task2sim(site, tmp_path, "run", "study.yaml")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    with sqlite3.connect(folder / "results.sqlite") as results:
        names = results.execute("SELECT name FROM parameters ORDER BY position").fetchall()
        assert names == [("colour",), ("noise",)]
        assert results.execute("SELECT COUNT(*) FROM trials WHERE phase = 'search'").fetchone() == (2,)
    assert "toy-stripes 1.0" in (folder / "provenance.json").read_text()


def test_its_settings_are_typed_and_checked(site: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    arguments = ["generate", "out", "--study", "study.yaml", "--images", "16", "--setting"]
    assert task2sim(site, tmp_path, *arguments, "noise=0.3,colour=1").returncode == 0
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 16
    done = task2sim(site, tmp_path, *arguments, "noise=3")
    assert done.returncode == 2
    assert "parameter 'noise' can't be 3; use a number from 0 to 0.5" in done.stderr
