"""The names that torchvision and timm give to a ResNet's weights.

The networks are transformers' under other names: a 7x7 stem with a max pool, then four stages of basic or bottleneck
blocks in which a 3x3 convolution does the striding. Both libraries use the same names.
"""

from __future__ import annotations

import re
from typing import Any

from task2sim import ConfigError

_STEM = re.compile(r"resnet\.embedder\.embedder\.(convolution|normalization)\.(\w+)")
_BLOCK = re.compile(
    r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.(?:layer\.(\d+)|shortcut)\.(convolution|normalization)\.(\w+)"
)
_HEAD = re.compile(r"classifier\.1\.(\w+)")

_STANDARD_WIDTHS = (64, 128, 256, 512)
_STANDARD_DEPTHS: dict[str, dict[tuple[int, ...], str]] = {
    "basic": {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"},
    "bottleneck": {(3, 4, 6, 3): "resnet50", (3, 4, 23, 3): "resnet101", (3, 8, 36, 3): "resnet152"},
}
_BLOCKS = {"basic": ("BasicBlock", 1), "bottleneck": ("Bottleneck", 4)}  # Class, and channels out per channel within.


def torchvision_name(name: str) -> str:
    """Translate the name of one of transformers' ResNet weights; timm has the same name for it.

    Raises:
        ValueError: a ResNet has no such weight.
    """
    if match := _STEM.fullmatch(name):
        kind, leaf = match.groups()
        return f"conv1.{leaf}" if kind == "convolution" else f"bn1.{leaf}"
    if match := _BLOCK.fullmatch(name):
        stage, block, layer, kind, leaf = match.groups()
        if layer is None:
            part = f"downsample.{0 if kind == 'convolution' else 1}"
        else:
            part = f"{'conv' if kind == 'convolution' else 'bn'}{int(layer) + 1}"
        return f"layer{int(stage) + 1}.{block}.{part}.{leaf}"
    if match := _HEAD.fullmatch(name):
        return f"fc.{match[1]}"
    raise ValueError(f"a ResNet has no weight named {name!r}")


def check_counterpart(config: Any) -> None:
    """Make sure that torchvision and timm know networks like this one.

    Raises:
        ConfigError: they don't.
    """
    oddities = {
        f"{len(config.depths)} stages instead of 4": len(config.depths) != 4,
        "striding in the first stage": config.downsample_in_first_stage,
        "striding in the 1x1 convolution of its bottlenecks": config.downsample_in_bottleneck,
        f"activation {config.hidden_act} instead of relu": config.hidden_act != "relu",
        f"{config.num_channels} input channels instead of 3": config.num_channels != 3,
    }
    found = [oddity for oddity, applies in oddities.items() if applies]
    if found:
        raise ConfigError(
            f"torchvision and timm have no such ResNet: this one has {' and '.join(found)}",
            mend="export it with --format transformers",
        )


def fitting_model(config: Any, library: str) -> str:
    """Say which of a library's models the weights fit.

    Args:
        config: The `ResNetConfig` of a network that `check_counterpart` accepts.
        library: ``"torchvision"`` or ``"timm"``.

    Returns:
        Python that makes the model, or words where no constructor of the library does.
    """
    block, expansion = _BLOCKS[config.layer_type]
    depths = tuple(config.depths)
    widths = tuple(width // expansion for width in config.hidden_sizes)
    classes = f"num_classes={config.num_labels}"
    if config.embedding_size == 64 and widths == _STANDARD_WIDTHS:
        name = _STANDARD_DEPTHS[config.layer_type].get(depths)
        if name and library == "timm":
            return f"timm.create_model({name!r}, {classes})"
        if name:
            return f"torchvision.models.{name}({classes})"
        return f"{library}.models.resnet.ResNet({block}, {list(depths)}, {classes})"
    if config.embedding_size == 64 and library == "timm":
        return f"timm.models.resnet.ResNet({block}, {list(depths)}, channels={widths}, {classes})"
    return (
        f"a ResNet({block}, {list(depths)}, {classes}) changed to a stem of {config.embedding_size} channels and "
        f"stages of {', '.join(map(str, widths))}: {library} has no constructor for these widths"
    )
