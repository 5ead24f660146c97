"""Known architectures: torchvision's modules with torchvision's names, adapted to small images.

Each docstring says what was changed so that images of 28 x 28 pixels do not shrink to nothing.
Dropout and stochastic depth are torchvision's: dropout in mobilenet_v2 and efficientnet_b0 (0.2)
and squeezenet (0.5), stochastic depth in efficientnet_b0 (up to 0.2) and convnext_tiny (up to 0.1).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from snnviz.networks.small import Shape, scale_widths, sequential


def vgg(layers: str, shape: Shape, classes: int) -> nn.Module:
    """VGG with batch norm in its CIFAR form; `layers` is torchvision's letter for the depth.

    As in Network Slimming (Liu et al. 2017) and Rethinking the Value of Network Pruning (Liu et
    al. 2019): no biases before the norms, an average instead of the last pooling, and one linear
    layer instead of three, so there is no dropout.
    """
    from torchvision.models.vgg import cfgs, make_layers

    features = make_layers(cfgs[layers][:-1], batch_norm=True)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            layer.bias = None
            _draw_he_normal(layer.weight)
    classifier = nn.Linear(512, classes)
    nn.init.normal_(classifier.weight, std=0.01)
    nn.init.zeros_(classifier.bias)
    _replace_first_layer(features, "0", shape[0], _draw_he_normal)
    pool = nn.AdaptiveAvgPool2d(1)
    return sequential(features=features, avgpool=pool, flatten=nn.Flatten(), classifier=classifier)


def resnet(name: str, shape: Shape, classes: int) -> nn.Module:
    """torchvision's ResNet or ResNeXt with a CIFAR stem: 3 x 3 with stride 1, no max pooling."""
    network = resnet_imagenet(name, shape, classes)
    _replace_first_layer(
        network, "conv1", shape[0], _draw_he_normal, kernel_size=3, stride=1, padding=1
    )
    network.set_submodule("maxpool", nn.Identity())
    return network


def resnet_imagenet(name: str, shape: Shape, classes: int) -> nn.Module:
    """torchvision's unchanged ResNet; small images have 1 x 1 pixels in its last blocks."""
    network = _make_torchvision(name, classes)
    _replace_first_layer(network, "conv1", shape[0], _draw_he_normal)
    return network


