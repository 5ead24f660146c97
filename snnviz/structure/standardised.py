"""Layers that standardise their weights: each filter by its mean and its spread over all inputs.

Without some of the inputs, the mean and the spread would be others. So a layer that loses inputs
becomes torch's own, whose parameter is the standardised weight: its outputs are the same, and later
training no longer standardises it.
"""

import copy
import sys
from collections.abc import Collection, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snnviz.structure.layers import inputs_of, is_transposed, units_of
from snnviz.structure.own_forward import has_own_forward
from snnviz.structure.probe import WRITERS, computes_weights, copied, own_parameters

_CLOSE = 1e-3  # of the largest value; what differs does so by far more
_CALLS = (
    F.linear,
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
)


@torch.no_grad()
def standardises(layer: Any) -> bool:
    """Whether the weights of one input depend on those of the others."""
    if not isinstance(layer, WRITERS) or not has_own_forward(layer) or computes_weights(layer):
        return False
    dim = 0 if is_transposed(layer) else 1
    others = layer.weight.shape[dim] - 1
    layer = _drawn(layer)
    before = _used_by(layer)
    layer.weight.select(dim, 0).mul_(3)
    after = _used_by(layer)
    if not others or before is None or after is None:
        return False
    weights, changed = (pair[0].narrow(dim, 1, others) for pair in (before, after))
    return bool((weights - changed).abs().max() > _CLOSE * weights.abs().max())


@torch.no_grad()
def make_plain(layer: Any) -> nn.Module | None:
    """Torch's layer (or timm's that pads) with the weights that a standardising one computes.

    None if it does something else besides, or has other parameters than a gain for each output.
    """
    gains = [layer.get_parameter(name) for name in own_parameters(layer)]
    if not all(gain.shape[:1] == (units_of(layer),) == (gain.numel(),) for gain in gains):
        return None
    padded = getattr(sys.modules.get("timm.layers"), "Conv2dSame", None)
    kinds = [kind for kind in type(layer).__mro__ if kind in WRITERS][:1]
    drawn = _drawn(layer)
    for kind in (*kinds, *([padded] if padded and kinds == [nn.Conv2d] else [])):
        if all(_give_the_same(drawn, _build(kind, drawn), x) for x in _inputs(layer)):
            return _build(kind, layer)
    return None


def replace_all(network: nn.Module, shared: Collection[Tensor]) -> nn.Module:
    """A copy with such layers for those that standardise, or the network itself if none does.

    Layers with shared parameters stay.
    """
    plain = {
        layer: own
        for name, layer in network.named_modules()
        if name and standardises(layer) and set(shared).isdisjoint(layer.parameters())
        if (own := make_plain(layer))
    }
    if not plain:
        return network
    names = [*network.named_modules(remove_duplicate=False)]
    network = copied(network)
    for name, layer in names:
        if layer in plain:
            network.set_submodule(name, plain[layer])
    return network


def _give_the_same(layer: nn.Module, plain: nn.Module, x: Tensor) -> bool:
    expected, came = layer.forward(x), plain(x)
    same = isinstance(expected, Tensor) and expected.shape == came.shape
    return same and bool((expected - came).abs().max() <= _CLOSE * expected.abs().max())


def _build(kind: type, layer: Any) -> nn.Module:
    found = _used_by(layer)
    assert found is not None
    weight, bias = found
    plain: Any = kind(*(1, 1, 1)[: 2 if kind is nn.Linear else 3], device="meta")
    for name in vars(plain).keys() - {"_parameters", "_buffers", "_modules"}:
        setattr(plain, name, getattr(layer, name))
    learned = layer.weight.requires_grad
    plain.weight = nn.Parameter(torch.empty_like(layer.weight).copy_(weight), learned)
    plain.bias = None if bias is None else nn.Parameter(bias.detach().clone(), learned)
    return plain


class _Noting(TorchFunctionMode):
    """Notes the weight and the bias that linear layers and convolutions are called with."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Tensor, Tensor | None]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _CALLS:
            given = dict(zip(("input", "weight", "bias"), args, strict=False)) | (kwargs or {})
            self.found.append((given["weight"], given.get("bias")))
        return func(*args, **(kwargs or {}))


def _used_by(layer: Any) -> tuple[Tensor, Tensor | None] | None:
    """The weight and the bias that a layer computes for its one call of torch's function."""
    with _Noting() as noting:
        try:
            layer.forward(next(_inputs(layer)))
        except Exception:  # whatever the user's code does with other sizes
            return None
    if len(noting.found) != 1 or noting.found[0][0].shape != layer.weight.shape:
        return None
    return noting.found[0]


def _inputs(layer: Any) -> Iterator[Tensor]:
    """Random inputs of two sizes."""
    generator = torch.Generator().manual_seed(0)
    for more in (1, 2):
        reach = zip(layer.weight.shape[2:], getattr(layer, "dilation", ()), strict=True)
        places = [(kernel - 1) * dilation + 1 + more for kernel, dilation in reach]
        shape = (2, inputs_of(layer), *places)
        yield _draw(shape, generator).to(layer.weight)


def _drawn(layer: nn.Module) -> Any:
    """A copy with random parameters: gains are often 0 at first."""
    generator = torch.Generator().manual_seed(1)
    other = copy.copy(layer)
    other._parameters = {
        name: None if p is None else nn.Parameter(_draw(p.shape, generator).to(p) + 1)
        for name, p in layer._parameters.items()
    }
    return other


def _draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) - 0.5
