"""Shapes of networks that are not convolutions with batch norm: what is switched is exact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from snnviz.export import load_compact, save_compact
from snnviz.shrink import compact
from snnviz.structure import find_switches, scaled_parameters
from snnviz.structure.modes import in_mode
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.norms import MeanSquare, OnImages, Response, Shifted, Viewed
from tests.shrink.nets import assert_close, scores_of

SHAPE = (3, 12, 12)
Conv, Norm, Relu = nn.Conv2d, nn.BatchNorm2d, nn.ReLU


class Net(nn.Module):
    """Layers by name, and how the images go through them."""

    def __init__(self, way: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.way = way
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        return self.way(self, images)


def net(*layers: nn.Module, width: int) -> nn.Module:
    """Layers, and a convolution and a head that read what they give."""
    return nn.Sequential(*layers, Conv(width, 5, 1), Relu(), *head(5))


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)]


class Padded(nn.Module):
    """A shortcut that adds channels of zeros on both sides (ResNet, option A)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv, self.norm = Conv(channels, width, 3, 2, 1, bias=False), Norm(width)

    def forward(self, x: Tensor) -> Tensor:
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))  # so these are no neurons
        return torch.relu(self.norm(self.conv(x)) + short)


class Joined(nn.Module):
    """A shortcut with as many channels of zeros as it lacks (PyramidNet)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(Norm(channels), Conv(channels, width, 3, padding=1), Norm(width))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        n, channels, h, w = x.shape
        zeros = x.new_zeros(n, out.shape[1] - channels, h, w)
        return out + torch.cat([x, zeros], 1)


class Blur(nn.Module):
    """A fixed filter for each channel; how many there are is a number of the module."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("filters", torch.ones(channels, 1, 3, 3) / 9, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filters, groups=self.channels)


class Frozen(nn.Module):
    """A batch norm that is all buffers, as in detection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class KeptInEvaluation(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> Any:
        return super().train(False)


class Shuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, channels, h, w = x.shape
        return x.view(n, 2, channels // 2, h, w).transpose(1, 2).reshape(n, channels, h, w)


class Maxout(nn.Module):
    """The greatest of several; how a reshape takes them apart differs."""

    def __init__(self, layer: nn.Module, way: str, width: int) -> None:
        super().__init__()
        self.layer, self.way, self.width = layer, way, width

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        if self.way == "by channel":
            return x.unflatten(1, (self.width, -1)).max(2)[0]
        if self.way == "by part":
            return x.view(-1, 2, self.width).amax(1)
        return x.unflatten(1, (-1, 2)).amax(2)


class Channelwise(nn.Module):
    """A block of ConvNeXt V2, with channels last."""

    def __init__(self, channels: int, norm: nn.Module, width: int) -> None:
        super().__init__()
        self.wide, self.norm, self.out = (
            nn.Linear(channels, width),
            norm,
            nn.Linear(width, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.out(self.norm(F.gelu(self.wide(x.permute(0, 2, 3, 1)))))
        return x + y.permute(0, 3, 1, 2)


class Squeezed(nn.Module):
    """Squeeze and excitation of tokens, or of maps with channels last."""

    def __init__(self, width: int, *, tokens: bool) -> None:
        super().__init__()
        self.wide, self.few, self.back = (
            nn.Linear(5, width),
            nn.Linear(width, 4),
            nn.Linear(4, width),
        )
        self.out, self.tokens = nn.Linear(width, 5), tokens

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(2).mT if self.tokens else x.permute(0, 2, 3, 1)
        y = F.relu(self.wide(y))
        mean = y.mean(1 if self.tokens else (1, 2), keepdim=True)
        y = self.out(y * torch.sigmoid(self.back(F.relu(self.few(mean)))))
        return y.mT.reshape(x.shape) if self.tokens else y.permute(0, 3, 1, 2)


class Length(nn.Module):
    """Vectors of the same length."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1) * self.scale


