"""Layers of the user's own classes: torch's layers with a `forward` of their own.

Such a layer may do more than torch's, for example apply an activation behind its norm. A factor on
its weight and bias is then still well defined, but is no factor of the layer's output.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from snnviz.structure.probe import MIXING, NORMS, WRITERS

_CLOSE = 1e-3  # of a channel's greatest value; a factor of one half changes far more


def has_own_forward(module: nn.Module) -> bool:
    """Whether its class calculates in its own way, and not as torch's class does."""
    if isinstance(module, NonDynamicallyQuantizableLinear):
        return True  # an attention uses its parameters, and does not call it
    kinds = (*WRITERS, *NORMS, *MIXING)
    return not any(type(module).forward is kind.forward for kind in kinds)


@torch.no_grad()
def find_deaf(probe: nn.Module, example: Tensor) -> set[str]:
    """Layers that undo a factor on their weight, such as those that normalise their weights."""
    calls = _own_calls(probe, example, (*WRITERS, *NORMS))
    return {name for name, layer, inputs, by_name in calls if _is_deaf(layer, inputs, by_name)}


def _own_calls(
    probe: nn.Module, example: Tensor, kinds: tuple[type, ...]
) -> list[tuple[str, nn.Module, tuple, dict[str, Any]]]:
    """Layers with a forward of their own, and what they are first called with."""
    given: dict[str, Any] = {}
    handles = []
    for name, module in probe.named_modules():
        if isinstance(module, kinds) and has_own_forward(module):
            note = lambda _, inputs, by_name, name=name: given.setdefault(name, (inputs, by_name))  # noqa: E731
            hook = lambda *args, note=note: note(*args) and None  # noqa: E731
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    if not handles:
        return []
    try:
        probe(example)
    finally:
        for handle in handles:
            handle.remove()
    return [(name, probe.get_submodule(name), *call) for name, call in given.items()]


def _is_deaf(layer: Any, inputs: tuple, by_name: dict[str, Any]) -> bool:
    outputs = []
    for factor in (1.0, 0.5):
        own = {name: p * factor for name, p in layer.named_parameters(recurse=False)}
        if "bias" in own:  # it would be heard in any case
            own["bias"] = torch.zeros_like(own["bias"])
        outputs.append(functional_call(layer, own, inputs, by_name))
    whole, half = outputs
    dim = -1 if isinstance(layer, nn.Linear) else 1
    whole, change = (t.movedim(dim, 0).flatten(1).abs().amax(1) for t in (whole, whole - half))
    return bool(((whole > 0) & (change <= _CLOSE * whole)).any())
