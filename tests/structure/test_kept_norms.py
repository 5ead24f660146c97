"""Norms that stay the same without channels that are 0."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.structure.kept_norms import KeptNorm, is_bias, keep_outputs, read_norm
from tests.norms import MeanSquare, OnImages, Response, Shifted


class Centred(MeanSquare):
    """It takes the mean away first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(-1, keepdim=True))


class Greatest(Response):
    """It divides by the greatest length, and not by the mean."""

    def share(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=self.places, keepdim=True)
        return length / (length.amax(self.channel, keepdim=True) + self.epsilon)


class Alone(Response):
    """The input is not added."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) - x


class Written(MeanSquare):
    """Its code has a constant, which is the same as the eps that it holds."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 0.1) * self.weight


RESPONSE = KeptNorm("gamma", "beta", "epsilon", root=False)
NORMS = {
    "torch": (nn.RMSNorm(6), KeptNorm("weight", "", "eps", root=True)),
    "by hand": (MeanSquare(6), KeptNorm("weight", "", "eps", root=True)),
    "of images": (OnImages(6), KeptNorm("weight", "", "eps", root=True)),
    "with a bias": (Shifted(6), KeptNorm("weight", "shift", "eps", root=True)),
    "response": (Response(6, last=False), RESPONSE),
    "response, channels last": (Response(6, last=True), RESPONSE),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_read_by_what_they_compute(name: str) -> None:
    """Whatever their numbers are: those of a response norm are 0 at first."""
    norm, expected = NORMS[name]
    assert read_norm(norm) == expected
    for value in (0.0, 1.0):
        for parameter in norm.parameters():
            nn.init.constant_(parameter, value)
        assert read_norm(norm) == expected


@pytest.mark.parametrize(
    "norm",
    [
        nn.LayerNorm(6), nn.BatchNorm2d(6), nn.Linear(6, 6), nn.Sequential(MeanSquare(6)),
        MeanSquare(6, eps="no number"), Centred(6), Greatest(6, last=False), Alone(6, last=True),  # pyright: ignore[reportArgumentType]
        Written(6),
    ],
)  # fmt: skip
def test_other_modules_are_none(norm: nn.Module) -> None:
    assert read_norm(norm) is None


def test_the_bias_is_told_from_the_weight() -> None:
    network = nn.Sequential(Response(6, last=False), nn.Linear(6, 6))
    found = [name for name, _ in network.named_parameters() if is_bias(network, name)]
    assert found == ["0.beta"]


@torch.no_grad()
@pytest.mark.parametrize("name", NORMS)
def test_fewer_channels_give_the_same(name: str, rng: Any) -> None:
    """By definition: channels that are 0, and then none of them."""
    norm, found = NORMS[name]
    norm, n, left = norm.double(), 6, 4
    for parameter in norm.parameters():
        parameter.copy_(torch.from_numpy(rng.uniform(-1, 1, parameter.shape)))
    images = name in ("of images", "response")
    x = torch.from_numpy(rng.uniform(-1, 1, (2, 3, 3, n)))
    x[..., left:] = 0
    whole = norm(x.movedim(-1, 1)).movedim(1, -1) if images else norm(x)
    times = keep_outputs(norm, found, left, n)
    for own in norm._parameters:
        value: Any = getattr(norm, own)
        dim = max(range(value.ndim), key=lambda d: value.shape[d])
        kept = value.narrow(dim, 0, left) * (times if own == found.weight else 1)
        setattr(norm, own, nn.Parameter(kept))
    x = x[..., :left]
    small = norm(x.movedim(-1, 1)).movedim(1, -1) if images else norm(x)
    torch.testing.assert_close(small, whole[..., :left], rtol=0, atol=1e-12)
