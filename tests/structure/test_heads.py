"""Heads of attention layers, each a neuron."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from snnviz.shrink import compact
from snnviz.structure import find_switches, scaled_parameters
from snnviz.structure.attention import NarrowAttention
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


class Grouped(nn.Module):
    """Several queries share their keys and values; two numbers count the heads."""

    def __init__(self, shared: int, heads: int = 6, way: str = "torch", bias: bool = False) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.way = heads, shared, way
        self.head_dim, self.kv_dim = WIDTH // heads, WIDTH // heads * shared
        self.q, self.o = nn.Linear(WIDTH, WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH)
        self.k, self.v = (nn.Linear(WIDTH, self.kv_dim, bias=bias) for _ in range(2))
        self.places = nn.Parameter(torch.randn(heads, 4, 4)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        q = self.q(x).view(n, tokens, self.num_heads, self.head_dim).transpose(1, 2)
        k, v = (
            f(x).view(n, tokens, self.num_kv_heads, self.head_dim).transpose(1, 2)
            for f in (self.k, self.v)
        )
        if self.way == "repeated":
            times = self.num_heads // self.num_kv_heads
            k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=self.places, enable_gqa=self.way == "torch"
        )
        return self.o(x.transpose(1, 2).reshape(n, tokens, -1))


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


@pytest.mark.parametrize("way", ["torch", "repeated"])
@pytest.mark.parametrize(
    ("shared", "neurons"),
    [((6,), (6,)), ((3, 6), (3, 6)), ((2, 2), (2, 2)), ((1, 3), (6, 3)), ((1, 1), (6, 6))],
)
def test_heads_that_share_keys_and_values(
    way: str, shared: tuple[int, ...], neurons: tuple[int, ...]
) -> None:
    """Those that share them are one neuron, if not all do; and each layer is arranged by itself."""
    layers = [Grouped(count, way=way) for count in shared]
    network, images = drawn(Transformer(*layers).double()).eval(), example().double()
    switches = find_switches(network, images)
    found = {name: group.neurons for name, group in switches.groups.items()}
    assert found == {f"attentions.{i}.q": n for i, n in enumerate(neurons)}
    factors = {name: torch.linspace(0, 2, n).double() for name, n in found.items()}
    expected = scores_of(network, images, switches, factors)
    small: Any
    small, report = compact(network, factors, images, switches=switches, latency=False)
    torch.testing.assert_close(small(images), expected)
    assert report.after == switches.size({name: s.numpy() for name, s in factors.items()})
    for attention, count, n in zip(small.attentions, shared, neurons, strict=True):
        assert attention.num_heads == 6 // n * (n - 1)
        assert attention.num_kv_heads == (count if n == 6 != count else count // n * (n - 1))


def test_keys_and_values_for_all_heads_that_have_room_for_one_of_each() -> None:
    """They have as many channels as two heads of another layer, and are not taken for such."""
    network = drawn(Transformer(Grouped(1, heads=2, way="repeated")).double()).eval()
    images = example().double()
    switches = find_switches(network, images)
    factors = {name: torch.tensor([0.0, 1.5]).double() for name in switches.groups}
    assert list(factors) == ["attentions.0.q"]
    small, _ = compact(network, factors, images, switches=switches, latency=False)
    torch.testing.assert_close(small(images), scores_of(network, images, switches, factors))


class KeysFirst(nn.Module):
    """Keys and values for all heads come before the queries, and no size follows the heads."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 2
        self.k, self.v = nn.Linear(WIDTH, WIDTH // 2), nn.Linear(WIDTH, WIDTH // 2)
        self.q, self.o = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q = self.q(x).view(n, tokens, 2, width // 2).transpose(1, 2)
        k, v = (f(x)[:, None].repeat_interleave(2, 1) for f in (self.k, self.v))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.o(x.transpose(1, 2).reshape(n, tokens, width))


def test_heads_that_fail_in_two_ways_are_left_alone() -> None:
    """With all three layers, or the queries alone, as what writes them: two groups of two names."""
    switches = find_switches(Transformer(Attention("in turn"), KeysFirst()), example())
    assert list(switches.groups) == ["attentions.0.qkv"]
    assert switches.left_alone["attentions.1.q"] == (
        "layer attentions.1 needs a size that does not follow the number of its heads, so none can "
        "be taken out alone"
    )


@pytest.mark.parametrize("places", [(1, 6, 4, 4), (6, 4, 4), (6, 1, 1)])
def test_a_bias_for_each_head(places: tuple[int, ...]) -> None:
    network = Transformer(Grouped(6, bias=True), Grouped(6))
    network.attentions[0].places = nn.Parameter(torch.randn(places))
    network = network.double()
    network, images = drawn(network).eval(), example().double()
    switches = find_switches(network, images)
    factors = {name: torch.arange(6).double() for name in switches.groups}
    assert list(factors) == ["attentions.0.q", "attentions.1.q"]
    small: Any
    small, _ = compact(network, factors, images, switches=switches, latency=False)
    torch.testing.assert_close(small(images), scores_of(network, images, switches, factors))
    assert small.attentions[0].places.shape == tuple(5 if n == 6 else n for n in places)


def test_heads_of_a_size_that_is_taken_from_the_input() -> None:
    """All layers tell their own name."""
    network = Transformer(Attention("in turn"), Fixed(), Fixed())
    switches = find_switches(network, example())
    assert list(switches.groups) == ["attentions.0.qkv"]
    for i in (1, 2):
        assert switches.left_alone[f"attentions.{i}.qkv"] == (
            f"layer attentions.{i} needs a size that does not follow the number of its heads, so "
            "none can be taken out alone"
        )


def test_excluded_heads() -> None:
    network = Transformer(Grouped(3), Attention("in turn"))
    switches = find_switches(network, example(), exclude=["attentions.0.q"])
    assert list(switches.groups) == ["attentions.1.qkv"]
    for layer in "qkv":
        assert switches.left_alone[f"attentions.0.{layer}"] == "excluded by the user"


class Attending(nn.Module):
    """Patches of an image, an attention of torch, and class scores."""

    def __init__(self, call: Callable[..., Tensor], heads: int = 4, **options: Any) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 4)
        self.call, self.norm = call, nn.LayerNorm(WIDTH)
        self.attention: Any = nn.MultiheadAttention(WIDTH, heads, **options)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.embed(images).flatten(2).transpose(1, 2))
        return self.head((x + self.call(self.attention, x, images)).mean(1))


