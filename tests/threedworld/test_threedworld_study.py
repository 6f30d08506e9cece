"""A whole study with ThreeDWorld in place of studio: one line of its file differs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """\
name: small
tasks:
  sources: [{type: packaged, images: 60, image_size: 16}]
  seen: [digits, photographs]
  unseen: [letters]
policy: random
simulator: studio
trainer: {type: resnet, epochs: 1, image_size: 16, widths: [8, 16], depths: [1, 1]}
executor: {type: local, workers: 1}
observers: []
images: 100
pretrainings: 2
comparison: {seeds: 1, random: 1}
"""


def task2sim(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HOME": str(folder),  # where ThreeDWorld's own installer would have put its build
        "TASK2SIM_STORE": str(folder / "store"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(
        [sys.executable, "-m", "task2sim", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_study_runs_with_one_line_changed(peer_build, tmp_path: Path) -> None:
    changed = STUDY.replace("simulator: studio\n", "simulator: threedworld\n")
    assert changed != STUDY
    (tmp_path / "study.yaml").write_text(changed)
    missing = task2sim(tmp_path, "validate", "study.yaml")
    assert missing.returncode == 2
    assert "there is no ThreeDWorld build at" in missing.stderr
    assert "Traceback" not in missing.stderr
    build = tmp_path / "tdw_build" / "TDW" / "TDW.x86_64"
    build.parent.mkdir(parents=True)
    peer_build().rename(build)
    checked = task2sim(tmp_path, "validate", "study.yaml")
    assert checked.returncode == 0, checked.stderr
    ran = task2sim(tmp_path, "run", "study.yaml")
    assert ran.returncode == 0, ran.stderr
    (run,) = (tmp_path / "runs").glob("small-*")
    with sqlite3.connect(run / "results.sqlite") as results:
        (scores,) = results.execute("SELECT COUNT(*) FROM trials").fetchone()
    assert scores > 6
    again = task2sim(tmp_path, "run", "study.yaml")
    assert again.returncode == 0
    assert list((tmp_path / "runs").glob("small-*")) == [run]


def test_without_tdw_the_mend_is_said(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("simulator: studio\n", "simulator: threedworld\n"))
    (tmp_path / "hide.py").write_text(
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'tdw' else find(name, package)\n"
        "from task2sim.cli import main\n"
        "sys.argv = ['task2sim', 'validate', 'study.yaml']\n"
        "main()\n"
    )
    said = subprocess.run([sys.executable, "hide.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert said.returncode == 2
    assert "pip install 'task2sim[threedworld]'" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("command", [["plugins", "--load", "--json"], ["schema"]])
def test_the_plugin_is_listed_and_described(tmp_path: Path, command: list[str]) -> None:
    listed = task2sim(tmp_path, *command)
    assert listed.returncode == 0, listed.stderr
    assert "threedworld" in listed.stdout
