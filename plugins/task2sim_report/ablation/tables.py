"""The tables of an ablation: Markdown to read, LaTeX to publish, CSV and Parquet to go on with."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from task2sim_report.ablation.content import FAILED, MISSING, POLICY, AblationContent
from task2sim_report.ablation.statistics import (
    FEWEST,
    SEEDS,
    SIGNIFICANCE,
    Comparison,
    Effect,
    Interval,
    Statistics,
    Summary,
    ablation_statistics,
)

TABLES = "tables"
"""The folder of an ablation that holds them."""

WITHOUT_PYARROW = (
    "cells.parquet was left out because pyarrow is not installed: pip install 'task2sim[parquet]'; "
    "cells.csv holds the same"
)

MINUS = "\N{MINUS SIGN}"
DAGGER = "\N{DAGGER}"
DASH = "\N{EN DASH}"


@attrs.frozen
class Written:
    """What was written.

    Attributes:
        files: The tables.
        notes: What was left out, and how to get it.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]


@attrs.frozen
class Entry:
    """One entry of a table: plain text, perhaps in bold, perhaps with a dagger or a star behind it."""

    text: str
    bold: bool = False
    mark: str = ""


@attrs.frozen
class Block:
    """Lines under a heading of their own."""

    heading: str
    lines: tuple[tuple[Entry, ...], ...]


@attrs.frozen
class Sheet:
    """A table before it is Markdown or LaTeX.

    Attributes:
        name: The file's name.
        caption: What it shows, and how.
        header: Names of the columns.
        words: How many of the first columns hold words; the others hold numbers.
        blocks: The lines.
        notes: What must be said beneath.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    words: int
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]


Record = Mapping[str, Any]


def write_tables(content: AblationContent, folder: Path, statistics: Statistics | None = None) -> Written:
    """Write all tables into ``folder/tables``; the same content gives the same bytes.

    Args:
        content: What is known of the ablation.
        folder: The ablation's folder.
        statistics: Those of the content, if they are known already.

    Returns:
        What was written.
    """
    found = statistics or ablation_statistics(content)
    texts: dict[str, str] = {}
    for sheet, records in (
        (main_sheet(content, found), main_records(content, found)),
        (comparisons_sheet(content, found), comparison_records(content, found)),
        (per_task_sheet(content, found), per_task_records(content, found)),
    ):
        texts[f"{sheet.name}.md"] = markdown(sheet)
        texts[f"{sheet.name}.tex"] = latex(sheet, f"tab:{content.name}-{sheet.name}")
        texts[f"{sheet.name}.csv"] = _csv(records)
    texts["importance.md"] = markdown(importance_sheet(content, found))
    texts["importance.csv"] = _csv(importance_records(content, found))
    cells = cell_records(content)
    texts["cells.csv"] = _csv(cells)
    if failures := failures_text(content):
        texts["failures.md"] = failures
    target = folder / TABLES
    target.mkdir(parents=True, exist_ok=True)
    for name in texts:
        _write(target / name, texts[name].encode())
    if "failures.md" not in texts:
        (target / "failures.md").unlink(missing_ok=True)
    parquet = target / "cells.parquet"
    notes: tuple[str, ...] = ()
    if find_spec("pyarrow") is None:
        # An older one would tell of other cells.
        parquet.unlink(missing_ok=True)
        notes = (WITHOUT_PYARROW,)
    else:
        _write(parquet, _parquet(cells))
    files = [target / name for name in texts] + [parquet] * (not notes)
    return Written(tuple(sorted(files)), notes)


# What the tables hold


def main_sheet(content: AblationContent, found: Statistics) -> Sheet:
    """Each row's scores, and its difference from its baseline."""
    oracle = bool(found.regrets)
    names, labels = _label_columns(content)
    blocks = []
    for role in content.roles:
        own = [found.summary(row.name, role) for row in content.rows]
        best = _best({one.row: one.mean for one in own if one.is_complete})
        lines = [
            (*labels[row.name], *_main_line(summary, found, summary.row in best, content.is_baseline(row), oracle))
            for row, summary in zip(content.rows, own, strict=True)
        ]
        for text, one in _shared_references(content, found, role):
            filling = (Entry(""),) * (len(names) - 1)
            numbers = (_percent(one.mean), _with_interval(one.iqm, one.interval), DASH, DASH, str(one.pairs))
            lines.append((Entry(text), *filling, *map(Entry, (*numbers, *([DASH] * oracle)))))
        blocks.append(Block(f"{role.capitalize()} tasks", tuple(lines)))
    header = (*names, "Mean", "IQM [95 %]", "Difference [95 %]", "p (Holm)", "n", *(["Regret"] * oracle))
    return Sheet("main", _main_caption(content, found), header, len(names), tuple(blocks), _notes(content, found))


