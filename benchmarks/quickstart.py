"""Time and memory of the main job: ``task2sim run`` from an empty store to report.html.

Run it with nothing else on the machine::

    python benchmarks/quickstart.py --repeat 3

It prints the median wall time, the peak memory of all processes together, and where the time went.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def resident_bytes(root: int) -> int:
    """Memory of a process and all its descendants: proportional set size, so that shared pages count once."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        waiting.extend(children.get(pid, []))
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def run_once(study: str, overrides: list[str], folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "task2sim", "run", study, "--store", str(folder / "store")]
    command += ["--runs", str(folder / "runs")]
    for override in overrides:
        command += ["--set", override]
    start = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        ended = threading.Event()
        while not ended.wait(0.5):
            peak = max(peak, resident_bytes(process.pid))
            if process.poll() is not None:
                ended.set()
    if process.returncode:
        raise SystemExit(f"the study failed with exit code {process.returncode}")
    result = {"wall seconds": time.perf_counter() - start, "peak MB": peak / 1e6}
    (run,) = (folder / "runs").iterdir()
    with sqlite3.connect(run / "results.sqlite") as results:
        for name, seconds in results.execute("SELECT name, seconds FROM stages ORDER BY position"):
            result[f"{name} seconds"] = seconds
        row = results.execute(
            "SELECT COUNT(DISTINCT backbone), SUM(render_seconds), SUM(pretrain_seconds), SUM(score_seconds)"
            " FROM (SELECT DISTINCT backbone, render_seconds, pretrain_seconds, score_seconds FROM trials)"
        ).fetchone()
    names = ("backbones", "render worker seconds", "pre-train worker seconds", "score worker seconds")
    result.update(zip(names, row, strict=True))
    result["report MB"] = (run / "report.html").stat().st_size / 1e6
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="quickstart")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    runs = []
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run_once(arguments.study, arguments.overrides, Path(folder)))
        print(json.dumps({name: round(value, 1) for name, value in runs[-1].items()}), flush=True)
    print(f"median of {len(runs)}:")
    for name in runs[0]:
        print(f"  {name:<26} {statistics.median(run[name] for run in runs):8.1f}")


if __name__ == "__main__":
    main()