class Places(nn.Module):
    """A number for each channel at each place."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.ones(1, *shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.places


class Coordinates(nn.Module):
    """Means of rows and of columns are joined, gated, and taken apart (coordinate attention)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.few, self.norm = Conv(channels, 4, 1), Norm(4)
        self.rows, self.columns = Conv(4, channels, 1), Conv(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        both = torch.cat([x.mean(3, True), x.mean(2, True).transpose(2, 3)], 2)
        rows, columns = self.norm(self.few(both)).relu().split([height, width], 2)
        return x * self.rows(rows).sigmoid() * self.columns(columns.transpose(2, 3)).sigmoid()


class Context(nn.Module):
    """A mean over places, each with a weight of its own (global context)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh, self.out = Conv(channels, 1, 1), Conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weigh(x).flatten(2).softmax(2)
        return x + self.out((x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3))


class Stream(nn.Module):
    """Tokens, to which blocks add what they make of them; before each is a norm."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.embed, self.head = Conv(3, 8, 4, 4), nn.Linear(8, 4)
        self.norms = nn.ModuleList(norm(8) for _ in range(3))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 10), nn.GELU(), nn.Linear(10, 8)) for _ in range(2)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).flatten(2).transpose(1, 2)
        for i, block in enumerate(self.blocks):
            x = x + block(self.norms[i](x))
        return self.head(self.norms[2](x).mean(1))


def by_its_reader(net: Any, images: Tensor) -> Tensor:
    x = net.first(images.flatten(1)).relu().view(-1, net.second.in_channels, 3, 3)
    return net.head(net.second(x).relu().mean((2, 3)))


def flat(*layers: nn.Module, width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, 4))


def still(*layers: nn.Module) -> nn.Module:
    """Norms whose parameters are not learned."""
    return nn.Sequential(*[x.requires_grad_(not isinstance(x, Norm)) for x in layers])


def in_one_dimension(net: Any, images: Tensor) -> Tensor:
    x = net.first(images.flatten(2)).relu()
    parts = net.left(x).relu(), net.right(x.chunk(2, 1)[1]).relu()
    return net.head(torch.cat(parts, 1).flatten(1))


def in_three_dimensions(net: Any, images: Tensor) -> Tensor:
    x = net.first(images.unsqueeze(1)).relu()  # the colours are the depth
    x = torch.cat([x, net.second(x).relu()], 1)
    return net.head(net.flat(x.flatten(1, 2)).relu().mean((2, 3)))


def by_tokens(net: Any, images: Tensor) -> Tensor:
    x = net.first(images).flatten(2).transpose(1, 2)
    return net.head(net.second(x).relu().flatten(1))


