"""What an ablation's scores say, and how surely: docs/ablation-statistics.md says which method and why."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import linalg, stats
from statsmodels.stats.multitest import multipletests

from task2sim import spawn_generator
from task2sim_report.ablation.content import ORACLE, AblationContent, AblationTrial, Pairs

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

FEWEST = 5
"""Fewest independent pairs for a p-value. The smallest that 5 can give is 2 / 2**5 = 0.0625."""

RESAMPLES = 10_000
BAND_RESAMPLES = 2_000
IQM_USES = 0.5
"""Share of the values that an interquartile mean looks at."""

PERMUTATIONS = 2**14
"""All sign changes of up to 14 pairs; of more, so many are drawn."""

BLIND = 1e-5
"""Directions of a design that are weaker than the strongest by this factor tell nothing."""

SEEDS_WITHIN_TASKS = "seeds within tasks"
TASKS = "tasks"
SEEDS = "seeds"

SEARCHING = (
    "policy", "embedder", "pretrainings", "settings_per_round", "continues", "comparison", "executor", "observers",
)  # fmt: skip
"""Fields of a study that decide which settings are tried, not what a setting scores."""


@attrs.frozen
class Interval:
    """A 95 % bootstrap interval.

    Attributes:
        low: Its lower end; nan if there is too little to resample.
        high: Its upper end; nan if there is too little to resample.
        resampled: What was resampled: ``"seeds within tasks"``, ``"tasks"`` or ``"seeds"``; empty without interval.
    """

    low: float = math.nan
    high: float = math.nan
    resampled: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is one."""
        return bool(self.resampled)


@attrs.frozen
class Summary:
    """What a method of a row reached on the tasks of one role.

    Attributes:
        row: The row's name.
        role: ``"unseen"`` or ``"seen"``.
        method: Empty for the row's own policy.
        mean: Mean over tasks of the means over seeds; nan without results.
        iqm: Interquartile mean over all runs; nan without results.
        interval: Of the interquartile mean.
        pairs: Number of (task, seed) pairs.
        tasks: Number of tasks.
        seeds: Number of seeds.
        p_seed_effect: See `seed_effect`.
        is_complete: Whether it has all pairs that any row has.
    """

    row: str
    role: str
    method: str
    mean: float
    iqm: float
    interval: Interval
    pairs: int
    tasks: int
    seeds: int
    p_seed_effect: float | None
    is_complete: bool

    @property
    def has_seed_effect(self) -> bool:
        """Whether runs of one seed are alike, which its interval does not know."""
        return self.p_seed_effect is not None and self.p_seed_effect < SIGNIFICANCE


@attrs.frozen
class Comparison:
    """A row against its baseline row, on the (task, seed) pairs that both have.

    Attributes:
        row: The row's name.
        baseline: The baseline row's name.
        role: ``"unseen"`` or ``"seen"``.
        pairs: Number of (task, seed) pairs.
        tasks: Number of tasks.
        seeds: Number of seeds.
        unit: What counts as independent: ``"tasks"`` or ``"seeds"``; empty if there are too few of both.
        units: How many of them.
        difference: Mean of the units' differences, row minus baseline; nan without pairs.
        interval: Of the difference.
        p_value: Of the sign-flip permutation test; None if there are too few units.
        p_holm: The same after Holm's correction over all comparisons.
        p_wilcoxon: Of Wilcoxon's signed-rank test on the same units, not corrected; None if there are too few.
        effect: Cohen's d_z: the mean of the units' differences over their standard deviation; None if undefined.
        improvement: On how many of the pairs the row is better, ties count half; nan without pairs.
        improvement_interval: Of that.
        p_seed_effect: See `seed_effect`, of the differences.
        why: Why there is no p-value; empty if there is one.
    """

    row: str
    baseline: str
    role: str
    pairs: int
    tasks: int
    seeds: int
    unit: str
    units: int
    difference: float
    interval: Interval
    p_value: float | None
    p_holm: float | None
    p_wilcoxon: float | None
    effect: float | None
    improvement: float
    improvement_interval: Interval
    p_seed_effect: float | None
    why: str

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05, and no seed effect makes it too small."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANCE and not self.has_seed_effect

    @property
    def has_seed_effect(self) -> bool:
        """Whether the difference depends on the seed, on all tasks alike, and seeds are not what is counted."""
        return self.unit != SEEDS and self.p_seed_effect is not None and self.p_seed_effect < SIGNIFICANCE


