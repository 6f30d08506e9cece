"""What a run has learned, as later runs and predictions need it."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
from safetensors import SafetensorError

from task2sim.choice import Chosen
from task2sim.errors import StoreError
from task2sim.interfaces import Backbone, ParameterPolicy, PolicyState
from task2sim.parameters import ParameterSpace, parse_parameter
from task2sim.registry import plugin_call
from task2sim.study_file import StudyConfig

CONFIG = "config.resolved.yaml"
POLICY = "policy"
PROBE = "probe"


@attrs.frozen(eq=False)
class Learned:
    """A policy, how tasks are embedded for it, and where that came from.

    Attributes:
        folder: Holds ``config.resolved.yaml``, ``policy/`` and, if the embedder asks for one, ``probe/``: a run
            folder, or what was kept of one.
        study: The study it comes from.
        space: The parameter space.
        state: What the policy has learned.
    """

    folder: Path
    study: StudyConfig
    space: ParameterSpace
    state: PolicyState

    @classmethod
    def open(cls, folder: Path) -> Learned:
        """Read what a run has learned.

        Raises:
            StoreError: it is no run folder, or the run has not got that far.
            ConfigError: a plugin it used is gone or has changed its keys.
        """
        from safetensors.numpy import load_file

        from task2sim.config import load_study

        if not (folder / CONFIG).is_file():
            raise StoreError(
                f"this is no run folder: {CONFIG} is missing", place=str(folder), mend="name a folder in runs/"
            )
        study = load_study(str(folder / CONFIG)).study
        try:
            saved = json.loads((folder / POLICY / "state.json").read_text())
            arrays = load_file(folder / POLICY / "state.safetensors")
            space = ParameterSpace([parse_parameter(item) for item in saved["space"]], saved.get("settings"))
            state = PolicyState(arrays, saved["data"])
        except FileNotFoundError as error:
            raise StoreError(
                "this run has no policy yet", place=str(folder), mend="let task2sim run finish it"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise StoreError(
                f"can't read the policy: {error}",
                place=str(folder / POLICY),
                mend="run the study again to write it anew",
            ) from error
        return cls(folder, study, space, state)

    def policy(self, chosen: Chosen | None = None, space: ParameterSpace | None = None) -> ParameterPolicy:
        """The policy with what it has learned.

        Args:
            chosen: A policy of the same kind with other keys; the study's own by default.
            space: The space to go on in; the policy's own by default.
        """
        chosen = chosen or self.study.policy
        policy: ParameterPolicy = chosen.build()
        with plugin_call(chosen.entry.title):
            policy.load_state(space or self.space, self.state)
        return policy

    def probe(self) -> Path:
        """The folder of the probe that embedded the tasks.

        Raises:
            StoreError: there is none.
        """
        if not (self.folder / PROBE).is_dir():
            raise StoreError("the probe network is missing", place=str(self.folder / PROBE), mend="name another run")
        return self.folder / PROBE

    def load_probe(self) -> Backbone:
        """Open the probe that embedded the tasks."""
        folder = self.probe()
        with plugin_call(self.study.trainer.entry.title):
            backbone: Backbone = self.study.trainer.build().load(folder)
        return backbone
