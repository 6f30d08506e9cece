"""What plugins cost: listing them with five broken ones installed, writing one, and the conformance kit.

    python benchmarks/plugins.py              # listing beside --help, in turns
    python benchmarks/plugins.py --kit        # `new`, and the kit on some simulators, too

Medians of nine calls each, of whole processes.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BROKEN = {
    "future": ("from task2sim import Simulator as Sim\n", "[task2sim.api]\n9.0 = task2sim\n"),
    "gone": ("", ""),
    "half": ("import nothing_like_it\n", ""),
    "typo": ("def Sim(:\n", ""),
    "wrong": ("class Sim: ...\n", ""),
}


def install(site: Path) -> None:
    """Five distributions, each with a fault of its own."""
    for name, (module, groups) in BROKEN.items():
        info = site / f"{name}_sims-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-sims\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[task2sim.simulators]\n{name} = {name}_sims:Sim\n{groups}")
        if module:
            (site / f"{name}_sims.py").write_text(module)


def call(words: list[str], path: str = "") -> tuple[float, str]:
    """Seconds that a command took, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "task2sim", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout


def listing(site: Path) -> None:
    """`task2sim plugins` with and without the broken ones, beside `--help`."""
    install(site)
    commands = {
        "task2sim --help": (["--help"], ""),
        "task2sim plugins": (["plugins"], ""),
        "task2sim plugins, five broken ones installed": (["plugins"], str(site)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(9):
        for name, (words, path) in commands.items():
            taken, told = call(words, path)
            seconds[name].append(taken)
    named = [name for name in BROKEN if re.search(rf"simulator '{name}' \({name}-sims 1.0\):", told)]
    for name, values in seconds.items():
        print(f"{name:<48} {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})")
    print(f"faults named: {', '.join(named)}")


def kit(folder: Path) -> None:
    """Writing a package, and holding simulators to their promises."""
    taken, _ = call(["new", "simulator", "my-sim", "--folder", str(folder)])
    print(f"task2sim new simulator my-sim: {taken:.2f} s")
    source = str(folder / "my-sim" / "src")
    os.environ["TASK2SIM_PLUGINS"] = "simulators:my-sim=my_sim:MySim"
    for plugin in ("simulator:my-sim", "simulator:studio"):
        taken, told = call(["check", plugin, "--config", "resolution=32"], source)
        print(f"task2sim check {plugin}: {taken:.1f} s, {told.splitlines()[-1]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", action="store_true", help="try `new` and the kit, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        listing(Path(name) / "site")
        if arguments.kit:
            kit(Path(name))
