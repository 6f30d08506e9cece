from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import task2sim
from task2sim import API_VERSION, ConfigError, PluginError, Simulator, StoreError
from task2sim.api_version import parse
from task2sim.inspection import find_fault
from task2sim.registry import (
    core_version,
    find_plugin,
    installed_plugins,
    load_and_watch,
    misregistrations,
    plugin_call,
)


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a distribution that is found but was never installed: metadata and a module."""

    def make(name: str, entry_points: str, requires: str = "", module: str = "") -> Path:
        info = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
        (info / "METADATA").write_text(metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
        (info / "entry_points.txt").write_text(entry_points)
        source = tmp_path / f"{name.replace('-', '_')}.py"
        if module:
            source.write_text(module)
        monkeypatch.delitem(sys.modules, source.stem, raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        installed_plugins.cache_clear()
        return source

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
        (
            "qqqq",
            "there is no simulator 'qqqq'; installed are studio, threedworld, toy; "
            "known and not installed are fractals, mitsuba",
        ),
        ("elsewhere/studio", "there is no simulator 'elsewhere/studio'; did you mean 'studio'?"),
        (
            "mitsuba",
            "there is no simulator 'mitsuba'; "
            "install it: pip install ./examples/plugins/mitsuba-things (in a checkout of task2sim)",
        ),
        (
            "mitsuba-things/mitsuba",
            "there is no simulator 'mitsuba-things/mitsuba'; "
            "install it: pip install ./examples/plugins/mitsuba-things (in a checkout of task2sim)",
        ),
        (
            "fractal",
            "there is no simulator 'fractal'; did you mean 'fractals'? It is not installed: "
            "pip install ./examples/plugins/ifs-fractals (in a checkout of task2sim)",
        ),
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


def test_another_name_of_two_distributions_is_asked_for_with_one_of_them(distribution) -> None:
    distribution("first-sims", "[task2sim.simulators]\nfog = toys:Sim\n")
    distribution("second-sims", "[task2sim.simulators]\nfog = toys:Sim\n")
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "third-sims/fog")
    assert str(caught.value) == (
        "there is no simulator 'third-sims/fog'; did you mean 'first-sims/fog' or 'second-sims/fog'?"
    )


MAJOR, MINOR = parse(API_VERSION)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (f"{MAJOR}.{MINOR + 1}", "upgrade task2sim"),
        (f"{MAJOR + 1}.0", "upgrade task2sim"),
        ("0.1", "upgrade future, or install a task2sim that has API 0"),
    ],
)
def test_a_plugin_for_other_interfaces_is_refused_without_importing_it(
    distribution, stated: str, message: str
) -> None:
    groups = f"[task2sim.simulators]\nnew = future:Sim\n[task2sim.api]\n{stated} = task2sim\n"
    distribution("future", groups, module="raise SystemExit")
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "new").load()
    assert str(caught.value) == (
        f"simulator 'new' (future 1.2) can't be used: it was written for API {stated}, "
        f"and task2sim {core_version()} has API {API_VERSION}; {message}"
    )


def test_a_plugin_for_these_interfaces_is_used(distribution) -> None:
    distribution("fitting", f"[task2sim.simulators]\nfog = toys:Sim\n[task2sim.api]\n{MAJOR}.0 = task2sim\n")
    find_plugin("simulators", "fog").load()


def test_an_older_release_is_named_with_the_line_that_upgrades(distribution) -> None:
    distribution("ancient", "[task2sim.simulators]\nold = ancient:Sim\n", "task2sim<0.0.1")
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "old").load()
    assert str(caught.value) == (
        "simulator 'old' (ancient 1.2) can't be used: it requires task2sim<0.0.1, "
        f"and task2sim {core_version()} is installed; pip install --upgrade ancient task2sim"
    )


# What is wrong with broken.py, what importing it says, and what reading it says; {file} is the path of broken.py.
BROKEN = {
    "an import that is missing": (
        "import json\nimport nothing_like_it",
        "can't be imported from broken:Sim: ModuleNotFoundError: No module named 'nothing_like_it' ({file}:2); "
        "install what brings 'nothing_like_it'",
        "{file}:2 imports 'nothing_like_it', which is not installed; install what brings it",
    ),
    "a syntax error": (
        "x = 1\ndef f(:",
        "can't be imported from broken:Sim: SyntaxError: invalid syntax ({file}:2); "
        "report it to its author, or choose another",
        "{file}:2 has a syntax error: invalid syntax; report it to its author, or choose another",
    ),
    "a syntax error that the parser misses": (
        "return 1",
        "can't be imported from broken:Sim: SyntaxError: 'return' outside function ({file}:1); "
        "report it to its author, or choose another",
        "{file}:1 has a syntax error: 'return' outside function; report it to its author, or choose another",
    ),
    "an exception": (
        "raise RuntimeError('no\\nlens')",
        "can't be imported from broken:Sim: RuntimeError: no lens ({file}:1); "
        "report it to its author, or choose another",
        "{file}:1 always raises: raise RuntimeError('no\\nlens'); report it to its author, or choose another",
    ),
    "an exit": (
        "import sys\nsys.exit(3)",
        "can't be imported from broken:Sim: SystemExit: 3 ({file}:2); report it to its author, or choose another",
        "module 'broken' has no 'Sim'; correct its entry point",
    ),
    "an exception under a condition": (
        "import sys\nif sys.platform:\n    raise OSError('not here')",
        "can't be imported from broken:Sim: OSError: not here ({file}:3); report it to its author, or choose another",
        "module 'broken' has no 'Sim'; correct its entry point",
    ),
    "something that task2sim does not have": (
        "from task2sim import Simulatr",
        "can't be imported from broken:Sim: ImportError: cannot import name 'Simulatr' from 'task2sim' "
        "({core}) ({file}:1); report it to its author, or choose another",
        "{file}:1 imports 'Simulatr' from task2sim, which has none; did you mean 'Simulator'?",
    ),
    "no such class": (
        "x = 1",
        "can't be used: module 'broken' has no 'Sim'; correct its entry point",
        "module 'broken' has no 'Sim'; correct its entry point",
    ),
    "a class of almost that name": (
        "class Sims: pass",
        "can't be used: module 'broken' has no 'Sim'; correct its entry point: did you mean 'Sims'?",
        "module 'broken' has no 'Sim'; correct its entry point: did you mean 'Sims'?",
    ),
    "no class at all": (
        "Sim = 5",
        "can't be used: broken:Sim is not a subclass of task2sim.Simulator; "
        "derive it from there, or correct its entry point",
        "broken:Sim is not a subclass of task2sim.Simulator; derive it from there, or correct its entry point",
    ),
    "a function": (
        "def Sim(config): pass",
        "can't be used: broken:Sim is not a subclass of task2sim.Simulator; "
        "derive it from there, or correct its entry point",
        "broken:Sim is not a subclass of task2sim.Simulator; derive it from there, or correct its entry point",
    ),
    "no base": (
        "class Sim: pass",
        "can't be used: broken:Sim is not a subclass of task2sim.Simulator; "
        "derive it from there, or correct its entry point",
        "broken:Sim is not a subclass of task2sim.Simulator; derive it from there, or correct its entry point",
    ),
    "the base of another kind": (
        "import task2sim\nclass Base(task2sim.Trainer): pass\nclass Sim(Base): pass",
        "can't be used: broken:Sim is not a subclass of task2sim.Simulator; "
        "derive it from there, or correct its entry point",
        "broken:Sim is not a subclass of task2sim.Simulator; derive it from there, or correct its entry point",
    ),
    "methods that are missing": (
        "from task2sim import Simulator\nclass Sim(Simulator):\n    def render(self, *a): ...",
        "can't be used: it does not implement categories, image_size; write what is missing",
        "it does not implement categories, image_size; write what is missing",
    ),
    "a configuration of its own": (
        "from task2sim import *\nclass Sim(SceneSimulator):\n    class Config: pass\n",
        "can't be used: its Config is not a subclass of task2sim.ComponentConfig; derive it from there",
        "its Config is not a subclass of task2sim.ComponentConfig; derive it from there",
    ),
    "no source at all": (
        "",
        "can't be imported from broken:Sim: ModuleNotFoundError: No module named 'broken'; "
        "reinstall broken, or choose another",
        "there is no module 'broken'; reinstall it, or put its folder on PYTHONPATH",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_says_so_and_harms_only_itself(distribution, fault: str) -> None:
    module, loaded, read = BROKEN[fault]
    file = distribution("broken", "[task2sim.simulators]\nbad = broken:Sim\n", module=module)
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "bad").load()
    core = Path(task2sim.__file__)
    assert str(caught.value) == f"simulator 'bad' (broken 1.2) {loaded.format(file=file, core=core)}"
    assert ("Traceback" in caught.value.details) == ("can't be imported" in loaded)
    sys.modules.pop("broken", None)
    found = find_fault("broken:Sim", Simulator)
    assert (f"{found.message}; {found.mend}" if found else "") == read.format(file=file)
    assert "broken" not in sys.modules
    find_plugin("simulators", "toy").load()


@pytest.mark.parametrize("target", ["toys", "toys:", ":Sim", "toys Sim", "toys:Sim()", "a/b.py:Sim"])
def test_an_entry_point_that_is_no_reference_is_named(distribution, target: str) -> None:
    distribution("odd", f"[task2sim.simulators]\nodd = {target}\n")
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "odd").load()
    assert str(caught.value) == (
        f"simulator 'odd' (odd 1.2) can't be used: its entry point {target!r} is not module:Class; "
        "correct its entry point"
    )


def test_an_entry_point_may_name_extras(distribution) -> None:
    distribution("extra", "[task2sim.simulators]\nfog = toys:Sim [gpu]\n")
    find_plugin("simulators", "fog").load()


def test_a_misspelt_group_is_named(distribution) -> None:
    distribution("astray", "[task2sim.simulator]\nfog = toys:Sim\n[task2simulations]\nother = x:y\n")
    distribution("lost", "[task2sim.qqqq]\nfog = toys:Sim\n")
    found = {other.distribution: f"{other.problem}; {other.mend}" for other in misregistrations()}
    assert found == {
        "astray": "there is no entry-point group 'task2sim.simulator'; did you mean 'task2sim.simulators'?",
        "lost": "there is no entry-point group 'task2sim.qqqq'; the groups are task2sim.api, task2sim.commands, "
        "task2sim.embedders, task2sim.evaluators, task2sim.executors, task2sim.exporters, task2sim.observers, "
        "task2sim.policies, task2sim.rewards, task2sim.simulators, task2sim.tasks, task2sim.trainers",
    }


def test_a_distribution_without_a_name_harms_only_itself(distribution) -> None:
    file = distribution("nameless", "[task2sim.simulators]\nmist = toys:Sim\n")
    (file.parent / "nameless-1.2.dist-info" / "METADATA").write_text("")
    installed_plugins.cache_clear()
    assert find_plugin("simulators", "mist").origin == "unknown unknown"
    find_plugin("simulators", "toy").load()


def test_what_a_plugin_prints_when_it_is_imported_does_not_reach_standard_output(
    distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    distribution(
        "chatty", "[task2sim.simulators]\nfog = chatty:Sim\n", module="print('hello')\nfrom toys import Sim\n"
    )
    find_plugin("simulators", "fog").load()
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")


def test_a_slow_or_chatty_import_is_watched(distribution) -> None:
    module = "import time\nprint('hello')\ntime.sleep(0.2)\nfrom toys import Sim\n"
    distribution("slow", "[task2sim.simulators]\nfog = slow:Sim\n", module=module)
    loading = load_and_watch(find_plugin("simulators", "fog"))
    assert 0.2 <= loading.seconds < 2
    assert loading.printed == "hello\n"


FORM = "; write kind:name=module:Class, such as simulators:fog=my_fog:Fog"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simulators", f"entry 1 at character 1: can't read 'simulators'{FORM}"),
        ("simulators:x", f"entry 1 at character 1: can't read 'simulators:x'{FORM}"),
        ("simulators:=a:B", f"entry 1 at character 1: can't read 'simulators:=a:B'{FORM}"),
        ("simulators:x=y", f"entry 1 at character 1: 'y' in 'simulators:x=y' is not module:Class{FORM}"),
        (
            "simulators:a=b:C, simulators:x=y.py:Z",
            f"entry 2 at character 19: 'y.py:Z' in 'simulators:x=y.py:Z' is not module:Class{FORM}",
        ),
        (
            "simulators:a=b:C,,simulator:x=y:Z",
            "entry 3 at character 19: there is no kind 'simulator' in 'simulator:x=y:Z'; did you mean 'simulators'?",
        ),
        (
            "ships:x=a:B",
            "entry 1 at character 1: there is no kind 'ships' in 'ships:x=a:B'; the kinds are tasks, embedders, "
            "policies, simulators, trainers, evaluators, rewards, exporters, executors, observers",
        ),
        (
            "simulators:x=a:B,tasks:x=a:B,simulators:x=c:D",
            "entry 3 at character 30: entry 1 is simulators:x as well; remove one of them",
        ),
    ],
)
def test_the_environment_variable_is_checked(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("TASK2SIM_PLUGINS", text)
    installed_plugins.cache_clear()
    with pytest.raises(ConfigError) as caught:
        installed_plugins()
    assert str(caught.value) == f"TASK2SIM_PLUGINS, {message}"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "nowhere:Sim",
            "can't be imported from nowhere:Sim: ModuleNotFoundError: No module named 'nowhere'; "
            "correct the module's name, or put its folder on PYTHONPATH",
        ),
        ("toys:Simm", "can't be used: module 'toys' has no 'Simm'; correct TASK2SIM_PLUGINS: did you mean 'Sim'?"),
    ],
)
def test_a_plugin_in_development_is_named_with_its_position(
    monkeypatch: pytest.MonkeyPatch, target: str, message: str
) -> None:
    monkeypatch.setenv("TASK2SIM_PLUGINS", f"simulators:toy=toys:Sim, simulators:mine={target}")
    installed_plugins.cache_clear()
    find_plugin("simulators", "toy").load()
    with pytest.raises(PluginError) as caught:
        find_plugin("simulators", "mine").load()
    assert str(caught.value) == (
        f"TASK2SIM_PLUGINS, entry 2 at character 26: simulator 'mine' (TASK2SIM_PLUGINS development) {message}"
    )


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
