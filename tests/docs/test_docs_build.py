"""The pages build without a warning: links, references and docstrings are sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import task2sim

ROOT = Path(__file__).parents[2]


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    for library in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(library, reason='building the documentation needs pip install "task2sim[docs]"')
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "render_scenes" in (tmp_path / "reference.html").read_text(encoding="utf-8")


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    entries = {line.split()[-1] for line in page.splitlines() if line.startswith(".. ")}
    assert [name for name in task2sim.__all__ if f"task2sim.{name}" not in entries] == []
