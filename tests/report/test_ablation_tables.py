from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from report.ablation_fixture import write_ablation

from task2sim_report.ablation import tables
from task2sim_report.ablation.content import read_ablation
from task2sim_report.ablation.tables import Block, Entry, Sheet, escape_latex, latex, markdown, write_tables

SMALL = "policy=surrogate, pretrainings=small"


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "tables").iterdir())}


def made(folder: Path, **options: object) -> Path:
    write_ablation(folder, **options)  # type: ignore[arg-type]
    write_tables(read_ablation(folder), folder)
    return folder / "tables"


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tables"), unseen=10, seen=5, failed={(SMALL, 1): "no | space\nleft"}).parent


def test_all_files_are_there(folder: Path) -> None:
    expected = {f"{name}.{kind}" for name in ("main", "comparisons", "per_task") for kind in ("md", "tex", "csv")}
    expected |= {"importance.md", "importance.csv", "cells.csv", "cells.parquet", "failures.md"}
    assert set(written(folder)) == expected


def test_the_same_again_byte_for_byte(folder: Path) -> None:
    before = written(folder)
    result = write_tables(read_ablation(folder), folder)
    assert written(folder) == before
    assert [path.name for path in result.files] == sorted(before)
    assert result.notes == ()


def test_main_table_in_markdown(folder: Path) -> None:
    text = (folder / "tables" / "main.md").read_text()
    assert text.index("## Unseen tasks") < text.index("## Seen tasks")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0].startswith("| policy | pretrainings | Mean | IQM [95 %] | Difference [95 %] | p (Holm) | n |")
    best = [line for line in lines if "**" in line]
    assert len(best) == 2
    assert all(line.startswith("| task2sim | large | **") for line in best)
    assert "†" in best[0]
    assert best[0].endswith(" 30 |")
    assert re.search(r"\| surrogate \| small \|.* 20\\\* \|", text)
    assert "sign-flip permutation test on 5 tasks or 10 tasks, Holm-corrected over 8 comparisons" in text
    assert "seed 1 failed: no \\| space." in text
    assert re.search(r"\| untrained backbone \|  \| \d", text)
    # It differs from row to row.
    assert "best single setting" not in text


def test_numbers_of_the_main_table_are_those_of_the_content(folder: Path) -> None:
    content = read_ablation(folder)
    pairs = content.pairs("policy=task2sim, pretrainings=large", "unseen")
    mean = sum(pairs.values()) / len(pairs)
    assert f"| task2sim | large | **{100 * mean:.1f}** |" in (folder / "tables" / "main.md").read_text()
    row = next(
        one
        for one in records(folder / "tables" / "main.csv")
        if (one["policy"], one["pretrainings"], one["role"], one["method"])
        == ("task2sim", "large", "unseen", "policy")
    )
    assert float(row["mean"]) == pytest.approx(mean, abs=1e-9)
    assert (row["pairs"], row["tasks"], row["seeds"], row["complete"]) == ("30", "10", "3", "yes")
    assert row["baseline"] == "policy=random, pretrainings=large"


def test_without_p_values_the_tables_say_why(tmp_path: Path) -> None:
    folder = made(tmp_path, unseen=3, seen=3)
    for name in ("main.md", "main.tex", "comparisons.md", "comparisons.tex"):
        text = (folder / name).read_text()
        assert "No p-values: they need 5 independent pairs." in text
        assert "Unseen tasks: 3 independent pairs: no p-value; 5 are needed." in text
        assert "†" not in text
        assert "textdagger" not in text
    assert {row["why_no_p"] for row in records(folder / "comparisons.csv")} == {
        "3 independent pairs: no p-value; 5 are needed"
    }
    assert {row["p_holm"] for row in records(folder / "comparisons.csv")} == {""}


def test_a_test_without_power_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path, unseen=6, seen=2)
    assert "no corrected p can be below 0.125" in (folder / "main.md").read_text()


def test_p_values_over_seeds_are_about_these_tasks(tmp_path: Path) -> None:
    text = (made(tmp_path, unseen=6, seen=3, seeds=range(6)) / "main.md").read_text()
    assert "on 6 seeds or 6 tasks" in text
    assert "- Seen tasks: p is about repeating this on the same few tasks, not about others." in text
    assert "Unseen tasks: p is about" not in text


def test_one_seed_is_said(tmp_path: Path) -> None:
    text = (made(tmp_path, seeds=[0]) / "main.md").read_text()
    assert "There is one seed" in text
    assert "(resampled: tasks)" in text


