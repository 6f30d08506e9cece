"""Reading a plugin without importing it: what is found in packages, and what must not be claimed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from task2sim import Simulator
from task2sim.inspection import find_fault
from task2sim.registry import KINDS, installed_plugins

GOOD = "from toys import Sim\n"
COMPLETE = "    categories = image_size = parameter_space = property(len)\n    def render(self, *a): ...\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the package `guest`; the module that raises if it is imported is checked not to be."""

    def write(**modules: str) -> Path:
        folder = tmp_path / "guest"
        for name, text in modules.items():
            path = folder / ("__init__.py" if name == "init" else f"{name.replace('__', '/')}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return folder

    yield write
    assert not [name for name in sys.modules if name.partition(".")[0] == "guest"]


def fault(target: str = "guest:Sim") -> str:
    found = find_fault(target, Simulator)
    return f"{found.message}; {found.mend}" if found else ""


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            {"init": "from guest.sim import Sim", "sim": "import gone"},
            "{folder}/sim.py:1 imports 'gone', which is not",
        ),
        (
            {"init": "from .sim import Sim", "sim": "x = ("},
            "{folder}/sim.py:1 has a syntax error: '(' was never closed",
        ),
        (
            {"init": "from .sims import Sim", "sim": ""},
            "{folder}/__init__.py:1 imports 'guest.sims', which is not there",
        ),
        ({"init": "from .sim import Sim", "sim": "Sin = 1"}, "module 'guest.sim' has no 'Sim'"),
        ({"init": "from . import sim\nclass Sim: pass", "sim": "raise OSError"}, "{folder}/sim.py:1 always raises"),
        ({"init": "from .sim import Fog as Sim", "sim": "class Fog: pass"}, "guest:Sim is not a subclass of"),
        ({"init": "import guest.a", "a": "from .. import b"}, ""),
        (
            {
                "init": "from guest.base import Base\nclass Sim(Base): pass",
                "base": "from task2sim import Simulator\nclass Base(Simulator):\n    image_size = (1, 1)\n",
            },
            "",  # a base in another module: left to the import
        ),
    ],
)
def test_a_package_is_followed(package, modules: dict[str, str], message: str) -> None:
    folder = package(**modules)
    text = fault()
    assert text.startswith(message.format(folder=folder))
    assert bool(text) == bool(message)


def test_the_package_above_a_module_is_read_first(package) -> None:
    folder = package(init="import gone", sim="class Sim: pass")
    assert fault("guest.sim:Sim").startswith(f"{folder}/__init__.py:1 imports 'gone'")


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import gone\nexcept ImportError:\n    gone = None\n" + GOOD,
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import gone\n" + GOOD,
        "def f():\n    import gone\n    raise OSError\n" + GOOD,
        "def __getattr__(name): return 5\n",
        "globals()['Sim'] = 5\n",
        "from guest.names import *\n",
        "from dataclasses import *\n",
        "def make(): ...\nSim = make()\n",
        "Sim = None\nfrom toys import Sim\n",
        "def d(c): return c\n@d\nclass Sim: pass\n",
        "class Sim(metaclass=type): pass\n",
        "from toys import Sim as Base\nclass Sim(Base): pass\n",
        "for Sim in (int, str): pass\n",
        "if (Sim := 5): pass\n",
        "import toys\nclass Sim(toys.Sim): pass\n",
        "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Sim(Generic[T]): pass\n",
        "from guest import Sim\n",
        "from task2sim import Simulator\nclass Sim(Simulator):\n" + COMPLETE,
        "import task2sim as t\nclass Sim(t.Simulator):\n" + COMPLETE,
        "import task2sim\nclass Mixin:\n" + COMPLETE + "class Sim(Mixin, task2sim.Simulator): pass\n",
        "from task2sim import registry, Simulator\nclass Sim(Simulator):\n" + COMPLETE,
        "x = " + "(" * 150 + ")" * 150 + "\nfrom toys import Sim\n",
    ],
)
def test_what_the_source_does_not_show_is_not_claimed(package, source: str) -> None:
    package(init=source, names="Sim = 5")
    assert fault() == ""


def test_a_module_in_c_or_without_a_file_is_left_to_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spread" / "inner").mkdir(parents=True)
    (tmp_path / "spread" / "inner" / "sim.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_fault("math:Sim", Simulator) is None
    assert find_fault("spread:Sim", Simulator) is None
    assert find_fault("spread.inner.sim:Sim", Simulator) is None


def test_nothing_is_claimed_of_the_plugins_that_work() -> None:
    faults = {entry.title: find_fault(entry.target, KINDS[entry.kind]) for entry in installed_plugins()}
    assert len(faults) > 25
    assert {title: found for title, found in faults.items() if found} == {}
