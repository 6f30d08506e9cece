"""How fast the studio renders, beside other engines and by itself.

Run it with nothing else on the machine, a measurement at a time::

    python benchmarks/render.py peers --json peers.json     # against other engines, the same scene
    python benchmarks/render.py scaling                     # one process and two
    python benchmarks/render.py generate                    # `task2sim generate` against rendering alone
    python benchmarks/render.py memory                      # over 50,000 images
    python benchmarks/render.py startup                     # to the first image, kernels compiled or not
    python benchmarks/render.py cost --plot cost.png        # triangles, objects, pixels, batch
    python benchmarks/render.py gpu                         # where there is one

What is compared is measured in turns, so that noise of the machine meets all alike; figures are medians, ratios are
taken within a turn first. Other engines are skipped if they are absent; they are to be had by ``pip install pyrender
mujoco pybullet mitsuba`` and then ``pip install --upgrade PyOpenGL`` (Pyrender asks for one too old for MuJoCo, but
works with the new one), and the first two need Mesa's EGL from the system.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import render_cost
import render_peers
from render_peers import ENGINES, make_scene

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LP_NUM_THREADS": "0",  # Mesa's software OpenGL
    "MUJOCO_GL": "egl",
}
FEWEST = 8
"""Frames that an engine draws in a turn at least."""

Results = dict[str, Any]


def table(rows: Sequence[Sequence[Any]]) -> None:
    """Print rows of cells as columns."""
    texts = [[cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    for row in texts:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip(), flush=True)


def cores() -> list[int]:
    """Processors that this process may use, the last first, since the first serves interrupts."""
    return sorted(os.sched_getaffinity(0), reverse=True)


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


# --- peers ---


class Worker:
    """An engine in a process of its own, on one processor."""

    def __init__(self, name: str, scene: Path) -> None:
        self.name = name
        self._log = scene.with_name(f"{name}.log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, render_peers.__file__, name, str(scene), str(cores()[0])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | ONE_THREAD,
            )

    def ask(self, **command: Any) -> Results:
        """Have it do something, and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: Results = json.loads(line) if line else {"absent": f"it ended: {self._last_words()}"}
        return answer

    def _last_words(self) -> str:
        return self._log.read_text().strip().rpartition("\n")[2] or "without a word"

    def end(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def peers(arguments: argparse.Namespace) -> Results:
    """Images per CPU-second of one core for each engine."""
    chosen = arguments.engines or list(ENGINES)
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.npz"
        triangles = make_scene(scene)
        print(f"four textured objects of together {triangles} triangles; images per CPU-second of one core\n")
        workers = {name: Worker(name, scene) for name in chosen}
        try:
            for resolution in arguments.resolutions:
                results[str(resolution)] = _race(workers, resolution, arguments, Path(folder))
        finally:
            for worker in workers.values():
                worker.end()
        if not workers:
            raise SystemExit("no engine works here")
        sizes = [str(resolution) for resolution in arguments.resolutions]
        names = [name for name in chosen if name in workers]
        head = ["engine", *(f"{size} px" for size in sizes)]
        if "studio" in names:
            head += [*(f"studio x, {size} px" for size in sizes), "same mask", "depth off by"]
        rows: list[list[Any]] = [head]
        for name in names:
            row: list[Any] = [name, *(results[size][name]["images per CPU-second"] for size in sizes)]
            if "studio" in names:
                row += [results[size][name]["studio ratio"] for size in sizes]
                agreement = results[sizes[-1]][name]["agreement"]
                row += [f"{100 * agreement['mask']:.1f} %", f"{1000 * agreement['depth']:.0f} mm"]
            rows.append(row)
        print()
        table(rows)
        print()
        for name in names:
            if ENGINES[name].lacks:
                print(f"{name} lacks {ENGINES[name].lacks}")
    results["triangles"] = triangles
    return results


def _race(workers: dict[str, Worker], resolution: int, arguments: argparse.Namespace, folder: Path) -> Results:
    """Measure every engine in turns at one resolution; those that fail are told of and left out from now on."""
    counts, rates, saved = {}, {}, {}
    for name in list(workers):
        answer = workers[name].ask(resolution=resolution)
        if "absent" not in answer:
            batch = answer["batch"]
            answer = workers[name].ask(first=0, images=batch)
        if "absent" in answer:
            print(f"{name} is skipped: {answer['absent']}", flush=True)
            workers.pop(name).end()
            continue
        # Frames differ in cost: a turn has some of them, however slow the engine.
        counts[name] = max(-(-FEWEST // batch), round(arguments.seconds / answer["cpu"])) * batch
        rates[name] = []
        saved[name] = folder / f"{name}-{resolution}.npz"
        workers[name].ask(save=str(saved[name]))
    for turn in range(arguments.rounds):
        # Every other turn runs backwards, so that nobody always follows the same engine.
        for name in list(counts)[:: 1 if turn % 2 == 0 else -1]:
            answer = workers[name].ask(first=1000 + turn * counts[name], images=counts[name])
            rates[name].append(counts[name] / answer["cpu"])
        print(f"  {resolution} px, turn {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
    out: Results = {}
    for name, values in rates.items():
        out[name] = {"images per CPU-second": statistics.median(values), "turns": values, "images": counts[name]}
        if "studio" in rates:
            out[name]["studio ratio"] = median_ratio(rates["studio"], values)
            out[name]["agreement"] = _agreement(saved["studio"], saved[name])
    if arguments.pictures:
        _save_pictures(saved, arguments.pictures / f"peers-{resolution}.png")
    return out


def _agreement(ours: Path, theirs: Path) -> Results:
    """Whether an engine drew the same scene: share of equal mask pixels, median difference of their depths."""
    with np.load(ours, allow_pickle=False) as a, np.load(theirs, allow_pickle=False) as b:
        same = a["mask"] == b["mask"]
        both = same & (a["mask"] > 0)
        return {"mask": float(same.mean()), "depth": float(np.median(np.abs(a["depth"][both] - b["depth"][both])))}


def _save_pictures(saved: dict[str, Path], path: Path) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for file in saved.values():
        with np.load(file, allow_pickle=False) as arrays:
            rows.append(np.concatenate(list(arrays["rgb"]), axis=1))
    Image.fromarray(np.concatenate(rows)).save(path)


# --- the studio by itself ---


def studio(resolution: int, device: str = "cpu") -> Any:
    from task2sim_studio.simulator import Studio

    return Studio(Studio.Config(resolution=resolution, device=device))


def render_some(simulator: Any, setting: str, indices: range) -> None:
    """Render images with a setting named as in ``task2sim generate --setting``, and throw them away."""
    space = simulator.parameter_space
    point = space.default() if setting == "default" else space.everything_varied()
    for _ in simulator.render(point, indices, 0):
        pass


def _scaling_worker(core: int, resolution: int, setting: str, pipe: Connection) -> None:
    os.sched_setaffinity(0, {core})
    with studio(resolution) as simulator:
        while (indices := pipe.recv()) is not None:
            start = time.process_time()
            render_some(simulator, setting, indices)
            pipe.send(time.process_time() - start)


def scaling(arguments: argparse.Namespace) -> Results:
    """Wall time of one process, and of several that each render as many images."""
    available = cores()
    if len(available) < arguments.processes:
        raise SystemExit(f"{arguments.processes} processes need as many processors; there are {len(available)}")
    context = multiprocessing.get_context("spawn")
    os.environ.update(ONE_THREAD)
    pipes = []
    for core in available[: arguments.processes]:
        ours, theirs = context.Pipe()
        context.Process(
            target=_scaling_worker, args=(core, arguments.resolution, arguments.setting, theirs), daemon=True
        ).start()
        pipes.append(ours)

    def rate(active: Sequence[Any]) -> tuple[float, float]:
        """Images per second of wall time, and CPU milliseconds an image."""
        start = time.perf_counter()
        for pipe in active:
            pipe.send(range(arguments.images))
        spent = sum(pipe.recv() for pipe in active)
        images = len(active) * arguments.images
        return images / (time.perf_counter() - start), 1e3 * spent / images

    rate(pipes)  # loads kernels and builds meshes
    turns = [(rate(pipes[:1]), rate(pipes)) for _ in range(arguments.rounds)]
    for pipe in pipes:
        pipe.send(None)
    one, several = zip(*turns, strict=True)
    ratio = median_ratio([wall for wall, _ in several], [wall for wall, _ in one])
    rows: list[list[Any]] = [["processes", "images/s of wall time", "CPU ms an image"]]
    for count, measured in ((1, one), (arguments.processes, several)):
        rows.append([str(count), *(statistics.median(values) for values in zip(*measured, strict=True))])
    table(rows)
    print(f"{arguments.processes} processes are {ratio:.2f} times as fast as one")
    # Where an image takes one process longer than its CPU time, something else runs on the machine.
    share = statistics.median(wall * cpu / 1e3 for wall, cpu in one)
    if share < 0.95:
        print(f"but one process got only {100 * share:.0f} % of its processor: the machine is busy")
    return {"processes": arguments.processes, "one": one, "several": several, "ratio": ratio}


RENDER_ONLY = """
import sys
from task2sim_studio.simulator import Studio
setting, resolution, images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Studio(Studio.Config(resolution=resolution, device="cpu")) as simulator:
    space = simulator.parameter_space
    point = space.default() if setting == "default" else space.everything_varied()
    for _ in simulator.render(point, range(images), 0):
        pass
"""
"""What `generate` does but for keeping anything: the same images."""


def _raw_seconds(setting: str, resolution: int, images: int) -> float:
    """Wall time from the start of a process to its end that renders images and throws them away."""
    start = time.perf_counter()
    _run([sys.executable, "-c", RENDER_ONLY, setting, str(resolution), str(images)])
    return time.perf_counter() - start


def _generate_seconds(setting: str, resolution: int, images: int) -> float:
    """Wall time from the start of ``task2sim generate`` to when the dataset lies in the store, not yet exported."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "task2sim", "generate", f"{folder}/out", "--store", f"{folder}/store"]
        command += ["--setting", setting, "--images", str(images)]
        for override in (
            f"simulator.resolution={resolution}",
            "simulator.categories=null",
            "simulator.device=cpu",
            "executor.workers=1",
        ):
            command += ["--set", override]
        start = time.time()
        _run(command)
        (manifest,) = Path(folder, "store", "datasets").glob("*/dataset.json")
        return manifest.stat().st_mtime - start


def _run(command: list[str]) -> None:
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"this failed: {' '.join(command)}\n{done.stderr}")


def generate(arguments: argparse.Namespace) -> Results:
    """Images per second of wall time to a dataset in the store, by one worker, against rendering alone."""
    few, many, resolution = max(1, arguments.images // 8), arguments.images, arguments.resolution
    results: Results = {"images": many, "resolution": resolution}
    rows: list[list[Any]] = [["setting", "start of the processes", "render alone/s", "generate/s", "share"]]
    for setting in ("default", "everything-varied"):
        including, excluding = [], []
        for turn in range(arguments.rounds):
            measured = [
                [seconds(setting, resolution, images) for images in (few, many)]
                for seconds in (_raw_seconds, _generate_seconds)
            ]
            including.append([many / last for _, last in measured])
            # What the last images took, after the first few: neither imports nor kernels are in it.
            excluding.append([(many - few) / (last - first) for first, last in measured])
            print(f"  {setting}, turn {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        results[setting] = {}
        for name, turns in (("included", including), ("excluded", excluding)):
            raw, whole = zip(*turns, strict=True)
            share = median_ratio(whole, raw)
            results[setting][name] = {"raw": raw, "generate": whole, "share": share}
            rows.append([setting, name, statistics.median(raw), statistics.median(whole), f"{100 * share:.0f} %"])
    print(f"{many} images of {resolution} px, wall time; the export that follows is left out\n")
    table(rows)
    return results


FLAT = 5.0
"""Megabytes in 10,000 images: less is called flat."""


def memory(arguments: argparse.Namespace) -> Results:
    """Resident memory of a process that renders for long."""
    os.environ.update(ONE_THREAD)
    every, skipped = arguments.every, 5 * arguments.every
    if arguments.images < skipped + 2 * every:
        raise SystemExit(f"memory needs at least {skipped + 2 * every} images, or a smaller --every")
    page = os.sysconf("SC_PAGE_SIZE")
    samples: list[tuple[int, float]] = []
    with studio(arguments.resolution) as simulator:
        for first in range(0, arguments.images, every):
            render_some(simulator, "everything-varied", range(first, first + every))
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page / 1e6
            samples.append((first + every, resident))
            print(f"  {first + every} images: {resident:.0f} MB", file=sys.stderr, flush=True)

    def slope(after: float) -> float:
        images, megabytes = zip(*(sample for sample in samples if sample[0] >= after), strict=True)
        return float(1e4 * np.polyfit(images, megabytes, 1)[0])

    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6
    slopes = {f"after {skipped}": slope(skipped), "last half": slope(arguments.images / 2)}
    word = "flat" if max(slopes.values()) < FLAT else "growing"
    print(f"peak {peak:.0f} MB; MB in 10,000 images: {', '.join(f'{n} {v:+.1f}' for n, v in slopes.items())}: {word}")
    return {"peak MB": peak, "samples": samples, "slopes": slopes, "word": word}


FIRST_IMAGE = """
from task2sim_studio.simulator import Studio
simulator = Studio(Studio.Config(resolution=128, device="cpu"))
next(iter(simulator.render(simulator.parameter_space.default(), range(1), 0)))
print(flush=True)
"""


def _first_image_seconds(environment: dict[str, str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", FIRST_IMAGE], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if not line:
        raise SystemExit("the first image never came")
    return seconds


def startup(arguments: argparse.Namespace) -> Results:
    """From the start of a process to its first image."""
    _first_image_seconds(dict(os.environ))  # fills the cache of kernels, and the disk's
    warm = [_first_image_seconds(dict(os.environ)) for _ in range(arguments.rounds)]
    cold = []
    for _ in range(arguments.cold):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_first_image_seconds(os.environ | {"WARP_CACHE_PATH": folder}))
    rows: list[list[Any]] = [["kernels", "seconds", "times"], ["compiled before", statistics.median(warm), len(warm)]]
    if cold:
        rows.append(["compiled now", statistics.median(cold), len(cold)])
    table(rows)
    return {"warm": warm, "cold": cold}


def gpu(arguments: argparse.Namespace) -> Results:
    """Images per second with the pictures left on the device, and where its time goes."""
    from task2sim import ConfigError
    from task2sim_studio.device import resolve_device

    try:
        device = resolve_device("cuda")
    except ConfigError as error:
        raise SystemExit(f"{error.message}; there is nothing to measure") from None
    import warp as wp

    results: Results = {"device": wp.get_device(device).name}
    rows: list[list[Any]] = [["pixels", "images/s", "kernels alone/s", "packing ms/image"]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npz"
        make_scene(path)
        scene = render_peers.TestScene(path)
    for resolution in arguments.resolutions:
        engine = render_peers.Studio(scene, resolution, "cuda")
        # Another batch each time, so that nothing can be kept.
        batches = [engine.scenes(range(k * arguments.batch, (k + 1) * arguments.batch)) for k in range(8)]
        rates = []
        for turn in range(arguments.rounds + 1):
            wp.synchronize_device(device)
            start = time.perf_counter()
            for batch in batches:
                engine.renderer.draw(batch)
            called = time.perf_counter()
            wp.synchronize_device(device)
            if turn:  # the first warms up
                rates.append(len(batches) * arguments.batch / (time.perf_counter() - start))
                packing = 1e3 * (called - start) / (len(batches) * arguments.batch)
        wp.timing_begin(cuda_filter=wp.TIMING_ALL)
        for batch in batches:
            engine.renderer.draw(batch)
        activities: dict[str, float] = {}
        for activity in wp.timing_end():
            activities[activity.name] = activities.get(activity.name, 0.0) + activity.elapsed
        engine.close()
        total = sum(activities.values())
        alone = 1e3 * len(batches) * arguments.batch / total
        rows.append([str(resolution), statistics.median(rates), alone, packing])
        shares = {name: spent / total for name, spent in sorted(activities.items(), key=lambda item: -item[1])}
        results[str(resolution)] = {"rates": rates, "kernels alone": alone, "shares": shares}
    print(f"{results['device']}, batches of {arguments.batch}; pictures stay on the device\n")
    table(rows)
    for resolution in arguments.resolutions:
        print(f"\nshare of the device's time at {resolution} px")
        table([[name, f"{100 * share:.1f} %"] for name, share in results[str(resolution)]["shares"].items()])
    return results


def cost(arguments: argparse.Namespace) -> Results:
    """What an image costs against triangles, objects, pixels and batch."""
    os.environ.update(ONE_THREAD)
    os.sched_setaffinity(0, cores()[:1])
    sweeps = render_cost.measure(arguments.rounds, arguments.seconds)
    for sweep in sweeps:
        print(f"\n{sweep.axis}: {sweep.law()}")
        table([[sweep.axis, "CPU ms an image"], *zip(map(str, sweep.at), sweep.milliseconds, strict=True)])
    if arguments.plot:
        render_cost.plot(sweeps, arguments.plot)
    return {sweep.axis: dict(zip(map(str, sweep.at), sweep.milliseconds, strict=True)) for sweep in sweeps}


def facts() -> Results:
    """What a reader of the figures needs to know of this machine."""
    processor = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    versions = {}
    for name in ("warp-lang", "numpy", *dict.fromkeys(engine.install for engine in ENGINES.values())):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": processor, "processors": len(cores()), "python": platform.python_version(), **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(function: Any, **options: Any) -> None:
        one = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        one.set_defaults(function=function)
        one.add_argument("--json", type=Path, help="write the figures to this file")
        for name, value in options.items():
            if isinstance(value, dict):
                one.add_argument(f"--{name}", **value)
            else:
                one.add_argument(f"--{name}", type=type(value), default=value, help=f"[default: {value}]")

    sizes = {"type": int, "nargs": "+", "default": [64, 128, 224]}
    command(
        peers,
        engines={"nargs": "+", "choices": list(ENGINES)},
        resolutions=sizes,
        rounds=7,
        seconds={"type": float, "default": 1.0, "help": "of CPU time for an engine in each turn [default: 1]"},
        pictures={"type": Path, "help": "save what each engine drew to this folder"},
    )
    setting = {"choices": ["default", "everything-varied"], "default": "everything-varied"}
    command(scaling, processes=2, resolution=128, images=1024, rounds=7, setting=setting)
    command(generate, resolution=128, images=8192, rounds=3)
    command(memory, resolution=64, images=50_000, every=1000)
    command(startup, rounds=7, cold=1)
    command(cost, rounds=5, seconds=0.3, plot={"type": Path, "help": "draw the figures to this picture"})
    command(gpu, resolutions=sizes, batch=256, rounds=5)
    arguments = parser.parse_args()
    results = arguments.function(arguments)
    if arguments.json:
        document = {"command": arguments.command, "machine": facts(), "results": results}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