SHAPES: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "transposed": (
        lambda: net(
            Conv(3, 8, 3, 2), Relu(), nn.ConvTranspose2d(8, 6, 3, 2, output_padding=1), Norm(6),
            Relu(), width=6,
        ),
        {"0": 8, "2": 6},
    ),
    "transposed, in parts": (
        lambda: net(
            Conv(3, 8, 3), Relu(), nn.ConvTranspose2d(8, 6, 3, 2, groups=2), Relu(), width=6
        ),
        {"0": 4, "2": 3},
    ),
    "transposed, depthwise": (
        lambda: net(Conv(3, 6, 3), Relu(), nn.ConvTranspose2d(6, 6, 2, 2, groups=6), width=6),
        {"0": 6},
    ),
    "depthwise with two outputs for each input": (
        lambda: net(Conv(3, 6, 3), Norm(6), Relu(), Conv(6, 12, 3, groups=6), Norm(12), width=12),
        {"0": 6},
    ),
    "two inputs for each output": (
        lambda: net(Conv(3, 12, 3), Relu(), Conv(12, 6, 3, groups=6), Relu(), width=6),
        {"0": 6},
    ),
    "padded shortcut": (lambda: net(Conv(3, 8, 3), Relu(), Padded(8, 12), width=12), {"0": 8}),
    "as many channels as it lacks": (
        lambda: net(Conv(3, 8, 3), Joined(8, 12), Relu(), width=12), {"0": 12}
    ),
    "pixel shuffle": (lambda: net(Conv(3, 16, 3), nn.PixelShuffle(2), width=4), {"0": 4}),
    "pixel unshuffle": (
        lambda: net(Conv(3, 4, 3, padding=1), Relu(), nn.PixelUnshuffle(2), width=16), {"0": 4}
    ),
    "gated linear unit": (lambda: net(Conv(3, 12, 3), nn.GLU(1), width=6), {"0": 6}),
    "shuffle": (
        lambda: net(Conv(3, 8, 3), Norm(8), Shuffle(), Relu(), Conv(8, 8, 1, groups=2), width=8),
        {"0": 2, "4": 4},
    ),
    "one dimension": (
        lambda: Net(
            in_one_dimension, first=nn.Conv1d(3, 8, 5, 4), left=nn.Conv1d(8, 4, 3, 4),
            right=nn.Conv1d(4, 3, 3, 4), head=nn.Linear(63, 4),
        ),
        {"first": 4, "left": 4, "right": 3},
    ),
    "three dimensions": (
        lambda: Net(
            in_three_dimensions, first=nn.Conv3d(1, 4, 3, padding=1),
            second=nn.Conv3d(4, 3, 3, padding=1), flat=Conv(21, 5, 3), head=nn.Linear(5, 4),
        ),
        {"first": 4, "second": 3, "flat": 5},
    ),
    "tokens side by side": (
        lambda: Net(
            by_tokens, first=Conv(3, 8, 4, 4), second=nn.Linear(8, 6), head=nn.Linear(54, 4)
        ),
        {"first": 8, "second": 6},
    ),
    "batch norm without scale": (
        lambda: net(Conv(3, 6, 3), Norm(6, affine=False), Relu(), width=6), {"0": 6}
    ),
    "instance norm": (lambda: net(Conv(3, 6, 3), nn.InstanceNorm2d(6), Relu(), width=6), {"0": 6}),
    "group norm without scale": (
        lambda: net(Conv(3, 6, 3), nn.GroupNorm(3, 6, affine=False), Relu(), width=6), {"0": 3}
    ),
    "synchronised batch norm": (
        lambda: net(Conv(3, 6, 3), nn.SyncBatchNorm(6), Relu(), width=6), {"0": 6}
    ),
    "batch norm that is not learned": (
        lambda: net(still(Conv(3, 6, 3), Norm(6)), Relu(), width=6), {"0.0": 6}
    ),
    "batch norm kept in evaluation": (
        lambda: net(Conv(3, 6, 3), KeptInEvaluation(6), Relu(), width=6), {"0": 6}
    ),
    "batch norm of buffers": (lambda: net(Conv(3, 6, 3), Frozen(6), Relu(), width=6), {"0": 6}),
    "filters in a buffer": (
        lambda: net(Conv(3, 6, 3), Norm(6), Relu(), Blur(6), width=6), {"0": 6}
    ),
    "sigmoid": (lambda: net(Conv(3, 6, 3), Norm(6), nn.Sigmoid(), width=6), {"0": 6}),
    "images of a linear layer": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(432, 54), nn.Unflatten(1, (6, 3, 3)), Norm(6), Relu(),
            Conv(6, 5, 1), Relu(), *head(5),
        ),
        {"1": 6, "5": 5},
    ),
    "images of a linear layer, normed before": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(432, 54), nn.BatchNorm1d(54), nn.Unflatten(-1, (-1, 3, 3)),
            Conv(6, 5, 1), Relu(), *head(5),
        ),
        {"1": 6, "4": 5},
    ),
    "images of as many channels as are read": (
        lambda: Net(
            by_its_reader, first=nn.Linear(432, 54), second=nn.ConvTranspose2d(6, 5, 2),
            head=nn.Linear(5, 4),
        ),
        {"first": 6, "second": 5},
    ),
    "maxout": (
        lambda: flat(
            Maxout(nn.Linear(432, 16), "by channel", 8), Maxout(nn.Linear(8, 12), "by part", 6),
            Maxout(nn.Linear(6, 10), "pairs", 0), width=5,
        ),
        {"1.layer": 8, "2.layer": 6, "3.layer": 5},
    ),
    "maxout of images": (lambda: net(Maxout(Conv(3, 12, 3), "by channel", 6), width=6), {
        "0.layer": 6
    }),
    "mean square norm": (
        lambda: flat(
            nn.Linear(432, 10), nn.RMSNorm(10), Relu(), nn.Linear(10, 8), nn.RMSNorm(8, eps=0.1),
            width=8,
        ),
        {"1": 10, "4": 8},
    ),
    "mean square norm by hand": (
        lambda: flat(nn.Linear(432, 10), MeanSquare(10), Relu(), width=10), {"1": 10}
    ),
    "mean square norm of images": (lambda: net(Conv(3, 6, 3), OnImages(6), width=6), {"0": 6}),
    "mean square norm with a bias": (
        lambda: flat(nn.Linear(432, 10), Shifted(10), Relu(), width=10), {"1": 10}
    ),
    "response norm": (
        lambda: net(Conv(3, 6, 3), nn.GELU(), Response(6, last=False), width=6), {"0": 6}
    ),
    "response norm, channels last": (
        lambda: net(Conv(3, 5, 3), Channelwise(5, Response(8, last=True), 8), width=5),
        {"0": 5, "1.wide": 8},
    ),
    "response norm, its numbers reshaped": (
        lambda: net(Conv(3, 5, 3), Channelwise(5, Viewed(8), 8), width=5),
        {"0": 5, "1.wide": 8},
    ),
    "squeeze and excitation of tokens": (
        lambda: net(Conv(3, 5, 3), Squeezed(8, tokens=True), width=5), {"1.wide": 8, "1.few": 4}
    ),
    "squeeze and excitation, channels last": (
        lambda: net(Conv(3, 5, 3), Squeezed(8, tokens=False), width=5), {"1.wide": 8, "1.few": 4}
    ),
    "stream with mean square norms": (
        lambda: Stream(nn.RMSNorm), {"embed": 8, "blocks.0.0": 10, "blocks.1.0": 10}
    ),
    "vectors of one length": (
        lambda: flat(nn.Linear(432, 10), Length(10), Relu(), width=10), {"1": 10}
    ),
    "a number for each place": (
        lambda: net(Conv(3, 6, 3), Places(6, 10, 10), Relu(), width=6), {"0": 6}
    ),
    "coordinate attention": (
        lambda: net(Conv(3, 6, 3), Norm(6), Relu(), Coordinates(6), width=6),
        {"0": 6, "3.few": 4},
    ),
    "global context": (lambda: net(Conv(3, 6, 3), Relu(), Context(6), width=6), {"0": 6}),
    "softplus": (
        lambda: net(Conv(3, 6, 3), nn.Softplus(), Conv(6, 6, 3, 1, 1), width=6), {"0": 6}
    ),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", SHAPES)
def test_smaller_networks_give_the_same(name: str, tmp_path: Path) -> None:
    """In either mode, and once more from a file."""
    build, neurons = SHAPES[name]
    network, images = drawn(build().double()).eval(), example(SHAPE, n=4).double()
    switches = find_switches(network, images)
    found = {group: own.neurons for group, own in switches.groups.items()}
    assert neurons.items() <= found.items(), switches.left_alone
    rng = np.random.default_rng(0)
    factors = {}
    for group, n in found.items():
        values = rng.uniform(0.5, 1.5, n)
        values[rng.permutation(n)[: n // 2]] = 0
        factors[group] = torch.from_numpy(values)
    small, report = compact(network, factors, images, switches=switches, latency=False)
    assert_close(small(images), scores_of(network, images, switches, factors), 1e-10)
    assert report.after == switches.size({group: s.numpy() for group, s in factors.items()})
    with in_mode(network, "training", images):
        scaled = scaled_parameters(network, switches, factors)
        expected = functional_call(network, scaled, (images,))
    with in_mode(small, "training", images):
        assert_close(small(images), expected, 1e-9)
    save_compact(small, tmp_path / "net", images)
    assert torch.equal(load_compact(tmp_path / "net")(images), small(images))
