"""Figures as SVG that lies inside the page, takes its font and follows its light and dark colours.

matplotlib is used through `Figure` alone: no display and no state outside a call is touched.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec
from xml.etree import ElementTree

import attrs
import numpy as np

from task2sim_report.content import Cell, Tried, spaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from task2sim.summary import Cell as Score

P = ParamSpec("P")

# Colours are drawn as these and become the page's variables, since matplotlib knows no CSS.
INK, FAINT, LINE, ACCENT, HEAT, COLD = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
VARIABLES = {INK: "--ink", FAINT: "--faint", LINE: "--line", ACCENT: "--accent", HEAT: "--heat", COLD: "--cold"}

STRONGEST = 0.85
"""Opacity of the strongest cell of a heat map: text stays legible on it."""

LEAST_RANGE = 4.0
"""Percentage points that the axis of a search spans at least: noise must not look like progress."""

LARGEST_SCALE = 1.15
"""A figure grows with the page to this many CSS pixels a unit, so that text is never shouting."""

SMALLEST_SCALE = 0.8
"""It shrinks to this many and then scrolls, so that text stays legible on a phone."""

LONGEST_NAME = 24
"""Characters of a task's name in a figure."""

CHARACTER = 7.6
"""Width of a character of 12 units, in a wide typeface."""


