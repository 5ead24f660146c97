"""Neurons whose removal would go wrong are left alone before anything is trained."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.shrink import compact
from snnviz.structure import find_switches
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.structure.nets import OUTPUTS, Net, change, hidden


class Blur(nn.Module):
    """A fixed filter for each channel, in a buffer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.ones(channels, 1, 3, 3) / 9)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.get_buffer("kernel"), padding=1, groups=x.shape[1])


PLACES = torch.arange(6)
PLACES[0], PLACES[2] = 2, 0


def between(step: Callable[[Tensor], Tensor], width: int = 216) -> nn.Module:
    """A convolution, and what is done to its channels before the next layer reads them."""
    return Net(lambda net, images: step(net.conv(images).relu()), width, conv=nn.Conv2d(3, 6, 3))


def zero_half(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 3:] = 0
    return x


def in_training_only(net: Any, images: Tensor) -> Tensor:
    x = net.conv(images).relu()
    return x + 0.3 * net.aux(x) if net.training else x


def hard_coded() -> nn.Module:
    return Net(lambda net, x: net.conv(x).relu().reshape(-1, 6 * 36), 216, conv=nn.Conv2d(3, 6, 3))


def zero_gate() -> nn.Module:
    """What reads the channels in another order counts for nothing yet."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images).relu()
        return x + net.gate * net.other(x.roll(2, 1))

    net = Net(way, 216, conv=nn.Conv2d(3, 6, 3), other=nn.Conv2d(6, 6, 1))
    net.register_parameter("gate", nn.Parameter(torch.zeros(())))
    return net


def runs(layer: str, mode: str = "") -> str:
    return (
        f"without some of them, {layer} would not run{mode}: a size that it needs does not follow "
        "their number"
    )


@pytest.mark.parametrize(
    ("network", "left_alone"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), Blur(6)),
            {"0": runs("layer 5")},
            id="buffer with a channel dimension",
        ),
        pytest.param(
            hard_coded(),
            {"conv": runs("layer hidden")},
            id="size in the code",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ChannelShuffle(3), nn.BatchNorm2d(6), nn.ReLU()),
            {"0": change("2")},
            id="shuffle before a norm",
        ),
        pytest.param(
            zero_gate(), {"conv": change("other"), "other": change("other")}, id="gate of zero"
        ),
        pytest.param(between(lambda x: x.roll(2, 1)), {"conv": change("hidden")}, id="roll"),
        pytest.param(
            between(lambda x: x[:, PLACES]),
            {"conv": runs("the network itself")},
            id="index",
        ),
        pytest.param(
            between(lambda x: x.repeat(1, 2, 1, 1), 432),
            {"conv": runs("layer hidden")},
            id="repeat",
        ),
        pytest.param(between(zero_half), {"conv": change("hidden")}, id="assignment to a slice"),
        pytest.param(
            between(lambda x: x * (x.square().mean(1, True) + 1e-6).rsqrt()),
            {"conv": change("hidden")},
            id="RMS norm by hand",
        ),
        pytest.param(
            between(lambda x: x * x.mean(1, True)), {"conv": change("hidden")}, id="channel gate"
        ),
        pytest.param(
            between(lambda x: torch.where(PLACES[:, None, None] > 3, x, 0 * x)),
            {"conv": runs("the network itself")},
            id="mask of channels",
        ),
        pytest.param(
            Net(in_training_only, 216, conv=nn.Conv2d(3, 6, 3), aux=nn.Conv2d(6, 6, 1)),
            {"conv": runs("layer aux", " in training mode")},
            id="branch in training only",
        ),
    ],
)
def test_neurons_that_cannot_be_removed_are_left_alone(
    network: nn.Module, left_alone: dict[str, str]
) -> None:
    """And what is still switched is right, in either mode."""
    last = "head" if hasattr(network, "head") else list(dict(network.named_modules()))[-1]
    switches = find_switches(network, example())
    assert switches.left_alone == {**left_alone, last: OUTPUTS}
    assert len(switches.groups) == 1
    drawn(network).eval()
    factors = {k: 1.5 * (torch.arange(g.neurons) % 2) for k, g in switches.groups.items()}
    images = example(n=6)
    small, report = compact(network, factors, images, tolerance=1e-6, latency=False)
    assert report.after.parameters < report.before.parameters
    assert small.train()(images).shape == (6, 4)


def test_other_groups_stay_switched_where_one_fails() -> None:
    """Halves are tried until the group is found."""
    layers: list[nn.Module] = []
    for i in range(5):
        layers += [nn.Conv2d(6 if i else 3, 6, 1), nn.ReLU()]
        layers += [Blur(6)] if i == 3 else []
    network = hidden(*layers, width=384)
    switches = find_switches(network, example())
    assert list(switches.groups) == ["0", "2", "4", "9", "12"]
    assert list(switches.left_alone) == ["6", "14"]


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_dropout_and_batch_statistics_are_no_failures(p: float) -> None:
    network = hidden(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout2d(p), nn.ReLU(), nn.Conv2d(6, 6, 3),
        nn.Dropout(p), nn.ReLU(), width=96,
    )  # fmt: skip
    switches = find_switches(network, example())
    assert list(switches.groups) == ["0", "4", "8"]
    assert list(switches.left_alone) == ["10"]


def test_noise_in_training_is_no_failure() -> None:
    """The smaller network draws fewer numbers, so that its scores are others."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images)
        return (x + torch.randn_like(x) if net.training else x).relu()

    network = Net(way, 216, conv=nn.Conv2d(3, 6, 3))
    assert list(find_switches(network, example()).groups) == ["conv", "hidden"]


def test_values_that_overflow_when_drawn_are_those_of_the_network() -> None:
    """What is drawn for the buffer is above 0.2."""

    def way(net: Any, images: Tensor) -> Tensor:
        return net.conv(images).relu() * (0.2 - net.limit).sqrt()

    network = Net(way, 216, conv=nn.Conv2d(3, 6, 3))
    network.register_buffer("limit", torch.tensor(0.1))
    assert list(find_switches(network, example()).groups) == ["conv", "hidden"]


@pytest.mark.parametrize("also", [True, False], ids=["another fails in both", "alone"])
def test_neurons_that_fail_in_training_only_are_found_among_others(also: bool) -> None:
    """The search in evaluation mode takes them for good."""

    def way(net: Any, images: Tensor) -> Tensor:
        x = net.stem(images).relu()
        x = net.first(x.index_select(1, PLACES) if also else x).relu()
        return in_training_only(net, x)

    layers = {"first": nn.Conv2d(6, 7, 1), "conv": nn.Conv2d(7, 6, 1), "aux": nn.Conv2d(6, 6, 1)}
    network = Net(way, 384, stem=nn.Conv2d(3, 6, 1), **layers)
    switches = find_switches(network, example((3, 8, 8)))
    assert set(switches.groups) == {"first", "hidden"} | (set() if also else {"stem"})
    assert switches.left_alone["conv"] == runs("layer aux", " in training mode")