def _main_line(summary: Summary, found: Statistics, best: bool, is_baseline: bool, oracle: bool) -> tuple[Entry, ...]:
    if not summary.pairs:
        return (*[Entry(DASH)] * 4, Entry("0"), *([Entry(DASH)] * oracle))
    comparison, regret = found.comparison(summary.row, summary.role), found.regret(summary.row, summary.role)
    entries = [
        Entry(_percent(summary.mean), bold=best),
        Entry(_with_interval(summary.iqm, summary.interval)),
        _difference(comparison) if comparison is not None else Entry("baseline" if is_baseline else DASH),
        Entry(DASH if comparison is None or comparison.p_holm is None else _p(comparison.p_holm)),
        Entry(str(summary.pairs), mark="" if summary.is_complete else "*"),
    ]
    if oracle:
        entries.append(Entry(DASH if regret is None else _percent(regret.mean)))
    return tuple(entries)


def _shared_references(content: AblationContent, found: Statistics, role: str) -> list[tuple[str, Summary]]:
    """Reference methods that score the same in all rows; the others are in the table of tasks."""
    shared = []
    for method in content.methods:
        pairs = [content.pairs(row.name, role, method) for row in content.rows]
        fullest = max(pairs, key=len)
        if fullest and all(own.items() <= fullest.items() for own in pairs):
            row = content.rows[pairs.index(fullest)].name
            shared.append(
                next(
                    (method, one)
                    for one in found.references
                    if (one.row, one.role, one.method) == (row, role, method)
                )
            )
    return shared


def _main_caption(content: AblationContent, found: Statistics) -> str:
    return " ".join(
        [
            f"{content.metric.capitalize()} (%) on test images.",
            "Mean: over tasks of the means over seeds.",
            "IQM: interquartile mean over runs (n pairs of a task and a seed)" + _interval_words(found) + ".",
            "Difference: from the baseline row, on the pairs that both have.",
            _test_words(found),
            "Bold: the highest mean of the rows that have all pairs"
            + ("; * marks those that lack some." if any(not one.is_complete for one in found.summaries) else "."),
            *(["Regret: what is missing to the best setting for each task."] * bool(found.regrets)),
        ]
    )


def _interval_words(found: Statistics) -> str:
    kinds = sorted({one.interval.resampled for one in found.summaries if one.interval.is_known})
    if not kinds:
        return ", without interval: there are too few runs to resample"
    return f" with 95 % stratified bootstrap interval (resampled: {' or '.join(kinds)})"


def _test_words(found: Statistics) -> str:
    tested = [one for one in found.comparisons if one.p_value is not None]
    if not tested:
        return f"No p-values: they need {FEWEST} independent pairs." if found.comparisons else ""
    units = [f"{count} {unit}" for unit, count in sorted({(one.unit, one.units) for one in tested})]
    return (
        f"p: sign-flip permutation test on {' or '.join(units)}, Holm-corrected over {len(tested)}"
        f" comparison{'s' * (len(tested) != 1)}; {DAGGER}: p < 0.05."
    )