@attrs.frozen
class Ranking:
    """Friedman's test and Nemenyi's critical difference over the tasks of one role.

    Attributes:
        role: ``"unseen"`` or ``"seen"``.
        ranks: Average rank of each row over the tasks, 1 is best; best first.
        tasks: Number of tasks.
        statistic: Friedman's chi-squared, corrected for ties; None if the test can't be made.
        p_value: Its p-value.
        critical_difference: Average ranks that differ by less are not told apart at 5 %.
        groups: Rows that are not told apart: the largest sets within one critical difference, of two rows or more.
        left_out: Rows that share no task and seed with the rest.
        why: Why the test can't be made; empty if it can.
    """

    role: str
    ranks: Mapping[str, float]
    tasks: int
    statistic: float | None
    p_value: float | None
    critical_difference: float | None
    groups: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]
    why: str


@attrs.frozen
class Profile:
    """For each threshold, the share of a row's runs that score above it, with a pointwise 95 % band.

    Attributes:
        row: The row's name.
        role: ``"unseen"`` or ``"seen"``.
        thresholds: The thresholds, ascending.
        share: Share of the (task, seed) pairs above each, in [0, 1].
        low: Lower end of the band; nan if there is too little to resample.
        high: Upper end of the band; nan if there is too little to resample.
        pairs: Number of (task, seed) pairs.
    """

    row: str
    role: str
    thresholds: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    pairs: int


@attrs.frozen
class Regret:
    """How far a row stays below the oracle, averaged like `Summary.mean`; 0 is perfect."""

    row: str
    role: str
    mean: float
    interval: Interval
    pairs: int


@attrs.frozen
class TaskMean:
    """A method's score on one task: mean and standard deviation (nan with one seed) over ``seeds`` seeds."""

    row: str
    role: str
    task: str
    method: str
    mean: float
    deviation: float
    seeds: int


@attrs.frozen
class Effect:
    """What a parameter of the simulator, or two together, do to the score.

    Attributes:
        parameters: One parameter, or two for an interaction.
        term: In words, such as ``"materials"`` or ``"materials x background"``.
        estimate: What the score gains if the parameter goes from 0 (lowest) to 1 (highest); of an interaction, what
            both together gain beyond the sum. None if it can't be estimated.
        low: Lower end of the 95 % interval; nan if unknown.
        high: Upper end of the 95 % interval; nan if unknown.
        p_value: Two-sided; None if unknown.
        p_holm: After Holm's correction over the main effects, or over the interactions.
        why: What is missing, if something is.
    """

    parameters: tuple[str, ...]
    term: str
    estimate: float | None
    low: float
    high: float
    p_value: float | None
    p_holm: float | None
    why: str


@attrs.frozen
class Importance:
    """Main effects and pairwise interactions of the simulator's parameters.

    Attributes:
        main: A main effect for each parameter, from a regression on main effects alone.
        interactions: One for each pair, from a regression on main effects and all interactions.
        trials: Number of scores behind them.
        settings: Number of distinct settings.
        tasks: Number of tasks.
    """

    main: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    trials: int
    settings: int
    tasks: int


@attrs.frozen
class Statistics:
    """All of it; see `ablation_statistics`."""

    summaries: tuple[Summary, ...]
    references: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    rankings: tuple[Ranking, ...]
    profiles: tuple[Profile, ...]
    regrets: tuple[Regret, ...]
    task_means: tuple[TaskMean, ...]
    importance: Importance

    def summary(self, row: str, role: str) -> Summary:
        """The summary of a row's own policy."""
        return next(one for one in self.summaries if (one.row, one.role) == (row, role))

    def comparison(self, row: str, role: str) -> Comparison | None:
        """A row's comparison with its baseline, if it has one."""
        return next((one for one in self.comparisons if (one.row, one.role) == (row, role)), None)

    def regret(self, row: str, role: str) -> Regret | None:
        """A row's regret, if the oracle is known."""
        return next((one for one in self.regrets if (one.row, one.role) == (row, role)), None)


