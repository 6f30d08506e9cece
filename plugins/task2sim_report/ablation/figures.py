"""Figures of an ablation, each as PDF, PNG and SVG.

matplotlib is used through `Figure` alone: no display and no state outside a call is touched. All lengths are in
inches from the upper left corner. Colours are those of Okabe and Ito, which colour-blind readers tell apart; what
they tell apart differs in line style and in its place too.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import attrs
import numpy as np

from task2sim_report.figures import inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, FAINT, LINE, PAPER = "#1e1b18", "#6c655e", "#e2dcd3", "#ffffff"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
STYLES = (
    (BLUE, "-"),
    (VERMILION, (0, (5, 1.5))),
    (GREEN, (0, (1.2, 1.2))),
    (PURPLE, (0, (6, 1.5, 1.2, 1.5))),
    (ORANGE, (0, (3, 1))),
    (SKY, (0, (8, 1.5, 1.2, 1.5, 1.2, 1.5))),
)
"""Colour and dashes of the lines of one panel; the baseline's line is grey."""

VARIABLES = {INK: "--ink", FAINT: "--faint", LINE: "--line", PAPER: "--paper"}
"""Colours that the page has its own of, in the light and in the dark."""

SIZE = 7.5
"""Of the text, in points: legible where a figure is as wide as a page's text."""

PIXELS = 1.5
"""CSS pixels a point on the page, where text is larger than on paper."""

TALLEST = 1.35
"""Height over width that small multiples don't exceed if more columns can help it."""

LEAST_RANGE = 4.0
"""Percentage points that the axis of a search spans at least: noise must not look like progress."""


@attrs.frozen
class Drawing:
    """A figure in the formats in which it is kept; the same input gives the same bytes.

    Attributes:
        pdf: For papers; its text is text, its fonts are embedded.
        png: For slides, 200 dots an inch.
        svg: For the page, whose font and colours it takes.
    """

    pdf: bytes
    png: bytes
    svg: str


@attrs.frozen
class Curve:
    """A row's line, with a band; ``y``, ``low`` and ``high`` are as long as ``x``; scores are in [0, 1]."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    is_baseline: bool = False


@attrs.frozen
class Bars:
    """A row's scores in [0, 1], one a task, with the ends of their intervals; nan where there are none."""

    label: str
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    is_baseline: bool = False


@attrs.frozen
class Effect:
    """What a parameter, or two together, does to the score, with the ends of its interval; in [-1, 1]."""

    label: str
    value: float
    low: float
    high: float


@attrs.frozen
class Ranked:
    """A row's average rank over tasks; 1 is the best."""

    label: str
    rank: float
    is_baseline: bool = False


