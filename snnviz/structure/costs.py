"""What each layer of a network costs, and which neurons this depends on."""

import math

import numpy as np
from torch import Tensor, nn

from snnviz.structure.groups import LayerCost, Switches, SwitchGroup
from snnviz.structure.probe import WRITERS


def add_costs(
    probe: nn.Module,
    groups: dict[str, SwitchGroup],
    left_alone: dict[str, str],
    positions: dict[str, int],
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
        if isinstance(module, WRITERS):
            weight: Tensor = module.weight
            layers.append(
                LayerCost(
                    name=name,
                    units=weight.shape[0],
                    inputs=weight.shape[1],
                    reads_in=getattr(module, "groups", 1),
                    per_connection=math.prod(weight.shape[2:]),
                    per_unit=int(module.bias is not None),
                    positions=positions.get(name, 0),
                    written=places[0],
                    read=places[1],
                )
            )
        elif name in written:
            own = list(module.parameters(recurse=False))
            layers.append(LayerCost(name, len(own[0]), 0, 1, 0, len(own), 0, places[0], ()))
    for name, parameter in probe.named_parameters():  # such as the scales of a whole layer
        if name in written:
            places = tuple(written[name])
            layers.append(LayerCost(name, parameter.numel(), 0, 1, 0, 1, 0, places, ()))
    return Switches(groups, left_alone, tuple(layers), sum(p.numel() for p in probe.parameters()))
