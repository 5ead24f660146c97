"""Draws all parameters and buffers of a copy at random."""

import math

import torch
from torch import Tensor, nn

from snnviz.structure.probe import MIXING, NORMS

_DRAWN = 65_537  # numbers; a prime, so that no two rows of a weight repeat each other


@torch.no_grad()
def draw_all(network: nn.Module) -> None:
    """Draws all parameters and buffers: fresh norms, zero gates and zero heads would hide errors.

    Weights keep the spread of what goes through a ReLU. Buffers and the scales of norms are
    positive, because variances are, and nothing is 0.
    """
    pool = torch.rand(_DRAWN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pool = torch.cat([pool, pool])
    start = 0
    for module in network.modules():
        if isinstance(module, NORMS):
            module.eps = 1.0  # in training, few values with a small one would magnify rounding
        normed = isinstance(module, (*NORMS, *MIXING)) or "Norm" in type(module).__name__
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None or not tensor.is_floating_point() or not tensor.numel():
                    continue
                if tensors is module._buffers and not tensor.isfinite().all():
                    continue  # a mask
                start = (start + 101) % _DRAWN
                pool = pool.to(tensor)
                values = pool[start : start + _DRAWN]
                n = tensor.numel()
                if tensors is module._buffers or n == 1 or (normed and name == "weight"):
                    _fill(tensor.data, values + 0.5)
                else:
                    vector = n == max(tensor.shape)
                    bound = 0.8 if vector else math.sqrt(6 * len(tensor) / n)
                    _fill(tensor.data, (values * 2 - 1) * bound)


def _fill(tensor: Tensor, values: Tensor) -> None:
    """Repeats the values as often as needed, in any order."""
    memory = torch.as_strided(tensor, (tensor.numel(),), (1,)) if _is_dense(tensor) else None
    if memory is None:
        repeats = -(-tensor.numel() // len(values))
        tensor.copy_(values.repeat(repeats)[: tensor.numel()].view(tensor.shape))
        return
    for start in range(0, len(memory), len(values)):
        memory[start : start + len(values)] = values[: len(memory) - start]


def _is_dense(tensor: Tensor) -> bool:
    last = torch.channels_last
    return tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=last))
