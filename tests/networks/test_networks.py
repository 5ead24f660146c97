"""Task networks by name."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import StochasticDepth

from snnviz.data import ImageData
from snnviz.networks import NETWORKS, network, recipe
from snnviz.networks.small import Shape

ROOT = Path(__file__).parents[2]
NAMES = (
    "mlp, lenet5, vgg_small, vgg11, vgg16, vgg19, resnet8, resnet20, resnet56, resnet18, "
    "resnet34, resnet50, resnet18_imagenet, resnet34_imagenet, resnet50_imagenet, resnext50, "
    "mobilenet_v2, densenet121, squeezenet, efficientnet_b0, convnext_tiny, vit_tiny"
)

QUOTED = ", ".join(map(repr, NAMES.split(", ")))


@cache
def images(c: int = 1, h: int = 16, w: int = 16, classes: int = 3) -> ImageData:
    n = max(12, classes)
    labels = torch.arange(n) % classes
    pixels = torch.arange(n * c * h * w).remainder(256).to(torch.uint8).view(n, c, h, w)
    return ImageData.from_tensors((pixels, labels), (pixels, labels), device="cpu")


def built(name: str, shape: Shape = (3, 32, 32), classes: int = 10) -> nn.Module:
    """The network without any numbers in it, which takes no time."""
    with torch.device("meta"):
        return NETWORKS[name][0](shape, classes)


def scores(made: nn.Module, *shape: int) -> Tensor:
    return made(torch.empty(2, *shape, device="meta"))


def test_the_names() -> None:
    assert ", ".join(NETWORKS) == NAMES


def test_the_docs_know_every_network() -> None:
    """Both are written by benchmarks/networks.py, when a network comes or goes."""
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = [row for row in page.partition("\n## ")[0].splitlines() if row.startswith("| ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == ["network", *NETWORKS]
    measured = (ROOT / "benchmarks" / "results" / "networks.csv").read_text().splitlines()
    names = [row.split(",")[0] for row in measured]
    assert [name for name in names if "/" not in name] == ["network", *NETWORKS]


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 28, 28, 10), (3, 32, 32, 100)])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_scores(name: str, shape: tuple[int, int, int, int]) -> None:
    data = images(*shape)
    made = network(name, data)
    given = made(data.batch("train", torch.arange(2))[0])
    assert made.training
    assert given.shape == (2, shape[-1])
    assert given.dtype == torch.float32
    assert torch.isfinite(given).all()
    assert scores(made.to("meta"), *shape[:3]).shape == (2, shape[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_draws_the_weights_and_leaves_torch_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    one, same = (network(name, images(1, 28, 28), seed=1).state_dict() for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, same[key]) for key, value in one.items())


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("mlp", ["fc1", "scores"]),
        ("vgg_small", ["conv1", "scores"]),
        ("vgg11", ["features.0", "features.25", "classifier"]),
        ("resnet20", ["conv1", "layer2.0.downsample.0", "fc"]),
        ("squeezenet", ["features.0", "features.12.expand3x3", "classifier.1"]),
        ("vit_tiny", ["conv_proj", "encoder.layers.encoder_layer_0.mlp.0"]),
    ],
)
def test_another_seed_draws_other_weights(name: str, layers: list[str]) -> None:
    one, other = (network(name, images(1, 28, 28), seed=seed) for seed in (1, 2))
    for layer in layers:
        weight = f"{layer}.weight"
        assert not torch.equal(one.get_parameter(weight), other.get_parameter(weight))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 23), (2, 64, 48), (3, 64, 64)])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_every_shape(name: str, shape: Shape) -> None:
    if name == "vit_tiny":  # it takes square images alone
        shape = (shape[0], shape[1] // 16 * 16, shape[1] // 16 * 16)
    assert scores(built(name, shape, 5), *shape).shape == (2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_images_are_just_large_enough(name: str) -> None:
    least = NETWORKS[name][1]
    shape = (1, least, least + 3 * (name != "vit_tiny"))
    assert scores(built(name, shape), *shape).shape == (2, 10)
    if least > 1:
        with pytest.raises((RuntimeError, ValueError, UserWarning)):
            scores(built(name, (1, least - 1, least - 1)), 1, least - 1, least - 1)


@pytest.mark.parametrize(
    ("name", "classes", "published", "within"),
    [
        ("vgg11", 10, 9.23e6, 0.01),
        ("vgg16", 10, 14.72e6, 0.001),
        ("vgg19", 10, 20.04e6, 0.001),  # Liu et al. 2017, table 1
        ("resnet20", 10, 0.27e6, 0.02),  # He et al. 2016, table 6; ours has option B's shortcuts
        ("resnet56", 10, 0.85e6, 0.02),
        ("resnet18", 10, 11.17e6, 0.001),
        ("resnet34", 10, 21.28e6, 0.001),
        ("resnet50", 10, 23.52e6, 0.001),
        ("resnet18_imagenet", 1000, 11_689_512, 0),  # from here on torchvision's own numbers
        ("resnet34_imagenet", 1000, 21_797_672, 0),
        ("resnet50_imagenet", 1000, 25_557_032, 0),
        ("mobilenet_v2", 1000, 3_504_872, 0),
        ("squeezenet", 1000, 1_235_496, 0),
        ("efficientnet_b0", 1000, 5_288_548, 0),
        ("resnext50", 1000, 25_028_904 - 64 * 3 * (49 - 9), 0),  # the stems are smaller here
        ("densenet121", 1000, 7_978_856 - 64 * 3 * (49 - 9), 0),
        ("convnext_tiny", 1000, 28_589_128 - 96 * 3 * (16 - 4), 0),
        ("vit_tiny", 1000, 5.7e6, 0.03),  # DeiT-Ti; smaller patches and fewer of them here
    ],
)
def test_sizes_are_the_published_ones(
    name: str, classes: int, published: float, within: float
) -> None:
    size = sum(p.numel() for p in built(name, classes=classes).parameters())
    assert size == pytest.approx(published, rel=within, abs=0)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("mlp", [300, 100, 3]),
        ("lenet5", [20, 50, 500, 3]),
        ("vgg_small", [32, 32, 64, 64, 256, 3]),
        ("vgg11", [64, 128, 256, 256, 512, 512, 512, 512, 3]),
        ("resnet20", [*[16] * 7, 32, 32, *[32] * 5, 64, 64, *[64] * 5, 3]),
    ],
)
def test_widths(name: str, widths: list[int]) -> None:
    layers = [m for m in built(name, classes=3).modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert sorted(layer.weight.shape[0] for layer in layers) == sorted(widths)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("vgg16", 28, 1),
        ("resnet20", 28, 7),
        ("resnet18", 28, 4),
        ("resnet50", 28, 4),
        ("resnet18_imagenet", 14, 1),
        ("resnext50", 28, 4),
        ("mobilenet_v2", 28, 4),
        ("densenet121", 28, 3),
        ("squeezenet", 28, 3),
        ("efficientnet_b0", 28, 2),
        ("convnext_tiny", 14, 1),
        ("vit_tiny", 7, 7),
    ],
)
def test_pixels_a_side_of_the_first_and_the_last_convolution(
    name: str, first: int, last: int
) -> None:
    made = built(name, (1, 28, 28))
    sides = []
    for module in made.modules():
        # 1 x 1 also stands for a gate, which sees the mean over all pixels
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            module.register_forward_hook(lambda _, __, output: sides.append(output.shape[-1]))
    scores(made, 1, 28, 28)
    assert (sides[0], sides[-1]) == (first, last)


TORCHVISION = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet18_imagenet": "resnet18",
    "resnet34_imagenet": "resnet34",
    "resnet50_imagenet": "resnet50",
    "resnext50": "resnext50_32x4d",
    "mobilenet_v2": "mobilenet_v2",
    "densenet121": "densenet121",
    "squeezenet": "squeezenet1_1",
    "efficientnet_b0": "efficientnet_b0",
    "convnext_tiny": "convnext_tiny",
    "vit_tiny": "vit_b_16",
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_layers_have_torchvisions_names(name: str) -> None:
    with torch.device("meta"):
        theirs = models.get_model(TORCHVISION[name], weights=None)
    assert list(built(name).state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize(("name", "theirs"), [("vgg11", "vgg11_bn"), ("vgg19", "vgg19_bn")])
def test_a_vggs_features_have_torchvisions_names(name: str, theirs: str) -> None:
    with torch.device("meta"):
        features = models.get_model(theirs, weights=None).get_submodule("features")
    kinds = [(key, type(module)) for key, module in features.named_children()]
    ours = built(name).get_submodule("features")
    assert [(key, type(module)) for key, module in ours.named_children()] == kinds[:-1]


def test_torchvisions_own_form_has_torchvisions_weights() -> None:
    torch.manual_seed(5)
    theirs = models.resnet18(weights=None, num_classes=3).state_dict()
    ours = network("resnet18_imagenet", images(3, 28, 28), seed=5).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize(
    ("name", "layer", "std"),
    [
        ("vgg11", "features.0", (2 / (64 * 9)) ** 0.5),  # He normal by fan-out
        ("vgg11", "features.4", (2 / (128 * 9)) ** 0.5),
        ("vgg11", "classifier", 0.01),
        ("resnet20", "conv1", (2 / (16 * 9)) ** 0.5),
        ("resnet20", "layer3.1.conv1", (2 / (64 * 9)) ** 0.5),
        ("resnet18", "conv1", (2 / (64 * 9)) ** 0.5),
        ("resnet18_imagenet", "conv1", (2 / (64 * 49)) ** 0.5),
        ("mobilenet_v2", "features.0.0", (2 / (32 * 9)) ** 0.5),
        ("efficientnet_b0", "features.0.0", (2 / (32 * 9)) ** 0.5),
        ("densenet121", "features.conv0", (2 / 9) ** 0.5),  # by fan-in
        ("squeezenet", "features.0", (2 / 9) ** 0.5),
        ("convnext_tiny", "features.0.0", 0.02),
        ("vit_tiny", "conv_proj", 1 / 4),  # 1 / root of the fan-in of 16
    ],
)
def test_first_layers_are_drawn_as_torchvision_draws_them(
    name: str, layer: str, std: float
) -> None:
    made = network(name, images(1, 28, 28)).get_submodule(layer)
    assert made.get_parameter("weight").std().item() == pytest.approx(std, rel=0.2)
    if isinstance(made.bias, Tensor):
        assert not made.bias.any()


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_torchvisions(name: str) -> None:
    dropouts = {"mobilenet_v2": 0.2, "efficientnet_b0": 0.2, "squeezenet": 0.5}
    skipped = {"efficientnet_b0": 0.2, "convnext_tiny": 0.1}
    modules = list(built(name).modules())
    most = max([m.p for m in modules if isinstance(m, nn.Dropout)], default=0)
    assert most == dropouts.get(name, 0)
    depths = max([m.p for m in modules if isinstance(m, StochasticDepth)], default=0)
    assert depths == pytest.approx(skipped.get(name, 0), rel=0.1)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            "resnet",
            (16, 16),
            f"name must be one of {QUOTED}, got 'resnet'. "
            "For a network of your own, pass any torch.nn.Module to Trainer.",
        ),
        (
            "lenet5",
            (16, 15),
            "lenet5 needs images of at least 16 x 16 pixels, got 16 x 15. "
            "Resize the images, or use 'mlp'.",
        ),
        (
            "vgg_small",
            (3, 8),
            "vgg_small needs images of at least 4 x 4 pixels, got 3 x 8. "
            "Resize the images, or use 'mlp'.",
        ),
        *(
            (
                name,
                (least - 1, 32),
                f"{name} needs images of at least {least} x {least} pixels, got {least - 1} x 32. "
                "Resize the images, or use 'mlp'.",
            )
            for name, least in [
                ("vgg11", 16),
                ("vgg16", 16),
                ("vgg19", 16),
                ("densenet121", 8),
                ("squeezenet", 8),
                ("convnext_tiny", 16),
                ("vit_tiny", 4),
            ]
        ),
        *(
            (
                "vit_tiny",
                size,
                "vit_tiny divides images into 4 to 16 patches per side, so it needs square images "
                "of a size that allows this, such as 28 x 28 or 32 x 32, got "
                f"{size[0]} x {size[1]}. "
                "Resize the images, or use 'convnext_tiny'.",
            )
            for size in [(28, 32), (17, 17), (31, 31)]
        ),
    ],
)
def test_errors(name: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        network(name, images(1, *size))


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("mlp", {"fc1": 150, "fc2": 50, "scores": 3}),
        ("lenet5", {"conv1": 10, "conv2": 25, "fc1": 250, "scores": 3}),
        ("vgg_small", {"conv1": 16, "conv4": 32, "fc1": 128, "scores": 3}),
        ("resnet8", {"conv1": 8, "layer2.0.conv1": 16, "layer3.0.downsample.0": 32, "fc": 3}),
    ],
)
def test_half_as_wide(name: str, widths: dict[str, int]) -> None:
    made = network(name, images(), width=0.5)
    assert {layer: len(made.get_submodule(layer).weight) for layer in widths} == widths  # type: ignore[arg-type]
    assert made(torch.randn(2, 1, 16, 16)).shape == (2, 3)
    assert recipe(made) == (name, 0, 0.5)


def test_a_layer_has_at_least_one_neuron() -> None:
    assert [len(p) for p in network("mlp", images(), width=0.001).parameters()] == [
        1,
        1,
        1,
        1,
        3,
        3,
    ]


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("mlp", 0, "width must be a number from 0.001 to 64, got 0."),
        ("mlp", "2", "width must be a number from 0.001 to 64, got '2'."),
        ("mlp", 65, "width must be a number from 0.001 to 64, got 65."),
        (
            "resnet18",
            0.5,
            "width must be 1 for resnet18, got 0.5. Networks that can be made wider and narrower: "
            "mlp, lenet5, vgg_small, resnet8, resnet20, resnet56.",
        ),
    ],
)
def test_widths_that_are_not_allowed(name: str, width: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        network(name, images(), width=width)
