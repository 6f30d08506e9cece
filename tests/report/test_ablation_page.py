"""The page of an ablation, read and used in a real browser without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report.ablation_fixture import write_ablation

from task2sim_report.ablation.content import AblationContent, read_ablation
from task2sim_report.ablation.illustrations import illustrations
from task2sim_report.ablation.page import answer, as_script, page_data, render_page
from task2sim_report.ablation.statistics import Statistics, ablation_statistics

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the page with")

FAILED = ("policy=random, pretrainings=large", 2)
MISSING = ("policy=surrogate, pretrainings=small", 1)
OLDER = ("policy=task2sim, pretrainings=small", 0)
WATCH = """<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
console.error = console.warn = (...words) => problems.push(words.join(" "));
</script>"""
HELPERS = """
const all = (selector) => [...document.querySelectorAll(selector)];
const cells = (id) => all(`#${id} tbody tr`).map((row) => [...row.children].map((cell) => cell.textContent));
const head = (id) => all(`#${id} thead th`).map((cell) => cell.textContent);
const column = (id, title) => { const at = head(id).indexOf(title); return cells(id).map((row) => row[at]); };
const sortBy = (id, title) => all(`#${id} thead th button`).find((button) => button.textContent === title).click();
const control = (name, value) => document.querySelector(`[name="${name}"][value="${value}"]`).click();
const pick = (number) => document.querySelector(`#results tr[data-item="${number}"] input`).click();
const footer = () => all("#comparison tfoot tr").map((row) => [...row.children].map((cell) => cell.textContent));
const settled = () => new Promise((done) => setTimeout(done, 50));
"""

Browse = Callable[..., Any]


def rendered(folder: Path) -> tuple[AblationContent, Statistics, str]:
    content = read_ablation(folder)
    statistics = ablation_statistics(content)
    return content, statistics, render_page(folder, content, statistics, illustrations(content, statistics))


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> tuple[AblationContent, Statistics, str]:
    folder = write_ablation(
        tmp_path_factory.mktemp("standard") / "policies",
        failed={FAILED: "TrainerError: the loss is not finite"},
        missing=[MISSING],
        versions={OLDER: {"task2sim": "0.4.0"}},
    )
    (folder / "ablation.resolved.yaml").write_text("name: policies\nseeds: [0, 1, 2]\n")
    (folder / "provenance.json").write_text(json.dumps({"platform": "Linux <x>", "git": None}))
    return rendered(folder)


def run_chromium(address: str, profile: Path, *options: str) -> tuple[str, list[str]]:
    """The page after its scripts ran, and what it said on the console."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=4000"),
            *("--window-size=1200,1600", "--allow-file-access-from-files", *options, "--dump-dom", address),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Browse]:
    """Does what a reader would do, and returns what a script found then."""

    def go(page: str, script: str, fragment: str = "", *options: str) -> Any:
        # The page allows its own script alone, so the test's needs the lock taken off.
        page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
        ask = f"(async () => {{ {HELPERS} {script} }})().catch((error) => 'failed: ' + error)"
        write = "(found) => document.body.replaceChildren(JSON.stringify([found, problems]))"
        page = page.replace("<head>", f"<head>{WATCH}", 1)
        page = page.replace(
            "</body>", f"<script>addEventListener('load', () => {ask}.then({write}));</script></body>"
        )
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        address = (tmp_path / "page.html").as_uri() + fragment
        dom, _ = run_chromium(address, tmp_path / "profile", *options)
        body = re.search(r"<body[^>]*>(.*)</body>", dom, re.S)
        assert body is not None
        found, problems = json.loads(html.unescape(body[1]))
        assert problems == []
        return found

    yield go
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def percent(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "−")


def mean_of(content: AblationContent, row: str, role: str, seeds: tuple[int, ...], method: str = "") -> float:
    tasks: dict[str, list[float]] = {}
    for (task, seed), value in content.pairs(row, role, method).items():
        if seed in seeds:
            tasks.setdefault(task, []).append(value)
    return float(np.mean([np.mean(values) for values in tasks.values()]))


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


def test_is_self_contained(standard: Any) -> None:
    page = Elements(standard[2])
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert page.tags.count("script") == 2
    for word in ("http:", "https:", "@import", "url(h"):
        assert word not in standard[2]


