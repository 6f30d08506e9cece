"""What those promise who read a dataset's layers: trainers and exporters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from task2sim.conformance.checks import Breach, require
from task2sim.conformance.subject import Subject
from task2sim.datasets import RenderedDataset
from task2sim.layers import ARRAY_LAYERS, LAYERS, SCENE_GRAPH

WORDS = {
    "name": "layers",
    "promise": "layers names what it reads of a dataset beside images and labels",
    "why": "datasets are rendered with just these; of the others there is nothing to read",
    "mend": f"return a frozenset of some of {', '.join(LAYERS)}",
}
"""How the check is called and explained in the lists of both kinds."""


def check_layers(subject: Subject, read: Callable[[Any, RenderedDataset], object]) -> None:
    """See whether it works with a dataset that holds just the layers that it names.

    Args:
        subject: A trainer or an exporter.
        read: Has the component read a dataset.
    """
    with subject.component() as component, subject.component() as other:
        layers = component.layers
        require(isinstance(layers, frozenset), f"it is a {type(layers).__name__}, not a frozenset")
        unknown = sorted(map(str, layers.difference(LAYERS)))
        require(not unknown, f"there is no layer {', '.join(map(repr, unknown))}")
        require(layers == component.layers == other.layers, "they were others the second time")
        fields = {name: layer.field for name, layer in ARRAY_LAYERS.items()} | {SCENE_GRAPH: "scenes"}
        without: dict[str, Any] = {field: None for name, field in fields.items() if name not in layers}
        try:
            read(component, attrs.evolve(subject.bench.dataset, **without))
        except Exception as error:
            held = ", ".join(name for name in LAYERS if name in layers) or "no layers"
            raise Breach(f"of a dataset that holds {held} it raised {type(error).__name__}: {error}") from error
