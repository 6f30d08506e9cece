from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from task2sim import ConfigError, PluginError, Simulator, StoreError
from task2sim.registry import core_version, find_plugin, installed_plugins, plugin_call


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a distribution that is found but was never installed: metadata and a module."""

    def make(name: str, entry_points: str, requires: str = "", module: str = "") -> None:
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        (info / "METADATA").write_text(metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
        (info / "entry_points.txt").write_text(entry_points)
        if module:
            (tmp_path / f"{name.replace('-', '_')}.py").write_text(module)
        monkeypatch.syspath_prepend(str(tmp_path))
        installed_plugins.cache_clear()

    return make


def test_default_plugins_are_found_without_importing_them() -> None:
    code = (
        "import sys; from task2sim.registry import installed_plugins as f; print(len(f()));"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'warp', 'transformers', 'sklearn')"
        " or m.startswith('task2sim_')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, modules = done.stdout.splitlines()
    assert int(count) >= 17
    assert modules == "[]"


def test_a_plugin_is_found_by_name_or_by_distribution() -> None:
    assert find_plugin("simulators", "toy") == find_plugin("simulators", "TASK2SIM_PLUGINS/toy")
    assert issubclass(find_plugin("simulators", "toy").load(), Simulator)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sudio", "there is no simulator 'sudio'; did you mean 'studio'?"),
        ("qqqq", "there is no simulator 'qqqq'; installed are studio, threedworld, toy"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", name)
    assert str(caught.value) == message


def test_a_clash_asks_for_the_distribution(distribution) -> None:
    distribution("first-sims", "[task2sim.simulators]\nfog = toys:Sim\n")
    distribution("second-sims", "[task2sim.simulators]\nfog = toys:Sim\n")
    with pytest.raises(PluginError, match="write first-sims/fog or second-sims/fog"):
        find_plugin("simulators", "fog")
    assert find_plugin("simulators", "second-sims/fog").origin == "second-sims 1.2"
    assert find_plugin("simulators", "Second_Sims/fog").origin == "second-sims 1.2"


def test_names_of_default_plugins_cannot_be_taken_over(distribution) -> None:
    distribution("greedy", "[task2sim.simulators]\nstudio = toys:Sim\n")
    assert find_plugin("simulators", "studio").distribution == "task2sim"
    assert find_plugin("simulators", "greedy/studio").distribution == "greedy"


def test_an_incompatible_plugin_is_known_without_importing_it(distribution) -> None:
    distribution("ancient", "[task2sim.simulators]\nold = ancient:Sim\n", "task2sim<0.0.1", "raise SystemExit")
    entry = find_plugin("simulators", "old")
    assert entry.problem == f"it requires task2sim<0.0.1, and task2sim {core_version()} is installed"
    with pytest.raises(PluginError, match="can't be used: it requires"):
        entry.load()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import nothing_like_it", "can't be imported from broken:Sim: ModuleNotFoundError"),
        ("Sim = 5", "broken:Sim is not a subclass of task2sim.Simulator"),
        ("", "can't be imported from broken:Sim: AttributeError"),
        ("def f(:", "can't be imported from broken:Sim: SyntaxError"),
        ("from task2sim import Simulator\nclass Sim(Simulator): pass", "does not implement categories, image_size"),
        (
            "from task2sim import *\nclass Sim(SceneSimulator):\n Config = dict\n",
            "its Config is not a subclass of task2sim.ComponentConfig",
        ),
    ],
)
def test_a_broken_plugin_says_so_and_harms_only_itself(distribution, module: str, message: str) -> None:
    sys.modules.pop("broken", None)
    distribution("broken", "[task2sim.simulators]\nbad = broken:Sim\n", module=module or "x = 1")
    with pytest.raises(PluginError, match=r"simulator 'bad' \(broken 1.2\)") as caught:
        find_plugin("simulators", "bad").load()
    assert message in str(caught.value)
    find_plugin("simulators", "toy").load()
    sys.modules.pop("broken", None)


@pytest.mark.parametrize("text", ["simulators", "simulators:x", "simulators:x=y", "ships:x=a:B", "simulators:=a:B"])
def test_the_environment_variable_is_checked(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TASK2SIM_PLUGINS", text)
    installed_plugins.cache_clear()
    with pytest.raises(ConfigError, match="TASK2SIM_PLUGINS: can't read"):
        installed_plugins()


def test_whatever_a_plugin_raises_becomes_one_line() -> None:
    with pytest.raises(PluginError) as caught, plugin_call("simulator 'x' (y 1.0)"):
        raise KeyError("one\ntwo")
    assert "simulator 'x' (y 1.0) raised KeyError" in str(caught.value)
    assert "test_registry.py:" in caught.value.place
    assert "\n" not in str(caught.value)
    assert "Traceback" in caught.value.details


def test_a_plugin_cannot_end_the_study_by_exiting() -> None:
    with pytest.raises(PluginError, match="raised SystemExit: 5"), plugin_call("simulator 'x' (y 1.0)"):
        raise SystemExit(5)


def test_a_full_disk_is_no_plugins_fault() -> None:
    with pytest.raises(StoreError, match="/disk: no space left on the disk; free some room"), plugin_call("x"):
        raise OSError(28, "No space left on device", "/disk")
