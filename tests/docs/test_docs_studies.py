"""Study files and keys in the documentation are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import ConfigError
from task2sim.ablation.cells import MANY_CELLS, make_plan
from task2sim.ablation.file import AblationConfig, load_ablation
from task2sim.config import load_study
from task2sim.learned import Learned
from task2sim.registry import find_plugin, installed_plugins
from task2sim.store import Store
from task2sim.study import check_study, run_study
from task2sim.study_file import ComparisonConfig, StudyConfig, TasksConfig

MODELS = {
    "ablation": AblationConfig,
    "study": StudyConfig,
    "study.tasks": TasksConfig,
    "study.comparison": ComparisonConfig,
}
ROOT = Path(__file__).parents[2]
QUICKSTART = yaml.safe_load((ROOT / "core" / "task2sim" / "studies" / "quickstart.yaml").read_text())


def studies(blocks: list[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each YAML block as a whole study: what a fragment leaves open is as in quickstart."""
    for block in blocks:
        if block.language == "yaml" and block.mark not in ("wrong", "ablation"):
            data = yaml.safe_load(block.text)
            yield block, data if "name" in data else {**QUICKSTART, **data}


def write(data: dict[str, Any]) -> str:
    Path("study.yaml").write_text(yaml.safe_dump(data))
    return "study.yaml"


def test_every_study_is_valid(blocks: list[Any]) -> None:
    found = list(studies(blocks))
    problems = []
    for block, data in found:
        try:
            load_study(write(data))
        except ConfigError as error:
            problems.append(f"{block.place}: {error}")
    assert problems == []
    assert len(found) > 10


def test_every_ablation_is_valid(blocks: list[Any]) -> None:
    found = [block for block in blocks if block.mark == "ablation"]
    for block in found:
        Path("ablation.yaml").write_text(
            yaml.safe_dump({"name": "x", "study": "quickstart", **yaml.safe_load(block.text)})
        )
        assert make_plan(load_ablation(Path("ablation.yaml")), check=False).cells, block.place
    complete = yaml.safe_load(found[0].text)
    assert list(complete) == list(AblationConfig.model_fields)
    Path("ablation.yaml").write_text(found[0].text)
    plan = make_plan(load_ablation(Path("ablation.yaml")), check=False)
    text = " ".join((ROOT / "docs" / "ablations.md").read_text(encoding="utf-8").split())
    assert f"has {len(plan.rows)} rows and {len(plan.cells)} cells" in text
    assert f"More than {MANY_CELLS} cells" in text


def test_the_complete_example_shows_every_key(blocks: list[Any]) -> None:
    (example,) = [data for block, data in studies(blocks) if block.heading == "A complete example"]
    # The two others make another kind of study, and are shown further down.
    assert list(example) == [key for key in StudyConfig.model_fields if key not in ("rewards", "continues")]
    assert list(example["tasks"]) == list(TasksConfig.model_fields)
    assert list(example["comparison"]) == list(ComparisonConfig.model_fields)


def test_studies_with_tasks_could_run(blocks: list[Any]) -> None:
    # The arrays are made by the page's Python block.
    for block in blocks:
        if block.language == "python" and block.page == "studies.md":
            exec(block.text, {})
    checked = 0
    for block, data in studies(blocks):
        if "continues" in data or "rewards" in data:  # they need a run, and the published table
            continue
        if block.page == "studies.md" and "tasks" in yaml.safe_load(block.text) and "huggingface" not in block.text:
            if "photographs" in data["tasks"]["seen"]:  # spare the time
                data["tasks"]["seen"] = ["digits"]
            check_study(load_study(write(data)))
            checked += 1
    assert checked == 3


def test_the_study_on_the_published_table_could_run(blocks: list[Any]) -> None:
    table = ROOT.parent / "shared" / "data" / "task2sim-cvpr22"
    if not table.is_dir():
        pytest.skip("the published table is not here")
    (data,) = [data for _, data in studies(blocks) if "rewards" in data]
    data["rewards"]["path"] = str(table)
    assert check_study(load_study(write(data))).space.size == 256


def test_the_message_shown_is_the_one_printed(blocks: list[Any]) -> None:
    (number,) = [number for number, block in enumerate(blocks) if block.mark == "wrong"]
    Path("study.yaml").write_text(blocks[number].text)
    with pytest.raises(ConfigError) as caught:
        load_study("study.yaml")
    assert str(caught.value) == blocks[number + 1].text.rstrip()


def test_the_plugins_shown_run_in_a_study(
    blocks: list[Any], documented_plugins: list[str], toy_study: dict[str, Any], workplace: Path
) -> None:
    (fragment,) = [data for block, data in studies(blocks) if block.heading == "Trying it without packaging"]
    names = {text.partition("=")[0] for text in documented_plugins}
    used = {key: fragment[key] for key in ("policy", "simulator", "evaluator", "observers")}
    assert len(names) == len(used)
    run = run_study(load_study(write({**toy_study, **used})), workplace / "shown", Store(workplace / "store"))
    assert len(run.results.query("SELECT * FROM trials WHERE phase = 'search'")) == 3
    assert [row["name"] for row in run.results.query("SELECT name FROM parameters")] == [
        "camera_distance",
        "light_intensity",
    ]
    assert Path("trials.csv").read_text().count("\ncomparison,") > 3
    assert not (run.folder / "warnings.log").exists()
    policy = Learned.open(run.folder).policy()
    assert {row["setting"] for row in run.results.query("SELECT setting FROM predictions")} == {
        policy.predict(None).setting.key  # type: ignore[arg-type]
    }


