"""Small task networks, built from PyTorch's layers."""

import math
from collections import OrderedDict

from torch import nn

Shape = tuple[int, int, int]  # channels, height, width


def scale_widths(width: float, *neurons: int) -> list[int]:
    """Multiplies numbers of neurons by `width`; each layer keeps at least one."""
    return [max(1, round(n * width)) for n in neurons]


def mlp(shape: Shape, classes: int, width: float = 1.0) -> nn.Module:
    """A multilayer perceptron with 300 and 100 hidden units."""
    first, second = scale_widths(width, 300, 100)
    return sequential(
        flatten=nn.Flatten(),
        fc1=nn.Linear(math.prod(shape), first),
        relu1=nn.ReLU(),
        fc2=nn.Linear(first, second),
        relu2=nn.ReLU(),
        scores=nn.Linear(second, classes),
    )


def lenet5(shape: Shape, classes: int, width: float = 1.0) -> nn.Module:
    """LeNet-5 in its 20-50-500 form (LeCun et al. 1998, as in Caffe's examples), with ReLU."""
    channels, high, wide = shape
    pixels = ((high - 4) // 2 - 4) // 2 * (((wide - 4) // 2 - 4) // 2)
    first, second, hidden = scale_widths(width, 20, 50, 500)
    return sequential(
        conv1=nn.Conv2d(channels, first, 5),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(first, second, 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(second * pixels, hidden),
        relu3=nn.ReLU(),
        scores=nn.Linear(hidden, classes),
    )


def vgg_small(shape: Shape, classes: int, width: float = 1.0) -> nn.Module:
    """Four 3 x 3 convolutions with batch norm (32-32-64-64) and 256 hidden units."""
    channels, high, wide = shape
    *convolutions, hidden = scale_widths(width, 32, 32, 64, 64, 256)
    layers: dict[str, nn.Module] = {}
    for i, out_channels in enumerate(convolutions, start=1):
        layers[f"conv{i}"] = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        layers[f"norm{i}"] = nn.BatchNorm2d(out_channels)
        layers[f"relu{i}"] = nn.ReLU()
        if i % 2 == 0:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        channels = out_channels
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(channels * (high // 4) * (wide // 4), hidden)
    layers["relu5"] = nn.ReLU()
    layers["scores"] = nn.Linear(hidden, classes)
    return sequential(**layers)


def sequential(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
