"""Finds the layer at which a network and a smaller one begin to differ."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure.groups import Switches
from snnviz.structure.narrow import find_kept


def first_difference(
    outputs: Callable[[nn.Module], Mapping[str, Tensor]],
    large: nn.Module,
    small: nn.Module,
    switches: Switches,
    off: Mapping[str, np.ndarray],
    tolerance: float,
) -> str:
    """The name of the first layer whose remaining channels differ, or ""."""
    before, after = outputs(large), outputs(small)
    rows, _ = find_kept(switches, off)
    for name, expected in before.items():
        came = after.get(name)  # None: removed
        dim = -1 if isinstance(large.get_submodule(name), nn.Linear) else 1
        if name in rows:
            stay = torch.from_numpy(np.flatnonzero(rows[name]))
            expected = expected.index_select(dim, stay.to(expected.device))
        if came is None or came.shape != expected.shape:
            continue
        if not (came - expected).abs().max() <= tolerance * expected.abs().max():
            return name
    return ""


def layer_outputs(network: nn.Module, example: Tensor) -> dict[str, Tensor]:
    """The output of the first call of each layer that has parameters and returns a tensor."""
    found: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                found.setdefault(name, output)

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in network.named_modules()
        if name and not list(module.children()) and list(module.parameters(recurse=False))
    ]
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return found
