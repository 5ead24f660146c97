"""Task networks by name; imports only `data`.

Any other `torch.nn.Module` from images to class scores serves as well.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.networks.known import (
    convnext_tiny,
    densenet121,
    efficientnet_b0,
    mobilenet_v2,
    resnet,
    resnet_cifar,
    resnet_imagenet,
    squeezenet,
    vgg,
    vit_tiny,
)
from snnviz.networks.small import lenet5, mlp, vgg_small

# The smallest height and width that the network can take stands beside it.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "mlp": (mlp, 1),
    "lenet5": (lenet5, 16),
    "vgg_small": (vgg_small, 4),
    "vgg11": (partial(vgg, "A"), 16),
    "vgg16": (partial(vgg, "D"), 16),
    "vgg19": (partial(vgg, "E"), 16),
    "resnet8": (partial(resnet_cifar, 1), 1),
    "resnet20": (partial(resnet_cifar, 3), 1),
    "resnet56": (partial(resnet_cifar, 9), 1),
    "resnet18": (partial(resnet, "resnet18"), 1),
    "resnet34": (partial(resnet, "resnet34"), 1),
    "resnet50": (partial(resnet, "resnet50"), 1),
    "resnet18_imagenet": (partial(resnet_imagenet, "resnet18"), 1),
    "resnet34_imagenet": (partial(resnet_imagenet, "resnet34"), 1),
    "resnet50_imagenet": (partial(resnet_imagenet, "resnet50"), 1),
    "resnext50": (partial(resnet, "resnext50_32x4d"), 1),
    "mobilenet_v2": (mobilenet_v2, 1),
    "densenet121": (densenet121, 8),
    "squeezenet": (squeezenet, 8),
    "efficientnet_b0": (efficientnet_b0, 1),
    "convnext_tiny": (convnext_tiny, 16),
    "vit_tiny": (vit_tiny, 4),
}


MOST_WIDTH = 64
# Networks that can be made wider and narrower.
SCALABLE = ("mlp", "lenet5", "vgg_small", "resnet8", "resnet20", "resnet56")


class Recipe(NamedTuple):
    """What `network` was asked for: enough to make another such network, before training."""

    name: str
    seed: int
    width: float = 1.0


# Kept beside the modules, which stay the user's own.
_RECIPES: WeakKeyDictionary[nn.Module, Recipe] = WeakKeyDictionary()


def recipe(module: nn.Module) -> Recipe | None:
    """How `network` made this module; None for a network of one's own."""
    return _RECIPES.get(module)


def network(name: str, data: ImageData, seed: int = 0, width: float = 1.0) -> nn.Module:
    """A task network for these images and classes, with weights drawn from `seed`.

    Args:
        name: one of `mlp`, `lenet5`, `vgg_small`; `vgg11`, `vgg16`, `vgg19` with batch norm in
            their CIFAR form; `resnet8`, `resnet20`, `resnet56`; with a CIFAR stem `resnet18`,
            `resnet34`, `resnet50`, `resnext50`, `densenet121`; as torchvision has them
            `resnet18_imagenet`, `resnet34_imagenet`, `resnet50_imagenet`; and, with strides for
            small images, `mobilenet_v2`, `squeezenet`, `efficientnet_b0`, `convnext_tiny`,
            `vit_tiny`.
        data: gives the images' shape and the number of classes.
        seed: of the initial weights; torch's own random state is left as it was.
        width: multiplies the neurons of each hidden layer; other than 1 only for `mlp`, `lenet5`,
            `vgg_small`, `resnet8`, `resnet20` and `resnet56`.

    Raises:
        ValueError: no network has that name, it has no such width, or the images are too small
            for it, or cannot be cut into patches (`vit_tiny`).
    """
    if name not in NETWORKS:
        raise ValueError(
            f"name must be one of {', '.join(NETWORKS)}, got {name!r}. "
            "For a network of your own, pass any torch.nn.Module to Trainer."
        )
    build, smallest = NETWORKS[name]
    if min(data.shape[1:]) < smallest:
        raise ValueError(
            f"{name} needs images of at least {smallest} x {smallest} pixels, "
            f"got {data.shape[1]} x {data.shape[2]}. Resize them, or use 'mlp'."
        )
    check_width(name, width)
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU, the same everywhere
        torch.manual_seed(seed)
        scale = {} if width == 1 else {"width": width}
        made = build(data.shape, data.n_classes, **scale)
    _RECIPES[made] = Recipe(name, seed, float(width))
    return made


def check_width(name: str, width: float) -> None:
    """Whether the network of that name can be made so many times as wide.

    Raises:
        ValueError: it cannot.
    """
    number = isinstance(width, int | float) and not isinstance(width, bool)
    if not number or not 0 < width <= MOST_WIDTH:
        raise ValueError(
            f"width must be a number above 0, and at most {MOST_WIDTH}, got {width!r}."
        )
    if width != 1 and name not in SCALABLE:
        raise ValueError(
            f"width must be 1 for {name}, got {width!r}. "
            f"Networks that can be made wider and narrower: {', '.join(SCALABLE)}."
        )
