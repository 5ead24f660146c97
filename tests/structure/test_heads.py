"""Heads of attention layers, each a neuron."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.shrink import compact
from snnviz.structure import find_switches
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.shrink.nets import scores_of

WIDTH = 12


class Attention(nn.Module):
    """One layer writes queries, keys and values; how its heads are arranged differs."""

    def __init__(self, how: str, heads: int = 3) -> None:
        super().__init__()
        self.how, self.num_heads, self.head_dim, self.attn_dim = how, heads, WIDTH // heads, WIDTH
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.table = nn.Parameter(torch.randn(4, heads))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        if self.how == "side by side":
            split = self.qkv(x).view(n, tokens, self.num_heads, 3, self.head_dim)
            q, k, v = split.permute(3, 0, 2, 1, 4).unbind(0)
        elif self.how == "fixed":
            split = self.qkv(x).reshape(n, tokens, 3, self.num_heads, width // self.num_heads)
            q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        else:
            split = self.qkv(x).reshape(n, tokens, 3, self.num_heads, self.head_dim)
            q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        mask = None
        if self.how == "table":
            differences = (torch.arange(tokens)[:, None] - torch.arange(tokens)) % 4
            mask = self.table[differences].permute(2, 0, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
        return self.proj(x.reshape(n, tokens, width if self.how == "fixed" else self.attn_dim))


class Fixed(Attention):
    def __init__(self) -> None:
        super().__init__("fixed")


class Apart(nn.Module):
    """A layer for each of queries, keys and values; all sizes but one follow."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 3
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        q, k, v = (
            f(x).view(n, tokens, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v)
        )
        weights = (q @ k.transpose(-2, -1)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, -1))


class Transformer(nn.Module):
    def __init__(self, *attentions: nn.Module) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 4)
        self.attentions = nn.ModuleList(attentions)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in attentions)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).flatten(2).transpose(1, 2)
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            x = x + attention(norm(x))
        return self.head(x.mean(1))


@pytest.mark.parametrize("how", ["in turn", "side by side", "table", "apart"])
def test_a_head_is_a_neuron(how: str) -> None:
    layers = [Apart() if how == "apart" else Attention(how) for _ in range(2)]
    network, images = drawn(Transformer(*layers).double()).eval(), example().double()
    switches = find_switches(network, images)
    found = {name: group.neurons for name, group in switches.groups.items()}
    first = "q" if how == "apart" else "qkv"
    assert found == {f"attentions.{i}.{first}": 3 for i in (0, 1)}
    factors = {name: torch.tensor([0.5, 0.0, 1.5]).double() for name in found}
    expected = scores_of(network, images, switches, factors)
    small: Any
    small, report = compact(network, factors, images, switches=switches, latency=False)
    torch.testing.assert_close(small(images), expected)
    assert report.after == switches.size({name: s.numpy() for name, s in factors.items()})
    kept = small.attentions[0]
    assert (kept.heads if how == "apart" else kept.num_heads) == 2
    if how != "apart":
        assert (kept.attn_dim, kept.head_dim) == (8, 4)
        assert kept.table.shape == (4, 2 if how == "table" else 3)


def test_heads_of_a_size_that_is_taken_from_the_input() -> None:
    """All layers tell their own name."""
    network = Transformer(Attention("in turn"), Fixed(), Fixed())
    switches = find_switches(network, example())
    assert list(switches.groups) == ["attentions.0.qkv"]
    for i in (1, 2):
        assert switches.left_alone[f"attentions.{i}.qkv"] == (
            f"layer attentions.{i} gives all heads together as many channels as it gets, so no "
            "head can be taken out alone"
        )


def test_excluded_heads() -> None:
    network = Transformer(Attention("in turn"), Attention("in turn"))
    switches = find_switches(network, example(), exclude=["attentions.0.*"])
    assert list(switches.groups) == ["attentions.1.qkv"]
