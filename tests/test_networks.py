"""Task networks by name."""

import re

import pytest
import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.networks import NETWORKS, network


def images(c: int = 1, h: int = 16, w: int = 16, classes: int = 3) -> ImageData:
    labels = torch.arange(12) % classes
    pixels = torch.arange(12 * c * h * w).remainder(256).to(torch.uint8).view(12, c, h, w)
    return ImageData.from_tensors((pixels, labels), (pixels, labels), device="cpu")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 23), (1, 28, 28), (3, 32, 32)])
def test_every_network_takes_every_shape(name: str, shape: tuple[int, int, int]) -> None:
    data = images(*shape, classes=5)
    built = network(name, data)
    assert built(data.batch("train", torch.arange(2))[0]).shape == (2, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_images_are_just_large_enough(name: str) -> None:
    least = NETWORKS[name][1]
    data = images(h=least, w=least + 3)
    assert network(name, data)(data.batch("train", torch.arange(2))[0]).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("mlp", [300, 100, 3]),
        ("lenet5", [20, 50, 500, 3]),
        ("vgg_small", [32, 32, 64, 64, 256, 3]),
    ],
)
def test_widths(name: str, widths: list[int]) -> None:
    layers = [m for m in network(name, images()).modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [layer.weight.shape[0] for layer in layers] == widths


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            "resnet",
            (16, 16),
            "name must be one of mlp, lenet5, vgg_small, got 'resnet'. "
            "For a network of your own, pass any torch.nn.Module to Trainer.",
        ),
        (
            "lenet5",
            (16, 15),
            "lenet5 needs images of at least 16 x 16 pixels, got 16 x 15. "
            "Resize them, or use 'mlp'.",
        ),
        (
            "vgg_small",
            (3, 8),
            "vgg_small needs images of at least 4 x 4 pixels, got 3 x 8. "
            "Resize them, or use 'mlp'.",
        ),
    ],
)
def test_errors(name: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        network(name, images(1, *size))


def test_the_seed_draws_the_weights_and_leaves_torch_alone() -> None:
    data = images()
    before = torch.random.get_rng_state()
    one, same, other = (network("mlp", data, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.get_parameter("fc1.weight"), other.get_parameter("fc1.weight"))