def test_says_what_stands_behind_it(standard: Any) -> None:
    text = Elements(standard[2]).text
    assert "6 rows with 3 seeds make 18 cells, each a study: 16 finished, 1 failed, 1 missing." in text
    assert "policy=random, pretrainings=large, seed 2 failed: TrainerError: the loss is not finite." in text
    assert "seed 0 was made with other versions: task2sim 0.4.0 (elsewhere 0.5.0)" in text
    assert "0.5.0 (17 cells), 0.4.0 (1 cell)" in text
    assert "task2sim ablate policies/ablation.resolved.yaml" in text
    assert "name: policies seeds: [0, 1, 2]" in text
    assert "Linux <x>" in text
    assert "figures/profile_unseen.pdf, .png" in text
    assert re.search(r"random · large ?2 ?failed ?TrainerError: the loss is not finite", text)


def test_every_figure_has_its_caption_with_n(standard: Any) -> None:
    figures = re.findall(r'<figure class="whole" id="figure-([a-z_]*)">(.*?)</figure>', standard[2], re.S)
    assert len(figures) == 8
    for name, figure in figures:
        assert "n = " in figure, name
        assert "<svg" in figure, name


def test_a_figure_that_can_not_be_says_why(tmp_path: Path) -> None:
    text = Elements(rendered(write_ablation(tmp_path, vary={}, unseen=1, seen=0, seeds=(0,)))[2]).text
    assert "No figure: 1 row" in text
    assert "No figure: no row searched." in text


def test_the_answer_claims_nothing_beyond_the_statistics(standard: Any, tmp_path: Path) -> None:
    content, statistics, _ = standard
    best = statistics.comparison("policy=task2sim, pretrainings=large", "unseen")
    text = answer(content, statistics, "unseen").replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("On 6 unseen tasks, task2sim · large reached the most: ")
    assert f"(n = 18), of the 4 rows that have all results. That is +{percent(best.difference)} points [" in text
    assert f"against random · large; p = {best.p_holm:.3f} after Holm's correction" in text
    assert ("not significant: it may be chance" in text) == (not best.is_significant)
    assert "no p-value; 5 are needed" in answer(content, statistics, "seen")
    few = read_ablation(write_ablation(tmp_path / "clear", unseen=12, noise=0.001))
    assert "p < 0.001 after Holm's correction, significant" not in answer(few, ablation_statistics(few), "seen")
    assert ", significant at 5 %" in answer(few, ablation_statistics(few), "unseen")
    first = read_ablation(write_ablation(tmp_path / "first", baseline={"policy": "task2sim"}))
    assert answer(first, ablation_statistics(first), "unseen").endswith("No row did better than this baseline.")
    one = read_ablation(write_ablation(tmp_path / "one", vary={}))
    assert re.match(r"On 6 unseen tasks, base reached \d+\.\d.%", answer(one, ablation_statistics(one), "unseen"))


