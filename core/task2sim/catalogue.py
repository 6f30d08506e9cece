"""Plugins that are known and may not be installed, with the line that installs them."""

from __future__ import annotations

import importlib.util

import attrs


@attrs.frozen
class KnownPlugin:
    """A plugin that somebody may look for.

    Attributes:
        kind: One of `task2sim.registry.KINDS`.
        name: The name a study file uses.
        description: What it is, in a few words.
        install: The command that installs it.
        library: The module without which it does not work, for a plugin that comes with task2sim; else empty.
        where: Where the command must be run, or empty.
    """

    kind: str
    name: str
    description: str
    install: str
    library: str = ""
    where: str = ""

    @property
    def lacks_library(self) -> bool:
        """Whether it comes with task2sim and its library is not installed; nothing is imported."""
        if not self.library:
            return False
        spec = importlib.util.find_spec(self.library)
        # A folder that happens to have the name is found as a package without a file.
        return spec is None or spec.origin is None

    @property
    def instruction(self) -> str:
        """How to install it."""
        return f"{self.install} {self.where}".strip()


CHECKOUT = "(in a checkout of task2sim)"

CATALOGUE = (
    KnownPlugin(
        "tasks", "huggingface", "data sets of the Hugging Face hub", "pip install 'task2sim[huggingface]'", "datasets"
    ),
    KnownPlugin("policies", "optuna", "the samplers of Optuna", "pip install 'task2sim[optuna]'", "optuna"),
    KnownPlugin(
        "observers", "tensorboard", "curves for TensorBoard", "pip install 'task2sim[tracking]'", "tensorboard"
    ),
    KnownPlugin("observers", "mlflow", "runs in an MLflow store", "pip install 'task2sim[tracking]'", "mlflow"),
    KnownPlugin(
        "simulators",
        "threedworld",
        "ThreeDWorld, the paper's simulator",
        "pip install 'task2sim[threedworld]'",
        "tdw",
    ),
    KnownPlugin(
        "simulators",
        "fractals",
        "iterated function systems, no renderer at all",
        "pip install ./examples/plugins/ifs-fractals",
        where=CHECKOUT,
    ),
    KnownPlugin(
        "simulators",
        "mitsuba",
        "things built of Mitsuba 3's primitives",
        "pip install ./examples/plugins/mitsuba-things",
        where=CHECKOUT,
    ),
)


def known_plugin(kind: str, name: str) -> KnownPlugin | None:
    """The catalogue's plugin of that kind and bare name, if it has one."""
    return next((known for known in CATALOGUE if (known.kind, known.name) == (kind, name)), None)
