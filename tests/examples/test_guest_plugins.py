"""The guests in examples/plugins, installed as their users would, keep their promises and stand in for studio."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

GUESTS = Path(__file__).parents[2] / "examples" / "plugins"

each_guest = pytest.mark.parametrize(
    ("distribution", "name", "first_parameters"),
    [
        pytest.param("ifs-fractals", "fractals", ["rotation", "placement"], id="fractals"),
        pytest.param(
            "mitsuba-things",
            "mitsuba",
            ["object_rotation", "camera_distance"],
            id="mitsuba",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("mitsuba") is None, reason="the engine is not installed: pip install mitsuba"
            ),
        ),
    ],
)

# The quickstart with another simulator; the other lines make it small.
QUICKSTART = """\
tasks.sources=[{type: packaged, images: 40, image_size: 16}]
tasks.seen=[digits, surfaces]
embedder=pixel-statistics
trainer={type: resnet, epochs: 1, image_size: 16, widths: [8, 16], depths: [1, 1]}
executor={type: local, workers: 1}
observers=[]
images=48
pretrainings=2
comparison={seeds: 1, random: 1}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the distributions are installed."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    guests = [str(folder) for folder in sorted(GUESTS.iterdir()) if (folder / "pyproject.toml").exists()]
    subprocess.run([*command, "--target", str(target), *guests], check=True, capture_output=True, text=True)
    return target


def python(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "TASK2SIM_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_they_are_listed_without_their_engines(site: Path, tmp_path: Path) -> None:
    rows = json.loads(python(site, tmp_path, "-m", "task2sim", "plugins", "--json", "--load").stdout)
    found = {row["name"]: (row["distribution"], row["state"]) for row in rows if row["kind"] == "simulators"}
    assert found["fractals"] == ("ifs-fractals", "ok")
    assert found["mitsuba"] == ("mitsuba-things", "ok")


@pytest.mark.skipif(importlib.util.find_spec("mitsuba") is not None, reason="the engine is installed")
def test_a_missing_engine_is_said_before_anything_is_rendered(site: Path, tmp_path: Path) -> None:
    done = python(site, tmp_path, "-m", "task2sim", "validate", "quickstart", "--set", "simulator=mitsuba")
    assert done.returncode == 2
    assert "Mitsuba is not installed; pip install mitsuba" in done.stderr


@each_guest
def test_their_own_tests_pass(
    site: Path, tmp_path: Path, distribution: str, name: str, first_parameters: list[str]
) -> None:
    tests = GUESTS / distribution / "tests"
    done = python(site, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(tests))
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@each_guest
def test_the_quickstart_runs_with_one_line_changed(
    site: Path, tmp_path: Path, distribution: str, name: str, first_parameters: list[str]
) -> None:
    changes = [f"simulator={name}", *QUICKSTART.splitlines()]
    arguments = [word for change in changes for word in ("--set", change)]
    done = python(site, tmp_path, "-m", "task2sim", "run", "quickstart", *arguments)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    with sqlite3.connect(folder / "results.sqlite") as results:
        names = [row[0] for row in results.execute("SELECT name FROM parameters ORDER BY position")]
        assert names[:2] == first_parameters
        assert results.execute("SELECT COUNT(DISTINCT setting) FROM trials WHERE phase = 'search'").fetchone() == (2,)
    assert f"{distribution} 1.0" in (folder / "provenance.json").read_text()
