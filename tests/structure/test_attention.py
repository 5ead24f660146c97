"""Attention with fewer heads, against torch's own in which the others are not read."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnviz.structure.attention import NarrowAttention
from snnviz.structure.narrow import _narrow_attention
from tests.helpers import message_of

WIDTH, HEADS, N, L, S = 8, 4, 3, 5, 6
KEPT = [0, 2, 3]  # heads


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def pair(**options: Any) -> tuple[Any, Any]:
    """torch's attention that does not read its second head, and ours without it."""
    torch.manual_seed(0)
    large: Any = nn.MultiheadAttention(WIDTH, HEADS, **options).double()
    for parameter in large.parameters():
        nn.init.normal_(parameter)
    stays = np.isin(np.arange(HEADS), KEPT).repeat(WIDTH // HEADS)
    large.out_proj.weight.data[:, ~stays] = 0
    small = copy.deepcopy(large)
    _narrow_attention(small, stays)
    small.out_proj.weight = nn.Parameter(large.out_proj.weight[:, stays].detach())
    assert type(small) is NarrowAttention
    assert small.num_heads == len(KEPT)
    return large, small


def inputs(large: Any, cross: bool, batched: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    query = normal(N, L, WIDTH)
    key, value = (normal(N, S, w) for w in (large.kdim, large.vdim)) if cross else (query, query)
    given = (query, key, value)
    if not batched:
        given = tuple(x[0] for x in given)
    elif not large.batch_first:
        given = tuple(x.transpose(0, 1) for x in given)
    return given if cross else (given[0],) * 3


def masks(kind: str, keys: int, heads: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(1)
    held: dict[str, Any] = {
        "none": {},
        "bool": {"attn_mask": torch.rand(L, keys) > 0.7},
        "float": {"attn_mask": normal(L, keys)},
        "padding": {"key_padding_mask": torch.rand(N, keys) > 0.7},
        "both": {"attn_mask": normal(L, keys), "key_padding_mask": normal(N, keys)},
        "each head": {"attn_mask": normal(N, HEADS, L, keys)},
    }[kind]
    for mask in held.values():
        if mask.dtype == torch.bool:
            mask[:, 0] = False  # a query without a key gives no number
    if kind == "each head":
        own = held["attn_mask"] if heads == HEADS else held["attn_mask"][:, KEPT]
        held = {"attn_mask": own.flatten(0, 1)}
    return held


OPTIONS: dict[str, dict[str, Any]] = {
    "batch first": {"batch_first": True},
    "batch second": {},
    "no bias": {"bias": False, "batch_first": True},
    "other widths": {"kdim": 6, "vdim": 10, "batch_first": True},
    "a bias more": {"add_bias_kv": True},
    "zeros more": {"add_zero_attn": True, "batch_first": True},
    "both more": {"add_bias_kv": True, "add_zero_attn": True, "kdim": 6, "vdim": 10},
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["none", "bool", "float", "padding", "both", "each head"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_same_outputs_and_weights(options: dict[str, Any], kind: str, training: bool) -> None:
    large, small = (each.train(training) for each in pair(**options))
    for cross in (False, True) if "kdim" not in options else (True,):
        given, keys = inputs(large, cross), S if cross else L
        of_large, of_small = masks(kind, keys, HEADS), masks(kind, keys, len(KEPT))
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                expected, every = large(*given, average_attn_weights=False, **of_large)
                came, own = small(*given, average_attn_weights=False, **of_small)
                torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
                torch.testing.assert_close(own, every[:, KEPT], rtol=0, atol=1e-10)
                came, mean = small(*given, **of_small)
                torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
                # The mean over its own heads, and not over those of the larger one.
                torch.testing.assert_close(mean, every[:, KEPT].mean(1), rtol=0, atol=1e-10)
                came, none = small(*given, need_weights=False, **of_small)
                torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
                assert none is None


@pytest.mark.parametrize("batch_first", [False, True])
def test_one_image_without_a_batch(batch_first: bool) -> None:
    large, small = pair(batch_first=batch_first)
    given = inputs(large, cross=False, batched=False)
    padding = torch.arange(L) > 2
    expected, every = large(*given, key_padding_mask=padding, average_attn_weights=False)
    came, own = small(*given, key_padding_mask=padding, average_attn_weights=False)
    torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(own, every[KEPT], rtol=0, atol=1e-10)
    came, _ = small(*given, key_padding_mask=padding, need_weights=False)
    torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("need_weights", [False, True])
def test_causal(need_weights: bool) -> None:
    large, small = pair(batch_first=True)
    given = inputs(large, cross=False)
    mask = torch.full((L, L), float("-inf"), dtype=torch.float64).triu(1)
    how = {"attn_mask": mask, "is_causal": True, "need_weights": need_weights}
    came, expected = small(*given, **how)[0], large(*given, **how)[0]
    torch.testing.assert_close(came, expected, rtol=0, atol=1e-10)
    assert not torch.allclose(came, large(*given)[0])
    why = message_of(lambda: small(*given, is_causal=True), RuntimeError)
    assert why == "attn_mask must be given with is_causal, which is only a hint."


def test_a_mask_must_fit() -> None:
    _, small = pair(batch_first=True)
    given = inputs(small, cross=False)
    with pytest.raises(RuntimeError):
        small(*given, attn_mask=masks("each head", L, HEADS)["attn_mask"])  # of four heads
    for shape in ((N - 1, L), (N, L - 2)):
        with pytest.raises(RuntimeError):
            small(*given, key_padding_mask=torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_only_in_training(need_weights: bool) -> None:
    large, small = pair(dropout=0.5, batch_first=True)
    given = inputs(large, cross=False)
    small.train()
    dropped = small(*given, need_weights=need_weights)[0]
    assert not torch.allclose(dropped, small(*given, need_weights=need_weights)[0])
    small.eval()
    expected = large.eval()(*given)[0]
    torch.testing.assert_close(small(*given, need_weights=need_weights)[0], expected)


def test_gradients_are_those_of_the_larger_one() -> None:
    large, small = pair(batch_first=True)
    for each in (large, small):
        each(*inputs_of_seed(each))[0].square().sum().backward()
    stays = np.isin(np.arange(HEADS), KEPT).repeat(WIDTH // HEADS)
    expected = large.in_proj_weight.grad[np.tile(stays, 3)]
    torch.testing.assert_close(small.in_proj_weight.grad, expected)
    torch.testing.assert_close(small.out_proj.weight.grad, large.out_proj.weight.grad[:, stays])


def inputs_of_seed(attention: Any) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(2)
    return inputs(attention, cross=False)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_is_built_with_the_sizes_that_a_removal_leaves(options: dict[str, Any]) -> None:
    _, small = pair(**options)
    built = NarrowAttention(WIDTH, len(KEPT), 2, **options).double()
    shapes = {name: tensor.shape for name, tensor in small.state_dict().items()}
    assert {name: tensor.shape for name, tensor in built.state_dict().items()} == shapes
    assert built.load_state_dict(small.state_dict()).missing_keys == []
    plain = {k: v for k, v in vars(small).items() if type(v) in (int, float, bool)}
    assert plain == {k: v for k, v in vars(built).items() if type(v) in (int, float, bool)}


def test_sizes_below_one() -> None:
    why = message_of(lambda: NarrowAttention(8, 0, 2))
    assert why == "num_heads and head_dim must be at least 1, got 0 and 2."