def _notes(content: AblationContent, found: Statistics) -> tuple[str, ...]:
    notes = list(content.warnings)
    for role in content.roles:
        reasons: dict[str, list[str]] = {}
        for one in found.comparisons:
            if one.role == role and one.pairs:
                reasons.setdefault(one.why, []).append(one.row)
        for why in filter(None, reasons):
            rows = f" ({'; '.join(reasons[why])})" if len(reasons) > 1 else ""
            notes.append(f"{role.capitalize()} tasks: {why}{rows}.")
    tested = [one.units for one in found.comparisons if one.p_value is not None]
    smallest = min(1.0, len(tested) * 2 / 2 ** max(tested)) if tested else 0.0
    if smallest >= SIGNIFICANCE:
        notes.append(
            f"With {max(tested)} independent pairs and {len(tested)} comparison{'s' * (len(tested) != 1)}"
            f" no corrected p can be below {smallest:.3f}, whatever the scores: nothing here can be significant."
        )
    if swayed := [one for one in found.summaries if one.has_seed_effect]:
        rows = "; ".join(f"{one.row} ({one.role} tasks)" for one in swayed)
        notes.append(
            "Some seeds are better than others on all tasks alike, so the intervals of these rows are too narrow for"
            f" a repeated study: {rows}."
        )
    if swayed_pairs := [one for one in found.comparisons if one.has_seed_effect]:
        rows = "; ".join(f"{one.row} ({one.role} tasks)" for one in swayed_pairs)
        notes.append(
            "The difference from the baseline depends on the seed on all tasks alike, so its interval and p-value"
            f" hold for these seeds, not for a repeated study, and it is not called significant: {rows}."
        )
    for role in dict.fromkeys(one.role for one in found.comparisons if one.unit == SEEDS):
        notes.append(f"{role.capitalize()} tasks: p is about repeating this on the same few tasks, not about others.")
    if len(content.seeds) == 1:
        notes.append("There is one seed: nothing here tells how results vary if a study is repeated.")
    return tuple(notes)


def comparisons_sheet(content: AblationContent, found: Statistics) -> Sheet:
    """Each row against its baseline."""
    lines = {
        role: tuple(
            (
                Entry(one.row),
                Entry(one.baseline),
                _difference(one),
                Entry(DASH if one.p_value is None else _p(one.p_value)),
                Entry(DASH if one.p_holm is None else _p(one.p_holm)),
                Entry(DASH if one.effect is None else _signed(one.effect, 2)),
                Entry(DASH if math.isnan(one.improvement) else f"{one.improvement:.2f}"),
                Entry(str(one.pairs)),
                Entry(f"{one.units} {one.unit}" if one.unit else str(one.units)),
            )
            for one in found.comparisons
            if one.role == role
        )
        for role in content.roles
    }
    caption = " ".join(
        [
            f"Rows against their baseline rows: {content.metric} in percentage points, on the n pairs of a task and a"
            " seed that both have, with 95 % bootstrap interval over the independent pairs (last column).",
            _test_words(found),
            "d: Cohen's d_z, the mean of the differences over their standard deviation.",
            "P(better): on how many of the pairs the row is better.",
            *(_ranking_words(one.role, found) for one in found.rankings),
        ]
    )
    header = ("Row", "Baseline", "Difference [95 %]", "p", "p (Holm)", "d", "P(better)", "n", "Independent")
    blocks = tuple(Block(f"{role.capitalize()} tasks", lines[role]) for role in content.roles)
    return Sheet("comparisons", caption, header, 2, blocks, _notes(content, found))


def _ranking_words(role: str, found: Statistics) -> str:
    one = next(ranking for ranking in found.rankings if ranking.role == role)
    ranks = "; ".join(f"{row} {rank:.2f}" for row, rank in one.ranks.items())
    if one.why:
        return f"Average ranks on {role} tasks: {ranks or 'none'} ({one.why})."
    return (
        f"Average ranks on {role} tasks (n = {one.tasks} tasks): {ranks}; Friedman chi-squared {one.statistic:.2f},"
        f" p {_p(one.p_value or 0.0, relation=True)}; Nemenyi's critical difference {one.critical_difference:.2f}."
    )


def per_task_sheet(content: AblationContent, found: Statistics) -> Sheet:
    """Each task's scores in each row."""
    own = {(one.role, one.task, one.row): one for one in found.task_means if one.method == POLICY}
    blocks = []
    for role in content.roles:
        lines = []
        for task in dict.fromkeys(key[1] for key in own if key[0] == role):
            means = {row.name: own.get((role, task, row.name)) for row in content.rows}
            counts = {one.seeds if one else 0 for one in means.values()}
            best = _best({row: one.mean for row, one in means.items() if one and one.seeds == max(counts)})
            seeds = str(max(counts)) if len(counts) == 1 else f"{min(counts)}{DASH}{max(counts)}"
            scores = (
                Entry(DASH)
                if one is None
                else Entry(
                    _percent(one.mean) + ("" if math.isnan(one.deviation) else f" ± {100 * one.deviation:.1f}"),
                    bold=row in best,
                )
                for row, one in means.items()
            )
            lines.append((Entry(task), *scores, Entry(seeds)))
        blocks.append(Block(f"{role.capitalize()} tasks", tuple(lines)))
    header = ("Task", *(", ".join(row.levels.values()) or row.name for row in content.rows), "n")
    caption = (
        f"{content.metric.capitalize()} (%) of each row on each task: mean and standard deviation over n seeds."
        " Bold: the highest mean of the rows with most seeds. Reference methods are in per_task.csv."
    )
    return Sheet("per_task", caption, header, 1, tuple(blocks), tuple(content.warnings))


