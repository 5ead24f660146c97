"""Small task networks, built from PyTorch's layers."""

from collections import OrderedDict

from torch import nn

Shape = tuple[int, int, int]  # channels, height, width


def mlp(shape: Shape, classes: int) -> nn.Module:
    """A multilayer perceptron with 300 and 100 hidden units."""
    channels, height, width = shape
    return sequential(
        flatten=nn.Flatten(),
        fc1=nn.Linear(channels * height * width, 300),
        relu1=nn.ReLU(),
        fc2=nn.Linear(300, 100),
        relu2=nn.ReLU(),
        scores=nn.Linear(100, classes),
    )


def lenet5(shape: Shape, classes: int) -> nn.Module:
    """LeNet-5 in its 20-50-500 form (LeCun et al. 1998, as shipped with Caffe), with ReLU."""
    channels, height, width = shape
    pixels = ((height - 4) // 2 - 4) // 2 * (((width - 4) // 2 - 4) // 2)
    return sequential(
        conv1=nn.Conv2d(channels, 20, 5),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(20, 50, 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(50 * pixels, 500),
        relu3=nn.ReLU(),
        scores=nn.Linear(500, classes),
    )


def vgg_small(shape: Shape, classes: int) -> nn.Module:
    """Four 3 x 3 convolutions with batch norm (32-32-64-64) and 256 hidden units."""
    channels, height, width = shape
    layers: dict[str, nn.Module] = {}
    for i, out_channels in enumerate((32, 32, 64, 64), start=1):
        layers[f"conv{i}"] = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        layers[f"norm{i}"] = nn.BatchNorm2d(out_channels)
        layers[f"relu{i}"] = nn.ReLU()
        if i % 2 == 0:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        channels = out_channels
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(channels * (height // 4) * (width // 4), 256)
    layers["relu5"] = nn.ReLU()
    layers["scores"] = nn.Linear(256, classes)
    return sequential(**layers)


def sequential(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
