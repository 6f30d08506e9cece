"""Importing tdw, on Pythons without imp and with what is missing said."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from task2sim import PluginError
from task2sim_threedworld.compatibility import import_tdw

tdw_is_here = pytest.mark.skipif(find_spec("tdw") is None, reason="ThreeDWorld is not installed")


def run(program: str, *options: str) -> str:
    """What a fresh Python prints, errors and warnings included."""
    done = subprocess.run(
        [sys.executable, *options, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if nobody had imported tdw yet."""
    monkeypatch.delitem(sys.modules, "tdw.flatbuffers.builder", raising=False)
    return monkeypatch


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if modules were not installed."""
    monkeypatch.setattr(
        "task2sim_threedworld.compatibility.find_spec", lambda name: None if name in names else find_spec(name)
    )


@tdw_is_here
def test_tdw_can_be_imported_without_a_warning_and_without_a_trace() -> None:
    program = (
        "before = 'imp' in sys.modules\n"
        "from task2sim_threedworld.compatibility import import_tdw\n"
        "import_tdw(); import_tdw()\n"
        "assert ('imp' in sys.modules) <= (before or sys.version_info < (3, 12))\n"
        "import warnings; filters = list(warnings.filters)\n"
        "import task2sim_threedworld.controller\n"
        "from tdw.librarian import ModelLibrarian\n"
        "from tdw.FBOutput import Bounds\n"
        "assert warnings.filters == filters\n"
        "print('fine')\n"
    )
    assert run(program, "-W", "default") == "fine\n"


@tdw_is_here
def test_the_stand_in_serves_tdw_alone() -> None:
    """On a Python that has imp it is hidden, which is what one finds from 3.12 on."""
    program = (
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'imp' else real(name, *a)\n"
        "sys.modules.pop('imp', None)\n"
        "from task2sim_threedworld.compatibility import import_tdw\n"
        "import_tdw()\n"
        "assert 'imp' not in sys.modules\n"
        "from tdw.flatbuffers import compat\n"
        "assert compat.imp.__spec__ is None, 'that is the real one'\n"
        "import numpy; assert compat.import_numpy() is numpy\n"
        "importlib.util.find_spec = real\n"
        "import task2sim_threedworld.compatibility as c\n"
        "c.find_spec = lambda name: None\n"
        "assert compat.import_numpy() is None\n"
        "print('fine')\n"
    )
    assert "fine" in run(program)


@tdw_is_here
def test_a_stand_in_of_somebody_else_is_left_where_it_is() -> None:
    program = (
        "import types, importlib.util\n"
        "other = sys.modules['imp'] = types.ModuleType('imp'); other.find_module = lambda name: None\n"
        "from task2sim_threedworld.compatibility import import_tdw\n"
        "import_tdw()\n"
        "assert sys.modules['imp'] is other\n"
        "print('fine')\n"
    )
    assert "fine" in run(program)


def test_the_module_imports_no_tdw() -> None:
    listing = "print(sorted({name.split('.')[0] for name in sys.modules} & {'tdw', 'zmq', 'pkg_resources'}))\n"
    assert run(f"import task2sim_threedworld.compatibility\n{listing}") == run(listing)


@pytest.mark.parametrize("missing", ["tdw", "zmq"])
def test_a_missing_package_is_said_with_the_line_that_mends_it(fresh: pytest.MonkeyPatch, missing: str) -> None:
    hide(fresh, missing)
    with pytest.raises(PluginError, match=r"not installed; pip install 'task2sim\[threedworld\]'$"):
        import_tdw()


def test_a_setuptools_that_is_too_new_is_said_with_the_line_that_mends_it(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(
        "task2sim_threedworld.compatibility.find_spec", lambda name: None if name == "pkg_resources" else object()
    )
    with pytest.raises(PluginError, match=r"setuptools older than 81; pip install 'task2sim\[threedworld\]'"):
        import_tdw()


def test_a_broken_tdw_is_said_and_leaves_no_stand_in(tmp_path: Path) -> None:
    (tmp_path / "tdw" / "flatbuffers").mkdir(parents=True)
    (tmp_path / "tdw" / "__init__.py").write_text("")
    (tmp_path / "tdw" / "flatbuffers" / "__init__.py").write_text("import imp\nraise RuntimeError('half a file')")
    program = (
        f"sys.path.insert(0, {str(tmp_path)!r}); sys.modules.pop('imp', None)\n"
        "import task2sim_threedworld.compatibility as compatibility\n"
        "compatibility.find_spec = lambda name: None if name == 'imp' else object()\n"
        "try:\n"
        "    compatibility.import_tdw()\n"
        "except compatibility.PluginError as error:\n"
        "    print(error, 'imp' in sys.modules)\n"
    )
    said = run(program)
    assert "ThreeDWorld's Python package can't be imported: RuntimeError: half a file; pip install" in said
    assert said.endswith(" again False\n")