def alone(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    return attention(x, x, x)[0]


def without_weights(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    return attention(query=x, key=x, value=x, need_weights=False)[0]


def tokens_first(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    x = x.transpose(0, 1)
    return attention(x, x, x, need_weights=False)[0].transpose(0, 1)


def crossed(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    """Queries of patches, keys of rows, values of both colours and rows."""
    rows = images.flatten(2)[..., :18].unflatten(2, (3, 6)).flatten(1, 2)  # (n, 9, 6)
    return attention(x, rows, torch.cat([rows, rows[..., :4]], 2))[0]


def masked(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    padding = torch.zeros(x.shape[:2], dtype=torch.bool)
    padding[:, 2] = True
    return attention(x, x, x, key_padding_mask=padding, attn_mask=mask)[0]


def causal(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
    return attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0]


def uses_weights(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    given, weights = attention(x, x, x)
    return given + weights.square().sum(-1, keepdim=True)


def each_weight(attention: nn.Module, x: Tensor, images: Tensor) -> Tensor:
    given, weights = attention(x, x, x, average_attn_weights=False)
    return given + weights[:, 0].square().sum(-1, keepdim=True)


def uneven_mask(attention: Any, x: Tensor, images: Tensor) -> Tensor:
    mask = torch.linspace(0, 1, 4 * 4 * 4, dtype=x.dtype).view(4, 4, 4).repeat(len(x), 1, 1)
    return attention(x, x, x, attn_mask=mask)[0]


FIRST = {"batch_first": True}
TORCHS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "batch first": (alone, FIRST),
    "without weights": (without_weights, FIRST),
    "batch second": (tokens_first, {}),
    "no bias": (alone, FIRST | {"bias": False}),
    "cross": (crossed, FIRST | {"kdim": 6, "vdim": 10}),
    "a bias and zeros more": (alone, FIRST | {"add_bias_kv": True, "add_zero_attn": True}),
    "masks": (masked, FIRST),
    "causal": (causal, FIRST),
}


@pytest.mark.parametrize("case", TORCHS)
def test_a_head_of_torchs_attention_is_a_neuron(case: str) -> None:
    call, options = TORCHS[case]
    network, images = drawn(Attending(call, **options).double()).eval(), example().double()
    switches = find_switches(network, images)
    group = switches.groups["attention"]
    assert (group.neurons, group.writers, group.readers) == (
        4,
        ("attention",),
        ("attention.out_proj",),
    )
    factors = {name: torch.ones(g.neurons).double() for name, g in switches.groups.items()}
    factors["attention"] = torch.tensor([0.5, 0.0, 1.5, 0.0]).double()
    expected = scores_of(network, images, switches, factors)  # each head's output times its factor
    with_factors = functional_call(network, scaled_parameters(network, switches, factors), images)
    torch.testing.assert_close(with_factors, expected, rtol=0, atol=1e-10)
    small: Any
    small, report = compact(network, factors, images, switches=switches, latency=False)
    for training in (False, True):
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                came = small.train(training)(images)
            torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
    assert report.after == switches.size({name: s.numpy() for name, s in factors.items()})
    assert (type(small.attention), small.attention.num_heads) == (NarrowAttention, 2)
    before, after = network.attention.state_dict(), small.attention.state_dict()
    for name, tensor in before.items():
        halved = tensor.numel() // (1 if name == "out_proj.bias" else 2)
        assert after[name].numel() == halved, name
    again = find_switches(small, images).groups["attention"]
    assert again.neurons == 2


def test_without_removal_it_stays_torchs() -> None:
    network, images = drawn(Attending(alone, **FIRST)).eval(), example()
    switches = find_switches(network, images)
    factors = {name: torch.full((g.neurons,), 0.5) for name, g in switches.groups.items()}
    small: Any = compact(network, factors, images, switches=switches, latency=False)[0]
    assert type(small.attention) is nn.MultiheadAttention


def test_hooks_and_whoever_holds_it_stay() -> None:
    network, images = drawn(Attending(alone, **FIRST)).eval(), example()
    calls: list[str] = []
    network.attention.register_forward_hook(lambda *_: calls.append("called"))
    network.others = [network.attention]  # a list is no module
    switches = find_switches(network, images)
    factors = {name: torch.ones(g.neurons) for name, g in switches.groups.items()}
    factors["attention"][0] = 0
    small: Any = compact(network, factors, images, switches=switches, latency=False)[0]
    assert small.others[0] is small.attention
    calls.clear()
    small(images)
    assert calls == ["called"]


class Own(nn.MultiheadAttention):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


def with_own_class() -> nn.Module:
    network = Attending(alone, **FIRST)
    network.attention = Own(WIDTH, 4, batch_first=True)
    return network


def with_shared() -> nn.Module:
    network = Attending(alone, **FIRST)
    network.other = nn.MultiheadAttention(WIDTH, 4)
    network.other.in_proj_weight = network.attention.in_proj_weight
    return network


def with_computed() -> nn.Module:
    network = Attending(alone, **FIRST)
    nn.utils.parametrizations.weight_norm(network.attention.out_proj)
    return network


def by_function(attention: Any, x: Tensor, images: Tensor) -> Tensor:
    return F.linear(x, attention.in_proj_weight[:WIDTH])


@pytest.mark.parametrize(
    ("network", "why"),
    [
        pytest.param(Attending(alone, 1, **FIRST), "has one head alone", id="one"),
        pytest.param(
            with_own_class(),
            "is of a class of its own, whose heads may be arranged in another way",
            id="own class",
        ),
        pytest.param(with_shared(), "shares its parameters with another layer", id="shared"),
        pytest.param(with_computed(), "computes its weights from other parameters", id="computed"),
        pytest.param(
            Attending(by_function, **FIRST),
            "is not called, and may be used in another way",
            id="not called",
        ),
    ],
)
def test_why_heads_are_left_alone(network: nn.Module, why: str) -> None:
    switches = find_switches(Beside(network, Attending(alone, **FIRST)), example())
    assert list(switches.groups) == ["second.attention"]
    assert switches.left_alone["first.attention"] == f"first.attention {why}"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (uses_weights, "without some of them, the outputs of layer head would change"),
        (each_weight, "without some of them, the outputs of layer head would change"),
        (
            uneven_mask,
            "without some of them, layer attention would not run: "
            "a size that it needs does not follow their number",
        ),
    ],
)
def test_heads_whose_number_shows_elsewhere(call: Any, why: str) -> None:
    """The mean of the weights is over all heads, and a mask may have a part for each."""
    network = Attending(call, **FIRST)
    both = Beside(network, Attending(alone, **FIRST))
    switches = find_switches(both, example())
    assert list(switches.groups) == ["second.attention"]
    assert switches.left_alone["first.attention"].replace("first.", "") == why


class Beside(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, images: Tensor) -> Tensor:
        return self.first(images) + self.second(images)


@pytest.mark.parametrize("pattern", ["attention", "att*", "attention.out_proj"])
def test_excluded_heads_of_torchs_attention(pattern: str) -> None:
    both = Beside(Attending(alone, **FIRST), Attending(alone, **FIRST))
    switches = find_switches(both, example(), exclude=[f"first.{pattern}"])
    assert list(switches.groups) == ["second.attention"]
    assert switches.left_alone["first.attention"] == "excluded by the user"


class Encoder(nn.Module):
    def __init__(self, norm_first: bool, causal: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 24, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.embed, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 4)
        self.causal = causal
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=not norm_first)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).flatten(2).transpose(1, 2)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        how = {"mask": mask, "is_causal": True} if self.causal else {}
        return self.head(self.encoder(x, **how).mean(1))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_encoders(norm_first: bool, causal: bool) -> None:
    """Without gradients, torch's layers have a fast path of their own, which must be declined."""
    network = drawn(Encoder(norm_first, causal).double()).eval()
    images = example().double()
    switches = find_switches(network, images)
    names = [f"encoder.layers.{i}.{layer}" for i in (0, 1) for layer in ("self_attn", "linear1")]
    assert list(switches.groups) == names
    factors = {name: torch.ones(g.neurons).double() for name, g in switches.groups.items()}
    factors[names[0]] = torch.tensor([0.5, 0.0, 1.5, 0.0]).double()
    factors[names[2]] = torch.tensor([0.7, 1.0, 1.5, 1.0]).double()
    factors[names[3]][:5] = 0
    expected = scores_of(network, images, switches, factors)
    small: Any = compact(network, factors, images, switches=switches, latency=False)[0]
    kinds = [type(layer.self_attn) for layer in small.encoder.layers]
    assert kinds == [NarrowAttention, nn.MultiheadAttention]
    for training in (False, True):
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                came = small.train(training)(images)
            torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)


def test_all_heads_off_remove_the_branch() -> None:
    network, images = drawn(Attending(without_weights, **FIRST).double()).eval(), example().double()
    switches = find_switches(network, images)
    factors = {name: torch.zeros(g.neurons).double() for name, g in switches.groups.items()}
    expected = scores_of(network, images, switches, factors)
    small, report = compact(network, factors, images, switches=switches, latency=False)
    assert report.removed == {"attention": ("attention", "attention.out_proj")}
    assert not any(isinstance(module, nn.MultiheadAttention) for module in small.modules())
    torch.testing.assert_close(small(images), expected, rtol=0, atol=1e-10)
