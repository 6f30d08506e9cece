"""What is made of scenes: how fast datasets are exported, and that memory does not grow with them.

    python benchmarks/scenes.py coco --images 1024
    python benchmarks/scenes.py memory --images 50000
    python benchmarks/scenes.py questions

``coco`` compares images a second of rendering alone, by two processes, with those of exporting and of rendering and
exporting, in turns. ``memory`` renders and exports tiny images and looks at the memory of all processes meanwhile:
what they allocated, and not the pages of files that the system keeps for them as long as nobody else needs the room.
``questions`` asks balanced questions from scene graphs, with and without the pixels, in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from task2sim import Executor, Exporter, RenderedDataset
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.layers import ordered_layers
from task2sim.progress import Progress, progress_listener
from task2sim.rendering import render_dataset

Results = dict[str, Any]


def component(kind: str, **keys: Any) -> Any:
    return Chosen.parse(kind, keys).build()


def render(
    spec: ComponentSpec, images: int, seed: int, executor: Executor, layers: Sequence[str], root: Path
) -> Path:
    folder = Path(tempfile.mkdtemp(dir=root))
    space = spec.component().parameter_space
    render_dataset(spec, space.everything_varied(), images, seed, folder, executor, layers)
    return folder


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def family() -> set[int]:
    """This process and those it started, by Linux's /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


# --- how fast ---


def processor_seconds() -> float:
    """What this process and its workers have used; other work on the machine does not change it."""
    ticks = 0
    for process in family():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Clock:
    """Seconds on the wall and of processors since it was made."""

    def __init__(self) -> None:
        self._wall, self._used = time.perf_counter(), processor_seconds()

    def read(self) -> tuple[float, float]:
        """Both, in this order."""
        return time.perf_counter() - self._wall, processor_seconds() - self._used


def coco(arguments: argparse.Namespace) -> Results:
    """Images a second of rendering, of exporting, and of both one after the other."""
    results: Results = {}
    for name, further in (("one object", []), ("several objects", ["object_count", "clutter"])):
        keys = {"type": "studio", "resolution": arguments.resolution, "further_parameters": further, "device": "cpu"}
        spec = ComponentSpec.of(Chosen.parse("simulators", keys))
        exporter: Exporter = component("exporters", type="coco", format=arguments.format)
        turns: list[dict[str, tuple[float, float]]] = []
        with tempfile.TemporaryDirectory() as folder, component("executors", type="local", workers=2) as executor:
            root = Path(folder)
            # Workers start and load their meshes before anything is measured.
            remove(render(spec, arguments.images, 1, executor, (), root))
            for number in range(arguments.turns):
                clock = Clock()
                alone = render(spec, arguments.images, 1, executor, (), root)
                took = {"rendering": clock.read()}
                remove(alone)
                clock = Clock()
                layered = render(spec, arguments.images, 1, executor, ordered_layers(exporter.layers), root)
                exporting = Clock()
                exporter.write(RenderedDataset.open(layered), out := Path(tempfile.mkdtemp(dir=root)))
                took |= {"export": exporting.read(), "both": clock.read()}
                remove(layered)
                remove(out)
                turns.append(took)
                rates = {key: tuple(round(arguments.images / s) for s in seconds) for key, seconds in took.items()}
                print(f"{name}, turn {number + 1}: {rates} images a second and a processor's second", flush=True)
        close_components()
        for column, measure in enumerate(("on the wall", "of processors")):
            seconds = {key: [turn[key][column] for turn in turns] for key in turns[0]}

            def share(key: str, seconds: dict[str, list[float]] = seconds) -> float:
                pairs = zip(seconds["rendering"], seconds[key], strict=True)
                return round(statistics.median(alone / other for alone, other in pairs), 3)

            results[f"{name}, images a second {measure}"] = {
                **{key: round(arguments.images / statistics.median(values), 1) for key, values in seconds.items()},
                "export rate / rendering rate": share("export"),
                "rate of both / rendering rate": share("both"),
            }
    return {"resolution": arguments.resolution, "format": arguments.format, "images": arguments.images, **results}


# --- how much memory ---


def own_memory() -> int:
    """Bytes that this process and its workers have allocated."""
    kilobytes = 0
    for process in family():
        with contextlib.suppress(OSError):
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
            kilobytes += int(lines.get("RssAnon", "0 kB").split()[0])
    return 1024 * kilobytes


