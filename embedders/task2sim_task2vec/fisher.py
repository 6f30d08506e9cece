"""The Fisher information of a network's filters. Imports torch: import this module when work is done.

The diagonal of the Fisher information matrix is the expectation, over images and over labels drawn from the model,
of the squared gradient of the log-probability of the label (Achille et al., "Task2Vec", ICCV 2019, section 2). It is
an expectation over *single* images: gradients summed over a batch before they are squared would give another
quantity, which depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim import TaskError
from task2sim_task2vec.head import Head
from task2sim_task2vec.probe import Probe

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Images as `Probe.pixels` gives them, and the weight of each: float32 of shape (N,), 1 on average."""

_Norms = (torch.nn.BatchNorm2d, torch.nn.GroupNorm, torch.nn.LayerNorm)

PATCH_NUMBERS = 2**23
"""So many numbers of a convolution's unfolded input are in memory at once (32 MB)."""


def draw_labels(probabilities: torch.Tensor, count: int, generator: np.random.Generator) -> torch.Tensor:
    """Draw labels from the model, `count` for each image.

    The draws of one image are spread over its probabilities (systematic sampling): each one alone follows them, and
    together they vary less than independent ones.

    Args:
        probabilities: Tensor of shape (N, classes).
        count: Draws for each image, >= 1.
        generator: Source of randomness.

    Returns:
        int64 tensor of shape (count, N).
    """
    starts = generator.random(len(probabilities))
    points = torch.from_numpy((starts + np.arange(count)[:, None] / count) % 1.0)
    cumulative = probabilities.double().cumsum(dim=1)
    last = probabilities.shape[1] - 1
    # Rounding may leave the last sum below 1.
    return torch.searchsorted(cumulative, points.T.contiguous(), right=True).clamp_(max=last).T


