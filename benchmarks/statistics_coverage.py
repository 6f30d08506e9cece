"""How often an ablation's intervals hold the truth, and how often its test finds what is not there.

Scores are drawn where the truth is known, and put through the functions that the report uses.

    python benchmarks/statistics_coverage.py [--simulations 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import attrs
import numpy as np

from task2sim import spawn_generator
from task2sim_report.ablation.statistics import IQM_USES, compare, holm, interquartile_mean, interval_of_runs

EASE = 0.12
"""Standard deviation of the mean scores of tasks."""

NOISE = 0.02
"""Standard deviation of a score over seeds."""

GAIN, GAIN_SPREAD = 0.01, 0.02
"""What a row gains on a task: mean and standard deviation over tasks."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.normal(size=shape)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Exponential: mean 0, standard deviation 1, skewness 2."""
    return generator.exponential(size=shape) - 1


def pairs(scores: np.ndarray) -> dict[tuple[str, int], float]:
    """Scores of shape (tasks, seeds) as the report has them."""
    return {(f"task {t:02d}", s): float(scores[t, s]) for t in range(scores.shape[0]) for s in range(scores.shape[1])}


def row_coverage(tasks: int, seeds: int, simulations: int, noise: Noise = normal, shared: float = 0.0) -> float:
    """Interquartile mean of a row, of further seeds on the same tasks (with one seed: of further tasks).

    Args:
        tasks: Number of tasks.
        seeds: Number of seeds.
        simulations: How often.
        noise: What a score's deviation is drawn from.
        shared: Standard deviation of what all tasks of a seed have in common, in units of `NOISE`.
    """
    hits = 0
    for number in range(simulations):
        generator = spawn_generator(number, "statistics coverage", f"row {tasks} {seeds} {noise.__name__} {shared}")
        ease = EASE * generator.normal(size=tasks)
        size = (tasks, seeds)
        scores = 0.6 + ease[:, None] + NOISE * (noise(generator, size) + shared * normal(generator, (1, seeds)))
        if seeds > 1:
            spread = NOISE * np.hypot(1, shared)
            further = noise(generator, (tasks, 4000)) * spread
            truth = interquartile_mean((0.6 + ease[:, None] + further).ravel())
        else:
            truth = 0.6
        interval = interval_of_runs(pairs(scores), interquartile_mean, f"row {number}", IQM_USES)
        hits += interval.low <= truth <= interval.high
    return hits / simulations


def difference_coverage(
    tasks: int, seeds: int, simulations: int, noise: Noise = normal, shared: float = 0.0
) -> float:
    """Mean difference of two rows, on further tasks; with fewer than 5 tasks, of further seeds on the same tasks."""
    hits = 0
    for number in range(simulations):
        generator = spawn_generator(number, "statistics coverage", f"pair {tasks} {seeds} {noise.__name__} {shared}")
        gains = GAIN + GAIN_SPREAD * noise(generator, (tasks, 1))
        # Both rows have the task and its seed in common, and errors of their own.
        common = EASE * normal(generator, (tasks, 1)) + NOISE * normal(generator, (tasks, seeds))
        one, other = (
            common + NOISE * (normal(generator, (tasks, seeds)) + shared * normal(generator, (1, seeds)))
            for _ in range(2)
        )
        truth = GAIN if tasks >= 5 else float(gains.mean())
        interval = compare(pairs(one + gains), pairs(other), f"pair {number}").interval
        hits += interval.low <= truth <= interval.high
    return hits / simulations


def false_discoveries(
    tasks: int, seeds: int, rows: int, simulations: int, noise: Noise = normal, shared: float = 0.0
) -> float:
    """How often any of several rows that gain nothing is called significant (the family-wise error)."""
    errors = 0
    for number in range(simulations):
        generator = spawn_generator(number, "statistics coverage", f"null {tasks} {seeds} {noise.__name__} {shared}")
        common = EASE * normal(generator, (tasks, 1)) + NOISE * normal(generator, (tasks, seeds))
        # What a row gains on a task is as often a loss; the noise of the baseline is in every comparison.
        gains = [GAIN_SPREAD * normal(generator, (tasks, 1)) for _ in range(rows + 1)]
        if tasks < 5:
            # The question is about these tasks, so nothing is gained on them together.
            gains = [one - one.mean() for one in gains]
        scores = [
            common + gain + NOISE * (noise(generator, (tasks, seeds)) + shared * normal(generator, (1, seeds)))
            for gain in gains
        ]
        found = [compare(pairs(one), pairs(scores[0]), f"null {number}") for one in scores[1:]]
        p_values = [one.p_value for one in found]
        # Below Holm's first step nothing is found. (statsmodels collects garbage with each correction: slow.)
        if min(p for p in p_values if p is not None) * rows < 0.05:
            errors += any(
                attrs.evolve(o, p_holm=p).is_significant for o, p in zip(found, holm(p_values), strict=True)
            )
    return errors / simulations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    count = parser.parse_args().simulations
    start = time.perf_counter()
    print(f"{count} simulations each; standard error at 95 %: {100 * (0.0475 / count) ** 0.5:.1f} %")
    for tasks, seeds in ((6, 3), (10, 2), (10, 3), (10, 5), (20, 3), (4, 2)):
        print(f"IQM, {tasks} tasks x {seeds} seeds: {100 * row_coverage(tasks, seeds, count):.1f} %", flush=True)
    for tasks in (6, 10, 20):
        print(f"IQM, {tasks} tasks x 1 seed: {100 * row_coverage(tasks, 1, count):.1f} %", flush=True)
    print(f"IQM, 10 tasks x 5 seeds, skewed: {100 * row_coverage(10, 5, count, skewed):.1f} %", flush=True)
    print(f"IQM, 10 tasks x 5 seeds, shared: {100 * row_coverage(10, 5, count, shared=1.0):.1f} %", flush=True)
    for tasks, seeds in ((5, 3), (6, 3), (10, 1), (10, 3), (20, 3), (3, 5), (3, 10)):
        print(f"difference, {tasks} x {seeds}: {100 * difference_coverage(tasks, seeds, count):.1f} %", flush=True)
    print(f"difference, 10 x 3, skewed: {100 * difference_coverage(10, 3, count, skewed):.1f} %", flush=True)
    print(f"difference, 10 x 3, shared: {100 * difference_coverage(10, 3, count, shared=1.0):.1f} %", flush=True)
    # A simulation of several comparisons is as long as several of one.
    for tasks, seeds, rows, noise, shared in (
        (6, 3, 1, normal, 0.0),
        (10, 3, 1, normal, 0.0),
        (10, 3, 4, normal, 0.0),
        (20, 3, 4, normal, 0.0),
        (3, 10, 4, normal, 0.0),
        (10, 3, 4, skewed, 0.0),
        (10, 3, 4, normal, 1.0),
        (10, 5, 4, normal, 1.0),
    ):
        rate = false_discoveries(tasks, seeds, rows, count // 2, noise, shared)
        words = f"{rows} comparisons, {noise.__name__}{', shared' * bool(shared)}"
        print(f"family-wise error, {tasks} x {seeds}, {words}: {100 * rate:.1f} %", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
