from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from task2sim_report.ablation import figures
from task2sim_report.ablation.figures import Bars, Curve, Drawing, Effect, Ranked

LONG = "policy={type: surrogate, kernel: matern52, lengthscale: 0.25}, pretrainings=very_large_indeed"
HOSTILE = "<script>alert(1)</script> $\\frac$ & {x}"


def label(number: int) -> str:
    return (f"task2sim · {number}", f"{LONG} {number}", f"{HOSTILE} {number}")[number % 3]


def curves(rows: int, points: int = 20) -> list[Curve]:
    x = list(range(1, points + 1))
    y = [[0.4 + 0.01 * row + 0.02 * point for point in x] for row in range(rows)]
    return [
        Curve(label(row), x, one, [v - 0.03 for v in one], [v + 0.03 for v in one], row == 1)
        for row, one in enumerate(y)
    ]


def bars(rows: int, tasks: int) -> list[Bars]:
    values = np.random.default_rng(0).uniform(0.2, 0.9, (rows, tasks))
    return [
        Bars(label(row), one.tolist(), (one - 0.02).tolist(), (one + 0.02).tolist(), row == 1)
        for row, one in enumerate(values)
    ]


def ranked(rows: int) -> list[Ranked]:
    return [Ranked(label(row), 1 + row * (rows - 1) / rows, row == 1) for row in range(rows)]


EFFECTS = [Effect("object rotation", 0.02, 0.01, 0.03), Effect("x" * 80, -0.01, -0.02, 0.004)]


def drawings() -> dict[str, Drawing]:
    return {
        "profiles": figures.performance_profiles(curves(4), "accuracy"),
        "profile of one": figures.performance_profiles(curves(1), "accuracy"),
        "profiles of 30": figures.performance_profiles(curves(30), "accuracy"),
        "search": figures.search_curves(curves(8), "accuracy"),
        "search of one": figures.search_curves(curves(1, 1), "accuracy"),
        "importance": figures.parameter_importance(EFFECTS, EFFECTS[:1], "accuracy"),
        "importance of one": figures.parameter_importance(EFFECTS[:1], [], "accuracy"),
        "tasks": figures.task_bars(["a", LONG, HOSTILE], bars(4, 3), "accuracy"),
        "one task": figures.task_bars(["a"], bars(30, 1), "accuracy"),
        "60 tasks": figures.task_bars([f"task {n}" for n in range(60)], bars(3, 60), "accuracy"),
        "60 tasks of one": figures.task_bars([f"task {n}" for n in range(60)], bars(1, 60), "accuracy"),
        "ranks": figures.critical_differences(ranked(3), [[0, 1]], 1.2),
        "30 ranks": figures.critical_differences(ranked(30), [[0, 1, 2], [2, 3]], None),
    }


@pytest.fixture(scope="module")
def drawn() -> dict[str, Drawing]:
    return drawings()


def texts(drawing: Drawing) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing.svg).iter("text")]


def test_the_same_bytes_whatever_the_user_has_set(drawn: dict[str, Drawing]) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "pdf.fonttype": 3}):
        assert figures.task_bars(["a", LONG, HOSTILE], bars(4, 3), "accuracy") == drawn["tasks"]
        assert figures.search_curves(curves(8), "accuracy") == drawn["search"]
        assert matplotlib.rcParams["font.size"] == 30


def test_no_file_says_when_or_by_which_version_it_was_made(drawn: dict[str, Drawing]) -> None:
    import matplotlib

    for drawing in drawn.values():
        assert drawing.pdf.startswith(b"%PDF")
        assert b"CreationDate" not in drawing.pdf
        assert b"/Creator (task2sim)" in drawing.pdf
        assert not Image.open(io.BytesIO(drawing.png)).info.keys() & {"Software", "Creation Time"}
        for content in (drawing.pdf, drawing.png, drawing.svg.encode()):
            assert matplotlib.__version__.encode() not in content


def test_pdf_text_is_text_with_its_font(drawn: dict[str, Drawing]) -> None:
    assert b"/FontFile2" in drawn["tasks"].pdf
    assert b"/Type3" not in drawn["tasks"].pdf


