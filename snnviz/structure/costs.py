"""What each layer of a network costs, and which neurons this depends on."""

import numpy as np
from torch import nn

from snnviz.structure.attention import is_attention
from snnviz.structure.groups import LayerCost, Switches, SwitchGroup
from snnviz.structure.layers import (
    biases_of,
    inputs_of,
    kernel_size,
    own_channel_dim,
    parts_of,
    units_of,
)
from snnviz.structure.probe import WRITERS, own_parameters


def add_costs(
    probe: nn.Module,
    groups: dict[str, SwitchGroup],
    left_alone: dict[str, str],
    positions: dict[str, float],
) -> Switches:
    """The switches of these groups, with the cost of each layer of the copy."""
    written: dict[str, list[tuple[str, np.ndarray]]] = {}
    read: dict[str, list[tuple[str, np.ndarray]]] = {}
    for group in groups.values():
        for member in (*group.written_as, *group.carried_as):
            written.setdefault(member.layer, []).append((group.name, member.neurons))
        for member in group.read_as:
            read.setdefault(member.layer, []).append((group.name, member.neurons))
    layers = []
    for name, module in probe.named_modules():
        places = tuple(written.get(name, ())), tuple(read.get(name, ()))
        if isinstance(module, WRITERS) or is_attention(module):
            parts = parts_of(module)
            # Of a layer that standardises its weights.
            gains = 0 if is_attention(module) else len(own_parameters(module))
            layers.append(
                LayerCost(
                    name=name,
                    units=units_of(module),
                    inputs=inputs_of(module) // parts,
                    reads_in=parts,
                    per_connection=kernel_size(module),
                    per_unit=biases_of(module) + gains,
                    positions=positions.get(name, 0),
                    written=places[0],
                    read=places[1],
                    gains=gains,
                )
            )
        elif name in written:
            own = list(module.parameters(recurse=False))
            units = units_of(module)
            layers.append(LayerCost(name, units, 0, 1, 0, len(own), 0, places[0], ()))
    tensors = (*probe.named_parameters(), *probe.named_buffers())
    for name, tensor in tensors:  # such as the scales of a whole layer
        if name in written:
            places = tuple(written[name])
            units = tensor.shape[own_channel_dim(tensor)]
            each = tensor.numel() // units if isinstance(tensor, nn.Parameter) else 0
            layers.append(LayerCost(name, units, 0, 1, 0, each, 0, places, ()))
    return Switches(groups, left_alone, tuple(layers), sum(p.numel() for p in probe.parameters()))
