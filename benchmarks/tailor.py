"""The policy that ships with ``task2sim tailor``: how it was trained, and how well it does on tasks it did not see.

Run it in the project's folder, with the tasks in ``../shared/data/tasks``. Two cores need about an hour and a half,
and a killed run goes on where it stopped::

    python benchmarks/tailor.py train --store /tmp/tailor           # 96 pre-trainings; writes learned/ and the trials
    python benchmarks/tailor.py leave-one-out --store /tmp/tailor   # tailors each task with a policy of the others

"train" runs ``benchmarks/tailor_policy.yaml``, keeps its trials in ``benchmarks/tailor_trials`` (a table that
``rewards: {type: table}`` reads), and copies what the policy learned to where the wheel takes it from.

"leave-one-out" fits the policy anew on seven tasks, from the recorded trials, lets it predict a setting for the
eighth, and makes a backbone with it as ``task2sim tailor`` does: its size, other seeds, test images. Beside it
stand backbones with everything varied, with the setting that was best on average for the seven others, and without
training.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from task2sim import ParameterPolicy, ParameterSetting, TaskEmbedding, TaskScore, TaskSource, spawn_seed
from task2sim.config import load_study
from task2sim.scoring import RenderedScoring, Request
from task2sim.store import Store
from task2sim.study import run_study
from task2sim.study_file import StudyConfig
from task2sim.yaml_file import read_yaml
from task2sim_tailor.tailor import LEARNED, STUDY

HERE = Path(__file__).parent
TRIALS_STUDY = HERE / "tailor_policy.yaml"
TRIALS = HERE / "tailor_trials"
KEPT = ("config.resolved.yaml", "policy", "probe")
"""What a later study needs of a run."""


def train(store: Path, runs: Path) -> None:
    """Run the trials, record them, and keep what the policy learned."""
    from task2sim_tables.commands import export

    run = run_study(load_study(str(TRIALS_STUDY)), runs, Store(store))
    shutil.rmtree(TRIALS, ignore_errors=True)
    export(run.folder, TRIALS, store)
    shutil.rmtree(LEARNED, ignore_errors=True)
    LEARNED.mkdir()
    for name in KEPT:
        source = run.folder / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, LEARNED / name)
    size = sum(path.stat().st_size for path in LEARNED.rglob("*") if path.is_file())
    print(f"{LEARNED}: {size / 1e6:.1f} MB")


def fit(
    study: StudyConfig, table: Mapping[str, Mapping[ParameterSetting, float]], tasks: Iterable[str]
) -> ParameterPolicy:
    """The study's policy after it learned from recorded trials of some tasks."""
    from task2sim import TASK2SIM_PARAMETERS

    policy: ParameterPolicy = study.policy.build()
    policy.start(TASK2SIM_PARAMETERS, spawn_seed(study.seed, "policy"))
    embeddings = recorded_embeddings()
    seen = {task: embeddings[task] for task in tasks}
    settings = policy.propose(seen, study.pretrainings)
    policy.observe([TaskScore(task, setting, table[task][setting]) for setting in settings for task in seen])
    return policy


def recorded_embeddings() -> dict[str, TaskEmbedding]:
    """The tasks' embeddings."""
    with np.load(TRIALS / "embeddings.npz", allow_pickle=False) as archive:
        return {name: TaskEmbedding(name, archive[name]) for name in archive.files}


def recorded_scores() -> dict[str, dict[ParameterSetting, float]]:
    """For each task, the validation accuracy with each setting that was tried."""
    data = json.loads((TRIALS / "table.json").read_text())
    settings = [ParameterSetting(values) for values in data["settings"]]
    return {task: dict(zip(settings, row, strict=True)) for task, row in data["scores"]["val"].items()}


def leave_one_out(store: Path, seeds: int) -> str:
    """Tailor a backbone to each task with a policy that did not see it; returns a table in Markdown."""
    study = load_study(str(TRIALS_STUDY)).study
    table = recorded_scores()
    names = list(table)
    embeddings = recorded_embeddings()
    columns: dict[str, dict[str, ParameterSetting | None]] = {
        "tailored": {},
        "everything varied": {},
        "best for the others": {},
        "untrained": {},
    }
    everything = study.simulator.build().parameter_space.everything_varied()
    for name in names:
        others = [other for other in names if other != name]
        columns["tailored"][name] = fit(study, table, others).predict(embeddings[name]).setting
        columns["everything varied"][name] = everything
        columns["best for the others"][name] = max(
            table[name],
            key=lambda setting: float(np.mean([table[other][setting] for other in others])),
        )
        columns["untrained"][name] = None
        print(name, columns["tailored"][name].label, flush=True)  # type: ignore[union-attr]
    scores = score_at_full_size(columns, store, seeds)
    lines = ["| task | " + " | ".join(columns) + " | setting |", "|---" * (len(columns) + 2) + "|"]
    for name in names:
        cells = [_percent([scores[row[name], seed][name] for seed in range(seeds)]) for row in columns.values()]
        chosen = columns["tailored"][name]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {chosen.label if chosen else ''} |")
    means = [
        _percent([np.mean([scores[row[name], seed][name] for name in names]) for seed in range(seeds)])
        for row in columns.values()
    ]
    lines.append("| mean | " + " | ".join(means) + " | |")
    return "\n".join(lines) + "\n"


def score_at_full_size(
    columns: Mapping[str, Mapping[str, ParameterSetting | None]], root: Path, seeds: int
) -> dict[tuple[ParameterSetting | None, int], dict[str, float]]:
    """Test accuracies of each setting and seed, pre-trained as ``task2sim tailor`` does."""
    data, _ = read_yaml(STUDY)
    trials, _ = read_yaml(TRIALS_STUDY)
    study = StudyConfig.model_validate({**data, "tasks": trials["tasks"], "pretrainings": 1})
    store = Store(root)
    (chosen,) = study.tasks.sources
    source: TaskSource = chosen.build()
    fingerprints = {name: store.put_task(source.load(name)) for name in study.tasks.names}
    settings = dict.fromkeys(setting for row in columns.values() for setting in row.values())
    requests = [
        Request("comparison", f"comparison {seed}", setting, "test", study.tasks.names)
        for seed in range(seeds)
        for setting in settings
    ]
    found: dict[tuple[ParameterSetting | None, int], dict[str, float]] = {}
    with study.executor.build() as executor:
        for request, trial in zip(
            requests, RenderedScoring(study, store, fingerprints, executor, None).trials(requests), strict=True
        ):
            seed = int(request.replicate.split()[1])
            found[request.setting, seed] = {task: score.value for task, score in trial.scores.items()}
            print(len(found), "of", len(requests), flush=True)
    return found


def _percent(values: Iterable[float]) -> str:
    numbers = 100 * np.array(list(values))
    return f"{numbers.mean():.1f} ± {numbers.std(ddof=1):.1f}" if len(numbers) > 1 else f"{numbers.mean():.1f}"


def main() -> None:
    """Train the policy, or measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "leave-one-out"])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    if options.what == "train":
        train(options.store, options.runs)
        return
    text = leave_one_out(options.store, options.seeds)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