def ablation_statistics(content: AblationContent) -> Statistics:
    """All statistics of an ablation; the same for the same content, in whatever order its rows and tasks stand."""
    return Statistics(
        summaries=summaries(content),
        references=references(content),
        comparisons=comparisons(content),
        rankings=tuple(ranking(content, role) for role in content.roles),
        profiles=tuple(profile for role in content.roles for profile in performance_profiles(content, role)),
        regrets=regrets(content),
        task_means=task_means(content),
        importance=importance(content),
    )


# Means and intervals


def interquartile_mean(values: Floats, axis: int = -1) -> Any:
    """Mean of the middle half (Agarwal et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021).

    A quarter of the values, rounded down, is cut off at either end.
    """
    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    strata: Sequence[Floats],
    statistic: Callable[[Floats], Floats],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    used: float = 1.0,
) -> tuple[Floats, Floats] | None:
    """Percentiles of the stratified bootstrap, stretched for few values.

    Plain percentiles are too narrow for few values (Hesterberg, "What teachers should know about the bootstrap", The
    American Statistician 69, 2015): the variance lacks a factor N / (N - H) for N values in H strata, and the normal
    distribution stands in for Student's. Both ends are therefore moved away from the estimate, by as much as makes
    the interval of a mean as wide as Student's. His own remedy, percentiles further out, ends at the extremes of the
    values, which are too near for five of them or for strata of two.

    Args:
        strata: The values of each stratum; they are drawn with replacement within it.
        statistic: Takes values of shape (resamples, N) and gives one number (or an array) for each resample.
        generator: What draws.
        resamples: How often.
        used: Share of the values that count for the statistic; so much of the degrees of freedom N - H is left.

    Returns:
        Lower and upper end; None if N - H is below 4.
    """
    count = sum(len(stratum) for stratum in strata)
    freedom = count - len(strata)
    if freedom < FEWEST - 1:
        return None
    drawn = [stratum[generator.integers(len(stratum), size=(resamples, len(stratum)))] for stratum in strata]
    values = statistic(np.concatenate(drawn, axis=1))
    estimate = statistic(np.concatenate(strata)[None])[0]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    stretch = math.sqrt(count / freedom) * stats.t.isf(tail, used * freedom) / stats.norm.isf(tail)
    # An estimate outside its own percentiles (of a skewed statistic) must stay within.
    return estimate - stretch * np.maximum(estimate - low, 0), estimate + stretch * np.maximum(high - estimate, 0)


def summary(content: AblationContent, row: str, role: str, method: str = "") -> Summary:
    """Mean and interquartile mean of a method of a row on the tasks of one role."""
    pairs = content.pairs(row, role, method)
    values = np.array(list(pairs.values()))
    interval = interval_of_runs(pairs, interquartile_mean, f"iqm {role} {row} {method}", IQM_USES)
    return Summary(
        row=row,
        role=role,
        method=method,
        mean=_mean(by_task(pairs)),
        iqm=float(interquartile_mean(values)) if len(values) else math.nan,
        interval=interval,
        pairs=len(pairs),
        tasks=len({task for task, _ in pairs}),
        seeds=len({seed for _, seed in pairs}),
        p_seed_effect=seed_effect(pairs),
        is_complete=bool(pairs) and content.every_pair(role) <= set(pairs),
    )


def summaries(content: AblationContent) -> tuple[Summary, ...]:
    """Of each row's own policy, for each role."""
    return tuple(summary(content, row.name, role) for role in content.roles for row in content.rows)


def references(content: AblationContent) -> tuple[Summary, ...]:
    """Of each reference method of each row, for each role, where it has scores."""
    found = [
        summary(content, row.name, role, method)
        for role in content.roles
        for method in content.methods
        for row in content.rows
    ]
    return tuple(one for one in found if one.pairs)


