"""What tests of the documentation share: its blocks and tables, and a folder in which its examples work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from task2sim import registry
from task2sim.cli import app
from task2sim.config import load_study
from task2sim.run import Run
from task2sim.store import Store
from task2sim.study import run_study

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

PLUGINS = [
    *(f"{kind}:toy=toys:{name}" for kind, name in [("tasks", "Tasks"), ("embedders", "Embedder")]),
    *(f"{kind}:toy=toys:{name}" for kind, name in [("policies", "Policy"), ("simulators", "Sim")]),
    *(f"{kind}:toy=toys:{name}" for kind, name in [("trainers", "Train"), ("evaluators", "Evaluate")]),
    "simulators:stripes=toy_stripes:Stripes",
    "simulators:my-sim=toy_stripes:Stripes",  # stands in for the reader's
]

TOY_STUDY = """\
name: quickstart
tasks:
  sources: [{type: toy, tasks: [digits, faces, letters]}]
  seen: [digits, faces]
  unseen: [letters]
embedder: toy
policy: toy
simulator: toy
trainer: toy
evaluator: toy
executor: {type: local, workers: 1}
images: 20
pretrainings: 3
"""


@attrs.frozen
class Block:
    """A fenced block: ``mark`` is the HTML comment above it, ``heading`` the nearest one before it."""

    page: str
    line: int
    language: str
    text: str
    mark: str
    heading: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@attrs.frozen
class Table:
    """A table under an HTML comment; rows are dictionaries of cells by column."""

    page: str
    mark: str
    rows: list[dict[str, str]]


def _blocks(page: Path) -> Iterator[Block]:
    heading, language, mark, start = "", "", "", 0
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if start and line.strip() == "```":
            yield Block(page.name, start, language, "\n".join(lines) + "\n", mark, heading)
            start, mark = 0, ""
        elif start:
            lines.append(line)
        elif line.startswith("```"):
            start, language, lines = number, line[3:], []
        elif comment := re.fullmatch(r"<!-- (.*) -->", line):
            mark = comment[1]
        elif line.strip():
            mark = ""
            heading = line.lstrip("# ") if line.startswith("#") else heading


def _tables(page: Path) -> Iterator[Table]:
    for found in re.finditer(r"<!-- (.*) -->\n((?:\|.*\n)+)", page.read_text(encoding="utf-8")):
        header, _, *rows = (
            [cell.strip() for cell in line.strip("| ").split(" | ")] for line in found[2].splitlines()
        )
        yield Table(page.name, found[1], [dict(zip(header, row, strict=True)) for row in rows])


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


@pytest.fixture(scope="session")
def blocks(pages: list[Path]) -> list[Block]:
    return [block for page in pages for block in _blocks(page)]


@pytest.fixture(scope="session")
def tables(pages: list[Path]) -> dict[str, Table]:
    return {table.mark: table for page in pages for table in _tables(page)}


@pytest.fixture(scope="session")
def documented_plugins(blocks: list[Block]) -> list[str]:
    """What the page on plugins puts into TASK2SIM_PLUGINS."""
    (line,) = [
        line for block in blocks for line in block.text.splitlines() if line.startswith("$ export TASK2SIM_PLUGINS=")
    ]
    return line.partition("=")[2].split(",")


@pytest.fixture(scope="module", autouse=True)
def workplace(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[Block], documented_plugins: list[str]
) -> Iterator[Path]:
    """The current folder, with the files that examples name; modules shown in the documentation can be imported."""
    folder = tmp_path_factory.mktemp("docs")
    for task, classes in {"birds": ("robin", "sparrow"), "my-photos": ("cat", "dog")}.items():
        for number, name in enumerate(classes):
            (folder / task / name).mkdir(parents=True)
            for i in range(12):
                pixels = np.random.default_rng(100 * number + i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / task / name / f"{i:04d}.png")
    for block in blocks:
        if block.language == "python" and (module := re.match(r"# (\w+\.py)\n", block.text)):
            (folder / module[1]).write_text(block.text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.syspath_prepend(ROOT / "tests" / "toy_simulator")
        patch.setenv("TASK2SIM_PLUGINS", ",".join([*PLUGINS, *documented_plugins]))
        registry.installed_plugins.cache_clear()
        yield folder
    registry.installed_plugins.cache_clear()


@pytest.fixture(scope="module")
def finished_run(workplace: Path) -> Run:
    """A run under the name that the documentation gives to one."""
    (workplace / "toy.yaml").write_text(TOY_STUDY)
    run = run_study(load_study("toy.yaml"), workplace / "first", Store(workplace / "store"))
    (workplace / "runs").mkdir()
    return Run.open(run.folder.rename(workplace / "runs" / "quickstart-1a2b3c4d"), run.store)


@pytest.fixture(scope="module")
def dense_exports(workplace: Path, blocks: list[Block]) -> None:
    """What the `generate` lines of the page on dense labels write, with fewer images."""
    pytest.importorskip("datasets")
    pytest.importorskip("webdataset")
    lines = [
        line
        for block in blocks
        if block.page == "dense.md" and block.language == "console"
        for line in block.text.splitlines()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASK2SIM_STORE", str(workplace / "throwaway"))
        for line in lines:
            words = shlex.split(line.removeprefix("$ task2sim "))
            words[words.index("--images") + 1] = "6"
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def toy_study() -> dict[str, object]:
    """A study that takes a moment, as data."""
    study: dict[str, object] = yaml.safe_load(TOY_STUDY)
    return study
