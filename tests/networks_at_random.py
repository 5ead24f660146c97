"""Networks put together by chance, for properties that must hold of any network.

A network is a list of `Block`s, so that hypothesis can show and shrink the one that fails.
"""

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.norms import MeanSquare, Response
from tests.standardised import Gained

SHAPE = (3, 8, 8)
CLASSES = 4

# All but the last two map 0 to 0.
ACTIVATIONS: dict[str, Any] = {
    "relu": lambda n: nn.ReLU(),
    "gelu": lambda n: nn.GELU(),
    "silu": lambda n: nn.SiLU(),
    "tanh": lambda n: nn.Tanh(),
    "hardswish": lambda n: nn.Hardswish(),
    "prelu": lambda n: nn.PReLU(),
    "prelu(n)": lambda n: nn.PReLU(n),
    "none": lambda n: nn.Identity(),
    "sigmoid": lambda n: nn.Sigmoid(),
    "softplus": lambda n: nn.Softplus(),
}
KINDS = (
    "plain",
    "depthwise",
    "added",
    "projected",
    "joined",
    "dense",
    "shared",
    "gated",
    "twice",
    "pool",
    "halves",
    "partial",
    "scaled",
    "paths",
    "larger",
    "several",
    "padded",
    "constants",
    "shuffled",
    "turned",
    "squares",
    "length",
    "greatest",
    "places",
    "pictured",
    "answers",
    "tokens",
    "standardised",
)
WHOLE = KINDS[KINDS.index("squares") :]


@dataclass(frozen=True)
class Block:
    """One step of a network."""

    kind: str = "plain"
    width: int = 4  # channels, of an even number
    kernel: int = 3
    bias: bool = True
    norm: str = "after"  # or "before", "grouped", "none", "unscaled", "instance"
    activation: str = "relu"
    groups: int = 1


@dataclass(frozen=True)
class Plan:
    """A whole network."""

    blocks: tuple[Block, ...]
    head: str = "linear"  # or "hidden", "normed", "pooled", "convolution"
    flat: bool = True  # several places of the image go into each channel's columns


blocks = st.builds(
    Block,
    kind=st.sampled_from(KINDS),
    width=st.sampled_from([2, 4, 6, 8]),
    kernel=st.sampled_from([1, 3]),
    bias=st.booleans(),
    norm=st.sampled_from(
        ["after", "after", "before", "before", "grouped", "none", "none", "unscaled", "instance"]
    ),
    activation=st.sampled_from(["relu", *ACTIVATIONS]),
    groups=st.sampled_from([1, 1, 2]),
)
plans = st.builds(
    Plan,
    blocks=st.lists(blocks, min_size=1, max_size=5).map(tuple),
    head=st.sampled_from(["linear", "hidden", "normed", "convolution"]),
    flat=st.booleans(),
)


