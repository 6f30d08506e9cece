"""The observer ``mlflow``."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from task2sim import Component, ComponentConfig, PluginError, hookimpl
from task2sim.store import hash_key
from task2sim_tracking.telling import (
    Curves,
    final_markdown,
    final_numbers,
    predicted_settings,
    require_extra,
    study_parameters,
)

if TYPE_CHECKING:
    from task2sim.interfaces import TaskEmbedding
    from task2sim.run import Run
    from task2sim.trial import Trial

DATABASE = "mlflow.db"
ARTEFACTS = "mlflow-artefacts"

RUN_TAG = "task2sim.run"
MADE_WITH_TAG = "task2sim.made_with"

BATCH = 100
"""Parameters in one call, which MLflow allows at most."""


class MLflow(Component):
    """Writes scores, durations, keys of the study, its final table and its report to an MLflow store.

    A run that goes on is shown its earlier trials again; what MLflow has of them is not written twice. Its MLflow run
    goes on too, unless versions or task images have changed: then a new one takes the place of the old.

    Raises:
        PluginError: MLflow is not installed.
    """

    class Config(ComponentConfig):
        """Where to write."""

        uri: Annotated[
            str | None,
            Field(description="MLflow's tracking URI; null: mlflow.db beside the run folder, without a server"),
        ] = None
        experiment: Annotated[
            str | None, Field(min_length=1, description="the experiment's name; null takes the study's")
        ] = None

    def __init__(self, config: Config) -> None:
        require_extra("mlflow", "mlflow", "sqlalchemy", "alembic")
        self._config = config
        self._curves = Curves()
        self._run_id: str | None = None

    @hookimpl
    def task2sim_study_start(self, run: Run) -> None:
        """Begin a run in MLflow, or take it up."""
        self._curves = Curves()
        self._run_id = None  # Until there is one nothing is told: what failed once is warned of once.
        self._client = _client(self._config.uri or f"sqlite:///{run.folder.absolute().parent / DATABASE}")
        begun = self._begin(run, self._experiment(run))
        known = self._client.get_run(begun)
        self._known = {
            (metric.key, metric.step)
            for name in known.data.metrics
            for metric in self._client.get_metric_history(begun, name)
        }
        from mlflow.entities import Param

        parameters = [
            Param(_name(name), str(value)[:6000])
            for name, value in study_parameters(run).items()
            if _name(name) not in known.data.params
        ]
        for start in range(0, len(parameters), BATCH):
            self._client.log_batch(begun, params=parameters[start : start + BATCH])
        self._run_id = begun

    @hookimpl
    def task2sim_task_embedded(self, run: Run, embedding: TaskEmbedding) -> None:
        """Note the length of a task's embedding."""
        self._log(0, {f"embedding/dimension/{embedding.task}": float(len(embedding.vector))})

    @hookimpl
    def task2sim_trial_end(self, run: Run, trial: Trial) -> None:
        """Write the trial's scores and durations."""
        self._log(*self._curves.points(trial))

    @hookimpl
    def task2sim_policy_updated(self, run: Run, round_number: int) -> None:
        """Mark when the policy has learned."""
        self._log(self._curves.tried, {"search/rounds": float(round_number)})

    # Last, so that the report is there.
    @hookimpl(trylast=True)
    def task2sim_study_end(self, run: Run) -> None:
        """Write predictions, the final table and the report, and end MLflow's run."""
        if self._run_id is None:
            return
        self._log(0, final_numbers(run))
        self._client.log_text(self._run_id, final_markdown(run), "final_table.md")
        self._client.log_dict(self._run_id, predicted_settings(run), "predicted_settings.json")
        for name in ("config.resolved.yaml", "provenance.json", "report.html"):
            if (run.folder / name).is_file():
                self._client.log_artifact(self._run_id, str(run.folder / name))
        self._client.set_terminated(self._run_id)

    def _log(self, step: int, numbers: dict[str, float]) -> None:
        if self._run_id is None:
            return
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        named = {_name(name): value for name, value in numbers.items()}
        new = [Metric(name, value, now, step) for name, value in named.items() if (name, step) not in self._known]
        self._known |= {(metric.key, step) for metric in new}
        for start in range(0, len(new), 10 * BATCH):
            self._client.log_batch(self._run_id, metrics=new[start : start + 10 * BATCH])

    def _experiment(self, run: Run) -> str:
        from mlflow.exceptions import MlflowException

        name = self._config.experiment or run.study.name
        if (known := self._client.get_experiment_by_name(name)) is not None:
            if known.lifecycle_stage == "deleted":
                raise PluginError(f"MLflow's experiment {name!r} is deleted", mend="restore it, or name another")
            return str(known.experiment_id)
        # Otherwise MLflow would keep artefacts in the current folder.
        place = None if self._config.uri else (run.folder.absolute().parent / ARTEFACTS / _name(name)).as_uri()
        try:
            return str(self._client.create_experiment(name, artifact_location=place))
        except MlflowException:  # another study was faster
            known = self._client.get_experiment_by_name(name)
            if known is None:
                raise
            return str(known.experiment_id)

    def _begin(self, run: Run, experiment: str) -> str:
        provenance = run.provenance()
        made_with = hash_key({key: provenance[key] for key in ("task2sim", "plugins", "libraries", "tasks", "seed")})
        for earlier in self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{run.folder.name}'"):
            if earlier.data.tags.get(MADE_WITH_TAG) == made_with:
                self._client.update_run(earlier.info.run_id, status="RUNNING")
                return str(earlier.info.run_id)
            self._client.delete_run(earlier.info.run_id)
        tags = {RUN_TAG: run.folder.name, MADE_WITH_TAG: made_with}
        return str(self._client.create_run(experiment, tags=tags, run_name=run.folder.name).info.run_id)


def _client(uri: str) -> Any:
    # task2sim tells nobody that it is used.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A server that is not there would be asked for minutes, while the study waits.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _name(text: str) -> str:
    """A name that MLflow takes: other characters become their code, and so do parts that lead upwards."""
    coded = re.sub(r"[^\w\-. /]", lambda found: f"_{ord(found[0]):x}", text)
    return "/".join(re.sub(r"^\.+$", lambda found: "_2e" * len(found[0]), part) or "_" for part in coded.split("/"))
