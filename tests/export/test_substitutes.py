"""Networks of timm are saved as layers of torch, and are loaded without timm."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.export import load_compact, save_compact
from snnviz.export.substitutes import pad_same
from tests.export.nets import assert_same, compacted

timm: Any = pytest.importorskip("timm")

TORCH = {"torch", "torchvision"}
# Each of another kind: norms with activations, padding for any size, random paths, attention.
NETWORKS = {
    "tf_mobilenetv3_small_minimal_100": {"drop_path_rate": 0.2},
    "edgenext_xx_small": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    "convnextv2_atto": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    "dm_nfnet_f0": {"depths": (1, 1), "channels": (256, 256)},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 2, "embed_dim": 48},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_compacted_and_saved(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    example = torch.randn(3, 3, 32, 32)
    network = timm.create_model(name, num_classes=5, **NETWORKS[name])
    small = compacted(network, example)
    assert sum(map(torch.numel, small.parameters())) < sum(map(torch.numel, network.parameters()))
    save_compact(small, tmp_path / "net", example)
    loaded = assert_same(small, tmp_path / "net", example)
    assert {type(module).__module__.partition(".")[0] for module in loaded.modules()} <= TORCH
    save_compact(loaded, tmp_path / "again", example)
    assert_same(loaded, tmp_path / "again", example)


class Layers(nn.Module):
    """One of each layer that is described as another one."""

    def __init__(self) -> None:
        super().__init__()
        layers, pools = timm.layers, timm.layers.pool2d_same
        self.conv = layers.Conv2dSame(3, 8, 3, stride=2)
        self.norm = layers.BatchNormAct2d(8, act_layer=nn.PReLU, momentum=None)
        self.pool = nn.Sequential(pools.MaxPool2dSame(3, 2), pools.AvgPool2dSame(2, 2))
        self.scaled = layers.ScaledStdConv2dSame(8, 8, 3, stride=2)
        self.path = layers.DropPath(0.5)
        norms = layers.LayerNorm2d, layers.LayerNormAct2d, layers.GroupNorm1, layers.GroupNorm1Act
        self.norms = nn.Sequential(*(norm(8) for norm in norms))
        self.others = nn.Sequential(layers.GroupNorm(8, 4), layers.GroupNormAct(8, 4))
        self.rows = nn.Sequential(layers.LayerNorm(8), layers.LayerNormAct(8))
        self.head = layers.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.pool(self.norm(self.conv(images)))
        x = self.others(self.norms(self.path(self.scaled(x))))
        return self.head(self.rows(x.mean((2, 3))))


def test_layers_hold_for_images_of_any_size(tmp_path: Path) -> None:
    network = Layers()
    save_compact(network, tmp_path / "net", torch.randn(2, 3, 32, 32))
    loaded = assert_same(network, tmp_path / "net", torch.randn(4, 3, 33, 35))
    assert {type(module).__module__.partition(".")[0] for module in loaded.modules()} <= TORCH
    kinds = {name: type(loaded.get_submodule(name)) for name in ("conv", "norm", "norm.act")}
    assert kinds == {"conv": nn.Conv2d, "norm": nn.BatchNorm2d, "norm.act": nn.PReLU}
    called = {node.target for node in loaded.graph.nodes if node.op == "call_module"}
    assert {"head", "rows.0", "rows.1.act", "norms.0", "others.1", "path", "conv"} <= called
    for size in (17, 20, 31):
        images = torch.randn(2, 3, size, size + 1)
        assert torch.equal(network.eval()(images), loaded.eval()(images))


def test_a_path_that_is_not_scaled_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 4), timm.layers.DropPath(0.5, scale_by_keep=False))
    with pytest.raises(ValueError, match=r"layer 1 calls \.new_empty\(\), which is not"):
        save_compact(network, tmp_path / "net")


def test_a_norm_that_is_fast_is_not_taken_for_torchs(tmp_path: Path) -> None:
    network = nn.Sequential(timm.layers.LayerNorm(4), nn.Linear(4, 4))
    network[0]._fast_norm = True
    with pytest.raises(ValueError, match=r"cannot be traced in layer 0 \(LayerNorm\)"):
        save_compact(network, tmp_path / "net")


@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize("window", [((3, 3), (2, 2)), ((2, 5), (1, 3), (1, 2))])
def test_the_padding_is_timms(size: int, window: tuple) -> None:
    images = torch.randn(2, 3, size, size + 1)
    expected = timm.layers.padding.pad_same(images, *window, value=2.0)
    assert torch.equal(pad_same(images, *window, value=2.0), expected)


def test_a_layer_with_layers_of_its_own_keeps_them(tmp_path: Path) -> None:
    """A network that was loaded has such a layer, in place of one of timm."""
    network = nn.Sequential(nn.Linear(4, 4), nn.Flatten())
    network[0].inner = nn.PReLU()
    save_compact(network, tmp_path / "net")
    loaded = load_compact(tmp_path / "net")
    assert type(loaded.get_submodule("0.inner")) is nn.PReLU
