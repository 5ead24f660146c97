"""The weights of linear layers and convolutions, whichever dimension their outputs are in.

Weights of transposed convolutions are (inputs, outputs of a part, kernel ...), those of all other
layers (outputs, inputs of a part, kernel ...). The parts are those of a grouped convolution.

The outputs of an attention are the channels of its heads: queries, keys and values side by side.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.structure.attention import is_attention, projections

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def is_transposed(layer: nn.Module) -> bool:
    return isinstance(layer, _TRANSPOSED)


def parts_of(layer: Any) -> int:
    """How many parts a grouped convolution has; 1 for other layers."""
    return getattr(layer, "groups", 1)


def units_of(layer: Any) -> int:
    """How many outputs a layer or a norm has."""
    if is_attention(layer):
        return layer.num_heads * layer.head_dim
    if getattr(layer, "weight", None) is None:
        return getattr(layer, "num_features", getattr(layer, "num_channels", 0))
    return layer.weight.shape[1] * layer.groups if is_transposed(layer) else len(layer.weight)


def inputs_of(layer: Any) -> int:
    if is_attention(layer):
        return sum(weight.shape[1] for weight in projections(layer))
    return len(layer.weight) if is_transposed(layer) else layer.weight.shape[1] * parts_of(layer)


def own_channel_dim(tensor: Tensor) -> int:
    """The dimension of channels in a tensor that is no layer's: a vector, filters, or a table."""
    if tensor.numel() == max(tensor.shape):
        return max(range(tensor.ndim), key=lambda dim: tensor.shape[dim])
    if tensor.ndim == 4 and tensor.shape[0] == 1:  # an image
        return 1
    if tensor.ndim == 3 and 1 < tensor.shape[0] != tensor.shape[1] == tensor.shape[2]:
        return 0  # a square table for each, as of pairs of places
    filters = tensor.ndim > 2 and tensor.shape[1] == 1  # one for each channel
    return 0 if filters else tensor.ndim - 1


def is_depthwise(layer: Any) -> bool:
    """Whether each part has one input or one output, so that its inputs and outputs go together."""
    return 1 < parts_of(layer) in (inputs_of(layer), units_of(layer))


def kernel_size(layer: Any) -> int:
    return 1 if is_attention(layer) else math.prod(layer.weight.shape[2:])


def biases_of(layer: Any) -> int:
    """How many biases each output has."""
    if is_attention(layer):
        return 3 * (layer.in_proj_bias is not None) + 2 * (layer.bias_k is not None)
    return int(layer.bias is not None)


def bias_of(layer: Any) -> Tensor | None:
    """(outputs,): the bias; of an attention, the mean of those of queries, keys and values."""
    if is_attention(layer):
        bias = layer.in_proj_bias
        return None if bias is None else bias.unflatten(0, (3, -1)).mean(0)
    return layer.bias


def rows_of(layer: Any) -> Tensor:
    """(outputs, inputs of a part, kernel ...): the weights into each output."""
    if is_attention(layer):
        return torch.cat(projections(layer), 1)
    if not is_transposed(layer):
        return layer.weight
    return layer.weight.unflatten(0, (layer.groups, -1)).transpose(1, 2).flatten(0, 1)


def multiply(layer: Any, weight: Tensor, out: Tensor | None, read: Tensor | None) -> Tensor:
    """A weight of this layer times a factor for each output, or for each input, or both."""
    parts = parts_of(layer)
    rest = (1,) * (weight.ndim - 2)
    if parts == 1 and not is_transposed(layer):
        factor = None if out is None else out.view(-1, *(1,) * (weight.ndim - 1))
        if read is not None:
            read = read.view(1, -1, *rest)
            factor = read if factor is None else factor * read
        return weight if factor is None else weight * factor
    first, second = ("in", "out") if is_transposed(layer) else ("out", "in")
    factors = {"out": out, "in": read}
    value = weight.unflatten(0, (parts, -1))  # (parts, of a part, of a part, kernel ...)
    if (factor := factors[first]) is not None:
        value = value * factor.view(parts, -1, 1, *rest)
    if (factor := factors[second]) is not None:
        value = value * factor.view(parts, 1, -1, *rest)
    return value.flatten(0, 1)
