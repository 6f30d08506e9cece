"""Packages that `task2sim new` writes: they install, keep their promises, and are as well kept as our own code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from task2sim import API_VERSION, ConfigError, StoreError
from task2sim.cli import app
from task2sim.registry import KINDS
from task2sim.scaffold import OFFERS, TEMPLATES, class_name, write_package

BLANKS = {"simulator": 4, "scene-simulator": 4}


def python(words: Sequence[str], folder: Path, path: Sequence[Path] = ()) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "TASK2SIM_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One package of each kind."""
    parent = tmp_path_factory.mktemp("new")
    return {word: write_package(word, f"my-{word}", parent) for word in OFFERS}


@pytest.fixture(scope="module")
def site(written: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them are installed."""
    target = tmp_path_factory.mktemp("site")
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    python([*install, *map(str, written.values())], target)
    return target


@pytest.mark.parametrize("word", OFFERS)
def test_its_tests_pass_and_its_style_is_ours(word: str, written: dict[str, Path], site: Path) -> None:
    printed = python(["pytest", "-q", "-p", "no:cacheprovider"], written[word], [site])
    assert int(re.findall(r"(\d+) passed", printed)[0]) > 15
    python(["ruff", "check", "--no-cache", "."], written[word])
    python(["ruff", "format", "--no-cache", "--check", "--line-length", "118", "."], written[word])
    python(["mypy", "--cache-dir", os.devnull], written[word], [site])


def test_they_are_found_by_the_names_they_were_given(written: dict[str, Path], site: Path) -> None:
    printed = python(["task2sim", "plugins", "--load", "--json"], site, [site])
    rows = {row["name"]: row for row in json.loads(printed)}
    for word, offer in OFFERS.items():
        row = rows[f"my-{word}"]
        assert (row["kind"], row["version"], row["state"]) == (offer.kind, "0.1", "ok")
    for word in ("simulator", "task-source"):
        assert " 0 failed" in python(["task2sim", "check", f"{word}:my-{word}", "--quick"], site, [site])


@pytest.mark.parametrize("word", OFFERS)
def test_the_blanks_are_marked_and_nothing_is_left_of_the_template(word: str, written: dict[str, Path]) -> None:
    texts = {path: path.read_text() for path in written[word].rglob("*") if path.is_file()}
    assert sum(text.count("# blank:") for text in texts.values()) >= BLANKS.get(word, 2) + 2
    for path, text in texts.items():
        assert not re.search(r"my.?plugin", text, re.IGNORECASE), path
        assert not re.search(r"\{(name|module|cls|kind|api|release)\}", text), path


def test_what_the_package_says_of_itself(written: dict[str, Path]) -> None:
    project: Any = tomllib.loads((written["simulator"] / "pyproject.toml").read_text())["project"]
    assert project["name"] == "my-simulator"
    assert project["entry-points"] == {
        "task2sim.simulators": {"my-simulator": "my_simulator:MySimulator"},
        "task2sim.api": {API_VERSION: "task2sim"},
    }
    release, *libraries = project["dependencies"]
    assert re.fullmatch(r"task2sim>=\d+\.\d+", release)
    assert libraries == ["numpy>=1.26", "pydantic>=2.8"]
    trainer: Any = tomllib.loads((written["trainer"] / "pyproject.toml").read_text())["project"]
    assert [line.partition(">")[0] for line in trainer["dependencies"]] == [
        *("task2sim", "numpy", "pillow", "pydantic", "safetensors")
    ]


@pytest.mark.parametrize("word", OFFERS)
def test_the_study_in_the_readme_is_one(word: str, written: dict[str, Path], site: Path, tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (written[word] / "README.md").read_text(), re.DOTALL)
    assert yaml.safe_load(text)["extends"] == "quickstart"
    (tmp_path / "my-first.yaml").write_text(text)
    python(["task2sim", "validate", "my-first.yaml"], tmp_path, [site])


def test_the_kinds_are_among_those_there_are() -> None:
    assert {offer.kind for offer in OFFERS.values()} <= set(KINDS)
    assert {path.stem for path in TEMPLATES.glob("*.py")} == {offer.template for offer in OFFERS.values()}


def test_class_names() -> None:
    assert class_name("my-sim-2") == "MySim2"


@pytest.mark.parametrize(
    ("word", "name", "message"),
    [
        (
            "renderer",
            "my-sim",
            "there is no template for 'renderer'; write one of simulator, scene-simulator, embedder, policy, "
            "trainer, evaluator, task-source",
        ),
        (
            "simulator",
            "My Sim!",
            "a plugin can't be named 'My Sim!'; use lower-case letters, digits and single hyphens, beginning with a "
            "letter, such as 'my-sim'",
        ),
        (
            "simulator",
            "../evil",
            "a plugin can't be named '../evil'; use lower-case letters, digits and single hyphens, beginning with a "
            "letter, such as 'evil'",
        ),
        (
            "simulator",
            "3d",
            "a plugin can't be named '3d'; use lower-case letters, digits and single hyphens, beginning with a "
            "letter, such as 'my-plugin'",
        ),
        ("embedder", "class", "a plugin can't be named 'class': class is a word of Python; try 'my-class'"),
        (
            "embedder",
            "numpy",
            "a plugin can't be named 'numpy': numpy is the name of a module that is installed; try 'my-numpy'",
        ),
        (
            "simulator",
            "interval",
            "a plugin can't be named 'interval': Interval means something else; try 'my-interval'",
        ),
    ],
)
def test_names_that_can_not_be_used(word: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_package(word, name, tmp_path)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_the_names_of_others_can_not_be_taken(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"there is a simulator 'studio' already, of task2sim .*choose another name"
    ):
        write_package("scene-simulator", "studio", tmp_path)
    assert write_package("embedder", "linear-probe", tmp_path).is_dir()  # another kind


def test_nothing_is_overwritten_or_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-sim").mkdir()
    (tmp_path / "my-sim" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"my-sim: this exists already; choose another name, or remove it"):
        write_package("simulator", "my-sim", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["my-sim", "mine.txt"]
    with pytest.raises(StoreError, match="there is no such folder"):
        write_package("simulator", "other", tmp_path / "nowhere")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreError, match="no space left on the disk"):
        write_package("simulator", "other", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my-sim"]


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["new", "scene-simulator", "my-sim", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "my-sim"
    assert done.output.splitlines() == [
        f"{folder}: scene-simulator 'my-sim', which turns scenes of task2sim into images: a renderer",
        f"install it: pip install -e '{folder}[test]'",
        "check it:   task2sim check simulator:my-sim --quick",
        f"test it:    pytest {folder}",
    ]


def test_the_ellipsoid_turns_as_scenes_say() -> None:
    from task2sim.scaffold.templates.scene_simulator import rotation

    quarter_about_z = (0.0, 0.0, 0.5**0.5, 0.5**0.5)
    assert rotation(quarter_about_z) @ [1, 0, 0] == pytest.approx([0, 1, 0])
    third_about_diagonal = (0.5, 0.5, 0.5, 0.5)
    assert rotation(third_about_diagonal) @ np.eye(3) == pytest.approx(np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]))
