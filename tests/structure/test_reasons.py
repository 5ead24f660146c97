"""Why neurons cannot be taken out, in terms of what the network computes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.structure import find_switches
from snnviz.structure.reasons import (
    FIXED_WIDTH,
    MEAN,
    NEIGHBOURS,
    OTHERS,
    RESPONSES,
    SPREAD,
    TANGLED,
)
from tests.helpers import example
from tests.standardised import Activated
from tests.structure.nets import FROM_OTHERS, Net, hidden


class GlobalResponse(nn.Module):
    """What each channel gives is divided by the mean over all of them (ConvNeXt V2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(dim=(2, 3), keepdim=True)
        return x + self.scale * x * length / (length.mean(1, keepdim=True) + 1e-6)


def attended(net: Any, images: Tensor) -> Tensor:
    """Gates of a convolution along the channels (ECA)."""
    x = net.conv(images)
    gates = net.along(x.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()
    return x * gates[:, :, None, None]


class Bilinear(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.pairs = nn.Bilinear(inputs, inputs, inputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.pairs(x, x)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_what_goes_into_a_recurrent_layer_is_not_followed(kind: Any) -> None:
    def way(net: Any, images: Tensor) -> Tensor:
        x = net.conv(images).flatten(2).transpose(1, 2)
        return net.layer(x)[0][:, -1]

    network = Net(way, 5, conv=nn.Conv2d(3, 6, 3), layer=kind(6, 5, batch_first=True))
    assert find_switches(network, example()).left_alone["conv"] == TANGLED


def as_matrices(net: Any, images: Tensor) -> Tensor:
    x, y = net.conv(images).flatten(2), net.other(images).flatten(2)
    return (x @ y.transpose(1, 2)).flatten(1)


class Spatial(nn.Module):
    """A gate of places, from the mean over all channels (CBAM)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(1, keepdim=True)).sigmoid()


def attends(net: Any, images: Tensor) -> Tensor:
    x = net.conv(images).flatten(2).transpose(1, 2)
    return net.attention(x, x, x)[0].flatten(1)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        pytest.param(
            nn.Sequential(
                nn.Conv2d(3, 6, 1), nn.Flatten(), nn.Linear(384, 6), Bilinear(6), nn.Linear(6, 4)
            ),
            "3.pairs.weight combines them, and is no weight of a linear layer or a convolution",
            id="bilinear",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), Spatial()), f"1 (Spatial) {MEAN}", id="a gate of places"
        ),
        pytest.param(
            Net(
                attends,
                216,
                conv=nn.Conv2d(3, 6, 3),
                attention=nn.MultiheadAttention(6, 2, batch_first=True),
            ),
            f"attention {FIXED_WIDTH}",
            id="multi-head attention",
        ),
        pytest.param(
            Net(as_matrices, 30, conv=nn.Conv2d(3, 6, 3), other=nn.Conv2d(3, 5, 3)),
            "the network multiplies them as matrices with others, which is not followed",
            id="matrices",
        ),
    ],
)
def test_what_is_not_followed_is_said(network: nn.Module, why: str) -> None:
    assert why in find_switches(network, example()).left_alone.values()


@pytest.mark.parametrize(
    ("network", "layer", "why"),
    [
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.ReLU(), GlobalResponse(6)),
            "0",
            f"2 (GlobalResponse) {FROM_OTHERS}",
            id="a mean over channels",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.Softmax2d(), nn.ReLU()),
            "0",
            f"1 (Softmax2d) {FROM_OTHERS}",
            id="softmax",
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), Activated(6, 6, 1)), "0", f"1 {SPREAD}", id="weights"
        ),
        pytest.param(
            hidden(nn.Conv2d(3, 6, 3), nn.LocalResponseNorm(3)), "0", f"1 {RESPONSES}", id="local"
        ),
        pytest.param(
            Net(attended, 216, conv=nn.Conv2d(3, 6, 3), along=nn.Conv1d(1, 1, 3, padding=1)),
            "conv",
            f"along {NEIGHBOURS}",
            id="along the channels",
        ),
    ],
)
def test_the_layer_that_mixes_is_named(network: nn.Module, layer: str, why: str) -> None:
    assert find_switches(network, example()).left_alone[layer] == why
    assert why.endswith(OTHERS)
