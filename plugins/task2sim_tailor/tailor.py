"""From a folder of pictures to a backbone: a study without a search, on a policy that was learned beforehand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from task2sim import StoreError, TaskSource
from task2sim.choice import Chosen
from task2sim.config import StudyFile, parse_study
from task2sim.parameters import ParameterValue
from task2sim.registry import plugin_call
from task2sim.run import Run
from task2sim.store import writing
from task2sim.yaml_file import read_yaml

HERE = Path(__file__).parent
STUDY = HERE / "tailor.yaml"
LEARNED = HERE / "learned"
"""The policy that ships, its probe and the study both come from; docs/tailor.md is its card."""

RUN = "run"
REPORT = "report.html"


def tailor_study(photos: Path, overrides: Sequence[str] = ()) -> StudyFile:
    """The study that tailors a backbone to a folder of pictures.

    Args:
        photos: Labelled images: ``class/image``, or ``train/class/image`` with ``val`` and ``test`` beside ``train``.
        overrides: As for `task2sim.config.load_study`.

    Raises:
        TaskError: the folder holds no task.
        ConfigError: an override is wrong.
    """
    data, places = read_yaml(STUDY)
    folder = Chosen.parse("tasks", {"type": "folder", "path": str(photos)})
    source: TaskSource = folder.build()
    with plugin_call(folder.entry.title):
        names = source.names()
    data["tasks"] = {"sources": [folder.dump()], "unseen": list(names)}
    data["continues"] = str(LEARNED)
    return parse_study(data, places, str(photos), overrides)


def prepare_folder(out: Path) -> None:
    """Make the folder for the backbone, unless it holds what the backbone would be mixed up with.

    Raises:
        StoreError: it does, or can't be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        strangers = [path for path in out.iterdir() if not path.name.startswith(".")]
        if strangers and not (out / RUN).is_dir():
            raise StoreError(
                f"this folder holds other things, such as {strangers[0].name!r}",
                place=str(out),
                mend="name a new or empty folder",
            )
        (out / RUN).mkdir(exist_ok=True)


def hand_over(run: Run, out: Path) -> None:
    """Put the backbone that a finished run tailored, and its report, where a person looks for them.

    Args:
        run: The run of `tailor_study`.
        out: The folder; files of an earlier backbone are replaced.

    Raises:
        StoreError: the folder can't be written.
    """
    (task,) = run.study.tasks.names
    files = sorted((run.folder / "backbones" / task).iterdir())
    report = run.folder / REPORT
    for file in [*files, *([report] if report.is_file() else [])]:
        partial = out / f".{file.name}.partial"
        with writing(out):
            shutil.copyfile(file, partial)
            partial.replace(out / file.name)


def chosen_setting(run: Run) -> dict[str, ParameterValue]:
    """What was chosen for the task: the value of each parameter."""
    (row,) = run.results.query("SELECT choices FROM settings JOIN predictions ON settings.key = predictions.setting")
    values: dict[str, ParameterValue] = json.loads(row["choices"])
    return values
