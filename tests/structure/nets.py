"""Networks, sentences and checks that several tests of this folder share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

OUTPUTS = "these are the network's outputs"
MIXES = "takes a mean over all channels, so without one of them the others would change"
FROM_OTHERS = (
    "computes each channel from the others too, so without one of them the others would change"
)
FOLLOWED = "in a way that could not be followed"
RUNS = "network does not run on images of shape (2, 3, 8, 8): "
CHECK = "Check that its first layer takes images of this shape."
SCORES = "network must return class scores of shape (2, classes) for 2 images, got "
NOTHING = "At least one hidden layer, linear or a convolution, must have neurons that can go."
Sequential = nn.Sequential


def change(layer: str) -> str:
    return f"without some of them, the outputs of layer {layer} would change"


def hidden(*before: nn.Module, width: int = 216) -> nn.Module:
    """A network whose first layers are in question, and whose last hidden layer is not."""
    layers = (*before, nn.Flatten(), nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 4))
    return Sequential(*layers)


class Net(nn.Module):
    """Layers by name, and how the images go through them to the 5 hidden units and the scores."""

    def __init__(self, forward: Callable[..., Tensor], width: int, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.way = forward
        self.hidden, self.head = nn.Linear(width, 5), nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.hidden(self.way(self, images).flatten(1))))


class Chooses(nn.Module):
    """Which layer runs is decided by the data."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.hidden, self.other, self.head = nn.Linear(192, 6), nn.Linear(192, 6), nn.Linear(6, 4)
        self.how = how

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        if self.how == "if":
            layer = self.hidden if x.sum() > 0 else self.other
            return self.head(layer(x).relu())
        if self.how == "item":
            return self.head(self.hidden(x) * x.max().item())
        return self.head(self.hidden(x)[x.sum(1) < 1e9])


class Picky(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("I take 28 x 28 pixels")


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 4)

    def forward(self, images: Tensor) -> Any:
        return self.head(images.flatten(1)), images


def assert_untouched(
    network: nn.Module, before: dict[str, Tensor], kept: list[Any], training: bool
) -> None:
    state = network.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[key], before[key]) for key in before)
    assert all(m.training == training for m in network.modules())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    now = [(p, p.requires_grad, p.grad) for p in network.parameters()]
    assert all(
        a[0] is b[0] and a[1] == b[1] and a[2] is b[2] for a, b in zip(kept, now, strict=True)
    )
