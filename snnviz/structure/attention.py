"""Attention with fewer heads than torch's own class can have: what is left when heads are removed.

The heads of `nn.MultiheadAttention` are together always as wide as its input.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NarrowAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` with heads of any number and size; the rest is as there.

    The returned weights are those of its own heads: their mean is over these alone.

    Args:
        embed_dim: width of the queries and of the output.
        num_heads, head_dim: number of heads, and width of each; at least 1.

    Raises:
        ValueError: the number of heads, or their width, is less than 1.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        head_dim: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
    ) -> None:
        if min(num_heads, head_dim) < 1:
            raise ValueError(
                f"num_heads and head_dim must be at least 1, got {num_heads} and {head_dim}."
            )
        super().__init__(  # with one narrow head, for it checks the sizes; what has a size follows
            embed_dim, 1, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first
        )
        self.num_heads, self.head_dim = num_heads, head_dim
        inner = num_heads * head_dim
        for name, parameter in list(self._parameters.items()):
            if parameter is not None:
                shape = list(parameter.shape)
                shape[channels_of(name)] = inner * shape[channels_of(name)] // embed_dim
                setattr(self, name, nn.Parameter(parameter.new_empty(shape)))
        self.out_proj = type(self.out_proj)(inner, embed_dim, bias)
        self._reset_parameters()
        self.decline_fast_path()

    def decline_fast_path(self) -> None:
        """Keeps `nn.TransformerEncoderLayer` from calculating with heads as wide as the input."""
        self._qkv_same_embed_dim = False

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As of `nn.MultiheadAttention`, in all arguments and shapes."""
        if is_causal and attn_mask is None:
            raise RuntimeError("attn_mask must be given with is_causal, which is only a hint.")
        batched = query.dim() == 3
        q, k, v = self._project(query, key, value)
        if not batched:
            q, k, v = (x.unsqueeze(0) for x in (q, k, v))
        elif not self.batch_first:
            q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (
                torch.cat([x, bias.expand(x.shape[0], 1, -1)], 1)
                for x, bias in ((k, self.bias_k), (v, self.bias_v))
            )
        sizes = (self.num_heads, self.head_dim)
        q, k, v = (x.unflatten(2, sizes).transpose(1, 2) for x in (q, k, v))
        if self.add_zero_attn:
            k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))  # (n, heads, tokens, head_dim)
        hinted = is_causal and key_padding_mask is None and not need_weights
        mask = None if hinted else self._merge(attn_mask, key_padding_mask, q)
        weights = None
        if need_weights:
            weights = q * self.head_dim**-0.5 @ k.transpose(2, 3)  # (n, heads, queries, keys)
            weights = (weights if mask is None else weights + mask).softmax(-1)
            weights = F.dropout(weights, self.dropout, self.training)
            x = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            dropout = self.dropout if self.training else 0.0
            x = F.scaled_dot_product_attention(q, k, v, mask, dropout, hinted)
        # As in torch's class, the layer itself is not called.
        x = F.linear(x.transpose(1, 2).flatten(2), self.out_proj.weight, self.out_proj.bias)
        if not batched:
            return x.squeeze(0), None if weights is None else weights.squeeze(0)
        return x if self.batch_first else x.transpose(0, 1), weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        bias = self.in_proj_bias
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        inputs = zip((query, key, value), projections(self), biases, strict=True)
        return tuple(F.linear(*given) for given in inputs)

    def _merge(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor
    ) -> Tensor | None:
        """The sum of both masks, for each image, head, query and key, or for all of them."""
        masks = []
        if attn_mask is not None:  # (queries, keys) or (n * heads, queries, keys)
            each = attn_mask.dim() == 3
            masks.append(attn_mask.unflatten(0, tuple(q.shape[:2])) if each else attn_mask)
        if key_padding_mask is not None:  # (n, keys), or (keys,) of one image
            of_each = key_padding_mask.unflatten(-1, (1, 1, -1))
            masks.append(of_each.expand(q.shape[0], -1, -1, -1))
        merged = None
        for mask in masks:
            if not mask.is_floating_point():
                mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(mask, float("-inf"))
            merged = mask if merged is None else merged + mask
        if merged is None:
            return None
        added = int(self.bias_k is not None) + int(self.add_zero_attn)
        return F.pad(merged, (0, added)) if added else merged


def is_attention(module: Any) -> bool:
    """Whether it is torch's attention or ours, and of no class of the user's own."""
    return type(module) in (nn.MultiheadAttention, NarrowAttention)


def projections(attention: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    """The weights of queries, keys and values, each (channels of all heads, its inputs)."""
    if attention.in_proj_weight is not None:
        return attention.in_proj_weight.chunk(3)
    return attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight


def channels_of(parameter: str) -> int:
    """The dimension of the heads' channels in one of an attention's own parameters."""
    return 2 if parameter in ("bias_k", "bias_v") else 0