def test_nothing_is_cut_off(drawn: dict[str, Drawing]) -> None:
    """The outermost pixels are paper; so text that leaves the figure would show."""
    for name, drawing in drawn.items():
        pixels = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB"))
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert (edge == 255).all(), name


def test_pictures_have_sizes_that_people_can_look_at(drawn: dict[str, Drawing]) -> None:
    for name, drawing in drawn.items():
        width, height = Image.open(io.BytesIO(drawing.png)).size
        assert 400 < width < 2600, name
        assert 80 < height < 2.2 * max(width, 1200), name


def test_svg_follows_the_page(drawn: dict[str, Drawing]) -> None:
    for drawing in drawn.values():
        assert "var(--ink)" in drawing.svg
        assert "var(--faint)" in drawing.svg
        assert figures.INK not in drawing.svg
        assert "<script" not in drawing.svg
        assert "http" not in drawing.svg


def test_panels_hold_no_more_lines_than_can_be_told_apart() -> None:
    svg = figures.performance_profiles(curves(30), "accuracy").svg
    panels = [
        group for group in ElementTree.fromstring(svg).iter("g") if re.search(r"-axes_\d+$", group.get("id", ""))
    ]
    assert len(panels) == math.ceil(29 / len(figures.STYLES))
    assert sum("(baseline)" in text for text in texts(figures.search_curves(curves(8), "accuracy"))) == 2


def test_labels_keep_their_beginning_and_their_end() -> None:
    for lines in (1, 2):
        fitted = figures._fit(f"{LONG} 17", 1.6, 7.5, lines)
        assert len(fitted) <= lines
        assert all(figures._width(line, 7.5) <= 1.6 for line in fitted)
        assert fitted[0].startswith("policy={")
        assert fitted[-1].endswith(" 17")
        assert "…" in "".join(fitted)
    assert figures._fit("short  name", 1.6, 7.5, 1) == ["short name"]


def test_bars_say_their_values_and_what_is_missing() -> None:
    rows = [
        Bars("a", [0.5, math.nan], [math.nan] * 2, [math.nan] * 2),
        Bars("b", [0.25, 0.75], [0.2, 0.7], [0.3, 0.8], True),
    ]
    found = texts(figures.task_bars(["x", "y"], rows, "accuracy"))
    for text in ("50.0", "25.0", "75.0", "–", "b (baseline)", "x", "y"):
        assert text in found
    assert found.count("a") == 1


def test_effects_have_their_intervals() -> None:
    found = texts(figures.parameter_importance(EFFECTS[:1], [Effect("pair", -0.01, math.nan, math.nan)], "accuracy"))
    assert "+2.0 [1.0, 3.0]" in found
    assert "−1.0" in found
    assert {"main effects", "interactions"} <= set(found)
    assert "interactions" not in texts(figures.parameter_importance(EFFECTS, [], "accuracy"))


def test_ranks_are_in_order_and_joined() -> None:
    rows = [Ranked("last", 2.9), Ranked("first", 1.1), Ranked("middle", 2.0)]
    apart, joined = (figures.critical_differences(rows, cliques, None) for cliques in ([], [[1, 2]]))
    found = texts(apart)
    assert {"1.10", "2.00", "2.90", "first", "middle", "last"} <= set(found)
    assert found.index("first") < found.index("middle") < found.index("last")
    assert joined.svg.count(figures.BLUE) == apart.svg.count(figures.BLUE) + 1
    assert "critical difference 0.70" in texts(figures.critical_differences(rows, [], 0.7))


def test_importing_draws_nothing() -> None:
    code = "import sys, task2sim_report.ablation.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_display_is_touched(drawn: dict[str, Drawing]) -> None:
    found: Any = sys.modules.get("matplotlib.pyplot")
    assert found is None or not found.get_fignums()


@pytest.mark.parametrize("text", ["日本", "🙂", "größe 大"])
def test_what_the_font_lacks_has_a_width(text: str) -> None:
    assert 0 < figures._width(text, 7.5) < 1
