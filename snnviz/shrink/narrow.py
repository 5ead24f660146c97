"""Takes neurons that are off out of the layers that write, carry and read them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from snnviz.structure import Switches


def keep_one(switches: Switches, off: dict[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """A layer cannot have no channels: in each a neuron stays, folded to 0 as it is.

    Returns the groups that are wholly off, and the layers of which only their part is.
    """
    wholly = [name for name, gone in off.items() if gone.all()]
    parts: list[str] = []
    for name in wholly:
        off[name][0] = False
    # Layers whose outputs are joined write a part of a group each.
    rows, _ = staying(switches, off)
    for group in switches.groups.values():
        for member in group.written_as:
            if not rows[member.layer].any():
                rows[member.layer][member.channels[0]] = True
                off[group.name][member.neurons[0]] = False
                if group.name not in wholly:
                    parts.append(member.layer)
    return wholly, parts


def remove(network: nn.Module, switches: Switches, off: Mapping[str, np.ndarray]) -> None:
    """Takes the neurons out of the layers that write, carry and read them."""
    rows, columns = staying(switches, off)
    for layer in switches.layers:
        if layer.name in rows or layer.name in columns:
            out = rows.get(layer.name, np.ones(layer.units, dtype=bool))
            into = columns.get(layer.name, np.ones(layer.inputs * layer.reads_in, dtype=bool))
            if out.all() and into.all():
                continue
            # The parts of a grouped convolution lose the same places; a depthwise one loses parts.
            _narrow(network.get_submodule(layer.name), out, into[: layer.inputs])


def staying(
    switches: Switches, off: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Which outputs and which inputs stay, of each layer that has neurons of a group."""
    layers = {layer.name: layer for layer in switches.layers}
    rows: dict[str, np.ndarray] = {}
    columns: dict[str, np.ndarray] = {}
    for group in switches.groups.values():
        stays = ~off[group.name]
        for member in (*group.written_as, *group.carried_as):
            whole = np.ones(layers[member.layer].units, dtype=bool)
            rows.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
        for member in group.read_as:
            layer = layers[member.layer]
            whole = np.ones(layer.inputs * layer.reads_in, dtype=bool)
            columns.setdefault(member.layer, whole)[member.channels] = stays[member.neurons]
    return rows, columns


def _narrow(module: Any, rows: np.ndarray, columns: np.ndarray) -> None:
    """Keeps some of a layer's outputs, and some of the inputs that each of them reads."""
    device = module.weight.device
    out, into = (torch.from_numpy(np.flatnonzero(kept)).to(device) for kept in (rows, columns))
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is None or tensor.ndim == 0:  # no bias; a norm's count of batches
            continue
        kept = tensor.detach().index_select(0, out)
        if tensor.ndim > 1:
            kept = kept.index_select(1, into)
        if isinstance(tensor, nn.Parameter):
            kept = nn.Parameter(kept, tensor.requires_grad)
        setattr(module, name, kept)
    n = len(out)
    if isinstance(module, nn.Linear):
        module.in_features, module.out_features = len(into), n
    elif isinstance(module, nn.PReLU):
        module.num_parameters = n
    elif not hasattr(module, "groups"):
        module.num_features = n
    else:
        if module.groups == module.in_channels == module.out_channels:
            module.groups = n
        module.in_channels, module.out_channels = len(into) * module.groups, n
