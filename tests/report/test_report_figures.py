from __future__ import annotations

import math
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from task2sim.summary import Cell as Score
from task2sim_report import figures
from task2sim_report.content import Cell, Tried

SCORES = [("policy <x> $a$", Score(0.5, 0.02, 2)), ("b", Score(0.4, math.nan, 1)), ("c", Score(0.0, 0.0, 2))]
TRIED = [Tried(n, 1, "", {"a": value}, value) for n, value in enumerate((0.3, 0.2, 0.4), 1)]
NAMES = ["a", "b", "c"]
DISTANCES = {("a", "b"): 0.9, ("a", "c"): 0.1, ("b", "c"): 0.8}
DISTANCES |= {(b, a): d for (a, b), d in DISTANCES.items()} | {(n, n): 0.0 for n in NAMES}


def all_figures() -> list[str]:
    cells = [[Cell("0.93", 0.93, True), Cell("0.01", 0.01, False)]] * 3
    return [
        figures.task_bars(SCORES, 0.52),
        figures.heat_map(NAMES, ["x_y", "z"], cells),
        figures.search_curve(TRIED, None),
        figures.search_curve(TRIED[:1], "a"),
        figures.distance_map(NAMES, DISTANCES),
    ]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def test_the_same_bytes_whatever_the_user_has_set() -> None:
    import matplotlib

    first = all_figures()
    with matplotlib.rc_context(
        {"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "axes.linewidth": 9}
    ):
        assert all_figures() == first
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize("svg", all_figures())
def test_lies_well_in_a_page(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert "width" not in root.attrib
    assert "metadata" not in svg
    assert "http" not in svg
    # Black would be invisible in the dark, so nothing may keep a colour of its own.
    assert "var(--" in svg
    assert not [e for e in root.iter() if "#" in e.get("style", "").replace("url(#", "")]
    ids = {element.get("id") for element in root.iter()} - {None}
    used = {part.split(")")[0] for part in svg.split("url(#")[1:]}
    used |= {element.get("href", "#")[1:] for element in root.iter()} - {""}
    assert used <= ids


def test_ids_of_different_figures_differ() -> None:
    first, second = ({e.get("id") for e in ElementTree.fromstring(svg).iter()} - {None} for svg in all_figures()[:2])
    assert not first & second


def test_bars() -> None:
    svg = figures.task_bars(SCORES, 0.52)
    assert texts(svg) == ["policy <x> $a$", "50.0 ± 2.0", "b", "40.0", "c", "0.0 ± 0.0"]
    assert svg.count("var(--accent)") == 1


def test_heat_map_frames_what_is_marked() -> None:
    svg = figures.heat_map(["t"], ["x_y", "z", "w"], [[Cell("0.9", 1.0, True), *[Cell("0.1", 0.0, False)] * 2]])
    assert texts(svg) == ["x y", "z", "w", "t", "0.9", "0.1", "0.1"]
    frames = [e for e in ElementTree.fromstring(svg).iter("path") if "stroke: var(--ink)" in e.get("style", "")]
    assert len(frames) == 1
    assert "opacity: 0.85" in svg


def test_noise_does_not_look_like_progress() -> None:
    def heights(values: tuple[float, ...]) -> float:
        tried = [Tried(n, 1, "", {}, value) for n, value in enumerate(values, 1)]
        places = [
            float(e.get("y", "nan")) for e in ElementTree.fromstring(figures.search_curve(tried, None)).iter("use")
        ]
        return max(places[-3:]) - min(places[-3:])

    assert heights((0.800, 0.801, 0.800)) < heights((0.80, 0.81, 0.80)) < heights((0.80, 0.90, 0.80))


def test_near_tasks_lie_side_by_side() -> None:
    rows = texts(figures.distance_map(NAMES, DISTANCES))[:3]
    assert abs(rows.index("a") - rows.index("c")) == 1
    assert figures.distance_map(NAMES[:2], DISTANCES)
    assert figures.distance_map(NAMES[:2], dict.fromkeys(DISTANCES, 0.0))


def test_no_display_is_touched() -> None:
    code = (
        "import sys; from task2sim_report import observer, commands;"
        "assert not {'matplotlib', 'jinja2', 'scipy', 'PIL'} & set(sys.modules), 'imported too early';"
        "from task2sim_report import figures; from task2sim.summary import Cell;"
        "figures.task_bars([('a', Cell(.5, .1, 2))], 1.0); assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
