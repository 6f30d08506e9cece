from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from task2sim import Choice, Interval, ParameterSpace, StoreError, Toggle
from task2sim.cli import app
from task2sim.observers import Observers
from task2sim.summary import final_table
from task2sim_report.content import read_content
from task2sim_report.observer import Report
from task2sim_report.report import duration, render_report, write_report
from task2sim_report.samples import gather_samples

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that elements nest, and collects text and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(run: Any) -> Page:
    gather_samples(run)
    return Page(render_report(run.folder))


SMALL = {"seen": ("digits",), "unseen": (), "pretrainings": 2}


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory, fake: Any) -> tuple[Any, str]:
    """A run and its report; nobody may change them."""
    folder = tmp_path_factory.mktemp("standard")
    run = fake(folder / "fake-12345678", folder / "store")
    gather_samples(run)
    return run, render_report(run.folder)


def test_is_self_contained(standard: tuple[Any, str]) -> None:
    _, html = standard
    page = Page(html)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    # Twelve pictures of four tasks and five settings, and the first task and its setting once more on top.
    assert sum(address.startswith("data:") for address in page.addresses) == 12 * (4 + 5 + 2)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert len(html) < 2_000_000


def test_table_is_the_final_table(standard: tuple[Any, str]) -> None:
    run, html = standard
    head, *shown = answer_table(html)
    methods = final_table(run.results)
    assert head[1:] == [f"{row.method} n = {row.tasks['digits'].count}" for row in methods]
    for task, line in zip(("digits", "faces", "surfaces", "letters"), shown, strict=False):
        cells = [row.tasks[task] for row in methods]
        best = max(cell.mean for cell in cells)
        assert line[0].split()[0] == task
        assert line[1:] == [f"*{cell.percent()}*" if cell.mean == best else cell.percent() for cell in cells]
    assert shown[3][0] == "letters unseen 13 images"
    assert shown[4][0] == "mean of seen 3 tasks"
    assert [text.strip("*") for text in shown[4][1:]] == [row.groups["seen"].percent() for row in methods]
    assert len(shown) == 5


