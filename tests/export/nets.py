"""Networks to save and export, and what must be equal when they are loaded again."""

import copy
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.swin_transformer import (
    PatchMerging,
    PatchMergingV2,
    SwinTransformer,
    SwinTransformerBlock,
    SwinTransformerBlockV2,
)

from snnviz.export import load_compact
from snnviz.networks import lenet5, vgg_small
from snnviz.shrink import compact
from snnviz.structure import find_switches
from tests.networks_at_random import drawn
from tests.norms import Response, Shifted
from tests.standardised import Gained


class Residual(nn.Module):
    """A user's own: an addition in place, a layer used twice, a flag that follows the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.block = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()])
        self.scores = nn.Linear(8, 5)

    def features(self, images: Tensor) -> Tensor:
        x = self.block[1](self.norm(self.stem(images)))
        y = self.block[0](x)
        y += x
        z = y  # another name for it, so that it counts that the addition is in place
        z += x
        return F.dropout(self.block[1](y), 0.3, training=self.training)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images)
        return self.scores(x.mean((2, 3)).view(x.shape[0], -1))


class Rich(Residual):
    """And a parameter, two buffers, a made tensor and an unused layer, with indexing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.register_buffer("shift", torch.rand(8, 1, 1), persistent=False)
        self.register_buffer("mean", torch.rand(5))
        self.unused = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images) * self.scale + self.shift
        half = x[:, :, ::2, ...].mean((2, 3), dtype=x.dtype)
        return torch.where(torch.arange(5) > 1, self.scores(half), 0.0) - self.mean * 2


class Tied(nn.Module):
    """One weight in two layers, one layer under two names, one module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.third = self.second
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12))
        self.again = self.inner

    def forward(self, images: Tensor) -> Tensor:
        x = self.second(self.first(images.flatten(1)).relu())
        return self.again(self.inner(self.third(x)))


def vit() -> nn.Module:
    network = tv.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10)
    nn.init.normal_(network.heads[0].weight)  # zero at the start, so that all outputs are equal
    return network


def densenet() -> nn.Module:
    return tv.DenseNet(8, (2, 2, 2, 2), 16, num_classes=10, drop_rate=0.1)


def resnext() -> nn.Module:
    blocks = tv.resnet.Bottleneck, [1, 1, 1, 1]
    return tv.ResNet(*blocks, num_classes=10, groups=8, width_per_group=4)


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(24, 48, 2), CNBlockConfig(48, None, 2)]
    return tv.ConvNeXt(blocks, num_classes=10)


def mobilenet() -> nn.Module:
    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]]
    return tv.MobileNetV2(10, inverted_residual_setting=stages, dropout=0.1)


def efficientnet() -> nn.Module:
    stages = [MBConvConfig(1, 3, 1, 32, 16, 1), MBConvConfig(6, 5, 2, 16, 24, 2)]
    return tv.EfficientNet(stages, dropout=0.2, num_classes=10)


def responding() -> nn.Module:
    """Norms over channels, of images and of vectors."""
    response, length = Response(8, last=False), Shifted(6)
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), length, nn.Linear(6, 5)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), response, *ends)


def standardised() -> nn.Module:
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)]
    network = nn.Sequential(Gained(3, 8, 3), nn.SiLU(), Gained(8, 6, 3, padding=1), *ends)
    return drawn(network)


def swin(block: type[nn.Module], merging: type[nn.Module]) -> nn.Module:
    return SwinTransformer(
        [4, 4], 16, [2, 1], [2, 4], [4, 4], num_classes=5, block=block, downsample_layer=merging
    )


# Of deep ones a short form: the same kinds of block, and fewer of them.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "lenet5": (lambda: lenet5((1, 28, 28), 10), (1, 28, 28)),
    "vgg_small": (lambda: vgg_small((3, 16, 16), 10), (3, 16, 16)),
    "resnet18": (lambda: tv.resnet18(num_classes=10), (3, 32, 32)),
    "mobilenet_v2": (mobilenet, (3, 32, 32)),
    "densenet": (densenet, (3, 32, 32)),
    "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=10), (3, 48, 48)),
    "resnext": (resnext, (3, 32, 32)),
    "efficientnet": (efficientnet, (3, 32, 32)),
    "convnext": (convnext, (3, 32, 32)),
    "vit": (vit, (3, 32, 32)),
    "swin": (lambda: swin(SwinTransformerBlock, PatchMerging), (3, 32, 32)),
    "swin_v2": (lambda: swin(SwinTransformerBlockV2, PatchMergingV2), (3, 32, 32)),
    "response": (responding, (3, 16, 16)),
    "standardised": (standardised, (3, 8, 8)),
    "residual": (Residual, (3, 8, 8)),
}


def compacted(network: nn.Module, example: Tensor) -> nn.Module:
    """With random factors, half of them 0, and batch statistics that are no longer 0 and 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    switches = find_switches(network, example)
    factors = {}
    for name, group in switches.groups.items():
        factors[name] = torch.rand(group.neurons) + 0.5
        factors[name][torch.randperm(group.neurons)[: group.neurons // 2]] = 0
    return compact(network, factors, example, switches=switches, latency=False)[0]


def assert_same(network: nn.Module, folder: Path, example: Tensor) -> nn.Module:
    """Equal in all that is kept, in their outputs, and in what a step of training makes of them."""
    loaded = load_compact(folder)
    assert_equal_state(network, loaded)
    modes = {path: module.training for path, module in network.named_modules()}
    assert {path: loaded.get_submodule(path).training for path in modes} == modes
    for mode in (False, True):
        ours, theirs = copy.deepcopy(network).train(mode), load_compact(folder).train(mode)
        outputs = []
        for module in (ours, theirs):
            torch.manual_seed(1)  # for dropout
            outputs.append(module(example))
            optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
            F.cross_entropy(outputs[-1], torch.arange(len(example))).backward()
            optimizer.step()
        assert torch.equal(*outputs)
        assert_equal_state(ours, theirs)
        assert torch.equal(ours.eval()(example), theirs.eval()(example))
    return loaded


def assert_equal_state(network: nn.Module, loaded: nn.Module) -> None:
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(network, kind)()), dict(getattr(loaded, kind)())
        assert list(ours) == list(theirs)
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
            assert tensor.dtype == theirs[name].dtype
            assert tensor.requires_grad == theirs[name].requires_grad
            assert tensor.stride() == theirs[name].stride()
    assert list(network.state_dict()) == list(loaded.state_dict())


class Own(nn.Module):
    """A forward pass from a function, between two ordinary layers."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.step = step
        self.fc = nn.Linear(4, 4)
        self.plain = torch.ones(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.step(self, images))


def branch(module: nn.Module, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def hooked() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network[0].register_forward_hook(lambda *_: None)
    return network
