"""What every policy checks when it takes up a saved state."""

from __future__ import annotations

import json
from typing import Any

from task2sim import ParameterError, ParameterSpace, PluginError, PolicyState


def described(space: ParameterSpace) -> list[dict[str, Any]]:
    """The space as JSON gives it back, so that descriptions can be compared."""
    plain: list[dict[str, Any]] = json.loads(json.dumps(space.describe()))
    return plain


def check_policy(name: str, state: PolicyState) -> None:
    """Refuse a state that another policy saved.

    Args:
        name: The name of the policy that is to take up the state.
        state: The state; ``policy`` in its data names the policy that saved it.

    Raises:
        PluginError: it is another one.
    """
    saved = state.data.get("policy")
    if saved != name:
        other = f"policy {saved!r}" if isinstance(saved, str) else "an earlier version or another policy"
        raise PluginError(
            f"policy {name!r} can't take up what {other} has learned",
            mend="choose the policy that saved it, or let this one learn anew",
        )


def check_space(space: ParameterSpace, state: PolicyState) -> None:
    """Refuse a state that belongs to another parameter space.

    Descriptions and defaults are for people and may differ; names, kinds, values and order may not.

    Raises:
        ParameterError: it does; the error names the first parameter that differs.
    """
    kept = ("type", "name", "choices", "low", "high")
    ours = {p["name"]: [p.get(key) for key in kept] for p in described(space)}
    theirs = {p["name"]: [p.get(key) for key in kept] for p in state.data.get("space", ())}
    mend = "use the simulator the policy learned with, or let it learn again"
    for name in theirs:
        if name not in ours:
            raise ParameterError(
                f"the saved policy chooses parameter {name!r}, which this simulator lacks", mend=mend
            )
    for name, values in ours.items():
        if name not in theirs:
            raise ParameterError(f"the saved policy does not know parameter {name!r}", mend=mend)
        if values != theirs[name]:
            raise ParameterError(f"parameter {name!r} has other values than in the saved policy", mend=mend)
    if list(ours) != list(theirs):
        name = next(ours_ for ours_, theirs_ in zip(ours, theirs, strict=True) if ours_ != theirs_)
        raise ParameterError(f"parameter {name!r} is at another place than in the saved policy", mend=mend)
