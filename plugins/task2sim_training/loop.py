"""The training loop.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from task2sim import ConfigError, report_progress, spawn_seed
from task2sim_training.processes import this_part

WARM_UP = 0.1

Measure = Callable[[Any, NDArray[np.int64]], tuple[torch.Tensor, ...]]


def fit(
    network: Any,
    count: int,
    measure: Measure,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    stage: str,
) -> tuple[float, ...]:
    """Train all weights of a network in place; random draws come from torch's generator.

    AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019) with a rate that rises during
    the first tenth of the steps and falls to nothing along a cosine. Inside `in_processes` each batch is divided
    among the processes, and all of them end with the same weights.

    Args:
        network: A module on the device to train on.
        count: How many examples there are, >= 2.
        measure: Given the network and an int64 array of examples' numbers, their mean loss, and means of whatever
            else is of interest: tensors without dimensions.
        epochs: How often each example is seen.
        batch_size: Examples a step; a remainder is spread over the batches, since normalising needs several.
        learning_rate: The highest rate.
        weight_decay: AdamW's.
        stage: What to call this in progress reports.

    Returns:
        What was measured in the last epoch, on average.

    Raises:
        ConfigError: the loss became infinite or undefined.
    """
    part = this_part()
    batches = max(1, count // batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps=epochs * batches))
    order: torch.Generator | None = None
    if part.of > 1:
        # All parts draw the same order; what else is drawn differs from part to part.
        order = torch.Generator().manual_seed(torch.initial_seed())
        torch.manual_seed(spawn_seed(torch.initial_seed(), "part", str(part.number)))
    network.train()
    shared = part.share(network)
    report_progress(stage, 0, epochs, "epochs")
    means: tuple[float, ...] = ()
    for epoch in range(1, epochs + 1):
        totals: torch.Tensor | None = None
        for chosen in torch.randperm(count, generator=order).tensor_split(batches):
            mine = chosen.tensor_split(part.of)[part.number]
            measured = measure(shared, mine.numpy())
            optimiser.zero_grad()
            # The parts' gradients are averaged; some may have one example more.
            (measured[0] * (len(mine) * part.of / len(chosen))).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            sums = torch.stack([value.detach().float() for value in measured]) * len(mine)
            totals = sums if totals is None else totals + sums
        assert totals is not None
        means = tuple((part.sum(totals) / count).tolist())
        # The last step may ruin the weights after the last loss was measured.
        finite = all(bool(value.isfinite().all()) for value in network.state_dict().values())
        if not (math.isfinite(means[0]) and finite):
            what = "weights are not finite" if math.isfinite(means[0]) else f"loss is {means[0]}"
            raise ConfigError(
                f"training diverged in epoch {epoch}: the {what}",
                place="learning_rate",
                mend=f"try a lower one than {learning_rate:g}",
            )
        report_progress(stage, epoch, epochs, "epochs")
    network.eval()
    return means


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate in a step: a straight rise, then half a cosine down to nothing."""
    done, warm_up = step + 0.5, WARM_UP * steps
    return min(done / warm_up, 0.5 + 0.5 * math.cos(math.pi * max(0.0, done - warm_up) / (steps - warm_up)))