def _drawn(draw: Callable[P, Figure]) -> Callable[P, Drawing]:
    """Let a function that draws a figure return it in all formats, whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        import matplotlib

        style: Any = {  # some versions of matplotlib list every key in their types
            "figure.dpi": 72,
            "savefig.dpi": 200,
            "font.family": "DejaVu Sans",
            "font.size": SIZE,
            "text.parse_math": False,
            "text.color": INK,
            "axes.labelcolor": FAINT,
            "axes.edgecolor": FAINT,
            "axes.linewidth": 0.6,
            "pdf.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "task2sim",
        }
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(style)
            figure = draw(*args, **kwargs)
            written = {}
            for kind, metadata in (
                ("pdf", {"Creator": "task2sim", "Producer": "matplotlib", "CreationDate": None}),
                ("png", {"Software": None}),
                ("svg", {"Date": None}),
            ):
                buffer = io.BytesIO()
                figure.savefig(buffer, format=kind, metadata=metadata, transparent=kind == "svg")
                written[kind] = buffer.getvalue()
        return Drawing(written["pdf"], written["png"], inline(written["svg"].decode(), VARIABLES, PIXELS))

    return drawn


@_drawn
def performance_profiles(curves: Sequence[Curve], metric: str) -> Figure:
    """For each score, the fraction of runs that reached more (Agarwal et al. 2021, section 4.3), with bands.

    Args:
        curves: A line a row; ``x`` are scores, ``y`` fractions.
        metric: What scores measure.
    """
    shown = [attrs.evolve(curve, x=_percent(curve.x)) for curve in curves]

    def style(axes: Axes) -> None:
        axes.set_ylim(-0.02, 1.02)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.set_xlabel(f"{metric} τ (%)")
        axes.set_ylabel("fraction of runs above τ")

    return _panels(shown, style, steps=False)


@_drawn
def search_curves(curves: Sequence[Curve], metric: str) -> Figure:
    """The best reward so far against the number of pre-trainings, with a band over seeds.

    Args:
        curves: A line a row; ``x`` are numbers of pre-trainings, ``y`` rewards.
        metric: What scores measure.
    """
    shown = [
        attrs.evolve(curve, y=_percent(curve.y), low=_percent(curve.low), high=_percent(curve.high))
        for curve in curves
    ]
    values = np.concatenate([np.asarray(end, float) for curve in shown for end in (curve.y, curve.low, curve.high)])
    bottom, top = float(np.nanmin(values)), float(np.nanmax(values))
    reach = max(0.55 * (top - bottom), LEAST_RANGE / 2)

    def style(axes: Axes) -> None:
        axes.set_ylim((bottom + top) / 2 - reach, (bottom + top) / 2 + reach)
        axes.locator_params(axis="x", integer=True, nbins=7)
        axes.locator_params(axis="y", nbins=5)
        axes.set_xlabel("pre-trainings")
        axes.set_ylabel(f"best {metric} so far (%)")

    return _panels(shown, style, steps=True)


@_drawn
def parameter_importance(main: Sequence[Effect], interactions: Sequence[Effect], metric: str) -> Figure:
    """What varying each parameter does to the score, and the strongest interactions, with intervals.

    Args:
        main: Main effects, one or more, in the order in which they are shown.
        interactions: Effects of two parameters together.
        metric: What scores measure.
    """
    step, width = 0.2, 2.9
    effects = [*main, *interactions]
    fitted = [_fit(effect.label, 2.3, SIZE, 1)[0] for effect in effects]
    texts = [_points(effect) for effect in effects]
    left = max(_width(text, SIZE) for text in [*fitted, "main effects"]) + 0.2
    right = max(_width(text, SIZE) for text in texts) + 0.2
    groups = [("main effects", len(main), BLUE, "o"), ("interactions", len(interactions), VERMILION, "D")]
    groups = [group for group in groups if group[1]]
    height = step * (len(effects) + len(groups)) + 0.1
    figure = _figure(left + width + right, 0.08 + height + 0.45)
    axes = _axes(figure, left, 0.08, width, height)
    axes.set_ylim(height, 0)
    ends = 100 * np.array([[effect.value, effect.low, effect.high] for effect in effects], float)
    reach = max(1.08 * float(np.nanmax(np.abs(ends))), 0.5)
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.set_xlabel(f"effect on {metric} (percentage points)")
    axes.locator_params(axis="x", nbins=7)
    axes.set_yticks([])
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline"}
    y, number = 0.05, 0
    for title, count, colour, marker in groups:
        axes.text(-0.1 / width, y + step / 2, title, ha="right", color=FAINT, style="italic", **beside)
        y += step
        for _ in range(count):
            value, low, high = ends[number]
            axes.plot([low, high], [y + step / 2] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.plot([value], [y + step / 2], marker, color=colour, markersize=4)
            axes.text(-0.1 / width, y + step / 2, fitted[number], ha="right", **beside)
            axes.text(1 + 0.1 / width, y + step / 2, texts[number], ha="left", **beside)
            y, number = y + step, number + 1
    return figure


@_drawn
def task_bars(tasks: Sequence[str], rows: Sequence[Bars], metric: str) -> Figure:
    """What each row reached on each task: a panel a task, a bar a row; of a single row a panel with a bar a task.

    Args:
        tasks: The tasks' titles.
        rows: The rows, the same in each panel.
        metric: What scores measure.
    """
    if len(rows) == 1:
        (row,) = rows
        names, titles = list(tasks), [row.label]
        table = np.array([[row.values, row.low, row.high]], float)
        baseline = [False] * len(names)
    else:
        names, titles = [row.label for row in rows], list(tasks)
        table = np.array([[row.values, row.low, row.high] for row in rows], float).transpose(2, 1, 0)
        baseline = [row.is_baseline for row in rows]
    table = 100 * table
    size, step, inner = 6.5, 0.14, 1.05 if len(titles) > 1 else 2.6
    shown = [
        _fit(f"{name} (baseline)" if base else name, 2.0, size, 1)[0]
        for name, base in zip(names, baseline, strict=True)
    ]
    left = max(_width(text, size) for text in shown) + 0.15
    across, down = inner + 0.42, step * len(names) + 0.42
    columns = max(1, min(len(titles), int((7 - left) / across)))
    while columns < len(titles) and 0.3 + down * math.ceil(len(titles) / columns) > TALLEST * (
        left + across * columns
    ):
        columns += 1
    lines = math.ceil(len(titles) / columns)
    figure = _figure(left + across * columns, 0.05 + down * lines + 0.38)
    limit = 1.02 * (float(np.nanmax(table)) if np.isfinite(table).any() else 1.0) or 1.0
    for number, (title, (values, low, high)) in enumerate(zip(titles, table, strict=True)):
        line, column = divmod(number, columns)
        axes = _axes(figure, left + across * column, 0.3 + down * line, inner, step * len(names))
        axes.set(xlim=(0, limit), ylim=(step * len(names), 0))
        axes.set_yticks([])
        axes.locator_params(axis="x", nbins=4)
        is_last = number + columns >= len(titles)
        axes.tick_params(axis="x", labelbottom=is_last, labelsize=size)
        if is_last and column == 0:
            axes.set_xlabel(f"{metric} (%)", size=size, loc="left")
        axes.spines["left"].set_visible(True)
        fitted = _fit(title, inner + 0.3, SIZE, 1)[0]
        axes.text(0, -0.06, fitted, va="baseline", size=SIZE, weight="bold")
        for place, value in enumerate(values):
            middle = step * (place + 0.5)
            if column == 0:
                weight = "bold" if baseline[place] else "normal"
                where: dict[str, Any] = {
                    "transform": axes.get_yaxis_transform(),
                    "va": "center_baseline",
                    "size": size,
                }
                axes.text(-0.08 / inner, middle, shown[place], ha="right", weight=weight, **where)
            at_end: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "va": "center_baseline",
                "ha": "right",
                "size": size,
            }
            axes.text(1 + 0.3 / inner, middle, "–" if math.isnan(value) else f"{value:.1f}", **at_end)
        middles = step * (np.arange(len(values)) + 0.5)
        axes.barh(
            middles, values, height=0.72 * step, color=[FAINT if base else SKY for base in baseline], linewidth=0
        )
        axes.hlines(middles, low, high, color=INK, linewidth=0.9)
        for base, value in zip(baseline, values, strict=True):
            if base and math.isfinite(value):
                axes.axvline(value, color=INK, linewidth=0.6, linestyle=(0, (2, 2)))
    return figure


@_drawn
def critical_differences(rows: Sequence[Ranked], cliques: Sequence[Sequence[int]], distance: float | None) -> Figure:
    """Average ranks on an axis; a bar joins rows that can't be told apart (Demšar 2006, figure 1).

    Args:
        rows: Two or more rows, in any order.
        cliques: Groups of rows that can't be told apart, each as positions in `rows`.
        distance: How far apart two ranks must be to differ, if one number says it; drawn above the axis.
    """
    line, width, most = 0.13, 3.2, 1.9
    order = sorted(range(len(rows)), key=lambda number: rows[number].rank)
    half = math.ceil(len(order) / 2)
    sides = [order[:half], order[half:][::-1]]
    labels = {
        number: _fit(f"{row.label} (baseline)" if row.is_baseline else row.label, most - 0.4, SIZE, 2)
        for number, row in enumerate(rows)
    }
    margin = max(_width(text, SIZE) for lines in labels.values() for text in lines) + 0.6
    bars = sorted(
        {
            (min(ranks), max(ranks))
            for ranks in ([rows[n].rank for n in clique] for clique in cliques)
            if len(ranks) > 1
        }
    )
    top = 0.55 if distance is not None else 0.25
    first = top + 0.12 + 0.09 * len(bars) + 0.1
    heights = [sum(line * len(labels[number]) + 0.06 for number in side) for side in sides]
    figure = _figure(2 * margin + width, first + max(heights) + 0.05)
    axes = _axes(figure, 0, 0, 2 * margin + width, first + max(heights) + 0.05)
    axes.set_axis_off()
    axes.set(xlim=(0, 2 * margin + width), ylim=(first + max(heights) + 0.05, 0))
    worst = max(len(rows), 2)

    def at(rank: float) -> float:
        return margin + width * (rank - 1) / (worst - 1)

    axes.plot([at(1), at(worst)], [top, top], color=INK, linewidth=1)
    for rank in range(1, worst + 1):
        named = worst <= 12 or rank in (1, worst) or (rank % 5 == 0 and worst - rank > 1)
        axes.plot([at(rank)] * 2, [top - (0.07 if named else 0.04), top], color=INK, linewidth=1)
        if named:
            axes.text(at(rank), top - 0.1, str(rank), ha="center", va="baseline")
    if distance is not None:
        axes.plot([at(1), at(1 + distance)], [0.28, 0.28], color=INK, linewidth=1.5, solid_capstyle="butt")
        axes.text(at(1), 0.2, f"critical difference {distance:.2f}", ha="left", va="baseline", color=FAINT)
    for number, (low, high) in enumerate(bars):
        y = top + 0.12 + 0.09 * number
        axes.plot([at(low) - 0.04, at(high) + 0.04], [y, y], color=BLUE, linewidth=3, solid_capstyle="round")
    for side, (numbers, end, inward) in enumerate(zip(sides, (margin, margin + width), (1, -1), strict=True)):
        y = first
        for number in numbers:
            row, middle = rows[number], y + line * len(labels[number]) / 2
            edge = end - inward * 0.15
            axes.plot([at(row.rank), at(row.rank), edge], [top, middle, middle], color=FAINT, linewidth=0.7)
            style: dict[str, Any] = {"va": "center", "weight": "bold" if row.is_baseline else "normal"}
            axes.text(
                edge - inward * 0.04,
                middle,
                f"{row.rank:.2f}",
                ha="left" if side else "right",
                color=FAINT,
                va="center",
            )
            axes.text(
                edge - inward * 0.4, middle, "\n".join(labels[number]), ha="left" if side else "right",
                linespacing=1.05, **style,
            )  # fmt: skip
            y += line * len(labels[number]) + 0.06
    return figure


def _panels(curves: Sequence[Curve], style: Callable[[Axes], None], steps: bool) -> Figure:
    """Panels with as many lines as can be told apart, and the baseline in each; a legend below each."""
    baselines = [curve for curve in curves if curve.is_baseline]
    # More baselines than one are rows like others; in a grid each is the baseline of some rows.
    baseline = baselines[0] if len(baselines) == 1 else None
    others = [curve for curve in curves if curve is not baseline]
    count = math.ceil(len(others) / len(STYLES)) or 1
    size = math.ceil(len(others) / count)
    groups = [others[n : n + size] for n in range(0, len(others), size)] or [[]]
    columns = min(2, len(groups))
    width, height, left, line = (2.75 if columns == 2 else 3.8), 1.7, 0.55, 0.135
    marked = {id(curve): _label(curve) for curve in curves}
    legends = [
        [
            (curve, _fit(marked[id(curve)], width - 0.35, SIZE - 0.5, 2))
            for curve in [*group, *([baseline] if baseline else [])]
        ]
        for group in groups
    ]
    tall = [0.05 + sum(line * len(lines) + 0.03 for _, lines in legend) for legend in legends]
    rows = [max(tall[n : n + columns]) for n in range(0, len(groups), columns)]
    above, below = 0.08, 0.42
    figure = _figure((left + width + 0.12) * columns, sum(above + height + below + row for row in rows))
    every = np.concatenate([np.asarray(curve.x, float) for curve in curves])
    first, last = float(every.min()), float(every.max())
    pad = 0.02 * (last - first) or 0.5
    y = 0.0
    for number, legend in enumerate(legends):
        place, column = divmod(number, columns)
        if column == 0 and place:
            y += above + height + below + rows[place - 1]
        x = left + (left + width + 0.12) * column
        axes = _axes(figure, x, y + above, width, height)
        axes.set_xlim(first - pad, last + pad)
        axes.spines["left"].set_visible(True)
        axes.grid(color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        down = y + above + height + below
        for turn, (curve, lines) in enumerate(legend):
            colour, dashes = (FAINT, "-") if curve is baseline else STYLES[turn]
            options: dict[str, Any] = {"step": "post"} if steps else {}
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0, **options)
            draw = functools.partial(axes.step, where="post") if steps else axes.plot
            draw(curve.x, curve.y, color=colour, linestyle=dashes, linewidth=1.4)
            if len(curve.x) == 1:
                axes.plot(curve.x, curve.y, "o", color=colour, markersize=4)
            _sample(figure, x, down + line / 2, colour, dashes)
            for text in lines:
                _text(figure, x + 0.35, down + line / 2, text)
                down += line
            down += 0.03
        style(axes)
    return figure


def _percent(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]


def _label(curve: Curve) -> str:
    return f"{curve.label} (baseline)" if curve.is_baseline else curve.label


def _points(effect: Effect) -> str:
    value = f"{100 * effect.value:+.1f}"
    if not (math.isfinite(effect.low) and math.isfinite(effect.high)):
        return value.replace("-", "−")
    return f"{value} [{100 * effect.low:.1f}, {100 * effect.high:.1f}]".replace("-", "−")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=PAPER)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.patch.set_visible(False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
    axes.tick_params(length=2, width=0.6, color=FAINT, labelcolor=FAINT, labelsize=SIZE - 0.5, pad=2)
    return axes


def _sample(figure: Figure, x: float, y: float, colour: str, dashes: Any) -> None:
    from matplotlib.lines import Line2D

    across, down = figure.get_size_inches()
    ends = [x / across, (x + 0.28) / across], [1 - y / down] * 2
    figure.add_artist(Line2D(*ends, color=colour, linestyle=dashes, linewidth=1.4))


def _text(figure: Figure, x: float, y: float, text: str) -> None:
    across, down = figure.get_size_inches()
    figure.text(x / across, 1 - y / down, text, va="center_baseline", size=SIZE - 0.5)


@functools.lru_cache(maxsize=4096)
def _character(character: str) -> float:
    """Width in ems; of a bold one, so that nothing is ever too wide."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold")))
    font.set_size(100, 72)
    if not font.get_char_index(ord(character)):
        return 1.0  # Whatever is drawn in place of what the font lacks is no wider.
    return float(font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 100


def _width(text: str, size: float) -> float:
    return sum(map(_character, text)) * size / 72


def _fit(text: str, width: float, size: float, lines: int) -> list[str]:
    """The text in at most so many lines, without its middle if it is too long: names often differ at both ends."""
    text = " ".join(text.split())
    wrapped, keep = _wrap(text, width, size), len(text)
    while len(wrapped) > lines:
        keep -= 1
        wrapped = _wrap(f"{text[: math.ceil(0.6 * keep)]}…{text[len(text) - math.floor(0.4 * keep) :]}", width, size)
    return wrapped


def _wrap(text: str, width: float, size: float) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and _width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return lines
