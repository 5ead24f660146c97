"""Norms that divide by a mean over channels and stay the same without those that are 0.

Two are known, whoever wrote them: RMSNorm, w x / sqrt(mean of x² + eps) + b, and the global
response norm of ConvNeXt V2, x + w x G / (mean of G + eps) + b, where G is the length of a channel
over all places. Channels that are 0 add nothing to the sum behind the mean. So with m of n channels
left, the outputs of the others are the same with eps n / m in place of eps, and w sqrt(n / m) in
place of w, or w n / m in a response norm.
"""

import copy
import math
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

_CLOSE = 1e-3  # of the largest output; another norm's are far off
# Channels are last, or second of 4.
_SHAPES = ((2, -1), (2, 3, -1), (2, 3, 3, -1), (2, -1, 3, 3))


class KeptNorm(NamedTuple):
    """The names of a norm's numbers."""

    weight: str
    bias: str  # "" if it has none
    eps: str
    root: bool  # the weight grows with the root of n / m


def read_norm(norm: nn.Module) -> KeptNorm | None:
    """The norm that the module computes, if this is all that it computes."""
    own = dict(norm.named_parameters(recurse=False))
    sizes = {p.numel() if p.numel() == max(p.shape, default=0) else 0 for p in own.values()}
    eps = [name for name in vars(norm) if "eps" in name]
    if len(own) not in (1, 2) or len(sizes) != 1 or 0 in sizes or len(eps) != 1:
        return None
    if list(norm.children()) or not isinstance(_eps_of(norm, eps[0]), float):
        return None
    for weight, bias in permutations(own) if len(own) == 2 else [(*own, "")]:
        for root in (True, False):
            found = KeptNorm(weight, bias, eps[0], root)
            if any(_fits(norm, found, shape) for shape in _SHAPES):
                return found
    return None


def is_bias(network: nn.Module, parameter: str) -> bool:
    """Whether a parameter of this name is the bias of such a norm."""
    owner, _, own = parameter.rpartition(".")
    found = read_norm(network.get_submodule(owner))
    return found is not None and own == found.bias


@torch.no_grad()
def _fits(norm: nn.Module, found: KeptNorm, shape: tuple[int, ...]) -> bool:
    """Whether it is this of tensors of this shape, with numbers of our own, for its may be 0."""
    own = dict(norm.named_parameters(recurse=False))
    n, dim, eps = own[found.weight].numel(), shape.index(-1), 3 * _eps_of(norm, found.eps)
    norm = copy.copy(norm)
    setattr(norm, found.eps, eps)  # another one, for its code may have a constant instead
    draw = partial(_draw, torch.Generator().manual_seed(0), own[found.weight])
    per_channel = [n if size == -1 else 1 for size in shape]
    x, weight, bias = draw(*(n if size == -1 else size for size in shape)), draw(n), draw(n)
    for size in (1.0, math.sqrt(eps) if found.root else eps):
        given, shift = x * size, bias * size if found.bias else torch.zeros_like(bias)
        numbers = {found.weight: weight, found.bias: shift}
        numbers = {name: numbers[name].view(p.shape) for name, p in own.items()}
        times = weight.view(per_channel)
        if found.root:
            expected = given * times / (given.square().mean(dim, keepdim=True) + eps).sqrt()
        else:
            places = [d for d in range(1, x.ndim) if d != dim]
            length = given.square().sum(places, keepdim=True).sqrt() if places else given.abs()
            expected = given + given * times * length / (length.mean(dim, keepdim=True) + eps)
        expected = expected + shift.view(per_channel)
        try:
            came = functional_call(norm, numbers, (given,))
        except Exception:  # whatever the user's code does with other shapes
            return False
        if not isinstance(came, Tensor) or came.shape != expected.shape:
            return False
        if not (came - expected).abs().max() <= _CLOSE * expected.abs().max():
            return False
    return True


def _draw(generator: torch.Generator, like: Tensor, *size: int) -> Tensor:
    return (torch.rand(size, generator=generator) - 0.5).to(like)


def _eps_of(norm: nn.Module, name: str) -> Any:
    value = getattr(norm, name)
    if value is None and isinstance(norm, nn.RMSNorm):  # as torch does
        return torch.finfo(next(norm.parameters()).dtype).eps
    return value


def keep_outputs(norm: Any, found: KeptNorm, left: int, channels: int) -> float:
    """Sets the numbers of a norm that is to have fewer channels; what to multiply its weight by."""
    times = channels / left
    setattr(norm, found.eps, _eps_of(norm, found.eps) * times)
    if isinstance(norm, nn.RMSNorm):
        norm.normalized_shape = (left,)
    return math.sqrt(times) if found.root else times
