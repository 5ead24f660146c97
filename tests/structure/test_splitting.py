"""Channels that split, chunk and slices take apart, and the numbers that say where."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.shrink import compact
from snnviz.structure import find_switches
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.structure.nets import Net


def conv(channels: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


class Partial(nn.Module):
    """A convolution of the first channels alone (FasterNet)."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.first, self.rest, self.sizes = how, 2, 6, [2, 6]
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "numbers":
            a, b = torch.split(x, [self.first, self.rest], 1)
        elif self.how == "list":
            a, b = x.split(self.sizes, 1)
        else:
            a, b = x[:, : self.first], x[:, self.first :]
        return torch.cat([self.conv(a), b], 1)


class Scales(nn.Module):
    """Each part is added to the next (Res2Net)."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 4
        self.convs = nn.ModuleList(conv(4, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        first, *others = torch.split(x, self.width, 1)
        parts = [first]
        for part, layer in zip(others, self.convs, strict=True):
            parts.append(layer(parts[-1] + part))
        return torch.cat(parts, 1)


class Bottles(nn.Module):
    """Halves and all that comes of one of them are joined (C2f)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(x.chunk(2, 1))
        parts.append(parts[-1] + self.inner(parts[-1]))
        return torch.cat(parts, 1)


class Selected(nn.Module):
    """Two paths, weighted by a softmax of their own (selective kernels)."""

    def __init__(self) -> None:
        super().__init__()
        self.paths = nn.ModuleList(conv(8, 6) for _ in range(2))
        self.weigh = nn.Conv2d(6, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        paths = torch.stack([path(x) for path in self.paths], 1)
        scores = self.weigh(paths.sum(1).mean((2, 3), keepdim=True))
        n, channels = scores.shape[:2]
        return (paths * scores.view(n, 2, channels // 2, 1, 1).softmax(1)).sum(1)


class Attended(nn.Module):
    """Parts of one convolution, weighted likewise, by way of a flat vector (ResNeSt)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.weigh = conv(8, 12), nn.Conv2d(6, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.conv(x)
        n, channels, *places = parts.shape
        parts = parts.reshape(n, 2, channels // 2, *places)
        scores = self.weigh(parts.sum(1).mean((2, 3), keepdim=True))
        scores = scores.view(n, 1, 2, -1).transpose(1, 2).softmax(1).reshape(n, -1)
        return (parts * scores.reshape(n, 2, channels // 2, 1, 1)).sum(1)


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, channels, *places = x.shape
        return x.view(n, 2, channels // 2, *places).transpose(1, 2).reshape(x.shape)


class Scaled(nn.Module):
    """A scale for each channel of a branch (LayerScale, L2Norm)."""

    def __init__(self, shape: tuple[int, ...], view: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.branch, self.gamma = conv(8, 8), nn.Parameter(torch.full(shape, 1e-6))
        self.view = view

    def forward(self, x: Tensor) -> Tensor:
        gamma = self.gamma.reshape(self.view) if self.view else self.gamma
        return x + self.branch(x) * gamma


def group_normed(groups: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(groups, 8), nn.ReLU())


def gated(net: Any, images: Tensor) -> Tensor:
    value, gate = net.first(images).chunk(2, 1)
    return value * gate.relu()


def wide(middle: nn.Module, channels: int, width: int) -> nn.Module:
    """The part in the middle, between layers of 8 or 12 channels."""
    way = lambda net, images: net.last(net.middle(net.first(images))).mean((2, 3))  # noqa: E731
    layers = {"first": conv(3, channels), "middle": middle, "last": conv(width, 6)}
    return Net(way, 6, **layers)


@pytest.mark.parametrize(
    ("network", "neurons"),
    [
        pytest.param(
            wide(Partial("numbers"), 8, 8), {"first.0": 8, "middle.conv": 2}, id="numbers"
        ),
        pytest.param(wide(Partial("list"), 8, 8), {"first.0": 8, "middle.conv": 2}, id="list"),
        pytest.param(wide(Partial("slice"), 8, 8), {"first.0": 8, "middle.conv": 2}, id="slices"),
        pytest.param(wide(Scales(), 12, 12), {"first.0": 4}, id="scales"),
        pytest.param(wide(Bottles(), 8, 12), {"first.0": 4}, id="bottles"),
        pytest.param(wide(Selected(), 8, 6), {"middle.paths.0.0": 6}, id="selective kernels"),
        pytest.param(wide(Attended(), 8, 6), {"middle.conv.0": 6}, id="split attention"),
        pytest.param(wide(Scaled((8, 1, 1)), 8, 8), {"first.0": 8}, id="scaled"),
        pytest.param(wide(Scaled((8,), (1, -1, 1, 1)), 8, 8), {"first.0": 8}, id="reshaped scale"),
        pytest.param(wide(group_normed(4), 8, 8), {"middle.0": 4}, id="whole groups of a norm"),
        pytest.param(wide(group_normed(8), 8, 8), {"middle.0": 8}, id="a group for each channel"),
        pytest.param(wide(Shuffled(), 8, 8), {"first.0": 4}, id="shuffled"),
        pytest.param(Net(gated, 144, first=nn.Conv2d(3, 8, 3)), {"first": 4}, id="gated"),
    ],
)
def test_parts_are_followed(network: nn.Module, neurons: dict[str, int]) -> None:
    network, images = drawn(network.double().eval()), example((3, 8, 8)).double()
    switches = find_switches(network, images)
    found = {name: group.neurons for name, group in switches.groups.items()}
    assert neurons.items() <= found.items(), switches.left_alone
    factors = {name: (torch.arange(n) % 3 != 1).double() * 1.5 for name, n in found.items()}
    small, report = compact(network, factors, images, switches=switches, latency=False)
    assert report.difference < 1e-10
    assert report.after == switches.size({name: s.numpy() for name, s in factors.items()})
    small.train()(images)


def test_numbers_count_what_is_left() -> None:
    network, images = wide(Partial("list"), 8, 8).eval(), example((3, 8, 8))
    switches = find_switches(network, images)
    factors = {name: torch.ones(group.neurons) for name, group in switches.groups.items()}
    factors["first.0"][[0, 2, 3]] = 0
    small: Any = compact(network, factors, images, switches=switches, latency=False)[0]
    assert small.middle.sizes == [1, 4]
    assert (small.middle.first, small.middle.rest) == (1, 4)
    assert network.middle.sizes == [2, 6]  # type: ignore[union-attr]


def test_fixed_sizes_are_left_alone() -> None:
    def way(net: Any, images: Tensor) -> Tensor:
        a, b = torch.split(net.first(images), [2, 6], 1)
        return torch.cat([a.relu(), b], 1)

    left = find_switches(Net(way, 288, first=nn.Conv2d(3, 8, 3)), example((3, 8, 8))).left_alone
    assert left["first"] == (
        "without some of them, the network itself would not run: a size that it needs does not "
        "follow their number"
    )


def test_channels_that_are_all_tied_together_are_left_alone() -> None:
    """One shuffle ties two channels, and the second one ties these pairs."""
    middle = nn.Sequential(Shuffled(), Shuffled())
    left = find_switches(wide(middle, 4, 4), example((3, 8, 8))).left_alone
    assert left["first.0"] == (
        "all its channels are tied together, so none can be taken out without all others"
    )