def task_means(content: AblationContent) -> tuple[TaskMean, ...]:
    """Mean over seeds for each role, row, method and task."""
    found = []
    for role, row, method in itertools.product(content.roles, content.rows, ("", *content.methods)):
        runs: dict[str, list[float]] = {}
        for (task, _), value in content.pairs(row.name, role, method).items():
            runs.setdefault(task, []).append(value)
        for task, values in runs.items():
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
            found.append(TaskMean(row.name, role, task, method, float(np.mean(values)), deviation, len(values)))
    return tuple(found)


def regrets(content: AblationContent) -> tuple[Regret, ...]:
    """The oracle's score minus the row's, in the same cell; nothing where no oracle is known."""
    found = []
    for role in content.roles:
        for row in content.rows:
            own, best = content.pairs(row.name, role), content.pairs(row.name, role, ORACLE)
            lost = {pair: best[pair] - own[pair] for pair in own if pair in best}
            if lost:
                interval = interval_of_runs(lost, _row_mean, f"regret {role} {row.name}")
                found.append(Regret(row.name, role, _mean(by_task(lost)), interval, len(lost)))
    return tuple(found)


def by_task(pairs: Pairs) -> dict[str, float]:
    """Mean over seeds for each task, sorted by task."""
    return _averaged(pairs, 0)


def by_seed(pairs: Pairs) -> dict[int, float]:
    """Mean over tasks for each seed, sorted by seed."""
    return _averaged(pairs, 1)


def _averaged(pairs: Pairs, position: int) -> dict[Any, float]:
    runs: dict[Any, list[float]] = {}
    for pair, value in sorted(pairs.items()):
        runs.setdefault(pair[position], []).append(value)
    return {key: float(np.mean(runs[key])) for key in sorted(runs)}


def _mean(values: Mapping[Any, float]) -> float:
    return float(np.mean(list(values.values()))) if values else math.nan


def _row_mean(values: Floats) -> Floats:
    return np.asarray(values.mean(axis=-1))


def _strata(pairs: Pairs) -> tuple[list[Floats], str]:
    """What a row's bootstrap resamples: seeds within tasks; with one seed, the tasks."""
    tasks: dict[str, list[float]] = {}
    for (task, _), value in sorted(pairs.items()):
        tasks.setdefault(task, []).append(value)
    strata = [np.array(values) for values in tasks.values()]
    if all(len(stratum) == 1 for stratum in strata):
        return [np.concatenate(strata)] if strata else [], TASKS
    return strata, SEEDS_WITHIN_TASKS


def interval_of_runs(pairs: Pairs, statistic: Callable[[Floats], Floats], key: str, used: float = 1.0) -> Interval:
    """Interval of a statistic over runs, resampling seeds within tasks; with one seed, the tasks.

    Args:
        pairs: Scores by (task, seed).
        statistic: As in `bootstrap_interval`.
        key: Names the random numbers.
        used: As in `bootstrap_interval`, of the tasks' runs: tasks far from the others may not count at all.
    """
    strata, resampled = _strata(pairs)
    return _interval(strata, resampled, statistic, key, used if resampled == SEEDS_WITHIN_TASKS else 1.0)


def _interval(
    strata: Sequence[Floats], resampled: str, statistic: Callable[[Floats], Floats], key: str, used: float = 1.0
) -> Interval:
    ends = bootstrap_interval(strata, statistic, _generator(key), used=used)
    return Interval() if ends is None else Interval(float(ends[0]), float(ends[1]), resampled)


def seed_effect(pairs: Pairs) -> float | None:
    """Whether some seeds are better than others on all tasks alike.

    The F test of the seeds in an analysis of variance with tasks and seeds and no interaction, on the tasks that have
    all seeds. Where it rejects, runs of different tasks are not independent.

    Returns:
        The p-value; None with fewer than 2 seeds or tasks.
    """
    seeds = sorted({seed for _, seed in pairs})
    tasks = [task for task in by_task(pairs) if all((task, seed) in pairs for seed in seeds)]
    if len(seeds) < 2 or len(tasks) < 2:
        return None
    scores = np.array([[pairs[task, seed] for seed in seeds] for task in tasks])
    rows, columns = scores.mean(axis=1, keepdims=True), scores.mean(axis=0, keepdims=True)
    between = len(tasks) * float(np.sum((columns - scores.mean()) ** 2)) / (len(seeds) - 1)
    freedom = (len(tasks) - 1) * (len(seeds) - 1)
    rest = float(np.sum((scores - rows - columns + scores.mean()) ** 2)) / freedom
    if between < 1e-20:
        return 1.0
    return float(stats.f.sf(between / max(rest, 1e-300), len(seeds) - 1, freedom))


