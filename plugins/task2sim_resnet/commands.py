"""The command ``task2sim export``: backbones in the forms that other libraries load."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from task2sim import ConfigError, StoreError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


class Format(StrEnum):
    """Whose names the weights get."""

    TORCHVISION = "torchvision"
    TIMM = "timm"
    TRANSFORMERS = "transformers"


@app.callback()
def _export() -> None:
    """Hand results on to other tools."""  # With a callback, one command is still a command with a name.


@app.command()
def backbone(
    folder: Annotated[Path, typer.Argument(help="A backbone that trainer resnet saved.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.", show_default=False)],
    format: Annotated[Format, typer.Option(help="Whose names the weights get.")] = Format.TORCHVISION,
) -> None:
    """Write a backbone's weights under the names that another library uses.

    Example: task2sim export backbone runs/quickstart/backbones/letters letters.safetensors --format timm
    """
    if out.suffix != ".safetensors":
        raise ConfigError(
            f"can't write {out.suffix or 'such a file'}", place=str(out), mend="name a .safetensors file"
        )

    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from task2sim_resnet.backbone import load
    from task2sim_resnet.key_names import check_counterpart, fitting_model, torchvision_name

    manifest, network = load(folder)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    fits = f"transformers.AutoModelForImageClassification with {folder / 'config.json'}"
    if format is not Format.TRANSFORMERS:
        check_counterpart(network.config)
        weights = {torchvision_name(name): tensor for name, tensor in weights.items()}
        fits = fitting_model(network.config, format.value)
    metadata = {
        "format": "pt",
        "fits": fits,
        "categories": json.dumps(manifest.categories),
        "image_size": str(manifest.image_size),
        "mean": json.dumps(manifest.mean),
        "std": json.dumps(manifest.std),
    }
    part = out.with_name(f"{out.name}.part")
    try:
        save_file(weights, part, metadata=metadata)
        part.replace(out)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"can't write the weights: {error}", place=str(out)) from error
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"{out}: fits {fits}")
