"""A ResNet with a decoder.

Imports torch and transformers, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# The package's front door would import kindred models too; these modules are all that is needed.
from transformers.models.resnet.configuration_resnet import ResNetConfig
from transformers.models.resnet.modeling_resnet import ResNetModel
from transformers.models.upernet.configuration_upernet import UperNetConfig
from transformers.models.upernet.modeling_upernet import UperNetHead


class DenseNetwork(nn.Module):
    """An encoder, which is the backbone, and a decoder that gives every place some numbers.

    The encoder is transformers' ResNet, the decoder its UPerNet head (Xiao et al., "Unified perceptual parsing for
    scene understanding", ECCV 2018): the last stage is pooled at four scales, then joined with the other stages from
    the coarsest to the finest.

    Args:
        config: The encoder's.
        decoder_width: Channels in the decoder.
        outputs: Numbers for each place; 0, no decoder.
    """

    def __init__(self, config: Any, decoder_width: int, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.resnet = ResNetModel(config)
        self.decoder: Any = None
        if outputs:
            of_decoder: Any = UperNetConfig(backbone_config=config, hidden_size=decoder_width)
            of_decoder.num_labels = outputs
            head: Any = UperNetHead
            self.decoder = head(of_decoder, in_channels=list(config.hidden_sizes))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Normalised images (B, 3, size, size) to (B, outputs, size / 4, size / 4)."""
        decoded: torch.Tensor = self.decoder(self.stages(inputs))
        return decoded

    def stages(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The map of each stage, each of half the size of the one before."""
        hidden: tuple[torch.Tensor, ...] = self.resnet(inputs, output_hidden_states=True).hidden_states
        return hidden[1:]  # the first is what the stem gives

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """The last stage, averaged over the picture: (B, last width)."""
        pooled: torch.Tensor = self.resnet(inputs).pooler_output
        return pooled.flatten(1)

    def feature_map(self, inputs: torch.Tensor) -> torch.Tensor:
        """All stages, one after the other, at the size of the first one's map: (B, sum of widths, h, w)."""
        first, *others = self.stages(inputs)
        size = first.shape[-2:]
        return torch.cat([first, *(functional.interpolate(m, size, mode="bilinear") for m in others)], dim=1)


def build(
    depths: Sequence[int], widths: Sequence[int], layer_type: str, stem_width: int, decoder_width: int, outputs: int
) -> DenseNetwork:
    """Make a network with random weights, drawn from torch's generator; the encoder's come first.

    Args:
        depths: Blocks of each stage.
        widths: Channels of each stage.
        layer_type: ``"basic"`` or ``"bottleneck"``.
        stem_width: Channels of the first convolution.
        decoder_width: Channels in the decoder.
        outputs: Numbers for each place; 0, no decoder.
    """
    config = ResNetConfig(
        embedding_size=stem_width,
        hidden_sizes=list(widths),
        depths=list(depths),
        layer_type=layer_type,
        architectures=["ResNetModel"],
    )
    # On a CPU, convolutions are faster with the channels last.
    return DenseNetwork(config, decoder_width, outputs).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def open_network(
    config: Mapping[str, Any], decoder_width: int, outputs: int, weights: Mapping[str, torch.Tensor]
) -> DenseNetwork:
    """Make a network with these weights, on the CPU and ready for inference.

    Raises:
        RuntimeError: the weights are not those of such a network.
    """
    with torch.device("meta"):  # No initial weights: they would be drawn from the caller's generator, in vain.
        network = DenseNetwork(ResNetConfig.from_dict(dict(config)), decoder_width, outputs)
    network.load_state_dict(weights, assign=True)
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
