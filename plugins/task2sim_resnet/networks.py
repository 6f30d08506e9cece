"""transformers' ResNets.

Imports torch and transformers, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn import functional

# The package's front door would import kindred models too; these two modules are all that is needed.
from transformers.models.resnet.configuration_resnet import ResNetConfig
from transformers.models.resnet.modeling_resnet import ResNetForImageClassification

Network: TypeAlias = Any
"""A `ResNetForImageClassification`; transformers' annotations contradict one another under ``mypy --strict``."""


def build(
    depths: Sequence[int], widths: Sequence[int], layer_type: str, stem_width: int, categories: Sequence[str]
) -> Network:
    """Make a network with random weights, drawn from torch's generator.

    Args:
        depths: Blocks of each stage.
        widths: Channels of each stage.
        layer_type: ``"basic"`` or ``"bottleneck"``.
        stem_width: Channels of the first convolution.
        categories: What the classification head tells apart; none, no head.
    """
    config = ResNetConfig(
        embedding_size=stem_width,
        hidden_sizes=list(widths),
        depths=list(depths),
        layer_type=layer_type,
        id2label=dict(enumerate(categories)),
        label2id={category: label for label, category in enumerate(categories)},
        architectures=["ResNetForImageClassification"],
    )
    network: Network = ResNetForImageClassification(config)
    # On a CPU, convolutions are faster with the channels last: training by a fifth, inference by more.
    return network.to(memory_format=torch.channels_last)


def open_network(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Network:
    """Make a network with these weights, on the CPU and ready for inference.

    Raises:
        RuntimeError: the weights are not those of such a network.
    """
    with torch.device("meta"):  # No initial weights: they would be drawn from the caller's generator, in vain.
        network: Network = ResNetForImageClassification(ResNetConfig.from_dict(dict(config)))
    network.load_state_dict(weights, assign=True)
    return network.to(memory_format=torch.channels_last).eval()


def with_new_head(network: Network, categories: Sequence[str]) -> Network:
    """Make a network with the same weights but a new, random classification head, drawn from torch's generator."""
    config = network.config
    renewed = build(config.depths, config.hidden_sizes, config.layer_type, config.embedding_size, categories)
    renewed.resnet.load_state_dict(network.resnet.state_dict())
    return renewed


def all_stages(resnet: Any, inputs: torch.Tensor) -> torch.Tensor:
    """The channels of all stages, one after the other, at the size of the first stage's map."""
    stages = resnet(inputs, output_hidden_states=True).hidden_states[1:]  # the first is what the stem gives
    size = stages[0].shape[-2:]
    return torch.cat([stages[0], *(functional.interpolate(s, size, mode="bilinear") for s in stages[1:])], dim=1)
