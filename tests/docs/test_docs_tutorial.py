"""The tutorial's code is that of the files it names, and what it tells the reader to type works."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PAGE = "plugin-tutorial.md"
READERS_OWN = "my-sim/"

# The reader's study, made small.
SMALL = """\
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


@attrs.define
class Walk:
    """A reader with a checkout and a fresh environment.

    Attributes:
        folder: Where the reader began.
        site: What the reader has installed.
        current: The reader's current folder.
    """

    folder: Path
    site: Path
    current: Path

    def type(self, line: str) -> str:
        """Do what a line says, in this test's way; returns what was printed."""
        program, *words = shlex.split(line, comments=True)
        if program == "cd":
            self.current = (self.current / words[0]).resolve()
            return ""
        if program == "pip":
            # The reader's environment is not ours; sources are read where they lie, as with -e.
            assert words[0] == "install", line
            target = ["--no-deps", "--no-build-isolation", "--upgrade", "--target", str(self.site)]
            words = ["install", "--quiet", *target, *(word.partition("[")[0] for word in words[1:] if word != "-e")]
        elif program == "pytest":
            words += ["-p", "no:cacheprovider"]
        elif words[:1] == ["run"]:
            words += [word for change in SMALL.splitlines() for word in ("--set", change)]
        sources = [str(self.folder / READERS_OWN / "src"), str(self.site)]
        done = subprocess.run(
            [sys.executable, "-m", program, *words],
            cwd=self.current,
            env={
                **{name: value for name, value in os.environ.items() if name != "TASK2SIM_PLUGINS"},
                "PYTHONPATH": os.pathsep.join(sources),
                "TASK2SIM_STORE": str(self.folder / "store"),
                "COLUMNS": "118",
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The reader, who has typed the first line."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "examples").symlink_to(ROOT / "examples")
    reader = Walk(folder, folder / "site", folder)
    reader.type("task2sim new simulator my-sim")
    return reader


def test_excerpts_are_in_the_files_they_name(blocks: list[Any]) -> None:
    excerpts = [(block, block.mark.removeprefix("from: ")) for block in blocks if block.mark.startswith("from: ")]
    problems = []
    for block, name in excerpts:
        text = (ROOT / name).read_text(encoding="utf-8")
        if block.text not in text:
            problems.append(f"{block.place}: this is not, or no more, in {name}")
    assert problems == []
    assert sum(block.page == PAGE for block, _ in excerpts) >= 12


def test_what_the_reader_types_works(blocks: list[Any], walk: Walk) -> None:
    """Word for word, but for what `Walk.type` says; what is shown as printed is printed."""
    typed, printed = 0, ""
    for block in (block for block in blocks if block.page == PAGE):
        if block.mark.startswith("file: "):
            (walk.folder / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        elif block.mark == "printed":
            missing = [line for line in block.text.splitlines() if line not in printed]
            assert missing == [], f"{block.place}\n{printed}"
        elif block.language == "console" and block.mark != "not run":
            printed = ""
            for line in block.text.replace("$ ", "").splitlines():
                if "mitsuba" in line and importlib.util.find_spec("mitsuba") is None:
                    continue
                if typed or line != "task2sim new simulator my-sim":  # the first line was typed
                    printed += walk.type(line)
                typed += 1
    assert typed > 8


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        ("policy", "best_so_far", "BestSoFar"),
        ("evaluator", "nearest_mean", "NearestMean"),
        ("simulator", "discs", "Discs"),
        ("simulator", "measured_discs", "MeasuredDiscs"),
        ("observer", "csv_log", "CsvLog"),
    ],
)
def test_the_plugins_shown_keep_their_promises(kind: str, module: str, name: str) -> None:
    from task2sim.conformance import check_component
    from task2sim.conformance.specimens import SpecimenTrainer

    shown = getattr(importlib.import_module(module), name)
    trainer = partial(SpecimenTrainer, SpecimenTrainer.Config())
    report = check_component(kind, shown, trainer=trainer, quick=True)
    assert [(outcome.check.name, outcome.reason) for outcome in report.failures] == []


@pytest.fixture(scope="module")
def recipes(blocks: list[Any]) -> dict[str, Any]:
    """The functions that the page on plugins gives for conventions."""
    (block,) = [block for block in blocks if block.heading == "Conventions" and block.language == "python"]
    names: dict[str, Any] = {}
    exec(block.text, names)
    return names


def test_the_recipes_for_conventions_find_what_the_studio_draws(recipes: dict[str, Any]) -> None:
    import numpy as np

    from task2sim import Background, Camera, Scene, SceneObject, Sun
    from task2sim_studio.simulator import Studio

    studio = Studio(Studio.Config(resolution=64, categories=("ball", "mug"), device="cpu"))
    camera = Camera((1.2, -2.5, 1.4), target=(0.1, 0.2, -0.1), field_of_view=55.0)
    for position in [(0.0, 0.0, 0.0), (0.5, 0.3, 0.2), (-0.4, 0.1, -0.3)]:
        ball = SceneObject("ball", 0, position, size=0.4)
        batch = studio.render_scenes([Scene(0, (ball,), camera, Sun((0.0, 0.0, 1.0)), Background("overcast"))])
        assert batch.instance_mask is not None
        assert batch.depth is not None
        column, row, depth = recipes["place_in_picture"](position, camera, 64, 64)
        rows, columns = np.nonzero(batch.instance_mask[0])
        assert columns.mean() + 0.5 == pytest.approx(column, abs=0.8)
        assert rows.mean() + 0.5 == pytest.approx(row, abs=0.8)
        assert batch.depth[0].min() == pytest.approx(depth - 0.2, abs=0.03)


def test_the_recipe_for_rotations_turns_as_the_studio_does(recipes: dict[str, Any]) -> None:
    import numpy as np

    from task2sim_studio.packing import _matrices

    quaternions = np.random.default_rng(2).normal(size=(20, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    for quaternion, matrix in zip(quaternions, _matrices(quaternions), strict=True):
        assert recipes["rotation_matrix"](tuple(quaternion)) == pytest.approx(matrix, abs=1e-6)


def test_how_bright_the_studio_is(tables: dict[str, Any], pages: list[Path]) -> None:
    import numpy as np

    from task2sim_studio.daylight import SUN_IRRADIANCE
    from task2sim_studio.film import TONE_LIMIT
    from task2sim_studio.renderer import tone_table
    from task2sim_studio.simulator import Studio
    from task2sim_studio.skies import SKIES

    curve = tone_table()
    (row,) = tables["tones"].rows
    shown = {float(light): int(byte) for light, byte in row.items() if light != "light"}
    assert shown == {light: int(curve[round((len(curve) - 1) * (light / TONE_LIMIT) ** 0.5)]) for light in shown}
    (page,) = [page for page in pages if page.name == "plugins.md"]
    text = " ".join(page.read_text(encoding="utf-8").split())
    means = [sky.mean for sky in SKIES.values()]
    assert f"irradiance of {SUN_IRRADIANCE:g} on what faces it" in text
    assert f"{SUN_IRRADIANCE:g} / π = {SUN_IRRADIANCE / np.pi:.1f}" in text
    assert f"from {min(means):g} (night) to {max(means):g}, by default {next(iter(SKIES.values())).mean:g}" in text
    studio = Studio(Studio.Config(resolution=32, device="cpu"))
    batches = list(studio.render(studio.parameter_space.setting(), range(192), seed=3))
    seen = np.concatenate([batch.rgb.mean(axis=-1)[np.asarray(batch.instance_mask) > 0] for batch in batches])
    assert seen.mean() == pytest.approx(130, abs=8)
    assert np.quantile(seen, [0.05, 0.95]) == pytest.approx([55, 225], abs=10)