def importance_sheet(content: AblationContent, found: Statistics) -> Sheet:
    """Effects of the simulator's parameters."""

    def lines(effects: Iterable[Effect]) -> tuple[tuple[Entry, ...], ...]:
        return tuple(
            (
                Entry(one.term),
                Entry("not estimable" if one.estimate is None else _signed(100 * one.estimate)),
                Entry(DASH if math.isnan(one.low) else f"[{_signed(100 * one.low)}, {_signed(100 * one.high)}]"),
                Entry(
                    DASH if one.p_holm is None else _p(one.p_holm),
                    mark=DAGGER if one.p_holm is not None and one.p_holm < 0.05 else "",
                ),
                Entry(one.why),
            )
            for one in effects
        )

    one = found.importance
    caption = (
        f"What the simulator's parameters do to {content.metric}, in percentage points: least squares on {one.trials}"
        f" scores (n = {one.settings} settings, {one.tasks} tasks) with fixed effects of tasks and seeds, standard"
        " errors clustered by setting. A main effect is the gain from off to on, or from the lowest value to the"
        " highest; an interaction what both together gain beyond their sum. p: Holm-corrected in each part;"
        f" {DAGGER}: p < 0.05. Searches choose what they try, so this describes trials and is no experiment."
    )
    blocks = (Block("Main effects", lines(one.main)), Block("Interactions", lines(one.interactions)))
    return Sheet(
        "importance", caption, ("Parameter", "Effect", "95 %", "p (Holm)", ""), 1, blocks, tuple(content.warnings)
    )


def main_records(content: AblationContent, found: Statistics) -> list[Record]:
    """The main table in full precision, with all reference methods."""
    ranks = {one.role: one.ranks for one in found.rankings}
    records: list[Record] = []
    for one in (*found.summaries, *found.references):
        own = one.method == POLICY
        comparison = found.comparison(one.row, one.role) if own else None
        regret = found.regret(one.row, one.role) if own else None
        records.append(
            {
                "role": one.role,
                "row": one.row,
                **_level_columns(content, one.row),
                "method": one.method or "policy",
                "mean": one.mean,
                "iqm": one.iqm,
                **_interval_columns("iqm", one.interval),
                "pairs": one.pairs,
                "tasks": one.tasks,
                "seeds": one.seeds,
                "complete": one.is_complete,
                "p_seed_effect": one.p_seed_effect,
                "baseline": comparison.baseline if comparison else None,
                "difference": comparison.difference if comparison else None,
                **_interval_columns("difference", comparison.interval if comparison else Interval()),
                "p_holm": comparison.p_holm if comparison else None,
                "average_rank": ranks[one.role].get(one.row) if own else None,
                "regret": regret.mean if regret else None,
                **_interval_columns("regret", regret.interval if regret else Interval()),
                "warnings": "; ".join(content.flags_of(one.row)),
            }
        )
    return records


def comparison_records(content: AblationContent, found: Statistics) -> list[Record]:
    """The comparisons in full precision, with Wilcoxon's test beside."""
    return [
        {
            "role": one.role,
            "row": one.row,
            **_level_columns(content, one.row),
            "baseline": one.baseline,
            "pairs": one.pairs,
            "tasks": one.tasks,
            "seeds": one.seeds,
            "unit": one.unit,
            "units": one.units,
            "difference": one.difference,
            **_interval_columns("difference", one.interval),
            "p": one.p_value,
            "p_holm": one.p_holm,
            "p_wilcoxon": one.p_wilcoxon,
            "p_seed_effect": one.p_seed_effect,
            "cohens_dz": one.effect,
            "probability_of_improvement": one.improvement,
            **_interval_columns("probability", one.improvement_interval),
            "why_no_p": one.why,
            "warnings": "; ".join(dict.fromkeys([*content.flags_of(one.row), *content.flags_of(one.baseline)])),
        }
        for one in found.comparisons
    ]