def test_data_can_not_end_its_element() -> None:
    text = as_script({"</script><!--": "a & b \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script><!--": "a & b \u2028"}


def test_data_are_plain_and_the_same(standard: Any) -> None:
    content, statistics, _ = standard
    data = page_data(content, statistics)
    assert json.loads(as_script(data)) == data
    assert len(data["scores"]) == len(content.scores)
    assert as_script(page_data(content, statistics)) == as_script(data)


@needs_browser
def test_opens_as_it_is_without_a_word_on_the_console(standard: Any, tmp_path: Path) -> None:
    """Nothing is taken off here: the page's own script is the one that it allows."""
    (tmp_path / "report.html").write_text(standard[2], encoding="utf-8")
    dom, said = run_chromium((tmp_path / "report.html").as_uri() + "#role=seen&pick=1.5", tmp_path / "profile")
    assert said == []
    table = dom.partition('id="results"')[2].partition("</table>")[0]
    assert table.count("<tr") == 7
    assert "4 independent pairs: no p-value; 5 are needed" in table


@needs_browser
def test_the_page_runs_no_other_script(standard: Any, tmp_path: Path) -> None:
    page = standard[2].replace("</body>", "<script>document.title = 'taken over'</script></body>")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    dom, said = run_chromium((tmp_path / "report.html").as_uri(), tmp_path / "profile")
    assert "<title>taken over" not in dom
    assert any("Content Security Policy" in line for line in said)


@needs_browser
def test_shows_the_statistics(standard: Any, browse: Browse) -> None:
    content, statistics, page = standard
    titles = ["n", "mean", "IQM [95 %]", "against baseline [95 %]", "p (Holm)", "effect"]
    found = browse(page, f"return {json.dumps(titles)}.map((title) => column('results', title));")
    for number, row in enumerate(content.rows):
        own, comparison = statistics.summary(row.name, "unseen"), statistics.comparison(row.name, "unseen")
        n, mean, iqm, difference, p, effect = (column[number] for column in found)
        assert (n, mean) == (str(own.pairs), percent(own.mean))
        assert iqm == f"{percent(own.iqm)} [{percent(own.interval.low)}, {percent(own.interval.high)}]"
        if comparison is None:
            assert (difference, p, effect) == ("baseline", "baseline", "–")
        else:
            assert difference.startswith(f"+{percent(comparison.difference)} [")
            assert p == f"{comparison.p_holm:.3f}"
            assert effect == f"{comparison.effect:.2f}"


@needs_browser
def test_filtering_rows_leaves_the_numbers_of_the_others(standard: Any, browse: Browse) -> None:
    before, after, message, p, again = browse(
        standard[2],
        """const before = cells("results"); control("f0", 1); control("f1", 0);
        const after = cells("results"), message = document.getElementById("shown").textContent;
        const p = column("results", "p (Holm)");
        document.getElementById("reset").click();
        return [before, after, message, p, cells("results")];""",
    )
    assert [row[1:3] for row in after] == [["task2sim", "large"], ["random", "large"]]
    assert after == [row for row in before if row[1:3] in (["task2sim", "large"], ["random", "large"])]
    assert message == "2 of 6 rows shown."
    assert "filtered" not in p
    assert again == before


@needs_browser
def test_filtering_seeds_and_tasks_changes_the_numbers(standard: Any, browse: Browse) -> None:
    content, _, page = standard
    found = browse(
        page,
        """const look = () => ["n", "mean", "p (Holm)", "cells"].map((title) => column("results", title));
        control("seeds", 0); const seeds = look(), message = document.getElementById("shown").textContent;
        control("seeds", 0); control("tasks", 2); const tasks = look();
        control("tasks", 2); control("role", "seen"); const seen = look();
        control("role", "all"); const every = look();
        control("role", "unseen");
        const select = document.querySelector("select");
        select.value = "2"; select.dispatchEvent(new Event("change"));
        return { seeds, message, tasks, seen, every, method: [select.selectedOptions[0].textContent, ...look()] };""",
    )
    rows = [row.name for row in content.rows]
    n, means, p, cells = found["seeds"]
    assert n == [str(6 * count) for count in (2, 2, 1, 2, 2, 1)]
    assert cells == ["2 of 2", "2 of 2", "1 of 2", "2 of 2", "2 of 2", "1 of 2"]
    assert means == [percent(mean_of(content, row, "unseen", (1, 2))) for row in rows]
    assert set(p) == {"filtered", "baseline"}
    assert "Intervals and p-values are left out" in found["message"]
    assert found["tasks"][0] == [str(5 * count) for count in (3, 3, 2, 3, 3, 2)]
    assert found["seen"][0] == [str(4 * count) for count in (3, 3, 2, 3, 3, 2)]
    assert found["seen"][1] == [percent(mean_of(content, row, "seen", (0, 1, 2))) for row in rows]
    assert found["every"][0] == [str(10 * count) for count in (3, 3, 2, 3, 3, 2)]
    name, _, means, p, _ = found["method"]
    assert name == content.methods[1]
    assert means == [percent(mean_of(content, row, "unseen", (0, 1, 2), name)) for row in rows]
    assert set(p) == {"filtered", "baseline"}


@needs_browser
def test_sorts_by_any_column_and_says_so(standard: Any, browse: Browse) -> None:
    found = browse(
        standard[2],
        """const state = () => all("#results thead th").map((cell) => cell.getAttribute("aria-sort"));
        const look = (title) => {
          sortBy("results", title);
          return [column("results", title), state(), document.activeElement.textContent];
        };
        const at = head("results");
        const found = { at, none: column("results", "mean"), up: look("mean"), down: look("mean") };
        found.back = look("mean");
        found.policy = look("policy");
        look("against baseline [95 %]"); found.missing = look("against baseline [95 %]")[0];
        found.every = at.slice(1).map((title) => { sortBy("results", title); return cells("results").length; });
        return found;""",
    )
    numbers = sorted(found["none"], key=float)
    assert found["up"][0] == numbers
    assert found["down"][0] == numbers[::-1]
    assert found["back"][0] == found["none"]
    place = found["at"].index("mean")
    assert [found[way][1][place] for way in ("up", "down", "back")] == ["ascending", "descending", "none"]
    assert sum(order not in ("none", None) for order in found["up"][1]) == 1
    assert found["up"][2] == "mean", "the header that was pressed keeps the focus"
    assert found["policy"][0] == ["task2sim"] * 2 + ["surrogate"] * 2 + ["random"] * 2, "levels have an order"
    assert found["missing"][-2:] == ["baseline"] * 2
    assert set(found["every"]) == {6}


@needs_browser
def test_rows_side_by_side(standard: Any, browse: Browse) -> None:
    content, statistics, page = standard
    hint, first, bottom, other = browse(
        page,
        """const hint = document.getElementById("compared").textContent;
        pick(1); pick(5); const first = [head("comparison"), cells("comparison")], bottom = footer();
        pick(5); pick(3);
        return [hint, first, bottom, footer()];""",
    )
    assert hint.startswith("Pick two or more rows")
    titles, lines = first
    assert titles == ["task", "random · large", "task2sim · large", "difference"]
    own, base = (content.pairs(content.rows[number].name, "unseen") for number in (1, 5))
    assert [line[0] for line in lines] == [f"unseen_{n}" for n in range(6)]
    for task, _, _, difference in lines:
        gaps = [own[pair] - base[pair] for pair in base if pair[0] == task]
        assert difference == f"+{percent(float(np.mean(gaps)))}"
        assert len(gaps) == 2, "the failed cell pairs with nothing"
    comparison = statistics.comparison(content.rows[1].name, "unseen")
    assert bottom[0][-1] == f"+{percent(comparison.difference)}"
    assert bottom[1][-2:] == ["n", "12"]
    assert bottom[2][-1] == "12, 0, 0"
    assert bottom[3][-1] == f"[{percent(comparison.interval.low)}, {percent(comparison.interval.high)}]"
    assert bottom[4][-1].startswith(f"{comparison.p_holm:.3f} 6 tasks; uncorrected 0.031")
    assert other[4][-1] == "none: only comparisons with a row's baseline are tested"


@needs_browser
def test_cells_side_by_side(standard: Any, browse: Browse) -> None:
    content, _, page = standard
    found = browse(
        page,
        """control("view", "cells");
        const look = { head: head("results"), states: column("results", "state"), notes: column("results", "notes") };
        pick(0); pick(4); look.lines = cells("comparison"); look.bottom = footer();
        sortBy("comparison", "difference"); look.sorted = column("comparison", "difference");
        control("seeds", 0); look.less = [cells("results").length, cells("comparison").length];
        control("view", "rows"); look.rows = [cells("results").length, all("#results input:checked").length];
        return look;""",
    )
    assert {"seed", "state", "run"} <= set(found["head"])
    assert found["states"].count("failed") == 1
    assert found["states"].count("missing") == 1
    number = content.warnings.index(next(text for text in content.warnings if "seed 2 failed" in text)) + 1
    assert str(number) in found["notes"][found["states"].index("failed")].split(", ")
    first = {
        task: value for (task, seed), value in content.pairs(content.rows[0].name, "unseen").items() if seed == 0
    }
    other = {
        task: value for (task, seed), value in content.pairs(content.rows[1].name, "unseen").items() if seed == 1
    }
    for task, a, b, difference in found["lines"]:
        assert (a, b) == (percent(first[task]), percent(other[task]))
        assert difference.lstrip("+") == percent(other[task] - first[task])
    assert found["bottom"][1][-1] == "6"
    shown = [float(text.replace("−", "-")) for text in found["sorted"]]
    assert shown == sorted(shown)
    assert found["less"] == [12, 0]
    assert found["rows"] == [6, 0]


@needs_browser
def test_the_address_holds_the_view(standard: Any, browse: Browse) -> None:
    found = browse(
        standard[2],
        """pick(1);
        const first = [column("results", "policy"), location.hash, all("#comparison thead th").length];
        location.hash = "#role=seen&f0=0.2"; await settled();
        return [...first, column("results", "policy"), document.querySelector("[name=role]:checked").value,
          all("#comparison thead th").length];""",
        "#f0=1&sort=-6&pick=0",
    )
    policies, address, compared, later, role, nothing = found
    assert policies == ["task2sim", "task2sim", "random", "random"]
    assert address == "#f0=1&sort=-6&pick=0.1"
    assert compared == 4
    assert later == ["surrogate", "surrogate"]
    assert (role, nothing) == ("seen", 0)


@needs_browser
def test_a_spoilt_address_does_no_harm(standard: Any, browse: Browse) -> None:
    assert browse(standard[2], "return cells('results').length;", "#f0=x&sort=99&pick=77.-1&role=none&method=9") == 6


@needs_browser
def test_names_are_text(tmp_path: Path, browse: Browse) -> None:
    bad = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'&amp;"
    folder = write_ablation(
        tmp_path / "bad",
        vary={f"policy{bad}": {bad: 1, "b": 2}},
        failed={(f"policy{bad}=b", 1): bad},
        baseline={f"policy{bad}": "b"},
        versions={(f"policy{bad}=b", 0): {bad: bad}},
    )
    with closing(sqlite3.connect(folder / "ablation.sqlite")) as database, database:
        database.execute("UPDATE facts SET value = ? WHERE name != 'baseline' AND name != 'mode'", (bad,))
        for table, column in (("tasks", "name"), ("scores", "task"), ("search", "task"), ("trials", "task")):
            database.execute(f"UPDATE {table} SET {column} = ? || {column}", (bad,))
        database.execute("UPDATE scores SET method = ? || method WHERE method != ''", (bad,))
        database.execute("UPDATE settings SET choices = replace(choices, 'materials', '<script>a')")
    (folder / "ablation.resolved.yaml").write_text(bad)
    (folder / "provenance.json").write_text(json.dumps({bad: bad}))
    _, _, page = rendered(folder)
    assert Elements(page).tags.count("script") == 2
    assert "img" not in Elements(page).tags
    found = browse(
        page,
        """pick(0); pick(1);
        return [window.hacked ?? 0, all("img").length, all("script").length, column("results", head("results")[1])[0],
          document.querySelector("h1").textContent, cells("comparison")[0][0], head("comparison")[2],
          all("legend").map((one) => one.textContent), all("option")[1].textContent, document.title];""",
    )
    # The two of the page, and the two of this test.
    assert found[:3] == [0, 0, 4]
    assert found[3:5] == [bad, bad]
    assert found[5] == f"{bad}unseen_0"
    assert found[6] == bad
    assert f"policy{bad}" in found[7]
    assert found[8].startswith(bad)
    assert found[9].startswith("</script>")


@needs_browser
def test_a_phone_scrolls_in_one_direction(standard: Any, tmp_path: Path, browse: Browse) -> None:
    (tmp_path / "report.html").write_text(standard[2], encoding="utf-8")
    frame = "<iframe style='width: 375px; height: 800px' src='report.html#pick=0.5'></iframe>"
    width, room, table = browse(
        f"<html><head></head><body>{frame}</body></html>",
        """const page = document.querySelector("iframe").contentDocument;
        const { scrollWidth, clientWidth } = page.documentElement;
        return [scrollWidth, clientWidth, page.querySelectorAll("#comparison tbody tr").length];""",
    )
    assert table == 6
    assert width <= room <= 375


@needs_browser
def test_one_at_a_time_rows_keep_the_base(tmp_path: Path, browse: Browse) -> None:
    _, _, page = rendered(write_ablation(tmp_path, mode="one-at-a-time"))
    policies, less = browse(
        page,
        "const first = column('results', 'policy'); control('f0', -1); return [first, column('results', 'policy')];",
    )
    assert policies == ["as in the base", "task2sim", "surrogate", "random", "as in the base", "as in the base"]
    assert less == ["task2sim", "surrogate", "random"]