def _generator(key: str) -> np.random.Generator:
    """Named by what it is for: an interval does not depend on what else is reported."""
    return spawn_generator(0, "ablation statistics", key)


def _within(interval: Interval) -> Interval:
    """A share is between 0 and 1, and stretching does not know."""
    if not interval.is_known:
        return interval
    return attrs.evolve(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0))


# Comparisons


def independent_units(pairs: Pairs) -> tuple[Floats, str]:
    """Differences that may count as independent.

    Several seeds of a task share the task, and all tasks of a seed share one search, so (task, seed) pairs are not
    independent. With 5 tasks or more, each task counts once, averaged over seeds: the question is then what happens
    on other tasks. Otherwise, with 5 seeds or more, each seed counts once, averaged over tasks: what happens if the
    study is repeated on these tasks.

    Returns:
        The units' differences in ascending order, and ``"tasks"`` or ``"seeds"``; none and "" if there are too few.
    """
    for averaged, unit in ((by_task(pairs), TASKS), (by_seed(pairs), SEEDS)):
        if len(averaged) >= FEWEST:
            return np.sort(np.array(list(averaged.values()))), unit
    return np.array([]), ""


def sign_flip_test(differences: Floats, generator: np.random.Generator) -> float:
    """Two-sided p-value of the paired permutation test on the mean difference.

    Under the null hypothesis a pair's two scores may be swapped, so all signs are equally likely (Fisher, "The Design
    of Experiments", 1935, section 21). All are tried for up to 14 pairs.
    """
    if not np.any(differences):
        return 1.0
    found = stats.permutation_test(
        (np.sort(differences),),
        np.mean,
        permutation_type="samples",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        axis=0,
        rng=generator,
    )
    return float(min(found.pvalue, 1.0))


def compare(row: Pairs, baseline: Pairs, key: str = "") -> Comparison:
    """Compare two rows on the (task, seed) pairs that both have; names, role and correction are left empty."""
    shared = sorted(set(row) & set(baseline))
    differences = {pair: row[pair] - baseline[pair] for pair in shared}
    wins = {pair: 0.5 * (1 + float(np.sign(differences[pair]))) for pair in shared}
    tasks, seeds = len({task for task, _ in shared}), len({seed for _, seed in shared})
    units, unit = independent_units(differences)
    p_value = p_wilcoxon = effect = None
    if unit:
        won = np.array(list((by_task if unit == TASKS else by_seed)(wins).values()))
        interval = _interval([units], unit, _row_mean, f"difference {key}")
        improvement_interval = _interval([won], unit, _row_mean, f"improvement {key}")
        difference, improvement, why = float(units.mean()), float(won.mean()), ""
        p_value = sign_flip_test(units, _generator(f"signs {key}"))
        p_wilcoxon = float(stats.wilcoxon(units).pvalue) if np.any(units) else 1.0
        spread = float(np.std(units, ddof=1))
        # Differences that are equal but for rounding have no spread to measure by.
        effect = difference / spread if spread > 1e-12 else None
    else:
        interval = interval_of_runs(differences, _row_mean, f"difference {key}")
        improvement_interval = interval_of_runs(wins, _row_mean, f"improvement {key}")
        difference, improvement = _mean(by_task(differences)), _mean(by_task(wins))
        count = max(tasks, seeds)
        why = f"{count} independent pair{'s' * (count != 1)}: no p-value; {FEWEST} are needed"
    return Comparison(
        row="",
        baseline="",
        role="",
        pairs=len(shared),
        tasks=tasks,
        seeds=seeds,
        unit=unit,
        units=len(units) if unit else max(tasks, seeds),
        difference=difference,
        interval=interval,
        p_value=p_value,
        p_holm=p_value,
        p_wilcoxon=p_wilcoxon,
        effect=effect,
        improvement=improvement,
        improvement_interval=_within(improvement_interval),
        p_seed_effect=seed_effect(differences),
        why=why,
    )


