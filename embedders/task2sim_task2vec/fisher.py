"""The Fisher information of a network's filters. Imports torch: import this module when work is done.

The diagonal of the Fisher information matrix is the expectation, over images and over labels drawn from the model,
of the squared gradient of the log-probability of the label (Achille et al., "Task2Vec", ICCV 2019, section 2). It is
an expectation over *single* images: gradients summed over a batch before they are squared would give another
quantity, which depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from task2sim import TaskError
from task2sim_task2vec.probe import Probe

_Norms = (torch.nn.BatchNorm2d, torch.nn.GroupNorm, torch.nn.LayerNorm)

HEAD_PENALTY = 0.1
"""Weight of the head's L2 penalty against its mean loss.

A head that fits a few hundred images perfectly is sure of all labels: then the gradients, and with them the
embedding, hang on the few images it is unsure of. This much keeps it unsure enough that embeddings differ little
between seeds.
"""


class Head:
    """A linear classifier on features.

    Attributes:
        weight: float32 tensor of shape (classes, D).
        bias: float32 tensor of shape (classes,).
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.weight = weight
        self.bias = bias

    @classmethod
    def fit(cls, features: torch.Tensor, labels: torch.Tensor, classes: int) -> Head:
        """Multinomial logistic regression on standardised features, solved to convergence and so without a seed.

        Args:
            features: float32 tensor of shape (N, D).
            labels: int64 tensor of shape (N,).
            classes: The number of classes.
        """
        wide = features.double()
        mean, std = wide.mean(dim=0), wide.std(dim=0, correction=0)
        scale = torch.where(std > 1e-6 * std.max(), std, torch.inf).reciprocal()
        standardised = (wide - mean) * scale
        weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [weight, bias], max_iter=500, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            misfit = functional.cross_entropy(standardised @ weight.T + bias, labels)
            value = misfit + HEAD_PENALTY / 2 * weight.square().sum()
            # torch's stubs leave `backward` untyped.
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            optimiser.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return cls((weight * scale).float(), (bias - (weight * scale) @ mean).float())

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Of each class: shape (N, classes)."""
        return functional.softmax(features @ self.weight.T + self.bias, dim=1)


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
    probe: Probe, head: Head, batches: Iterable[torch.Tensor], label_draws: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Estimate the Fisher information of each filter: the mean of the diagonal over the filter's weights.

    A filter is what makes one output channel of a convolution or linear layer, or the gain of one channel of a
    normalisation layer. The head is left out: its size depends on the task.

    Args:
        probe: The network.
        head: The classifier on its features.
        batches: Images as `Probe.pixels` gives them.
        label_draws: How many labels are drawn for each image.
        generator: Source of the labels.

    Returns:
        float32 array of shape (filters,), >= 0, in the order of the network's modules.

    Raises:
        TaskError: no filter of the network bears on its features, or a layer is used more than once.
    """
    sums: dict[torch.nn.Module, torch.Tensor] = {}
    terms = 0
    for pixels in batches:
        for module, squares in _squared_gradients(probe, head, pixels, label_draws, generator):
            sums[module] = sums.get(module, 0) + squares.double()
        terms += len(pixels) * label_draws
    if not sums:
        raise TaskError("the probe network has no filters", mend="choose an image backbone as probe")
    ordered = [sums[module] / terms for module in probe.network.modules() if module in sums]
    return np.asarray(torch.cat(ordered).float().numpy())


def _squared_gradients(
    probe: Probe, head: Head, pixels: torch.Tensor, label_draws: int, generator: np.random.Generator
) -> Iterator[tuple[torch.nn.Module, torch.Tensor]]:
    """For each layer the per-filter mean of squared gradients, summed over images and labels drawn."""
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
    towards = [(functional.one_hot(drawn, probabilities.shape[1]) - probabilities) @ head.weight for drawn in labels]
    gradients = [
        torch.autograd.grad(features, list(outputs.values()), cotangent, retain_graph=more > 0, allow_unused=True)
        for more, cotangent in zip(reversed(range(label_draws)), towards, strict=True)
    ]
    for (module, given), *of_draws in zip(inputs.items(), *gradients, strict=True):
        if of_draws[0] is not None:
            yield module, _layer_squares(module, given, of_draws, len(pixels))


def _has_filters(module: torch.nn.Module) -> bool:
    kinds = (torch.nn.Conv2d, torch.nn.Linear, *_Norms)
    return isinstance(module, kinds) and module.weight is not None


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
    groups = module.groups if isinstance(module, torch.nn.Conv2d) else 1
    if isinstance(module, torch.nn.Conv2d):
        patches = _patches(module, given)
        outs = [g.flatten(2) for g in gradients]
    else:
        patches = given.reshape(images, -1, given.shape[-1]).mT
        outs = [g.reshape(images, -1, g.shape[-1]).mT for g in gradients]
    # From here on: (images, groups, weights of a filter or filters of a group, positions).
    positions = patches.shape[2]
    patches = patches.reshape(images, groups, -1, positions)
    outs = [g.reshape(images, groups, -1, positions) for g in outs]
    weights, filters = patches.shape[2], outs[0].shape[2]
    squares = torch.zeros(groups, filters)
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
    return squares.flatten().clamp(min=0) / weights


def _patches(module: torch.nn.Conv2d, given: torch.Tensor) -> torch.Tensor:
    """What each filter sees at each position: shape (images, input channels x kernel area, positions)."""
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
