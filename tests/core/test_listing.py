"""What `task2sim plugins` says of plugins that are broken, slow, noisy, ambiguous, or not there."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from task2sim import API_VERSION
from task2sim.catalogue import CATALOGUE, KnownPlugin, known_plugin
from task2sim.registry import KINDS, core_version

ROOT = Path(__file__).parents[2]

# Name of the distribution: its module, further metadata.
FIVE = {
    "future-sims": ("raise SystemExit", "[task2sim.api]\n9.0 = task2sim\n"),
    "half-sims": ("import nothing_like_it\n", ""),
    "typo-sims": ("def f(:\n", ""),
    "gone-sims": ("", ""),
    "wrong-sims": ("class Sim: pass\n", ""),
}


@pytest.fixture
def install(tmp_path: Path):
    """Make distributions that are found in a folder of their own; returns the folder."""

    def make(distributions: dict[str, tuple[str, str]]) -> Path:
        site = tmp_path / "site"
        for name, (module, groups) in distributions.items():
            stem = name.replace("-", "_")
            info = site / f"{stem}-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            own = f"[task2sim.simulators]\n{name.partition('-')[0]} = {stem}:Sim\n"
            (info / "entry_points.txt").write_text(groups if "simulators]" in groups else own + groups)
            if module:
                (site / f"{stem}.py").write_text(module)
        return site

    return make


def call(task2sim, site: Path, *arguments: str) -> str:
    done = task2sim("plugins", *arguments, TASK2SIM_PLUGINS="", PYTHONPATH=f"{site}:{ROOT / 'tests' / 'core'}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_five_broken_plugins_are_named_in_less_than_a_second(task2sim, install) -> None:
    site = install(FIVE)
    # Of processor time: how long it takes here depends on what else runs; `benchmarks/plugins.py` tells that.
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = call(task2sim, site)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime < 1.0
    a, b = told.index("To mend:"), told.index("Known, and not installed:")
    assert told[a:b].splitlines() == [
        "To mend:",
        "  simulator 'future' (future-sims 1.0): it was written for API 9.0, "
        f"and task2sim {core_version()} has API {API_VERSION}; upgrade task2sim",
        "  simulator 'gone' (gone-sims 1.0): there is no module 'gone_sims'; "
        "reinstall it, or put its folder on PYTHONPATH",
        f"  simulator 'half' (half-sims 1.0): {site}/half_sims.py:1 imports 'nothing_like_it', "
        "which is not installed; install what brings it",
        f"  simulator 'typo' (typo-sims 1.0): {site}/typo_sims.py:1 has a syntax error: invalid syntax; "
        "report it to its author, or choose another",
        "  simulator 'wrong' (wrong-sims 1.0): wrong_sims:Sim is not a subclass of task2sim.Simulator; "
        "derive it from there, or correct its entry point",
        "What only an import shows is shown by: task2sim plugins --load",
    ]
    assert [line.split()[-1] for line in told.splitlines() if "-sims   " in line and "simulators " in line] == [
        "used",
        "broken",
        "broken",
        "broken",
        "broken",
    ]


def test_an_import_shows_the_same_faults(task2sim, install) -> None:
    rows = json.loads(call(task2sim, install(FIVE), "--load", "--json"))
    states = {row["distribution"]: row["state"] for row in rows}
    assert states.pop("task2sim") == "ok"
    assert {name: state.partition(":")[0] for name, state in states.items()} == {
        "future-sims": "it was written for API 9.0, and task2sim "
        f"{core_version()} has API {API_VERSION}; upgrade task2sim",
        "gone-sims": "can't be imported from gone_sims",
        "half-sims": "can't be imported from half_sims",
        "typo-sims": "can't be imported from typo_sims",
        "wrong-sims": "can't be used",
    }


def test_a_slow_import_is_named_with_its_seconds_and_a_noisy_one_with_its_words(task2sim, install) -> None:
    module = "import time\nprint('hello\\nworld')\ntime.sleep(1.1)\nfrom toys import Sim\n"
    site = install({"slow-sims": (module, ""), "loud-sims": ("print('x' * 100)\nfrom toys import Sim\n", "")})
    assert "slow" not in call(task2sim, site).partition("To mend")[2]
    told = call(task2sim, site, "--load").partition("To mend:\n")[2].splitlines()
    assert told[0] == (
        f"  simulator 'loud' (loud-sims 1.0): it prints when it is imported: '{'x' * 60}...'; remove that"
    )
    assert told[1].startswith("  simulator 'slow' (slow-sims 1.0): importing it took 1.")
    assert told[1].endswith(" s; import what is heavy inside its methods")
    assert told[2] == "  simulator 'slow' (slow-sims 1.0): it prints when it is imported: 'hello world'; remove that"
    slow, *_ = [row for row in json.loads(call(task2sim, site, "--load", "--json")) if row["name"] == "slow"]
    assert slow["state"].startswith("importing it took 1.")


def test_names_that_several_use_say_what_to_write(task2sim, install) -> None:
    good = "from toys import Sim\n"
    site = install(
        {
            "a-sims": (good, "[task2sim.simulators]\nfog = a_sims:Sim\n"),
            "b-sims": (good, "[task2sim.simulators]\nfog = b_sims:Sim\nstudio = b_sims:Sim\n"),
            "c-sims": (good, "[task2sim.simulator]\nmist = c_sims:Sim\n"),
        }
    )
    told = call(task2sim, site).partition("To mend:\n")[2].splitlines()[:4]
    assert told == [
        "  simulator 'fog' (a-sims 1.0): b-sims has one of this name too; write a-sims/fog for this one",
        "  simulator 'fog' (b-sims 1.0): a-sims has one of this name too; write b-sims/fog for this one",
        "  simulator 'studio' (b-sims 1.0): 'studio' alone is the one that comes with task2sim; "
        "write b-sims/studio for this one",
        "  c-sims 1.0: there is no entry-point group 'task2sim.simulator'; did you mean 'task2sim.simulators'?",
    ]
    rows = json.loads(call(task2sim, site, "--json"))
    assert rows[-1] == {
        "kind": "",
        "name": "",
        "distribution": "c-sims",
        "version": "1.0",
        "target": "",
        "state": "there is no entry-point group 'task2sim.simulator'; did you mean 'task2sim.simulators'?",
    }


def test_the_last_section_is_what_is_not_installed(task2sim, install) -> None:
    told = call(task2sim, install({"mist-sims": ("from toys import Sim\n", "")}))
    last = told.partition("Known, and not installed:\n")[2].splitlines()
    line = "  simulator 'fractals', iterated function systems, no renderer at all: "
    assert f"{line}pip install ./examples/plugins/ifs-fractals (in a checkout of task2sim)" in last
    assert "To mend" not in told
    site = install(
        {"ifs-fractals": ("from toys import Sim\n", "[task2sim.simulators]\nfractals = ifs_fractals:Sim\n")}
    )
    assert "'fractals'" not in call(task2sim, site).partition("Known, and not installed:\n")[2]


def test_a_default_plugin_without_its_library_says_so(task2sim, tmp_path: Path) -> None:
    (tmp_path / "optuna").mkdir()  # found first, and no package
    hiding = "import sys\nsys.path = [p for p in sys.path]\nimport importlib.util as u\nfind = u.find_spec\n"
    hiding += "u.find_spec = lambda name, *a: None if name == 'optuna' else find(name, *a)\n"
    (tmp_path / "sitecustomize.py").write_text(hiding)
    told = call(task2sim, tmp_path)
    mend = "pip install 'task2sim[optuna]'"
    assert f"policy 'optuna' (task2sim {core_version()}): it needs 'optuna', which is not installed; {mend}" in told
    assert f"  policy 'optuna', the samplers of Optuna: {mend}" in told.partition("Known, and not installed:\n")[2]


def test_a_folder_of_that_name_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_folder_only").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert KnownPlugin("tasks", "x", "y", "z", "a_folder_only").lacks_library
    assert not KnownPlugin("tasks", "x", "y", "z", "numpy").lacks_library


def test_the_catalogue_is_true() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for known in CATALOGUE:
        assert known.kind in KINDS
        assert known_plugin(known.kind, known.name) is known
        if known.library:
            (extra,) = [name for name in extras if known.install == f"pip install 'task2sim[{name}]'"]
            assert any(known.library in requirement for requirement in extras[extra])
        else:
            project = tomllib.loads((ROOT / known.install.split()[-1] / "pyproject.toml").read_text())["project"]
            assert known.name in project["entry-points"][f"task2sim.{known.kind}"]
