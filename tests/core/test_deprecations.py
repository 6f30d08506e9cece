from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import task2sim
from task2sim import Task2SimDeprecationWarning
from task2sim.api_version import API_VERSION, parse
from task2sim.deprecations import deprecated, deprecations_in_one_line

CORE = Path(task2sim.__file__).parent
TEXT = "classes() is deprecated since API 1.5 and goes with API 2.0; use categories()"


def classes() -> None:
    """Stands for something of the core."""
    deprecated("classes()", since="1.5", mend="use categories()")


class Overriding:
    """Stands for a plugin's class."""


def line_of(what: object) -> int:
    return inspect.getsourcelines(what)[1]  # type: ignore[arg-type]


def test_the_warning_points_at_the_caller() -> None:
    with pytest.warns(Task2SimDeprecationWarning) as caught:
        classes()
    (warning,) = caught
    assert str(warning.message) == TEXT
    assert warning.filename == __file__
    assert Path(__file__).read_text().splitlines()[warning.lineno - 1] == "        classes()"
    assert warning.lineno > line_of(test_the_warning_points_at_the_caller)


def test_the_warning_points_at_a_class_that_overrides() -> None:
    with pytest.warns(Task2SimDeprecationWarning, match="Simulator.classes is deprecated since API 1.5") as caught:
        deprecated("Simulator.classes", since="1.5", mend="override categories", used_by=Overriding)
    (warning,) = caught
    assert (warning.filename, warning.lineno) == (__file__, line_of(Overriding))


def test_a_class_without_source_is_named_by_its_module() -> None:
    bare = type("Bare", (), {"__module__": "nowhere"})
    with pytest.warns(Task2SimDeprecationWarning) as caught:
        deprecated("x", since="1.5", mend="use y", used_by=bare)
    assert caught[0].filename == "nowhere"


def test_a_program_does_not_show_it_and_python_wants_to_be_asked() -> None:
    code = "from task2sim.deprecations import deprecated\ndef f(): deprecated('x', since='1.5', mend='y')\n"
    module = (
        "exec(compile(" + repr(code + "def g(): f()\n") + ", 'lib.py', 'exec'), d := {'__name__': 'lib'}); d['g']()"
    )
    quiet = subprocess.run([sys.executable, "-c", module], capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    asked = subprocess.run(
        [sys.executable, "-W", "default", "-c", module], capture_output=True, text=True, check=True
    )
    assert "Task2SimDeprecationWarning: x is deprecated" in asked.stderr


def test_the_command_line_has_one_line_for_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as others:
        with deprecations_in_one_line():
            warnings.simplefilter("always")
            for _ in range(3):
                classes()
            deprecated("classes()", since="1.5", mend="use categories()", used_by=Path)
            warnings.warn("something else", UserWarning, stacklevel=1)
        assert [str(warning.message) for warning in others] == ["something else"]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"warning: {__file__}:")
    assert first.endswith(f": {TEXT}")
    assert "pathlib" in second


def test_task2sim_check_shows_it(task2sim, tmp_path: Path) -> None:
    (tmp_path / "old_style.py").write_text(
        "from bad_plugins.exporters import Good\n"
        "from task2sim.deprecations import deprecated\n"
        "def old():\n    deprecated('old()', since='1.4', mend='use new()')\n"
        "class OldStyle(Good):\n"
        "    def write(self, dataset, folder):\n"
        "        old()\n"
        "        super().write(dataset, folder)\n"
    )
    done = task2sim(
        "check",
        "exporter:old",
        TASK2SIM_PLUGINS="exporters:old=old_style:OldStyle",
        PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[1]}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    place = tmp_path / "old_style.py"
    assert done.stderr == (
        f"warning: {place}:7: old() is deprecated since API 1.4 and goes with API 2.0; use new()\n"
    )


def test_what_is_deprecated_is_gone_with_the_next_major_version() -> None:
    """Fails when the major version grows and something deprecated was left behind."""
    major, minor = parse(API_VERSION)
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "deprecated":
                (since,) = (key.value.value for key in node.keywords if key.arg == "since")
                assert parse(since)[0] == major, f"{path}:{node.lineno}: remove it"
                assert parse(since)[1] <= minor, f"{path}:{node.lineno}: no such version yet"