def per_task_records(content: AblationContent, found: Statistics) -> list[Record]:
    """Means over seeds of each task, row and method."""
    return [
        {
            "role": one.role,
            "task": one.task,
            "row": one.row,
            **_level_columns(content, one.row),
            "method": one.method or "policy",
            "mean": one.mean,
            "deviation": one.deviation,
            "seeds": one.seeds,
            "warnings": "; ".join(content.flags_of(one.row)),
        }
        for one in found.task_means
    ]


def importance_records(content: AblationContent, found: Statistics) -> list[Record]:
    """Effects in full precision."""
    one = found.importance
    return [
        {
            "kind": kind,
            "term": effect.term,
            "estimate": effect.estimate,
            "low": effect.low,
            "high": effect.high,
            "p": effect.p_value,
            "p_holm": effect.p_holm,
            "why": effect.why,
            "trials": one.trials,
            "settings": one.settings,
            "tasks": one.tasks,
            "warnings": "; ".join(content.warnings),
        }
        for kind, effects in (("main effect", one.main), ("interaction", one.interactions))
        for effect in effects
    ]


def cell_records(content: AblationContent) -> list[Record]:
    """One record for each score; a cell without results has one without a score."""
    scores: dict[tuple[str, int], list[Any]] = {}
    for score in content.scores:
        scores.setdefault((score.row, score.seed), []).append(score)
    records: list[Record] = []
    for cell in content.cells:
        for score in scores.get((cell.row, cell.seed), [None]):
            records.append(
                {
                    "row": cell.row,
                    **_level_columns(content, cell.row),
                    "seed": cell.seed,
                    "task": score.task if score else None,
                    "role": score.role if score else None,
                    "method": (score.method or "policy") if score else None,
                    "value": score.value if score else None,
                    "deviation": score.deviation if score and not math.isnan(score.deviation) else None,
                    "count": score.count if score else None,
                    "state": cell.state,
                    "error": cell.error or None,
                    "warnings": "; ".join(content.flags_of(cell.row, cell.seed)) or None,
                }
            )
    return records


def failures_text(content: AblationContent) -> str:
    """The cells that failed or are missing, with reasons; empty if there are none."""
    parts = [f"# Cells of {_escaped(content.name)} without results\n"]
    for state, heading, mend in (
        (FAILED, "Failed", "`task2sim ablate FILE --retry` tries them again."),
        (MISSING, "Missing", "`task2sim ablate FILE` runs what is missing."),
    ):
        cells = [cell for cell in content.cells if cell.state == state]
        if cells:
            parts.append(f"\n## {heading}: {len(cells)} of {len(content.cells)} cells\n\n{mend}\n")
            for cell in cells:
                reason = "\n".join(f"      {line}".rstrip() for line in cell.error.strip().splitlines())
                parts.append(f"\n- {_escaped(cell.row)}, seed {cell.seed}:\n\n{reason}\n")
    return "".join(parts) if len(parts) > 1 else ""


def _label_columns(content: AblationContent) -> tuple[tuple[str, ...], dict[str, tuple[Entry, ...]]]:
    """A column for each factor; where rows leave factors as they are, one column with the row's name."""
    if content.factors and all(len(row.levels) == len(content.factors) for row in content.rows):
        names = tuple(factor.name for factor in content.factors)
        return names, {row.name: tuple(Entry(row.levels[name]) for name in names) for row in content.rows}
    return ("Row",), {row.name: (Entry(row.name),) for row in content.rows}


def _level_columns(content: AblationContent, name: str) -> dict[str, str | None]:
    row = content.row(name)
    return {factor.name: row.levels.get(factor.name) for factor in content.factors}


def _interval_columns(name: str, interval: Interval) -> dict[str, Any]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high, f"{name}_resampled": interval.resampled}


# Numbers in words


def _best(means: Mapping[str, float]) -> set[str]:
    """The highest, and those that look the same when they are printed. One alone is best of nothing."""
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if len(known) < 2:
        return set()
    top = _percent(max(known.values()))
    return {name for name, mean in known.items() if _percent(mean) == top}


