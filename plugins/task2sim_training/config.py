"""Keys that trainers of residual networks have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from task2sim import ComponentConfig

Count = Annotated[int, Field(ge=1)]


class TrainingConfig(ComponentConfig):
    """The network, and how long and how it is trained."""

    depths: Annotated[tuple[Count, ...], Field(min_length=1, description="blocks of each stage")] = (1, 1, 1, 1)
    widths: Annotated[tuple[Count, ...], Field(description="channels of each stage", validate_default=True)] = (
        32,
        64,
        128,
        256,
    )
    layer_type: Annotated[
        Literal["basic", "bottleneck"],
        Field(description="basic: two 3x3 convolutions a block; bottleneck: 1x1, 3x3 and 1x1"),
    ] = "basic"
    stem_width: Annotated[Count, Field(description="channels of the first convolution")] = 32
    image_size: Annotated[
        int, Field(ge=16, le=1024, description="height and width the network sees, in pixels; images are resized")
    ] = 64
    epochs: Annotated[Count, Field(description="how often each image is seen")] = 20
    batch_size: Annotated[int, Field(ge=2, description="images a step; the remainder is spread over the batches")] = (
        64
    )
    learning_rate: Annotated[float, Field(gt=0, description="the highest of the schedule")] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.05
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; another number, other rounding")] = 1
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU where there is one")] = "auto"
    processes: Annotated[
        Annotated[int, Field(ge=1, le=1024)] | Literal["auto"],
        Field(
            description="how many divide each batch among them, each with a GPU of its own where there are GPUs; "
            "auto: as many as there are GPUs. Another number, other rounding and other batches to normalise"
        ),
    ] = 1

    @field_validator("widths")
    @classmethod
    def _as_many_as_depths(cls, widths: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        depths = info.data.get("depths", widths)
        if len(widths) != len(depths):
            raise ValueError(f"{len(widths)} widths for {len(depths)} depths: give one of each for every stage")
        return widths

    @field_validator("layer_type")
    @classmethod
    def _widths_suit(cls, layer_type: str, info: ValidationInfo) -> str:
        if layer_type == "bottleneck" and any(width % 4 for width in info.data.get("widths", ())):
            raise ValueError("bottleneck blocks need widths that are multiples of 4")
        return layer_type

    @field_validator("processes")
    @classmethod
    def _batches_can_be_divided(cls, processes: int | str, info: ValidationInfo) -> int | str:
        batch_size = info.data.get("batch_size")
        if isinstance(processes, int) and batch_size is not None and batch_size < 2 * processes:
            raise ValueError(
                f"{processes} processes can't divide batches of {batch_size} images: each needs two or more; choose "
                "fewer processes or a greater batch_size"
            )
        return processes