def test_a_seed_that_sways_all_tasks_is_said(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    write_ablation(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ablation.sqlite")) as database, database:
        database.execute(
            "UPDATE scores SET value = value + 0.2 WHERE method = '' AND cell IN"
            " (SELECT cell FROM cells WHERE row = ? AND seed = 1)",
            (SMALL,),
        )
    write_tables(read_ablation(tmp_path), tmp_path)
    (note,) = [
        line for line in (tmp_path / "tables" / "main.md").read_text().splitlines() if "not for a repeated" in line
    ]
    assert f"{SMALL} (unseen tasks)" in note


def test_warnings_stand_in_every_output(folder: Path) -> None:
    found = written(folder)
    for name in ("main", "comparisons", "per_task", "importance"):
        assert b"seed 1 failed: no \\| space" in found[f"{name}.md"]
    for name in ("main", "comparisons", "per_task"):
        assert rb"seed 1 failed: no \textbar{} space" in found[f"{name}.tex"]
    for name in ("main", "comparisons", "per_task", "importance", "cells"):
        flagged = {row["warnings"] for row in records(folder / "tables" / f"{name}.csv")}
        assert any("seed 1 failed: no | space." in text for text in flagged)
    for row in records(folder / "tables" / "main.csv"):
        assert ("failed" in row["warnings"]) == (row["row"] == SMALL)


def test_regret_has_a_column_where_the_oracle_is_known(tmp_path: Path) -> None:
    folder = made(tmp_path, oracle=True)
    text = (folder / "main.md").read_text()
    assert "| n | Regret |" in text
    assert "| oracle |  |" in text
    row = records(folder / "main.csv")[0]
    assert float(row["regret_low"]) < float(row["regret"]) < float(row["regret_high"])


def test_cells_in_long_form(folder: Path) -> None:
    import pyarrow.parquet as pq

    content = read_ablation(folder)
    rows = records(folder / "tables" / "cells.csv")
    assert list(rows[0])[:7] == ["row", "policy", "pretrainings", "seed", "task", "role", "method"]
    assert len(rows) == len(content.scores) + 1
    (empty,) = [row for row in rows if row["state"] != "finished"]
    assert (empty["row"], empty["seed"], empty["value"], empty["error"]) == (SMALL, "1", "", "no | space\nleft")
    table = pq.read_table(folder / "tables" / "cells.parquet")
    assert table.column_names == list(rows[0])
    assert table.num_rows == len(rows)
    assert table.column("value").null_count == 1
    for stored, row in zip(table.to_pylist(), rows, strict=True):
        assert ("" if stored["method"] is None else stored["method"]) == row["method"]
        assert stored["value"] is None or float(row["value"]) == pytest.approx(stored["value"], abs=1e-9)


def test_without_pyarrow_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path)
    assert (folder / "cells.parquet").is_file()
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    result = write_tables(read_ablation(tmp_path), tmp_path)
    assert not (folder / "cells.parquet").exists()
    assert (folder / "cells.csv").is_file()
    assert "pip install 'task2sim[parquet]'" in result.notes[0]


def test_failures_are_listed_and_go_when_they_are_mended(tmp_path: Path) -> None:
    folder = made(tmp_path, failed={(SMALL, 1): "first\nsecond"}, missing=[("policy=random, pretrainings=large", 2)])
    text = (folder / "failures.md").read_text()
    assert "## Failed: 1 of 18 cells" in text
    assert "## Missing: 1 of 18 cells" in text
    assert "      first\n      second\n" in text
    made(tmp_path)
    assert not (folder / "failures.md").exists()


def test_rows_that_leave_factors_as_they_are(tmp_path: Path) -> None:
    folder = made(tmp_path, mode="one-at-a-time", baseline={})
    lines = (folder / "main.md").read_text().splitlines()
    assert any(line.startswith("| Row | Mean |") for line in lines)
    assert any(line.startswith("| base | ") and "| baseline |" in line for line in lines)
    assert {row["policy"] for row in records(folder / "cells.csv") if row["row"] == "base"} == {""}


def test_a_row_without_results_has_dashes(tmp_path: Path) -> None:
    folder = made(tmp_path, missing=[(SMALL, seed) for seed in range(3)])
    assert "| surrogate | small | – | – | – | – | 0 |" in (folder / "main.md").read_text()
    assert "no pairs" in (folder / "comparisons.md").read_text()


def test_incomplete_rows_are_not_the_best(tmp_path: Path) -> None:
    best = "policy=task2sim, pretrainings=large"
    text = (made(tmp_path, missing=[(best, 0)]) / "main.md").read_text()
    assert "| surrogate | large | **" in text or "| task2sim | small | **" in text
    assert "| task2sim | large | **" not in text


# LaTeX


def structure(text: str) -> None:
    """What LaTeX would stumble over, without LaTeX."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert re.findall(r"\\(top|mid|bottom)rule", body)[:2] == ["top", "mid"]
    assert body.count(r"\bottomrule") == 1
    assert "hline" not in body
    plain = re.sub(r"\\[{}\\&%$#_]", "", body)
    depth = 0
    for letter in plain:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    inside = body[body.index(r"\begin{tabular}") : body.index(r"\end{tabular}")].splitlines()
    columns = len(re.findall("[lr]", inside[0].split("}{")[1]))
    for line in inside[1:]:
        cell = line.strip()
        if cell.endswith(r"\\"):
            spanned = re.match(r"\\multicolumn\{(\d+)\}", cell)
            count = int(spanned[1]) if spanned else len(re.findall(r"(?<!\\)&", cell)) + 1
            assert count == columns, cell
            # It would be an option of the line before it.
            assert not cell.startswith(("[", "*"))
    outside = re.sub(r"\\[%#_$&]", "", body[: body.index(r"\begin{tabular}")])
    assert not re.search("[%#_$&]", outside)
    assert body.isascii()


@pytest.mark.parametrize("name", ["main", "comparisons", "per_task"])
def test_latex_is_well_formed(folder: Path, name: str) -> None:
    text = (folder / "tables" / f"{name}.tex").read_text()
    structure(text)
    assert f"\\label{{tab:policies-{name.replace('_', '-')}}}" in text
    assert "booktabs" in text


def test_latex_marks_the_best_and_the_significant(folder: Path) -> None:
    text = (folder / "tables" / "main.tex").read_text()
    (line,) = [line for line in text.split("Seen tasks")[0].splitlines() if "textbf" in line]
    assert line.strip().startswith(r"task2sim & large & \textbf{")
    assert r"\textsuperscript{\textdagger}" in line
    assert r"\textsuperscript{\textdagger}: p \textless{} 0.05" in text


def test_any_text_is_escaped() -> None:
    nasty = "a_b & 50% {x} $y$ #1 ~ ^ \\cmd [1, 2] *|<>"
    sheet = Sheet(
        "main",
        nasty,
        (nasty, "n"),
        1,
        (Block(nasty, ((Entry(nasty, bold=True, mark="†"), Entry("−1.0 ± 2")),)),),
        (nasty,),
    )
    structure(latex(sheet, f"tab:{nasty}"))
    assert escape_latex("[0]_\\") == r"{[}0{]}\_\textbackslash{}"
    line = markdown(sheet).splitlines()[-3]
    assert len(re.findall(r"(?<!\\)\|", line)) == 3


def test_hostile_labels_go_through(tmp_path: Path) -> None:
    folder = made(
        tmp_path, vary={"tasks.unseen": {"[a, b] & 5%": 1, "x_y|z": 2, "{c}\\": 3}}, baseline={}, unseen=6, seen=0
    )
    structure((folder / "main.tex").read_text())
    structure((folder / "per_task.tex").read_text())
    assert {row["tasks.unseen"] for row in records(folder / "main.csv")} == {"[a, b] & 5%", "x_y|z", "{c}\\"}


def test_rows_whose_baseline_is_left_out_are_none_themselves(tmp_path: Path) -> None:
    small = "policy=random, pretrainings=small"
    folder = made(tmp_path, unplanned=[small], missing=[(small, seed) for seed in range(3)])
    lines = [line for line in (folder / "main.md").read_text().splitlines() if "| baseline |" in line]
    assert lines
    assert all(line.startswith("| random | large |") for line in lines)


def test_latex_says_what_compiles_it(tmp_path: Path) -> None:
    assert "LuaLaTeX" not in (made(tmp_path / "plain", seen=0) / "main.tex").read_text().split("\\begin")[0]
    folder = made(tmp_path / "other", vary={"tasks.unseen": {"größe": 1, "日本": 2}}, baseline={}, unseen=6, seen=0)
    assert "LuaLaTeX" in (folder / "main.tex").read_text().split("\\begin")[0]


def test_a_failed_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path)
    before = written(tmp_path)

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_tables(read_ablation(tmp_path), tmp_path)
    monkeypatch.undo()
    assert written(tmp_path) == before
    assert folder.is_dir()
