"""Edits of a plugin that somebody is working on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from task2sim.registry import PluginEntry
from task2sim.sources import version_of_sources


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a package and its metadata, installed as pip does it with `-e` and without."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "draft_sims"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts" / "drawing.py").write_text("WIDTH = 1\n")
    metadata = tmp_path / "draft_sims-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: draft-sims\nVersion: 1.2\n")

    def write(editable: bool | None) -> Path:
        if editable is not None:
            data = {"url": tmp_path.as_uri(), "dir_info": {"editable": True} if editable else {}}
            (metadata / "direct_url.json").write_text(json.dumps(data))
        return package

    return write


def version(distribution: str = "draft-sims", target: str = "draft_sims.parts.drawing:Sim") -> str:
    version_of_sources.cache_clear()
    return version_of_sources(PluginEntry("simulators", "draft", target, distribution, "1.2"))


def test_an_edit_is_another_version_where_the_code_is_installed_as_it_lies(install) -> None:
    package = install(editable=True)
    first = version()
    assert first.startswith("1.2+")
    assert version() == first
    (package / "notes.txt").write_text("no code")
    assert version() == first
    (package / "parts" / "drawing.py").write_text("WIDTH = 2\n")
    second = version()
    (package / "parts" / "shading.py").write_text("")
    assert len({first, second, version()}) == 3


@pytest.mark.parametrize("editable", [False, None])
def test_elsewhere_the_version_counts(install, editable: bool | None) -> None:
    package = install(editable)
    assert version() == "1.2"
    (package / "parts" / "drawing.py").write_text("WIDTH = 2\n")
    assert version() == "1.2"


def test_what_the_environment_names_is_in_development(install) -> None:
    package = install(None)
    first = version("TASK2SIM_PLUGINS")
    (package / "parts" / "drawing.py").write_text("WIDTH = 2\n")
    assert version("TASK2SIM_PLUGINS") != first != "1.2"


def test_a_module_that_is_gone_has_its_version() -> None:
    assert version("nobody", "nothing_like_it:Sim") == "1.2"


def test_a_single_module_is_its_file(install, tmp_path: Path) -> None:
    install(editable=True)
    (tmp_path / "single_sims.py").write_text("WIDTH = 1\n")
    first = version(target="single_sims:Sim")
    (tmp_path / "single_sims.py").write_text("WIDTH = 2\n")
    assert version(target="single_sims:Sim") != first
