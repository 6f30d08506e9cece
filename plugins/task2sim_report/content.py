"""What a report says, read from results.sqlite alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from task2sim import StoreError
from task2sim.results import UNTRAINED, Results
from task2sim.run import RESULTS
from task2sim.summary import Row, final_table

FIRST_REPLICATE = "comparison 0"
"""The comparison's first seeds: every setting but some random ones has a dataset rendered with them."""

ORACLE = "oracle"
"""The comparison's method that knows the whole reward table: no rival, but a bound."""


@attrs.frozen
class TaskFacts:
    """A task as the report shows it; ``train``, ``val`` and ``test`` are numbers of images.

    Of a task whose scores were looked up nothing but name and role is known.
    """

    name: str
    role: str
    domain: str | None = None
    classes: int | None = None
    train: int | None = None
    val: int | None = None
    test: int | None = None


@attrs.frozen
class Cell:
    """What a policy wants of one parameter for one task.

    Attributes:
        text: A probability, an effect on the score, or the predicted value.
        strength: How much the images vary by it, or how sure the policy is, in [0, 1]; of an effect, in [-1, 1], its
            size beside the others.
        marked: Whether it is a toggle that the predicted setting varies.
    """

    text: str
    strength: float
    marked: bool


@attrs.frozen
class Pictured:
    """A setting whose images the report shows.

    Attributes:
        method: The comparison's method that rendered it.
        tasks: The tasks it was predicted for; empty for methods that render the same for all.
        key: The setting's key.
        dataset: Its dataset's key in the store.
    """

    method: str
    tasks: tuple[str, ...]
    key: str
    dataset: str


@attrs.frozen
class Tried:
    """A setting the search tried.

    Attributes:
        number: 1 for the first distinct pre-training, and so on.
        round: The policy's round, counted from 1.
        setting: In words.
        scores: Score of each seen task on its validation images.
        reward: Their mean.
    """

    number: int
    round: int
    setting: str
    scores: Mapping[str, float]
    reward: float


@attrs.frozen
class Work:
    """What was done, each dataset, backbone and score counted once.

    Attributes:
        datasets: Distinct datasets.
        images: Images in them.
        backbones: Distinct pre-trained backbones.
        scores: Scores of backbones on tasks.
        render_seconds: Time of rendering, summed over datasets.
        pretrain_seconds: Time of pre-training, summed over backbones.
        score_seconds: Time of scoring.
    """

    datasets: int
    images: int
    backbones: int
    scores: int
    render_seconds: float
    pretrain_seconds: float
    score_seconds: float


@attrs.frozen
class Content:
    """All of it.

    Attributes:
        facts: The run's facts, such as ``"study"``.
        metric: What scores measure, such as ``"accuracy"``.
        tasks: Seen tasks, then unseen ones.
        parameters: Names of the parameters.
        settings_in_all: How many settings there are; infinite if a parameter is an interval.
        table: The final table; its first row is the policy's.
        comparison_pretrainings: Pre-trainings behind the final table, without untrained backbones.
        settings_of: How many settings each method rendered.
        learned: For each task, a cell for each parameter.
        has_probabilities: Whether the policy gave probabilities.
        effects: For each task, a cell for each parameter: what it does to the score that the policy expects. Empty
            if the policy expects no scores.
        pictured: Settings to show images of; the predicted ones first.
        words: Settings in words, by key.
        predictions: The predicted setting's key for each task.
        oracle: The key of each task's best setting in the reward table; empty without one.
        search: What the search tried, in order.
        distances: Distance of each pair of tasks.
        embedding: Length of the embeddings.
        stages: Name and seconds of each stage.
        work: What was done.
    """

    facts: dict[str, str]
    metric: str
    tasks: list[TaskFacts]
    parameters: list[str]
    settings_in_all: float
    table: list[Row]
    comparison_pretrainings: int
    settings_of: dict[str, int]
    learned: dict[str, list[Cell]]
    has_probabilities: bool
    effects: dict[str, list[Cell]]
    pictured: list[Pictured]
    words: dict[str, str]
    predictions: dict[str, str]
    oracle: dict[str, str]
    search: list[Tried]
    distances: dict[tuple[str, str], float]
    embedding: int
    stages: list[tuple[str, float]]
    work: Work

    def of_role(self, role: str) -> list[TaskFacts]:
        """The seen or the unseen tasks."""
        return [task for task in self.tasks if task.role == role]

    @property
    def is_looked_up(self) -> bool:
        """Whether scores come from a reward table, and nothing was rendered or trained."""
        return "rewards" in self.facts

    @property
    def headline_task(self) -> TaskFacts:
        """The task whose pictures open the report: the first unseen one, if there is any."""
        return (self.of_role("unseen") or self.tasks)[0]