def _drawn(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Let a function that draws a figure return the SVG, the same bytes whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        import matplotlib

        style: Any = {  # some versions of matplotlib list every key in their types
            "figure.dpi": 72,
            "font.size": 12,
            "text.parse_math": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "task2sim",
            "text.color": INK,
            "axes.labelcolor": FAINT,
        }
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(style)
            buffer = io.StringIO()
            draw(*args, **kwargs).savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return inline(buffer.getvalue())

    return drawn


@_drawn
def task_bars(methods: Sequence[tuple[str, Score]], limit: float) -> Figure:
    """What each method reached on one task, as bars with their standard deviations; the first is the policy.

    Args:
        methods: Name and score of each method.
        limit: The score at the right end of the bars.
    """
    step, left, right, width = 22.0, 132.0, 216.0, 300.0
    figure, axes = _canvas(width, step * len(methods))
    for number, (method, score) in enumerate(methods):
        middle, is_policy = step * (number + 0.5), number == 0
        length = (right - left) * score.mean / limit
        axes.barh(
            middle, length, left=left, height=12, color=ACCENT if is_policy else FAINT, alpha=1 if is_policy else 0.5
        )
        if not math.isnan(score.deviation):
            spread = (right - left) * score.deviation / limit
            ends = [left + length - spread, left + length + spread]
            axes.plot(ends, [middle, middle], color=INK, linewidth=1.5, solid_capstyle="butt")
        style: dict[str, Any] = {"size": 11.5, "weight": "bold" if is_policy else "normal", "va": "center_baseline"}
        axes.text(left - 7, middle, method, ha="right", **style)
        axes.text(width, middle, score.percent(), ha="right", **style)
    axes.plot([left, left], [0, step * len(methods)], color=FAINT, linewidth=1)
    return figure


@_drawn
def heat_map(
    tasks: Sequence[str], parameters: Sequence[str], cells: Sequence[Sequence[Cell]], unseen: Collection[str] = ()
) -> Figure:
    """Cells with their texts, darker where they are stronger, cold where they are negative; marked ones have a frame.

    Args:
        tasks: Names of the rows.
        parameters: Names of the columns.
        cells: For each task, a cell for each parameter.
        unseen: Which of the tasks bear the mark of unseen ones.
    """
    side = max(46.0, 7 * max(len(cell.text) for row in cells for cell in row) + 8)
    left, top, overhang = _row_labels(tasks), _column_labels(parameters), 0.71 * CHARACTER * len(parameters[-1])
    figure, axes = _canvas(left + side * len(parameters) + overhang, top + 28 * len(tasks) + 2)
    _grid(axes, _Place(left, top, side, 28), tasks, [spaced(name) for name in parameters], cells, unseen)
    return figure


@_drawn
def distance_map(
    names: Sequence[str], distances: Mapping[tuple[str, str], float], unseen: Collection[str] = ()
) -> Figure:
    """Distances between two or more tasks, with the tree of average linkage; near tasks lie side by side.

    Numbers have three digits, which stay legible with thirty tasks; zeros before the point are left out. Where all
    are very small or large, their unit is in the corner.

    Args:
        names: The tasks.
        distances: Of each pair, in both orders.
        unseen: Which of the tasks bear the mark of unseen ones.
    """
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    table = np.array([[distances[first, second] for second in names] for first in names])
    table = (table + table.T) / 2
    np.fill_diagonal(table, 0.0)
    tree = dendrogram(linkage(squareform(table, checks=False), "average", optimal_ordering=True), no_plot=True)
    order = tree["leaves"]
    far = float(table.max()) or 1.0
    text, unit = _three_digits(far)
    cells = [
        [
            Cell("", 0.0, False) if i == j else Cell(text(table[i, j]), 1 - float(table[i, j]) / far, False)
            for j in order
        ]
        for i in order
    ]
    ordered = [names[i] for i in order]
    width, branches = min(48.0, max(24.0, 660 / len(names))), 90.0
    height = min(28.0, max(18.0, 0.62 * width))
    left, top = _row_labels(ordered), _column_labels(ordered)
    end, bottom = left + width * len(names), top + height * len(names)
    figure, axes = _canvas(end + branches + 18, bottom + 18)
    place = _Place(left, top, width, height, size=11 if width > 34 else 9.5)
    _grid(axes, place, ordered, ordered, cells, unseen)
    if unit:
        axes.text(0, top - 5, unit, va="baseline", size=place.size, color=FAINT)
    longest = max(max(heights) for heights in tree["dcoord"]) or 1.0
    # scipy puts leaf k at 10 k + 5.
    for leaves, heights in zip(tree["icoord"], tree["dcoord"], strict=True):
        x = [end + 6 + branches * height_ / longest for height_ in heights]
        axes.plot(x, [top + height * leaf / 10 for leaf in leaves], color=FAINT, linewidth=1.4)
    for x_, number in ((end + 6, "0"), (end + 6 + branches, text(longest))):
        axes.text(x_, bottom + 12, number, ha="center", va="baseline", size=place.size, color=FAINT)
    return figure


@_drawn
def search_curve(tried: Sequence[Tried], task: str | None) -> Figure:
    """Reward against the number of settings tried, with the best so far.

    Args:
        tried: What the search tried.
        task: The task whose scores are drawn; None for the mean over all seen tasks.
    """
    values = [100 * (one.reward if task is None else one.scores[task]) for one in tried]
    numbers = [one.number for one in tried]
    figure = _figure(*((480.0, 210.0) if task is None else (290.0, 160.0)), layout="constrained")
    axes = figure.add_subplot()
    axes.step(numbers, np.maximum.accumulate(values), where="post", color=ACCENT, linewidth=2)
    size = (6 if task is None else 4) * min(1, max(0.5, 50 / len(tried)))
    axes.plot(numbers, values, "o", color=FAINT, markersize=size, markeredgewidth=0)
    axes.set_xlim(0.5, len(tried) + 0.5)
    middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2
    reach = max(1.1 * half, LEAST_RANGE / 2)
    axes.set_ylim(middle - reach, middle + reach)
    axes.locator_params(axis="x", integer=True, nbins=8)
    axes.locator_params(axis="y", nbins=4)
    if task is None:
        axes.set_xlabel("settings tried")
        axes.set_ylabel("reward (%)")
    axes.grid(axis="y", color=LINE, linewidth=1)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)
    axes.tick_params(length=0, colors=FAINT)
    return figure