def answer_table(html: str) -> list[list[str]]:
    """Rows of text; stars around what is bold."""
    (table,) = re.findall(r'<table class="answer">(.*?)</table>', html, re.S)
    table = re.sub("</?b>", "*", table)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr.*?</tr>", table, re.S)]
    return [[" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in row] for row in rows]


def test_says_how_much_stands_behind_it(standard: tuple[Any, str]) -> None:
    text = Page(standard[1]).text
    assert "tried 10 of them, each with 40 images of 13 categories" in text
    assert "22 datasets with 880 rendered images, 22 pre-trainings and 82 scores; study seed 0" in text
    assert "11 pre-trainings on 40 images each stand behind this table" in text
    assert "n = 10 pre-trainings" in text
    assert "random settings: one of 3" in text
    assert "task2sim run fake-12345678/config.resolved.yaml" in text


def test_a_setting_that_is_also_another_methods_is_shown_once(make_run: Any) -> None:
    run = make_run()
    first = run.results.query("SELECT setting FROM predictions WHERE task = 'letters'")[0]["setting"]
    rows = run.results.query("SELECT * FROM comparison")
    run.results.clear("comparison")
    best = "best single setting"
    run.results.put("comparison", [{**r, "setting": first if r["method"] == best else r["setting"]} for r in rows])
    text = page_of(run).text
    assert "predicted for faces and letters; also best single setting" in text


def test_the_same_folder_gives_the_same_bytes(make_run: Any, tmp_path: Path) -> None:
    run = make_run()
    warnings: list[str] = []
    Observers([("report", Report(None))], lambda line, details: warnings.append(line)).call(
        "task2sim_study_end", run=run
    )
    assert warnings == []
    first = (run.folder / "report.html").read_bytes()
    assert b"data:image/png" in first
    moved = tmp_path / "elsewhere" / run.folder.name
    shutil.copytree(run.folder, moved)
    shutil.rmtree(run.store.root)
    write_report(moved, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == first


SPACE = ParameterSpace([Toggle("sun"), Choice("sky<i>", ("clear", "grey&")), Interval("haze", 0, 1)])


@pytest.mark.parametrize(
    ("options", "absent", "present"),
    [
        ({"probabilities": False}, "the probability that", "this policy gives no probabilities"),
        ({"unseen": ()}, "never seen by the policy", "The task: digits"),
        ({"seeds": 1, "random": 1}, "within the spread", "no spread to judge this difference by"),
        ({"seen": ("digits",), "unseen": ()}, "How far apart", "of 1 seen task: digits"),
        ({"seen": ("digits",)}, "mean of seen", "How far apart"),
        ({"space": SPACE}, "settings in all", "haze"),
        ({"space": SPACE, "probabilities": False}, "settings in all", "sky<i>"),
        ({"random": 0}, "random settings:", "everything varied"),
        ({"advantage": -0.1}, "That is the best of all", "It did not win"),
    ],
)
def test_kinds_of_runs(make_run: Any, options: dict[str, Any], absent: str, present: str) -> None:
    text = page_of(make_run(**{"seen": ("digits", "faces"), "pretrainings": 4, **options})).text
    assert present in text
    assert absent not in text


WITHOUT_IMAGES = (
    *("render it", "images each", "simulator studio", "categories", "backbone", "No pictures", "validation"),
    *("test images", "never looked at", "measured anew", "samples/", "my-photos", "one pre-training each"),
    *("images/s", "None", "n = 1 ", "the third"),
)
"""What only a study that rendered can say."""


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory: pytest.TempPathFactory, fake: Any) -> tuple[Any, str]:
    """A run on a reward table as large as the published one, and its report; nobody may change them."""
    folder = tmp_path_factory.mktemp("looked-up")
    options: dict[str, Any] = {"seen": [f"seen {n}" for n in range(12)], "unseen": [f"unseen {n}" for n in range(8)]}
    options |= {"pretrainings": 256, "seeds": 1, "looked_up": True, "expected": True, "probabilities": False}
    run = fake(folder / "table", folder / "store", **options)
    gather_samples(run)
    return run, render_report(run.folder)


def test_a_reward_table_needs_no_images(looked_up: tuple[Any, str]) -> None:
    page = Page(looked_up[1])
    text = page.text
    for words in WITHOUT_IMAGES:
        assert words not in text, words
    assert "img" not in page.tags
    assert "was looked up in a reward table ( published-table ); nothing was rendered or trained" in text
    assert (
        "The policy task2sim looked up 256 of them, and was told what each scored on 12 seen tasks: seen 0," in text
    )
    assert "In all 3,592 scores were looked up; study seed 0" in text
    assert "one score each, n = 256. The line is the best so far. results.sqlite" in text
    assert "All 256 settings that were tried" in text
    assert "(the table's, 6 numbers for each task, n = 20 tasks)" in text
    assert "What it took stage by the clock search 2 min 3 s together 2 min 3 s" in text
    assert "task2sim report table" in text
    assert len(looked_up[1]) < 2_000_000


def test_the_oracle_bounds_and_does_not_win(looked_up: tuple[Any, str]) -> None:
    run, html = looked_up
    head, *rows = answer_table(html)
    assert head == [
        "accuracy, %",
        *("policy task2sim", "best single setting", "everything varied", "random settings 3 settings", "oracle"),
    ]
    assert [row[0] for row in rows[-3:]] == ["unseen 7 unseen", "mean of seen 12 tasks", "mean of unseen 8 tasks"]
    assert all(not row[-1].startswith("*") and any(cell.startswith("*") for cell in row) for row in rows)
    text = Page(html).text
    content = read_content(run.folder)
    for task in ("seen 3", "unseen 7"):
        chosen, best = (content.words[keys[task]] for keys in (content.predictions, content.oracle))
        own, bound = (content.table[place].tasks[task].percent() for place in (0, -1))
        assert re.search(rf"{task} (unseen )?{chosen} {own} {best} {bound}", text)


def test_where_the_policy_equals_the_oracle_it_alone_is_bold(make_run: Any) -> None:
    run = make_run(**SMALL, looked_up=True, seeds=1)
    rows = run.results.query("SELECT * FROM comparison")
    (predicted,) = run.results.query("SELECT setting FROM predictions")
    run.results.clear("comparison")
    run.results.put("comparison", [{**r, **(predicted if r["method"] == "oracle" else {})} for r in rows])
    _, digits = answer_table(render_report(run.folder))
    assert digits[1] == f"*{digits[-1]}*"


def test_expected_scores_stand_where_probabilities_do(looked_up: tuple[Any, str], make_run: Any) -> None:
    text = Page(looked_up[1]).text
    assert "What each parameter does to the score that the policy expects" in text
    assert "the probability that the policy gives" not in text
    assert "gives no probabilities" not in text
    both = page_of(make_run(**SMALL, expected=True)).text
    assert "What each parameter does to the score that the policy expects" in both
    assert "the probability that the policy gives" in both


@pytest.mark.parametrize("seen", [(), ("digits",)])
def test_a_run_that_only_predicts(make_run: Any, seen: tuple[str, ...]) -> None:
    run = make_run(seen=seen, unseen=("letters", "faces"), pretrainings=0)
    run.results.put("facts", [{"name": "continues", "value": "runs/earlier-12345678"}])
    text = page_of(run).text
    assert "The policy task2sim , which had learned from an earlier run, tried none of them." in text
    assert "The earlier run is runs/earlier-12345678." in text
    assert "The search" not in text
    assert "Learned from" not in text
    assert "0 seen" not in text
    assert "best single setting" not in text


def test_one_seed_shows_no_spread(make_run: Any) -> None:
    html = render_report(make_run(seeds=1, random=1).folder)
    assert not re.search(r"\d ± \d", html)
    assert not re.search(r"\bnan\b", html)


def test_names_can_not_become_markup(make_run: Any) -> None:
    name = "<script src='x'> & $frac$ %"
    run = make_run(seen=(name, "b"), unseen=('"><img src=x onerror=y>',))
    page = page_of(run)
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert name in page.text


def test_lost_pictures_are_mentioned(make_run: Any) -> None:
    run = make_run(**SMALL)
    shutil.rmtree(run.store.root / "datasets")
    text = page_of(run).text
    assert "the store no longer has this dataset" in text
    assert "What the policy had rendered for it" not in text
    shutil.rmtree(run.folder / "samples")
    assert "the store no longer has this task's images" in Page(render_report(run.folder)).text


def test_missing_parts_are_named(make_run: Any, tmp_path: Path) -> None:
    run = make_run(**SMALL)
    with pytest.raises(StoreError, match="can't write the report"):
        write_report(run.folder, tmp_path / "no" / "such" / "folder.html")
    (run.folder / "provenance.json").unlink()
    with pytest.raises(StoreError, match=r"provenance\.json"):
        write_report(run.folder, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_command(make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(**SMALL)
    monkeypatch.setenv("TASK2SIM_STORE", str(tmp_path / "other-store"))
    done = CliRunner().invoke(app, ["report", str(run.folder)])
    assert done.output == f"report: {run.folder / 'report.html'}\n"
    elsewhere = tmp_path / "my.html"
    CliRunner().invoke(app, ["report", str(run.folder), "--out", str(elsewhere)])
    assert elsewhere.read_bytes() == (run.folder / "report.html").read_bytes()
    assert not (tmp_path / "other-store").exists()
    assert "Example: task2sim report" in CliRunner().invoke(app, ["report", "--help"]).output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.5, "9.5 s"), (59.7, "1 min 0 s"), (252, "4 min 12 s"), (7261, "2 h 1 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