def comparisons(content: AblationContent) -> tuple[Comparison, ...]:
    """Each row against its baseline row, for each role; corrected over all of them together."""
    found = []
    for role in content.roles:
        for row in content.rows:
            if baseline := content.baseline_of(row):
                own = content.pairs(row.name, role)
                one = compare(own, content.pairs(baseline.name, role), f"{role} {row.name} {baseline.name}")
                found.append(attrs.evolve(one, row=row.name, baseline=baseline.name, role=role))
    corrected = holm([one.p_value for one in found])
    return tuple(attrs.evolve(one, p_holm=p) for one, p in zip(found, corrected, strict=True))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979).

    None stays None and does not count.
    """
    known = [p for p in p_values if p is not None]
    corrected = iter(multipletests(known, method="holm")[1].tolist() if known else [])
    return [None if p is None else float(next(corrected)) for p in p_values]


# Ranks


def ranking(content: AblationContent, role: str) -> Ranking:
    """Average ranks of the rows over tasks (Demsar, "Statistical comparisons of classifiers", JMLR 7, 2006).

    Each task counts once, with the mean over the seeds that all rows have; rows without any result are left out.
    """
    pairs = {row.name: content.pairs(row.name, role) for row in content.rows}
    pairs = {name: own for name, own in pairs.items() if own}
    left_out = tuple(row.name for row in content.rows if row.name not in pairs)
    shared = set.intersection(*map(set, pairs.values())) if pairs else set()
    means = {name: by_task({pair: own[pair] for pair in shared}) for name, own in pairs.items()}
    tasks = len({task for task, _ in shared})
    if not tasks:
        return Ranking(role, {}, 0, None, None, None, (), left_out, "no task and seed is shared by all rows")
    scores = np.array([list(own.values()) for own in means.values()]).T
    ranks, statistic, p_value, critical = friedman_nemenyi(scores)
    named = dict(sorted(zip(means, ranks.tolist(), strict=True), key=lambda item: (item[1], item[0])))
    why = ""
    if len(means) < 3:
        why = f"{len(means)} row{'s' * (len(means) != 1)}: no Friedman test; 3 are needed"
    elif tasks < FEWEST:
        why = f"{tasks} task{'s' * (tasks != 1)}: no Friedman test; {FEWEST} are needed"
    if why:
        return Ranking(role, named, tasks, None, None, None, (), left_out, why)
    return Ranking(role, named, tasks, statistic, p_value, critical, _groups(named, critical), left_out, "")


def friedman_nemenyi(scores: Floats) -> tuple[Floats, float, float, float]:
    """Average ranks, Friedman's chi-squared with its p-value, and Nemenyi's critical difference.

    Args:
        scores: Shape (tasks, rows); higher is better, ties share their ranks.

    Returns:
        Ranks of shape (rows,), chi-squared corrected for ties and p-value (nan and 1 with fewer than 3 rows or if all
        is tied), critical difference at 5 %.
    """
    tasks, rows = scores.shape
    # Means of equal scores may differ in the last bit.
    rounded = np.round(scores, 10)
    ranks = stats.rankdata(-rounded, axis=1).mean(axis=0)
    statistic, p_value = math.nan, 1.0
    if rows >= 3 and np.any(rounded != rounded[:, :1]):
        found = stats.friedmanchisquare(*rounded.T)
        statistic, p_value = float(found.statistic), float(found.pvalue)
    critical = math.nan
    if rows >= 2:
        quantile = float(stats.studentized_range.ppf(1 - SIGNIFICANCE, rows, np.inf)) / math.sqrt(2)
        critical = quantile * math.sqrt(rows * (rows + 1) / (6 * tasks))
    return ranks, statistic, p_value, critical


def _groups(ranks: Mapping[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    names = list(ranks)
    groups: list[tuple[str, ...]] = []
    for start, first in enumerate(names):
        group = tuple(name for name in names[start:] if ranks[name] - ranks[first] < critical)
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return tuple(groups)


# Performance profiles


def performance_profiles(content: AblationContent, role: str, points: int = 101) -> tuple[Profile, ...]:
    """Share of runs above each threshold (Dolan and Moré, 2002; for runs with seeds Agarwal et al., 2021)."""
    pairs = {row.name: content.pairs(row.name, role) for row in content.rows}
    every = [value for own in pairs.values() for value in own.values()]
    if not every:
        return ()
    # Whole twentieths, so that curves begin at 1 and end at 0.
    low, high = math.floor(min(every) * 20 - 1e-9) / 20, math.ceil(max(every) * 20) / 20
    thresholds = np.linspace(low, max(high, low + 0.05), points)
    found = []
    for name, own in pairs.items():
        if not own:
            continue
        values = np.array(list(own.values()))
        strata, _ = _strata(own)
        ends = bootstrap_interval(
            strata,
            lambda drawn: np.stack([(drawn > threshold).mean(axis=-1) for threshold in thresholds], axis=-1),
            _generator(f"profile {role} {name}"),
            BAND_RESAMPLES,
        )
        unknown = np.full(points, math.nan)
        bottom, top = (unknown, unknown) if ends is None else ends
        found.append(
            Profile(
                name,
                role,
                tuple(thresholds.tolist()),
                tuple((values[:, None] > thresholds).mean(axis=0).tolist()),
                tuple(np.clip(bottom, 0, 1).tolist()),
                tuple(np.clip(top, 0, 1).tolist()),
                len(own),
            )
        )
    return tuple(found)


# Parameters of the simulator


@attrs.frozen
class _Term:
    parameters: tuple[str, ...]
    name: str
    column: Floats


def importance(content: AblationContent) -> Importance:
    """Main effects and interactions by least squares on all trials, with fixed effects of tasks and of seeds.

    A trial that several rows share counts once. The scores of one setting are not independent, on whatever task, so
    standard errors are clustered by setting, with the small-sample factor G / (G - r) for G settings and r terms.
    """
    trials = _distinct_trials(content)
    used = sorted({trial.setting for trial in trials})
    choices = {key: content.settings[key].choices for key in used}
    everywhere = set.intersection(*(set(own) for own in choices.values())) if choices else set()
    names = [name for name in (choices[used[0]] if used else ()) if name in everywhere]
    tasks = sorted({trial.task for trial in trials})
    terms, constant = _main_terms(names, [choices[trial.setting] for trial in trials])
    pairs = [
        _Term((*first.parameters, *second.parameters), f"{first.name} x {second.name}", first.column * second.column)
        for first, second in itertools.combinations(terms, 2)
        if first.parameters != second.parameters
    ]
    partial = sorted({name for own in choices.values() for name in own} - everywhere)
    nothing = [_unknown((name,), name, "it has one value in all trials") for name in constant]
    nothing += [_unknown((name,), name, "not all rows have this parameter") for name in partial]
    groups = _world_of_rows(content)
    blocks = [f"{groups[trial.row]} {trial.seed} {trial.replicate} {trial.split}" for trial in trials]
    fixed = [[trial.task for trial in trials], blocks]
    values = np.array([trial.value for trial in trials])
    settings = [trial.setting for trial in trials]
    return Importance(
        main=(*_effects(values, terms, terms, fixed, settings), *nothing),
        interactions=_effects(values, [*terms, *pairs], pairs, fixed, settings),
        trials=len(trials),
        settings=len(used),
        tasks=len(tasks),
    )


def _world_of_rows(content: AblationContent) -> dict[str, str]:
    """Rows that differ only in how they search score a setting alike."""
    telling = [
        f.name for f in content.factors if not any(f.name == s or f.name.startswith(f"{s}.") for s in SEARCHING)
    ]
    return {row.name: repr([row.levels.get(name, "") for name in telling]) for row in content.rows}


def _distinct_trials(content: AblationContent) -> list[AblationTrial]:
    groups = _world_of_rows(content)
    found: dict[tuple[Any, ...], AblationTrial] = {}
    for trial in content.trials:
        if trial.setting in content.settings:
            # The probe and the search may share a trial too, so the phase does not count.
            identity = (trial.seed, trial.task, trial.setting, trial.replicate, trial.split, trial.value)
            found.setdefault((groups[trial.row], *identity), trial)
    return [found[identity] for identity in sorted(found)]


def _main_terms(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[list[_Term], list[str]]:
    terms: list[_Term] = []
    constant: list[str] = []
    for name in names:
        values = [row[name] for row in rows]
        kinds = sorted(set(values), key=lambda value: (str(type(value)), value))
        if len(kinds) == 1:
            constant.append(name)
        elif all(isinstance(value, (int, float)) for value in kinds):
            low, high = min(kinds), max(kinds)
            terms.append(_Term((name,), name, (np.array(values, dtype=np.float64) - low) / (high - low)))
        else:
            for kind in kinds[1:]:
                column = np.array([float(value == kind) for value in values])
                terms.append(_Term((name,), f"{name} = {kind} (not {kinds[0]})", column))
    return terms, constant


def _effects(
    values: Floats,
    terms: Sequence[_Term],
    wanted: Sequence[_Term],
    fixed: Sequence[Sequence[str]],
    settings: Sequence[str],
) -> tuple[Effect, ...]:
    if not wanted:
        return ()
    columns = np.stack([term.column for term in terms], axis=1)
    dummies = [np.ones((len(values), 1))]
    for labels in fixed:
        kinds, codes = np.unique(np.array(labels), return_inverse=True)
        dummies.append(np.eye(len(kinds))[codes][:, 1:])
    design = np.concatenate([columns, *dummies], axis=1)
    # A coefficient can be estimated if no direction that the data are blind to moves it.
    strength, directions = np.linalg.eigh(design.T @ design)
    blind = directions[:, strength < BLIND**2 * strength.max()]
    estimable = np.linalg.norm(blind, axis=1) < 1e-6
    # Of what can't be told apart one column is enough; those that can are never among it.
    _, triangle, order = linalg.qr(design, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    kept = sorted(order[: int(np.sum(diagonal > BLIND * diagonal[0]))].tolist())
    _, clusters = np.unique(np.array(settings), return_inverse=True)
    count = int(clusters.max()) + 1
    first = [int(np.flatnonzero(clusters == number)[0]) for number in range(count)]
    rank = int(np.linalg.matrix_rank(np.column_stack([np.ones(count), columns[first]])))
    freedom = count - rank
    fit = sm.OLS(values, design[:, kept]).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}, use_t=True
    )
    errors = np.sqrt(np.clip(np.diag(fit.cov_params()), 0, None) * count / max(freedom, 1))
    found: list[Effect] = []
    for term in wanted:
        index = next(number for number, other in enumerate(terms) if other is term)
        if not estimable[index] or index not in kept:
            why = f"the {count} settings tried can't tell it from other terms"
            found.append(_unknown(term.parameters, term.name, why))
            continue
        place = kept.index(index)
        estimate = float(fit.params[place])
        if freedom < FEWEST - 1 or errors[place] < 1e-12:
            why = f"{count} settings for {rank} terms: no interval"
            found.append(attrs.evolve(_unknown(term.parameters, term.name, why), estimate=estimate))
            continue
        error = float(errors[place])
        reach = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
        p_value = float(2 * stats.t.sf(abs(estimate) / error, freedom))
        found.append(
            Effect(term.parameters, term.name, estimate, estimate - reach, estimate + reach, p_value, None, "")
        )
    corrected = holm([effect.p_value for effect in found])
    return tuple(attrs.evolve(effect, p_holm=p) for effect, p in zip(found, corrected, strict=True))


def _unknown(parameters: tuple[str, ...], term: str, why: str) -> Effect:
    return Effect(parameters, term, None, math.nan, math.nan, None, None, why)