class Step(nn.Module):
    """A convolution with its norm, before or behind it, and its activation."""

    def __init__(self, channels: int, width: int, b: Block, groups: int = 1) -> None:
        super().__init__()
        if channels % groups or width % groups:
            groups = 1
        self.conv = nn.Conv2d(
            channels, width, b.kernel, padding=b.kernel // 2, bias=b.bias, groups=groups
        )
        self.before = nn.BatchNorm2d(channels) if b.norm == "before" else nn.Identity()
        self.after = nn.BatchNorm2d(width) if b.norm == "after" else nn.Identity()
        if b.norm == "grouped" and width % 2 == 0:
            self.after = nn.GroupNorm(width // 2, width)
        elif b.norm == "unscaled":
            self.after = nn.BatchNorm2d(width, affine=False)
        elif b.norm == "instance" and b.kind != "gated":  # which has one place alone
            self.after = nn.InstanceNorm2d(width)
        self.activation = ACTIVATIONS[b.activation](channels if b.norm == "before" else width)
        self.first = b.norm == "before"

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            return self.conv(self.activation(self.before(x)))
        return self.activation(self.after(self.conv(x)))


class Meeting(nn.Module):
    """Steps, and a way past them that meets what they give."""

    def __init__(self, channels: int, b: Block) -> None:
        super().__init__()
        self.kind = b.kind
        self.width = {
            "added": channels,
            "projected": b.width,
            "joined": b.width + 2,
            "dense": channels + b.width,
            "gated": channels,
        }[b.kind]
        self.inner = Step(channels, b.width, b, b.groups)
        last = channels if b.kind in ("added", "gated") else b.width
        self.outer = Step(b.width, last, b)
        self.other = Step(channels, 2 if b.kind == "joined" else b.width, b)
        if b.kind in ("added", "dense", "gated"):
            self.other = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "joined":
            return torch.cat([self.inner(x), self.other(x)], 1)
        if self.kind == "dense":
            return torch.cat([x, self.inner(x)], 1)
        if self.kind == "gated":  # squeeze and excitation
            return x * torch.sigmoid(self.outer(self.inner(x.mean((2, 3), keepdim=True))))
        return self.other(x) + self.outer(self.inner(x))


class Shared(nn.Module):
    """One module, run twice."""

    def __init__(self, channels: int, b: Block) -> None:
        super().__init__()
        self.step = Step(channels, channels, b, b.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self.step(x))


class Apart(nn.Module):
    """Channels that are taken apart, or multiplied by a scale for each of them."""

    def __init__(self, channels: int, b: Block) -> None:
        super().__init__()
        self.kind, self.first = b.kind, max(channels // 3, 1)
        self.sizes = (self.first, channels - self.first)
        self.width = {
            "halves": b.width + channels // 2,
            "partial": channels,
            "scaled": channels,
            "paths": b.width,
        }[b.kind]
        read = {"halves": channels // 2, "partial": self.first}.get(b.kind, channels)
        writes = {"halves": b.width, "partial": self.first, "paths": 2 * b.width}
        self.inner = Step(read, writes.get(b.kind, channels), b)
        if b.kind == "scaled":
            self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "halves":
            a, b = x.chunk(2, 1)
            return torch.cat([a, self.inner(b)], 1)
        if self.kind == "partial":
            a, b = x.split(self.sizes, 1)
            return torch.cat([self.inner(a), b], 1)
        if self.kind == "scaled":
            return x + self.inner(x) * self.scale
        x = self.inner(x)
        n, channels, *places = x.shape
        return x.view(n, 2, channels // 2, *places).sum(1)


class Moved(nn.Module):
    """Channels that become places or others, and constant ones that are joined to them."""

    def __init__(self, channels: int, b: Block) -> None:
        super().__init__()
        self.kind = b.kind
        self.width = {
            "larger": b.width,
            "several": 2 * channels,
            "padded": channels + 2,
            "constants": channels + 2,
            "shuffled": channels,
            "turned": b.width,
        }[b.kind]
        self.inner: Any = Step(channels, self.width, b)
        if b.kind == "larger":
            groups = 2 if channels % 2 == 0 else 1
            self.inner = nn.ConvTranspose2d(
                channels, b.width, 3, padding=1, groups=groups, bias=b.bias
            )
        elif b.kind == "several":
            self.inner = nn.Conv2d(channels, 2 * channels, 3, padding=1, groups=channels)
        elif b.kind == "shuffled":
            self.inner = nn.Identity()
        elif b.kind == "turned":
            self.inner = Step(channels, 4 * b.width, b)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "padded":
            short = torch.nn.functional.pad(x, (0, 0, 0, 0, 1, 1))
            return self.inner(x) + short
        if self.kind == "constants":
            out = self.inner(x)
            n, channels, *places = x.shape
            return out + torch.cat([x, x.new_zeros(n, out.shape[1] - channels, *places)], 1)
        if self.kind == "shuffled":
            n, channels, *places = x.shape
            return x.view(n, 2, channels // 2, *places).transpose(1, 2).reshape(x.shape)
        x = self.inner(x)
        return nn.functional.pixel_shuffle(x, 2)[:, :, ::2, 1::2] if self.kind == "turned" else x


class Whole(nn.Module):
    """What looks at all channels, or at all places, and can lose some of them all the same."""

    def __init__(self, channels: int, b: Block, size: int) -> None:
        super().__init__()
        self.kind = b.kind
        self.width = channels if b.kind == "places" else b.width
        self.several = self.width * (2 if b.kind == "greatest" else 1)
        self.inner: Any = Step(channels, self.several, b)
        if b.kind == "squares":
            self.norm = nn.RMSNorm(self.width) if b.bias else MeanSquare(self.width)
        elif b.kind == "places":
            self.inner = nn.Identity()
            self.own = nn.Parameter(torch.ones(1, channels, size, size))
        elif b.kind == "pictured":
            self.inner = nn.Sequential(
                nn.Flatten(),
                nn.Linear(channels * size * size, 4 * self.width),
                nn.Unflatten(1, (self.width, 2, 2)),
            )
        elif b.kind == "answers":
            self.norm = Response(self.width, last=False)
        elif b.kind == "tokens":
            self.attention = nn.MultiheadAttention(self.width, 2, bias=b.bias, batch_first=True)
        elif b.kind == "standardised":
            self.inner = nn.Sequential(
                Gained(channels, self.width, 3, padding=1, bias=b.bias),
                ACTIVATIONS[b.activation](self.width),
            )

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        if self.kind == "squares":
            return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if self.kind == "length":
            return nn.functional.normalize(x, dim=1, eps=0.1)
        if self.kind == "greatest":
            n, channels, *places = x.shape
            return x.view(n, channels // 2, 2, *places).amax(2)
        if self.kind == "answers":
            return self.norm(x)
        if self.kind == "tokens":
            tokens = x.flatten(2).transpose(1, 2)
            given, _ = self.attention(tokens, tokens, tokens, need_weights=self.width > 4)
            return given.transpose(1, 2).reshape(x.shape)
        return x + self.own if self.kind == "places" else x


class Twice(nn.Module):
    """Joins what comes to itself."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], 1)


def built(plan: Plan) -> nn.Module:
    """The network, in float64, with every parameter and statistic drawn at random."""
    layers: list[nn.Module] = []
    channels, size = SHAPE[0], SHAPE[1]
    for b in plan.blocks:
        if b.kind == "plain":
            layers.append(Step(channels, b.width, b, b.groups))
            channels = b.width
        elif b.kind == "depthwise":
            layers.append(Step(channels, channels, b, channels))
        elif b.kind == "shared":
            layers.append(Shared(channels, b))
        elif b.kind == "twice":
            layers.append(Twice())
            channels *= 2
        elif b.kind in ("halves", "partial", "scaled", "paths"):
            if channels > 1 and (b.kind != "halves" or channels % 2 == 0):
                apart = Apart(channels, b)
                layers.append(apart)
                channels = apart.width
        elif b.kind in ("larger", "several", "padded", "constants", "shuffled", "turned"):
            if b.kind != "shuffled" or channels % 2 == 0:
                moved = Moved(channels, b)
                layers.append(moved)
                channels = moved.width
        elif b.kind in WHOLE:
            whole = Whole(channels, b, size)
            layers.append(whole)
            channels, size = whole.width, 2 if b.kind == "pictured" else size
        elif b.kind == "pool":
            if size > 2:
                layers.append(nn.MaxPool2d(2) if b.bias else nn.AvgPool2d(2))
                size //= 2
        else:
            meeting = Meeting(channels, b)
            layers.append(meeting)
            channels = meeting.width
    layers += head(plan, channels, size)
    return drawn(nn.Sequential(*layers).double().eval())


def head(plan: Plan, channels: int, size: int) -> list[nn.Module]:
    if plan.head == "convolution":
        return [nn.Conv2d(channels, CLASSES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    places = size * size if plan.flat else 1
    layers: list[nn.Module] = [] if plan.flat else [nn.AdaptiveAvgPool2d(1)]
    layers.append(nn.Flatten())
    if plan.head == "linear":
        return [*layers, nn.Linear(channels * places, CLASSES)]
    layers += [nn.Linear(channels * places, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, CLASSES)]
    if plan.head == "normed":
        layers.insert(-3, nn.BatchNorm1d(6))
    return layers


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draws every parameter and statistic: a fresh bias, norm or layer scale would hide errors."""
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.data.copy_(values * (high - low) + low)

    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            about_1 = "Norm" in type(module).__name__ and name == "weight"
            if about_1 or name in ("layer_scale", "scale"):
                draw(parameter, 0.5, 1.5)
            elif parameter.ndim < 2:
                draw(parameter, -0.3, 0.3)
            else:  # keeps the spread of what goes through a ReLU
                bound = (6 / parameter[0].numel()) ** 0.5
                draw(parameter, -bound, bound)
        for name, buffer in module.named_buffers(recurse=False):
            if name == "running_mean":
                draw(buffer, -0.3, 0.3)
            elif name == "running_var":
                draw(buffer, 0.5, 1.5)
    return network