def _percent(value: float) -> str:
    return DASH if math.isnan(value) else f"{100 * value:.1f}".replace("-", MINUS)


def _signed(value: float, digits: int = 1) -> str:
    # The sum takes the sign from a zero.
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", MINUS)


def _p(value: float, relation: bool = False) -> str:
    equals = "= " if relation else ""
    return ("< 0.001" if relation else "<0.001") if value < 0.001 else f"{equals}{value:.3f}"


def _with_interval(value: float, interval: Interval) -> str:
    return _percent(value) + (f" [{_percent(interval.low)}, {_percent(interval.high)}]" if interval.is_known else "")


def _difference(one: Comparison) -> Entry:
    if not one.pairs:
        return Entry("no pairs")
    low, high = (_signed(100 * end) for end in (one.interval.low, one.interval.high))
    ends = f" [{low}, {high}]" if one.interval.is_known else ""
    return Entry(_signed(100 * one.difference) + ends, mark=DAGGER if one.is_significant else "")


# Markdown and LaTeX


def markdown(sheet: Sheet) -> str:
    """A sheet as Markdown, each block a table of its own."""
    parts = [f"{_escaped(sheet.caption)}\n"]
    for block in sheet.blocks:
        parts.append(f"\n## {block.heading}\n\n")
        if not block.lines:
            parts.append("None.\n")
            continue
        rules = [":--"] * sheet.words + ["--:"] * (len(sheet.header) - sheet.words)
        lines = [[_escaped(name) for name in sheet.header], rules]
        lines += [[_markdown_entry(entry) for entry in line] for line in block.lines]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    if sheet.notes:
        parts.append("\n" + "".join(f"- {_escaped(note)}\n" for note in sheet.notes))
    return "".join(parts)


def _markdown_entry(entry: Entry) -> str:
    text = _escaped(entry.text)
    return (f"**{text}**" if entry.bold else text) + _escaped(entry.mark)


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_`<])", r"\\\1", " ".join(text.split()))


LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After the end of a line in a tabular both would be read as its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    MINUS: r"\ensuremath{-}",
    DAGGER: r"\textsuperscript{\textdagger}",
    DASH: "--",
    "±": r"\ensuremath{\pm}",
}


def escape_latex(text: str) -> str:
    """Text as LaTeX shows it letter by letter."""
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))


def latex(sheet: Sheet, label: str) -> str:
    """A sheet as a LaTeX table; it needs ``booktabs``."""
    width = len(sheet.header)
    body = [" & ".join(map(escape_latex, sheet.header)) + r" \\"]
    for block in sheet.blocks:
        if block.lines:
            body += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape_latex(block.heading)}}}}} \\"]
            body += [" & ".join(map(_latex_entry, line)) + r" \\" for line in block.lines]
    notes = [rf"  {{\par\smallskip\footnotesize {escape_latex(note)}\par}}" for note in sheet.notes]
    everything = "".join([escape_latex(sheet.caption), *body, *notes])
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            *([] if everything.isascii() else ["% Needs LuaLaTeX or XeLaTeX, for characters beyond ASCII."]),
            r"\begin{table}[tbp]",
            r"  \centering",
            rf"  \caption{{{escape_latex(sheet.caption)}}}",
            rf"  \label{{{re.sub('[^A-Za-z0-9:.-]', '-', label)}}}",
            rf"  \begin{{tabular}}{{{'l' * sheet.words}{'r' * (width - sheet.words)}}}",
            r"    \toprule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _latex_entry(entry: Entry) -> str:
    text = escape_latex(entry.text)
    return (rf"\textbf{{{text}}}" if entry.bold else text) + escape_latex(entry.mark)


# Files


def _csv(records: Sequence[Record]) -> str:
    out = io.StringIO()
    columns = list(records[0]) if records else []
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(record[column]) for column in columns] for record in records)
    return out.getvalue()


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    # Ten digits are more than any score has, and fewer than what machines differ in.
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _parquet(records: Sequence[Record]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"seed": pa.int64(), "count": pa.int64(), "value": pa.float64(), "deviation": pa.float64()}
    columns = list(records[0])
    schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
    table = pa.table({column: [record[column] for record in records] for column in columns}, schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _write(path: Path, data: bytes) -> None:
    """Beside it and renamed into place: nobody ever reads half a table."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
