"""Users' own norms over channels, which stay the same without channels that are 0."""

import torch
from torch import Tensor, nn


class MeanSquare(nn.Module):
    """RMSNorm by hand."""

    def __init__(self, channels: int, eps: float = 0.1) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(channels)), eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class OnImages(MeanSquare):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + self.eps) * self.weight


class Shifted(nn.RMSNorm):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=0.1)
        self.shift = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.shift


class Response(nn.Module):
    """A global response norm by hand, of images or of tokens."""

    def __init__(self, channels: int, *, last: bool) -> None:
        super().__init__()
        shape = (1, 1, channels) if last else (channels, 1, 1)
        self.gamma, self.beta = (nn.Parameter(torch.ones(shape)) for _ in range(2))
        self.epsilon, self.channel = 0.1, -1 if last else 1
        self.places = (1, 2) if last else (2, 3)

    def share(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=self.places, keepdim=True)
        return length / (length.mean(self.channel, keepdim=True) + self.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * (x * self.share(x)) + self.beta + x


class Viewed(Response):
    """Of maps with channels last, whose numbers are reshaped to that, as in timm."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, last=True)
        self.gamma, self.beta = (nn.Parameter(torch.ones(channels)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        beta, gamma = (p.view(1, 1, 1, -1) for p in (self.beta, self.gamma))
        return x + torch.addcmul(beta, gamma, x * self.share(x))
