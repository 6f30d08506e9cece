"""Which figures an ablation gets, drawn from its statistics, with what must be said below each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from task2sim_report.ablation import figures
from task2sim_report.ablation.content import AblationContent
from task2sim_report.ablation.statistics import Effect, Ranking, Statistics

MOST_INTERACTIONS = 8
"""The strongest are shown; all are in the tables."""


@attrs.frozen
class Illustration:
    """A figure, or why there is none.

    Attributes:
        name: Of its files, without what follows the point.
        title: A heading.
        caption: What it shows, with n; why there is no figure where there is none.
        drawing: The figure.
    """

    name: str
    title: str
    caption: str
    drawing: figures.Drawing | None


def row_labels(content: AblationContent) -> dict[str, str]:
    """A short text for each row: its labels without their factors' names, if each row has one of every factor."""
    names = [factor.name for factor in content.factors]
    if names and all(set(row.levels) == set(names) for row in content.rows):
        short = {row.name: " · ".join(row.levels[name] for name in names) for row in content.rows}
        if len(set(short.values())) == len(short):
            return short
    return {row.name: row.name for row in content.rows}


def illustrations(content: AblationContent, statistics: Statistics) -> list[Illustration]:
    """All figures of an ablation, in the order in which a page shows them."""
    roles = content.roles
    return [
        *(_bars(content, statistics, role) for role in roles),
        *(_profiles(content, statistics, role) for role in roles),
        *(_ranks(content, ranking) for ranking in statistics.rankings),
        _search(content),
        _importance(content, statistics),
    ]


def _bars(content: AblationContent, statistics: Statistics, role: str) -> Illustration:
    labels = row_labels(content)
    means = {(one.row, one.task): one for one in statistics.task_means if one.role == role and not one.method}
    tasks = [task.name for task in content.tasks if any((row.name, task.name) in means for row in content.rows)]
    rows = []
    for row in content.rows:
        found = [means.get((row.name, task)) for task in tasks]
        values = np.array([one.mean if one else math.nan for one in found])
        deviations = np.array([one.deviation if one else math.nan for one in found])
        ends = (values - deviations).tolist(), (values + deviations).tolist()
        rows.append(figures.Bars(labels[row.name], values.tolist(), *ends, content.is_baseline(row)))
    counts = [one.seeds for one in means.values()]
    seeds = f"n = {_range(counts)} seed{'s' * (max(counts) > 1)} a bar"
    spread = "; lines reach one standard deviation over seeds to either side" if max(counts) > 1 else ""
    dashes = ", dashed lines the baseline" if any(row.is_baseline for row in rows) and len(rows) > 1 else ""
    return Illustration(
        f"tasks_{role}",
        f"Each of the {role} tasks",
        f"Mean {content.metric} in % on test images, {seeds}{spread}{dashes}. A dash stands for no result.",
        figures.task_bars(tasks, rows, content.metric),
    )


def _profiles(content: AblationContent, statistics: Statistics, role: str) -> Illustration:
    labels = row_labels(content)
    profiles = [one for one in statistics.profiles if one.role == role]
    curves = [
        figures.Curve(
            labels[one.row], one.thresholds, one.share, one.low, one.high, content.is_baseline(content.row(one.row))
        )
        for one in profiles
    ]
    bands = any(math.isfinite(end) for one in profiles for end in one.low)
    band = "bands are pointwise 95 % bootstrap intervals" if bands else "too few runs for bands"
    return Illustration(
        f"profile_{role}",
        f"Performance profiles, {role} tasks",
        f"For each {content.metric} τ, the share of runs (a task with a seed) that score above it; the higher the"
        f" line the better. n = {_range([one.pairs for one in profiles])} runs a line; {band} (Agarwal et al. 2021).",
        figures.performance_profiles(curves, content.metric) if curves else None,
    )


