"""Task networks by name; imports only `data` and top-level modules.

Any other `torch.nn.Module` that maps images to class scores can be used as well.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from torch import nn

from snnviz.checks import kind_of, number, one_of
from snnviz.data import ImageData
from snnviz.devices import check_seed, seeded, standard_settings
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

# {name: (function that makes the network, its smallest height and width of images)}
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


LEAST_WIDTH, MOST_WIDTH = 0.001, 64
# Networks that have a width.
SCALABLE = ("mlp", "lenet5", "vgg_small", "resnet8", "resnet20", "resnet56")


class Recipe(NamedTuple):
    """The arguments of `network`, with which the same untrained network can be made again."""

    name: str
    seed: int
    width: float = 1.0


# Kept outside the modules, so that these are ordinary modules without extra attributes.
_RECIPES: WeakKeyDictionary[nn.Module, Recipe] = WeakKeyDictionary()


def recipe(module: nn.Module) -> Recipe | None:
    """The arguments with which `network` made this module; None for any other module."""
    return _RECIPES.get(module)


@standard_settings()
def network(name: str, data: ImageData, seed: int = 0, width: float = 1.0) -> nn.Module:
    """A task network for these images and classes, with weights drawn from `seed`.

    Args:
        name: one of `mlp`, `lenet5`, `vgg_small`; `vgg11`, `vgg16`, `vgg19` with batch norm in
            their CIFAR form; `resnet8`, `resnet20`, `resnet56`; with a CIFAR stem `resnet18`,
            `resnet34`, `resnet50`, `resnext50`, `densenet121`; exactly as in torchvision
            `resnet18_imagenet`, `resnet34_imagenet`, `resnet50_imagenet`; and, with strides for
            small images, `mobilenet_v2`, `squeezenet`, `efficientnet_b0`, `convnext_tiny`,
            `vit_tiny`.
        data: gives the shape of the images and the number of classes.
        seed: of the initial weights; torch's global random state is not changed.
        width: factor by which the number of neurons in each hidden layer is multiplied; must be 1
            except for `mlp`, `lenet5`, `vgg_small`, `resnet8`, `resnet20` and `resnet56`.

    Raises:
        ValueError: there is no network of that name or width, the images are too small for it, or
            they cannot be divided into patches (`vit_tiny`).
    """
    advice = "For a network of your own, pass any torch.nn.Module to Trainer."
    one_of("name", name, NETWORKS, advice)
    kind_of("data", data, ImageData, "a snnviz.ImageData", "The order is network(name, data).")
    build, smallest = NETWORKS[name]
    if min(data.shape[1:]) < smallest:
        raise ValueError(
            f"{name} needs images of at least {smallest} x {smallest} pixels, "
            f"got {data.shape[1]} x {data.shape[2]}. Resize the images, or use 'mlp'."
        )
    check_width(name, width)
    seed = check_seed("seed", seed)
    with seeded(seed):  # drawn on the CPU: the same on all devices
        scale = {} if width == 1 else {"width": width}
        made = build(data.shape, data.n_classes, **scale)
    _RECIPES[made] = Recipe(name, seed, float(width))
    return made


def check_width(name: str, width: float) -> None:
    """Checks that the network of that name can be made with this width.

    Raises:
        ValueError: it cannot.
    """
    number("width", width, LEAST_WIDTH, MOST_WIDTH)
    if width != 1 and name not in SCALABLE:
        raise ValueError(
            f"width must be 1 for {name}, got {width!r}. "
            f"Networks that can be made wider and narrower: {', '.join(SCALABLE)}."
        )