class Watch:
    """The largest memory seen in each tenth of a piece of work."""

    def __init__(self) -> None:
        self.peaks = [0] * 10
        self._tenth = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __call__(self, progress: Progress) -> None:
        """Note where the work is."""
        self._tenth = min(9, 10 * progress.done // progress.total)

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self.peaks[self._tenth] = max(self.peaks[self._tenth], own_memory())

    def of(self, work: Callable[[], Any]) -> tuple[Any, list[float]]:
        """Do something, and return what it returned and the peaks in megabytes."""
        self._thread.start()
        with progress_listener(self):
            result = work()
        self._ended.set()
        self._thread.join()
        return result, [round(peak / 1e6, 1) for peak in self.peaks]


def memory(arguments: argparse.Namespace) -> Results:
    """Peak memory in each tenth of rendering and of each export."""
    categories = ["mug", "vase", "teapot", "ball"]
    keys = {"type": "studio", "resolution": 16, "categories": categories, "instances": 4, "device": "cpu"}
    spec = ComponentSpec.of(Chosen.parse("simulators", keys))
    exporters = [
        {"type": "coco"},
        {"type": "segmentation-masks"},
        {"type": "webdataset"},
        {"type": "huggingface", "layers": ["instance-mask", "category-mask", "scene-graph"]},
    ]
    layers = ordered_layers({"instance-mask", "category-mask", "scene-graph"})
    results: Results = {}

    def note(name: str, peaks: list[float]) -> None:
        results[name] = peaks
        print(f"{name}: {peaks} MB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with component("executors", type="local", workers=2) as executor:
            dataset, peaks = Watch().of(lambda: render(spec, arguments.images, 1, executor, layers, root))
            note("rendering", peaks)
        close_components()
        for exporter in exporters:
            writer: Exporter = component("exporters", **exporter)
            out = Path(tempfile.mkdtemp(dir=root))
            opened = RenderedDataset.open(dataset)
            _, peaks = Watch().of(lambda w=writer, d=opened, o=out: w.write(d, o))
            note(str(exporter["type"]), peaks)
            remove(out)
    return {"unit": "MB, for each tenth of the work", "images": arguments.images, **results}


# --- how many questions ---


def questions(arguments: argparse.Namespace) -> Results:
    """Questions a second of one processor: balanced, in words, with answers."""
    from random import Random

    from task2sim_vqa.asking import ask, propose
    from task2sim_vqa.balance import Balance
    from task2sim_vqa.generate import default_setting
    from task2sim_vqa.language import nouns
    from task2sim_vqa.visible import look

    further = ["object_count", "clutter", "floor", "camera_elevation"]
    simulator = component("simulators", type="studio", resolution=128, further_parameters=further, device="cpu")
    known, _ = nouns(simulator.categories)
    pictures = []
    with simulator:
        for frames in simulator.render(default_setting(simulator.parameter_space), range(arguments.images), 1):
            pictures += zip(map(dict, frames.scenes), frames.instance_mask, frames.rgb, strict=True)
    balance = Balance()
    for number, picture in enumerate(pictures):
        for question, answer in propose(look(*picture), known, Random(number)):
            balance.count(question, answer)
    results: Results = {"images": arguments.images}
    for name, parts in (("from scene graphs", 1), ("from scene graphs, masks and pixels", 3)):
        rates = []
        for turn in range(arguments.turns):
            count, start = 0, time.process_time()
            for number, picture in enumerate(pictures):
                asked = ask(look(*picture[:parts]), known, balance, Random(turn * arguments.images + number))
                count += len([entry.text(known) for entry in asked])
            rates.append(count / (time.process_time() - start))
        results[f"questions a second of a processor, {name}"] = round(statistics.median(rates))
        results[f"questions an image, {name}"] = round(count / len(pictures), 1)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("coco", help="the rate of exports to COCO")
    one.add_argument("--images", type=int, default=1024)
    one.add_argument("--turns", type=int, default=3)
    one.add_argument("--resolution", type=int, default=64)
    one.add_argument("--format", choices=["png", "jpeg"], default="png")
    one.set_defaults(run=coco)
    one = commands.add_parser("memory", help="peak memory over many tiny images")
    one.add_argument("--images", type=int, default=50_000)
    one.set_defaults(run=memory)
    one = commands.add_parser("questions", help="the rate of questions")
    one.add_argument("--images", type=int, default=512)
    one.add_argument("--turns", type=int, default=3)
    one.set_defaults(run=questions)
    for command in commands.choices.values():
        command.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    results = arguments.run(arguments)
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