def read_content(folder: Path) -> Content:
    """Read a run folder's results.

    Raises:
        StoreError: it is no run folder, or the run is not finished.
    """
    if not (folder / RESULTS).is_file():
        raise StoreError(
            f"this is no run folder: {RESULTS} is missing",
            place=str(folder),
            mend="name a folder in runs/ or ablations/",
        )
    results = Results(folder / RESULTS)
    table = final_table(results)
    if not table or not results.fact("finished"):
        raise StoreError(
            "this run is not finished, so there is nothing to report",
            place=str(folder),
            mend="let task2sim run finish it",
        )
    query = results.query
    parameters = [
        {**row, "choices": json.loads(row["choices"])} for row in query("SELECT * FROM parameters ORDER BY position")
    ]
    choices = {row["key"]: json.loads(row["choices"]) for row in query("SELECT key, choices FROM settings")}
    words = {key: setting_in_words(values, parameters) for key, values in choices.items()}
    predictions = {row["task"]: row["setting"] for row in query("SELECT task, setting FROM predictions")}
    probabilities: dict[tuple[str, str], dict[str, float]] = {}
    for row in query("SELECT * FROM probabilities ORDER BY rowid"):
        probabilities.setdefault((row["task"], row["parameter"]), {})[row["choice"]] = row["probability"]
    expected = _expectations(results)
    tasks = [
        TaskFacts(**row)
        for row in query("SELECT name, role, domain, classes, train, val, test FROM tasks ORDER BY position")
    ]
    return Content(
        facts={row["name"]: row["value"] for row in query("SELECT name, value FROM facts")},
        metric=query("SELECT metric FROM scores WHERE phase = 'comparison' LIMIT 1")[0]["metric"],
        tasks=tasks,
        parameters=[parameter["name"] for parameter in parameters],
        settings_in_all=math.prod(len(parameter["choices"]) or math.inf for parameter in parameters),
        table=table,
        comparison_pretrainings=query(
            "SELECT COUNT(DISTINCT backbone) AS n FROM trials WHERE phase = 'comparison' AND setting != ?",
            (UNTRAINED,),
        )[0]["n"],
        settings_of={
            row["method"]: row["n"]
            for row in query("SELECT method, COUNT(DISTINCT setting) AS n FROM comparison GROUP BY method")
        },
        learned={
            task.name: [
                _cell(
                    parameter["type"],
                    choices[predictions[task.name]][parameter["name"]],
                    probabilities.get((task.name, parameter["name"]), {}),
                    [setting[parameter["name"]] for setting in choices.values()],
                )
                for parameter in parameters
            ]
            for task in tasks
        },
        has_probabilities=bool(probabilities),
        effects=_effects(
            {task.name: choices[predictions[task.name]] for task in tasks} if expected else {}, parameters, expected
        ),
        pictured=pictured_settings(results),
        words=words,
        predictions=predictions,
        oracle={
            row["task"]: row["setting"]
            for row in query("SELECT task, setting FROM comparison WHERE method = ?", (ORACLE,))
        },
        search=_search(results, words, [task.name for task in tasks]),
        distances={
            (row["first"], row["second"]): row["distance"]
            for row in query("SELECT first, second, distance FROM distances")
        },
        embedding=max((row["dimension"] for row in query("SELECT dimension FROM embeddings")), default=0),
        stages=[(row["name"], row["seconds"]) for row in query("SELECT * FROM stages ORDER BY position")],
        work=_work(results),
    )


def pictured_settings(results: Results) -> list[Pictured]:
    """The settings whose images are shown: those the policy predicted, then the first of each other method."""
    rows = results.query(
        "SELECT c.method, c.position, c.task, c.setting, t.dataset FROM comparison c JOIN trials t"
        " ON t.phase = 'comparison' AND t.setting = c.setting AND t.replicate = c.replicate"
        " JOIN tasks ON tasks.name = c.task"
        " WHERE c.replicate = ? AND c.setting != ? AND t.dataset != '' ORDER BY c.position, tasks.position, c.rowid",
        (FIRST_REPLICATE, UNTRAINED),
    )
    found: dict[tuple[str, str], Pictured] = {}
    for row in rows:
        predicted = row["position"] == 0
        identity = (row["method"], row["setting"] if predicted else "")
        earlier = found.get(identity)
        tasks = (*(earlier.tasks if earlier else ()), row["task"]) if predicted else ()
        if earlier is None or predicted:
            found[identity] = Pictured(row["method"], tasks, row["setting"], row["dataset"])
    return list(found.values())


def setting_in_words(values: Mapping[str, Any], parameters: list[dict[str, Any]]) -> str:
    """A setting for people: ``"varies background and materials; haze 0.25"``."""
    toggles = {parameter["name"] for parameter in parameters if parameter["type"] == "toggle"}
    varied = [spaced(name) for name in values if name in toggles and values[name] == 1]
    others = [f"{spaced(name)} {_plain(values[name])}" for name in values if name not in toggles]
    if not varied:
        first = "varies nothing"
    elif len(varied) == len(toggles) > 2:
        first = f"varies all {len(toggles)}"
    else:
        first = f"varies {listed(varied)}"
    return "; ".join([first] * bool(toggles) + others)