def _ranks(content: AblationContent, ranking: Ranking) -> Illustration:
    title, name = f"Average ranks, {ranking.role} tasks", f"critical_difference_{ranking.role}"
    left_out = f" Without results: {', '.join(ranking.left_out)}." if ranking.left_out else ""
    if len(ranking.ranks) < 2:
        return Illustration(name, title, f"No figure: {ranking.why}.{left_out}", None)
    labels, names = row_labels(content), list(ranking.ranks)
    rows = [
        figures.Ranked(labels[row], rank, content.is_baseline(content.row(row)))
        for row, rank in ranking.ranks.items()
    ]
    groups = [[names.index(row) for row in group] for group in ranking.groups]
    drawing = figures.critical_differences(rows, groups, ranking.critical_difference)
    tasks = f"n = {ranking.tasks} task{'s' * (ranking.tasks != 1)}"
    text = f"Rank of each row on each task, averaged over {tasks}; 1 is best."
    if ranking.p_value is None or ranking.statistic is None or math.isnan(ranking.statistic):
        text += f" Nothing is tested: {ranking.why or 'all ranks are tied'}."
    else:
        text += (
            f" Friedman's χ² = {ranking.statistic:.2f}, p {_p(ranking.p_value)}. Bars join rows that Nemenyi's test"
            " does not tell apart at 5 % (Demšar 2006)."
        )
        if ranking.p_value >= 0.05:
            text += " Friedman's test finds no difference between any rows, so read nothing into the order."
    return Illustration(name, title, text + left_out, drawing)


def _search(content: AblationContent) -> Illustration:
    title = "Reward against pre-trainings"
    labels, curves, counts = row_labels(content), [], []
    for row in content.rows:
        runs = list(_best_so_far(content, row.name))
        if not runs:
            continue
        # Of seeds that tried different numbers of settings, what all of them tried.
        table = np.stack([run[: min(map(len, runs))] for run in runs])
        x = list(range(1, table.shape[1] + 1))
        band = table.min(axis=0).tolist(), table.max(axis=0).tolist()
        curves.append(
            figures.Curve(labels[row.name], x, table.mean(axis=0).tolist(), *band, content.is_baseline(row))
        )
        counts.append(len(runs))
    if not curves:
        return Illustration("search", title, "No figure: no row searched.", None)
    return Illustration(
        "search",
        title,
        f"The best reward so far: mean {content.metric} on the validation images of the seen tasks, against the"
        f" number of distinct settings pre-trained. Lines are means over n = {_range(counts)} seeds, bands reach from"
        " the worst to the best seed. A maximum over noisy rewards flatters; test images decide.",
        figures.search_curves(curves, content.metric),
    )


def _best_so_far(content: AblationContent, row: str) -> Iterator[np.ndarray]:
    steps: dict[int, dict[int, list[float]]] = {}
    for step in content.search:
        if step.row == row:
            steps.setdefault(step.seed, {}).setdefault(step.number, []).append(step.value)
    for _, rewards in sorted(steps.items()):
        yield np.maximum.accumulate([np.mean(values) for _, values in sorted(rewards.items())])


def _importance(content: AblationContent, statistics: Statistics) -> Illustration:
    title, found = "What the simulator's parameters do", statistics.importance
    main, interactions = _strongest(found.main), _strongest(found.interactions)
    unknown = [f"{effect.term} ({effect.why})" for effect in found.main if effect.estimate is None]
    missing = f" No estimate: {'; '.join(unknown)}." if unknown else ""
    if not main:
        return Illustration("importance", title, f"No figure: no parameter varied.{missing}", None)
    shown = interactions[:MOST_INTERACTIONS]
    pairs = f" The {len(shown)} strongest of {len(interactions)} interactions are shown." if shown else ""
    return Illustration(
        "importance",
        title,
        "What the score gains if a parameter goes from its lowest to its highest value, and what two together gain"
        " beyond the sum, with 95 % intervals (least squares with fixed effects of tasks and seeds, errors"
        " clustered by setting;"
        f" n = {found.trials:,} scores of {found.settings} settings on {found.tasks} tasks).{pairs}{missing}",
        figures.parameter_importance(main, shown, content.metric),
    )


def _strongest(effects: Sequence[Effect]) -> list[figures.Effect]:
    known = [
        figures.Effect(effect.term.replace("_", " "), effect.estimate, effect.low, effect.high)
        for effect in effects
        if effect.estimate is not None
    ]
    return sorted(known, key=lambda effect: -abs(effect.value))


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return "0"
    return "–".join(map(str, dict.fromkeys([min(counts), max(counts)])))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
