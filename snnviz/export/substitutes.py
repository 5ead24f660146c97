"""Layers that are described as others: a layer of torch, with a step before or after it, say.

So a saved network does not need timm, whose layers are known by their full names: it is never
imported here. Batch norms of other classes are described by the function that they call.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from snnviz.export.vocabulary import layers


class Substitute(NamedTuple):
    """What a layer is described as."""

    layer: type[nn.Module]
    forward: Callable[..., Any]  # (the layer, a call of torch's layer, input) → output
    attributes: Mapping[str, str] = {}  # {argument of torch's layer: its name in the layer}
    fixed: Mapping[str, Any] = {}  # {argument of torch's layer: value}


def _alone(layer: nn.Module, call: Callable, x: Any) -> Any:
    return call(x)


def _channels_last(layer: nn.Module, call: Callable, x: Any) -> Any:
    return call(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _activated(norm: Callable) -> Callable:
    return lambda layer, call, x: layer.act(layer.drop(norm(layer, call, x)))


def _padded(value: float) -> Callable:
    def forward(layer: Any, call: Callable, x: Any) -> Any:
        pair = [getattr(layer, name, 1) for name in ("kernel_size", "stride", "dilation")]
        kernel, stride, dilation = (v if isinstance(v, tuple) else (v, v) for v in pair)
        return call(pad_same(x, kernel, stride, dilation, value))

    return forward


def pad_same(
    x: Any, kernel_size: Any, stride: Any, dilation: Any = (1, 1), value: float = 0
) -> Any:
    """Pads as timm's function of this name does, for sizes that are known only in the forward pass.

    The output has ceil(size / stride) positions, and an odd row of padding is at the end.
    """
    padding: list[Any] = []
    for dim in (1, 0):  # F.pad begins with the last dimension
        size, reach = x.shape[dim - 2], (kernel_size[dim] - 1) * dilation[dim] + 1
        short = (-(-size // stride[dim]) - 1) * stride[dim] + reach - size
        total = torch.sym_max(short, 0)  # `max` cannot be traced
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding, value=value)


@cache
def _table() -> dict[str, Substitute]:
    same = Substitute(nn.Conv2d, _padded(0), fixed={"padding": (0, 0)})
    return {
        "timm.layers.linear.Linear": Substitute(nn.Linear, _alone),
        "timm.layers.norm.LayerNorm": Substitute(nn.LayerNorm, _alone),
        "timm.layers.norm.LayerNorm2d": Substitute(nn.LayerNorm, _channels_last),
        "timm.layers.norm.GroupNorm": Substitute(nn.GroupNorm, _alone),
        "timm.layers.norm.GroupNorm1": Substitute(nn.GroupNorm, _alone),
        "timm.layers.norm_act.BatchNormAct2d": Substitute(nn.BatchNorm2d, _activated(_alone)),
        "timm.layers.norm_act.GroupNormAct": Substitute(nn.GroupNorm, _activated(_alone)),
        "timm.layers.norm_act.GroupNorm1Act": Substitute(nn.GroupNorm, _activated(_alone)),
        "timm.layers.norm_act.LayerNormAct": Substitute(nn.LayerNorm, _activated(_alone)),
        "timm.layers.norm_act.LayerNormAct2d": Substitute(nn.LayerNorm, _activated(_channels_last)),
        "timm.layers.conv2d_same.Conv2dSame": same,
        "timm.layers.pool2d_same.MaxPool2dSame": Substitute(nn.MaxPool2d, _padded(-float("inf"))),
        "timm.layers.pool2d_same.AvgPool2dSame": Substitute(nn.AvgPool2d, _padded(0)),
        "timm.layers.drop.DropPath": Substitute(
            layers()["StochasticDepth"], _alone, {"p": "drop_prob"}, {"mode": "row"}
        ),
    }


def substitute_of(module: nn.Module) -> Substitute | None:
    cls = type(module)
    found = _table().get(f"{cls.__module__}.{cls.__qualname__}") if "timm" in sys.modules else None
    found = found or _same_under_another_name(cls)
    own = not getattr(module, "scale_by_keep", True) or getattr(module, "_fast_norm", False)
    return None if own else found  # torch's layer always scales, and has no way to be fast


@cache
def _same_under_another_name(cls: type[nn.Module]) -> Substitute | None:
    """For a norm whose class adds nothing to what torch's class does."""
    for base in cls.__mro__[1:] if issubclass(cls, _NormBase) else ():
        if layers().get(base.__name__) is base:
            same = cls.forward is base.forward and cls.train is base.train
            return Substitute(base, _alone) if same else None
    return None


def layer_class(module: nn.Module) -> type[nn.Module] | None:
    """The class that a layer is described as, or None if the module is not a layer."""
    if layers().get(type(module).__name__) is type(module):
        return type(module)
    found = substitute_of(module)
    return found.layer if found else None


def open_batch_norms(network: nn.Module) -> str:
    """Lets a trace go through batch norms that are no layers: SyncBatchNorm, and users' classes.

    Their checks of sizes cannot be traced, and neither can the count of batches. Returns the name
    of one that uses this count, or "".
    """
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and layer_class(module) is None:
            if module.momentum is None and module.track_running_stats:
                return name
            if type(module).forward is nn.SyncBatchNorm.forward:  # the same in one process
                module.forward = partial(_BatchNorm.forward, module)
            module._check_input_dim = lambda input: None
            module.num_batches_tracked = None
    return ""


def functions_to_replace() -> dict[Callable, Callable]:
    """Functions of timm that cannot be traced, and what to trace in place of them."""
    padding = sys.modules.get("timm.layers.padding")
    return {padding.pad_same: pad_same} if padding else {}
