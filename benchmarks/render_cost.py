"""What an image costs the studio against triangles, objects, pixels and batch; for ``benchmarks/render.py``."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OBJECTS, TRIANGLES, RESOLUTION = 4, 10_000, 128
"""Where the sweeps meet; triangles are those of all objects together."""


@dataclass
class Sweep:
    """One number varied, the others as at the meeting point.

    Attributes:
        axis: What is varied.
        at: Its values.
        grows: What the cost is taken to be linear in.
        fixed, growing: How its two parts are told of.
        milliseconds: CPU time for an image, the median of the turns.
    """

    axis: str
    at: tuple[int, ...]
    grows: Callable[[float], float]
    fixed: str
    growing: str
    milliseconds: list[float] = field(default_factory=list)

    def parts(self) -> tuple[float, float]:
        """Cost that is always there, and cost for a unit of `grows`: least squares of the relative error."""
        costs = np.array(self.milliseconds)
        basis = np.stack([np.ones(len(self.at)), [self.grows(x) for x in self.at]], axis=-1)
        fixed, slope = np.linalg.lstsq(basis / costs[:, None], np.ones(len(costs)), rcond=None)[0]
        return float(fixed), float(slope)

    def law(self) -> str:
        """The fitted law in words."""
        fixed, slope = self.parts()
        return f"{fixed:.3g} ms {self.fixed} + {slope:.3g} ms {self.growing}"


def ball(triangles: int) -> Any:
    """A bumpy ball of about as many triangles, whose bounding sphere has diameter 1."""
    from task2sim import Material
    from task2sim_studio.mesh import Mesh, Part

    rows = max(2, round(math.sqrt(triangles / 4.0)))
    columns = max(3, round(triangles / (2.0 * rows)))
    polar, around = np.meshgrid(
        np.linspace(0.0, math.pi, rows + 1), np.linspace(0.0, 2.0 * math.pi, columns + 1), indexing="ij"
    )
    outwards = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    radius = 0.45 + 0.05 * np.sin(4.0 * polar) * np.sin(polar) * np.cos(5.0 * around)
    corner = np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)
    quads = np.stack([corner, corner + columns + 1, corner + columns + 2, corner + 1], axis=-1).reshape(-1, 4)
    part = Part("all", Material("wood", 3))
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Mesh(
        (outwards * radius[..., None]).reshape(-1, 3),
        outwards.reshape(-1, 3),
        np.stack([around / math.pi, polar / math.pi], axis=-1).reshape(-1, 2),
        faces,
        np.zeros(len(faces), dtype=np.int32),
        (part,),
    )


@cache
def renderer(resolution: int) -> Any:
    from task2sim_studio.environments import ProceduralEnvironments
    from task2sim_studio.renderer import Renderer

    return Renderer(resolution, lambda _, triangles: ball(triangles), ProceduralEnvironments().load, ["ball"], "cpu")


def scenes(objects: int, triangles: int, count: int) -> list[Any]:
    """Balls in rows of four that fill the picture from its middle, seen from all sides."""
    from task2sim import Background, Camera, Scene, SceneObject, Sun

    places = sorted(
        ((0.6 * column - 0.9, 0.6 * row - 0.6, 0.0) for row in range(3) for column in range(4)),
        key=lambda place: math.hypot(*place),
    )
    placed = tuple(SceneObject("ball", triangles // objects, place, size=0.55) for place in places[:objects])
    out = []
    for frame in range(count):
        azimuth = frame * math.pi * (3.0 - math.sqrt(5.0))
        camera = Camera((2.2 * math.cos(azimuth), 2.2 * math.sin(azimuth), 1.8))
        out.append(Scene(frame, placed, camera, Sun((0.48, -0.36, 0.8)), Background("meadow")))
    return out


def batch_of(resolution: int) -> int:
    """The batch that the studio takes by itself."""
    return max(1, min(64, 2**20 // resolution**2))


def milliseconds(objects: int, triangles: int, resolution: int, batch: int, seconds: float) -> float:
    """CPU time for an image, over at least some seconds of it."""
    asked = scenes(objects, triangles, batch)
    engine = renderer(resolution)
    engine.render(asked)
    start, images = time.process_time(), 0
    while (spent := time.process_time() - start) < seconds:
        engine.render(asked)
        images += batch
    return 1e3 * spent / images


def measure(rounds: int, seconds: float) -> list[Sweep]:
    """Measure all sweeps in turns."""
    usual = batch_of(RESOLUTION)
    sweeps = [
        Sweep(
            "triangles",
            (100, 300, 1000, 3000, 10_000, 30_000, 100_000),
            lambda x: x / 1000.0,
            "for pixels and objects",
            "for 1,000 triangles",
        ),
        Sweep("objects", tuple(range(1, 13)), float, "for the picture", "for an object of 2,500 triangles"),
        Sweep(
            "pixels along a side",
            (32, 48, 64, 96, 128, 192, 256, 384, 512),
            lambda x: x * x / 1e4,
            "for triangles and objects",
            "for 10,000 pixels",
        ),
        Sweep("images in a batch", (1, 2, 4, 8, 16, 32, 64, 128), lambda x: 1.0 / x, "for an image", "for a batch"),
    ]
    runs: list[Callable[[int], float]] = [
        lambda x: milliseconds(OBJECTS, x, RESOLUTION, usual, seconds),
        lambda x: milliseconds(x, 2500 * x, RESOLUTION, usual, seconds),
        lambda x: milliseconds(OBJECTS, TRIANGLES, x, batch_of(x), seconds),
        lambda x: milliseconds(OBJECTS, TRIANGLES, RESOLUTION, x, seconds),
    ]
    turns = [[[run(x) for x in sweep.at] for sweep, run in zip(sweeps, runs, strict=True)] for _ in range(rounds)]
    for k, sweep in enumerate(sweeps):
        sweep.milliseconds = [statistics.median(values) for values in zip(*(turn[k] for turn in turns), strict=True)]
    return sweeps


def plot(sweeps: list[Sweep], path: Path) -> None:
    """One panel a sweep: what was measured, the fitted law, and the knee where its two parts are equal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    figure, panels = pyplot.subplots(2, 2, figsize=(9.0, 6.4), constrained_layout=True)
    for sweep, panel in zip(sweeps, panels.flat, strict=True):
        fixed, slope = sweep.parts()
        even = sweep.axis == "objects"
        first, last = sweep.at[0], sweep.at[-1]
        fine: NDArray[Any] = np.linspace(first, last, 200) if even else np.geomspace(first, last, 200)
        law = np.array([fixed + slope * sweep.grows(x) for x in fine])
        panel.plot(fine, law, color="0.55", linestyle="--", linewidth=1.2, label=sweep.law().replace(" + ", "\n+ "))
        panel.plot(sweep.at, sweep.milliseconds, color="black", marker="o", markersize=4, linewidth=1.4)
        parts = np.array(
            [abs(math.log(fixed / (slope * sweep.grows(x)))) if fixed * slope > 0 else 9.0 for x in fine]
        )
        if parts.min() < 0.05:
            knee = fine[parts.argmin()]
            panel.axvline(
                knee,
                color="0.55",
                linestyle=":",
                linewidth=1.2,
                label=f"both equal at about {float(f'{knee:.2g}'):,.0f}",
            )
        if not even:
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_xticks(sweep.at[:: 1 if len(sweep.at) < 9 else 2])
            panel.xaxis.set_major_formatter("{x:,.0f}")
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_formatter("{x:g}")
            panel.set_ylim(0.8 * min(sweep.milliseconds), 1.25 * max(sweep.milliseconds))
        else:
            panel.set_xticks(sweep.at)
            panel.set_ylim(bottom=0.0)
        panel.set_xlabel(sweep.axis)
        panel.set_ylabel("CPU milliseconds an image")
        panel.grid(color="0.9", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.legend(fontsize=8, frameon=False)
    figure.suptitle(
        f"The studio on one core; unless varied: {OBJECTS} objects, {TRIANGLES:,} triangles, {RESOLUTION} px",
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
