"""Users' own layers that standardise their weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def standardise(weight: Tensor, dims: tuple[int, ...]) -> Tensor:
    mean = weight.mean(dims, keepdim=True)
    return (weight - mean) / (weight.std(dims, keepdim=True) + 1e-6)


class Standardised(nn.Conv2d):
    """Its weights always have mean 0 and variance 1, whatever they are multiplied by."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, standardise(self.weight, (1, 2, 3)), self.bias)


class Gained(nn.Conv2d):
    """The same with a gain for each output, which is 0 at first, as in networks without norms."""

    def __init__(self, *sizes: int, **more: Any) -> None:
        super().__init__(*sizes, **more)
        self.gain = nn.Parameter(torch.zeros(self.out_channels, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        weight = standardise(self.weight, (1, 2, 3)) * self.gain
        return self._conv_forward(input, weight, self.bias)


class Activated(Standardised):
    """It does something else besides."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).relu()


class OneGain(Gained):
    """With one gain for all outputs."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.gain = nn.Parameter(torch.ones(()))


class Flat(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, standardise(self.weight, (1,)), bias=self.bias * 2)


class Larger(nn.ConvTranspose2d):
    def forward(self, input: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight = standardise(self.weight, (0, 2, 3))
        return F.conv_transpose2d(input, weight, self.bias, self.stride)


class Line(nn.Conv1d):
    def forward(self, input: Tensor) -> Tensor:
        weight = standardise(self.weight, (1, 2))
        return F.conv1d(input=input, weight=weight, bias=self.bias, dilation=self.dilation)