def filter_fisher(
    probe: Probe, head: Head, batches: Iterable[Batch], label_draws: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Estimate the Fisher information of each filter: the mean of the diagonal over the filter's weights.

    A filter is what makes one output channel of a convolution or linear layer, or the gain of one channel of a
    normalisation layer. The head is left out: its size depends on the task.

    Args:
        probe: The network.
        head: The classifier on its features.
        batches: Images with their weights.
        label_draws: How many labels are drawn for each image.
        generator: Source of the labels.

    Returns:
        float32 array of shape (filters,), >= 0, in the order of the network's modules.

    Raises:
        TaskError: no filter of the network bears on its features, or a layer's gradients can't be taken apart.
    """
    sums: dict[torch.nn.Module, torch.Tensor] = {}
    terms = 0
    for batch in batches:
        for module, squares in squared_gradients(probe, head, batch, label_draws, generator):
            sums[module] = sums.get(module, 0) + squares.double()
        terms += len(batch[0]) * label_draws
    return in_order(probe.network, {module: total / terms for module, total in sums.items()})


def in_order(network: torch.nn.Module, filters: dict[torch.nn.Module, torch.Tensor]) -> NDArray[np.float32]:
    """One float32 vector of the numbers of all filters, in the order of the network's modules.

    Raises:
        TaskError: there are none.
    """
    if not filters:
        raise TaskError("the probe network has no filters", mend="choose an image backbone as probe")
    return np.asarray(torch.cat([filters[m] for m in network.modules() if m in filters]).float().numpy())


def squared_gradients(
    probe: Probe, head: Head, batch: Batch, label_draws: int, generator: np.random.Generator
) -> Iterator[tuple[torch.nn.Module, torch.Tensor]]:
    """For each layer the per-filter mean of squared gradients, summed over images and labels drawn.

    Args:
        probe: The network.
        head: The classifier on its features.
        batch: Images with their weights, which multiply their squares.
        label_draws: How many labels are drawn for each image.
        generator: Source of the labels.

    Raises:
        TaskError: a layer's gradients can't be taken apart image by image.
    """
    pixels, weights = batch
    inputs: dict[torch.nn.Module, torch.Tensor] = {}
    outputs: dict[torch.nn.Module, torch.Tensor] = {}

    def record(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if module in inputs:
            raise TaskError("the probe network uses a layer more than once", mend="choose another probe")
        if not output.requires_grad:
            output.requires_grad_()
        inputs[module], outputs[module] = arguments[0].detach(), output

    hooks = [m.register_forward_hook(record) for m in probe.network.modules() if _has_filters(m)]
    try:
        with torch.enable_grad():
            features = probe.features(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    if not features.requires_grad:
        return
    probabilities = head.probabilities(features.detach())
    labels = draw_labels(probabilities, label_draws, generator)
    # The gradient of log p(label) with respect to the features, in closed form.
    roots = weights.sqrt()[:, None]
    towards = [
        roots * (functional.one_hot(drawn, probabilities.shape[1]) - probabilities) @ head.weight for drawn in labels
    ]
    gradients = [
        torch.autograd.grad(features, list(outputs.values()), cotangent, retain_graph=more > 0, allow_unused=True)
        for more, cotangent in zip(reversed(range(label_draws)), towards, strict=True)
    ]
    for (module, given), *of_draws in zip(inputs.items(), *gradients, strict=True):
        if of_draws[0] is not None:
            yield module, _layer_squares(module, given, of_draws, len(pixels))


def _has_filters(module: torch.nn.Module) -> bool:
    if isinstance(module, _Norms):
        return module.weight is not None
    for kind in (torch.nn.Conv2d, torch.nn.Linear):
        if isinstance(module, kind):
            if type(module).forward is not kind.forward:
                # What its weights are multiplied with is not its input as it stands.
                raise TaskError(
                    f"the probe network has layers of a kind of its own, {type(module).__name__}",
                    mend="choose another probe",
                )
            return True
    return False


def _layer_squares(
    module: torch.nn.Module, given: torch.Tensor, gradients: list[torch.Tensor], images: int
) -> torch.Tensor:
    """Squared gradients of one layer's weights, averaged over each filter's weights, summed over images and draws.

    The gradient of a filter's weights for one image is the sum, over positions, of its output's gradient there
    times the patch of input it saw there.

    Args:
        module: The layer.
        given: Its input.
        gradients: For each draw the gradient with respect to its output.
        images: How many images the tensors' leading axes hold.

    Returns:
        Tensor of shape (filters,).
    """
    if isinstance(module, _Norms):
        gain = module.weight
        standardised = _channels_last(module, _without_gain(module, given)).reshape(images, -1, gain.numel())
        squares = torch.zeros(gain.numel())
        for g in gradients:
            weighted = _channels_last(module, g).reshape(standardised.shape) * standardised
            squares += weighted.sum(dim=1).square().sum(dim=0)
        return squares
    if not isinstance(module, torch.nn.Conv2d):
        patches = given.reshape(images, 1, -1, given.shape[-1]).mT
        outs = [g.reshape(images, 1, -1, g.shape[-1]).mT for g in gradients]
        return _summed_squares(patches, outs).flatten()
    area = module.kernel_size[0] * module.kernel_size[1]
    positions = gradients[0][0, 0].numel()
    step = max(1, PATCH_NUMBERS // (given.shape[1] * area * positions))
    squares = torch.zeros(module.groups, module.out_channels // module.groups)
    for first in range(0, images, step):
        part = slice(first, first + step)
        patches = _grouped(_patches(module, given[part]), module.groups)
        outs = [_grouped(g[part].flatten(2), module.groups) for g in gradients]
        squares += _summed_squares(patches, outs)
    return squares.flatten()


def _grouped(values: torch.Tensor, groups: int) -> torch.Tensor:
    """From (images, channels, positions) to (images, groups, channels of a group, positions)."""
    return values.reshape(len(values), groups, -1, values.shape[2])


def _summed_squares(patches: torch.Tensor, outs: list[torch.Tensor]) -> torch.Tensor:
    """Squared gradients of filters, averaged over a filter's weights, summed over images and draws.

    Args:
        patches: What filters see, of shape (images, groups, weights of a filter, positions).
        outs: For each draw the gradient with respect to what filters put out, of shape (images, groups, filters of
            a group, positions).

    Returns:
        Tensor of shape (groups, filters of a group).
    """
    weights, positions, filters = *patches.shape[2:], outs[0].shape[2]
    squares = torch.zeros(outs[0].shape[1:3])
    if positions * (weights / len(outs) + filters) < filters * weights:
        # With fewer positions than weights, squared lengths by way of the patches' inner products are cheaper
        # (as in "ghost norms": Li et al., "Large language models can be strong differentially private learners",
        # ICLR 2022), and those are shared by all draws.
        products = patches.mT @ patches
        for g in outs:
            squares += ((g @ products) * g).sum(dim=(0, 3))
    else:
        for g in outs:
            squares += (g @ patches.mT).square().sum(dim=(0, 3))
    # Inner products may leave a zero slightly negative.
    return squares.clamp(min=0) / weights


def _patches(module: torch.nn.Conv2d, given: torch.Tensor) -> torch.Tensor:
    """What each filter sees at each position: shape (images, input channels x kernel area, positions)."""
    if module.kernel_size == (1, 1) and module.padding in ((0, 0), "valid", "same"):
        down, right = module.stride
        return given[:, :, ::down, ::right].flatten(2)
    sides = []
    for axis in (1, 0):
        if module.padding == "same":
            total = module.dilation[axis] * (module.kernel_size[axis] - 1)
            sides += [total // 2, total - total // 2]
        else:
            sides += [0, 0] if module.padding == "valid" else [int(module.padding[axis])] * 2
    padded = functional.pad(given, sides, mode="constant" if module.padding_mode == "zeros" else module.padding_mode)
    return functional.unfold(padded, module.kernel_size, dilation=module.dilation, stride=module.stride)


def _without_gain(
    module: torch.nn.BatchNorm2d | torch.nn.GroupNorm | torch.nn.LayerNorm, given: torch.Tensor
) -> torch.Tensor:
    """What the normalisation's gain is multiplied with."""
    plain: dict[str, Any] = {"weight": torch.ones_like(module.weight)}
    if module.bias is not None:
        plain["bias"] = torch.zeros_like(module.bias)
    output: torch.Tensor = torch.func.functional_call(module, plain, (given,))
    return output


def _channels_last(module: torch.nn.Module, values: torch.Tensor) -> torch.Tensor:
    first = not isinstance(module, torch.nn.LayerNorm) or getattr(module, "data_format", "") == "channels_first"
    return values.movedim(1, -1) if first else values