def resnet_cifar(blocks: int, shape: Shape, classes: int, width: float = 1.0) -> nn.Module:
    """The narrow ResNet for CIFAR (He et al. 2016, section 4.2): 16, 32 and 64 channels.

    It consists of torchvision's `BasicBlock`: `blocks` per width, 6 `blocks` + 2 layers in all.
    Where the width changes, the shortcut is a 1 x 1 convolution with a norm (the paper's option B).
    For CIFAR the paper uses option A, which pads with zero channels: that would connect the
    channels of one width to those of the next.
    """
    from torchvision.models.resnet import BasicBlock, conv1x1

    first, *others = scale_widths(width, 16, 32, 64)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(shape[0], first, 3, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(first),
        "relu": nn.ReLU(inplace=True),
        "layer1": nn.Sequential(*(BasicBlock(first, first) for _ in range(blocks))),
    }
    before = first
    for i, channels in enumerate(others, start=2):
        shortcut = nn.Sequential(conv1x1(before, channels, stride=2), nn.BatchNorm2d(channels))
        narrowing = BasicBlock(before, channels, stride=2, downsample=shortcut)
        rest = (BasicBlock(channels, channels) for _ in range(blocks - 1))
        layers[f"layer{i}"] = nn.Sequential(narrowing, *rest)
        before = channels
    layers |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    network = sequential(**layers, fc=nn.Linear(before, classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _draw_he_normal(module.weight)
    return network


def mobilenet_v2(shape: Shape, classes: int) -> nn.Module:
    """MobileNetV2; stem and first strided block have stride 1: 28 pixels become 4, not 1."""
    network = _make_torchvision("mobilenet_v2", classes)
    _replace_first_layer(network, "features.0.0", shape[0], _draw_he_normal, stride=1)
    depthwise: Any = network.get_submodule("features.2.conv.1.0")
    depthwise.stride = (1, 1)
    return network


def densenet121(shape: Shape, classes: int) -> nn.Module:
    """DenseNet-121 with a CIFAR stem: 3 x 3 with stride 1, no max pooling."""
    network = _make_torchvision("densenet121", classes)
    stem = {"kernel_size": 3, "stride": 1, "padding": 1}
    _replace_first_layer(network, "features.conv0", shape[0], nn.init.kaiming_normal_, **stem)
    network.set_submodule("features.pool0", nn.Identity())
    return network


def squeezenet(shape: Shape, classes: int) -> nn.Module:
    """SqueezeNet 1.1; stem with stride 1 and padding. A ReLU follows the scores, as published."""
    network = _make_torchvision("squeezenet1_1", classes)
    draw = nn.init.kaiming_uniform_
    _replace_first_layer(network, "features.0", shape[0], draw, stride=1, padding=1)
    return network


def efficientnet_b0(shape: Shape, classes: int) -> nn.Module:
    """EfficientNet-B0; stem with stride 1, so that 28 pixels become 2."""
    network = _make_torchvision("efficientnet_b0", classes)
    _replace_first_layer(network, "features.0.0", shape[0], _draw_he_normal, stride=1)
    return network


def convnext_tiny(shape: Shape, classes: int) -> nn.Module:
    """ConvNeXt-T; with patches of 2 x 2 instead of 4 x 4, 28 pixels become 1 and not 0."""
    network = _make_torchvision("convnext_tiny", classes)
    draw = partial(nn.init.trunc_normal_, std=0.02)
    _replace_first_layer(network, "features.0.0", shape[0], draw, kernel_size=2, stride=2)
    return network


def vit_tiny(shape: Shape, classes: int) -> nn.Module:
    """Vision transformer with the sizes of DeiT-Ti (Touvron et al. 2021), about 8 patches per side.

    Raises ValueError for images that cannot be divided into 4 to 16 patches per side.
    """
    from torchvision.models import VisionTransformer

    channels, height, width = shape
    sides = [n for n in range(4, 17) if height % n == 0]
    if height != width or not sides:
        raise ValueError(
            "vit_tiny divides images into 4 to 16 patches per side, so it needs square images of a "
            f"size that allows this, such as 28 x 28 or 32 x 32, got {height} x {width}. "
            "Resize the images, or use 'convnext_tiny'."
        )
    patch = height // min(sides, key=lambda n: abs(n - 8))
    network = VisionTransformer(
        image_size=height,
        patch_size=patch,
        num_layers=12,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
        num_classes=classes,
    )
    draw = partial(nn.init.trunc_normal_, std=(channels * patch**2) ** -0.5)
    _replace_first_layer(network, "conv_proj", channels, draw)
    return network


def _make_torchvision(name: str, classes: int) -> nn.Module:
    from torchvision import models  # late, so that `import snnviz` is fast

    return models.get_model(name, weights=None, num_classes=classes)


def _draw_he_normal(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def _replace_first_layer(
    network: nn.Module,
    name: str,
    channels: int,
    draw: Callable[[Tensor], Tensor],
    **changed: int,
) -> None:
    """Replaces the first convolution; `draw` initialises it as torchvision does in this network."""
    old: Any = network.get_submodule(name)
    if channels == old.in_channels and not changed:
        return
    settings: dict[str, Any] = {
        "kernel_size": old.kernel_size,
        "stride": old.stride,
        "padding": old.padding,
        "bias": old.bias is not None,
        **changed,
    }
    new = nn.Conv2d(channels, old.out_channels, **settings)
    draw(new.weight)
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    network.set_submodule(name, new)
