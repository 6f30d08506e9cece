from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from task2sim import ConfigError, StoreError
from task2sim_resnet.commands import app
from task2sim_resnet.key_names import check_counterpart, fitting_model, torchvision_name
from task2sim_resnet.trainer import ResNetTrainer


class Block(nn.Module):
    """A residual block with torchvision's names: 3x3, 3x3 if basic; 1x1, 3x3, 1x1 to four times as many if not."""

    def __init__(self, channels_in: int, channels: int, stride: int, basic: bool) -> None:
        super().__init__()
        out = channels if basic else 4 * channels
        kernels = (
            ((3, channels, stride), (3, out, 1)) if basic else ((1, channels, 1), (3, channels, stride), (1, out, 1))
        )
        self.count, last = len(kernels), channels_in
        for number, (kernel, width, step) in enumerate(kernels, 1):
            self.add_module(f"conv{number}", nn.Conv2d(last, width, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(width))
            last = width
        self.downsample = None
        if stride != 1 or channels_in != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels_in, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            if number < self.count:
                y = y.relu()
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Reference(nn.Module):
    """The ResNet of torchvision, from its description: what the exported weights must fit."""

    def __init__(self, basic: bool, layers, classes: int, stem: int = 64, planes=(64, 128, 256, 512)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        last = stem
        for number, (count, channels) in enumerate(zip(layers, planes, strict=True), 1):
            blocks = []
            for k in range(count):
                blocks.append(Block(last, channels, 2 if k == 0 and number > 1 else 1, basic))
                last = channels if basic else 4 * channels
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(last, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean(dim=(2, 3)))


STANDARD = {
    "resnet18": ({"depths": (2, 2, 2, 2), "widths": (64, 128, 256, 512), "stem_width": 64}, True),
    "resnet50": (
        {"depths": (3, 4, 6, 3), "widths": (256, 512, 1024, 2048), "stem_width": 64, "layer_type": "bottleneck"},
        False,
    ),
}


def _shake(network: nn.Module) -> None:
    """Give the normalisation layers statistics that are not those of a new network."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "normalization.bias")):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
        elif name.endswith(("running_var", "normalization.weight")):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))


@pytest.mark.parametrize("name", STANDARD)
def test_renamed_weights_compute_the_same_in_torchvisions_network(name):
    from task2sim_resnet.networks import build

    values, basic = STANDARD[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(
            *(values.get(key, "basic") for key in ("depths", "widths", "layer_type", "stem_width")), "abcde"
        )
        reference = Reference(basic, values["depths"], classes=5)
    _shake(network)
    reference.load_state_dict({torchvision_name(key): value for key, value in network.state_dict().items()})
    x = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64).sin() * 2
    with torch.inference_mode():
        expected, found = network.eval()(x).logits, reference.eval()(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_names_are_those_of_torchvisions_resnet18(new_folder, tmp_path):
    normalisation = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", *(f"bn1.{leaf}" for leaf in normalisation)}
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            start = f"layer{layer}.{block}"
            expected |= {f"{start}.conv1.weight", f"{start}.conv2.weight"}
            expected |= {f"{start}.bn{k}.{leaf}" for k in (1, 2) for leaf in normalisation}
        if layer > 1:
            expected.add(f"layer{layer}.0.downsample.0.weight")
            expected |= {f"layer{layer}.0.downsample.1.{leaf}" for leaf in normalisation}
    assert len(expected) == 120  # torchvision's resnet18 has 122, with the two of its fc.

    values, _ = STANDARD["resnet18"]
    folder = ResNetTrainer(ResNetTrainer.Config(**values, device="cpu")).untrained(0, new_folder()).folder
    for library, model in (("torchvision", "torchvision.models.resnet18"), ("timm", "timm.create_model('resnet18'")):
        out = tmp_path / f"{library}.safetensors"
        result = CliRunner().invoke(app, ["backbone", str(folder), str(out), "--format", library])
        assert result.exit_code == 0
        assert f"fits {model}" in result.stdout
        assert set(load_file(out)) == expected


def test_an_exported_backbone_has_its_head_and_says_how_to_use_it(make_dataset, new_folder, small_trainer, tmp_path):
    backbone = small_trainer(epochs=1).pretrain(make_dataset(), 5, new_folder())
    out = tmp_path / "out.safetensors"
    result = CliRunner().invoke(app, ["backbone", str(backbone.folder), str(out)])
    assert result.stdout.startswith(
        f"{out}: fits a ResNet(BasicBlock, [1, 1, 1, 1], num_classes=3) changed to a stem of 8"
    )
    reference = Reference(True, (1, 1, 1, 1), classes=3, stem=8, planes=(8, 8, 16, 16)).eval()
    reference.load_state_dict(load_file(out))
    with safe_open(out, "pt") as opened:
        metadata = opened.metadata()
    assert json.loads(metadata["categories"]) == ["dark", "stripes", "chequers"]
    assert metadata["image_size"] == "32"
    reference.fc = nn.Identity()
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(json.loads(metadata[key]))[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        features = reference((x - mean) / std).numpy()
    np.testing.assert_allclose(features, backbone.features(images), rtol=1e-3, atol=1e-4)


def test_transformers_names_are_kept(new_folder, small_trainer, tmp_path):
    folder = small_trainer(depths=(1, 1), widths=(8, 8)).untrained(5, new_folder()).folder
    out = tmp_path / "out.safetensors"
    assert CliRunner().invoke(app, ["backbone", str(folder), str(out), "--format", "transformers"]).exit_code == 0
    before, after = load_file(folder / "model.safetensors"), load_file(out)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def _config(depths, widths, stem=64, layer_type="basic", classes=30, **other):
    from transformers import ResNetConfig

    return ResNetConfig(
        depths=depths, hidden_sizes=widths, embedding_size=stem, layer_type=layer_type, num_labels=classes, **other
    )


@pytest.mark.parametrize(
    ("config", "library", "model"),
    [
        (([3, 4, 6, 3], [64, 128, 256, 512]), "torchvision", "torchvision.models.resnet34(num_classes=30)"),
        (
            ([3, 4, 6, 3], [256, 512, 1024, 2048], 64, "bottleneck"),
            "timm",
            "timm.create_model('resnet50', num_classes=30)",
        ),
        (
            ([1, 1, 1, 1], [64, 128, 256, 512]),
            "torchvision",
            "torchvision.models.resnet.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=30)",
        ),
        (
            ([1, 1, 1, 1], [256, 512, 1024, 2048], 64, "bottleneck"),
            "timm",
            "timm.models.resnet.ResNet(Bottleneck, [1, 1, 1, 1], num_classes=30)",
        ),
        (
            ([1, 1, 1, 1], [32, 64, 128, 256]),
            "timm",
            "timm.models.resnet.ResNet(BasicBlock, [1, 1, 1, 1], channels=(32, 64, 128, 256), num_classes=30)",
        ),
    ],
)
def test_the_model_that_fits_is_named(config, library, model):
    assert fitting_model(_config(*config), library) == model


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (_config([1, 1, 1], [8, 8, 8]), "3 stages instead of 4"),
        (_config([1] * 4, [8] * 4, downsample_in_first_stage=True), "striding in the first stage"),
        (_config([1] * 4, [8] * 4, downsample_in_bottleneck=True), "striding in the 1x1 convolution"),
        (_config([1] * 4, [8] * 4, hidden_act="gelu"), "activation gelu"),
        (_config([1] * 4, [8] * 4, num_channels=1), "1 input channels"),
    ],
)
def test_networks_without_a_counterpart_are_refused(config, reason):
    with pytest.raises(ConfigError, match=f"torchvision and timm have no such ResNet: this one has {reason}"):
        check_counterpart(config)
    check_counterpart(_config([1] * 4, [8] * 4))


def _export_error(*arguments: object) -> BaseException | None:
    return CliRunner().invoke(app, ["backbone", *map(str, arguments)]).exception


def test_errors_are_raised_for_the_command_line_to_print(new_folder, small_trainer, tmp_path):
    three = small_trainer(depths=(1, 1, 1), widths=(8, 8, 8)).untrained(5, new_folder()).folder
    good = small_trainer().untrained(5, new_folder()).folder
    out = tmp_path / "out.safetensors"
    assert isinstance(_export_error(three, out), ConfigError)
    assert isinstance(_export_error(tmp_path / "missing", out), StoreError)
    assert isinstance(_export_error(good, tmp_path / "out.bin"), ConfigError)
    assert isinstance(_export_error(good, tmp_path / "missing" / "out.safetensors"), StoreError)
    assert not list(tmp_path.glob("out*"))
    out.mkdir()
    assert isinstance(_export_error(good, out), StoreError)
    assert list(tmp_path.glob("out*")) == [out]


def test_a_name_that_no_resnet_has_is_an_error():
    with pytest.raises(ValueError, match=r"no weight named 'resnet\.pooler\.weight'"):
        torchvision_name("resnet.pooler.weight")