def test_the_cost_of_the_quickstart_is_as_computed() -> None:
    study = load_study("quickstart").study
    tasks = len(study.tasks.seen) + len(study.tasks.unseen)
    most = study.pretrainings + study.comparison.seeds * (tasks + 2) + study.comparison.random
    shown = (
        f"{study.pretrainings} + {study.comparison.seeds} × ({tasks} + 2) + {study.comparison.random} = {most} "
        f"pre-trainings at most, of {study.images:,} images each"
    )
    assert shown in " ".join((ROOT / "docs" / "studies.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("predicted", ["one", "many"])
def test_a_study_costs_no_more_than_the_formula_says(
    toy_study: dict[str, Any], workplace: Path, predicted: str
) -> None:
    change = {"policy": "random"} if predicted == "many" else {}
    run = run_study(load_study(write({**toy_study, **change})), workplace / predicted, Store(workplace / "store"))
    study = run.study
    sql = "SELECT COUNT(DISTINCT backbone) AS n FROM trials WHERE setting != 'untrained' AND phase = ?"
    probe, search, comparison = (run.results.query(sql, [p])[0]["n"] for p in ("probe", "search", "comparison"))
    assert probe == 1
    assert search == (study.pretrainings if predicted == "one" else len(study.tasks.seen))
    distinct = len({row["setting"] for row in run.results.query("SELECT setting FROM predictions")})
    assert distinct == (1 if predicted == "one" else 3)
    assert comparison <= study.comparison.seeds * (distinct + 2) + study.comparison.random
    datasets = run.results.query("SELECT COUNT(DISTINCT dataset) AS n FROM trials WHERE dataset != ''")[0]["n"]
    backbones = run.results.query("SELECT COUNT(DISTINCT backbone) AS n FROM trials WHERE dataset != ''")[0]["n"]
    assert datasets == backbones


# --- keys ---


def test_every_key_of_every_default_plugin_is_documented(tables: dict[str, Any], pages: list[Path]) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    for entry in installed_plugins():
        if entry.distribution == "task2sim":
            if entry.load().Config.model_fields:
                assert f"keys: {entry.kind}/{entry.name}" in tables
            assert f"`{entry.name}`" in text, f"{entry.title} is nowhere in the documentation"


def test_key_tables_say_what_the_code_does(tables: dict[str, Any]) -> None:
    found = [table for mark, table in tables.items() if mark.startswith("keys: ")]
    assert len(found) > 12
    problems = [f"docs/{table.page}, {table.mark}: {problem}" for table in found for problem in _problems(table)]
    assert problems == []


def _problems(table: Any) -> Iterator[str]:
    name = table.mark.removeprefix("keys: ")
    model = MODELS[name] if name in MODELS else find_plugin(*name.split("/")).load().Config
    rows = {row["key"].strip("`"): row for row in table.rows}
    if list(rows) != list(model.model_fields):
        yield f"keys are {list(rows)}, the code has {list(model.model_fields)}"
    # The schema of a study holds those of all plugins, which have tables of their own.
    properties = {} if name in MODELS else model.model_json_schema()["properties"]
    for key, field in model.model_fields.items():
        if key not in rows:
            continue
        default = field.get_default(call_default_factory=True)
        shown = rows[key]["default"].strip("`")
        if field.is_required():
            right = shown == "required"
        elif isinstance(default, ComparisonConfig):
            right = shown == "see below"
        else:
            right = yaml.safe_load(shown) == (list(default) if isinstance(default, tuple) else default)
        if not right:
            yield f"default of {key} is {default!r}"
        limits = set(_limits(properties.get(key, {}))) | {
            str(getattr(item, bound))
            for item in field.metadata
            for bound in ("ge", "gt", "le", "lt", "min_length")
            if name in MODELS and hasattr(item, bound)
        }
        missing = limits - set(re.findall(r"[\w.-]+", rows[key]["type"]))
        if missing:
            yield f"the type of {key} does not mention {', '.join(sorted(missing))}"


def _limits(schema: Any) -> Iterator[str]:
    """Every bound and choice in the schema of a key, and whether null is one."""
    if isinstance(schema, list):
        for item in schema:
            yield from _limits(item)
    elif isinstance(schema, dict):
        for word, value in schema.items():
            if re.fullmatch("(exclusiveM|m)(in|ax)imum|minItems|minLength", word):
                yield f"{value:g}" if value < 1e5 else str(value)
            elif word == "enum":
                yield from map(str, value)
            elif word == "const":
                yield str(value)
            elif (word, value) == ("type", "null"):
                yield "null"
            elif isinstance(value, dict | list):
                yield from _limits(value)
