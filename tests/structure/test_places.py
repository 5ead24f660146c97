"""Where operations move channels, against what they do to numbered channels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.structure.places import gather_by, known_dim, repeat_by, spread_by, turned


def moved(step: Callable[[Tensor], Tensor], channels: int) -> dict[int, set[int]]:
    """{channel: those that have something of it}, by running the step on each channel alone."""
    found = {}
    for channel in range(channels):
        x = torch.zeros(1, channels, 4, 4)
        x[:, channel] = 1
        y = step(x)
        found[channel] = set(torch.nonzero(y.movedim(1, 0).flatten(1).abs().sum(1))[:, 0].tolist())
    return found


@pytest.mark.parametrize(
    ("mapping", "step", "channels"),
    [
        pytest.param(spread_by(4), lambda x: F.pixel_unshuffle(x, 2), 3, id="places to channels"),
        pytest.param(gather_by(4), lambda x: F.pixel_shuffle(x, 2), 12, id="channels to places"),
        pytest.param(repeat_by(3, 2), lambda x: torch.cat([x, x], 1), 3, id="repeated"),
        pytest.param(turned(2, 3), lambda x: F.channel_shuffle(x, 2), 6, id="in turn"),
    ],
)
def test_mappings(
    mapping: Callable[[np.ndarray], np.ndarray], step: Callable[[Tensor], Tensor], channels: int
) -> None:
    came = mapping(np.stack([np.arange(channels), np.arange(channels)], 1))
    found: dict[int, set[int]] = {channel: set() for channel in range(channels)}
    for place, channel in came.tolist():
        found[channel].add(place)
    assert found == moved(step, channels)


def test_the_dimension_of_channels() -> None:
    x = torch.randn(2, 3, 4, 4)
    y = nn.Conv2d(3, 5, 1)(x)
    cases = {
        1: (y, y.relu(), y.flatten(2), y.permute(0, 2, 3, 1).permute(0, 3, 1, 2)),
        2: (y.flatten(2).transpose(1, 2), nn.Linear(5, 6)(y.flatten(2).transpose(1, 2))),
        3: (y.permute(0, 2, 3, 1), nn.LayerNorm(5)(y.permute(0, 2, 3, 1)).relu()),
    }
    for dim, tensors in cases.items():
        assert [known_dim(tensor.grad_fn) for tensor in tensors] == [dim] * len(tensors)
    assert known_dim(x.requires_grad_().relu().grad_fn) is None