def spaced(name: str) -> str:
    """An identifier as words."""
    return name.replace("_", " ")


def listed(names: list[str]) -> str:
    """Names as prose: ``"a, b and c"``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cell(kind: str, value: Any, probabilities: Mapping[str, float], in_run: list[Any]) -> Cell:
    if kind == "toggle":
        strength = probabilities.get("1", float(value))
        return Cell(f"{strength:.2f}" if probabilities else ("varied" if value else "fixed"), strength, value == 1)
    if probabilities:
        sure = probabilities.get(str(value), 0.0)
        return Cell(f"{value} {sure:.2f}", sure, False)
    if isinstance(value, float) and max(in_run) > min(in_run):
        # The bounds of an interval are not in the results; the settings of the run span most of it.
        return Cell(_plain(value), (value - min(in_run)) / (max(in_run) - min(in_run)), False)
    return Cell(_plain(value), 0.0, False)


def _expectations(results: Results) -> dict[tuple[str, str], dict[str, float]]:
    """The score expected with each value, for each task and parameter."""
    expected: dict[tuple[str, str], dict[str, float]] = {}
    # Runs of versions before 0.3 lack the table.
    if results.query("SELECT 1 FROM sqlite_master WHERE name = 'expectations'"):
        for row in results.query("SELECT * FROM expectations ORDER BY rowid"):
            expected.setdefault((row["task"], row["parameter"]), {})[row["choice"]] = row["score"]
    return expected


def _effects(
    predicted: Mapping[str, Mapping[str, Any]],
    parameters: list[dict[str, Any]],
    expected: Mapping[tuple[str, str], Mapping[str, float]],
) -> dict[str, list[Cell]]:
    """What each parameter does to the expected score.

    Of a toggle: what varying adds. Of a choice: what the value that was chosen adds to the best of the others.
    """
    points: dict[tuple[str, str], float] = {}
    for task, setting in predicted.items():
        for parameter in parameters:
            name = parameter["name"]
            if scores := dict(expected.get((task, name), {})):
                value = "1" if parameter["type"] == "toggle" else str(setting[name])
                points[task, name] = 100 * (scores.pop(value) - max(scores.values()))
    largest = max(map(abs, points.values()), default=0.0) or 1.0
    effects: dict[str, list[Cell]] = {}
    for task, setting in predicted.items():
        cells = effects.setdefault(task, [])
        for parameter in parameters:
            name, value = parameter["name"], setting[parameter["name"]]
            is_toggle = parameter["type"] == "toggle"
            if (task, name) not in points:
                cells.append(Cell(_plain(value), 0.0, is_toggle and value == 1))
                continue
            gain = points[task, name]
            text = f"{round(gain, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")
            cells.append(Cell(text if is_toggle else f"{value} {text}", gain / largest, is_toggle and value == 1))
    return effects


def _search(results: Results, words: Mapping[str, str], tasks: list[str]) -> list[Tried]:
    scores: dict[str, dict[str, float]] = {}
    for row in results.query("SELECT setting, task, value FROM scores WHERE phase = 'search'"):
        scores.setdefault(row["setting"], {})[row["task"]] = row["value"]
    tried: list[Tried] = []
    for row in results.query("SELECT setting, round FROM trials WHERE phase = 'search' ORDER BY position"):
        own = {task: scores[row["setting"]][task] for task in tasks if task in scores[row["setting"]]}
        reward = math.fsum(own.values()) / len(own)
        tried.append(Tried(len(tried) + 1, row["round"] + 1, words[row["setting"]], own, reward))
    return tried


def _work(results: Results) -> Work:
    # The probe and the search may share a dataset, methods of the comparison a backbone: each was made once.
    (datasets,) = results.query(
        "SELECT COUNT(*) AS n, TOTAL(images) AS images, TOTAL(seconds) AS seconds FROM (SELECT MAX(images) AS images,"
        " MAX(render_seconds) AS seconds FROM trials WHERE dataset != '' GROUP BY dataset)"
    )
    (backbones,) = results.query(
        "SELECT COUNT(*) AS n, TOTAL(seconds) AS seconds FROM (SELECT MAX(pretrain_seconds) AS seconds FROM trials"
        " WHERE setting != ? AND backbone != '' GROUP BY backbone)",
        (UNTRAINED,),
    )
    (scores,) = results.query(
        "SELECT (SELECT COUNT(*) FROM scores) AS n, TOTAL(score_seconds) AS seconds FROM trials"
    )
    return Work(
        datasets=datasets["n"],
        images=int(datasets["images"]),
        backbones=backbones["n"],
        scores=scores["n"],
        render_seconds=datasets["seconds"],
        pretrain_seconds=backbones["seconds"],
        score_seconds=scores["seconds"],
    )