def _figure(width: float, height: float, **options: Any) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72, **options)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one unit of data for each unit of SVG, y downwards."""
    figure = _figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure, axes


def _three_digits(far: float) -> tuple[Callable[[float], str], str]:
    """How to write numbers up to `far` with three digits in all, and in which unit; no unit if it is 1."""
    exponent = math.floor(math.log10(far)) + 1
    unit = 1.0 if 0 <= exponent <= 3 else 10.0**exponent
    decimals = max(0, 3 - exponent) if unit == 1 else 3

    def text(value: float) -> str:
        written = f"{value / unit:.{decimals}f}"
        return written.removeprefix("0") if decimals == 3 else written

    return text, "" if unit == 1 else f"× {unit:g}"


def _short(name: str) -> str:
    """The name, without its middle if it is too long: names that begin alike often end differently."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}…{name[-8:]}"


def _row_labels(names: Sequence[str]) -> float:
    return CHARACTER * max(len(_short(name)) for name in names) + 20


def _column_labels(names: Sequence[str]) -> float:
    return 0.71 * CHARACTER * max(len(_short(name)) for name in names) + 16


@attrs.frozen
class _Place:
    """Where a grid's first cell lies, how large each is, and its text."""

    left: float
    top: float
    width: float
    height: float
    size: float = 11


def _grid(
    axes: Axes,
    place: _Place,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    unseen: Collection[str],
) -> None:
    from matplotlib.patches import Rectangle

    left, top, width, height = place.left, place.top, place.width, place.height
    for number, column in enumerate(columns):
        x = left + width * (number + 0.4)
        axes.text(x, top - 5, _short(column), rotation=45, rotation_mode="anchor", ha="left", va="baseline")
    for i, (name, row) in enumerate(zip(rows, cells, strict=True)):
        y = top + height * i
        colour = ACCENT if name in unseen else INK
        axes.text(left - 18, y + height / 2, _short(name), ha="right", va="center_baseline", color=colour)
        if name in unseen:
            # A ring, for those who don't see the colour.
            axes.plot([left - 9], [y + height / 2], "o", color="none", markeredgecolor=ACCENT, markersize=6)
        for j, cell in enumerate(row):
            x = left + width * j
            corner, size = (x + 1, y + 1), (width - 2, height - 2)
            opacity = 0.04 + (STRONGEST - 0.04) * abs(cell.strength)
            colour = HEAT if cell.strength >= 0 else COLD
            axes.add_patch(Rectangle(corner, *size, facecolor=colour, edgecolor="none", alpha=opacity))
            if cell.marked:
                axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=INK, linewidth=1.5))
            if cell.text:
                weight = "bold" if cell.marked else "normal"
                axes.text(
                    x + width / 2,
                    y + height / 2,
                    cell.text,
                    ha="center",
                    va="center_baseline",
                    size=place.size,
                    weight=weight,
                )


def inline(svg: str, variables: Mapping[str, str] = VARIABLES, pixels: float = 1.0) -> str:
    """Make a matplotlib SVG fit to lie inside an HTML page: no name spaces, own ids, colours from the page.

    Args:
        svg: As matplotlib writes it.
        variables: The page's CSS variable for each colour that it replaces.
        pixels: CSS pixels for each unit, before it grows or shrinks with the page.
    """
    root = ElementTree.fromstring(svg)
    prefix = f"s{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            key = key.rpartition("}")[2]
            if key == "id":
                value = prefix + value
            elif key == "href":
                value = f"#{prefix}{value[1:]}"
            value = value.replace("url(#", f"url(#{prefix}")
            if key in ("style", "fill", "stroke"):
                value = re.sub("|".join(variables), lambda found: f"var({variables[found[0]]})", value)
            element.set(key, value)
    width, _ = pixels * float(root.attrib.pop("width").removesuffix("pt")), root.attrib.pop("height")
    root.set("style", f"min-width: {SMALLEST_SCALE * width:.0f}px; max-width: {LARGEST_SCALE * width:.0f}px")
    return ElementTree.tostring(root, encoding="unicode")
