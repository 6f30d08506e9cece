"""ThreeDWorld keeps the promises of a simulator, against the peer."""

from __future__ import annotations

from pathlib import Path

from task2sim.conformance import check_component
from task2sim_threedworld.simulator import ThreeDWorld


def test_it_keeps_every_promise(calm_build: Path) -> None:
    # Blur shows from some hundred pixels on.
    config = {"build": str(calm_build), "resolution": 128, "categories": ["chair", "bowl", "vase"]}
    report = check_component("simulator", ThreeDWorld, config=config, quick=True)
    assert [(outcome.check.name, outcome.reason) for outcome in report.failures] == []
