from __future__ import annotations

import math
import re
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
        figures.heat_map(NAMES, ["x_y"], [[Cell("−2.0", -1.0, False)]] * 3, {"b"}),
        figures.distance_map(NAMES, DISTANCES, {"c"}),
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


def scaled(factor: float) -> dict[tuple[str, str], float]:
    return {pair: factor * distance for pair, distance in DISTANCES.items()}


@pytest.mark.parametrize(
    ("factor", "numbers", "unit"),
    [
        (1, {".900", ".100", ".800"}, []),
        (5, {"4.50", "0.50", "4.00"}, []),
        (50, {"45.0", "5.0", "40.0"}, []),
        (500, {"450", "50", "400"}, []),
        (0.01, {".900", ".100", ".800"}, ["× 0.01"]),
        (1e5, {".900", ".100", ".800"}, ["× 100000"]),
        (0, {"0.00"}, []),
    ],
)
def test_distances_have_three_digits(factor: float, numbers: set[str], unit: list[str]) -> None:
    words = texts(figures.distance_map(NAMES, scaled(factor)))
    # The last two belong to the tree.
    assert {word for word in words[:-2] if word not in NAMES} == numbers | set(unit)


def test_numbers_stay_legible_with_many_tasks() -> None:
    for count in (2, 12, 20, 30):
        names = [f"task number {n}" for n in range(count)]
        root = ElementTree.fromstring(
            figures.distance_map(names, {(a, b): abs(int(a[12:]) - int(b[12:])) / 31 for a in names for b in names})
        )
        width = float(root.get("viewBox", "").split()[2])
        sizes = [
            float(found[1])
            for e in root.iter("text")
            if (found := re.search(r"(?:font-size: |font: (?:\w+ )?)([\d.]+)px", e.get("style", "")))
        ]
        assert len(sizes) >= count * (count - 1)
        # The page is 860 pixels wide.
        assert min(sizes) * min(1, 860 / width) >= 8


def test_unseen_tasks_bear_a_ring() -> None:
    def rings(svg: str) -> int:
        return sum("stroke: var(--accent)" in e.get("style", "") for e in ElementTree.fromstring(svg).iter("use"))

    cells = [[Cell("1", 1.0, False)]] * 3
    assert rings(figures.heat_map(NAMES, ["a"], cells)) == rings(figures.distance_map(NAMES, DISTANCES)) == 0
    assert rings(figures.heat_map(NAMES, ["a"], cells, {"a", "c"})) == 2
    svg = figures.distance_map(NAMES, DISTANCES, {"b"})
    assert rings(svg) == 1
    (marked,) = (
        e.text for e in ElementTree.fromstring(svg).iter("text") if "fill: var(--accent)" in e.get("style", "")
    )
    assert marked == "b"


def test_losses_are_cold() -> None:
    cells = [[Cell("−2.0", -1.0, False), Cell("+1.0", 0.5, False)]]
    svg = figures.heat_map(["t"], ["x", "y"], cells)
    assert (svg.count("var(--cold)"), svg.count("var(--heat)")) == (1, 1)
    assert "opacity: 0.85" in svg


def test_long_names_keep_both_ends() -> None:
    name = "a long name of a task that ends in 17"
    assert texts(figures.heat_map([name], ["x"], [[Cell("1", 1.0, False)]]))[1] == "a long name of …ds in 17"


def test_no_display_is_touched() -> None:
    code = (
        "import sys; from task2sim_report import observer, commands;"
        "assert not {'matplotlib', 'jinja2', 'scipy', 'PIL'} & set(sys.modules), 'imported too early';"
        "from task2sim_report import figures; from task2sim.summary import Cell;"
        "figures.task_bars([('a', Cell(.5, .1, 2))], 1.0); assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
